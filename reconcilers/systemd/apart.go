//go:build linux

package systemd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	dbus "github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"
)

// scopeResult is how a job of systemd's ends that has done what it was for.
const scopeResult = "done"

// Apart moves processes out of the control group that they live in, into a new scope of that name: of the system's manager where
// evenkeel is root, else of its user's own. The scope lasts as long as anything lives in it, and nothing but its manager's own end
// ends it. Who lives there does not end with the service that it came from.
//
// A user's manager asks the system's to move what lives outside of its own part of the tree, which it does for processes of that
// user. There is no right that evenkeel needs for it but that the manager runs: loginctl enable-linger.
func (m *Manager) Apart(ctx context.Context, name, description string, pids []int) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s := m.system
	if m.uid != 0 {
		s = m.user
	}
	b, _, err := m.open(ctx, s)
	if err != nil {
		return err
	}
	ends, err := b.stopping(ctx)
	if err == nil && ends {
		// A unit that is started in its last moments would call its end off, and who waits for that would wait for minutes.
		return fmt.Errorf("%s was to make %s, and is about to end", s.name(), name)
	}
	var done <-chan string
	if err == nil {
		done, err = b.scope(ctx, name, description, pids)
	}
	if err != nil {
		if lost(ctx, err) {
			s.abandon(b)
		}
		return m.failed(ctx, s, "make "+name, err)
	}
	select {
	case result := <-done:
		if result != scopeResult {
			return fmt.Errorf("%s was to make %s: it ended with %q", s.name(), name, result)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s was to make %s: %w", s.name(), name, timeoutOr(ctx))
	}
}

// refused tells whether a setting was not known.
func refused(err error) bool {
	var answer godbus.Error
	return errors.As(err, &answer) && (strings.HasSuffix(answer.Name, ".PropertyReadOnly") || strings.HasSuffix(answer.Name, ".UnknownProperty"))
}

func (c *connection) stopping(ctx context.Context) (bool, error) {
	p, err := c.SystemStateContext(ctx)
	if err != nil {
		return false, err
	}
	return p.Value.Value() == "stopping", nil
}

func (c *connection) scope(ctx context.Context, name, description string, pids []int) (<-chan string, error) {
	list := make([]uint32, len(pids))
	for n, pid := range pids {
		list[n] = uint32(pid) // #nosec G115 -- a process's number
	}
	done := make(chan string, 1)
	with := []dbus.Property{
		dbus.PropDescription(description), dbus.PropPids(list...), {Name: "CollectMode", Value: godbus.MakeVariant("inactive-or-failed")},
		// What the kernel kills for want of memory is the application's own business. Before systemd 253 no scope had that setting.
		{Name: "OOMPolicy", Value: godbus.MakeVariant("continue")},
	}
	_, err := c.StartTransientUnitContext(ctx, name, "fail", with, done)
	if refused(err) {
		_, err = c.StartTransientUnitContext(ctx, name, "fail", with[:len(with)-1], done)
	}
	return done, err
}
