# shellcheck shell=bash
# Packages, users, tools, keys and the built site.
# shellcheck disable=SC2154,SC2015,SC2086,SC2119,SC2120,SC2164  # variables and functions of the other parts

PM2_VERSION=7.0.4
NODE_VERSION=20.20.2 # npm's "node" package, only where the machine's Node is too old
BUILD_REV=1          # raise to have everything built anew

site_src=$here/site

site_key() {
  (
    cd "$site_src"
    echo "$BUILD_REV $(uname -m) $("$NODE" -p process.versions.modules)"
    find . \( -name node_modules -o -name .next -o -name generated \) -prune -o -type f \
      ! -name next-env.d.ts ! -name '*.tsbuildinfo' -print0 | sort -z | xargs -0 sha256sum
  ) | sha256sum | cut -c1-16
}

# --- packages -------------------------------------------------------------------------------------------------------

pg_bin() {
  local dir best=''
  for dir in /usr/lib/postgresql/*/bin; do [[ -x $dir/initdb ]] && best=$dir; done
  [[ $best ]] && echo "$best"
}

ensure_packages() {
  local want=() c
  need() {
    for c in ${2//,/ }; do
      PATH=$USER_PATH type -P "$c" >/dev/null || {
        want+=("$1")
        return
      }
    done
  }
  need nginx nginx
  need openssl openssl
  need strace strace
  need vim vim
  need iproute2 ip,ss
  need util-linux nsenter,unshare,setpriv,flock,setsid,prlimit,taskset
  need git git
  need curl curl
  need jq jq
  need procps ps
  need passwd useradd
  need mariadb-server-core mariadbd
  pg_bin >/dev/null || want+=(postgresql)
  [[ -s /etc/ssl/certs/ca-certificates.crt ]] || want+=(ca-certificates)
  type -P npm >/dev/null || want+=(npm)
  ((${#want[@]})) || return 0
  say "installing ${want[*]}"
  type -P apt-get >/dev/null || die "please install: ${want[*]}"
  guard_services
  local log=$logs/apt.log
  {
    apt-get -o DPkg::Lock::Timeout=300 update
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${want[@]}"
  } >"$log" 2>&1 9>&- </dev/null || {
    tail -20 "$log" >&2
    die "apt-get failed, see $log"
  }
  if [[ -d /run/systemd/system ]]; then
    for c in nginx postgresql; do
      [[ " ${want[*]} " == *" $c "* ]] && systemctl --quiet disable "$c" 2>/dev/null || true
    done
  fi
  unguard_services
}

# Debian starts what it installs; with this file it does not.
policy=/usr/sbin/policy-rc.d
guard_services() {
  trap unguard_services EXIT
  if [[ -e $policy && ! -e $policy.stack-kept ]]; then mv "$policy" "$policy.stack-kept"; fi
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
}
unguard_services() {
  rm -f "$policy"
  if [[ -e $policy.stack-kept ]]; then mv "$policy.stack-kept" "$policy"; fi
  trap - EXIT
}

ensure_users() {
  local u
  for u in deploy other; do
    id "$u" >/dev/null 2>&1 || {
      useradd --no-create-home --home-dir "/home/$u" --shell /bin/bash --user-group "$u"
      echo "$u" >>"$STACK_DIR/users"
    }
    # only a place to mount on
    [[ -d /home/$u ]] || install -d -m 755 "/home/$u"
  done
}

# A folder brought here from another machine may belong to other numbers there.
ensure_owners() {
  local now u
  now=$(for u in deploy other postgres www-data; do echo "$u $(id -u "$u")"; done)
  if [[ -e $STACK_DIR/owners && $now != "$(cat "$STACK_DIR/owners")" ]]; then
    say "other user ids than before: making the running part anew"
    rm -rf "$live" "$run"
    mkdir -p "$live"
    for u in "$STACK_DIR"/build/*/app "$STACK_DIR/npm-cache"; do [[ -e $u ]] && chown -R deploy: "$u"; done
  fi
  echo "$now" >"$STACK_DIR/owners"
}

# --- tools ----------------------------------------------------------------------------------------------------------

NODE=''
find_node() {
  local own=$tools/node-$NODE_VERSION/node_modules/node/bin/node n
  n=$(type -P node || true)
  if [[ ${EVENKEEL_STACK_NODE:-} != own && $n ]] &&
    "$n" -e 'const [a,b]=process.versions.node.split(".").map(Number);process.exit(a>20||a==20&&b>=19?0:1)'; then
    NODE=$(readlink -f "$n")
  elif [[ -x $own ]]; then
    NODE=$own
  else
    return 1
  fi
}

# npm on the machine itself, with the machine's own settings, and with our Node
host_npm() { PATH=${NODE:+${NODE%/*}:}$PATH NODE_ENV='' npm "$@" 9>&- </dev/null; }

ensure_tools() {
  if ! find_node; then
    say "installing Node $NODE_VERSION from npm"
    local dir=$tools/node-$NODE_VERSION
    rm -rf "$dir"
    mkdir -p "$dir"
    NODE='' host_npm install --prefix "$dir" --no-save --no-audit --no-fund --ignore-scripts=false --foreground-scripts \
      "node@$NODE_VERSION" >"$logs/npm-node.log" 2>&1 || {
      tail -20 "$logs/npm-node.log" >&2
      die "npm could not install Node"
    }
    find_node || die "npm's node package brought no Node"
  fi
  local dir=$tools/pm2-$PM2_VERSION
  if [[ ! -e $dir/.complete ]]; then
    say "installing PM2 $PM2_VERSION"
    rm -rf "$dir"
    mkdir -p "$dir"
    host_npm install --prefix "$dir" --no-save --no-audit --no-fund --ignore-scripts "pm2@$PM2_VERSION" \
      >"$logs/npm-pm2.log" 2>&1 || {
      tail -20 "$logs/npm-pm2.log" >&2
      die "npm could not install PM2"
    }
    chmod -R a+rX "$dir"
    touch "$dir/.complete"
  fi
}

# --- files of the machine in the box --------------------------------------------------------------------------------

# put FILE MODE OWNER: stdin to FILE, keeping its inode (others have it mounted)
put() {
  local text
  text=$(cat; echo x)
  text=${text%x}
  [[ -e $1 ]] || install -m "$2" -o "${3%:*}" -g "$(id -gn "${3%:*}")" /dev/null "$1"
  [[ $(cat "$1"; echo x) == "${text}x" ]] || printf %s "$text" >"$1"
}

ensure_pki() {
  local pki=$live/pki
  mkdir -p "$pki"
  if [[ ! -s $pki/ca.crt ]] || ! openssl x509 -checkend 5000000 -noout -in "$pki/ca.crt" >/dev/null; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=evenkeel stack CA" \
      -addext keyUsage=critical,keyCertSign,cRLSign -keyout "$pki/ca.key" -out "$pki/ca.crt" 2>/dev/null
    rm -f "$pki/site.crt"
  fi
  if [[ ! -s $pki/site.crt ]] || ! openssl x509 -checkend 5000000 -noout -in "$pki/site.crt" >/dev/null; then
    make_cert site "$SITE_HOST" -days 365
  fi
  [[ -s $pki/wrong.crt ]] || make_cert wrong other.test -days 365
  [[ -s $pki/expired.crt ]] || make_cert expired "$SITE_HOST" -expired
}

# make_cert NAME HOST -days N | -expired | -from WHEN TO
make_cert() {
  local pki=$live/pki when=()
  if [[ $3 == -expired ]]; then
    when=(-startdate 20200101000000Z -enddate 20200201000000Z)
  elif [[ $3 == -from ]]; then
    when=(-startdate "$(date -u -d "$4" +%Y%m%d%H%M%SZ)" -enddate "$(date -u -d "$5" +%Y%m%d%H%M%SZ)")
  else
    when=(-days "$4")
  fi
  mkdir -p "$pki/db"
  : >"$pki/db/index.txt"
  cat >"$pki/db/ca.cnf" <<EOF
[ca]
default_ca = d
[d]
database = $pki/db/index.txt
new_certs_dir = $pki/db
rand_serial = yes
default_md = sha256
policy = p
unique_subject = no
[p]
commonName = supplied
[leaf]
subjectAltName = DNS:$2
extendedKeyUsage = serverAuth
basicConstraints = CA:FALSE
EOF
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$2" \
    -keyout "$pki/$1.key" -out "$pki/$1.csr" 2>/dev/null
  openssl ca -batch -notext -config "$pki/db/ca.cnf" -extensions leaf -cert "$pki/ca.crt" -keyfile "$pki/ca.key" \
    "${when[@]}" -in "$pki/$1.csr" -out "$pki/$1.crt" >/dev/null 2>&1 || die "openssl could not sign $1"
  rm -f "$pki/$1.csr"
  chgrp www-data "$pki/$1.key"
  chmod 640 "$pki/$1.key"
}

nginx_conf() { # [UPSTREAM_PORT [CERT [SERVER_NAME [DIRECTIVES [TLS]]]]]: DIRECTIVES come before the proxy_pass; TLS is ssl, or plain
  local n=$live/nginx cert=$live/pki/${2:-site} ssl=' ssl'
  [[ ${5:-} != plain ]] || ssl=''
  cat <<EOF
# Written by hack/stack; runs as an ordinary user, so every path is named.
worker_processes 1;
pid $n/nginx.pid;
error_log $n/error.log;
events { worker_connections 256; }
http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  access_log $n/access.log;
  client_body_temp_path $n/tmp/body;
  proxy_temp_path $n/tmp/proxy;
  fastcgi_temp_path $n/tmp/fastcgi;
  uwsgi_temp_path $n/tmp/uwsgi;
  scgi_temp_path $n/tmp/scgi;
  ssl_certificate $cert.crt;
  ssl_certificate_key $cert.key;

  server {
    listen 80 default_server;
    listen 443$ssl default_server;
    root $n/html;
  }
  server {
    listen 80;
    server_name ${3:-$SITE_HOST};
    return 301 https://\$host\$request_uri;
  }
  server {
    listen 443$ssl http2;
    server_name ${3:-$SITE_HOST};
    location / {
      ${4:-}
      proxy_pass http://127.0.0.1:${1:-$APP_PORT};
      proxy_http_version 1.1;
      proxy_set_header Host \$host;
      proxy_set_header X-Forwarded-For \$remote_addr;
      proxy_set_header X-Forwarded-Proto https;
    }
  }
}
EOF
}

hosts_file() { # [SITE_HOST [ADDRESS]]
  if [[ ${2:-} ]]; then
    hosts_file ''
    printf '%s %s\n' "$2" "$1"
    return
  fi
  printf '127.0.0.1 localhost vps other.test %s\n::1 localhost ip6-localhost\n' "$1"
}

ensure_files() {
  local n=$live/nginx u
  mkdir -p "$live/etc" "$n/html" "$n/tmp" "$live/home" "$logs"
  hosts_file "$SITE_HOST" | put "$live/etc/hosts" 644 root
  # nobody answers there: what is not in the hosts file does not exist
  put "$live/etc/resolv.conf" 644 root <<'EOF'
nameserver 127.0.0.1
options timeout:1 attempts:1
EOF
  ensure_pki
  cat /etc/ssl/certs/ca-certificates.crt "$live/pki/ca.crt" | put "$live/etc/ca-certificates.crt" 644 root
  # of a running Nginx nginx_use takes care
  holder >/dev/null || nginx_conf | put "$n/nginx.conf" 644 root
  put "$n/html/index.html" 644 root <<'EOF'
<!DOCTYPE html><html><head><title>Welcome to nginx!</title></head><body><h1>Welcome to nginx!</h1></body></html>
EOF
  chown www-data: "$n" "$n/tmp"

  for u in deploy other; do install -d -m 755 -o "$u" -g "$(id -gn "$u")" "$live/home/$u"; done
  local h=$live/home/deploy
  for u in bin shop stray bbyatch; do install -d -m 755 -o deploy -g "$(id -gn deploy)" "$h/$u"; done
  ln -sfn "$NODE" "$h/bin/node"
  ln -sfn "$(readlink -f "$(type -P npm)")" "$h/bin/npm"
  ln -sfn "$tools/pm2-$PM2_VERSION/node_modules/pm2/bin/pm2" "$h/bin/pm2"
  put "$h/.npmrc" 644 deploy <<EOF
cache=$STACK_DIR/npm-cache
registry=$(cd / && host_npm config get registry 2>/dev/null)
offline=true
EOF
  put "$h/shop/server.js" 644 deploy <"$here/stack.d/tiny-server.js"
  put "$h/stray/server.js" 644 deploy <"$here/stack.d/tiny-server.js"
  put "$live/home/other/server.js" 644 other <"$here/stack.d/tiny-server.js"
  put "$h/shop/ecosystem.config.js" 644 deploy <<'EOF'
module.exports = { apps: [{ name: 'shop', cwd: __dirname, script: 'server.js', args: '3004 shop' }] };
EOF
  chmod a+rx "$STACK_DIR" "$live" "$tools" "$live/home"
  as_can_read
}

as_can_read() {
  setpriv --reuid=deploy --regid="$(id -g deploy)" --init-groups test -r "$live/pki/ca.crt" -a -x "$NODE" ||
    die "the user deploy cannot read below $STACK_DIR or run $NODE: choose another EVENKEEL_STACK_DIR"
}

# --- namespaces -----------------------------------------------------------------------------------------------------

# end_leftovers: what still runs in namespaces whose holder was killed
end_leftovers() {
  local boot net mnt p n found
  read -r boot net mnt 2>/dev/null <"$STACK_DIR/ns" || return 0
  rm -f "$STACK_DIR/ns"
  [[ $boot == "$(cat /proc/sys/kernel/random/boot_id)" ]] || return 0
  for ((n = 0; n < 50; n++)); do
    found=''
    while read -r p; do
      p=${p#/proc/}
      p=${p%%/*}
      [[ $(readlink "/proc/$p/ns/mnt") == "$mnt" ]] && kill -KILL "$p" && found=1
    done < <(find /proc -mindepth 3 -maxdepth 3 -path '/proc/[0-9]*/ns/net' -lname "${net//[/\\[}" 2>/dev/null)
    [[ $found ]] || break
    sleep 0.1
  done
}

ensure_holder() {
  holder >/dev/null && return 0
  end_leftovers
  rm -rf "$run"
  mkdir -p "$run/faults"
  # shellcheck disable=SC2016
  setsid env -i "PATH=$USER_PATH" unshare -m -n -u --propagation private -- bash -euc '
    live=$1
    hostname vps
    ip link set lo up
    echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
    mount --bind "$live/etc/hosts" /etc/hosts
    mount --bind "$live/etc/resolv.conf" /etc/resolv.conf
    mount --bind "$live/etc/ca-certificates.crt" /etc/ssl/certs/ca-certificates.crt
    mount --bind "$live/home/deploy" /home/deploy
    mount --bind "$live/home/other" /home/other
    cd /
    : >"$2"
    exec -a evenkeel-stack-holder sleep infinity
  ' stack "$live" "$run/ready" </dev/null >"$logs/holder.log" 2>&1 9>&- &
  local pid=$! n
  disown "$pid"
  echo "$pid $(start_of "$pid")" >"$run/holder"
  for ((n = 0; n < 100; n++)); do
    if [[ -e $run/ready ]]; then
      echo "$(cat /proc/sys/kernel/random/boot_id) $(readlink "/proc/$pid/ns/net") $(readlink "/proc/$pid/ns/mnt")" \
        >"$STACK_DIR/ns"
      return 0
    fi
    start_of "$pid" >/dev/null || break
    sleep 0.05
  done
  cat "$logs/holder.log" >&2
  die "could not make the namespaces"
}

# ensure_network: the stack has an address and a way out, to another machine: a namespace of its own, which ends with the stack
ensure_network() {
  local h p
  h=$(holder)
  if ! p=$(live_pid "$run/edge"); then
    spawn edge root / unshare -n tail --pid="$h" -f /dev/null
    p=$(live_pid "$run/edge")
    wait_for 5 own_net "$p" || die "could not make the other machine's namespace"
    enter ip link del net0 2>/dev/null || true
    enter ip link add net0 type veth peer name net1 netns "$p"
    nsenter -t "$p" -n ip addr add "$EDGE_ADDR/24" dev net1
    nsenter -t "$p" -n ip link set lo up
    nsenter -t "$p" -n ip link set net1 up
    enter ip addr add "$VPS_ADDR/24" dev net0
  fi
  enter ip link set net0 up
  enter ip route replace default via "$EDGE_ADDR"
}
own_net() { [[ $(readlink "/proc/$1/ns/net") != "$(readlink "/proc/$(holder)/ns/net")" && $(tr '\0' ' ' <"/proc/$1/cmdline") == tail* ]]; }

# --- the site -------------------------------------------------------------------------------------------------------

host_app() { echo "$live/home/deploy/bbyatch/bbyatchv2-master"; }

KEY=''
ensure_site() {
  KEY=$(site_key)
  local kept=$STACK_DIR/build/$KEY app
  app=$(host_app)
  [[ -e $kept/.complete ]] || build_site "$kept"
  if [[ ! -e $app/package.json || $(cat "$live/app.key" 2>/dev/null) != "$KEY" ]]; then
    forget_app
    rm -rf "$app" "$live/app.key"
    copy_site "$kept/app" "$app"
    echo "$KEY" >"$live/app.key"
  fi
  put_env
  ensure_repository
}

# The site's folder is a checkout of a repository of its own, as a deploy wants it.
repository=$DEPLOY_HOME/bbyatch.git
ensure_repository() {
  [[ ! -e $(host_app)/.git/refs/tags/base || ! -e $live/home/deploy/bbyatch.git ]] || return 0
  # shellcheck disable=SC2016 # what stands in single quotes is for the inner shell
  as deploy bash -euc '
    rm -rf "$1" "$2/.git"
    git init -q --bare -b main "$1"
    cd "$2"
    git init -q -b main
    git config user.name deploy
    git config user.email deploy@vps
    git config gc.auto 0
    git config maintenance.auto false
    git add -A
    git commit -q -m "The site"
    git tag base
    git remote add origin "$1"
    git push -q -u origin main
  ' repository "$repository" "$APP_DIR" || die "the site has no repository"
}
# push_change: somebody has a change for the site
push_change() {
  local text
  text="released $(date -u +%FT%TZ)"
  as deploy git -C "$repository" fast-import --quiet --force <<EOF
commit refs/heads/main
committer somebody <somebody@elsewhere.test> $(date +%s) +0000
data 9
A release
from refs/heads/main^0
M 100644 inline RELEASE
data ${#text}
$text

EOF
}
# pull_back: the checkout and its repository as they were
pull_back() {
  local app
  app=$(host_app)
  [[ -e $app/.git ]] || return 0
  rm -f "$app/.git/index.lock"
  [[ $(cat "$app/.git/refs/heads/main") != "$(cat "$app/.git/refs/tags/base")" ]] || return 0
  as deploy git -C "$APP_DIR" reset -q --hard base
  as deploy git -C "$APP_DIR" push -q --force origin main
}

# The site has to be built where it will run, as the user that will run it. Packages come from the network, which only
# the machine outside has; the rest needs none.
build_site() {
  local kept=$1 app log=$logs/build.log
  app=$(host_app)
  say "building the site ($KEY)"
  forget_app
  rm -rf "$app" "$live/app.key" "$kept"
  mkdir -p "$app" "$kept"
  tar -C "$site_src" --exclude=./node_modules --exclude=./.next --exclude=./generated --exclude=./.env -cf - . |
    tar -C "$app" --no-same-owner -xf -
  (cd "$app" && host_npm ci --cache "$STACK_DIR/npm-cache") >"$log" 2>&1 || {
    tail -20 "$log" >&2
    die "npm ci failed, see $log"
  }
  chown -R deploy: "$app" "$STACK_DIR/npm-cache"
  chmod -R a+rX "$STACK_DIR/npm-cache"
  as deploy bash -c "cd '$APP_DIR' && npm run --silent build" >>"$log" 2>&1 </dev/null || {
    tail -20 "$log" >&2
    die "the build failed, see $log"
  }
  copy_site "$app" "$kept/app"
  chmod a+rx "$STACK_DIR/build" "$kept"
  touch "$kept/.complete"
  echo "$KEY" >"$live/app.key"
  local old # the newest three stay
  while read -r _ old; do rm -rf "$old"; done < <(
    find "$STACK_DIR/build" -mindepth 1 -maxdepth 1 -printf '%T@ %p\n' | sort -rn | tail -n +4)
}

# node_modules is only ever replaced as a whole, so its files may be shared
copy_site() {
  mkdir -p "$2"
  chown deploy: "$2"
  tar -C "$1" --exclude=./node_modules --exclude=./.env -cf - . | tar -C "$2" -xpf -
  rm -rf "$2/.next/cache/site-index.json"
  copy_modules "$1" "$2"
}
copy_modules() {
  cp -al "$1/node_modules" "$2/node_modules"
  rm -rf "$2/node_modules/.cache"
}

put_env() {
  local app pw
  app=$(host_app)
  pw=$(cat "$live/pg-password" 2>/dev/null) || {
    pw=$(openssl rand -hex 16)
    install -m 600 /dev/null "$live/pg-password"
    echo "$pw" >"$live/pg-password"
  }
  rm -f "$app/.env.away"
  put "$app/.env" 600 deploy <<EOF
DATABASE_URL="postgresql://bbyatch:$pw@127.0.0.1:5432/bbyatch?schema=public"
NEXTAUTH_SECRET="$(printf %s "$pw" | sha256sum | cut -c1-40)"
NEXTAUTH_URL="https://$SITE_HOST"
EOF
}

# put_site_back: the app's folder as it was built; true if something had to be changed under the running site
put_site_back() {
  local app kept changed=1
  app=$(host_app)
  kept=$STACK_DIR/build/$(cat "$live/app.key")/app
  put_env
  pull_back
  rm -rf "$app/.next.away" "$app/node_modules.away" "$app/.deploy-lock" "$app/public"
  if [[ ! $app/node_modules/next/dist/bin/next -ef $kept/node_modules/next/dist/bin/next ]] ||
    [[ ! $app/node_modules/.package-lock.json -ef $kept/node_modules/.package-lock.json ]]; then
    say "putting node_modules back"
    trash "$app/node_modules"
    copy_modules "$kept" "$app"
    changed=0
  fi
  if ! diff -rq --exclude=cache --exclude=trace --exclude=trace-build --exclude=lock "$kept/.next" "$app/.next" >/dev/null 2>&1; then
    say "putting .next back"
    trash "$app/.next"
    cp -a "$kept/.next" "$app/.next"
    changed=0
  fi
  [[ -d $app/generated ]] || cp -a "$kept/generated" "$app/generated"
  local f
  for f in ecosystem.config.js faults.cjs next.config.mjs package.json package-lock.json; do
    cmp -s "$kept/$f" "$app/$f" || cp -a "$kept/$f" "$app/$f"
  done
  for f in "$app/.next/cache/site-index.json" "$app/node_modules/.cache/site/index.json"; do
    [[ ! -e $f ]] || jq -e . "$f" >/dev/null 2>&1 || {
      rm -f "$f"
      changed=0
    }
  done
  return $changed
}

trash() {
  [[ -e $1 ]] || return 0
  local t
  t=$(mktemp -d "$live/trash.XXXXXX")
  mv "$1" "$t/"
  (rm -rf "$t" 9>&- &) 2>/dev/null
}
