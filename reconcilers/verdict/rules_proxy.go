package verdict

import (
	"net/http"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// Who answers in public, and with what: the proxy on this machine, a delivery network, or somebody else. The application
// answers in all of them.

var (
	proxyFails = condition{
		yes:   "the proxy on this machine does not answer, or not as expected",
		no:    "the proxy on this machine answers as expected, or there is none here",
		holds: (*view).proxyFails,
		seen: func(v *view) string {
			if !v.public.Proxy.Asked() {
				return ""
			}
			return outcome(v.public.Proxy)
		},
	}
	defaultPage = condition{
		yes: "what answers is the page that Nginx comes with", no: "it is not the page that Nginx comes with",
		holds: func(v *view) bool { return v.public.Page == facts.PageNginxDefault },
	}
	wrongProtocol = condition{
		yes: "it speaks HTTP where HTTPS is asked for, or the reverse", no: "it speaks the protocol that is asked for",
		holds: func(v *view) bool {
			return v.public.Class == facts.Protocol || v.public.Page == facts.PagePlainToTLS
		},
	}
	redirects  = publicEnds(facts.Redirects, "its redirects do not end", "it is not its redirects")
	fromAnApp  = condition{yes: "the application itself answers the same", no: "the application itself answers otherwise, or was not asked", holds: (*view).sameFromApp}
	leadsWrong = condition{
		yes: "the proxy's configuration leads elsewhere than to the application", no: "the proxy's configuration is not known to lead elsewhere",
		holds: (*view).leadsWrong, seen: (*view).led,
	}
	serverError = publicAnswers("it answers with an error of a server (5xx)", "it does not answer with an error of a server",
		func(_ *view, status int) bool { return status >= http.StatusInternalServerError })
	badGateway = publicAnswers("it answers 502 or 503", "it does not answer 502 or 503",
		func(_ *view, status int) bool {
			return status == http.StatusBadGateway || status == http.StatusServiceUnavailable
		})
	forbidden = publicAnswers("it answers that one may not (401, 403, 407)", "it does not answer that one may not",
		func(_ *view, status int) bool {
			return status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusProxyAuthRequired
		})
	tooSlow = condition{
		yes: "the proxy on this machine is too late", no: "the proxy on this machine is not too late",
		holds: func(v *view) bool {
			p := v.public.Proxy
			return p.Asked() && (p.Class == facts.Timeout || p.Status == http.StatusGatewayTimeout)
		},
	}
	deliveryFails = publicAnswers("a delivery network answers that it did not get the site (520 to 526)", "no delivery network answers that it did not get the site",
		func(_ *view, status int) bool { return status >= 520 && status <= 526 })
	deliveryRefuses = publicAnswers("a delivery network does not take the certificate behind it (525, 526)", "no delivery network refuses the certificate behind it",
		func(_ *view, status int) bool { return status == 525 || status == 526 })
)

var reloadHints = []string{"test and start or reload it: nginx -t && systemctl reload-or-restart nginx", "see its log: tail /var/log/nginx/error.log"}

var rulePublicPage = Rule{
	Name: "public-page-fails", Sees: "the application answers where it is asked on this machine, and with an error of its own (5xx) what the world asks for",
	Blame: v1alpha1.BlameApp, Reason: "PublicPageFails", Remedy: v1alpha1.RemedyHold, AtLimit: "no limit: the check on this machine holds; let it ask for the same page if a restart is to be tried",
	Next: []string{"see the log: {errors}", "let the check on this machine ask for that page: spec.checks.local.path"},
	When: inPublic(fromAnApp, serverError),
	says: func(v *view) string {
		return v.publicFails() + "; the application itself answers " + outcome(v.public.App) + " to that question"
	},
}

var ruleNotAsExpected = Rule{
	Name: "not-as-expected", Sees: "what the world gets is what the application itself answers, and the desired state expects something else",
	Blame: v1alpha1.BlameConfig, Reason: "NotAsExpected", Remedy: v1alpha1.RemedyHold, AtLimit: wellNoLimit,
	Next: []string{"is it right as it is? then let the desired state say so: spec.checks.public (url, expectStatus, expectBody, expectHeader)", "see what it answers: curl -sv {url} -o /dev/null"},
	When: inPublic(fromAnApp),
	says: func(v *view) string { return v.publicFails() + "; the application itself answers just that" },
}

var ruleDefaultPage = Rule{
	Name: "default-page", Sees: "the application answers on this machine; the public URL shows the page that Nginx comes with",
	Blame: v1alpha1.BlameProxy, Reason: "DefaultPage", Remedy: v1alpha1.RemedyHold, AtLimit: wellNoLimit,
	Next: []string{"is there a server block for {host}, and is it enabled? nginx -T | grep -n server_name", "then load it: nginx -t && systemctl reload nginx"},
	When: inPublic(defaultPage),
	says: func(v *view) string {
		m := v.publicFails()
		if p := v.public.Passes; p != nil && p.Error == "" && !p.Named {
			m += "; no server block of this machine's Nginx is known to name it"
		}
		return also(m, v.names())
	},
}

var ruleWrongProtocol = Rule{
	Name: "wrong-protocol", Sees: "the application answers on this machine; what answers in public speaks HTTP where HTTPS is asked for, or the reverse",
	Blame: v1alpha1.BlameProxy, Reason: "WrongProtocol", Remedy: v1alpha1.RemedyHold, AtLimit: wellNoLimit,
	Next: []string{"does the server block listen with TLS (listen 443 ssl) just where the URL says https? nginx -T | grep -n 'listen\\|server_name'", "then load it: nginx -t && systemctl reload nginx"},
	When: inPublic(wrongProtocol),
	says: func(v *view) string {
		if v.public.Page == facts.PagePlainToTLS {
			return v.publicFails() + "; it speaks HTTPS at that port"
		}
		return v.publicFails()
	},
}

var ruleRedirectLoop = Rule{
	Name: "redirect-loop", Sees: "the application answers on this machine; the redirects that the public URL leads to do not end",
	Blame: v1alpha1.BlameProxy, Reason: "RedirectLoop", Remedy: v1alpha1.RemedyHold, AtLimit: wellNoLimit,
	Next: []string{
		"see each of them: curl -sIL --max-redirs 5 {url} | grep -i 'HTTP/\\|location\\|server'",
		"does the proxy tell the application how it was asked (proxy_set_header X-Forwarded-Proto https)? does a delivery network ask this machine by http?",
	},
	When: inPublic(redirects),
	says: (*view).publicFails,
}

var ruleForbidden = Rule{
	Name: "access-denied", Sees: "the application answers on this machine; in public somebody before it answers that one may not (401, 403, 407)",
	Blame: v1alpha1.BlameConfig, Reason: "AccessDenied", Remedy: v1alpha1.RemedyHold, AtLimit: wellNoLimit,
	Next: []string{
		"who asks for a password or shuts people out? nginx -T | grep -n 'auth_basic\\|deny\\|allow\\|return 40'; or a firewall of the delivery network",
		"is it meant so? then let the desired state say so: spec.checks.public.expectStatus",
	},
	When: inPublic(forbidden),
	says: func(v *view) string {
		m := v.publicFails()
		if a := v.public.App; a.Asked() {
			m += "; the application itself " + outcome(a)
		}
		return m
	},
}

var ruleWrongUpstream = Rule{
	Name: "wrong-upstream", Sees: "the application answers on this machine; the proxy answers 502 or 503, and its configuration leads elsewhere than to the application",
	Blame: v1alpha1.BlameProxy, Reason: "WrongUpstream", Remedy: v1alpha1.RemedyHold, AtLimit: wellNoLimit,
	Next: append([]string{"let proxy_pass lead to where the application listens: port {port}"}, reloadHints...),
	When: inPublic(proxyFails, badGateway, leadsWrong),
	says: func(v *view) string { return also(v.publicFails(), v.led()) },
}

var ruleProxySlow = Rule{
	Name: "proxy-slow", Sees: "the application answers on this machine; the proxy on this machine does not in time, or says that the application did not (504)",
	Blame: v1alpha1.BlameProxy, Reason: "ProxyTooSlow", Remedy: v1alpha1.RemedyHold, AtLimit: wellNoLimit,
	Next: append([]string{"does it lead to where the application listens, and has it connections left? nginx -T | grep -n 'proxy_pass\\|worker_connections'"}, reloadHints...),
	When: inPublic(proxyFails, tooSlow),
	says: func(v *view) string {
		return also(v.publicFails(), "the proxy on this machine: "+outcome(v.public.Proxy), v.led())
	},
}

var ruleProxy = Rule{
	Name: "proxy", Sees: "the application answers on this machine; the proxy on this machine, where there is one, does not, or not as expected",
	Blame: v1alpha1.BlameProxy, Reason: "ProxyFails", Remedy: v1alpha1.RemedyHold, AtLimit: wellNoLimit,
	Next: reloadHints,
	When: inPublic(proxyFails),
	says: func(v *view) string {
		return v.publicFails() + "; the proxy on this machine: " + outcome(v.public.Proxy)
	},
}

var ruleDeliveryCertificate = Rule{
	Name: "delivery-certificate", Sees: "the application answers on this machine; a delivery network does not take the certificate of the machine behind it (525, 526)",
	Blame: v1alpha1.BlameCertificate, Reason: "RefusedByDelivery", Remedy: v1alpha1.RemedyHold, AtLimit: wellNoLimit,
	Next: []string{"see what this machine shows: openssl s_client -connect 127.0.0.1:443 -servername {host} </dev/null | openssl x509 -noout -dates -subject -issuer", "renew it, or use the network's own certificate for origins; then nginx -t && systemctl reload nginx"},
	When: inPublic(deliveryRefuses),
	says: (*view).publicFails,
}

var ruleDelivery = Rule{
	Name: "delivery", Sees: "the application answers on this machine, and so does the proxy, if there is one here; a delivery network says that it did not get the site (520 to 524)",
	Blame: v1alpha1.BlameNetwork, Reason: "DeliveryFails", Remedy: v1alpha1.RemedyHold, AtLimit: wellNoLimit,
	Next: []string{"may the delivery network reach this machine? see the firewall: nft list ruleset; ufw status", "does it ask the right address (its DNS entry for the origin)? see its status page"},
	When: inPublic(deliveryFails),
	says: func(v *view) string {
		why := map[int]string{
			520: "the answer was empty or odd", 521: "it was refused", 522: "it could not connect in time", 523: "this machine could not be reached",
			524: "it connected, and got no answer in time",
		}[v.public.Status]
		return also(v.publicFails(), "what it says of this machine: "+why)
	},
}

var ruleNetwork = Rule{
	Name: "network", Sees: "the application answers on this machine, and so does the proxy, if there is one here; the public URL does not",
	Blame: v1alpha1.BlameNetwork, Reason: "NotReachableFromOutside", Remedy: v1alpha1.RemedyHold, AtLimit: wellNoLimit,
	Next: []string{"is it the DNS record, a CDN, a firewall, or a proxy on another machine? curl -sv {url} -o /dev/null", "what does the name stand for? getent ahosts {host}"},
	When: inPublic(),
	says: func(v *view) string {
		why, names := "", v.names()
		if p := v.public.Proxy; p != nil && p.Class == facts.NotAsked {
			why = p.Error
		} else if p != nil {
			why = "the proxy on this machine answers as it should"
		}
		if v.public.Here == facts.HereNo {
			names = "" // why says it
		}
		return also(v.publicFails(), why, names)
	},
}
