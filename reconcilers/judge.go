package reconcilers

import (
	"cmp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/checks"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/recovery"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"github.com/evenkeel/evenkeel/reconcilers/verdict"
)

// Judge is the pure half of the domain.
type Judge struct {
	// Marks makes what is remembered of URLs.
	Marks facts.Marker
}

var _ pass.Judge = Judge{}

// Checks lists the checks of an App, sorted by name.
func (Judge) Checks(app *v1alpha1.App) []pass.Check {
	var list []pass.Check
	for _, name := range checks.Enabled(app) {
		list = append(list, pass.Check{Name: name, Interval: checks.Interval(app, name)})
	}
	slices.SortFunc(list, func(a, b pass.Check) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Diagnose says who is to blame.
func (Judge) Diagnose(c *pass.Case) v1alpha1.Verdict { return verdict.Diagnose(c) }

// Warn says what is well now and will not stay so.
func (Judge) Warn(c *pass.Case) []pass.Warning { return verdict.Warn(c) }

// Plan gives the plan for a verdict; after a plain plan that did not bring the application up, the clean one, whoever asked
// for the recovery.
func (Judge) Plan(_ *pass.Case, v *v1alpha1.Verdict, failed *v1alpha1.Recovery) (pass.Plan, bool) {
	switch {
	case failed == nil && v.Plan == verdict.PlanClean:
		return pass.Plan{Name: verdict.PlanClean, Steps: recovery.Clean()}, true
	case failed == nil:
		return pass.Plan{Name: verdict.PlanPlain, Steps: recovery.Plain()}, true
	case failed.Plan == verdict.PlanPlain:
		return pass.Plan{
			Name: verdict.PlanClean, Steps: recovery.Clean(), Blame: v1alpha1.BlameCache, Reason: "PlainStartFailed",
		}, true
	}
	return pass.Plan{}, false
}

// Step tells what the engine must know of a step.
func (Judge) Step(app *v1alpha1.App, name string) pass.StepTraits { return recovery.Traits(app, name) }

// marksKept bounds how many marks are remembered beside those of the rows that there are.
const marksKept = 16

// Learn gives what is to be remembered after the newest observation.
func (j Judge) Learn(c *pass.Case) v1alpha1.Learned {
	var l v1alpha1.Learned
	if c.Record.Learned != nil {
		l = *c.Record.Learned.DeepCopy()
	}
	latest := c.Latest()
	process, _ := facts.Of[facts.Process](latest, v1alpha1.CheckProcess)
	if process.Life != "" {
		l.Incarnation = process.Life
		if process.Answered {
			l.Answered = process.Life
		}
	}
	l.Fault = verdict.LearnFault(c)
	learnMarks(c, &l, &process)
	learnListened(c, &l, process.Life)
	learnMet(c, &l)
	learnMemory(c, &l, process.Age)
	if build, _ := facts.Of[facts.Build](latest, v1alpha1.CheckBuild); build.Kind != "" && build.Present {
		l.BuildSeen = true
	}
	for _, kept := range []*string{&l.PublicGreenURL, &l.ProxyHereURL} {
		switch { // older versions wrote the URL itself, or its hash
		case j.Marks.Is(*kept, c.App.Spec.Checks.Public.URL):
			*kept = j.Marks.Mark(c.App.Spec.Checks.Public.URL)
		case !facts.IsMark(*kept):
			*kept = ""
		}
	}
	if url := j.Marks.Mark(c.App.Spec.Checks.Public.URL); latest.Status(v1alpha1.CheckPublic) == metav1.ConditionTrue {
		l.PublicGreenURL = url
		public, _ := facts.Of[facts.Public](latest, v1alpha1.CheckPublic)
		switch {
		case public.Here == facts.HereYes:
			l.ProxyHereURL = url
		case public.Here == facts.HereNo && l.ProxyHereURL == url:
			l.ProxyHereURL = ""
		}
	}
	return l
}

// learnMarks keeps the marks that the runtime gives to the application; those of another name or home are forgotten.
func learnMarks(c *pass.Case, l *v1alpha1.Learned, process *facts.Process) {
	name := runtime.NameOf(c.App)
	if l.MarksOf != name || process.Home != "" && l.MarksIn != process.Home {
		l.Marks = nil
	}
	l.MarksOf = name
	if process.Home != "" {
		l.MarksIn = process.Home
	}
	for _, row := range process.Rows {
		if row.Mark != "" && !slices.Contains(l.Marks, row.Mark) {
			l.Marks = append(l.Marks, row.Mark)
		}
	}
	if over := len(l.Marks) - marksKept - len(process.Rows); over > 0 {
		l.Marks = l.Marks[over:]
	}
}

// portsKept bounds how many ports are remembered that the application opens beside its own.
const portsKept = 8

// learnListened keeps the life that has listened on the application's port, and what else it has opened.
func learnListened(c *pass.Case, l *v1alpha1.Learned, life string) {
	port, _ := facts.Of[facts.Port](c.Latest(), v1alpha1.CheckPort)
	if _, ours := port.By(facts.Ours); !ours || life == "" {
		return
	}
	if l.Listened == nil || l.Listened.Incarnation != life || l.Listened.Port != port.Port {
		l.Listened = &v1alpha1.Listened{Port: port.Port, Incarnation: life}
	}
	for _, at := range port.Elsewhere {
		if len(l.Listened.Beside) < portsKept && !slices.Contains(l.Listened.Beside, at.Port) {
			l.Listened.Beside = append(l.Listened.Beside, at.Port)
		}
	}
}

// learnMet keeps that what is expected of the application's answer was there; what a stranger answers proves nothing.
func learnMet(c *pass.Case, l *v1alpha1.Learned) {
	latest := c.Latest()
	local, _ := facts.Of[facts.HTTP](latest, v1alpha1.CheckLocal)
	port, _ := facts.Of[facts.Port](latest, v1alpha1.CheckPort)
	if _, stranger := port.By(facts.Stranger); !stranger && local.Wants != "" && latest.Status(v1alpha1.CheckLocal) == metav1.ConditionTrue {
		l.LocalMet = local.Wants
	}
}

// learnMemory keeps since when memory is low, and the normal size of the application and of everything else. Low memory is over at
// one and a half times what is wanted, so that it does not come and go at the edge; a new life of the application begins with a
// clean slate as soon as there is enough. Where everything else shrinks by what is wanted, its smaller size is the normal one: a
// program that had memory while the application settled, and comes back for it, has grown.
func learnMemory(c *pass.Case, l *v1alpha1.Learned, age time.Duration) {
	latest := c.Latest()
	m, ok := facts.Of[facts.Memory](latest, v1alpha1.CheckMemory)
	if !ok || latest.Status(v1alpha1.CheckMemory) == metav1.ConditionUnknown {
		return
	}
	newLife := l.Baseline == nil || l.Baseline.Incarnation != m.Life // it has none of its own yet
	low := m.Available < m.Wanted || m.Stalled >= facts.StalledLow
	switch {
	case low && l.LowMemorySince == nil:
		now := c.Now
		l.LowMemorySince = &now
	case !low && (newLife || m.Available >= m.Clears()):
		l.LowMemorySince = nil
	}
	if m.Life != "" {
		learnBaseline(l, &m, age >= c.App.Spec.Checks.Memory.BaselineAfter.Duration, latest.Status(v1alpha1.CheckLocal) == metav1.ConditionTrue)
	}
}

// learnBaseline keeps the normal size of the application and of everything else, of one life of the application.
func learnBaseline(l *v1alpha1.Learned, m *facts.Memory, settled, answers bool) {
	enough := l.LowMemorySince == nil
	switch b := l.Baseline; {
	case b == nil || b.Incarnation != m.Life:
		if !settled && !answers {
			return
		}
	case settled && (!b.Settled || b.Rest == 0 && enough): // both are taken anew once there is enough
	case m.Rest() < b.Rest-m.Wanted:
		lower := *b
		lower.Rest = max(m.Rest(), 1)
		l.Baseline = &lower
		return
	default:
		return
	}
	l.Baseline = &v1alpha1.Baseline{Incarnation: m.Life, Bytes: m.Tree, Settled: settled}
	if enough { // what everything else uses while memory is low is not its normal use
		l.Baseline.Rest = m.Rest()
	}
}
