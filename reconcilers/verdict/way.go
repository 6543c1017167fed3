package verdict

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// What the rules of the way from the application to the world look at, and how they say it.

// publicFails says that the public URL fails while the application answers.
func (v *view) publicFails() string {
	return "the application answers on this machine, but " + v.public.URL + " does not: " + v.message(v1alpha1.CheckPublic) + v.byWhom()
}

// byWhom says who answered in public, where he said so.
func (v *view) byWhom() string {
	switch p := &v.public; {
	case p.Class != facts.Answered && p.Class != facts.Redirects:
		return ""
	case p.CDN != "":
		return " (by " + p.CDN + ")"
	case p.Server != "":
		return " (by " + p.Server + ")"
	}
	return ""
}

// proxyFails says that the proxy on this machine was asked, and did not answer as the public URL should.
func (v *view) proxyFails() bool {
	p := v.public.Proxy
	return p.Asked() && !p.Good(v.c.App.Spec.Checks.Public.ExpectStatus)
}

// clockIsWrong says why this machine's clock, and not the certificate, is to be doubted; it is empty where it is not.
func (v *view) clockIsWrong() string {
	const apart = 5 * time.Minute // more than clocks differ that nobody has to set
	cert, clock := v.public.Certificate, v.public.Clock
	if v.public.Class != facts.Certificate || cert == nil || clock == nil {
		return ""
	}
	rightly := v.c.Now.Wall.Add(-clock.Ahead)
	switch {
	case clock.Before:
		return "it stands before this program was written"
	case clock.Compared && clock.Ahead.Abs() > apart && !rightly.Before(cert.NotBefore) && rightly.Before(cert.NotAfter):
		by := "ahead of"
		if clock.Ahead < 0 {
			by = "behind"
		}
		return fmt.Sprintf("it is %s %s that of the machine that answers", clock.Ahead.Abs().Round(time.Minute), by)
	case cert.Problem == facts.NotYetValid && clock.Known && !clock.Kept:
		return "it stands before the certificate was made, and no time service keeps it right"
	}
	return ""
}

// certificate says what is wrong with the certificate.
func (v *view) certificate() string {
	c := v.public.Certificate
	if c == nil {
		return ""
	}
	day := func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
	text := map[facts.Problem]string{
		facts.Expired:          "its certificate has expired on " + day(c.NotAfter),
		facts.NotYetValid:      "its certificate is good from " + day(c.NotBefore) + " only",
		facts.WrongName:        "its certificate is for another name: " + strings.Join(c.Names, ", "),
		facts.UnknownAuthority: "its certificate is by somebody whom this machine does not trust: " + c.Issuer,
		facts.IncompleteChain:  "only its own certificate is sent, without the one by which it was made: " + c.Issuer,
	}[c.Problem]
	if clock := v.public.Clock; c.Problem == facts.Expired && clock != nil && clock.Known && !clock.Kept {
		text += "; no time service keeps this machine's clock right"
	}
	if f := c.File; text != "" && f != nil && f.Path != "" && !f.Newer && f.Error == "" {
		text += "; " + f.Path + " on disk is no newer one"
	}
	return text
}

// names says what the public name stands for, where that is worth knowing.
func (v *view) names() string {
	n := v.public.Names
	if n == nil || n.Outcome != facts.Resolved || n.Own || len(n.Addrs) == 0 || v.public.CDN != "" {
		return ""
	}
	return fmt.Sprintf("%s stands for %s, which is no address of this machine", n.Host, strings.Join(n.Addrs, ", "))
}

// leadsWrong says that the proxy's configuration leads the site's visitors elsewhere than to the application.
func (v *view) leadsWrong() bool {
	p := v.public.Passes
	return p != nil && p.Named && !p.Ours && p.At != "" && len(p.To) > 0
}

// led says where the proxy's configuration leads the site's visitors.
func (v *view) led() string {
	p := v.public.Passes
	if p == nil || p.At == "" || len(p.To) == 0 {
		return ""
	}
	text := fmt.Sprintf("%s leads to %s", p.At, strings.Join(p.To, ", "))
	if len(v.port.Listeners) == 0 {
		return text
	}
	var at []string
	for _, l := range v.port.Listeners {
		at = append(at, l.Addr)
	}
	return text + ", and the application listens on " + strings.Join(at, ", ")
}

// sameFromApp says that what the world got is what the application itself answers.
func (v *view) sameFromApp() bool {
	p, app := &v.public, v.public.App
	return p.Class == facts.Answered && app != nil && app.Class == facts.Answered && app.Status == p.Status && app.Page == p.Page && app.Unmet == p.Unmet
}

// worldFails is what all rules about the way to the world are about.
var worldFails = condition{
	yes: "the application answers on this machine, and its public URL does not",
	no:  "its public URL does not fail, or the application itself does",
	holds: func(v *view) bool {
		return v.is(v1alpha1.CheckPublic, metav1.ConditionFalse) && v.lead.Status == metav1.ConditionTrue
	},
}

// inPublic is a check that fails in public while the application answers, and what else is needed.
func inPublic(more ...condition) []condition { return append([]condition{worldFails}, more...) }

// publicEnds is how the request to the public URL ended.
func publicEnds(class facts.Class, yes, no string) condition {
	return condition{
		yes: yes, no: no,
		holds: func(v *view) bool { return v.public.Class == class }, seen: func(v *view) string { return string(v.public.Class) },
	}
}

// publicAnswers is a status with which the world was answered.
func publicAnswers(yes, no string, fits func(v *view, status int) bool) condition {
	return condition{
		yes: yes, no: no,
		holds: func(v *view) bool { return v.public.Class == facts.Answered && fits(v, v.public.Status) },
		seen: func(v *view) string {
			if v.public.Class != facts.Answered {
				return string(v.public.Class)
			}
			return fmt.Sprint(v.public.Status)
		},
	}
}
