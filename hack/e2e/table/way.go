package table

import (
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

var (
	proxy   = blames(v1alpha1.BlameProxy)
	cert    = blames(v1alpha1.BlameCertificate)
	dns     = blames(v1alpha1.BlameDNS)
	network = blames(v1alpha1.BlameNetwork)
)

// kept is how long the public check may go on over a connection that it has, before it meets names and routes anew.
const kept = 75 * time.Second

// nginx is the bystander that a new configuration costs its workers.
var nginx = []string{"nginx"}

var web = []Row{
	{
		Name: "nginx-stopped", Failure: "Nginx is stopped",
		Faults: []string{"nginx-stop"}, Action: Hold, Blame: proxy, Rules: []string{"proxy"}, App: Kept, Lost: nginx, Long: true, Seconds: 60,
		Says: []string{"Proxy", "nginx -t && systemctl reload-or-restart nginx"},
	},
	{
		Name: "nginx-broken", Failure: "Nginx's configuration has a mistake, and Nginx is stopped",
		Faults: []string{"nginx-broken"}, Action: Hold, Blame: proxy, Rules: []string{"proxy"}, App: Kept, Lost: nginx, Seconds: 35, Says: []string{"nginx -t"},
	},
	{
		Name: "nginx-misconfigured", Failure: "Nginx's configuration has a mistake, and Nginx runs on with the one before",
		Faults: []string{"nginx-misconfigured"}, Action: Nothing, App: Kept, Lost: nginx, Seconds: 25,
	},
	{
		Name: "nginx-mispointed", Failure: "Nginx passes to a wrong port: 502",
		Faults: []string{"nginx-upstream"}, Action: Hold, Blame: proxy, Rules: []string{"wrong-upstream"}, App: Kept, Lost: nginx, Long: true, Seconds: 60,
		Says: []string{"leads to 127.0.0.1:3999"},
	},
	{
		Name: "other-family", Failure: "the application listens on the other IP family only, and Nginx passes to this one: 502",
		Faults: []string{"pm2-with args: 'start -p 3003 -H ::1'"}, Action: Hold, Blame: proxy, Rules: []string{"wrong-upstream"}, App: Replaced, Unseen: true, Starts: true, Seconds: 45,
		Says: []string{"the application listens on [::1]:3003"},
	},
	{
		Name: "nginx-slow", Failure: "Nginx passes to something that never answers: 504",
		Faults: []string{"nginx-slow"}, Action: Hold, Blame: proxy, Rules: []string{"proxy-slow"}, App: Kept, Lost: nginx, Seconds: 40,
	},
	{
		Name: "nginx-default", Failure: "the name falls to Nginx's default server: 200 Welcome to nginx!",
		Faults: []string{"nginx-default"}, Action: Hold, Blame: proxy, Rules: []string{"default-page"}, App: Kept, Lost: nginx, Long: true, Seconds: 60,
		Says: []string{"no server block"},
	},
	{
		Name: "nginx-loop", Failure: "redirects in a circle",
		Faults: []string{"nginx-loop"}, Action: Hold, Blame: proxy, Rules: []string{"redirect-loop"}, App: Kept, Lost: nginx, Seconds: 35,
	},
	{
		Name: "nginx-plain", Failure: "plain HTTP on the port for HTTPS",
		Faults: []string{"nginx-plain"}, Action: Hold, Blame: proxy, Rules: []string{"wrong-protocol"}, App: Kept, Lost: nginx, Seconds: 35,
		Says: []string{"listen 443 ssl"},
	},
	{
		Name: "http-at-the-https-port", Failure: "spec.checks.public.url was edited, and speaks plain HTTP to the port for HTTPS: 400",
		Edit: map[string]any{"spec.checks.public.url": "http://www.bbyatch.test:443/"}, Action: Hold, Blame: proxy, Rules: []string{"wrong-protocol"}, App: Kept, Seconds: 35,
		Says: []string{"it speaks HTTPS at that port"},
	},
	{
		Name: "password-in-front", Failure: "Nginx asks for a password: 401",
		Faults: []string{"nginx-deny 401"}, Action: Hold, Blame: config, Rules: []string{"access-denied"}, App: Kept, Lost: nginx, Seconds: 35,
	},
	{
		Name: "shut-out", Failure: "Nginx lets nobody in: 403",
		Faults: []string{"nginx-deny 403"}, Action: Hold, Blame: config, Rules: []string{"access-denied"}, App: Kept, Lost: nginx, Seconds: 35,
	},
	{
		Name: "certificate-expired", Failure: "the certificate has expired",
		Faults: []string{"cert-expired"}, Action: Hold, Blame: cert, Rules: []string{"certificate"}, App: Kept, Lost: nginx, Long: true, Seconds: 60,
		Says: []string{"has expired on 2020-02-01", "is no newer one", "certbot renew"},
	},
	{
		Name: "certificate-not-loaded", Failure: "the certificate has expired, was renewed on disk, and was not loaded",
		Faults: []string{"cert-not-loaded"}, Action: Hold, Blame: cert, Rules: []string{"certificate-not-loaded"}, App: Kept, Lost: nginx, Seconds: 35,
		Says: []string{"renewed.crt is a newer one", "nginx -t && systemctl reload nginx"},
	},
	{
		Name: "certificate-of-another", Failure: "the certificate is for another name",
		Faults: []string{"cert-wrong"}, Action: Hold, Blame: cert, Rules: []string{"certificate"}, App: Kept, Lost: nginx, Long: true, Seconds: 60,
		Says: []string{"for another name: other.test"},
	},
	{
		Name: "certificate-expiring", Failure: "the certificate expires in five days: a warning, and no failure",
		Faults: []string{"cert-expiring"}, Action: Nothing, Alerts: []string{"Warning Certificate", "WarningOver Certificate"},
		App: Kept, Lost: nginx, Case: "certificate-expiring",
	},
	{
		Name: "clock-wrong", Failure: "this machine's clock is wrong, and by it the certificate is out of its time",
		Action: Hold, Blame: blames(v1alpha1.BlameHost), Rules: []string{"clock-wrong"}, App: Kept,
		Why: "the clock would be the real machine's, which is not ours to set", Proof: "reconcilers/verdict TestTheWayToTheWorld",
	},
	{
		Name: "dns", Failure: "no name server can be reached",
		Faults: []string{"dns"}, Action: Hold, Blame: dns, Rules: []string{"name-servers"}, App: Kept, Long: true, Confirmed: kept, Seconds: 120,
		Says: []string{"no name server can be reached"},
	},
	{
		Name: "dns-servfail", Failure: "the name servers answer with a failure of their own",
		Faults: []string{"dns-servfail"}, Action: Hold, Blame: dns, Rules: []string{"name-servers"}, App: Kept, Confirmed: kept, Seconds: 95,
	},
	{
		Name: "dns-nxdomain", Failure: "the name servers say that there is no such name",
		Faults: []string{"dns-nxdomain"}, Action: Hold, Blame: dns, Rules: []string{"dns"}, App: Kept, Confirmed: kept, Seconds: 95, Says: []string{"no such name"},
	},
	{
		Name: "network-down", Failure: "the machine has no network but its loopback",
		Faults: []string{"network-down"}, Action: Hold, Blame: network, Rules: []string{"no-network"}, App: Kept, Confirmed: kept, Seconds: 100, Says: []string{"has no network"},
	},
	{
		Name: "delivery-network", Failure: "a delivery network says that this machine refused it (521), though its proxy answers",
		Faults: []string{"edge-cdn 521"}, Action: Hold, Blame: network, Rules: []string{"delivery"}, App: Kept, Confirmed: kept, Seconds: 95, Says: []string{"Cloudflare"},
	},
	{
		Name: "delivery-certificate", Failure: "a delivery network says that it does not take this machine's certificate (526)",
		Faults: []string{"edge-cdn 526"}, Action: Hold, Blame: cert, Rules: []string{"delivery-certificate"}, App: Kept, Confirmed: kept, Seconds: 95, MayHold: network,
		Says: []string{"Cloudflare", "for origins"},
	},
	{
		Name: "firewall", Failure: "a firewall in front of this machine drops what comes for the site, without a word",
		Before: []string{"edge-nat"}, Faults: []string{"edge-firewall"}, Spec: brief, Action: Hold, Blame: network, Rules: []string{"network"}, App: Kept, Confirmed: 25 * time.Second, Long: true, Seconds: 120,
		Says: []string{"the proxy on this machine answers as it should", "a firewall"},
	},
	{
		Name: "hairpin", Failure: "the public address cannot be reached from this machine itself (no hairpin NAT), and never could: Unknown, and told so",
		Before: []string{"edge-nat", "edge-firewall"}, Spec: brief, Action: Nothing, App: Kept, Check: "public-never-green", Seconds: 60,
	},
	{
		Name: "proxy-elsewhere", Failure: "the site's proxy on another machine is stopped, while an Nginx for other sites runs on this one",
		Before: []string{"edge-proxy"}, Faults: []string{"edge-proxy-stop"}, Action: Hold, Blame: network, Rules: []string{"network"}, App: Kept, Lost: nginx, Seconds: 40,
		Says: []string{"is no address of this machine"},
	},
	{
		Name: "down-and-nginx-too", Failure: "it is down, and Nginx is stopped: it is started all the same",
		Action: Plain, Blame: app, Rules: []string{"process-gone"}, App: Replaced, Lost: nginx, Case: "down-while-nginx-is",
		Alerts: []string{"Degraded App", "Degraded Proxy", "Resolved App"},
	},
}
