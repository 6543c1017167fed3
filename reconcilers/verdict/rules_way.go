package verdict

import (
	"fmt"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// The way from the application to the world: certificate, name, proxy, network. The application answers in all of them.

// publicEnds is how the request to the public URL ended.
func publicEnds(class facts.Class, yes, no string) condition {
	return condition{
		yes: yes, no: no,
		holds: func(v *view) bool { return v.public.Class == class }, seen: func(v *view) string { return string(v.public.Class) },
	}
}

var proxyFails = condition{
	yes:   "the proxy on this machine does not answer, or not as expected",
	no:    "the proxy on this machine answers as expected, or there is none here",
	holds: (*view).proxyFails,
	seen: func(v *view) string {
		if v.public.Proxy == nil || v.public.Proxy.Class == facts.NotAsked {
			return ""
		}
		return outcome(v.public.Proxy)
	},
}

var ruleCertificate = Rule{
	Name: "certificate", Sees: "the application answers on this machine; the public URL shows a certificate that is not valid",
	Blame: v1alpha1.BlameCertificate, Reason: "CertificateInvalid", Remedy: v1alpha1.RemedyHold, AtLimit: "no limit: the application is well",
	Next: []string{
		"see the certificate: openssl s_client -connect {host}:443 -servername {host} </dev/null | openssl x509 -noout -dates -subject",
		"renewed but not loaded? nginx -t && systemctl reload nginx",
	},
	When: []condition{
		fails(v1alpha1.CheckPublic), answers, publicEnds(facts.Certificate, "its certificate is not valid", "it is not its certificate"),
	},
	says: (*view).publicFails,
}

var ruleDNS = Rule{
	Name: "dns", Sees: "the application answers on this machine; the public name does not resolve",
	Blame: v1alpha1.BlameDNS, Reason: "NameNotResolved", Remedy: v1alpha1.RemedyHold, AtLimit: "no limit: the application is well",
	Next: []string{"see what the name resolves to: getent ahosts {host}"},
	When: []condition{
		fails(v1alpha1.CheckPublic), answers, publicEnds(facts.DNS, "its name does not resolve", "it is not its name"),
	},
	says: (*view).publicFails,
}

var ruleProxy = Rule{
	Name: "proxy", Sees: "the application answers on this machine; the proxy on this machine, where there is one, does not, or not as expected",
	Blame: v1alpha1.BlameProxy, Reason: "ProxyFails", Remedy: v1alpha1.RemedyHold, AtLimit: "no limit: the application is well",
	Next: []string{"test and start or reload it: nginx -t && systemctl reload-or-restart nginx", "see its log: tail /var/log/nginx/error.log"},
	When: []condition{fails(v1alpha1.CheckPublic), answers, proxyFails},
	says: func(v *view) string {
		return fmt.Sprintf("%s; the proxy on this machine: %s", v.publicFails(), outcome(v.public.Proxy))
	},
}

var ruleNetwork = Rule{
	Name: "network", Sees: "the application answers on this machine, and so does the proxy, if there is one here; the public URL does not",
	Blame: v1alpha1.BlameNetwork, Reason: "NotReachableFromOutside", Remedy: v1alpha1.RemedyHold, AtLimit: "no limit: the application is well",
	Next: []string{"is it the DNS record, a CDN, a firewall, or a proxy on another machine? curl -sv {url} -o /dev/null"},
	When: []condition{fails(v1alpha1.CheckPublic), answers},
	says: func(v *view) string {
		m := v.publicFails()
		if p := v.public.Proxy; p != nil && p.Class == facts.NotAsked && p.Error != "" {
			m += "; " + p.Error
		}
		return m
	},
}
