package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSchedulesThatOnceBroke replays the schedules of all findings: none breaks any more.
func TestSchedulesThatOnceBroke(t *testing.T) {
	for _, c := range onceBroken {
		t.Run(c.name, func(t *testing.T) {
			if c.schedule.Variant == "" {
				c.schedule.Variant = "default"
			}
			if broken := replay(c.schedule); broken != "" {
				t.Error(broken)
			}
		})
	}
}

// TestSchedulesBreakWithoutTheirMends takes what has mended each finding back, and wants its schedule to break again: one that
// does not would notice nothing if the bug came back. It compiles the simulator for each, so it is run with SIM_FULL=1 alone.
func TestSchedulesBreakWithoutTheirMends(t *testing.T) {
	list := onceBroken[:2] // each compiles the simulator
	if os.Getenv("SIM_FULL") != "" {
		list = onceBroken
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		t.Run(c.name, func(t *testing.T) {
			program, err := build(root, t.TempDir(), []string{"test", "-c"}, c.undone...)
			if err != nil {
				t.Fatal(err)
			}
			row := "^TestSchedulesThatOnceBroke$/^" + regexp.QuoteMeta(strings.ReplaceAll(c.name, " ", "_")) + "$"
			out, err := exec.Command(program, "-test.v", "-test.run", row).CombinedOutput() // #nosec G204 -- a test
			var exit *exec.ExitError
			if !errors.As(err, &exit) || !strings.Contains(string(out), "--- FAIL: TestSchedulesThatOnceBroke/") {
				t.Fatalf("it does not break (%v):\n%s", err, out)
			}
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, "regressions_test.go:") {
					t.Log(strings.TrimSpace(line))
				}
			}
		})
	}
}
