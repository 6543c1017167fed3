//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// measurement is one line of the table. Times are from the injection on; a negative one was not measured.
type measurement struct {
	test                           string
	detected, confirmed, recovered time.Duration
	set                            bool
	notes                          []string
	failed                         bool
}

func (m *measurement) String() string {
	cell := func(d time.Duration) string {
		if !m.set || d <= 0 {
			return "-"
		}
		return fmt.Sprintf("%.1f", d.Seconds())
	}
	verdict := "ok"
	if m.failed {
		verdict = "FAIL"
	}
	return strings.TrimRight(fmt.Sprintf("%-4s %-28s %9s %10s %10s  %s", verdict, m.test, cell(m.detected), cell(m.confirmed),
		cell(m.recovered), strings.Join(m.notes, "; ")), " ")
}

// times notes when, after the injection, the failure was first seen, when it was confirmed, and when it was mended.
func (m *measurement) times(injected, detected, confirmed, recovered time.Time) {
	m.set = true
	m.detected, m.confirmed, m.recovered = detected.Sub(injected), confirmed.Sub(injected), recovered.Sub(injected)
}

func (m *measurement) add(format string, args ...any) {
	m.notes = append(m.notes, fmt.Sprintf(format, args...))
}

type results struct {
	mu   sync.Mutex
	list []*measurement
}

var measured results

func (r *results) add(m *measurement, failed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.failed = failed
	r.list = append(r.list, m)
	fmt.Println(m)
}

func printTable(to io.Writer) {
	fmt.Fprintf(to, "\n%-4s %-28s %9s %10s %10s  %s\n", "", "test", "detected", "confirmed", "recovered", "(seconds from the injection)")
	for _, m := range measured.list {
		fmt.Fprintln(to, m)
	}
}

// dump prints everything that could tell why.
func (w *world) dump() {
	show := func(title, text string) {
		const most = 12 << 10
		if len(text) > most {
			text = "…" + text[len(text)-most:]
		}
		w.Logf("----- %s\n%s", title, text)
	}
	file := func(path string) {
		data, err := os.ReadFile(path)
		if err == nil {
			show(path, string(data))
		}
	}
	for _, s := range w.runs {
		file(s.File)
		file(s.Log)
		var b strings.Builder
		for _, e := range s.journal() {
			fmt.Fprintf(&b, "%s %-18s %-10s %s %s %s\n", e.Time.Format("15:04:05.000"), e.Reason, e.Phase, e.Step, e.Outcome, e.Message)
		}
		show("journal of "+s.App, b.String())
		file(s.stateFile())
		file(filepath.Join(s.StateDir, s.App+".pass.json"))
	}
	var b strings.Builder
	for _, r := range w.pm2List() {
		fmt.Fprintf(&b, "%s id %d pid %d %s, %d restarts\n", r.Name, r.ID, r.PID, r.Env.Status, r.Env.RestartTime)
	}
	show("pm2", b.String())
	logs, _ := filepath.Glob(w.home(".pm2", "logs", "bbyatch-*.log"))
	for _, path := range append(logs, w.home(".pm2", "pm2.log"), w.live("nginx", "error.log")) {
		file(path)
	}
	out, _ := w.command("status").CombinedOutput()
	show("hack/stack status", string(out))
}

func itoa(n int) string { return strconv.Itoa(n) }
