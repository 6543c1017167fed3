package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// plant is a bug that the simulator has to find: a piece of the product's source, and what is put in its place.
type plant struct {
	name, file, from, to string
}

var plants = []plant{
	{"the cooldown is not waited for", "controller/decide.go",
		"\tif left := c.Record.Cooldown.Left(c.Now); left > 0 {\n\t\td.Blocked = cooldownBlocks(c)\n\t\treturn d\n\t}\n\tswitch", "\tswitch"},
	{"a power cut loses what was written", "state/store.go", "\tif err != nil {\n\t\treturn err\n\t}\n\treturn s.fs.SyncDir(s.dir)\n}\n\n// putPlainly",
		"\tif err != nil {\n\t\treturn err\n\t}\n\treturn nil\n}\n\n// putPlainly"},
	{"the application is restarted for its proxy", "reconcilers/verdict/rules_proxy.go",
		`Reason: "ProxyFails", Remedy: v1alpha1.RemedyHold`, `Reason: "ProxyFails", Remedy: v1alpha1.RemedyRecover`},
	{"what a state has to tell is not written with it", "controller/telling.go", "if len(t.Events)+len(t.Alerts) == 0 &&", "if len(t.Events)+len(t.Alerts) >= 0 ||"},
	{"attempts are not spent", "controller/incident.go", "\ti.Spent++\n", ""},
	{"one attempt too many", "controller/decide.go", "c.Record.Incident.Spent >= c.App", "c.Record.Incident.Spent > c.App"},
	{"a pause does not hold a recovery", "controller/decide.go", "case Paused(c.App, c.Now):", "case false:"},
	{"an order to stand down in a recovery is forgotten", "controller/orders.go", "\t\ts.r.Demand = nil\n\t\ts.r.StoodDown = true\n", "\t\ts.r.Demand = nil\n"},
	{"health leads out of an operator's stand-down", "controller/decide.go", "if holds && !r.StoodDown && rec.LeaveFailed", "if holds && rec.LeaveFailed"},
	{"a step that was interrupted is not begun again", "controller/recovery.go",
		"\t\trec.Pending = append([]string{result.Step}, rec.Pending...) // it is begun again\n", ""},
	{"a flap does not lengthen the cooldown", "controller/incident.go", "d = max(d, min(2*d, most))", "d = max(d, min(d, most))"},
	{"no cooldown begins", "controller/recovery.go", "s.r.Cooldown = v1alpha1.NewWait(s.c.Now, length)", "s.r.Cooldown = v1alpha1.NewWait(s.c.Now, 0)"},
	{"a reminder every minute", "controller/alert.go", "a.Key == key && s.c.Now.Since(a.At) < n.Every", "a.Key == key && s.c.Now.Since(a.At) < time.Minute"},
	{"alerts are told on every pass", "controller/alert.go", "return a.Key == key && !a.Resolved", "return false"},
	{"an incident is closed at once", "controller/incident.go",
		"s.r.Phase == v1alpha1.PhaseHealthy && proven(i, s.c.Now) >= after", "s.r.Phase == v1alpha1.PhaseHealthy"},
	{"one failure is a failure", "controller/decide.go", "return streak >= threshold || (asked", "return streak >= 1 || (asked"},
	{"an attempt that was interrupted is not counted", "controller/incident.go", "	i := s.r.Incident\n	a.Outcome = v1alpha1.AttemptFailed\n",
		"	i := s.r.Incident\n	if rec := s.r.Recovery; rec != nil && slices.ContainsFunc(rec.Steps, func(r v1alpha1.StepRecord) bool { return r.Outcome == v1alpha1.StepInterrupted }) {\n		return\n	}\n	a.Outcome = v1alpha1.AttemptFailed\n"},
	{"a clock that is set ends a hold", "controller/decide.go", "c.Now.Since(h.Since) >= v.HoldLimit.Duration",
		"max(c.Now.Since(h.Since), c.Now.Wall.Sub(h.Since.Wall.Time)) >= v.HoldLimit.Duration"},
	{"a clock that is set ends a cooldown", "api/v1alpha1/instant.go", "d = i.Boot.Duration - then.Boot.Duration", "d = max(i.Boot.Duration-then.Boot.Duration, i.Wall.Sub(then.Wall.Time))"},
	{"another application's mark is taken for its own", "reconcilers/judge.go", "l.Marks = append(l.Marks, row.Mark)", "l.Marks = append(l.Marks, row.Mark, \"mark-2\")"},
	{"half of a hold's limit", "controller/decide.go", "c.Now.Since(h.Since) >= v.HoldLimit.Duration", "c.Now.Since(h.Since) >= v.HoldLimit.Duration/2"},
	{"GiveUp leads nowhere", "state/machine/machine.go",
		"{GiveUp, []v1alpha1.Phase{v1alpha1.PhaseDegraded, v1alpha1.PhaseCooldown}, v1alpha1.PhaseFailed}", "{GiveUp, []v1alpha1.Phase{v1alpha1.PhaseDegraded, v1alpha1.PhaseCooldown}, v1alpha1.PhaseDegraded}"},
	{"Settle leaves the cooldown out", "state/machine/machine.go",
		"{Settle, []v1alpha1.Phase{v1alpha1.PhaseRecovering}, v1alpha1.PhaseCooldown}", "{Settle, []v1alpha1.Phase{v1alpha1.PhaseRecovering}, v1alpha1.PhaseHealthy}"},
	{"a stale save is taken for an order", "state/document.go", "case phase == observed:", "case false:"},
	{"an order that was just saved is written over", "state/store.go",
		"\t\treturn found, false, nil\n\t}\n\treturn found, false, ErrEdited\n", "\t\treturn found, false, nil\n\t}\n\treturn found, false, nil\n"},
	{"an operator's own stop is not respected", "reconcilers/verdict/rules_runtime.go", "When: []condition{stoppedByHand, settled}", "When: []condition{stoppedByHand, settled, not(settled)}"},
	{"a deploy holds nothing", "reconcilers/verdict/rules_deploy.go", "When: []condition{deployAtWork}", "When: []condition{deployAtWork, not(deployAtWork)}"},
	{"two lives make a crash loop", "reconcilers/verdict/verdict.go", "crashLives = 3", "crashLives = 1"},
	{"low memory is always the application's fault", "reconcilers/verdict/rules_memory.go", "known && v.grewByWhatIsMissing(grown)", "known || grown < 1<<62"},
	{"what is proven is written down for ever", "controller/incident.go",
		"case i.Proven.Duration < after && s.c.Now.Since(*i.ProvenAt)", "case s.c.Now.Since(*i.ProvenAt)"},
	{"the caches are never cleared", "reconcilers/judge.go", "case failed.Plan == verdict.PlanPlain:", "case failed.Plan == \"\":"},
}

// patch is a source file with the plant in it. A plant that does not fit exactly once is an error.
func (p plant) patch(path string) (string, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(source), p.from); n != 1 {
		return "", fmt.Errorf("the patch fits %d times into %s; it has to be written anew", n, p.file)
	}
	return strings.Replace(string(source), p.from, p.to, 1), nil
}

// TestPlantsFit sees to it that a change of the source does not leave a plant behind that is tried by hack/prove alone.
func TestPlantsFit(t *testing.T) {
	for _, p := range plants {
		if _, err := p.patch(filepath.Join("../..", p.file)); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
	}
	for _, c := range onceBroken {
		for _, p := range c.undone {
			if _, err := p.patch(filepath.Join("../..", p.file)); err != nil {
				t.Errorf("what has mended %q: %v", c.name, err)
			}
		}
		if len(c.undone) == 0 {
			t.Errorf("what has mended %q is not said", c.name)
		}
	}
}

// build compiles the simulator, or its tests, with plants in the source, which it does not touch.
func build(root, dir string, how []string, list ...plant) (program string, err error) {
	replace := map[string]string{}
	for n, p := range list {
		file := filepath.Join(root, p.file)
		source := file
		if before, ok := replace[file]; ok {
			source = before
		}
		text, err := p.patch(source)
		if err != nil {
			return "", err
		}
		replace[file] = filepath.Join(dir, fmt.Sprintf("%d.go", n))
		if err := os.WriteFile(replace[file], []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	overlay := filepath.Join(dir, "overlay.json")
	data, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err == nil {
		err = os.WriteFile(overlay, data, 0o600)
	}
	if err != nil {
		return "", err
	}
	program = filepath.Join(dir, "program")
	c := exec.Command("go", append(how, "-overlay", overlay, "-o", program, "./hack/sim")...) // #nosec G204 -- a test
	c.Dir = root
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return program, nil
}

// findWithin is the processor time within which a planted bug is found: the thirty seconds of hack/test on one core.
const findWithin = 30

// TestPlantedBugsAreFound plants bugs in decide, budget, machine, store and rules, and wants the simulator to find each of
// them within half a minute of one core: the first three, or with SIM_FULL=1 all.
func TestPlantedBugsAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the simulator several times")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("nothing is planted", func(t *testing.T) { // what is found below is found because of the plant
		program, err := build(root, t.TempDir(), []string{"build"})
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(program, "--seed", "1", "--episodes", "3").CombinedOutput(); err != nil { // #nosec G204 -- a test
			t.Fatalf("%v:\n%s", err, out)
		}
	})
	list := plants[:3]
	if os.Getenv("SIM_FULL") != "" {
		list = plants
	}
	for _, p := range list {
		t.Run(p.name, func(t *testing.T) {
			program, err := build(root, t.TempDir(), []string{"build"}, p)
			if err != nil {
				t.Fatal(err)
			}
			c := exec.Command(program, "--seed", "1", "--cpu", strconv.Itoa(findWithin), "--brief") // #nosec G204 -- a test
			c.Env = append(os.Environ(), "GOMAXPROCS=1")
			out, err := c.CombinedOutput()
			var exit *exec.ExitError
			switch {
			case err == nil:
				t.Fatalf("it was not found:\n%s", out)
			case !errors.As(err, &exit) || exit.ExitCode() != 1:
				t.Fatalf("%v:\n%s", err, out)
			}
			for line := range strings.Lines(string(out)) {
				if strings.HasPrefix(line, "BROKEN") {
					t.Logf("found after %.1f s: %s", (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds(), strings.TrimSpace(line))
				}
			}
		})
	}
}
