//go:build linux

package runtime

import (
	"context"
	"errors"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// Choice is the runtime that each App's spec.runtime names.
type Choice struct {
	PM2, Exec, Systemd Runtime
}

var _ Runtime = Choice{}

func (c Choice) of(app *v1alpha1.App) (Runtime, error) {
	switch {
	case app.Spec.Runtime.PM2 != nil && c.PM2 != nil:
		return c.PM2, nil
	case app.Spec.Runtime.Exec != nil && c.Exec != nil:
		return c.Exec, nil
	case app.Spec.Runtime.Systemd != nil && c.Systemd != nil:
		return c.Systemd, nil
	}
	return nil, errors.New("spec.runtime names no process manager that is known here")
}

// Look is the App's own runtime's.
func (c Choice) Look(ctx context.Context, app *v1alpha1.App) (Snapshot, error) {
	r, err := c.of(app)
	if err != nil {
		return Snapshot{}, err
	}
	return r.Look(ctx, app)
}

// Stop is the App's own runtime's.
func (c Choice) Stop(ctx context.Context, app *v1alpha1.App, timeout time.Duration) (StopResult, error) {
	r, err := c.of(app)
	if err != nil {
		return StopResult{Message: err.Error()}, err
	}
	return r.Stop(ctx, app, timeout)
}

// Start is the App's own runtime's.
func (c Choice) Start(ctx context.Context, app *v1alpha1.App, since v1alpha1.Instant) (StartResult, error) {
	r, err := c.of(app)
	if err != nil {
		return StartResult{Message: err.Error()}, err
	}
	return r.Start(ctx, app, since)
}

// Exits is the App's own runtime's.
func (c Choice) Exits(ctx context.Context, app *v1alpha1.App, since time.Time) (History, error) {
	r, err := c.of(app)
	if err != nil {
		return History{}, err
	}
	return r.Exits(ctx, app, since)
}
