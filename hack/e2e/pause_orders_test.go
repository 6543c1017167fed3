//go:build e2e

package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func init() {
	register(testCase{Name: "pause-hang", Seconds: 45, Run: testPauseHang})
	register(testCase{Name: "pause-errored", Seconds: 45, Run: testPauseErrored})
	register(testCase{Name: "pause-bytes", Seconds: 5, Run: testPauseBytes})
}

// pausedText is the document with `paused:` as the first line of its spec, where a person would put it.
func pausedText(d *desired, paused bool) string {
	return strings.Replace(d.Text(), "\nspec:\n", fmt.Sprintf("\nspec:\n  paused: %t  # %s\n", paused, "edit and save"), 1)
}

// mustTake waits until a condition of the App has a status, and gives how long that took since a moment.
func (s *supervisor) mustTake(at time.Time, kind string, status metav1.ConditionStatus) time.Duration {
	s.Helper()
	return s.eventually(10*time.Second, fmt.Sprintf("condition %s=%s", kind, status), func() (string, bool) {
		st := s.state()
		return fmt.Sprintf("%+v", st.Conditions), meta.IsStatusConditionPresentAndEqual(st.Conditions, kind, status)
	}).Sub(at)
}

// mustDoNothing looks, for so many passes, that nothing is begun and that the site's process stays what it is.
func (s *supervisor) mustDoNothing(passes int, since time.Time, mark int64, site proc) {
	s.Helper()
	s.waitPasses(passes, time.Duration(passes)*10*time.Second)
	if did := s.events(since, v1alpha1.ReasonRecoveryStarted, v1alpha1.ReasonStepStarted); len(did) > 0 {
		s.Errorf("paused, and yet it began: %v", did)
	}
	if did := s.pm2Since(mark); did != (pm2Did{}) {
		s.Errorf("paused, and yet PM2 did something: %s", did)
	}
	if now := s.site(); now != site {
		s.Errorf("paused: the site was %s and is %s", site, now)
	}
}

var lineAndColumn = regexp.MustCompile(`:(\d+):(\d+)`)

// testPauseHang pauses while the site hangs, breaks the file in between, restarts evenkeel, and resumes.
func testPauseHang(w *world) {
	d := w.quick(10*time.Second).Set("spec.checks.local.timeout", "3s") // nine seconds to confirm: time to save a pause
	in := w.inbox(d)
	s := w.supervise(d)

	mark, broke := w.pm2Mark(), time.Now()
	site := w.hang()
	s.eventually(15*time.Second, "a pass that sees the hang", func() (string, bool) {
		return s.summary(), s.pass().Status(v1alpha1.CheckLocal) == metav1.ConditionFalse
	})
	at := time.Now()
	w.write(s.File, pausedText(d, true), 0o644)
	paused := s.mustTake(at, v1alpha1.ConditionPaused, metav1.ConditionTrue)
	if paused > 1500*time.Millisecond {
		w.Errorf("a pause was in force only after %s", paused)
	}
	seen := s.waitPhase(30*time.Second, broke, v1alpha1.PhaseDegraded).Time.Sub(broke)
	s.eventually(10*time.Second, "it says that the pause is what stands against a recovery", func() (string, bool) {
		b := s.state().Blocked
		return s.summary(), b != nil && b.Reason == "Paused"
	})
	s.mustDoNothing(4, broke, mark, site)
	if list := in.waitKinds(1); !sameKinds(list, v1alpha1.AlertDegraded) {
		w.Errorf("alerts while it is paused and hangs: %v, want Degraded", words(list))
	}
	if log := w.read(s.StateDir + "/monitor.log"); !strings.Contains(log, "Degraded") || !strings.Contains(log, "local=\"False") {
		w.Error("monitor.log says nothing of it")
	}

	// A save that is broken: what was in force stays in force, and it is said where the mistake is.
	broken := strings.Replace(pausedText(d, false), "  port: ", "  prot: ", 1)
	before, _, _ := strings.Cut(broken, "  prot: ")
	line := 1 + strings.Count(before, "\n")
	at = time.Now()
	w.write(s.File, broken, 0o644)
	s.mustTake(at, v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse)
	says := func() {
		w.Helper()
		c := meta.FindStatusCondition(s.state().Conditions, v1alpha1.ConditionSpecAccepted)
		m := lineAndColumn.FindStringSubmatch(c.Message)
		if m == nil || m[1] != itoa(line) || m[2] != "3" || !strings.Contains(c.Message, s.File) || !strings.Contains(c.Message, "prot") || !strings.Contains(c.Message, "port") {
			w.Errorf("SpecAccepted=False says %q; the mistake is in line %d, column 3", c.Message, line)
		}
	}
	says()
	s.mustDoNothing(3, broke, mark, site)
	s.eventually(15*time.Second, "the alert SpecRejected", func() (string, bool) {
		return fmt.Sprint(words(in.byProgram())), sameKinds(in.byProgram(), v1alpha1.AlertDegraded, v1alpha1.AlertSpecRejected)
	})

	// The same after a restart of evenkeel while the file is broken.
	if code := s.term(); code != 0 {
		w.Errorf("exit code %d after SIGTERM", code)
	}
	at = s.mustRestart(10 * time.Second)
	s.mustTake(at, v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse)
	s.mustTake(at, v1alpha1.ConditionPaused, metav1.ConditionTrue)
	says()
	s.mustDoNothing(3, broke, mark, site)

	// Mended and resumed.
	at = time.Now()
	w.write(s.File, pausedText(d, false), 0o644)
	s.mustTake(at, v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue)
	s.mustTake(at, v1alpha1.ConditionPaused, metav1.ConditionFalse)
	begun := s.waitEvent(10*time.Second, at, "a recovery", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonRecoveryStarted }).Time.Sub(at)
	s.waitPublic(30 * time.Second)
	repaired := time.Since(at)
	if now := s.waitSettled(30 * time.Second); now == site {
		w.Error("after the pause the site that hangs was not replaced")
	}
	s.waitHealthy(30 * time.Second)
	list := in.waitKinds(3)
	if n := len(list); n < 3 || list[n-1].Kind != v1alpha1.AlertResolved {
		w.Errorf("alerts: %v", words(list))
	}
	w.measure.add("pause in force after %.2f s; hang seen after %.1f s and left alone; resumed: recovery began after %.2f s, 200 after %.1f s; alerts %v",
		paused.Seconds(), seen.Seconds(), begun.Seconds(), repaired.Seconds(), words(list))
}

// testPauseErrored pauses by command while the site is errored, and resumes by command. A long cooldown keeps evenkeel from
// mending it at once; when the pause is in force a reset ends the cooldown, so that only the pause stands against acting.
func testPauseErrored(w *world) {
	d := w.quick(5 * time.Minute)
	in := w.inbox(d)
	s := w.supervise(d)
	broke := w.unseen("crash-errored")
	s.waitPhase(60*time.Second, broke, v1alpha1.PhaseCooldown)
	s.waitSettled(30 * time.Second)
	broke = w.unseen("crash-errored")
	w.eventually(40*time.Second, "it sees that PM2 has given up", func() (string, bool) {
		v := s.state().Verdict
		return s.summary(), v != nil && v.Down && s.pm2Row("bbyatch").Env.Status == "errored"
	})
	out, errs, code := s.cli("pause", "--reason", "moving the database")
	if code != 0 || !strings.Contains(out, "moving the database") {
		w.Errorf("evenkeel pause: exit %d\n%s%s", code, out, errs)
	}
	s.mustTake(time.Now(), v1alpha1.ConditionPaused, metav1.ConditionTrue)
	before := len(in.byProgram())
	reset := time.Now()
	if out, errs, code = s.cli("reset"); code != 0 {
		w.Errorf("evenkeel reset: exit %d\n%s%s", code, out, errs)
	}
	s.waitPhase(40*time.Second, reset, v1alpha1.PhaseDegraded)
	s.mustDoNothing(5, broke, w.pm2Mark(), proc{})
	if b := s.state().Blocked; b == nil || b.Reason != "Paused" {
		w.Errorf("blocked by %+v, want the pause", b)
	}
	if list := in.waitKinds(before + 1); !sameKinds(list[min(before, len(list)):], v1alpha1.AlertDegraded) {
		w.Errorf("alerts while it is paused and errored: %v, and before %v; want Degraded", words(list[min(before, len(list)):]), words(list))
	}
	why, _, _ := s.cli("why")
	if !strings.Contains(why, "moving the database") {
		w.Errorf("why says nothing of the pause:\n%s", why)
	}
	at := time.Now()
	if out, errs, code = s.cli("resume"); code != 0 {
		w.Errorf("evenkeel resume: exit %d\n%s%s", code, out, errs)
	}
	s.waitPublic(30 * time.Second)
	repaired := time.Since(at)
	s.waitSettled(30 * time.Second)
	if st := s.state(); st.Incident == nil || len(st.Incident.Attempts) != 1 {
		w.Errorf("incident: %+v", st.Incident)
	}
	if out, errs, code = s.cli("reset"); code != 0 { // nobody waits for the cooldown
		w.Errorf("evenkeel reset: exit %d\n%s%s", code, out, errs)
	}
	s.waitHealthy(30 * time.Second)
	w.measure.add("errored and paused: left alone for 5 passes; 200 %.1f s after resume; alerts %v", repaired.Seconds(), words(in.waitKinds(before+2)))
}

// written by a person: blanks, comments, an odd order, no blank line at the end
const byHand = `# The site of BB Yacht.
# Ask Ann before you change this.

apiVersion: evenkeel.dev/v1alpha1
kind:   App
metadata: {name: bbyatch}   # the name of the state file, too

spec:
  port: 3003          # Nginx knows it as well
  directory: "%s"
  interval:   1s
  runtime:
    pm2: {process: bbyatch, start: 'ecosystem.config.js'}   # as PM2 calls it
  checks:
    # the front page, not the health page
    local: { path: / }
    public: {url: "%s"}
  recovery:
    cooldown: 1m   # not less`

// testPauseBytes pauses and resumes by command: every other byte of the file stays.
func testPauseBytes(w *world) {
	text := fmt.Sprintf(byHand, w.env["APP_DIR"], w.env["PUBLIC_URL"])
	for name, c := range map[string]struct{ text, resumed string }{
		"without a pause":        {text, ""},
		"with paused: false":     {strings.Replace(text, "spec:\n", "spec:\n  paused: false   # edit and save\n", 1), "="},
		"with CRLF":              {strings.ReplaceAll(text, "\n", "\r\n"), ""},
		"with a second document": {text + "\n---\n# nothing yet\n", ""},
	} {
		s := w.prepare("file-"+strings.ReplaceAll(name, " ", "-"), &desired{doc: map[string]any{}})
		w.write(s.File, c.text, 0o644)
		s.begin()
		s.waitHealthy(20 * time.Second)
		must := func(args ...string) string {
			w.Helper()
			out, errs, code := s.cli(args...)
			if code != 0 {
				w.Errorf("%s: evenkeel %v: exit %d\n%s%s", name, args, code, out, errs)
			}
			return w.read(s.File)
		}
		paused := must("pause", "--reason", "moving the database")
		if !strings.Contains(paused, "paused: true") || !strings.Contains(paused, "moving the database") {
			w.Errorf("%s: not paused:\n%s", name, paused)
		}
		if left := without(paused, "paused: true", "pauseReason: "); left != without(c.text, "paused: false", "pauseReason: ") {
			w.Errorf("%s: pause has changed more than it should:\n%q\n%q", name, left, c.text)
		}
		resumed := must("resume")
		if c.resumed == "=" && resumed != c.text {
			w.Errorf("%s: after resume the file is not what it was:\n%q\n%q", name, resumed, c.text)
		}
		if left := without(resumed, "paused: false"); left != without(c.text, "paused: false") {
			w.Errorf("%s: resume has changed more than it should:\n%q\n%q", name, left, c.text)
		}
		if code := s.term(); code != 0 {
			w.Errorf("exit code %d after SIGTERM", code)
		}
	}
	w.measure.add("pause --reason and resume keep every other byte of 4 files")
}

// without leaves out the lines that hold one of the words.
func without(text string, words ...string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		drop := false
		for _, word := range words {
			drop = drop || strings.Contains(line, word)
		}
		if !drop {
			b.WriteString(line)
		}
	}
	return b.String()
}
