package alone

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// promtool is where the program lies.
var promtool = sync.OnceValues(func() (string, error) {
	out, err := exec.CommandContext(context.Background(), "../lib/promtool").Output()
	return strings.TrimSpace(string(out)), err
})

// promtoolFinds runs promtool, and wants that it finds nothing.
func promtoolFinds(t *testing.T, input string, args ...string) {
	t.Helper()
	program, err := promtool()
	if err != nil {
		t.Fatalf("hack/lib/promtool: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...) // #nosec G204 -- a test's own program
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil || len(args) > 1 && args[1] == "metrics" && len(out) > 0 {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestPromtoolFindsNothingAmiss in the rules, in what they say of recorded stories, and in what the dashboard asks. What an evenkeel
// serves is checked by TestMetricsTellWhatTheJournalTells.
func TestPromtoolFindsNothingAmiss(t *testing.T) {
	t.Parallel()
	folder := filepath.Join("..", "prometheus")
	promtoolFinds(t, "", "check", "rules", filepath.Join(folder, "evenkeel.rules.yml"))
	promtoolFinds(t, "", "test", "rules", filepath.Join(folder, "evenkeel.rules.test.yml"))

	// A question of the dashboard is checked as the rule that it could be.
	text, err := os.ReadFile(filepath.Join(folder, "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatalf("dashboard.json: %v", err)
	}
	rules, questions, ids := "groups:\n- name: dashboard\n  rules:\n", 0, map[int]bool{}
	for _, p := range board.Panels {
		if ids[p.ID] || p.Title == "" || len(p.Targets) == 0 {
			t.Errorf("panel %d %q: its number is there twice, or it has no title or no question", p.ID, p.Title)
		}
		ids[p.ID] = true
		for n, target := range p.Targets {
			rules += fmt.Sprintf("  - {record: 'panel_%d_%d', expr: %q}\n", p.ID, n, target.Expr)
			questions++
		}
	}
	if questions < 4 {
		t.Errorf("the dashboard asks %d questions", questions)
	}
	file := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	promtoolFinds(t, "", "check", "rules", file)
}
