//go:build linux

package systemd

import (
	"fmt"

	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// The codes of waitid(2).
const (
	exited = 1
	killed = 2
	dumped = 3
)

// row is the unit in the words of all runtimes, as far as systemd itself tells.
func (p *properties) row(unit string) runtime.Process {
	r := runtime.Process{
		Name: unit, ID: unit, PID: p.mainPID, Restarts: p.restarts, StartedAt: p.mainStart.time(), Mark: p.invocation,
		Autorestart: p.restart != "" && p.restart != "no", ExecMode: p.kind, Script: p.program, Cwd: p.folder, Config: p.fragment,
		Raw: p.active + " (" + p.sub + ")",
	}
	if p.code == exited {
		code := p.status
		r.ExitCode = &code
	}
	r.State, r.Message = p.state(unit)
	switch r.State { // what systemd may take, in this state
	case runtime.Starting:
		r.ReadyTimeout = orForever(p.startTimeout)
	case runtime.Stopping:
		r.StopTimeout = orForever(p.stopTimeout)
	case runtime.Waiting:
		r.RestartDelay = p.restartDelay
		if p.job {
			r.ReadyTimeout = orForever(p.startTimeout)
		}
	default:
	}
	return r
}

func (p *properties) state(unit string) (runtime.State, string) {
	if p.load != "loaded" && p.down() {
		return runtime.Missing, p.unloaded(unit)
	}
	if p.job && p.down() { // as when the machine boots
		return runtime.Waiting, "its start is in systemd's queue"
	}
	switch p.active {
	case "active", "reloading", "refreshing":
		if p.sub == "exited" {
			return runtime.Stopped, "its process has ended, and the unit counts as active all the same (RemainAfterExit=)"
		}
		return runtime.Running, ""
	case "activating":
		if p.sub == "auto-restart" || p.sub == "auto-restart-queued" {
			return runtime.Waiting, ""
		}
		return runtime.Starting, ""
	case "deactivating":
		return runtime.Stopping, ""
	case "inactive":
		return runtime.Stopped, ""
	case "failed":
		if p.givenUp() {
			return runtime.Errored, "systemd has given up on it, as when it was started too often within StartLimitIntervalSec=; its last result is " + p.result
		}
		return runtime.Stopped, "its last result is " + p.result
	default:
		return runtime.Unknown, fmt.Sprintf("systemd says %.40q, a word that evenkeel does not know", p.active)
	}
}

// unloaded says why systemd cannot run the unit.
func (p *properties) unloaded(unit string) string {
	switch p.load {
	case "not-found":
		return "there is no unit " + unit
	case "masked":
		return unit + " is masked: it cannot be started until somebody unmasks it"
	}
	text := "the file of " + unit + " cannot be used (" + p.load + ")"
	if p.loadError != "" {
		text += ": " + p.loadError
	}
	return text
}
