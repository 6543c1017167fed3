package database

import (
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAnAuthorityThatIsNoFileIsNotWaitedFor: an address may name anything as the file of its authority.
func TestAnAuthorityThatIsNoFileIsNotWaitedFor(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, ca := range []string{pipe, "/dev/zero", filepath.Dir(pipe), pipe + ".none"} {
		target := Target{Kind: PostgreSQL, security: verified, ca: ca}
		if _, err := target.tls("db"); !errors.Is(err, errAuthority) {
			t.Errorf("%s: %v", ca, err)
		}
	}
}
