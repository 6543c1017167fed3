# shellcheck shell=bash
# What people do with PM2, and what it can be without: more than faults-app.sh has room for.
# shellcheck disable=SC2154,SC2015,SC2034,SC2317,SC2329  # variables and functions of the other parts

FAULTS+='
pm2-save           somebody says pm2 save: what runs now comes back by pm2 resurrect
pm2-unsaved        what PM2 has saved is gone
pm2-update         somebody says pm2 update: another daemon, and all applications anew below it
pm2-5-elsewhere    the site is run by PM2 5, in a home of its own; pm2-6-elsewhere: by PM2 6
pm2-6-elsewhere    see pm2-5-elsewhere
pm2-without-node   ~/bin/pm2-without-node is a pm2 that finds no node (no fault yet)
large-environment  the site is started anew with 400 KB more in its environment
'

fault_pm2_save() {
  mark pm2-save
  pm2 -s save --force >/dev/null
}
# with none, the next reset saves what it has put back
clear_pm2_save() { rm -f "$live"/home/deploy/.pm2/dump.pm2 "$live"/home/deploy/.pm2/dump.pm2.bak; }
fault_pm2_unsaved() {
  mark pm2-unsaved
  clear_pm2_save
}
clear_pm2_unsaved() { :; }
fault_pm2_update() { pm2 update >/dev/null 2>&1 || die "pm2 update has failed"; }

# old_pm2 MAJOR: the program of an older PM2, which is fetched where it is missing
old_pm2() {
  local program
  program=$(PATH=${NODE%/*}:$PATH XDG_CACHE_HOME=$tools "$here/lib/pm2" "$1" 9>&-) || die "PM2 $1 could not be installed"
  chmod -R a+rX "$tools/evenkeel"
  echo "$program"
}
old_pm2_elsewhere() { # MAJOR
  local program
  program=$(old_pm2 "$1")
  ln -sfn "$program" "$live/home/deploy/bin/pm2-$1"
  mark "pm2-$1-elsewhere"
  run_elsewhere deploy "$DEPLOY_HOME/bin/pm2-$1"
}
fault_pm2_5_elsewhere() { old_pm2_elsewhere 5; }
fault_pm2_6_elsewhere() { old_pm2_elsewhere 6; }
clear_pm2_5_elsewhere() { end_elsewhere deploy "$DEPLOY_HOME/bin/pm2-5"; }
clear_pm2_6_elsewhere() { end_elsewhere deploy "$DEPLOY_HOME/bin/pm2-6"; }

fault_pm2_without_node() {
  mark pm2-without-node
  put "$live/home/deploy/bin/pm2-without-node" 755 deploy <<'EOT'
#!/usr/bin/env node-that-nobody-has
EOT
}
clear_pm2_without_node() { rm -f "$live/home/deploy/bin/pm2-without-node"; }

fault_large_environment() {
  mark pm2-with # which undoes it
  started_with "env: { NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1', SITE_FAULTS: '1',
    ...Object.fromEntries([1, 2, 3, 4, 5, 6, 7, 8].map((n) => ['FILLED' + n, 'x'.repeat(50000)])) }"
  wait_for 30 site_answers || die "the site does not answer"
}
