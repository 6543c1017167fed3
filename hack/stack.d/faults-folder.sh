# shellcheck shell=bash
# What can go wrong in the site's folder: its caches, its build, what it needs, a deploy.
# shellcheck disable=SC2154,SC2015,SC2034,SC2317,SC2329  # variables and functions of the other parts

FAULTS+='
cache-corrupt      the caches hold broken JSON and the site dies of it at every start
picture            the site has a picture that it makes smaller when it is asked for (/_next/image?…), and is started anew with it
image-cache-broken  what the cache holds of that picture is zeros, as after a loss of power, and the site is started with it (after picture)
deploy [restart]   git pull, npm ci and next build in the folder of the site, about 20 s in the background; then pm2 restart if wanted
webhook-deploy     the same, run by another row of PM2, which receives webhooks
deploy-lock [live|dead]  the lock file .deploy-lock of a deploy: empty, or with the pid of a process that lives, or does not
build-missing      the build output is gone and the site is started without it
build-cut PART     one part of the build is gone, and the site is started without it: id, server; or cut short: manifest
build-killed       next build is killed half-way, and the site is started with what it has left
dist-server        the site is run by dist/main.js, as a compiler writes it
dist-missing       dist is gone, and the site is started without it (after dist-server); cleared, it is built anew
interpreter-own    the site is run by a program of its own, site-node, that a script names in its first line
interpreter-gone   that program is gone, and the site is started without it (after interpreter-own)
modules-missing    node_modules is gone, and the site is started without it
env-missing        the .env file is gone
env-changed        another DATABASE_URL stands in the .env file since the site has started
'

cache_files() {
  local app
  app=$(host_app)
  echo "$app/.next/cache/site-index.json" "$app/node_modules/.cache/site/index.json"
}
fault_cache_corrupt() {
  local f
  for f in $(cache_files); do
    as deploy mkdir -p "$DEPLOY_HOME${f%/*}" 2>/dev/null || true
    [[ -d ${f%/*} ]] && printf '{"version": 1, "pages": ["/", "/yac' >"$f" && chown deploy: "$f"
  done
  mark cache-corrupt
  crash
}
clear_cache_corrupt() {
  local f
  for f in $(cache_files); do rm -f "$f"; done
}

# --- the build ------------------------------------------------------------------------------------------------------

# put_away NAME: what is at NAME in the site's folder, as it is, behind NAME.away; it may still be changed in its place
put_away() {
  local at
  at=$(host_app)/$1
  [[ ! -e $at || -e $at.away ]] || mv "$at" "$at.away"
}
put_back() {
  local at
  at=$(host_app)/$1
  [[ -e $at.away ]] || return 0
  trash "$at"
  mv "$at.away" "$at"
}

fault_build_missing() {
  put_away .next
  mark build-missing
  crash
}
clear_build_missing() { put_back .next; }

fault_build_cut() {
  local next
  next=$(host_app)/.next
  put_away .next
  mark build-cut
  trash "$next"
  cp -a "$next.away" "$next"
  case ${1:-} in
    id) rm "$next/BUILD_ID" ;;
    server) rm -r "$next/server" ;;
    manifest) truncate -s 200 "$next/routes-manifest.json" ;;
    *) die "build-cut: id, server or manifest" ;;
  esac
  crash
}
clear_build_cut() { put_back .next; }

fault_build_killed() {
  local next p
  next=$(host_app)/.next
  live_pid "$run/builder" >/dev/null && die "a build is under way"
  put_away .next
  mark build-killed
  trash "$next"
  cp -a "$next.away" "$next"
  spawn builder deploy "$APP_DIR" npm run build
  wait_for 60 build_begun "$next" || die "the build does not begin, see $logs/builder.log"
  p=$(live_pid "$run/builder") || die "the build was over before it was killed"
  pkill -KILL -s "$p"
  rm -f "$run/builder"
  crash
}
build_begun() { [[ ! -e $1/BUILD_ID ]]; }
clear_build_killed() {
  local p
  p=$(live_pid "$run/builder") && pkill -KILL -s "$p"
  rm -f "$run/builder"
  put_back .next
}

# --- what it needs --------------------------------------------------------------------------------------------------

fault_modules_missing() {
  put_away node_modules
  mark modules-missing
  crash
}
clear_modules_missing() { put_back node_modules; }

# run_by FILE FIRST NODE_MODULES: a file that starts Next.js; it goes with watched/ (fault pm2-with), or is removed by hand
run_by() {
  put "$(host_app)/$1" 755 deploy <<EOT
$2
require('$3/next/dist/bin/next');
EOT
}

fault_dist_server() {
  as deploy mkdir -p "$APP_DIR/dist"
  mark dist-server
  run_by dist/main.js "'use strict';" ../node_modules
  fault_pm2_with "script: 'dist/main.js'"
}
clear_dist_server() {
  rm -rf "$(host_app)/dist"
  clear_pm2_with
  rm -f "$run/faults/pm2-with"
}
fault_dist_missing() {
  mark dist-missing
  rm -r "$(host_app)/dist"
  crash
}
clear_dist_missing() {
  as deploy mkdir -p "$APP_DIR/dist"
  run_by dist/main.js "'use strict';" ../node_modules
}

site_node() { echo "$live$DEPLOY_HOME/bin/site-node"; }
fault_interpreter_own() {
  mark interpreter-own
  ln -sfn node "$(site_node)"
  as deploy mkdir -p "$APP_DIR/watched"
  run_by watched/run.js '#!/usr/bin/env site-node' ../node_modules
  fault_pm2_with "script: 'watched/run.js', interpreter: 'none', node_args: ''"
}
clear_interpreter_own() {
  clear_pm2_with
  rm -f "$run/faults/pm2-with" "$(site_node)"
}
fault_interpreter_gone() {
  mark interpreter-gone
  rm "$(site_node)"
  crash
}
clear_interpreter_gone() { ln -sfn node "$(site_node)"; }

fault_env_missing() {
  put_away .env
  mark env-missing
}
clear_env_missing() { put_env; }
fault_env_changed() {
  mark env-changed
  sed -i 's/schema=public/schema=public\&application_name=changed/' "$(host_app)/.env"
}
clear_env_changed() { put_env; }

# --- a deploy -------------------------------------------------------------------------------------------------------

fault_deploy() {
  local then=true
  [[ ${1:-} == restart ]] && then='pm2 restart bbyatch'
  live_pid "$run/deployer" >/dev/null && die "a deploy is under way"
  mark deploy
  push_change
  spawn deployer deploy "$APP_DIR" bash -c "git pull --ff-only && npm ci && npm run build && $then"
  local p
  p=$(live_pid "$run/deployer") || return 0
  { # the mark goes when the deploy is over
    tail --pid="$p" -f /dev/null
    [[ $(cut -d' ' -f1 "$run/deployer") != "$p" ]] || rm -f "$run/faults/deploy"
  } </dev/null >/dev/null 2>&1 9>&- &
  disown
}
clear_deploy() {
  local p
  p=$(live_pid "$run/deployer") && pkill -KILL -s "$p"
  rm -f "$run/deployer" "$run/faults/deploy"
  put_site_back || true
}

# A receiver of webhooks as it is often written: it lives in PM2 beside the site, and runs the deploy as its child.
webhook() { echo "$live$DEPLOY_HOME/webhook.js"; }
fault_webhook_deploy() {
  local p
  live_pid "$run/deployer" >/dev/null && die "a deploy is under way"
  mark webhook-deploy
  push_change
  put "$(webhook)" 644 deploy <<EOT
const { spawn } = require('node:child_process');
require('node:http').createServer((request, response) => {
  const deploy = spawn('bash', ['-c', 'git pull --ff-only && npm ci && npm run build && true'],
    { cwd: '$APP_DIR', detached: true, stdio: ['ignore', 'inherit', 'inherit'] });
  response.end(String(deploy.pid));
}).listen($WEBHOOK_PORT, '127.0.0.1');
EOT
  as deploy env -C "$DEPLOY_HOME" timeout 30 "$DEPLOY_HOME/bin/pm2" -s start webhook.js --name webhook \
    </dev/null >>"$logs/pm2.log" 2>&1 || die "pm2 could not start the receiver of webhooks, see $logs/pm2.log"
  wait_for 20 webhook_taken || die "the receiver of webhooks does not answer"
  read -r p <"$run/webhook"
  echo "$p $(start_of "$p")" >"$run/deployer"
  rm -f "$run/webhook"
}
webhook_taken() { as deploy curl -sf -m 3 -X POST "http://127.0.0.1:$WEBHOOK_PORT/" >"$run/webhook" && [[ -s $run/webhook ]] && echo >>"$run/webhook"; }
clear_webhook_deploy() {
  local p
  pm2 -s delete webhook >/dev/null 2>&1 || true
  p=$(live_pid "$run/deployer") && pkill -KILL -s "$p"
  rm -f "$run/deployer" "$run/webhook" "$(webhook)"
  put_site_back || true
}

fault_deploy_lock() {
  local p=''
  mark deploy-lock
  case ${1:-} in
    live)
      spawn locker deploy "$DEPLOY_HOME" sleep infinity
      p=$(live_pid "$run/locker")
      ;;
    dead)
      as deploy true &
      p=$!
      wait "$p"
      ;;
  esac
  as deploy tee "$APP_DIR/.deploy-lock" <<<"$p" >/dev/null
}
clear_deploy_lock() {
  kill_mark locker
  rm -f "$(host_app)/.deploy-lock"
}

# --- its pictures ---------------------------------------------------------------------------------------------------

picture='/_next/image?url=%2Fpicture.png&w=64&q=75'
fault_picture() {
  mark picture
  as deploy mkdir -p "$APP_DIR/public"
  base64 -d <<<'iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAEklEQVR4nGP4z8CAB+GTG8HSALfKY52fTcuYAAAAAElFTkSuQmCC' |
    as deploy tee "$APP_DIR/public/picture.png" >/dev/null
  crash # it knows the files of public/ from its start
  wait_for 30 http_ok "http://127.0.0.1:$APP_PORT$picture" || die "the site makes no pictures smaller"
}
clear_picture() { rm -rf "$(host_app)/public" "$(host_app)/.next/cache/images"; }

fault_image_cache_broken() {
  local f size cut=''
  mark image-cache-broken
  http_ok "http://127.0.0.1:$APP_PORT$picture" || die "the site makes no pictures smaller (fault picture)"
  for f in "$(host_app)"/.next/cache/images/*/*; do
    [[ -f $f ]] || continue
    size=$(stat -c %s "$f")
    truncate -s 0 "$f"
    truncate -s "$size" "$f"
    cut=1
  done
  [[ $cut ]] || die "the cache holds no picture"
  crash
}
clear_image_cache_broken() { rm -rf "$(host_app)/.next/cache/images"; }
