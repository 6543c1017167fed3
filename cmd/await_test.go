package cmd

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func TestAwaitLooksAgainWhenAFileChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "site.yaml")
	looks := 0
	done := await(t.Context(), time.Minute, []string{path}, func() bool {
		if looks++; looks == 1 {
			if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
				t.Error(err)
			}
		}
		return looks > 1
	})
	if !done || looks < 2 {
		t.Errorf("done %t after %d looks", done, looks)
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if await(ctx, time.Minute, []string{t.TempDir() + "/x"}, func() bool { return false }) {
		t.Error("it is done, though nobody said so")
	}
}

// untilSaid is a writer that ends a context once it has been given a text.
type untilSaid struct {
	text string
	said strings.Builder
	end  context.CancelFunc
	next func()
}

func (u *untilSaid) Write(p []byte) (int, error) {
	n, err := u.said.Write(p)
	if u.next != nil {
		next := u.next
		u.next = nil
		next()
	}
	if strings.Contains(u.said.String(), u.text) {
		u.end()
	}
	return n, err
}

func TestFollowEndsWithItsContext(t *testing.T) {
	b := newBench(t)
	b.keep(failed(t))
	b.journal(incident()...)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := &untilSaid{text: "one more", end: cancel}
	out.next = func() { b.journal(event(0, v1alpha1.ReasonResumed, "one more")) }
	g := &globals{Stdout: out, Stderr: &b.err, clock: func() v1alpha1.Instant { return noon }}
	if code := execute(ctx, g, []string{"events", "--follow", "--state-dir", b.dir}); code != exitWell {
		t.Errorf("exit code %d: %s", code, b.err.String())
	}
	if text := out.said.String(); strings.Count(text, "MESSAGE") != 1 || strings.Count(text, "\n") != 6 {
		t.Errorf("got\n%s", text)
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	b, v := newBench(t), healthy(t)
	store := b.keep(v)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := &untilSaid{text: "Degraded", end: cancel}
	out.next = func() { b.must(store.Write(held(t).Status, 1)) }
	g := &globals{Stdout: out, Stderr: &b.err, clock: func() v1alpha1.Instant { return noon }}
	if code := execute(ctx, g, []string{"status", "--watch", "--state-dir", b.dir}); code != exitWell {
		t.Errorf("exit code %d: %s", code, b.err.String())
	}
	if text := out.said.String(); !strings.Contains(text, "Healthy") || !strings.Contains(text, "Degraded") {
		t.Errorf("got\n%s", text)
	}
}
