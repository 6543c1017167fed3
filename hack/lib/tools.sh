# shellcheck shell=bash
# Puts on the machine what the tests need, and only what is missing: Debian's packages by apt, Go tools and a newer Node
# into a folder of ours.

TOOLS=${EVENKEEL_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/evenkeel/bin}
GOLANGCI_LINT=v2.15.0
NODE_VERSION=20.20.2 # npm's "node" package, only where the machine's Node is older than 20

export PATH=$TOOLS:$PATH
# A clone that belongs to somebody else, or a machine without git, stops every build that wants to stamp the commit.
export GOFLAGS=${GOFLAGS:--buildvcs=false}

SUDO=()
((EUID == 0)) || SUDO=(sudo)

# as_root COMMAND…: with our PATH and settings. Go's caches are root's own then, so that no file in ours becomes root's;
# the modules are only read.
as_root() {
  if ((EUID == 0)); then
    "$@"
    return
  fi
  sudo env "PATH=$PATH" HOME=/root "GOFLAGS=$GOFLAGS" "GOPROXY=$(go env GOPROXY)" "GOMODCACHE=$(go env GOMODCACHE)" \
    "EVENKEEL_STACK_DIR=${EVENKEEL_STACK_DIR:-}" "EVENKEEL_VPS_DIR=${EVENKEEL_VPS_DIR:-}" "E2E_SEED=${E2E_SEED:-}" "E2E_FULL=${E2E_FULL:-}" "E2E_PAIRS=${E2E_PAIRS:-}" \
    "SOAK_SECONDS=${SOAK_SECONDS:-}" "$@"
}

ensure_go() {
  local dir
  for dir in /usr/local/go/bin "$HOME/go/bin"; do
    if ! command -v go >/dev/null && [[ -x $dir/go ]]; then PATH=$PATH:$dir; fi
  done
  command -v go >/dev/null || die "Go is missing: see https://go.dev/dl/ (1.21 or newer; it fetches the one that go.mod names)"
}

# ensure_packages: apt packages for commands that are not there.
ensure_packages() {
  local want=() pair
  # -race wants a C compiler; the tests run PM2, look at processes, and follow a log with tail
  for pair in gcc:gcc shellcheck:shellcheck git:git curl:curl ps:procps node:nodejs npm:npm strace:strace tail:coreutils; do
    command -v "${pair%%:*}" >/dev/null || want+=("${pair#*:}")
  done
  [[ -e /usr/include/stdlib.h ]] || want+=(libc6-dev)
  [[ -s /etc/ssl/certs/ca-certificates.crt ]] || want+=(ca-certificates)
  [[ -x /usr/sbin/mkfs.ext4 || -x /sbin/mkfs.ext4 ]] || want+=(e2fsprogs)
  # the tests start servers of their own, in a folder of their own
  [[ -x /usr/sbin/mariadbd ]] || want+=(mariadb-server-core)
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || want+=(postgresql)
  ((${#want[@]})) || return 0
  command -v apt-get >/dev/null || die "please install: ${want[*]}"
  ((EUID == 0)) || command -v sudo >/dev/null || die "neither root nor sudo, and these are missing: ${want[*]}"
  say "installing ${want[*]}"
  "${SUDO[@]}" apt-get -o DPkg::Lock::Timeout=300 -qq update
  # Debian starts what it installs; no service is wanted here, nor a cluster of PostgreSQL's. With this file it starts none.
  local policy=/usr/sbin/policy-rc.d made='' failed=0
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | "${SUDO[@]}" tee $policy >/dev/null
    "${SUDO[@]}" chmod 755 $policy
    made=1
  fi
  "${SUDO[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends \
    "${want[@]}" </dev/null || failed=$?
  [[ ! $made ]] || "${SUDO[@]}" rm -f $policy
  return $failed
}

is_node_new() { node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null; }

# ensure_node puts Node 20 before a machine's older one.
ensure_node() {
  local dir=${TOOLS%/bin}/node-$NODE_VERSION
  local own=$dir/node_modules/node/bin
  if is_node_new; then return; fi
  if ! [[ -x $own/node ]]; then
    say "installing Node $NODE_VERSION from npm"
    mkdir -p "$dir"
    npm install --prefix "$dir" --no-save --no-audit --no-fund --loglevel=error --ignore-scripts=false --foreground-scripts \
      "node@$NODE_VERSION" </dev/null
  fi
}

# use_node puts Node where ensure_node has put it on PATH; a section's own shell cannot.
use_node() {
  local own=${TOOLS%/bin}/node-$NODE_VERSION/node_modules/node/bin
  if [[ -x $own/node ]] && ! is_node_new; then PATH=$own:$PATH; fi
}

ensure_golangci_lint() {
  if [[ $("$TOOLS/golangci-lint" version 2>/dev/null) =~ version\ v?${GOLANGCI_LINT#v}\  ]]; then return; fi
  say "building golangci-lint $GOLANGCI_LINT; this takes some minutes, once"
  mkdir -p "$TOOLS"
  # from a folder of its own: nothing of it is to come into our go.mod
  (cd "$TOOLS" && GOBIN=$TOOLS GOFLAGS='' nice go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$GOLANGCI_LINT")
}

ensure_tools() {
  ensure_packages
  ensure_node
  use_node
  go version
  printf 'node %s, %s\n' "$(node --version)" "$(shellcheck --version | sed -n 2p)"
  go mod download
  ensure_golangci_lint
  golangci-lint version
}
