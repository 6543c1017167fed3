//go:build linux

package pm2

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"sigs.k8s.io/json"
)

// row is what is read of an entry of PM2's list. Decoding is case-sensitive: an application's variables stand between
// PM2's fields, and a variable STATUS must not pass for the field status.
type row struct {
	PID   looseInt  `json:"pid"`
	Name  looseText `json:"name"`
	ID    looseInt  `json:"pm_id"`
	Monit struct {
		Memory looseInt `json:"memory"`
	} `json:"monit"`
	Env rowEnv `json:"pm2_env"`
}

type rowEnv struct {
	Status      looseText `json:"status"`
	ExecMode    looseText `json:"exec_mode"`
	Namespace   looseText `json:"namespace"`
	Module      looseBool `json:"pmx_module"`
	Restarts    looseInt  `json:"restart_time"`
	Unstable    looseInt  `json:"unstable_restarts"`
	Uptime      looseInt  `json:"pm_uptime"`
	CreatedAt   looseInt  `json:"created_at"`
	ExitCode    looseInt  `json:"exit_code"`
	Autorestart looseBool `json:"autorestart"`
	Autostart   looseBool `json:"autostart"`
	Watch       looseBool `json:"watch"`
	Cron        looseText `json:"cron_restart"`
	KillTimeout looseInt  `json:"kill_timeout"`
	WaitReady   looseBool `json:"wait_ready"`
	Listen      looseInt  `json:"listen_timeout"`
	Delay       looseInt  `json:"restart_delay"`
	BackoffNow  looseInt  `json:"prev_restart_delay"`
	MaxMemory   looseInt  `json:"max_memory_restart"`
	UniqueID    looseText `json:"unique_id"`
	Script      looseText `json:"pm_exec_path"`
	Args        looseList `json:"args"`
	Interpreter looseText `json:"exec_interpreter"`
	Cwd         looseText `json:"pm_cwd"`
	Version     looseText `json:"version"`
	OutLog      looseText `json:"pm_out_log_path"`
	ErrLog      looseText `json:"pm_err_log_path"`
	PIDPath     looseText `json:"pm_pid_path"`
	Home        looseText `json:"PM2_HOME"`
}

// PM2's own defaults, where a row does not set its own.
const (
	defaultKillTimeout  = 1600 * time.Millisecond
	defaultReadyTimeout = 3 * time.Second
)

// decodeRows reads a JSON list of rows. The error says nothing of the contents.
func decodeRows(b []byte) ([]row, error) {
	var rows []row
	if err := json.UnmarshalCaseSensitivePreserveInts(b, &rows); err != nil {
		return nil, fmt.Errorf("PM2's list: %w", runtime.ErrNotUnderstood)
	}
	return sane(rows)
}

// sane refuses a list that is JSON but not PM2's: every row of PM2 has an id, a name and a status.
func sane(rows []row) ([]row, error) {
	for i := range rows {
		if !rows[i].ID.set || rows[i].Name == "" || rows[i].Env.Status == "" {
			return nil, fmt.Errorf("PM2's list: row %d has no id, name or status: %w", i, runtime.ErrNotUnderstood)
		}
	}
	return rows, nil
}

// process is the row in the words of all runtimes, as far as PM2 itself tells.
func (r *row) process(home string) runtime.Process {
	e := &r.Env
	p := runtime.Process{
		Name: string(r.Name), ID: fmt.Sprint(r.ID.n), Raw: string(e.Status), PID: r.pid(),
		Restarts: e.Restarts.n, Unstable: e.Unstable.n, Memory: uint64(max(r.Monit.Memory.n, 0)),
		Mark: string(e.UniqueID), Home: home, Namespace: string(e.Namespace),
		ExecMode: string(e.ExecMode), Cluster: e.ExecMode == "cluster_mode",
		Autorestart: e.Autorestart.or(true), Watch: e.Watch.or(false), Cron: string(e.Cron),
		StopTimeout: defaultKillTimeout, RestartDelay: e.Delay.milliseconds(), BackoffNow: e.BackoffNow.milliseconds(),
		Unstartable: e.Autostart.set && !e.Autostart.yes,
		MaxMemory:   uint64(max(e.MaxMemory.n, 0)), Script: string(e.Script), Args: e.Args,
		Interpreter: string(e.Interpreter), Cwd: string(e.Cwd), Version: string(e.Version),
		OutLog: string(e.OutLog), ErrLog: string(e.ErrLog), PIDPath: string(e.PIDPath),
	}
	if e.Home != "" {
		p.Home = string(e.Home)
	}
	if e.KillTimeout.n > 0 {
		p.StopTimeout = e.KillTimeout.milliseconds()
	}
	if e.WaitReady.or(false) {
		p.ReadyTimeout = defaultReadyTimeout
		if e.Listen.n > 0 {
			p.ReadyTimeout = e.Listen.milliseconds()
		}
	}
	if e.Uptime.n > 0 {
		p.StartedAt = time.UnixMilli(e.Uptime.n)
	}
	if e.ExitCode.set {
		code := int(e.ExitCode.n)
		p.ExitCode = &code
	}
	p.State, p.Message = r.state()
	return p
}

func (r *row) pid() int {
	if r.PID.n <= 0 || r.PID.n > 1<<31-1 {
		return 0
	}
	return int(r.PID.n)
}

// state maps PM2's word. PM2 takes the pid out of a row whose process it will not bring back, and leaves the dead one's
// where it will: that tells apart two meanings each of "stopped" and "waiting restart".
func (r *row) state() (runtime.State, string) {
	e := &r.Env
	back := r.pid() != 0 && e.Autorestart.or(true)
	switch e.Status {
	case "online":
		return runtime.Running, ""
	case "launching", "one-launch-status":
		return runtime.Starting, ""
	case "stopping":
		return runtime.Stopping, ""
	case "errored":
		return runtime.Errored, "PM2 has given up on it"
	case "stopped":
		if back {
			return runtime.Waiting, "it has just ended, and PM2 is about to bring it back"
		}
		return runtime.Stopped, ""
	case "waiting restart":
		if back {
			return runtime.Waiting, ""
		}
		// With a restart delay PM2 writes this over "errored" and "stopped" too (God.handleExit), and nothing follows.
		// It takes created_at away only where it gives up.
		if !e.CreatedAt.set {
			return runtime.Errored, `PM2 says "waiting restart", but has given up on it`
		}
		return runtime.Stopped, `PM2 says "waiting restart", but will not restart it`
	default:
		return runtime.Unknown, fmt.Sprintf("PM2 says %.40q, a word that evenkeel does not know", string(e.Status))
	}
}

// chosen tells which rows are the App's. A name may stand in several namespaces, and then they are several applications: the
// spec says which is meant, or else the folder does.
func chosen(rows []row, app *v1alpha1.App) ([]bool, error) {
	spec := app.Spec.Runtime.PM2
	mine := make([]bool, len(rows))
	spaces := map[looseText]bool{}
	for i := range rows {
		e := &rows[i].Env
		mine[i] = string(rows[i].Name) == spec.Process && !e.Module.or(false) && (spec.Namespace == "" || string(e.Namespace) == spec.Namespace)
		if mine[i] {
			spaces[e.Namespace] = true
		}
	}
	if len(spaces) < 2 {
		return mine, nil
	}
	here := map[looseText]bool{}
	for i := range rows {
		if mine[i] && sameFolder(string(rows[i].Env.Cwd), app.Spec.Directory) {
			here[rows[i].Env.Namespace] = true
		}
	}
	if len(here) != 1 {
		names := make([]string, 0, len(spaces))
		for space := range spaces {
			names = append(names, fmt.Sprintf("%q", string(space)))
		}
		slices.Sort(names)
		return nil, fmt.Errorf("%w: %q stands in the namespaces %s; set spec.runtime.pm2.namespace to one of them",
			runtime.ErrAmbiguous, spec.Process, strings.Join(names, " and "))
	}
	for i := range rows {
		mine[i] = mine[i] && here[rows[i].Env.Namespace]
	}
	return mine, nil
}
