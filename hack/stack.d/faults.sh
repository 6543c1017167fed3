# shellcheck shell=bash
# Everything that can be broken. A fault_X breaks, a clear_X takes the cause away (and no more than that, where it can).
# shellcheck disable=SC2154,SC2015,SC2086,SC2119,SC2120,SC2317,SC2329  # variables and functions of the other parts

FAULTS='
crash-errored [telling]  every start dies at once until PM2 says errored, then the cause is gone: a restart mends it
                   (telling: it writes its secrets into its log each time)
crash-loop [silent] lives 1.2 s each time and answers in the second half of it (silent: never); lasts until cleared
die                every start dies at once; lasts until cleared (PM2: errored after a restart, else a loop)
kill9              one kill -9; PM2 mends it
exit [CODE]        the site exits by itself once; PM2 mends it
hang               SIGSTOP of the site
loop               an endless loop in the site: the port is open, nobody answers
http-500 [CODE]    / answers 500 until the process is replaced
http-500-3s [MS]   / answers 500 for 3 s
http-500-forever   every page answers 500, after restarts too; lasts until cleared
slow-once [MS]     one answer of / comes late (3000 ms)
pause-3s [S]       SIGSTOP, and SIGCONT 3 s later
memory-leak [MB]   the site takes and keeps so much memory (300 MB)
memory-low [MB]    the machine says that only so much memory is available (60 MB), by a false /proc/meminfo
memory-both [MB]   the site takes and keeps so much memory (60 MB), and another program so much more that 60 MB are left
port-orphan        a process of the site that PM2 no longer knows holds its port; PM2 loops on EADDRINUSE
port-stranger      a process of the user other holds the port; PM2 loops on EADDRINUSE
port-stranger-same-user  a process of deploy that is not the site holds the port
port-free          the site lives on and is online, but listens no more
nginx-stop         Nginx is stopped
nginx-start        Nginx is started (undoes nginx-stop)
nginx-upstream     Nginx passes to a wrong port: 502
nginx-default      the name falls to the default server: 200 Welcome to nginx!
cert-expired       the certificate is expired
cert-wrong         the certificate is for another name
dns                the public name does not resolve
pm2-stop           somebody says pm2 stop
pm2-delete         somebody says pm2 delete: the list has no such process
pm2-daemon-kill    kill -9 of the PM2 daemon
pm2-daemon-hang    SIGSTOP of the PM2 daemon: pm2 never answers
postgres-stop      PostgreSQL is stopped
postgres-hang      SIGSTOP of PostgreSQL: connects, never answers
'

base() { echo "$live/home/deploy/bbyatch"; } # where the site's fault files lie
mark() { echo "${2:-on}" >"$run/faults/$1"; }
# taint NAME: the fault goes away with the site's present process
taint() { mark "$1" "taint $2 $(start_of "$2")"; }
need_app() { app_pid || die "the site has no process"; }
hook() { as deploy curl -s -m "${2:-3}" "http://127.0.0.1:$APP_PORT/api/fault/$1" >/dev/null || die "the site does not answer"; }
# replace NAME: ends the process that the fault NAME is in, if it is still the same; PM2 starts another
replace() {
  local _ p start
  read -r _ p start 2>/dev/null <"$run/faults/$1" || return 0
  [[ $start && $(start_of "$p") == "$start" ]] && kill -KILL "$p"
  return 0
}
kill_mark() {
  local p
  p=$(live_pid "$run/$1") && kill -KILL "$p"
  rm -f "$run/$1"
}
crash() {
  local p
  p=$(app_pid) && kill -KILL "$p"
  return 0
}

cmd_fault() {
  local name=${1:-list} n
  case $name in
    list) printf %s "${FAULTS#$'\n'}" ;;
    clear)
      lock
      holder >/dev/null || die "not running (hack/stack up)"
      [[ ${2:-} ]] || die "fault clear: which one, or all"
      if [[ $2 == all ]]; then
        for n in "$run"/faults/*; do [[ -e $n ]] && clear_one "${n##*/}"; done
      else
        known "$2"
        clear_one "$2"
      fi
      ;;
    *)
      known "$name"
      lock
      holder >/dev/null || die "not running (hack/stack up)"
      find_node || die "no Node"
      "fault_${name//-/_}" "${@:2}"
      ;;
  esac
}
known() { grep -Eq "^$1( |\$)" <<<"$FAULTS" || die "no such fault: $1 (hack/stack fault list)"; }
clear_one() {
  if declare -F "clear_${1//-/_}" >/dev/null; then "clear_${1//-/_}"; fi
  rm -f "$run/faults/$1"
}
# clear_quietly: for reset, which looks after the processes itself
clear_quietly() {
  local n
  rm -f "$(base)"/fault-*
  for n in "$run"/faults/*; do
    [[ -e $n ]] || continue
    case ${n##*/} in
      memory-low | disk-* | starve* | files-used-up | dns* | network-down | edge-* | upstream-silent | deploy | webhook-deploy | dist-server | interpreter-own | pm2-with | pm2-twice | \
        pm2-*elsewhere | pm2-save | pm2-without-node | postgres-full | postgres-wrong-password | mariadb | port-*) clear_one "${n##*/}" ;;
    esac
  done
  for n in orphan stranger deployer builder locker slow-start; do kill_mark $n; done
}

# --- the site's process ---------------------------------------------------------------------------------------------

fault_kill9() { crash; }
fault_exit() { hook "exit?code=${1:-1}"; }

fault_die() {
  touch "$(base)/fault-die"
  mark die
  crash
}
clear_die() { rm -f "$(base)/fault-die"; }

is_errored() { pm2_rows | grep -q $'^bbyatch\t.*\terrored\t'; }
fault_crash_errored() {
  printf %s "${1:-}" >"$(base)/fault-die"
  # PM2 counts early deaths only in the first seconds after somebody started the site by hand
  pm2 -s restart bbyatch >/dev/null 2>&1 || true
  wait_for 20 is_errored || say "PM2 does not say errored"
  rm -f "$(base)/fault-die"
}

fault_crash_loop() {
  touch "$(base)/fault-exit${1:+-silent}"
  mark crash-loop
  crash
}
clear_crash_loop() { rm -f "$(base)/fault-exit" "$(base)/fault-exit-silent"; }

fault_hang() {
  local p
  p=$(need_app)
  taint hang "$p"
  kill -STOP "$p"
}
clear_hang() {
  local _ p start
  read -r _ p start <"$run/faults/hang" || return 0
  [[ $(start_of "$p") == "$start" ]] && kill -CONT "$p"
  return 0
}
fault_pause_3s() {
  local p
  p=$(need_app)
  kill -STOP "$p"
  # shellcheck disable=SC2016
  setsid bash -c 'sleep "$1"; [[ $(sed "s/.*) //" "/proc/$2/stat" | cut -d" " -f20) == "$3" ]] && kill -CONT "$2"' \
    pause "${1:-3}" "$p" "$(start_of "$p")" </dev/null >/dev/null 2>&1 9>&- &
  disown
}

fault_loop() {
  taint loop "$(need_app)"
  hook loop
}
clear_loop() { replace loop; }
fault_http_500() {
  taint http-500 "$(need_app)"
  hook "status?code=${1:-500}&ms=0"
}
clear_http_500() { replace http-500; }
fault_http_500_3s() { hook "status?code=500&ms=${1:-3000}"; }
fault_http_500_forever() {
  touch "$(base)/fault-500"
  mark http-500-forever
}
clear_http_500_forever() { rm -f "$(base)/fault-500"; }
fault_slow_once() { hook "slow?ms=${1:-3000}"; }
fault_memory_leak() {
  taint memory-leak "$(need_app)"
  hook "leak?mb=${1:-300}" 30
}
clear_memory_leak() { replace memory-leak; }
fault_port_free() {
  taint port-free "$(need_app)"
  hook unlisten
}
clear_port_free() { replace port-free; }

fault_memory_low() {
  local total mb=${1:-60}
  clear_memory_low
  total=$(awk '/^MemTotal/ {print $2}' /proc/meminfo)
  awk -v a=$((mb * 1024)) '/^MemAvailable/ {$2 = sprintf("%14d", a)} /^MemFree/ {$2 = sprintf("%19d", a / 2)} {print}' \
    /proc/meminfo >"$live/etc/meminfo"
  chmod 644 "$live/etc/meminfo"
  enter mount --bind "$live/etc/meminfo" /proc/meminfo
  mark memory-low "$mb of $((total / 1024))"
}
clear_memory_low() {
  local n
  for ((n = 0; n < 5; n++)); do enter umount /proc/meminfo 2>/dev/null || break; done
}
fault_memory_both() {
  hook "leak?mb=${1:-60}" 30
  fault_memory_low 60
}
clear_memory_both() { clear_one memory-low; } # what the site took it keeps; reset replaces it

# --- the port -------------------------------------------------------------------------------------------------------

# take_port NAME CMD…: while the site's next start stands still, CMD gets the port
take_port() {
  local p
  touch "$(base)/fault-hold"
  p=$(app_pid) || p=0
  [[ $p == 0 ]] || kill -KILL "$p"
  "$@"
  wait_for 20 holds_port || {
    rm -f "$(base)/fault-hold"
    die "nobody took port $APP_PORT"
  }
  rm -f "$(base)/fault-hold"
}
holds_port() { [[ $(listener $APP_PORT) ]]; }

fault_port_orphan() {
  local p vars=() v
  p=$(need_app)
  # its own environment, as PM2 made it, but for the pipe to PM2
  while IFS= read -r -d '' v; do
    case $v in NODE_CHANNEL_* | SITE_FAULTS_IGNORE_FILES=*) ;; *) vars+=("$v") ;; esac
  done <"/proc/$p/environ"
  mark port-orphan
  take_port spawn orphan deploy "$APP_DIR" env -i "${vars[@]}" SITE_FAULTS_IGNORE_FILES=1 \
    "$NODE" --require ./faults.cjs "$APP_DIR/node_modules/next/dist/bin/next" start -p $APP_PORT
}
clear_port_orphan() { kill_mark orphan; free_port; }
fault_port_stranger() {
  mark port-stranger
  take_port spawn stranger other /home/other node /home/other/server.js $APP_PORT stranger
}
clear_port_stranger() { kill_mark stranger; free_port; }
fault_port_stranger_same_user() {
  mark port-stranger-same-user
  take_port spawn stranger deploy "$DEPLOY_HOME/stray" node "$DEPLOY_HOME/stray/server.js" $APP_PORT stranger
}
clear_port_stranger_same_user() { kill_mark stranger; free_port; }

# --- what is around it ----------------------------------------------------------------------------------------------

fault_nginx_stop() {
  mark nginx-stop
  nginx_stop
}
clear_nginx_stop() { nginx_start; }
fault_nginx_start() { clear_one nginx-stop; }
fault_nginx_upstream() {
  mark nginx-upstream
  nginx_use 3999
}
clear_nginx_upstream() { nginx_use; }
fault_nginx_default() {
  mark nginx-default
  nginx_use $APP_PORT site nobody.test
}
clear_nginx_default() { nginx_use; }
fault_cert_expired() {
  mark cert-expired
  nginx_use $APP_PORT expired
}
clear_cert_expired() { nginx_use; }
fault_cert_wrong() {
  mark cert-wrong
  nginx_use $APP_PORT wrong
}
clear_cert_wrong() { nginx_use; }
fault_dns() {
  mark dns
  hosts_file '' >"$live/etc/hosts"
}
clear_dns() {
  hosts_file "$SITE_HOST" >"$live/etc/hosts"
}

fault_postgres_stop() {
  mark postgres-stop
  pg_stop
}
clear_postgres_stop() { pg_start; }
pg_signal() {
  local p c
  p=$(pg_pid) || return 0
  for c in $p $(pgrep -P "$p"); do kill "-$1" "$c" || true; done
}
fault_postgres_hang() {
  mark postgres-hang
  pg_signal STOP
}
clear_postgres_hang() { pg_signal CONT; }

fault_pm2_stop() {
  mark pm2-stop
  pm2 -s stop bbyatch >/dev/null
}
clear_pm2_stop() { pm2 -s start bbyatch >/dev/null || true; }
fault_pm2_delete() {
  mark pm2-delete
  pm2 -s delete bbyatch >/dev/null
}
clear_pm2_delete() { pm2_rows | grep -q '^bbyatch' || pm2_fresh bbyatch "$APP_DIR"; }
fault_pm2_daemon_kill() {
  mark pm2-daemon-kill
  kill -KILL "$(pm2_daemon)"
}
clear_pm2_daemon_kill() { pm2_rows | grep -q '^bbyatch' || pm2 -s resurrect >/dev/null 2>&1 || true; }
fault_pm2_daemon_hang() {
  mark pm2-daemon-hang
  kill -STOP "$(pm2_daemon)"
}
clear_pm2_daemon_hang() {
  local p
  p=$(pm2_daemon) && kill -CONT "$p"
  return 0
}
