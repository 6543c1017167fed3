//go:build linux

package pm2

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// at is a line of PM2's log of a second of 2026-11-23T15:00.
func at(second, text string) string {
	return "2026-11-23T15:00:" + second + ": PM2 log: " + text + "\n"
}

func TestParseLog(t *testing.T) {
	crash := at("10", "App [web:0] exited with code [3] via signal [SIGINT]") + at("10", "App [web:0] starting in -fork mode-") + at("10", "App [web:0] online")
	stop := at("20", "Stopping app:web id:0") + at("21", "App [web:0] exited with code [0] via signal [SIGKILL]") + at("21", "pid=1 msg=process tree killed (1 pids)")
	start := at("30", "App [web:0] starting in -fork mode-")
	gaveUp := at("12", "App [web:0] exited with code [1] via signal [SIGINT]") + at("12", `Script /a b/x.js had too many unstable restarts (16). Stopped. "errored"`)
	reload := at("20", "App [web:0] starting in -cluster mode-") + at("20", "App [web:0] online") + at("20", "-reload- New worker listening") +
		at("21", "Stopping app:web id:_old_0") + at("21", "App [web:_old_0] exited with code [0] via signal [SIGINT]")
	newDaemon := at("40", "--- New PM2 Daemon started ----------------------------------------------------")
	for name, c := range map[string]struct {
		log       string
		causes    string // of the exits, in order
		signal    string // of the last exit
		last      runtime.Cause
		standing  bool
		gaveUp    bool
		untimed   int
		otherName string
	}{
		"empty":                        {},
		"a crash":                      {log: crash, causes: "Crash"},
		"killed":                       {log: at("10", "App [web:0] exited with code [0] via signal [SIGKILL]"), causes: "Crash", signal: "SIGKILL"},
		"stopped":                      {log: crash + stop, causes: "Crash Order", signal: "SIGKILL", last: runtime.CauseOrder, standing: true},
		"restarted":                    {log: stop + start, causes: "Order", signal: "SIGKILL", last: runtime.CauseOrder},
		"crashed after a restart":      {log: stop + start + crash, causes: "Order Crash", last: runtime.CauseOrder},
		"stopped while it was waiting": {log: crash + at("20", "Stopping app:web id:0") + start + crash, causes: "Crash Crash", last: runtime.CauseOrder},
		"memory": {log: at("19", "[PM2][WORKER] Process 0 restarted because it exceeds --max-memory-restart value (current_memory=2 max_memory_limit=1 [octets])") + stop + start,
			causes: "Memory", signal: "SIGKILL", last: runtime.CauseMemory},
		"memory of another": {log: at("19", "[PM2][WORKER] Process 7 restarted because it exceeds --max-memory-restart value (x)") + stop,
			causes: "Order", signal: "SIGKILL", last: runtime.CauseOrder, standing: true},
		"memory, long before": {log: at("01", "[PM2][WORKER] Process 0 restarted because it exceeds --max-memory-restart value (x)") + stop + start,
			causes: "Order", signal: "SIGKILL", last: runtime.CauseOrder},
		"files changed":           {log: at("19", "Change detected on path a b for app web - restarting") + stop + start, causes: "Watch", signal: "SIGKILL", last: runtime.CauseWatch},
		"the daemon was ended":    {log: at("19", "pm2 has been killed by signal, dumping process list before exit...") + stop, causes: "Daemon", signal: "SIGKILL", last: runtime.CauseDaemon, standing: true},
		"and there is a new one":  {log: at("19", "pm2 has been killed by signal, dumping process list before exit...") + stop + newDaemon + at("41", "App [web:3] starting in -fork mode-"), causes: "Daemon", signal: "SIGKILL", last: runtime.CauseDaemon},
		"given up on":             {log: gaveUp, causes: "Crash", gaveUp: true},
		"given up on, started":    {log: gaveUp + start, causes: "Crash"},
		"another is given up on":  {log: crash + strings.ReplaceAll(gaveUp, "[web:", "[bew:"), causes: "Crash"},
		"deleted and added":       {log: stop + at("30", "App [web:4] starting in -fork mode-"), causes: "Order", signal: "SIGKILL", last: runtime.CauseOrder},
		"the other of two starts": {log: at("05", "App [web:1] starting in -fork mode-") + stop + at("30", "App [web:1] starting in -fork mode-"), causes: "Order", signal: "SIGKILL", last: runtime.CauseOrder, standing: true},
		"cluster reload":          {log: reload, causes: "Order", last: runtime.CauseOrder},
		"the successor dies while it ends": {log: at("20", "App [web:0] starting in -cluster mode-") + at("21", "Stopping app:web id:_old_0") + at("21", "App [web:0] exited with code [1] via signal [SIGINT]") +
			at("22", "App [web:_old_0] exited with code [0] via signal [SIGINT]"), causes: "Crash Order", last: runtime.CauseOrder},
		"cluster reload, and stopped":  {log: reload + at("30", "Stopping app:web id:0"), causes: "Order", last: runtime.CauseOrder, standing: true},
		"cluster reload, daemon ended": {log: reload + at("29", "pm2 has been killed by signal, dumping process list before exit...") + at("30", "Stopping app:web id:0"), causes: "Order", last: runtime.CauseDaemon, standing: true},
		"memory in cluster mode":       {log: at("19", "[PM2][WORKER] Process 0 restarted because it exceeds --max-memory-restart value (x)") + reload, causes: "Memory", last: runtime.CauseMemory},
		"brackets and blanks": {log: at("10", "App [we[b] x:1] exited:2] exited with code [0] via signal [SIGTERM]") + at("20", "Stopping app:we[b] x:1] exited id:2"),
			causes: "Crash", signal: "SIGTERM", last: runtime.CauseOrder, standing: true, otherName: "we[b] x:1] exited"},
		"other names":        {log: strings.ReplaceAll(crash+stop, "web", "webs") + strings.ReplaceAll(crash+stop, "web", "a web")},
		"no stamps":          {log: "App [web:0] exited with code [3] via signal [SIGINT]\n", untimed: 1},
		"stamps of its own":  {log: "23/11/2026: PM2 log: App [web:0] exited with code [3] via signal [SIGINT]\n", untimed: 1},
		"before the moment":  {log: strings.ReplaceAll(crash+gaveUp, "2026-11-23", "2026-11-22"), gaveUp: true},
		"half a line at end": {log: crash + "2026-11-23T15:00:59: PM2 log: App [web:0] exi", causes: "Crash"},
	} {
		t.Run(name, func(t *testing.T) {
			app := "web"
			if c.otherName != "" {
				app = c.otherName
			}
			since := time.Date(2026, 11, 23, 15, 0, 0, 5e8, time.UTC)
			h := parseLog([]byte(c.log), true, app, since, time.UTC)
			var causes []string
			signal := ""
			for _, e := range h.Exits {
				causes = append(causes, string(e.Cause))
				signal = e.Signal
				if e.At.Year() != 2026 {
					t.Errorf("exit %+v", e)
				}
			}
			if got := strings.Join(causes, " "); got != c.causes || signal != c.signal || h.Untimed != c.untimed || !h.GaveUpAt.IsZero() != c.gaveUp || !h.Complete {
				t.Errorf("causes %q, history %+v", got, h)
			}
			switch {
			case (h.LastStop == nil) != (c.last == ""):
				t.Errorf("last stop %+v", h.LastStop)
			case h.LastStop != nil && (h.LastStop.Cause != c.last || h.LastStop.Standing != c.standing):
				t.Errorf("last stop %+v", h.LastStop)
			}
		})
	}
}

func TestExitsReadsOnlyTheEnd(t *testing.T) {
	dir := t.TempDir()
	line := at("10", "App [web:0] exited with code [3] via signal [SIGINT]")
	if err := os.WriteFile(filepath.Join(dir, "pm2.log"), []byte(strings.Repeat(line, 10000)), 0o600); err != nil {
		t.Fatal(err)
	}
	m := New()
	app := &v1alpha1.App{}
	app.Spec.Runtime.PM2 = &v1alpha1.PM2Runtime{Process: "web", Home: dir}
	h, err := m.Exits(t.Context(), app, time.Time{})
	if err != nil || h.Complete || len(h.Exits) < logTail/len(line)-1 || len(h.Exits) > logTail/len(line) {
		t.Errorf("%d exits, complete %v, %v", len(h.Exits), h.Complete, err)
	}
	if err := os.Remove(filepath.Join(dir, "pm2.log")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "pm2.log"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Exits(t.Context(), app, time.Time{}); err == nil {
		t.Error("a folder was read")
	}
}

func FuzzParseLog(f *testing.F) {
	f.Add(at("10", "App [web:0] exited with code [3] via signal [SIGINT]")+at("20", "Stopping app:web id:0"), "web")
	f.Add("App [we[b] x:1] exited with code [0] via signal [SIGKILL]\nStopping app:we[b] x id:1\n", "we[b] x")
	f.Add(at("1", "[PM2][WORKER] Process 0 restarted because it exceeds --max-memory-restart value")+at("1", `Script x had too many unstable restarts (16). Stopped. "errored"`), "")
	f.Fuzz(func(t *testing.T, text, name string) {
		since := time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)
		h := parseLog([]byte(text), true, name, since, time.UTC)
		for _, e := range h.Exits {
			if e.At.Before(since) || e.ID == "" || e.Cause == "" || e.Signal == "SIGINT" {
				t.Errorf("exit %+v", e)
			}
		}
		if len(h.Exits)+h.Untimed > strings.Count(text, "exited with code") {
			t.Errorf("more exits than lines: %+v", h)
		}
	})
}
