# shellcheck shell=bash
# Starting, asking and stopping what runs in the stack.
# shellcheck disable=SC2154,SC2015,SC2086,SC2119,SC2120  # variables and functions of the other parts

# wait_for SECONDS CMD…: until CMD succeeds
wait_for() {
  local until=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < until)) || return 1
    sleep 0.1
  done
}

http() { # URL [MAX_SECONDS]: the status code as deploy sees it
  as deploy curl -s -o /dev/null -m "${2:-5}" -w '%{http_code}' "$1" || true
}
http_ok() { [[ $(http "$@") == 200 ]]; }

# stack_pids: every process in the stack's network namespace, the holder last
stack_pids() {
  local h ns
  h=$(holder) || return 0
  ns=$(readlink "/proc/$h/ns/net")
  find /proc -mindepth 3 -maxdepth 3 -path '/proc/[0-9]*/ns/net' -lname "${ns//[/\\[}" 2>/dev/null |
    sed 's,^/proc/\([0-9]*\)/.*,\1,' | grep -vx "$h" || true
  echo "$h"
}

# listener PORT: pids that listen on it, in the stack
listener() {
  enter ss -Hltnp "sport = :$1" 2>/dev/null | grep -o 'pid=[0-9]*' | cut -d= -f2 | sort -u || true
}

comm_is() { # PID NAME
  local c
  { read -r c <"/proc/$1/comm"; } 2>/dev/null && [[ $c == "$2"* && $(start_of "$1") ]]
}

# end_stray NAME: the stack's processes of that name, whose master is gone
end_stray() {
  local p
  for p in $(stack_pids); do comm_is "$p" "$1" && kill -KILL "$p"; done
  return 0
}

# --- nginx ----------------------------------------------------------------------------------------------------------

nginx_pid() {
  local p
  p=$(cat "$live/nginx/nginx.pid" 2>/dev/null) && comm_is "$p" nginx && echo "$p"
}
nginx_cmd() { as www-data /usr/sbin/nginx -e "$live/nginx/error.log" -c "$live/nginx/nginx.conf" "$@"; }
nginx_start() {
  nginx_pid >/dev/null && return 0
  end_stray nginx
  nginx_cmd </dev/null >>"$logs/nginx.log" 2>&1 || die "nginx did not start, see $logs/nginx.log"
}
nginx_stop() {
  local p
  p=$(nginx_pid) || return 0
  kill -TERM "$p"
  wait_for 5 gone "$p" || kill -KILL "$p"
}
gone() { ! start_of "$1" >/dev/null; }
# nginx_use ARGS…: the configuration that nginx_conf makes of them, loaded
nginx_use() {
  local want
  want=$(nginx_conf "$@")
  [[ $want == "$(cat "$live/nginx/nginx.conf")" ]] && return 0
  printf '%s\n' "$want" >"$live/nginx/nginx.conf"
  local p
  p=$(nginx_pid) || return 0
  kill -HUP "$p"
  sleep 0.3
}

# --- PostgreSQL -----------------------------------------------------------------------------------------------------

pg_pid() {
  local p
  p=$(head -1 "$live/pg/data/postmaster.pid" 2>/dev/null) && comm_is "$p" postgres && echo "$p"
}
pg_start() {
  local pg=$live/pg bin new='' pw
  pg_pid >/dev/null && return 0
  bin=$(pg_bin)
  # what a killed one leaves over; PostgreSQL is afraid even of the pid of a zombie
  end_stray postgres
  rm -f "$pg/data/postmaster.pid" "$pg"/.s.PGSQL.5432*
  if [[ ! -s $pg/data/PG_VERSION || ! -e $pg/.complete ]]; then
    new=1
    rm -rf "$pg"
    install -d -m 755 -o postgres -g postgres "$pg"
    as postgres "$bin/initdb" -D "$pg/data" -E UTF8 --locale=C.UTF-8 --auth-local=peer --auth-host=scram-sha-256 -N \
      >"$logs/initdb.log" 2>&1 || die "initdb failed, see $logs/initdb.log"
    cat >>"$pg/data/postgresql.conf" <<EOF
listen_addresses = '127.0.0.1'
port = 5432
unix_socket_directories = '$pg'
shared_buffers = 16MB
max_connections = 40
fsync = off
log_min_messages = warning
EOF
  fi
  as postgres "$bin/pg_ctl" -D "$pg/data" -l "$pg/log" -w -t 30 start >"$logs/pg_ctl.log" 2>&1 ||
    die "PostgreSQL did not start, see $pg/log"
  if [[ $new ]]; then
    pw=$(cat "$live/pg-password")
    as postgres psql -q -h "$pg" -v ON_ERROR_STOP=1 -d postgres <<EOF || die "the database could not be made"
CREATE ROLE bbyatch LOGIN PASSWORD '$pw';
CREATE DATABASE bbyatch OWNER bbyatch;
EOF
    { echo 'SET ROLE bbyatch;'; cat "$site_src/prisma/init.sql"; } |
      as postgres psql -q -h "$pg" -v ON_ERROR_STOP=1 -d bbyatch || die "the database could not be filled"
    touch "$pg/.complete"
  fi
}
pg_stop() {
  local p
  p=$(pg_pid) || return 0
  kill -INT "$p" # a fast shutdown
  wait_for 10 gone "$p" || kill -QUIT "$p"
}

# --- PM2 ------------------------------------------------------------------------------------------------------------

pm2() { as deploy timeout 30 "$DEPLOY_HOME/bin/pm2" "$@" </dev/null; }
# pm2_rows: name, pm_id, pid, status, restarts; a line for each row
pm2_rows() {
  pm2_daemon >/dev/null || return 0
  pm2 -s jlist 2>/dev/null | grep '^\[' | tail -1 |
    jq -r '.[] | [.name, .pm_id, .pid // 0, .pm2_env.status, .pm2_env.restart_time] | map(tostring) | join("\t")'
}
# in_stack PID: it is in this stack, and not in another one beside it or outside
in_stack() {
  local ns
  ns=$(readlink "/proc/$1/ns/net" 2>/dev/null) && [[ $ns == "$(readlink "/proc/$(holder)/ns/net")" ]]
}
pm2_daemon() { # "PM2 v7.0.4: God Daemon (<pm2_home>)"
  local p home=$PM2_HOME_DIR
  for p in $(pgrep -u deploy -f "^PM2 v.*God Daemon \\($home\\)"); do
    in_stack "$p" && echo "$p" && return 0
  done
  return 1
}
# app_pid: the pid that PM2 keeps for the site, if that lives
app_pid() {
  local f p
  for f in "$live/home/deploy/.pm2/pids/bbyatch-"*.pid; do
    p=$(cat "$f" 2>/dev/null) || continue
    # the file may be left over, and its pid somebody else's by now
    [[ $p && $(start_of "$p") ]] || continue
    # on a small disk its folder is another one than from outside
    [[ /proc/$p/cwd -ef $(host_app) ]] || enter test "/proc/$p/cwd" -ef "$APP_DIR" || continue
    echo "$p"
    return 0
  done
  return 1
}
app_ready() {
  local p
  p=$(app_pid) && [[ " $(listener $APP_PORT | tr '\n' ' ')" == *" $p "* ]] && http_ok "http://127.0.0.1:$APP_PORT/" 2
}
forget_app() {
  holder >/dev/null && pm2_daemon >/dev/null || return 0
  pm2 -s delete bbyatch >/dev/null 2>&1 || true
  free_port
}
# free_port: ends whoever holds the site's port and is neither PM2's own site nor PM2 itself, which listens for a cluster
free_port() {
  local p own daemon
  own=$(app_pid) || own=0
  daemon=$(pm2_daemon) || daemon=0
  for p in $(listener $APP_PORT); do
    [[ $p == "$own" || $p == "$daemon" ]] || kill -KILL "$p" 2>/dev/null || true
  done
}
pm2_fresh() { # NAME FOLDER
  pm2 -s delete "$1" >/dev/null 2>&1 || true
  as deploy env -C "$2" timeout 30 "$DEPLOY_HOME/bin/pm2" -s start ecosystem.config.js \
    </dev/null >>"$logs/pm2.log" 2>&1 || die "pm2 could not start $1, see $logs/pm2.log"
}

# apps_start [counters]: both apps in PM2, once each, and well; what is well is left alone
apps_start() {
  local rows name id pid status restarts bb=0 shop=0 bb_ok='' shop_ok='' bb_n=0 shop_n=0 daemon p
  if daemon=$(pm2_daemon); then
    kill -CONT "$daemon"
    rows=$(pm2_rows) || {
      say "PM2 does not answer: ending it"
      kill -KILL "$daemon"
      rows=''
    }
  else
    rows=''
    # without its daemon whatever is left of it is nobody's
    for p in $(pgrep -u deploy -f "^node $DEPLOY_HOME/shop/server.js"); do
      in_stack "$p" && kill -KILL "$p"
    done
  fi
  while IFS=$'\t' read -r name id pid status restarts; do
    case $name in
      bbyatch) bb=$((bb + 1)) bb_n=$restarts; [[ $status == online && $pid == "$(app_pid)" ]] && bb_ok=1 ;;
      shop) shop=$((shop + 1)) shop_n=$restarts; [[ $status == online ]] && shop_ok=1 ;;
      '') ;;
      *) [[ ${1:-} ]] && pm2 -s delete "$id" >/dev/null 2>&1 ;;
    esac
  done <<<"$rows"
  local began=''
  if [[ $bb != 1 || ! $bb_ok ]] || ! untainted || ! app_ready; then
    # a site that is only just starting gets its time
    if [[ $bb != 1 || ! $bb_ok ]] || ! untainted || ! wait_for 5 app_ready; then
      local p
      p=$(app_pid) && kill -CONT "$p" 2>/dev/null
      pm2 -s delete bbyatch >/dev/null 2>&1 || true
      free_port
      pm2_fresh bbyatch "$APP_DIR"
      began=1
    fi
  elif [[ ${1:-} && $bb_n != 0 ]]; then
    pm2 -s reset bbyatch >/dev/null 2>&1
  fi
  if [[ $shop != 1 || ! $shop_ok ]]; then
    pm2_fresh shop "$DEPLOY_HOME/shop"
    began=1
  elif [[ ${1:-} && $shop_n != 0 ]]; then
    pm2 -s reset shop >/dev/null 2>&1
  fi
  # what a boot of the machine would bring back
  if [[ $began || ! -s $live/home/deploy/.pm2/dump.pm2 ]]; then pm2 -s save --force >/dev/null 2>&1 || true; fi
}

# untainted: no fault hook was used in the running site's process, and it was not started without its .env
untainted() {
  local p f
  p=$(app_pid) || return 1
  for f in "$run"/faults/*; do
    [[ $(cat "$f" 2>/dev/null) == "taint $p $(start_of "$p")" ]] && return 1
  done
  as deploy curl -s -m 3 "http://127.0.0.1:$APP_PORT/api/fault/state" 2>/dev/null | grep -q '"touched":false' &&
    http_ok "http://127.0.0.1:$APP_PORT/yachts" 5
}

bystanders_start() {
  live_pid "$run/stray" >/dev/null || spawn stray deploy "$DEPLOY_HOME/stray" node "$DEPLOY_HOME/stray/server.js" 3010 stray
  live_pid "$run/neighbour" >/dev/null || spawn neighbour other /home/other node /home/other/server.js 3020 neighbour
}

site_ok() { http_ok "https://$SITE_HOST/" && http_ok "https://$SITE_HOST/yachts"; }
wait_site() {
  wait_for "$1" site_ok || {
    cmd_status >&2 || true
    tail -5 "$live"/home/deploy/.pm2/logs/bbyatch-error*.log >&2 || true
    die "the site does not answer"
  }
}

# --- commands -------------------------------------------------------------------------------------------------------

cmd_up() {
  local t=$SECONDS
  lock
  [[ -e $STACK_DIR/.evenkeel-stack || -z $(find "$STACK_DIR" -mindepth 1 -maxdepth 1 ! -name .lock) ]] ||
    die "$STACK_DIR is not empty and not a stack's folder"
  touch "$STACK_DIR/.evenkeel-stack"
  mkdir -p "$logs" "$tools" "$live"
  chmod a+rx "$STACK_DIR" "$logs" "$tools" "$live"
  ensure_packages
  ensure_users
  ensure_owners
  ensure_tools
  ensure_files
  ensure_holder
  ensure_network
  ensure_site
  settle 60
  say "up after $((SECONDS - t)) s: https://$SITE_HOST/ answers; \"hack/stack exec CMD\" runs something there as deploy"
}

# settle SECONDS [counters]: no fault, everything running and well; what is well is left alone
settle() {
  local changed='' p
  clear_quietly
  ensure_network
  put_site_back && changed=1
  nginx_use
  nginx_start
  for p in $(stack_pids); do # what was stopped by SIGSTOP goes on
    [[ $(ps -o stat= -p "$p" 2>/dev/null) == T* ]] && kill -CONT "$p" 2>/dev/null
  done
  pg_start
  [[ ! $changed ]] || forget_app
  free_port
  apps_start "${2:-}"
  bystanders_start
  wait_site "$1"
  rm -f "$run"/faults/*
}

cmd_reset() {
  lock
  holder >/dev/null || die "not running (hack/stack up)"
  find_node || die "no Node"
  settle 30 counters
  truncate -s 0 "$live"/home/deploy/.pm2/logs/*.log "$live"/home/deploy/.pm2/pm2.log "$live"/nginx/*.log
}

cmd_status() {
  local bad=0 p rows daemon
  line() { # NAME PID OK DETAIL
    local word=ok
    [[ $3 == ok ]] || { word=FAIL; bad=1; }
    printf '%-10s %-8s %-5s %s\n' "$1" "${2:--}" "$word" "$4"
  }
  answer() { http_ok "$1" 3 && echo ok; }
  [[ $EUID == 0 ]] || die "status needs root"
  p=$(holder) || {
    echo "the stack is down"
    return 1
  }
  line namespaces "$p" ok "$STACK_DIR"
  p=$(nginx_pid) || p=''
  line nginx "$p" "${p:+$(answer http://other.test/)}" "as www-data, ports 80 and 443"
  p=$(pg_pid) || p=''
  line postgres "$p" "${p:+ok}" "127.0.0.1:5432"
  daemon=$(pm2_daemon) || daemon=''
  line pm2 "$daemon" "${daemon:+ok}" "$PM2_HOME_DIR"
  rows=$(pm2_rows) || rows=''
  local name id pid status restarts port
  for name in bbyatch shop; do
    [[ $name == shop ]] && port=3004 || port=$APP_PORT
    IFS=$'\t' read -r _ id pid status restarts < <(grep "^$name"$'\t' <<<"$rows" || printf '\t\t\tabsent\t0\n')
    line "$name" "$pid" "$([[ $status == online ]] && answer "http://127.0.0.1:$port/")" "$status, $restarts restarts, port $port"
  done
  p=$(live_pid "$run/stray") || p=''
  line stray "$p" "$(answer http://127.0.0.1:3010/)" "a Node process of deploy that PM2 does not know, port 3010"
  p=$(live_pid "$run/neighbour") || p=''
  line neighbour "$p" "$(answer http://127.0.0.1:3020/)" "a Node process of other, port 3020"
  for p in / /yachts; do
    line public '' "$(answer "https://$SITE_HOST$p")" "https://$SITE_HOST$p"
  done
  local f
  for f in "$run"/faults/*; do
    [[ -e $f ]] && line fault '' '' "${f##*/}"
  done
  return $bad
}

cmd_down() {
  lock
  local p pids tries
  if holder >/dev/null; then
    pg_stop
    nginx_stop
    for tries in TERM TERM KILL KILL; do
      pids=$(stack_pids | sed '$d')
      [[ $pids ]] || break
      for p in $pids; do kill "-$tries" "$p" 2>/dev/null && kill -CONT "$p" 2>/dev/null; done
      for ((p = 0; p < 15; p++)); do
        [[ $(stack_pids | sed '$d') ]] || break
        sleep 0.1
      done
    done
    p=$(holder) && kill -KILL "$p"
    wait_for 5 gone "$p" || true
  fi
  end_leftovers
  rm -rf "$run"
  if [[ ${1:-} == --purge ]]; then
    [[ -e $STACK_DIR/.evenkeel-stack ]] || die "$STACK_DIR is not a stack's folder"
    local u
    while read -r u; do
      userdel "$u" 2>/dev/null && rmdir "/home/$u" 2>/dev/null
    done < <(cat "$STACK_DIR/users" 2>/dev/null) || true
    find "$STACK_DIR" -mindepth 1 -maxdepth 1 ! -name .lock -exec rm -rf {} +
  fi
  say "down"
}

cmd_env() {
  local p
  p=$(holder) || die "not running (hack/stack up)"
  cat <<EOF
STACK_DIR='$STACK_DIR'
STACK_PID=$p
STACK_ENTER='nsenter -t $p -m -n -u --'
STACK_EXEC='$here/stack exec'
STACK_USER=deploy
STACK_HOME=$DEPLOY_HOME
PM2_HOME=$PM2_HOME_DIR
PM2_PROCESS=bbyatch
APP_DIR=$APP_DIR
APP_PORT=$APP_PORT
PUBLIC_URL=https://$SITE_HOST/
CA_FILE='$live/pki/ca.crt'
STACK_PATH='$USER_PATH'
EOF
}
