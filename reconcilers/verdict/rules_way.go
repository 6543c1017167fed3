package verdict

import (
	"fmt"
	"strings"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// The way from the application to the world, beginning with what makes the rest hard to tell: network, clock, certificate
// and name. The application answers in all of them, and nothing that is done to it would help.

const wellNoLimit = "no limit: the application is well"

var (
	noNetwork = condition{
		yes: "this machine has no network", no: "this machine has a network, or it could not be asked",
		holds: func(v *view) bool { return v.public.Network.Down() },
	}
	cannotBeReached = condition{
		yes: "nobody was reached", no: "somebody was reached",
		holds: func(v *view) bool {
			switch v.public.Class {
			case facts.DNS, facts.Unreachable, facts.Timeout:
				return true
			}
			return false
		},
		seen: func(v *view) string { return string(v.public.Class) },
	}
	clockWrong = condition{
		yes: "this machine's clock is wrong", no: "nothing speaks against this machine's clock",
		holds: func(v *view) bool { return v.clockIsWrong() != "" }, seen: (*view).clockIsWrong,
	}
	badCertificate = publicEnds(facts.Certificate, "its certificate is not good", "it is not its certificate")
	notLoaded      = condition{
		yes: "a newer certificate lies on disk", no: "no newer certificate is known to lie on disk",
		holds: func(v *view) bool {
			c := v.public.Certificate
			return c != nil && c.File != nil && c.File.Newer
		},
	}
	badName         = publicEnds(facts.DNS, "its name does not resolve", "it is not its name")
	nameServersFail = condition{
		yes: "the name servers do not answer, or with a failure of their own", no: "the name servers answer, or they were not asked again",
		holds: func(v *view) bool {
			n := v.public.Names
			if n == nil {
				return false
			}
			switch n.Outcome {
			case facts.NoServer, facts.ServerFails, facts.LookupTooLate:
				return true
			}
			return false
		},
		seen: func(v *view) string {
			if n := v.public.Names; n != nil {
				return string(n.Outcome)
			}
			return ""
		},
	}
)

var ruleNoNetwork = Rule{
	Name: "no-network", Sees: "the application answers on this machine; nobody else is reached, and no route leads out of this machine, or no interface is up",
	Blame: v1alpha1.BlameNetwork, Reason: "NoNetwork", Remedy: v1alpha1.RemedyHold, AtLimit: wellNoLimit,
	Next: []string{"see its interfaces and routes: ip -br addr; ip route", "bring it up: networkctl; systemctl restart systemd-networkd (or networking); else ask the provider"},
	When: inPublic(noNetwork, cannotBeReached),
	says: func(v *view) string { return "this machine has no network; " + v.publicFails() },
}

var ruleClockWrong = Rule{
	Name: "clock-wrong", Sees: "the application answers on this machine; the certificate is out of its time by this machine's clock, which is itself wrong",
	Blame: v1alpha1.BlameHost, Reason: "ClockWrong", Remedy: v1alpha1.RemedyHold, AtLimit: wellNoLimit,
	Next: []string{"see the clock: timedatectl", "set it and keep it right: timedatectl set-ntp true; systemctl restart systemd-timesyncd (or chrony)"},
	When: inPublic(clockWrong),
	says: func(v *view) string {
		return fmt.Sprintf("this machine's clock says %s and is wrong: %s; by it the certificate of %s is not good",
			v.c.Now.Wall.UTC().Format("2006-01-02 15:04 MST"), v.clockIsWrong(), v.public.URL)
	},
}

var ruleCertificateNotLoaded = Rule{
	Name: "certificate-not-loaded", Sees: "the application answers on this machine; the public URL shows a certificate that is not good, while a newer and good one lies where the proxy's configuration says",
	Blame: v1alpha1.BlameCertificate, Reason: "RenewedNotLoaded", Remedy: v1alpha1.RemedyHold, AtLimit: wellNoLimit,
	Next: []string{"load it: nginx -t && systemctl reload nginx", "and from now on at each renewal: certbot renew --deploy-hook 'systemctl reload nginx'"},
	When: inPublic(badCertificate, notLoaded),
	says: func(v *view) string {
		f := v.public.Certificate.File
		return fmt.Sprintf("%s; %s; %s is a newer one, good until %s, and the proxy has not loaded it", v.publicFails(), v.certificate(), f.Path, f.NotAfter.UTC().Format("2006-01-02"))
	},
}

var ruleCertificate = Rule{
	Name: "certificate", Sees: "the application answers on this machine; the public URL shows a certificate that is not valid",
	Blame: v1alpha1.BlameCertificate, Reason: "CertificateInvalid", Remedy: v1alpha1.RemedyHold, AtLimit: wellNoLimit,
	Next: []string{"see the certificate: openssl s_client -connect {at} -servername {host} </dev/null | openssl x509 -noout -dates -subject"},
	When: inPublic(badCertificate),
	says: func(v *view) string { return also(v.publicFails(), v.certificate()) },
	adjust: func(v *view, out *v1alpha1.Verdict) {
		out.Next = append(out.Next, certificateHint(v.public.Certificate))
	},
}

// certificateHint is what helps against what is wrong with a certificate.
func certificateHint(c *facts.Cert) string {
	if c == nil {
		return "renewed but not loaded? nginx -t && systemctl reload nginx"
	}
	switch c.Problem {
	case facts.WrongName:
		return "is there a server block with its name and its ssl_certificate? nginx -T | grep -n 'server_name\\|ssl_certificate'; then nginx -t && systemctl reload nginx"
	case facts.IncompleteChain:
		return "let ssl_certificate name the whole chain (fullchain.pem, not cert.pem); then nginx -t && systemctl reload nginx"
	case facts.UnknownAuthority:
		return "is it made by an authority that the world trusts? is this machine's own list old? apt-get install --only-upgrade ca-certificates"
	}
	return "renew it: certbot renew; then load it: nginx -t && systemctl reload nginx"
}

var ruleNameServers = Rule{
	Name: "name-servers", Sees: "the application answers on this machine; the public name does not resolve, because the name servers do not answer or fail",
	Blame: v1alpha1.BlameDNS, Reason: "NameServersFail", Remedy: v1alpha1.RemedyHold, AtLimit: wellNoLimit,
	Next: []string{"see which servers this machine asks: resolvectl status; cat /etc/resolv.conf", "does another one know it? dig @1.1.1.1 {host}"},
	When: inPublic(badName, nameServersFail),
	says: func(v *view) string {
		how := map[facts.Lookup]string{
			facts.NoServer:      "no name server can be reached",
			facts.LookupTooLate: "no name server answers in time",
			facts.ServerFails:   "the name servers answer with a failure of their own",
		}[v.public.Names.Outcome]
		return v.publicFails() + "; " + how + ", so that from here nothing can be said of the site"
	},
}

var ruleDNS = Rule{
	Name: "dns", Sees: "the application answers on this machine; the public name does not resolve",
	Blame: v1alpha1.BlameDNS, Reason: "NameNotResolved", Remedy: v1alpha1.RemedyHold, AtLimit: wellNoLimit,
	Next: []string{"see what the name resolves to: getent ahosts {host}", "is the record there, and the domain paid for? dig +trace {host}"},
	When: inPublic(badName),
	says: func(v *view) string {
		if n := v.public.Names; n != nil && n.Outcome == facts.NotFound {
			return v.publicFails() + "; the name servers say that there is no such name"
		}
		return v.publicFails()
	},
}

// also joins what is known, without what is not.
func also(parts ...string) string {
	var list []string
	for _, p := range parts {
		if p != "" {
			list = append(list, p)
		}
	}
	return strings.Join(list, "; ")
}
