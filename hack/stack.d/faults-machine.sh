# shellcheck shell=bash
# What the machine can run out of: room on a disk, processors, files that may be open.
# shellcheck disable=SC2154,SC2015,SC2034,SC2317,SC2329  # variables and functions of the other parts

FAULTS+='
disk-small WHERE [MB [FILES]]  a small file system of its own (64 MB, 4000 files) holds the folder of the site (app), the logs of PM2
                   (logs), or what evenkeel writes (state, in e2e/small); lasts until cleared; the site is started anew on it
disk-full [KB]     the small file system is full, but for so much (0); without one, that of the logs is a small one meanwhile
disk-inodes [N]    no more files can be made on the small file system, but for so many (0)
disk-cache         the pictures in the cache of the site fill the small file system
disk-held          the log of the site fills the small file system, was removed, and PM2 still holds it open
starve             another program takes the processor that the site has, and leaves it next to nothing
starve-ready       the site is started anew so that it can starve itself
starve-self        the site starves itself: endless loops in it and in processes below it (after starve-ready)
files-used-up      clients hold more connections to the site than it may have files open
'

# --- a small disk ---------------------------------------------------------------------------------------------------

small=$live/small # where it is mounted, in the stack only

fault_disk_small() { # WHERE [MB [FILES]], in one word or several
  local where mb files
  read -r where mb files <<<"$*"
  clear_disk_small
  mark disk-small "$where"
  mkdir -p "$small"
  [[ $where == state ]] && small_state "${mb:-16}" && return
  enter mount -t tmpfs -o "size=${mb:-64}m,nr_inodes=${files:-4000},mode=755" small "$small"
  case $where in
    app)
      enter install -d -m 755 -o deploy -g "$(id -gn deploy)" "$small/upper" "$small/work"
      forget_app
      enter mount -t overlay -o "lowerdir=$APP_DIR,upperdir=$small/upper,workdir=$small/work,redirect_dir=on" small "$APP_DIR"
      enter rm -rf "$APP_DIR/.next/cache" "$APP_DIR/node_modules/.cache" # they have to lie on it, whole
      pm2_fresh bbyatch "$APP_DIR"
      wait_for 30 site_answers || die "the site does not answer"
      ;;
    logs)
      enter chown deploy: "$small"
      enter mount --bind "$small" "$PM2_HOME_DIR/logs"
      pm2 -s reloadLogs >/dev/null
      ;;
    *) die "disk-small: app, logs or state" ;;
  esac
}
# small_state MB: the tests look into it from outside, so it is mounted there too; only what is on a device can be.
state_at=$STACK_DIR/e2e/small
small_state() {
  local loop
  truncate -s "$1M" "$small/image"
  mkfs.ext4 -q -m 0 "$small/image"
  loop=$(losetup -f --show "$small/image")
  mkdir -p "$state_at"
  mount "$loop" "$state_at"
  enter mount "$loop" "$state_at"
  losetup -d "$loop" # goes with the last mount
  chown deploy: "$state_at"
}
clear_disk_small() {
  local where=''
  [[ ! -e $run/faults/disk-small ]] || where=$(cat "$run/faults/disk-small")
  case $where in
    app) forget_app ;;
    logs | '') ;;
  esac
  enter umount -l "$APP_DIR" 2>/dev/null || true
  enter umount -l "$PM2_HOME_DIR/logs" 2>/dev/null || true
  enter umount -l "$small" 2>/dev/null || true
  enter umount -l "$state_at" 2>/dev/null || true
  umount -l "$state_at" 2>/dev/null || true
  rm -f "$small/image"
  case $where in
    app) pm2_fresh bbyatch "$APP_DIR" ;;
    logs) pm2 -s reloadLogs >/dev/null || true ;;
  esac
}
# small_place: the folder that lies on it
small_place() {
  case $(cat "$run/faults/disk-small" 2>/dev/null) in
    app) echo "$APP_DIR" ;;
    logs) echo "$PM2_HOME_DIR/logs" ;;
    state) echo "$state_at" ;;
    *) die "there is no small disk (fault disk-small)" ;;
  esac
}
# fill FILE [KB]: FILE takes all that is left, but for so much
fill() {
  local left
  left=$(enter df -k --output=avail "$(small_place)" | tail -1)
  # it ends where nothing more can be written
  as deploy dd if=/dev/zero "of=$1" bs=4096 "count=$(((left - ${2:-0}) / 4 + (${2:-0} == 0)))" conv=notrunc oflag=append 2>/dev/null || true
}

fault_disk_full() {
  local own=''
  [[ -e $run/faults/disk-small ]] || own=1
  [[ ! $own ]] || fault_disk_small logs
  mark disk-full "${own:+small}"
  fill "$(small_place)/filler" "${1:-0}"
}
clear_disk_full() {
  enter rm -f "$APP_DIR/filler" "$PM2_HOME_DIR/logs/filler" "$state_at/filler"
  [[ $(cat "$run/faults/disk-full" 2>/dev/null) != small ]] || clear_one disk-small
}

fault_disk_inodes() {
  mark disk-inodes
  # shellcheck disable=SC2016 # what stands in single quotes is for the inner shell
  as deploy bash -c 'mkdir -p "$1/fillers" && cd "$1/fillers" || exit 0
    left=$(df --output=iavail . | tail -1)
    for ((n = 0; n < left - $2; n++)); do : >"$n" || exit 0; done' fill "$(small_place)" "${1:-0}" 2>/dev/null
}
clear_disk_inodes() { enter rm -rf "$APP_DIR/fillers" "$PM2_HOME_DIR/logs/fillers"; }

fault_disk_cache() {
  mark disk-cache
  as deploy mkdir -p "$APP_DIR/.next/cache/images/filler"
  fill "$APP_DIR/.next/cache/images/filler/60.0.picture.webp"
}
clear_disk_cache() { enter rm -rf "$APP_DIR/.next/cache/images/filler"; }

fault_disk_held() {
  local log
  mark disk-held
  log=$(enter find "$(small_place)" -name 'bbyatch-out*.log' | head -1)
  [[ $log ]] || die "PM2 has no log of the site there"
  fill "$log"
  as deploy rm "$log"
}
clear_disk_held() { pm2 -s reloadLogs >/dev/null; }

# --- processors -----------------------------------------------------------------------------------------------------

groups=/sys/fs/cgroup/cpu/evenkeel-stack
# They share the last processor, the site in a group that counts next to nothing; the others are left to everybody else.
fault_starve() {
  local p hog cpu
  p=$(need_app)
  cpu=$(($(nproc) - 1))
  taint starve "$p"
  mkdir -p "$groups-site" "$groups-hog" || die "no group of processors can be made here"
  echo 2 >"$groups-site/cpu.shares"
  echo 262144 >"$groups-hog/cpu.shares"
  spawn hog other / bash -c 'while :; do :; done'
  hog=$(live_pid "$run/hog")
  echo "$hog" >"$groups-hog/cgroup.procs"
  echo "$p" >"$groups-site/cgroup.procs"
  taskset -apc "$cpu" "$hog" >/dev/null
  taskset -apc "$cpu" "$p" >/dev/null
}
clear_starve() {
  local p
  kill_mark hog
  while read -r p; do
    taskset -apc "0-$(($(nproc) - 1))" "$p" >/dev/null || true
    echo "$p" >/sys/fs/cgroup/cpu/cgroup.procs || true
  done < <(cat "$groups-site/cgroup.procs" 2>/dev/null)
  wait_for 5 rmdir "$groups-site" "$groups-hog" 2>/dev/null || true
}

fault_starve_ready() {
  put "$live/etc/busy.cjs" 644 root <"$here/stack.d/busy.cjs"
  fault_pm2_with "node_args: '--require ./faults.cjs --require $live/etc/busy.cjs'"
}
# It counts for more than everybody else together, so that it starves itself on a machine that has other work, too.
fault_starve_self() {
  local p
  p=$(need_app)
  taint starve-self "$p"
  mkdir -p "$groups-self" || die "no group of processors can be made here"
  echo 20480 >"$groups-self/cpu.shares"
  echo "$p" >"$groups-self/cgroup.procs"
  touch "$(base)/fault-busy"
  wait_for 10 busy_told || die "the site does not starve itself (fault starve-ready)"
}
busy_told() { [[ ! -e $(base)/fault-busy ]]; }
clear_starve_self() {
  local p
  rm -f "$(base)/fault-busy"
  while read -r p; do kill -KILL "$p" || true; done < <(cat "$groups-self/cgroup.procs" 2>/dev/null)
  wait_for 5 rmdir "$groups-self" 2>/dev/null || true
}

# --- open files -----------------------------------------------------------------------------------------------------

fault_files_used_up() {
  local p open
  p=$(need_app)
  open=$(find "/proc/$p/fd" -mindepth 1 | wc -l)
  taint files-used-up "$p"
  as deploy prlimit --pid "$p" "--nofile=$((open + 12)):" || die "the limit of open files could not be set"
  odd clients other clients "$APP_PORT" 40
}
clear_files_used_up() {
  local _ p start
  kill_mark clients
  read -r _ p start 2>/dev/null <"$run/faults/files-used-up" || return 0
  [[ $start && $(start_of "$p") == "$start" ]] || return 0
  # shellcheck disable=SC2016 # what stands in single quotes is for the inner shell
  as deploy bash -c 'prlimit --pid "$1" "--nofile=$(prlimit --pid "$1" --nofile --output=HARD --noheadings):"' limit "$p" || true
}
