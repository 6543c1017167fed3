package verdict

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
)

// Warning is one thing that may be well now and not stay so.
type Warning struct {
	// Reason names it; Sees says in words what it needs to see.
	Reason string
	Sees   string
	// Blame says whose it is.
	Blame v1alpha1.Blame
	// Next says where to look and what to do.
	Next []string

	// stands says whether it is to be warned of, and in a sentence what was seen.
	stands func(v *view) (message string, status metav1.ConditionStatus)
}

// Warnings is the table of what is warned of.
func Warnings() []Warning { return append([]Warning(nil), warnings...) }

var warnings = []Warning{
	{
		Reason: "CertificateExpires", Sees: "the certificate that is shown in public expires within spec.checks.public.certificateWarning, and within the last third of its time",
		Blame: v1alpha1.BlameCertificate, Next: []string{"is it renewed by itself? certbot renew --dry-run", "renewed but not loaded? nginx -t && systemctl reload nginx"},
		stands: certificateWarning,
	},
	warnTwoDaemons,
	warnGivenUp,
	warnKilled,
	warnBuild,
}

// Warn says how each of them stands.
func Warn(c *pass.Case) []pass.Warning {
	v := look(c)
	var list []pass.Warning
	for n := range warnings {
		w := &warnings[n]
		message, status := w.stands(v)
		list = append(list, pass.Warning{Reason: w.Reason, Blame: w.Blame, Status: status, Message: message, Next: expand(w.Next, v)})
	}
	return list
}
