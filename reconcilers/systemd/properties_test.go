//go:build linux

package systemd

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// said is what systemd says of a unit that runs, with changes.
func said(changes map[string]any) map[string]any {
	m := map[string]any{
		"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "Result": "success", "Type": "simple", "Restart": "always",
		"KillMode": "control-group", "MainPID": uint32(0), "NRestarts": uint32(2), "InvocationID": []byte{0xab, 0x01},
		"ExecMainCode": int32(0), "ExecMainStatus": int32(0), "Environment": []string{"SECRET=known"},
		"ExecMainStartTimestampMonotonic": uint64(100), "ExecMainStartTimestamp": uint64(1_000_100),
		"ExecMainExitTimestampMonotonic": uint64(0), "ExecMainExitTimestamp": uint64(0),
		"InactiveExitTimestampMonotonic": uint64(90), "InactiveExitTimestamp": uint64(1_000_090),
		"TimeoutStartUSec": uint64(5_000_000), "TimeoutStopUSec": uint64(math.MaxUint64), "RestartUSec": uint64(100_000), "RuntimeMaxUSec": uint64(math.MaxUint64),
		"Job": []any{uint32(0), "/"}, "LoadError": []any{"", ""}, "ExecStart": [][]any{{"/usr/bin/node", []string{"node", "server.js"}}},
		"WorkingDirectory": "!/home/deploy", "FragmentPath": "/etc/systemd/system/web.service",
	}
	for name, v := range changes {
		m[name] = v
	}
	return m
}

func TestStatesInTheWordsOfAllRuntimes(t *testing.T) {
	for name, c := range map[string]struct {
		changes map[string]any
		want    runtime.State
		message string
	}{
		"running":                              {nil, runtime.Running, ""},
		"reloading":                            {map[string]any{"ActiveState": "reloading", "SubState": "reload"}, runtime.Running, ""},
		"exited":                               {map[string]any{"SubState": "exited"}, runtime.Stopped, "RemainAfterExit="},
		"starting":                             {map[string]any{"ActiveState": "activating", "SubState": "start"}, runtime.Starting, ""},
		"auto-restart":                         {map[string]any{"ActiveState": "activating", "SubState": "auto-restart"}, runtime.Waiting, ""},
		"its newer word":                       {map[string]any{"ActiveState": "activating", "SubState": "auto-restart-queued"}, runtime.Waiting, ""},
		"stopping":                             {map[string]any{"ActiveState": "deactivating", "SubState": "stop-sigterm"}, runtime.Stopping, ""},
		"down":                                 {map[string]any{"ActiveState": "inactive", "SubState": "dead"}, runtime.Stopped, ""},
		"to be started when the machine boots": {map[string]any{"ActiveState": "inactive", "SubState": "dead", "Job": []any{uint32(7), "/job/7"}}, runtime.Waiting, "queue"},
		"failed and not to be brought back":    {map[string]any{"ActiveState": "failed", "Result": "exit-code", "Restart": "no"}, runtime.Stopped, "exit-code"},
		"given up on":                          {map[string]any{"ActiveState": "failed", "Result": "exit-code"}, runtime.Errored, "given up"},
		"given up on by its own word":          {map[string]any{"ActiveState": "failed", "Result": "start-limit-hit", "Restart": "no"}, runtime.Errored, "given up"},
		"not there":                            {map[string]any{"LoadState": "not-found", "ActiveState": "inactive"}, runtime.Missing, "there is no unit web.service"},
		"not there any more":                   {map[string]any{"LoadState": "not-found"}, runtime.Running, ""},
		"masked":                               {map[string]any{"LoadState": "masked", "ActiveState": "inactive"}, runtime.Missing, "unmasks"},
		"broken":                               {map[string]any{"LoadState": "bad-setting", "ActiveState": "inactive", "LoadError": []any{"x", "no ExecStart"}}, runtime.Missing, "no ExecStart"},
		"a word of the future":                 {map[string]any{"ActiveState": "dreaming"}, runtime.Unknown, "does not know"},
	} {
		var n notes
		p := n.hear("web.service", said(c.changes), time.Now())
		row := p.row("web.service")
		if row.State != c.want || !strings.Contains(row.Message, c.message) {
			t.Errorf("%s: %s, %q", name, row.State, row.Message)
		}
		if row.Mark != "ab01" || row.Restarts != 2 || row.Script != "/usr/bin/node" || row.Cwd != "/home/deploy" {
			t.Errorf("%s: %+v", name, row)
		}
		bound := row.StopTimeout + row.ReadyTimeout + row.RestartDelay
		if in := c.want == runtime.Starting || c.want == runtime.Stopping || c.want == runtime.Waiting; in != (bound > 0) || bound > forever {
			t.Errorf("%s: systemd may take %s", name, bound)
		}
	}
}

func TestWhoWasToldToEndIsToldFromWhoEnded(t *testing.T) {
	at := func(exit, activeExit, inactiveEnter uint64, more map[string]any) map[string]any {
		m := map[string]any{
			"ActiveState": "inactive", "SubState": "dead", "ExecMainCode": int32(killed), "ExecMainStatus": int32(15),
			"ExecMainExitTimestampMonotonic": exit, "ExecMainExitTimestamp": 1_000_000 + exit,
			"ActiveExitTimestampMonotonic": activeExit, "ActiveExitTimestamp": 1_000_000 + activeExit,
			"InactiveEnterTimestampMonotonic": inactiveEnter, "InactiveEnterTimestamp": 1_000_000 + inactiveEnter,
		}
		for name, v := range more {
			m[name] = v
		}
		return m
	}
	for name, c := range map[string]struct {
		said    map[string]any
		ordered bool
		cause   runtime.Cause
		ends    int
	}{
		"its unit went down before it":          {at(200, 150, 201, nil), true, runtime.CauseOrder, 1},
		"it had to be killed":                   {at(200, 150, 201, map[string]any{"ActiveState": "failed", "Result": "timeout"}), true, runtime.CauseOrder, 1},
		"it went before its unit":               {at(200, 201, 202, nil), false, runtime.CauseCrash, 1},
		"it went at the same moment":            {at(200, 200, 202, nil), false, runtime.CauseCrash, 1},
		"its watchdog":                          {at(200, 150, 201, map[string]any{"ActiveState": "failed", "Result": "watchdog"}), false, runtime.CauseCrash, 1},
		"the kernel, for want of memory":        {at(200, 150, 201, map[string]any{"ActiveState": "failed", "Result": "oom-kill"}), false, runtime.CauseCrash, 1},
		"its own longest time":                  {at(200, 150, 201, map[string]any{"ActiveState": "failed", "Result": "timeout", "RuntimeMaxUSec": uint64(50)}), false, runtime.CauseOrder, 1},
		"a planned restart was called off":      {at(200, 201, 300, map[string]any{"InactiveExitTimestampMonotonic": uint64(202)}), true, runtime.CauseOrder, 1},
		"a planned restart that is under way":   {at(200, 201, 300, map[string]any{"InactiveExitTimestampMonotonic": uint64(202), "Job": []any{uint32(3), "/job/3"}}), false, runtime.CauseCrash, 1},
		"what comes before the start fails":     {at(200, 201, 300, map[string]any{"InactiveExitTimestampMonotonic": uint64(202), "ActiveState": "failed", "Result": "exit-code"}), false, runtime.CauseCrash, 1},
		"its condition is not met":              {at(200, 201, 300, map[string]any{"InactiveExitTimestampMonotonic": uint64(202), "Result": "exec-condition"}), false, runtime.CauseCrash, 1},
		"the stop of an earlier life":           {at(200, 50, 202, nil), false, runtime.CauseCrash, 1},
		"never started since the machine boots": {map[string]any{"ActiveState": "inactive", "ExecMainStartTimestampMonotonic": uint64(0), "InactiveExitTimestampMonotonic": uint64(0)}, false, "", 0},
	} {
		var n notes
		n.hear("web.service", said(c.said), time.Now())
		h := n.history(time.Time{})
		if got := h.LastStop != nil && h.LastStop.Standing; got != c.ordered {
			t.Errorf("%s: stopped by order %v", name, got)
		}
		if len(h.Exits) != c.ends || c.ends > 0 && (h.Exits[0].Cause != c.cause || h.Exits[0].Signal != "SIGTERM") {
			t.Errorf("%s: %+v", name, h.Exits)
		}
	}
}

// TestAShortLifeWasNotStopped: systemd says that the unit is down before it says that there was a process, and that this has ended.
func TestAShortLifeWasNotStopped(t *testing.T) {
	word := func(m map[string]any, name string, at uint64) {
		m[name], m[name+"Monotonic"] = 1_000_000+at, at
	}
	life := func(n *notes, at uint64) {
		unit := map[string]any{"ActiveState": "inactive", "SubState": "dead"}
		word(unit, "InactiveExitTimestamp", at+1)
		word(unit, "ActiveEnterTimestamp", at+1)
		word(unit, "ActiveExitTimestamp", at+51)
		word(unit, "InactiveEnterTimestamp", at+51)
		service := map[string]any{"ExecMainCode": int32(exited), "ExecMainStatus": int32(0)}
		word(service, "ExecMainStartTimestamp", at)
		word(service, "ExecMainExitTimestamp", at+50)
		n.hear("u", unit, time.Now())
		n.hear("u", service, time.Now())
	}
	var n notes
	n.hear("u", said(map[string]any{"ActiveState": "inactive", "ExecMainStartTimestampMonotonic": uint64(0), "InactiveExitTimestampMonotonic": uint64(0)}), time.Now())
	for lives := range 2 {
		life(&n, 1000*uint64(lives+1))
		if h := n.history(time.Time{}); h.LastStop != nil || h.Unplanned() != lives+1 {
			t.Errorf("after %d: %+v, stop %+v", lives+1, h.Exits, h.LastStop)
		}
	}
	stop := runtime.Order{At: time.UnixMicro(3_000_000), Cause: runtime.CauseOrder, Standing: true}
	n.stop = &stop
	n.hear("u", map[string]any{"Job": []any{uint32(3), "/job/3"}, "ExecMainExitTimestamp": uint64(0), "ExecMainExitTimestampMonotonic": uint64(0)}, time.Now())
	n.seen.job = false
	if got := n.history(time.Time{}).LastStop; got == nil || !got.At.Equal(stop.At) {
		t.Errorf("a start that has only begun makes of the stop before it %+v", got)
	}
	life(&n, 5_000_000)
	if got := n.history(time.Time{}).LastStop; got == nil || !got.At.Equal(stop.At) || got.Standing {
		t.Errorf("the stop of an earlier life is %+v", got)
	}
}

func TestEachEndIsNotedOnceHoweverItIsHeard(t *testing.T) {
	var n notes
	now := time.Now()
	if p := n.hear("u", map[string]any{"MainPID": uint32(7)}, now); p.mainPID != 0 {
		t.Errorf("half a word was taken for a whole one: %+v", p)
	}
	n.hear("u", said(nil), now)
	gone := map[string]any{"ExecMainCode": int32(exited), "ExecMainStatus": int32(1), "ExecMainExitTimestampMonotonic": uint64(200), "ExecMainExitTimestamp": uint64(now.UnixMicro())}
	n.hear("u", gone, now) // systemd tells of the service and of the unit apart
	n.hear("u", map[string]any{"ActiveState": "activating", "SubState": "auto-restart", "ActiveExitTimestampMonotonic": uint64(201)}, now)
	n.hear("u", gone, now)
	n.blind()
	n.hear("u", said(gone), now)
	if h := n.history(now.Add(-time.Minute)); len(h.Exits) != 1 || h.Exits[0].Code != 1 || h.Unplanned() != 1 || h.LastStop != nil {
		t.Errorf("%+v", h)
	}
	for i := range uint64(2 * notesKept) {
		n.hear("u", map[string]any{"ExecMainExitTimestampMonotonic": 300 + i, "ExecMainExitTimestamp": uint64(now.UnixMicro())}, now)
	}
	if h := n.history(time.Time{}); len(h.Exits) != notesKept || h.Complete {
		t.Errorf("%d ends are kept, complete %v", len(h.Exits), h.Complete)
	}
}
