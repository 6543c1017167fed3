# shellcheck shell=bash
# The machine of hack/vps in an emulator (qemu) instead of a container: with a kernel of its own, swap of its own, and a real
# reboot. It is emulated in software, and so works wherever qemu does, and is slow: a boot takes a minute or two. It takes the place of
# the functions of hack/vps that know the container; orders go in by ssh.
# shellcheck disable=SC2154  # variables and functions of hack/vps

run=$VPS_DIR/qemu-run # what the running machine uses
image=$VPS_DIR/qemu.img
kernel=$VPS_DIR/qemu-kernel
QEMU_PACKAGES=linux-image-cloud-amd64,initramfs-tools,openssh-server,e2fsprogs
QEMU_MEMORY=1024 # MiB

image_key() {
  {
    echo "$QEMU_PACKAGES"
    furnished_key
    declare -f give_a_kernel
  } | sha256sum | cut -c1-16
}

# ensure_image: the machine's disk, and its kernel beside it.
ensure_image() {
  local pair want=()
  [[ $(cat "$image.key" 2>/dev/null) != "$(image_key)" ]] || return 0
  for pair in qemu-system-x86_64:qemu-system-x86 ssh:openssh-client mke2fs:e2fsprogs; do
    type -P "${pair%%:*}" >/dev/null || want+=("${pair#*:}")
  done
  ((${#want[@]} == 0)) || install_here "${want[@]}"
  # What it is made of must not change below a container that runs on it.
  take_down_container
  ensure_debian
  ensure_furnished
  say "building the machine's disk; this takes some minutes, once"
  rm -rf "$image" "$image.key" "$kernel" "$run"
  mkdir -p "$run/upper" "$run/work" "$run/root" "$kernel"
  [[ -e $VPS_DIR/qemu.ssh ]] || ssh-keygen -q -t ed25519 -N '' -C hack/vps -f "$VPS_DIR/qemu.ssh"
  mount -t overlay -o "lowerdir=$VPS_DIR/furnished:$VPS_DIR/debian,upperdir=$run/upper,workdir=$run/work" evenkeel-vps "$run/root"
  # shellcheck disable=SC2064
  trap "umount -R '$run/root'" EXIT
  give_a_kernel "$run/root" >"$logs/qemu-image.log" 2>&1 || {
    tail -20 "$logs/qemu-image.log" >&2
    die "the machine's disk could not be made, see $logs/qemu-image.log"
  }
  umount -R "$run/root"
  trap - EXIT
  rm -rf "$run"
  image_key >"$image.key"
}

# give_a_kernel TREE: what a container does not need: a kernel, an initial file system, a network, ssh; and the disk of all that.
give_a_kernel() {
  local tree=$1 home
  printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d" # nothing is started now
  chmod 755 "$tree/usr/sbin/policy-rc.d"
  mount --bind /proc "$tree/proc"
  cp /etc/resolv.conf "$tree/etc/resolv.conf"
  # The initial file system holds what the disk needs, and no more: a second instead of minutes.
  mkdir -p "$tree/etc/initramfs-tools/conf.d"
  printf 'MODULES=list\nFSTYPE=ext4\nBUSYBOX=n\n' >"$tree/etc/initramfs-tools/conf.d/qemu"
  printf 'virtio_pci\nvirtio_blk\next4\ncrc32c_generic\n' >"$tree/etc/initramfs-tools/modules"
  chroot "$tree" apt-get update
  DEBIAN_FRONTEND=noninteractive chroot "$tree" apt-get install -y --no-install-recommends ${QEMU_PACKAGES//,/ }
  chroot "$tree" apt-get clean
  umount "$tree/proc"
  rm -rf "$tree/usr/sbin/policy-rc.d" "$tree/etc/resolv.conf" "$tree"/var/lib/apt/lists/*
  cp "$(readlink -f "$tree"/boot/vmlinuz-*)" "$kernel/vmlinuz"
  cp "$(readlink -f "$tree"/boot/initrd.img-*)" "$kernel/initrd"
  printf '/dev/vda / ext4 defaults 0 1\n' >"$tree/etc/fstab"
  printf '[Match]\nType=ether\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n' >"$tree/etc/systemd/network/10-qemu.network"
  chroot "$tree" systemctl enable systemd-networkd.service ssh.service
  for home in root home/deploy home/other; do
    install -d -m 700 "$tree/$home/.ssh"
    cp "$VPS_DIR/qemu.ssh.pub" "$tree/$home/.ssh/authorized_keys"
    chown -R --reference="$tree/$home" "$tree/$home/.ssh"
  done
  mke2fs -q -F -t ext4 -d "$tree" "$image" 3G
}

# --- the running machine --------------------------------------------------------------------------------------------

qemu_pid() {
  local pid start
  read -r pid start 2>/dev/null <"$run/qemu" || return 1
  [[ $(start_of "$pid") == "$start" ]] && echo "$pid"
}
gone() { ! qemu_pid >/dev/null; }

# guest USER CMD…: by ssh, over the connection that is there, or a new one
guest() {
  local user=$1
  shift
  ssh -F none -i "$VPS_DIR/qemu.ssh" -p "$(cat "$run/port")" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
    -o ConnectTimeout=20 -o ServerAliveInterval=20 -o ServerAliveCountMax=6 -o ControlPath="$run/ssh-%r" "$user@127.0.0.1" "$@"
}
# connected USER: opens the connection that orders go over; a new one for each costs seconds here
connected() {
  guest "$1" -O check >/dev/null 2>&1 || guest "$1" -M -N -f </dev/null >/dev/null 2>&1
}

enter() {
  ! gone || die "not running (hack/vps --qemu up)"
  connected root || true
  guest root "$(printf '%q ' env -i "PATH=$USER_PATH" HOME=/root LANG=C.UTF-8 "$@")"
}
is_up() {
  local how
  connected root || return 1
  how=$(enter systemctl is-system-running 2>/dev/null) || true
  [[ $how == running || $how == degraded ]] && (enter test -S /run/user/1000/systemd/private)
}

boot() {
  local pid
  # A port that is free now.
  for port in $(shuf -i 20000-29999 -n 20); do
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
  done
  echo "$port" >"$run/port"
  # Each begins with the disk as it was built: what is written is kept only as long as it runs, over its own reboots.
  setsid qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m "$QEMU_MEMORY" -nodefaults -display none -serial "file:$logs/qemu-console.log" \
    -kernel "$kernel/vmlinuz" -initrd "$kernel/initrd" -append "root=/dev/vda rw console=ttyS0 loglevel=4 systemd.show_status=0" \
    -snapshot -drive "file=$image,format=raw,if=virtio,cache=unsafe" -netdev "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:$port-:22" \
    -device virtio-net-pci,netdev=net,romfile= -device virtio-rng-pci </dev/null >"$logs/qemu.log" 2>&1 9>&- &
  pid=$!
  disown "$pid"
  echo "$pid $(start_of "$pid")" >"$run/qemu"
  come_up
}

come_up() {
  wait_for 420 is_up || {
    tail -5 "$logs/qemu.log" "$logs/qemu-console.log" >&2
    die "it did not come up; see $logs/qemu-console.log"
  }
}

take_down() {
  local pid
  if pid=$(qemu_pid); then
    kill -TERM "$pid" # it keeps nothing
    wait_for 20 gone || kill -KILL "$pid"
    wait_for 10 gone || die "it does not end"
  fi
  rm -rf "$run"
}

prepare() { ensure_image; }
mount_fresh() { mkdir -p "$run"; }

cmd_able() {
  local free
  [[ $(uname -m) == x86_64 ]] || die "only x86_64 is emulated, and this is $(uname -m)"
  free=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) >> 10))
  ((free >= QEMU_MEMORY * 3 / 2)) || die "it takes up to $((QEMU_MEMORY * 3 / 2)) MiB of memory, and $free MiB are available"
  can_build
}

# as USER WORDS: a login of that user's
as() {
  ! gone || die "not running (hack/vps --qemu up)"
  connected "$1" || true
  guest "$1" "exec bash -l -c $(printf '%q' "exec $2")"
}

cmd_copy() {
  ! gone || die "not running (hack/vps --qemu up)"
  connected root || true
  scp -q -p -F none -i "$VPS_DIR/qemu.ssh" -P "$(cat "$run/port")" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
    -o ControlPath="$run/ssh-%r" "${@:1:$#-1}" "root@127.0.0.1:${*: -1}"
}

# another_boot ID: whether it is up, and not in that boot any more
another_boot() { is_up && [[ $(enter cat /proc/sys/kernel/random/boot_id 2>/dev/null) != "$1" ]]; }

cmd_reboot() {
  local id
  lock
  id=$(enter cat /proc/sys/kernel/random/boot_id) || die "not running (hack/vps --qemu up)"
  (enter systemctl reboot) >/dev/null 2>&1 || true
  rm -f "$run"/ssh-* # the connections to the machine that goes down
  wait_for 600 another_boot "$id" || {
    tail -5 "$logs/qemu-console.log" >&2
    die "it did not come back; see $logs/qemu-console.log"
  }
}
