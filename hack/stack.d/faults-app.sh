# shellcheck shell=bash
# More that can be broken of the application itself, and ways of PM2 to keep it: what faults.sh has no room for.
# shellcheck disable=SC2154,SC2015,SC2034,SC2317,SC2329  # variables and functions of the other parts

FAULTS+='
pm2-with JS        the site is started anew with these settings of PM2 over its usual ones, such as "kill_timeout: 12000"
port-moved [PORT]  the site is started anew on another port (3013), and lasts there until cleared
pm2-restart        somebody says pm2 restart
pm2-reload         somebody says pm2 reload
pm2-twice          the site is started a second time under its name: PM2 lists it twice, and the second finds the port taken
pm2-elsewhere [USER]  the site is run by another PM2, in a home of its own (of the user deploy)
pm2-many [N]       somebody runs so many pm2 commands at once (8)
touch-watched      a file changes in the folder watched/ (for pm2-with "watch: [...]")
npm-killed         kill -9 of the process that PM2 keeps, and not of its children (for pm2-with "script: npm")
slow-start [S]     the site dies once, and its next start stands still for so long (10 s)
page-broken        the code of the front page is cut off, and the site is started with it
redirect           / redirects to another page; lasts until cleared
throw              an exception that nobody catches
oom                the memory killer of the kernel ends the site, in a memory cgroup v1 of its own
heap               the site fills its heap up to its limit
'

# started_with JS: anew, with these properties of PM2's ecosystem file, as they are written there
started_with() {
  local app
  app=$(host_app)
  as deploy mkdir -p "$APP_DIR/watched"
  put "$app/ecosystem.config.js" 644 deploy <<EOT
const usual = {
  name: 'bbyatch',
  cwd: __dirname,
  script: 'node_modules/next/dist/bin/next',
  args: 'start -p $APP_PORT',
  node_args: '--require ' + __dirname + '/faults.cjs', // in cluster mode PM2 has another folder when this is read
  exec_mode: 'fork',
  env: { NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1', SITE_FAULTS: '1' },
};
module.exports = { apps: [Object.assign(usual, { ${1:-} })] };
EOT
  forget_app
  pm2_fresh bbyatch "$APP_DIR"
}
fault_pm2_with() { # JS
  mark pm2-with
  started_with "${1:-}"
  wait_for 30 site_answers || die "the site does not answer"
}
# on whichever address it listens
site_answers() { [[ $(http "http://127.0.0.1:$APP_PORT/" 2) == 200 || $(http "http://[::1]:$APP_PORT/" 2) == 200 ]]; }
clear_pm2_with() {
  local app
  app=$(host_app)
  cp -a "$STACK_DIR/build/$(cat "$live/app.key")/app/ecosystem.config.js" "$app/"
  rm -rf "$app/watched"
  forget_app
  pm2_fresh bbyatch "$APP_DIR"
}

fault_port_moved() { # [PORT]
  local port=${1:-3013}
  mark port-moved "$port"
  started_with "args: 'start -p $port'"
  wait_for 30 moved_answers "$port" || die "the site does not answer on port $port"
}
moved_answers() { [[ $(http "http://127.0.0.1:$1/" 2) == 200 ]]; }
clear_port_moved() { clear_pm2_with; }

# in the background: it waits for the end of the old process
fault_pm2_restart() { pm2 -s restart bbyatch >/dev/null 2>&1 9>&- & }
fault_pm2_reload() { pm2 -s reload bbyatch >/dev/null || die "pm2 did not reload the site"; }
fault_pm2_twice() {
  mark pm2-twice
  as deploy env -C "$APP_DIR" timeout 30 "$DEPLOY_HOME/bin/pm2" -s start node_modules/next/dist/bin/next -f --name bbyatch \
    -- start -p "$APP_PORT" </dev/null >>"$logs/pm2.log" 2>&1 || die "pm2 could not start it a second time, see $logs/pm2.log"
}
clear_pm2_twice() {
  forget_app
  pm2_fresh bbyatch "$APP_DIR"
}

elsewhere() { echo "$live/pm2-of-$1"; }
pm2_of() { # USER PROGRAM ARGS…: PM2 in its other home
  local user=$1
  shift
  as "$user" env -C "$APP_DIR" "PM2_HOME=$(elsewhere "$user")" timeout 30 "$1" -s "${@:2}" </dev/null >>"$logs/pm2.log" 2>&1
}
run_elsewhere() { # USER PROGRAM
  install -d -m 755 -o "$1" -g "$(id -gn "$1")" "$(elsewhere "$1")"
  forget_app
  pm2_of "$1" "$2" start ecosystem.config.js || die "PM2 could not start the site as $1, see $logs/pm2.log"
  wait_for 30 site_answers || die "the site does not answer"
  pm2_of "$1" "$2" save || die "PM2 could not save, see $logs/pm2.log"
}
end_elsewhere() { # USER PROGRAM
  pm2_of "$1" "$2" kill || true
  rm -rf "$(elsewhere "$1")"
  forget_app
  pm2_fresh bbyatch "$APP_DIR"
}
fault_pm2_elsewhere() {
  mark pm2-elsewhere "${1:-deploy}"
  run_elsewhere "${1:-deploy}" "$DEPLOY_HOME/bin/pm2"
}
clear_pm2_elsewhere() {
  local user
  user=$(cat "$run/faults/pm2-elsewhere" 2>/dev/null) || return 0
  end_elsewhere "$user" "$DEPLOY_HOME/bin/pm2"
}
fault_pm2_many() {
  local n
  for ((n = 0; n < ${1:-8}; n++)); do pm2 -s jlist >/dev/null 2>&1 9>&- & done
  wait
}
fault_touch_watched() { as deploy touch "$APP_DIR/watched/now"; }
fault_npm_killed() { crash; }

fault_slow_start() {
  mark slow-start
  touch "$(base)/fault-hold"
  crash
  spawn slow-start deploy "$DEPLOY_HOME" bash -c "sleep ${1:-10}; rm -f '${APP_DIR%/*}/fault-hold'"
}
clear_slow_start() {
  kill_mark slow-start
  rm -f "$(base)/fault-hold"
}

front_page() { echo "$(host_app)/.next/server/app/page.js"; }
fault_page_broken() {
  local f
  f=$(front_page)
  mark page-broken
  cp -a "$f" "$f.away"
  printf 'module.exports = {};\n' >"$f"
  crash
}
clear_page_broken() {
  local f
  f=$(front_page)
  [[ -e $f.away ]] || return 0
  mv "$f.away" "$f"
  crash
}

fault_redirect() {
  touch "$(base)/fault-redirect"
  mark redirect
}
clear_redirect() { rm -f "$(base)/fault-redirect"; }
fault_throw() { hook throw; }
fault_heap() {
  taint heap "$(need_app)"
  hook heap
}

fault_oom() {
  local p group=/sys/fs/cgroup/memory/evenkeel-stack
  p=$(need_app)
  mkdir -p "$group" || die "no memory cgroup can be made here"
  echo $((64 << 20)) >"$group/memory.limit_in_bytes"
  echo "$p" >"$group/cgroup.procs"
  as deploy curl -s -m 20 "http://127.0.0.1:$APP_PORT/api/fault/leak?mb=300" >/dev/null || true
  wait_for 20 gone "$p" || die "the memory killer did not come"
  rmdir "$group" 2>/dev/null || true
}
