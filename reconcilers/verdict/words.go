package verdict

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

func (v *view) name() string {
	if pm2 := v.c.App.Spec.Runtime.PM2; pm2 != nil {
		return pm2.Process
	}
	return v.c.App.Name
}

// crashLoop says that the application comes and goes. While a stranger has its port, and a while after, the comings and
// goings are the stranger's doing.
func (v *view) crashLoop() bool {
	return v.lives() >= crashLives || (v.process.Crashes >= crashExits && !v.strangerLately())
}

// strangerLately says that a stranger was seen on the port in one of the recent looks.
func (v *view) strangerLately() bool {
	return slices.ContainsFunc(v.c.Recent, func(o v1alpha1.Observation) bool { return strangerIn(&o) })
}

func strangerIn(o *v1alpha1.Observation) bool {
	p, ok := facts.Of[facts.Port](o, v1alpha1.CheckPort)
	if !ok {
		return false
	}
	_, held := p.By(facts.Stranger)
	return held
}

// young says that the process is not believed yet, because so many before it have come and gone.
func (v *view) young() bool {
	r, _ := v.latest.Result(v1alpha1.CheckProcess)
	return r.Status == metav1.ConditionFalse && r.Reason == facts.ReasonCrashLoop
}

// answeredLives counts the lives of the application that were seen to answer. While somebody else has its port, it is he
// who answers.
func (v *view) answeredLives() int {
	seen := map[string]bool{}
	for _, o := range v.sinceRecovery() {
		p, ok := facts.Of[facts.Process](&o, v1alpha1.CheckProcess)
		if ok && p.Life != "" && answersIn(&o) && o.Status(v1alpha1.CheckPort) != metav1.ConditionFalse {
			seen[p.Life] = true
		}
	}
	return len(seen)
}

// memoryOnly says that memory is low while the application answers.
func (v *view) memoryOnly() bool {
	return v.is(v1alpha1.CheckMemory, metav1.ConditionFalse) && v.lead.Status == metav1.ConditionTrue
}

// grewByWhatIsMissing says that the application's own growth explains why memory is low. Memory that stalls although
// enough is available is explained only by one that has outgrown everybody else.
func (v *view) grewByWhatIsMissing(grown int64) bool {
	if missing := v.memory.Wanted - v.memory.Available; missing > 0 {
		return grown >= missing
	}
	return v.memory.Stalled >= facts.StalledLow && grown >= v.memory.Wanted && v.memory.Tree > v.memory.HogBytes
}

// deployMemory is for how long a deploy counts after it was last seen at work: one command of it may have ended, and the
// next not yet begun.
const deployMemory = 30 * time.Second

// deployLately names the deploy that is at work, or was a moment ago; it is empty where there is none.
func (v *view) deployLately() string {
	for n := len(v.c.Recent) - 1; n >= 0; n-- {
		o := &v.c.Recent[n]
		r, ok := o.Result(v1alpha1.CheckDeploy)
		if !ok || v.c.Now.Since(r.At) > deployMemory {
			continue
		}
		if d, ok := facts.Of[facts.Deploy](o, v1alpha1.CheckDeploy); ok && len(d.AtWork) > 0 {
			return d.AtWork[0].What
		}
	}
	return ""
}

// memoryTried says that this incident has already seen a recovery because of memory: while the application answers there
// is no second one.
func (v *view) memoryTried() bool {
	i := v.c.Record.Incident
	return i != nil && slices.ContainsFunc(i.Attempts, func(a v1alpha1.Attempt) bool { return a.Reason == "AppGrew" })
}

// publicOnly says that the public check fails, with that class if one is given, while the application answers.
func (v *view) publicOnly(class facts.Class) (string, bool) {
	if !v.is(v1alpha1.CheckPublic, metav1.ConditionFalse) || v.lead.Status != metav1.ConditionTrue {
		return "", false
	}
	return "the application answers on this machine, but " + v.public.URL + " does not: " + v.message(v1alpha1.CheckPublic),
		class == "" || v.public.Class == class
}

func expected(app *v1alpha1.App, status int) bool {
	return slices.Contains(app.Spec.Checks.Public.ExpectStatus, int32(status))
}

func outcome(h *facts.HTTP) string {
	if h.Class == facts.Answered {
		return "answered " + strconv.Itoa(h.Status)
	}
	return strings.ToLower(string(h.Class)) + " (" + h.Error + ")"
}

func describe(l facts.Listener) string {
	if l.PID == 0 {
		return "a process of user " + l.User + " (its pid may not be seen by this user)"
	}
	s := fmt.Sprintf("pid %d of user %s", l.PID, l.User)
	if l.Command != "" {
		s += ", " + l.Command
	}
	if l.Folder != "" {
		s += ", in " + l.Folder
	}
	if l.Since > 0 {
		s += ", running for " + l.Since.Round(time.Second).String()
	}
	return s
}

func mib(bytes int64) string { return fmt.Sprintf("%d MiB", bytes>>20) }

// expand fills the case's own names into the hints.
func expand(hints []string, v *view) []string {
	if len(hints) == 0 {
		return nil
	}
	deploy := ""
	if len(v.deploy.AtWork) > 0 && v.deploy.AtWork[0].PID != 0 {
		deploy = strconv.Itoa(v.deploy.AtWork[0].PID)
	}
	public, host := "", ""
	if u, err := url.Parse(v.c.App.Spec.Checks.Public.URL); err == nil {
		public, host = u.Scheme+"://"+u.Host+u.Path, u.Hostname() // without user, password and query
	}
	fill := strings.NewReplacer(
		"{app}", v.c.App.Name, "{name}", v.name(), "{port}", strconv.Itoa(int(v.c.App.Spec.Port)), "{home}", v.process.Home,
		"{directory}", v.c.App.Spec.Directory, "{url}", public, "{host}", host, "{deploy}", deploy,
		"{missing}", strings.Join(v.database.Missing, ", "),
	)
	out := make([]string, len(hints))
	for n, h := range hints {
		out[n] = fill.Replace(h)
	}
	return out
}
