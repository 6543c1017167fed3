package verdict

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
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
	warnRow,
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
		warning := pass.Warning{Reason: w.Reason, Blame: w.Blame, Status: status, Message: message}
		if status == metav1.ConditionTrue { // every pass comes here, and hints are dear
			warning.Next = expand(w.Next, v)
		}
		list = append(list, warning)
	}
	return list
}

// warnTwoDaemons: the older one still runs what it ran, and nobody can ask it; the next restart may run everything twice.
var warnTwoDaemons = Warning{
	Reason: "TwoDaemons", Sees: "another PM2 daemon of the same home lives beside the one that takes calls", Blame: v1alpha1.BlameRuntime,
	Next: []string{"see both: pgrep -af 'God Daemon'", "end the one that does not take calls, and with it what it runs: kill {rival}"},
	stands: func(v *view) (string, metav1.ConditionStatus) {
		if !v.asked {
			return "PM2 could not be asked", metav1.ConditionUnknown
		}
		if len(v.process.Rivals) == 0 {
			return "one PM2 daemon at most lives" + v.in(), metav1.ConditionFalse
		}
		return fmt.Sprintf("PM2 in %s is daemon %d; beside it lives another one of the same home: %d. What that one runs cannot be seen or steered",
			v.process.Home, v.process.DaemonPID, v.process.Rivals[0]), metav1.ConditionTrue
	},
}

// warnRow: to restart all for the sake of one would take down those that serve.
var warnRow = Warning{
	Reason: "RowFails", Sees: "PM2 has given up on one of several rows of the name, or starts it again and again, while others run", Blame: v1alpha1.BlameApp,
	Next: []string{"see why it dies: pm2 logs {name} --err --lines 50", "one too many? pm2 delete {rows}; else start it again by its id: pm2 restart {rows}"},
	stands: func(v *view) (string, metav1.ConditionStatus) {
		if !v.asked {
			return v.manager() + " could not be asked", metav1.ConditionUnknown
		}
		of := fmt.Sprintf("of the %d rows of %q", len(v.process.Rows), v.name())
		if down := v.givenUp(); v.running && len(down) > 0 {
			return fmt.Sprintf("%s has given up on %d %s (id %s); the others run", v.manager(), len(down), of, strings.Join(down, ", ")), metav1.ConditionTrue
		}
		if again := v.startedAgain(); v.answers() && len(again) > 0 && len(again) < len(v.process.Rows) {
			return fmt.Sprintf("%s starts %d %s (id %s) again and again; the others run", v.manager(), len(again), of, strings.Join(again, ", ")), metav1.ConditionTrue
		}
		return "none of its rows fails beside others that run", metav1.ConditionFalse
	},
}

var warnKilled = Warning{
	Reason: "KilledForMemory", Blame: v1alpha1.BlameMemory,
	Sees: "the kernel has killed a process of the application for want of memory; or, where its words may be read by root only, one was ended by SIGKILL as the kernel killed one",
	Next: []string{"see it: journalctl -k | grep -i 'killed process'", "see who uses memory: ps -eo pid,user,rss,comm --sort=-rss | head"},
	stands: func(v *view) (string, metav1.ConditionStatus) {
		// Where nothing was killed, as nearly always, this costs no more than one fact of each look.
		var last *facts.Host
		from := 0
		for n := len(v.c.Recent) - 1; n >= 0 && last == nil; n-- {
			h, ok := facts.Of[facts.Host](&v.c.Recent[n], v1alpha1.CheckHost)
			if ok && h.Killed > 0 && (h.KilledApp || h.MayBeApp) {
				last, from = &h, n
			}
		}
		killed := 0
		for n := from; n < len(v.c.Recent) && last != nil; n++ {
			p, _ := facts.Of[facts.Process](&v.c.Recent[n], v1alpha1.CheckProcess)
			killed = max(killed, p.Killed)
		}
		const rootOnly = "the kernel's own words of that may be read by root only"
		switch {
		case last == nil:
			return "", metav1.ConditionFalse
		case last.KilledApp:
			return "a process of the application was killed for want of memory: " + last.Line, metav1.ConditionTrue
		case killed > 0:
			return "a process of the application was killed (SIGKILL) as the kernel killed one for want of memory, so probably that one; " + rootOnly,
				metav1.ConditionTrue
		}
		return "a process of the application ended as the kernel killed one for want of memory, which may have been another; " + rootOnly,
			metav1.ConditionUnknown
	},
}

var warnBuild = Warning{
	Reason: "BuildIncomplete", Blame: v1alpha1.BlameConfig,
	Sees: "the application answers, its build output is not complete, and no deploy is at work: a restart would bring it down",
	Next: []string{"build anew before anything restarts it: cd {directory} && npm run build"},
	stands: func(v *view) (string, metav1.ConditionStatus) {
		known := v.c.Record.Learned != nil && v.c.Record.Learned.BuildSeen
		switch {
		case v.build.Kind == "" || v.deployLately() != "":
			return "", metav1.ConditionUnknown
		case v.build.Present || !known || !v.answers():
			return "", metav1.ConditionFalse
		}
		return "the application answers, but its build output is not complete (" + v.build.Missing + v.build.Broken +
			"): the next restart would bring it down", metav1.ConditionTrue
	},
}

// certificateWarning says how the certificate stands that is shown in public.
func certificateWarning(v *view) (string, metav1.ConditionStatus) {
	if v.c.App.Spec.Checks.Public.URL == "" {
		return "", metav1.ConditionFalse
	}
	c := v.public.Certificate
	if v.latest.Status(v1alpha1.CheckPublic) != metav1.ConditionTrue {
		return "", metav1.ConditionUnknown // what is wrong now is told as that
	}
	if c == nil || !c.Expiring(v.c.Now.Wall.Time, v.c.App.Spec.Checks.Public.CertificateWarning.Duration) {
		return "", metav1.ConditionFalse
	}
	text := fmt.Sprintf("the certificate of %s expires on %s", v.public.URL, c.NotAfter.UTC().Format("2006-01-02 15:04 MST"))
	if f := c.File; f != nil && f.Newer {
		text += fmt.Sprintf("; %s is a newer one, good until %s, and is not loaded", f.Path, f.NotAfter.UTC().Format(time.DateOnly))
	}
	return text, metav1.ConditionTrue
}
