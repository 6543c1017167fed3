# shellcheck shell=bash
# What can be broken between the application and the world: Nginx, certificates, names, the network, other machines.
# shellcheck disable=SC2154,SC2015,SC2034,SC2086,SC2119,SC2120,SC2317,SC2329  # variables and functions of the other parts

FAULTS+='
nginx-broken       Nginx'"'"'s configuration has a mistake, and Nginx is stopped
nginx-misconfigured  Nginx'"'"'s configuration has a mistake, and Nginx runs on with the one before
nginx-loop         Nginx redirects the site to itself
nginx-deny [CODE]  Nginx asks for a password (401), or lets nobody in (403)
nginx-plain        Nginx speaks plain HTTP on port 443
nginx-slow         Nginx passes to something that never answers: 504 after a second
cert-expiring [DAYS]  the certificate expires in so many days (5)
cert-not-loaded    the certificate is expired, and renewed on disk, and Nginx was not told to load it
dns-nxdomain       the name servers say that there is no such name
dns-servfail       the name servers answer with a failure of their own
network-down       the machine has no network but its loopback
edge-cdn [STATUS]  a delivery network stands before the site, and answers that it did not get it (521)
edge-proxy         the site'"'"'s proxy is on another machine; the Nginx here is for other sites
edge-nat           the public address of the site is that of another machine, which passes on to the Nginx here
edge-firewall      what this machine sends to the other one is dropped, without a word
edge-proxy-stop    the proxy on the other machine is stopped (undone by edge-proxy)
'

odd() { # NAME USER ARGS…: a stand-in of odd-server.js inside the stack
  local name=$1 user=$2
  shift 2
  put "$live/etc/odd-server.js" 644 root <"$here/stack.d/odd-server.js"
  kill_mark "$name"
  spawn "$name" "$user" / node "$live/etc/odd-server.js" "$@"
}
# odd_edge ARGS…: the same on the other machine
odd_edge() {
  local p pid
  put "$live/etc/odd-server.js" 644 root <"$here/stack.d/odd-server.js"
  kill_mark edge-server
  p=$(live_pid "$run/edge") || die "there is no other machine (hack/stack up)"
  find_node || die "no Node"
  nsenter -t "$p" -m -n -- setsid "$NODE" "$live/etc/odd-server.js" "$@" "$live/pki/site.crt" "$live/pki/site.key" \
    </dev/null >>"$logs/edge.log" 2>&1 9>&- &
  pid=$!
  disown "$pid"
  echo "$pid $(start_of "$pid")" >"$run/edge-server"
  wait_for 10 edge_listens "$p" || die "nobody listens on the other machine, see $logs/edge.log"
}
edge_listens() { nsenter -t "$1" -n ss -Hltn 'sport = :443' | grep -q .; }

fault_nginx_broken() {
  mark nginx-broken
  nginx_stop
  printf '%s\n' 'http { server { listen 443 ssl; proxy_pass' >"$live/nginx/nginx.conf"
}
clear_nginx_broken() {
  nginx_use
  nginx_start
}
fault_nginx_misconfigured() {
  mark nginx-misconfigured
  printf '%s\n' 'http { server { listen 443 ssl; proxy_pass' >"$live/nginx/nginx.conf"
}
clear_nginx_misconfigured() { nginx_use; }
# shellcheck disable=SC2016  # Nginx's own variables
fault_nginx_loop() {
  mark nginx-loop
  nginx_use $APP_PORT site "$SITE_HOST" 'return 301 https://$host$request_uri;'
}
clear_nginx_loop() { nginx_use; }
fault_nginx_deny() {
  mark nginx-deny
  local how='auth_basic closed; auth_basic_user_file /dev/null;'
  [[ ${1:-401} == 401 ]] || how='deny all;'
  nginx_use $APP_PORT site "$SITE_HOST" "$how"
}
clear_nginx_deny() { nginx_use; }
fault_nginx_plain() {
  mark nginx-plain
  nginx_use $APP_PORT site "$SITE_HOST" '' plain
}
clear_nginx_plain() { nginx_use; }
fault_nginx_slow() {
  mark upstream-silent
  mark nginx-slow
  odd silent other silent 3998
  nginx_use 3998 site "$SITE_HOST" 'proxy_read_timeout 1s;'
}
clear_nginx_slow() {
  nginx_use
  clear_one upstream-silent
}
clear_upstream_silent() { kill_mark silent; }

fault_cert_expiring() {
  mark cert-expiring
  make_cert expiring "$SITE_HOST" -from "-80 days" "+${1:-5} days"
  nginx_use $APP_PORT expiring
}
clear_cert_expiring() { nginx_use; }
fault_cert_not_loaded() {
  local pki=$live/pki
  mark cert-not-loaded
  cat "$pki/expired.crt" >"$pki/renewed.crt"
  cat "$pki/expired.key" >"$pki/renewed.key"
  chgrp www-data "$pki/renewed.key"
  chmod 640 "$pki/renewed.key"
  nginx_use $APP_PORT renewed
  cat "$pki/site.crt" >"$pki/renewed.crt"
  cat "$pki/site.key" >"$pki/renewed.key"
}
clear_cert_not_loaded() { nginx_use; }

fault_dns_nxdomain() {
  mark dns-nxdomain
  odd dns other dns 3
  hosts_file '' >"$live/etc/hosts"
}
clear_dns_nxdomain() {
  kill_mark dns
  clear_dns
}
fault_dns_servfail() {
  mark dns-servfail
  odd dns other dns 2
  hosts_file '' >"$live/etc/hosts"
}
clear_dns_servfail() { clear_dns_nxdomain; }

fault_network_down() {
  mark network-down
  hosts_file "$SITE_HOST" "$EDGE_ADDR" >"$live/etc/hosts"
  enter ip link set net0 down
}
clear_network_down() {
  ensure_network
  clear_dns
}

fault_edge_cdn() {
  mark edge-cdn
  odd_edge edge "${1:-521}"
  hosts_file "$SITE_HOST" "$EDGE_ADDR" >"$live/etc/hosts"
}
clear_edge_cdn() {
  clear_dns
  kill_mark edge-server
}
fault_edge_proxy() {
  mark edge-proxy
  odd_edge proxy "$VPS_ADDR:$APP_PORT"
  nginx_use $APP_PORT site other-site.test
  hosts_file "$SITE_HOST" "$EDGE_ADDR" >"$live/etc/hosts"
}
clear_edge_proxy() {
  clear_edge_cdn
  nginx_use
}
fault_edge_proxy_stop() {
  mark edge-proxy-stop
  kill_mark edge-server
}
clear_edge_proxy_stop() {
  [[ ! -e $run/faults/edge-proxy ]] || odd_edge proxy "$VPS_ADDR:$APP_PORT"
}
fault_edge_nat() {
  mark edge-nat
  odd_edge nat "$VPS_ADDR:443"
  hosts_file "$SITE_HOST" "$EDGE_ADDR" >"$live/etc/hosts"
}
clear_edge_nat() { clear_edge_cdn; }
# the other machine takes nothing that is not addressed to it
fault_edge_firewall() {
  mark edge-firewall
  enter ip neigh replace "$EDGE_ADDR" lladdr 02:00:00:00:00:99 dev net0 nud permanent
}
clear_edge_firewall() { enter ip neigh del "$EDGE_ADDR" dev net0 2>/dev/null || true; }
