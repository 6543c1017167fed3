//go:build linux

package systemd

import (
	"encoding/hex"
	"math"
	"strings"
	"time"
)

// What systemd says of a unit is kept as far as it is used. A unit's properties hold its Environment= too: that is not kept.
type properties struct {
	load, loadError     string
	active, sub, result string
	kind, restart, kill string // Type=, Restart=, KillMode=
	mainPID             int
	restarts            int64
	invocation          string
	code, status        int // as in waitid(2): CLD_EXITED and the like, and the status or signal

	mainStart, mainExit         moment
	activeExit                  moment
	inactiveEnter, inactiveExit moment

	startTimeout, stopTimeout, restartDelay, runtimeMax time.Duration

	fragment, program, folder string

	job bool // systemd has something to do with the unit in its queue

	// byOrder says that somebody told systemd to end the last life, and byOrderAt when.
	byOrder   bool
	byOrderAt time.Time
}

// moment is one of systemd's timestamps, in microseconds: by the clock on the wall, and by one that nobody sets. Zero means never.
type moment struct{ wall, steady uint64 }

func (m moment) never() bool { return m.steady == 0 }

func (m moment) time() time.Time {
	if m.wall == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(m.wall)) // #nosec G115 -- microseconds since 1970
}

// forever is what systemd's infinity is taken for: a bound all the same.
const forever = 10 * time.Minute

// merge takes over what a map of properties holds; the rest stays.
func (p *properties) merge(m map[string]any) {
	text := func(name string, to *string) {
		if v, ok := m[name].(string); ok {
			*to = v
		}
	}
	whole := func(name string, to *int) {
		if v, ok := m[name].(int32); ok {
			*to = int(v)
		}
	}
	at := func(name string, to *moment) {
		if v, ok := m[name].(uint64); ok {
			to.wall = v
		}
		if v, ok := m[name+"Monotonic"].(uint64); ok {
			to.steady = v
		}
	}
	lasts := func(name string, to *time.Duration) {
		if v, ok := m[name].(uint64); ok {
			*to = span(v)
		}
	}
	text("LoadState", &p.load)
	text("ActiveState", &p.active)
	text("SubState", &p.sub)
	text("Result", &p.result)
	text("Type", &p.kind)
	text("Restart", &p.restart)
	text("KillMode", &p.kill)
	text("FragmentPath", &p.fragment)
	text("WorkingDirectory", &p.folder)
	p.folder = strings.TrimLeft(p.folder, "!-") // it need not exist
	if v, ok := m["LoadError"].([]any); ok && len(v) == 2 {
		p.loadError, _ = v[1].(string)
	}
	if v, ok := m["Job"].([]any); ok && len(v) > 0 {
		p.job = v[0] != uint32(0)
	}
	if v, ok := m["MainPID"].(uint32); ok {
		p.mainPID = int(v)
	}
	if v, ok := m["NRestarts"].(uint32); ok {
		p.restarts = int64(v)
	}
	if v, ok := m["InvocationID"].([]byte); ok {
		p.invocation = hex.EncodeToString(v)
	}
	whole("ExecMainCode", &p.code)
	whole("ExecMainStatus", &p.status)
	at("ExecMainStartTimestamp", &p.mainStart)
	at("ExecMainExitTimestamp", &p.mainExit)
	at("ActiveExitTimestamp", &p.activeExit)
	at("InactiveEnterTimestamp", &p.inactiveEnter)
	at("InactiveExitTimestamp", &p.inactiveExit)
	lasts("TimeoutStartUSec", &p.startTimeout)
	lasts("TimeoutStopUSec", &p.stopTimeout)
	lasts("RestartUSec", &p.restartDelay)
	lasts("RestartUSecNext", &p.restartDelay) // where the delay grows from time to time
	lasts("RuntimeMaxUSec", &p.runtimeMax)
	if v, ok := m["ExecStart"].([][]any); ok && len(v) > 0 && len(v[0]) > 0 {
		p.program, _ = v[0][0].(string)
	}
}

// span is a time of systemd's; 0 where it is infinite.
func span(usec uint64) time.Duration {
	if usec > uint64(math.MaxInt64/int64(time.Microsecond)) {
		return 0
	}
	return time.Duration(usec) * time.Microsecond // #nosec G115 -- looked at above
}

// orForever is a bound where systemd has none.
func orForever(d time.Duration) time.Duration {
	if d <= 0 {
		return forever
	}
	return d
}

// down says that nothing of the unit is under way.
func (p *properties) down() bool {
	return p.active == "inactive" || p.active == "failed" || p.active == ""
}

// lastLife takes over from before what systemd has forgotten: it does so with a unit that is down and that no other one wants.
func (p *properties) lastLife(before *properties) {
	if !p.mainStart.never() || before.mainStart.never() || !p.down() || p.active == "failed" {
		return
	}
	p.mainStart, p.mainExit, p.activeExit = before.mainStart, before.mainExit, before.activeExit
	p.inactiveEnter, p.inactiveExit = before.inactiveEnter, before.inactiveExit
	p.code, p.status, p.result, p.invocation = before.code, before.status, before.result, before.invocation
}

// givenUp says that systemd was to bring the unit back, and does not do so any more. What its Result says is how the last life
// ended, and start-limit-hit only where that was well.
func (p *properties) givenUp() bool {
	return p.active == "failed" && (p.result == "start-limit-hit" || p.restart != "no" && p.restart != "" && !p.byOrder)
}

// ends are the words of Result for an end that systemd made by itself.
var ends = map[string]bool{
	"watchdog": true, "oom-kill": true, "exec-condition": true, "start-limit-hit": true, "protocol": true, "resources": true,
}

// ordered tells whether somebody told systemd to end the unit's last life, and when. Who ends by himself is dead before his
// unit goes down; who is told to has a unit that goes down before he is dead. A stop that calls off a restart which systemd has
// planned leaves a unit that had come up again, without a process, and is down.
func (p *properties) ordered() (bool, time.Time) {
	switch {
	case ends[p.result], p.ranOut():
		return false, time.Time{}
	case !p.activeExit.never() && p.activeExit.steady < p.mainExit.steady && p.activeExit.steady > p.mainStart.steady:
		return true, p.activeExit.time()
	case p.active == "inactive" && !p.job && !p.inactiveExit.never() && p.inactiveExit.steady > p.mainExit.steady && p.inactiveExit.steady > p.mainStart.steady:
		return true, p.inactiveEnter.time()
	}
	return false, time.Time{}
}

// ranOut says that the life was over by the unit's own RuntimeMaxSec=.
func (p *properties) ranOut() bool { return p.result == "timeout" && p.runtimeMax > 0 }
