package verdict

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

func (v *view) name() string { return runtime.NameOf(v.c.App) }

// manager names the process manager.
func (v *view) manager() string { return v.c.App.Spec.Runtime.Manager() }

// settle is how long a process that is gone must stay gone before nobody is taken to bring it back.
func (v *view) settle() time.Duration {
	if v.process.Runtime == v1alpha1.RuntimeExec {
		return 0
	}
	return settleTime
}

// logs are the commands that show what the application wrote: all of it, and its errors.
func (v *view) logs() (all, errors string) {
	spec := &v.c.App.Spec.Runtime
	switch {
	case spec.PM2 != nil:
		all = "pm2 logs " + v.name()
		return all + " --lines 50", all + " --err --lines 50"
	case spec.Systemd != nil && v.process.Output == "":
		all = spec.Systemd.Program("journalctl") + " -n 50 -u " + v.name()
		return all, all
	}
	all = "tail -n 50 " + v.process.Output
	return all, all
}

// list is the command that shows how the application's process is.
func (v *view) list() string {
	spec := &v.c.App.Spec.Runtime
	switch {
	case spec.PM2 != nil:
		return "pm2 ls"
	case spec.Systemd != nil:
		return spec.Systemd.Program("systemctl") + " status " + v.name()
	}
	return "evenkeel status " + v.c.App.Name
}

// start is the command by which an operator starts the application.
func (v *view) start() string {
	if systemd := v.c.App.Spec.Runtime.Systemd; systemd != nil {
		return systemd.Program("systemctl") + " start " + systemd.Unit
	}
	return "pm2 start " + v.name()
}

// in says where the process manager was asked, if it has such a place.
func (v *view) in() string {
	if v.process.Home == "" {
		return ""
	}
	return " in " + v.process.Home
}

// crashLoop says that the application comes and goes. While a stranger has its port, or its build is missing, and a while
// after, the comings and goings are not its own doing.
func (v *view) crashLoop() bool {
	spoiledLately := func() bool {
		return slices.ContainsFunc(v.c.Recent, func(o v1alpha1.Observation) bool { return v.spoiledIn(&o) })
	}
	return v.lives() >= crashLives || (v.process.Crashes >= crashExits && !spoiledLately())
}

// spoiledIn says that a life of the application that was seen then could come to nothing, whatever it did.
func (v *view) spoiledIn(o *v1alpha1.Observation) bool {
	if strangerIn(o) {
		return true
	}
	build, _ := facts.Of[facts.Build](o, v1alpha1.CheckBuild)
	if build.Kind == "" || build.Present {
		return false
	}
	process, _ := facts.Of[facts.Process](o, v1alpha1.CheckProcess)
	return v.builtBefore() || slices.Contains(process.Signs, facts.SignBuildMissing)
}

// builtBefore says that a finished build was seen once, so that one that is missing now is missed.
func (v *view) builtBefore() bool {
	return v.c.Record.Learned != nil && v.c.Record.Learned.BuildSeen
}

func strangerIn(o *v1alpha1.Observation) bool {
	p, _ := facts.Of[facts.Port](o, v1alpha1.CheckPort)
	_, held := p.By(facts.Stranger)
	return held
}

// runElsewhere says that something answers on the port, and that the process manager that was asked has nothing of the
// application: no row of it, and, where it does not run itself, no memory of one either. Then it was probably the wrong one
// that was asked.
func (v *view) runElsewhere() bool {
	known := v.c.Record.Learned != nil && len(v.c.Record.Learned.Marks) > 0
	return len(v.process.Rows) == 0 && v.answers() && notRunning(v) && (v.process.Daemon || !known)
}

// young says that the process is not believed yet, because so many before it have come and gone.
func (v *view) young() bool {
	r, _ := v.latest.Result(v1alpha1.CheckProcess)
	return r.Status == metav1.ConditionFalse && r.Reason == facts.ReasonCrashLoop
}

// answeredLives counts the lives of the application that were seen to answer. While somebody else has its port, it is he
// who answers.
func (v *view) answeredLives() int {
	seen := sets.New[string]()
	for _, o := range v.sinceRecovery() {
		p, _ := facts.Of[facts.Process](&o, v1alpha1.CheckProcess)
		if p.Life != "" && answersIn(&o) && o.Status(v1alpha1.CheckPort) != metav1.ConditionFalse {
			seen.Insert(p.Life)
		}
	}
	return seen.Len()
}

// grewByWhatIsMissing says that the application's own growth explains why memory is low: without it there would be enough,
// and everything else has grown by no more. Once it was low, what is missing is what lacks for that to be over. Memory that
// stalls although enough is available is explained only by one that has also outgrown everybody else.
func (v *view) grewByWhatIsMissing(grown int64) bool {
	m := &v.memory
	switch {
	case !v.grewMost(grown):
		return false
	case m.Available < m.Wanted:
		return grown >= m.Wanted-m.Available
	case m.Stalled >= facts.StalledLow:
		return grown >= m.Wanted && m.Tree > m.HogBytes
	}
	return grown >= m.Clears()-m.Available
}

// grewMost says that everything else together has grown by no more than the application. Where that is not known, the
// application has to be larger than any other process.
func (v *view) grewMost(grown int64) bool {
	if rest, known := v.restGrown(); known {
		return grown >= rest
	}
	return v.memory.Tree > v.memory.HogBytes
}

// deployMemory is for how long a deploy counts after it was last seen at work: one command of it may have ended, and the
// next not yet begun. Where a finished build is there, little is left to come.
const deployMemory, deployMemoryBuilt = 30 * time.Second, 10 * time.Second

// deployLately names the deploy that is at work, or was a moment ago; it is empty where there is none.
func (v *view) deployLately() string {
	memory := deployMemory
	if v.build.Kind != "" && v.build.Present {
		memory = deployMemoryBuilt
	}
	for n := len(v.c.Recent) - 1; n >= 0; n-- {
		o := &v.c.Recent[n]
		r, _ := o.Result(v1alpha1.CheckDeploy)
		if v.c.Now.Since(r.At) > memory {
			continue
		}
		if d, _ := facts.Of[facts.Deploy](o, v1alpha1.CheckDeploy); len(d.AtWork) > 0 {
			return cmp.Or(d.AtWork[0].What, "something is at work there")
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

func outcome(h *facts.HTTP) string {
	if h.Class == facts.Answered {
		text := "answered " + strconv.Itoa(h.Status)
		switch {
		case h.Page == facts.PageNginxDefault:
			text += " with the page that Nginx comes with"
		case h.Unmet != "":
			text += ", but " + h.Unmet
		}
		return text
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
	if since := l.Since.Round(time.Second); since != 0 {
		s += ", running for " + since.String()
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
	public, host, at := "", "", ""
	if u, err := url.Parse(v.c.App.Spec.Checks.Public.URL); err == nil {
		public, host = u.Scheme+"://"+u.Host+u.Path, u.Hostname() // without user, password and query
		if at = u.Host; u.Port() == "" {
			at = net.JoinHostPort(host, "443")
		}
	}
	log, errors := v.logs()
	envFile := ".env"
	if d := v.c.App.Spec.Checks.Database; d != nil && d.EnvFile != "" {
		envFile = d.EnvFile
	}
	if !filepath.IsAbs(envFile) {
		envFile = filepath.Join(v.c.App.Spec.Directory, envFile)
	}
	elsewhere := ""
	if list := v.elsewhere(); len(list) > 0 {
		elsewhere = strconv.Itoa(int(list[0].Port))
	}
	rival := ""
	if l, _ := v.port.By(facts.OurOrphan); l.Under != 0 {
		rival = strconv.Itoa(l.Under)
	} else if len(v.process.Rivals) > 0 {
		rival = strconv.Itoa(v.process.Rivals[0])
	}
	rows := v.givenUp()
	if len(rows) == 0 {
		rows = v.startedAgain()
	}
	fill := strings.NewReplacer(append(v.databaseWords(),
		"{local}", v.local.URL, "{rival}", rival, "{elsewhere}", elsewhere, "{rows}", strings.Join(rows, " "),
		"{log}", log, "{errors}", errors, "{list}", v.list(), "{start}", v.start(),
		"{app}", v.c.App.Name, "{name}", v.name(), "{port}", strconv.Itoa(int(v.c.App.Spec.Port)), "{home}", v.process.Home,
		"{directory}", v.c.App.Spec.Directory, "{url}", public, "{host}", host, "{at}", at, "{deploy}", deploy,
		"{volume}", v.volume(), "{pid}", strconv.Itoa(v.mainPID()), "{envFile}", envFile, "{missing}", strings.Join(v.database.Missing, ", "),
	)...)
	out := make([]string, len(hints))
	for n, h := range hints {
		out[n] = fill.Replace(h)
	}
	return out
}
