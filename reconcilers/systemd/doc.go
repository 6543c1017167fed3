//go:build linux

// Package systemd is the runtime of applications that are systemd services: of the system's manager, or of the manager of
// the user that evenkeel runs as. It is asked over D-Bus; no program is started for it.
//
// What a unit is told by Restart= is systemd's own business and looks like any other manager's bringing back. A unit that
// systemd has given up on (start-limit-hit) is reset before it is started. systemd itself is never brought back: where it
// cannot be asked, nothing is known of the application.
//
// systemd keeps how the last life of a unit ended, and no list of such ends. So whoever ends is noted here as it happens, from
// the signals that systemd sends; what came before is not known.
package systemd
