//go:build e2e

package e2e

import (
	"net/http"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func init() {
	register(testCase{Name: "bare-environment", Seconds: 45, Run: testBareEnvironment})
	register(testCase{Name: "bare-environment-daemon-killed", Seconds: 45, Run: testBareEnvironmentDaemonKilled})
	register(testCase{Name: "wrong-user", Seconds: 75, Run: testWrongUser})
	register(testCase{Name: "daemon-lost-over-npm", Seconds: 75, Run: testDaemonLostOverNPM})
}

// bare prepares an evenkeel that has nothing in its environment, as in a unit or a container that somebody wrote by hand.
func (w *world) bare(d *desired) *supervisor {
	w.Helper()
	s := w.prepare("evenkeel", d)
	s.Wrap = []string{"env", "-i"}
	return s
}

// testBareEnvironment: PM2 is found by the user's home, and asked over its socket, for which no program is needed.
func testBareEnvironment(w *world) {
	d := w.brisk()
	in := w.inbox(d)
	s := w.bare(d)
	s.begin()
	s.waitHealthy(30 * time.Second)
	p := s.proof("bare-environment", in)
	w.fault("hang")
	done := s.mendedOnce(p)
	w.measure.add("a recovery of %.1f s", done.Took.Seconds())
}

// testBareEnvironmentDaemonKilled: by what PM2 has saved it is known where its programs are, though nobody has seen it alive.
func testBareEnvironmentDaemonKilled(w *world) {
	w.pm2("save")
	d := w.reference()
	in := w.inbox(d)
	s := w.bare(d)
	p := s.proof("bare-environment-daemon-killed", in)
	w.fault("pm2-daemon-kill")
	w.eventually(10*time.Second, "the application's end, which follows PM2's", func() (string, bool) {
		return "it runs", !slices.ContainsFunc(p.old, proc.alive)
	})
	s.begin()
	done := s.mendedOnce(p)
	if now := w.pm2Daemons(); len(now) != 1 {
		w.Errorf("PM2's daemons are %v", now)
	}
	w.measure.add("a recovery of %.1f s", done.Took.Seconds())
}

// testWrongUser has evenkeel run by somebody who may not ask the site's PM2. What he sees is told, and for whom it cannot be
// told; and since he could not say what he would stop, he does nothing.
func testWrongUser(w *world) {
	other, err := user.Lookup("other")
	if err != nil {
		w.Fatal(err)
	}
	uid, _ := strconv.Atoi(other.Uid)
	gid, _ := strconv.Atoi(other.Gid)
	d := w.brisk().Set("spec.runtime.pm2.home", w.env["PM2_HOME"])
	in := w.inbox(d)
	if err := os.Chmod(in.folder, 0o777); err != nil {
		w.Fatal(err)
	}
	s := w.prepare("evenkeel", d)
	if err := os.Chown(s.StateDir, uid, gid); err != nil {
		w.Fatal(err)
	}
	s.User = "other"
	s.begin()
	s.waitHealthy(30 * time.Second)
	before := w.othersIn(w.home(), w.uid)
	p := s.proof("wrong-user", in)
	s.waitPasses(6, 30*time.Second)
	refused := "user " + other.Uid + " may not open " + w.env["PM2_HOME"]
	if r, _ := s.pass().Result(v1alpha1.CheckProcess); r.Status != metav1.ConditionUnknown || !strings.Contains(r.Message, refused) {
		w.Errorf("process is %s: %s; want %q", r.Status, r.Message, refused)
	}
	if out, _, _ := s.cli("status", s.App); !strings.Contains(out, refused) {
		w.Errorf("status does not say %q:\n%s", refused, out)
	}
	p.over()

	p = s.proof("wrong-user-hangs", in)
	t0 := w.fault("hang")
	s.waitPhase(40*time.Second, t0, v1alpha1.PhaseDegraded)
	s.waitPasses(6, 60*time.Second)
	p.lifted()
	w.clear("hang")
	s.waitHealthy(40 * time.Second)
	p.judge()
	if after := w.othersIn(w.home(), w.uid); !slices.Equal(after, before) {
		w.Errorf("files that are not deploy's: %v; before: %v", after, before)
	}
}

// testDaemonLostOverNPM: PM2 is dead, what it has left serves, and nothing could take its place: so that is left alone. Then
// somebody starts it by hand, which makes a second one that finds the port taken; and now it is known what to put in its place.
func testDaemonLostOverNPM(w *world) {
	const npm = "script: 'npm', args: 'start', node_args: ''"
	w.fault("pm2-with", npm)
	w.fault("pm2-unsaved")
	d := w.reference().Set("spec.runtime", map[string]any{"pm2": map[string]any{"process": "bbyatch"}})
	in := w.inbox(d)
	s := w.supervise(d)
	serving := func() []proc { return []proc{w.listener()} }
	p := s.proof("daemon-lost-over-npm", in).of(serving)
	t0 := w.fault("pm2-daemon-kill")
	s.waitPhase(30*time.Second, t0, v1alpha1.PhaseDegraded)
	s.waitPasses(6, 60*time.Second)
	if now := serving(); !slices.Equal(now, p.old) || w.local() != http.StatusOK {
		w.Errorf("what has served was %v and is %v; it answers %d", p.old, now, w.local())
	}
	if n := len(w.pm2Daemons()); n != 0 {
		w.Errorf("%d daemons of PM2 were started", n)
	}
	if out, _, _ := s.cli("why"); !strings.Contains(out, "spec.runtime.pm2.start does not say what to start") {
		w.Errorf("why does not say why it is not brought back:\n%s", out)
	}
	t1 := p.lifted()
	w.fault("pm2-with", npm)
	s.waitEvent(60*time.Second, t1, "the recovery's end", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonRecoveryFinished })
	s.waitHealthy(testCooldown + 30*time.Second)
	p.judge()
	if now := serving(); slices.Equal(now, p.old) || count(w.pm2List(), "bbyatch") != 1 {
		w.Errorf("%v still serves; PM2 lists the site %d times", now, count(w.pm2List(), "bbyatch"))
	}
}
