//go:build linux

package pm2

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// A site of two workers, on one port.
const siteJS = `require('http').createServer((q, r) => r.end(String(process.pid))).listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGINT', () => process.exit(0));`

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestCluster(t *testing.T) {
	for _, major := range longOnes() {
		t.Run("PM2 "+major, func(t *testing.T) { testCluster(t, newWorldOf(t, major)) })
	}
}

func testCluster(t *testing.T, w *world) {
	port := freePort(t)
	w.write("site.js", siteJS)
	w.write("site.config.js", fmt.Sprintf(`module.exports = {apps: [
 {name: 'site', script: 'site.js', instances: 2, exec_mode: 'cluster', env: {PORT: '%d'}},
]}`, port))
	w.pm2("start", "site.config.js")
	both := func(what string) []runtime.Process {
		t.Helper()
		var rows []runtime.Process
		eventually(t, what, func() bool {
			rows = w.look("site").Processes
			return len(rows) == 2 && rows[0].State == runtime.Running && rows[1].State == runtime.Running
		})
		return rows
	}
	// ask asks over a new connection, as most visitors do.
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func() bool {
		r, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
		if err != nil {
			return false
		}
		_ = r.Body.Close()
		return r.StatusCode == http.StatusOK
	}
	rows := both("both workers run")
	daemon := w.look("site").Daemon
	eventually(t, "it answers", ask)

	// PM2 writes a worker's badge into one variable; what the worker inherits from the daemon proves nothing.
	fs := procfs.Default()
	for _, row := range rows {
		if !row.Cluster || !daemon.Badge.On(fs, row.Identity, []string{row.Mark}) || daemon.Badge.On(fs, row.Identity, []string{"another"}) {
			t.Errorf("the badge of worker %+v", row)
		}
	}
	if daemon.Badge.On(fs, daemon.Identity, []string{rows[0].Mark}) {
		t.Error("the daemon bears the badge of its workers")
	}

	// A halted worker takes one connection and is not given another one: the site goes on with the other worker.
	w.signal(rows[0].Identity, syscall.SIGSTOP)
	lost := 0
	for range 10 {
		if !ask() {
			lost++
		}
	}
	if lost > 1 {
		t.Errorf("%d of 10 answers were lost with one of two workers halted", lost)
	}
	both("PM2 notices nothing")
	// Both halted, nothing answers, and the stop gets through all the same, to the workers alone.
	w.signal(rows[1].Identity, syscall.SIGSTOP)
	eventually(t, "nothing answers", func() bool { return !slices.ContainsFunc(make([]int, 3), func(int) bool { return ask() }) })
	stop(t, w, "site", 20*time.Second)
	w.gone(rows[0].Identity)
	w.gone(rows[1].Identity)
	if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
		_ = c.Close()
		t.Error("PM2 still listens after the last worker was stopped")
	}
	begin := now(t)
	if r, err := w.m.Start(t.Context(), w.app("site"), begin); err != nil || r.How != runtime.Restarted || len(r.IDs) != 2 {
		t.Fatalf("start: %+v, %v", r, err)
	}
	rows = both("both are back")
	eventually(t, "it answers again", ask)

	// An operator's reload: new workers, no crash, and nothing that stands stopped.
	since := time.Now().Add(-time.Second)
	w.pm2("reload", "site")
	eventually(t, "both are others", func() bool {
		after := w.look("site").Processes
		return len(after) == 2 && after[0].Alive() && after[1].Alive() && after[0].Identity != rows[0].Identity && after[1].Identity != rows[1].Identity
	})
	w.gone(rows[1].Identity)
	eventually(t, "the old workers' ends are noted", func() bool {
		h, err := w.m.Exits(t.Context(), w.app("site"), since)
		return err == nil && len(h.Exits) >= 2
	})
	if h, err := w.m.Exits(t.Context(), w.app("site"), since); err != nil || h.Unplanned() != 0 || h.LastStop == nil || h.LastStop.Standing {
		t.Errorf("after a reload: %+v, last stop %+v, %v", h, h.LastStop, err)
	}
	if d := w.look("site").Daemon; d.Identity != daemon.Identity || len(d.Rivals) != 0 {
		t.Errorf("the daemon is %+v, was %+v", d, daemon)
	}
}

// What PM2 restarts by its own settings is told from a crash, and nothing stands stopped after it.
func TestWantedRestartsAreNoCrashes(t *testing.T) {
	for _, major := range longOnes() {
		t.Run("PM2 "+major, func(t *testing.T) { testWanted(t, newWorldOf(t, major)) })
	}
}

func testWanted(t *testing.T, w *world) {
	w.write("grow.js", `const kept = []; setInterval(() => kept.push(Buffer.alloc(8 << 20, 1)), 100); process.on('SIGINT', () => process.exit(0));`)
	w.write("fine.config.js", `module.exports = {apps: [
 {name: 'grows', script: 'grow.js', max_memory_restart: '90M'},
 {name: 'grows clustered', script: 'grow.js', max_memory_restart: '90M', exec_mode: 'cluster', listen_timeout: 300},
 {name: 'by the clock', script: 'web.js', cron_restart: '*/2 * * * * *'},
 {name: 'watched', script: 'web.js', watch: ['watched'], watch_delay: 10},
 {name: 'crashes', script: 'die.js', env: {LIFE: '1100'}},
]}`)
	w.pm2("start", "fine.config.js")
	for name, cause := range map[string]runtime.Cause{
		"grows": runtime.CauseMemory, "grows clustered": runtime.CauseMemory, "by the clock": runtime.CauseOrder,
		"watched": runtime.CauseWatch, "crashes": runtime.CauseCrash,
	} {
		t.Run(name, func(t *testing.T) {
			v := *w
			v.t = t
			before := v.one(name).Restarts
			touched := 0
			v.until(name, "restarted", func(p runtime.Process) bool {
				if name == "watched" { // the watcher may take a moment until it looks
					touched++
					v.write("watched", fmt.Sprint(touched))
				}
				return p.Restarts > before && p.State == runtime.Running
			})
			var h runtime.History
			var err error
			// In cluster mode PM2 starts the successor first, and the old worker is gone a moment later.
			eventually(t, name+": its exit is in PM2's log", func() bool {
				h, err = v.m.Exits(t.Context(), v.app(name), time.Time{})
				return err != nil || len(h.Exits) > 0
			})
			if err != nil || h.Exits[0].Cause != cause {
				t.Fatalf("exits %+v, %v; want %s", h, err, cause)
			}
			if planned := cause != runtime.CauseCrash; planned && h.Unplanned() != 0 || planned && h.LastStop == nil {
				t.Errorf("%d unplanned exits, last stop %+v", h.Unplanned(), h.LastStop)
			}
		})
	}
}
