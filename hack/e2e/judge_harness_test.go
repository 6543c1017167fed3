//go:build e2e

package e2e

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/hack/e2e/table"
	"github.com/evenkeel/evenkeel/reconcilers/verdict"
)

// proof holds what came of a failure against its row of the table: whom evenkeel blamed, what it did and told, what became of
// the process. It is the same for the rows that the table runs and for those with a test of their own.
type proof struct {
	row   table.Row
	s     *supervisor
	in    *inbox
	who   func() []proc // the application's processes
	old   []proc
	told  int // alerts that came before
	from  time.Time
	until time.Time // the cause is gone
	past  time.Time // what came from here on is another row's; zero is never
	lasts bool      // it is judged while it lasts, so that no end was told
}

// proof begins a row, just before what it names is broken.
func (s *supervisor) proof(name string, in *inbox) *proof {
	s.Helper()
	row, ok := table.Named(name)
	if !ok {
		s.Fatalf("the table has no row %s", name)
	}
	return s.proofOf(row, in)
}

func (s *supervisor) proofOf(row table.Row, in *inbox) *proof {
	s.touches(row.Lost...)
	p := &proof{row: row, s: s, in: in, told: len(in.byProgram()), who: func() []proc { return []proc{s.site()} }}
	p.old, p.from = p.who(), time.Now()
	return p
}

// of says which processes are the application's, where it is not the one that PM2 lists.
func (p *proof) of(who func() []proc) *proof {
	p.who, p.old = who, who()
	return p
}

// lifted says that the cause goes away now: what was held was held until here.
func (p *proof) lifted() time.Time {
	p.until = time.Now()
	return p.until
}

// over says that from now on another failure is looked at, and judges this one.
func (p *proof) over() {
	p.past = time.Now()
	p.judge()
}

// events are those of the row, with one of the reasons.
func (p *proof) events(reasons ...string) []v1alpha1.Event {
	return slices.DeleteFunc(p.s.events(p.from, reasons...), func(e v1alpha1.Event) bool {
		return !p.past.IsZero() && e.Time.After(p.past)
	})
}

// judge is the verdict on the row.
func (p *proof) judge() {
	p.s.Helper()
	p.s.judged = append(p.s.judged, p.row.Name)
	p.blamed()
	recoveries := p.acted()
	want := p.row.Told()
	if recoveries > 0 && p.row.Action == table.Hold && p.row.Alerts == nil { // whose fault it is has changed, and that is told
		want = []string{want[0], "Degraded App", want[1]}
	}
	if p.lasts {
		want = want[:len(want)-1]
	}
	p.in.wantsFrom(p.s, p.told, p.row.MayHold, want...)
	now := p.who()
	slices.SortFunc(now, func(a, b proc) int { return a.PID - b.PID })
	slices.SortFunc(p.old, func(a, b proc) int { return a.PID - b.PID })
	switch same := slices.Equal(now, p.old); {
	case p.row.App == table.Kept && !same:
		p.s.Errorf("%s: the site was %v and is %v", p.row.Name, p.old, now)
	case p.row.App == table.Replaced && same:
		p.s.Errorf("%s: the site is still %v", p.row.Name, now)
	}
}

// blamed holds the first confirmed verdict against the row, and the rules that were met.
func (p *proof) blamed() {
	p.s.Helper()
	var first v1alpha1.Event
	for _, e := range p.events(v1alpha1.ReasonPhaseChanged, v1alpha1.ReasonRecoveryStarted) {
		if e.Reason == v1alpha1.ReasonRecoveryStarted || e.Phase == v1alpha1.PhaseDegraded {
			first = e
			break
		}
	}
	if first.Reason == "" { // the journal may be where nothing can be written
		for _, a := range p.in.byProgram()[p.told:] {
			if a.Kind == v1alpha1.AlertDegraded && first.Blame == "" {
				first = v1alpha1.Event{Reason: v1alpha1.ReasonAlertSent, Blame: a.Blame, Message: a.Message}
			}
		}
	}
	switch {
	case p.row.Action == table.Nothing:
		if first.Reason != "" && !slices.Contains(p.row.MayHold, first.Blame) {
			p.s.Errorf("%s: it was taken for a failure, and %s blamed: %s", p.row.Name, first.Blame, first.Message)
		}
		return
	case !slices.Contains(p.row.Blame, first.Blame):
		p.s.Errorf("%s: blamed %s, want %v: %s", p.row.Name, first.Blame, p.row.Blame, first.Message)
	}
	met := p.s.trace.rulesSince(p.from)
	for _, a := range p.in.byProgram()[p.told:] { // likewise
		for _, r := range verdict.Rules() {
			if r.Blame == a.Blame && r.Reason == a.Reason && !slices.Contains(met, r.Name) {
				met = append(met, r.Name)
			}
		}
	}
	if !slices.ContainsFunc(p.row.Rules, func(name string) bool { return slices.Contains(met, name) }) {
		p.s.Errorf("%s: the rules that were met are %v, want one of %v", p.row.Name, met, p.row.Rules)
	}
}

// acted counts the recoveries, and looks whether each had its time and its plan.
func (p *proof) acted() int {
	p.s.Helper()
	started := p.recoveries()
	if least, most := p.row.Recoveries(); len(started) < least || len(started) > most {
		p.s.Errorf("%s: %d recoveries, want %d to %d", p.row.Name, len(started), least, most)
	}
	held := p.row.Action == table.Hold || p.row.Action == table.HoldThen
	for _, e := range append(started, p.events(v1alpha1.ReasonStepStarted, v1alpha1.ReasonAttemptSpent)...) {
		switch {
		case p.row.Action == table.Nothing, held && (p.until.IsZero() || e.Time.Time.Before(p.until)):
			p.s.Errorf("%s: something was done: %s %s", p.row.Name, e.Reason, e.Message)
		case e.Reason != v1alpha1.ReasonRecoveryStarted:
		case held || p.row.Action == table.Respect:
			if e.Blame != v1alpha1.BlameApp && !slices.Contains(p.row.Blame, e.Blame) {
				p.s.Errorf("%s: the recovery blames %s: %s", p.row.Name, e.Blame, e.Message)
			}
		case !slices.Contains(p.row.Blame, e.Blame):
			p.s.Errorf("%s: the recovery blames %s, want %v: %s", p.row.Name, e.Blame, p.row.Blame, e.Message)
		}
	}
	rec := p.s.state().Recovery
	planned := p.row.Action != table.GiveUp && p.row.Action != table.Hold
	if p.past.IsZero() && len(started) > 0 && planned && (rec == nil || (p.row.Action == table.Clean) != (rec.Plan == "Clean")) {
		p.s.Errorf("%s: recovery %+v, want a %s", p.row.Name, rec, p.row.Action)
	}
	failed := slices.ContainsFunc(p.events(v1alpha1.ReasonPhaseChanged), func(e v1alpha1.Event) bool { return e.Phase == v1alpha1.PhaseFailed })
	if failed != (p.row.Action == table.GiveUp) {
		p.s.Errorf("%s: Failed was reached: %t", p.row.Name, failed)
	}
	return len(started)
}

// recoveries are the events of their beginnings; of those that the state holds and the journal does not, since nothing could be
// written then, they are made.
func (p *proof) recoveries() []v1alpha1.Event {
	list, st := p.events(v1alpha1.ReasonRecoveryStarted), p.s.state()
	if len(list) > 0 || !p.past.IsZero() || st.Incident == nil || st.Recovery == nil {
		return list
	}
	for _, a := range st.Incident.Attempts {
		if !a.StartedAt.Wall.Time.Before(p.from) {
			list = append(list, v1alpha1.Event{
				Time: metav1.NewMicroTime(a.StartedAt.Wall.Time), Reason: v1alpha1.ReasonRecoveryStarted, Blame: st.Recovery.Blame, Message: a.Message,
			})
		}
	}
	return list
}

// reasons are those of the row's rules.
func reasons(row table.Row) (list []string) {
	for _, r := range verdict.Rules() {
		if slices.Contains(row.Rules, r.Name) {
			list = append(list, r.Reason)
		}
	}
	return list
}

// unjudged are the rows that a test is to prove, and has not.
func (w *world) unjudged(test string) (names []string) {
	for _, r := range table.ProvenBy(test) {
		if !slices.Contains(w.judged, r.Name) {
			names = append(names, r.Name)
		}
	}
	return names
}

// wantsFrom is wants for the alerts that came after the first ones. Those that blame one of may are no matter.
func (in *inbox) wantsFrom(s *supervisor, from int, may []v1alpha1.Blame, want ...string) {
	in.w.Helper()
	rest := func(list []v1alpha1.Alert) []string {
		return words(slices.DeleteFunc(list[min(from, len(list)):], func(a v1alpha1.Alert) bool { return slices.Contains(may, a.Blame) }))
	}
	in.w.within(15*time.Second, func() (string, bool) {
		return "", len(rest(in.byProgram())) >= len(want) && len(rest(in.byWebhook())) >= len(want)
	})
	for way, got := range map[string][]string{"program": rest(in.byProgram()), "webhook": rest(in.byWebhook())} {
		if !slices.Equal(got, want) {
			in.w.Errorf("alerts by the %s: %q, want %q", way, got, want)
		}
	}
	for _, a := range in.byProgram() {
		warning := a.Kind == v1alpha1.AlertWarning || a.Kind == v1alpha1.AlertWarningOver // which belongs to no incident
		if a.App != s.App || a.Message == "" || (a.Incident == 0) != warning && a.Kind != v1alpha1.AlertStateNotPersisted {
			in.w.Errorf("an alert says too little: %+v", a)
		}
	}
}

// wants says which alerts must have come, by both ways, and no others.
func (in *inbox) wants(s *supervisor, want ...string) {
	in.w.Helper()
	in.wantsFrom(s, 0, nil, want...)
}

// rulesSince are the rules of the verdicts that stood since a moment, in the order in which they came up.
func (tr *passTrace) rulesSince(t time.Time) (names []string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, r := range tr.rules {
		if !r.at.Before(t) && !slices.Contains(names, r.name) {
			names = append(names, r.name)
		}
	}
	return names
}
