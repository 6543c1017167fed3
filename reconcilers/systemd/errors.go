//go:build linux

package systemd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/user"
	"strconv"
	"strings"

	godbus "github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// lost tells whether a call failed because its connection did: nobody has answered it, and it was not given up on.
func lost(ctx context.Context, err error) bool {
	var answer godbus.Error
	return err != nil && ctx.Err() == nil && !errors.As(err, &answer)
}

// failed says what was tried and what kind of failure that is.
func (m *Manager) failed(ctx context.Context, s *scope, what string, err error) error {
	said := fmt.Errorf("%s was to %s: %w", s.name(), what, err)
	if ctx.Err() != nil {
		return fmt.Errorf("%s was to %s: %w", s.name(), what, timeoutOr(ctx))
	}
	var answer godbus.Error
	if !errors.As(err, &answer) {
		return said
	}
	switch name := answer.Name; {
	case name == systemdName+".NoSuchUnit", name == systemdName+".LoadFailed":
		return fmt.Errorf("%w: %w", runtime.ErrNotListed, said)
	case name == "org.freedesktop.DBus.Error.AccessDenied", name == "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
		strings.HasPrefix(name, "org.freedesktop.PolicyKit1.Error."):
		return fmt.Errorf("%w: user %s may not: %w", runtime.ErrPermission, m.who(), said)
	case name == "org.freedesktop.DBus.Error.NoReply", name == "org.freedesktop.DBus.Error.Timeout":
		return fmt.Errorf("%w: %w", runtime.ErrTimeout, said)
	case strings.HasPrefix(name, "org.freedesktop.DBus.Error.Unknown"), name == "org.freedesktop.DBus.Error.InvalidArgs":
		return fmt.Errorf("%w: %w", runtime.ErrNotUnderstood, said)
	}
	return fmt.Errorf("%w: %w", runtime.ErrRefused, said)
}

// remedy adds to a refusal what would help.
func (m *Manager) remedy(s *scope, unit string, err error) error {
	if s.user || !errors.Is(err, runtime.ErrPermission) {
		return err
	}
	return fmt.Errorf("%w; either let polkit allow it, with a file /etc/polkit-1/rules.d/50-evenkeel.rules such as \"evenkeel install --print\" shows, "+
		"or make %s a unit of that user's own manager and set spec.runtime.systemd.user: true, or let evenkeel run as root", err, unit)
}

// unreachable says why there is no connection. That is never an answer about the application.
func (m *Manager) unreachable(ctx context.Context, s *scope, err error) error {
	err = fmt.Errorf("%s cannot be reached: %w", s.name(), err)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s cannot be reached: %w", s.name(), timeoutOr(ctx))
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", runtime.ErrPermission, err)
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ECONNREFUSED):
		return err
	case s.user:
		return fmt.Errorf("%w; it runs while %s is logged in, or always after: loginctl enable-linger %s", err, m.who(), m.who())
	}
	return fmt.Errorf("%w; is this machine run by systemd, and does it have dbus?", err)
}

// who is the user that we run as.
func (m *Manager) who() string {
	id := strconv.Itoa(m.uid)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}
