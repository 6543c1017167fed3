//go:build linux

package pm2

import (
	"context"
	"path/filepath"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// Places are the folders in which the living daemon of an App's home finds its programs: that of its node first, then those of
// its PATH. There are none where it does not run, or may not be looked at.
func (m *Manager) Places(ctx context.Context, app *v1alpha1.App) []string {
	snap, err := m.Look(ctx, app)
	if err != nil || snap.Daemon.PID == 0 {
		return nil
	}
	like := m.mannersOf(snap.Daemon.Identity)
	var dirs []string
	if filepath.Base(like.exe) == "node" {
		dirs = append(dirs, filepath.Dir(like.exe))
	}
	return append(dirs, filepath.SplitList(like.vars["PATH"])...)
}
