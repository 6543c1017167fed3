//go:build linux

package pm2

import (
	"context"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// variables is an entry of PM2's list with the environment that it gives to the process. It is asked for only where the
// values are to be masked; no look ever holds them.
type variables struct {
	Name looseText `json:"name"`
	Env  struct {
		Env map[string]looseText `json:"env"`
	} `json:"pm2_env"`
}

// EachVariable hands over every variable that PM2 gives to the application, also to one that does not run. Values are
// secrets: whoever is handed them must not let them reach a log, an error or a file. It wants a daemon that answers on its
// socket.
func (m *Manager) EachVariable(ctx context.Context, app *v1alpha1.App, visit func(name, value string)) error {
	h, spec, err := m.open(app)
	if err != nil {
		return err
	}
	if err := take(ctx, h.asking); err != nil {
		return err
	}
	defer func() { <-h.asking }()
	if _, err := m.overSocket(ctx, h); err != nil {
		return err
	}
	list, err := ask[[]variables](ctx, h.conn, "getMonitorData", struct{}{})
	if h.conn.broken {
		h.conn = nil
	}
	if err != nil {
		return err
	}
	for _, row := range list {
		if string(row.Name) != spec.Process {
			continue
		}
		for name, value := range row.Env.Env {
			visit(name, string(value))
		}
	}
	return nil
}
