//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

func init() {
	register(testCase{Name: "kill9-once", Seconds: 12, Run: testKillOnce})
	register(testCase{Name: "transients", Seconds: 50, Run: testTransients})
	register(testCase{Name: "transients-at-defaults", Seconds: 310, Run: testTransientsAtDefaults})
	register(testCase{Name: "memory-hog", Seconds: 20, Run: testMemoryHog})
	register(testCase{Name: "stranger-other-user", Seconds: 30, Run: func(w *world) { testStranger(w, "stranger", "port-stranger", "other") }})
	register(testCase{Name: "stranger-same-user", Seconds: 30, Run: func(w *world) { testStranger(w, "stranger-of-same-user", "port-stranger-same-user", "deploy") }})
	register(testCase{Name: "deploy", Seconds: 35, Run: testDeploy})
	register(testCase{Name: "deploy-takes-it-down", Seconds: 70, Run: testDeployTakesItDown})
}

// did are the events that must not be there where nothing was to be done.
func (s *supervisor) did(since time.Time) []v1alpha1.Event {
	return s.events(since, v1alpha1.ReasonPhaseChanged, v1alpha1.ReasonRecoveryStarted, v1alpha1.ReasonStepStarted,
		v1alpha1.ReasonAttemptSpent, v1alpha1.ReasonAlertSent, v1alpha1.ReasonAlertFailed)
}

// costNothing says that nothing has happened since a moment: no phase change, no attempt, no alert but for those named.
func (s *supervisor) costNothing(in *inbox, since time.Time, told ...string) {
	s.Helper()
	for _, e := range s.did(since) {
		if len(told) == 0 || e.Reason != v1alpha1.ReasonAlertSent {
			s.Errorf("it cost something: %s %s", e.Reason, e.Message)
		}
	}
	if st := s.state(); st.Phase != v1alpha1.PhaseHealthy || st.Incident != nil || st.Recovery != nil {
		s.Errorf("the state file holds phase %s, incident %v, recovery %v", st.Phase, st.Incident, st.Recovery)
	}
	in.wants(s, told...)
}

// testKillOnce looks five times as often as it would have to: PM2 mends it, and it costs nothing.
func testKillOnce(w *world) {
	d := w.reference().Set("spec.interval", "400ms")
	in := w.inbox(d)
	s := w.supervise(d)
	old := w.mustSite()
	p := s.proof("kill9-once", in)
	t0 := w.fault("kill9")
	back := w.eventually(20*time.Second, "the site's next process answers", func() (string, bool) {
		now, code := w.site(), w.public()
		return fmt.Sprintf("%s %d", now, code), now.PID != 0 && now != old && code == http.StatusOK
	})
	site := w.mustSite()
	s.waitPasses(15, 30*time.Second)
	s.costNothing(in, t0)
	p.judge()
	if now := w.site(); now != site {
		w.Errorf("the site was %s when PM2 had mended it, and is %s", site, now)
	}
	if row := w.pm2Row("bbyatch"); row.Env.RestartTime != 1 {
		w.Errorf("PM2 counts %d restarts, want its own one", row.Env.RestartTime)
	}
	seen := 0
	for _, o := range s.trace.since(t0) {
		if !o.Holds() {
			seen++
		}
	}
	w.measure.add("PM2 took %.1f s; %d passes saw it", back.Sub(t0).Seconds(), seen)
	if seen == 0 {
		w.Error("no pass has seen the site away: the test proves nothing")
	}
	s.waitHealthy(10 * time.Second)
}

// transient is a short trouble that must cost nothing.
type transient struct {
	fault []string
	// seen says that a pass has met it.
	seen func(o v1alpha1.Observation) bool
}

func localTook(least time.Duration) func(o v1alpha1.Observation) bool {
	return func(o v1alpha1.Observation) bool {
		for _, name := range []string{v1alpha1.CheckLocal, v1alpha1.CheckPublic} { // a late answer may go to either
			if r, _ := o.Result(name); r.Took.Duration >= least {
				return true
			}
		}
		return false
	}
}

var transients = []transient{
	{[]string{"slow-once", "3000"}, localTook(2500 * time.Millisecond)},
	{[]string{"pause-3s"}, localTook(time.Second)},
	{[]string{"http-500-3s"}, func(o v1alpha1.Observation) bool { return o.Status(v1alpha1.CheckLocal) == metav1.ConditionFalse }},
}

// testTransients has the default settings where they decide (timeouts, three failures in a row, 5 s between a failure and
// the next look), and looks ten times as often, which is stricter.
func testTransients(w *world) {
	meetTransients(w, w.defaults().Set("spec.interval", "6s").Set("spec.confirmInterval", "5s"), 6*time.Second)
}

func testTransientsAtDefaults(w *world) { meetTransients(w, w.defaults(), time.Minute) }

// meetTransients injects each trouble just before a pass is due, so that the pass meets it.
func meetTransients(w *world, d *desired, interval time.Duration) {
	in := w.inbox(d)
	began := time.Now()
	s := w.supervise(d)
	p := s.proof("short-trouble", in)
	for _, tr := range transients {
		met := false
		for try := 0; try < 3 && !met; try++ {
			last := s.pass().At
			w.eventually(2*interval+30*time.Second, "a pass is nearly due", func() (string, bool) {
				at := s.pass()
				if at.Holds() {
					last = at.At
				}
				return "", at.Holds() && time.Since(last.Wall.Time) > interval-800*time.Millisecond
			})
			t0 := w.fault(tr.fault...)
			// what is met must have ended at the next look but one
			w.eventually(2*interval+40*time.Second, "a pass that holds, behind the trouble", func() (string, bool) {
				for _, o := range s.trace.since(t0) {
					met = met || tr.seen(o)
				}
				return s.summary(), s.pass().Holds() && s.pass().At.Wall.After(t0.Add(3500*time.Millisecond))
			})
			w.note("%s: met by a pass: %v", tr.fault[0], met)
		}
		if !met {
			w.Errorf("no pass has met %s: the test proves nothing", tr.fault[0])
		}
		w.measure.add("%s met", tr.fault[0])
	}
	s.costNothing(in, began)
	p.judge()
}

// testMemoryHog has the machine short of memory that the site did not take.
func testMemoryHog(w *world) {
	d := w.reference()
	in := w.inbox(d)
	s := w.supervise(d)
	w.settled(s)
	p := s.proof("memory-hog", in)
	t0 := w.fault("memory-low", "60")
	degraded := s.waitPhase(30*time.Second, t0, v1alpha1.PhaseDegraded)
	s.waitPasses(4, 30*time.Second)
	if v := s.state().Verdict; v == nil || !slices.Contains(p.row.Rules, v.Rule) {
		w.Errorf("verdict: %s", s.summary())
	} else if !strings.Contains(v.Message, "pid") {
		w.Errorf("nobody is named: %s", v.Message)
	}
	in.wants(s, p.row.Told()[:1]...)
	p.lifted()
	w.clear("memory-low")
	s.waitPhase(30*time.Second, t0, v1alpha1.PhaseHealthy)
	w.measure.times(t0, firstFailure(s, t0), degraded.Time.Time, t0)
	p.judge()
}

// testStranger has somebody else on the port, who answers 200 there.
func testStranger(w *world, name, fault, owner string) {
	d := w.reference()
	in := w.inbox(d)
	s := w.supervise(d)
	p := s.proof(name, in)
	t0 := w.fault(fault)
	stranger := procOf(pidIn(w.dirOf("run", "stranger")))
	w.eventually(10*time.Second, "the stranger's 200 on the port", func() (string, bool) {
		code := w.local()
		return fmt.Sprintf("%s %d", stranger, code), stranger.alive() && code == http.StatusOK
	})
	held := s.waitEvent(40*time.Second, t0, "a verdict on the stranger", func(e v1alpha1.Event) bool {
		return e.Reason == v1alpha1.ReasonPhaseChanged && e.Phase == v1alpha1.PhaseDegraded
	})
	mark := time.Now()
	s.waitPasses(6, time.Minute)
	st := s.state()
	v := st.Verdict
	if st.Phase != v1alpha1.PhaseDegraded || v == nil || !slices.Contains(p.row.Rules, v.Rule) || v.Remedy != v1alpha1.RemedyHold {
		w.Errorf("held for a stranger? %s", s.summary())
	} else {
		w.note("named: %s", v.Message)
		want := []string{"user " + owner}
		if owner == "deploy" { // as far as deploy may see
			want = append(want, "pid "+itoa(stranger.PID), "node", "/home/deploy/stray")
		}
		for _, text := range want {
			if !strings.Contains(v.Message, text) {
				w.Errorf("the stranger is not named by %q: %s", text, v.Message)
			}
		}
	}
	// a stranger's 200 is not health
	for _, o := range s.trace.since(mark) {
		if o.Holds() {
			w.Errorf("a pass takes the stranger's answer for health: %+v", o)
		}
		if o.Status(v1alpha1.CheckPort) != metav1.ConditionFalse {
			r, _ := o.Result(v1alpha1.CheckPort)
			w.Errorf("port is %s while a stranger has it: %s", r.Status, r.Message)
		}
	}
	in.wants(s, p.row.Told()[:1]...)
	if !stranger.alive() {
		w.Error("the stranger was ended")
	}

	// PM2 may have given up in the meantime, or try on; in either case the site is back within two passes and a start.
	row := w.pm2Row("bbyatch")
	t1 := p.lifted()
	w.clear(fault)
	back := w.eventually(40*time.Second, "200 through Nginx from the site itself", func() (string, bool) {
		now, code := w.site(), w.public()
		return fmt.Sprintf("site %s, public %d; %s", now, code, s.summary()), code == http.StatusOK && now.PID != 0
	})
	s.waitPhase(60*time.Second, t1, v1alpha1.PhaseHealthy)
	s.waitHealthy(20 * time.Second)
	ours := s.events(t1, v1alpha1.ReasonRecoveryStarted)
	w.measure.times(t0, firstFailure(s, t0), held.Time.Time, t0)
	w.measure.add("200 %.1f s after the stranger left; PM2 was %q after %d restarts; %d recoveries", back.Sub(t1).Seconds(),
		row.Env.Status, row.Env.RestartTime, len(ours))
	const start = 5 * time.Second
	if took := back.Sub(t1); took > 2*testInterval+start+noise/2 {
		w.Errorf("back %s after the stranger had left; two passes are %s and a start at most %s", took, 2*testInterval, start)
	}
	if row.Env.Status == "errored" {
		if len(ours) != 1 || ours[0].Time.Sub(t1) > 2*testInterval+noise/2 {
			w.Errorf("PM2 had given up, so that evenkeel was to start the site within two passes: %v", ours)
		}
	} else if len(ours) > 0 {
		w.Errorf("PM2 brings it back by itself, and evenkeel acted: %s", ours[0].Message)
	}
	p.judge()
}

// atWork says what the deploy check of a pass has found.
func atWork(o v1alpha1.Observation) string {
	f, ok := facts.Of[facts.Deploy](&o, v1alpha1.CheckDeploy)
	if !ok || len(f.AtWork) == 0 {
		return ""
	}
	return f.AtWork[0].What
}

// deployOver tells whether the deploy of the stack has ended.
func (w *world) deployOver() bool { return procOf(pidIn(w.dirOf("run", "deployer"))).PID == 0 }

// testDeploy lets a whole deploy pass, with the restart at its end: it is seen, and nothing is done. What is held while it
// is at work is shown by testDeployTakesItDown; here the site may well answer all the time.
func testDeploy(w *world) {
	d := w.reference().Set("spec.interval", "1s")
	in := w.inbox(d)
	s := w.supervise(d)
	p := s.proof("deploy", in)
	t0 := w.fault("deploy", "restart")
	over := w.eventually(5*time.Minute, "the end of the deploy", func() (string, bool) { return s.summary(), w.deployOver() })
	s.waitPasses(4, 30*time.Second)
	seen, held := map[string]int{}, 0
	for _, o := range s.trace.since(t0) {
		if what := atWork(o); what != "" && o.At.Wall.Time.Before(over) {
			seen[what]++
			if !o.Holds() {
				held++
			}
		}
	}
	text, _ := json.Marshal(seen)
	w.measure.add("the deploy took %.0f s; passes saw %s, %d of them with something wrong", over.Sub(t0).Seconds(), text, held)
	if len(seen) < 2 {
		w.Errorf("the deploy was seen as %s; want both the install and the build", text)
	}
	s.waitHealthy(30 * time.Second)
	w.waitPublic(10 * time.Second)
	if row := w.pm2Row("bbyatch"); row.Env.Status != "online" {
		w.Errorf("PM2 shows %+v", row)
	}
	p.judge()
}

// deployMemory is for how long a deploy counts after it was last seen: its next command may be about to begin.
const deployMemory = 30 * time.Second

// testDeployTakesItDown: in the midst of a deploy the site dies, and PM2 gives up. Nothing is done until the build is
// there; then the site is brought up.
func testDeployTakesItDown(w *world) {
	d := w.reference().Set("spec.interval", "1s")
	in := w.inbox(d)
	s := w.supervise(d)
	p := s.proof("deploy-takes-it-down", in)
	t0 := w.fault("deploy")
	s.eventually(30*time.Second, "a pass that sees the deploy", func() (string, bool) {
		o := s.pass()
		return s.summary(), o != nil && atWork(*o) != ""
	})
	w.fault("crash-errored")
	if w.deployOver() {
		w.Fatal("the deploy was over before PM2 had given up: not the test that was meant")
	}
	degraded := s.waitPhase(60*time.Second, t0, v1alpha1.PhaseDegraded)
	over := w.eventually(5*time.Minute, "the end of the deploy", func() (string, bool) { return s.summary(), w.deployOver() })
	p.until = over.Add(-time.Second)
	back := w.waitPublic(deployMemory + 45*time.Second)
	s.waitPhase(60*time.Second, over, v1alpha1.PhaseHealthy)
	s.waitHealthy(20 * time.Second)
	w.measure.times(t0, firstFailure(s, t0), degraded.Time.Time, back)
	w.measure.add("the deploy took %.0f s; 200 again %.1f s after its end, %d recoveries", over.Sub(t0).Seconds(),
		back.Sub(over).Seconds(), len(s.events(over, v1alpha1.ReasonRecoveryStarted)))
	if limit := deployMemory + testInterval + noise; back.Sub(over) > limit {
		w.Errorf("200 again only %s after the deploy's end", back.Sub(over))
	}
	p.judge()
}
