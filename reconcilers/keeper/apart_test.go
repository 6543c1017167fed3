//go:build linux

package keeper

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime/runtimetest"
)

// houses are control groups as systemd moves processes between them; the test lives in evenkeel's service.
type houses struct {
	mu     sync.Mutex
	moved  map[int]string
	refuse int // so many tries
	tries  int
}

const service = "/system.slice/evenkeel.service"

func (h *houses) in(k *Keeper) {
	k.group, k.apart = service, h.apart
	k.groupOf = func(id procfs.Identity) (string, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if unit := h.moved[id.PID]; unit != "" {
			return "/user.slice/user-1000.slice/user@1000.service/app.slice/" + unit, nil
		}
		return service, nil
	}
}

func (h *houses) apart(_ context.Context, unit, _ string, pids []int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tries++; h.tries <= h.refuse {
		return errors.New("nobody there")
	}
	if h.moved == nil {
		h.moved = map[int]string{}
	}
	for _, pid := range pids {
		h.moved[pid] = unit
	}
	return nil
}

func (h *houses) of(pid int) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.moved[pid]
}

func (h *houses) tried() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tries
}

func TestALifeGetsAUnitOfItsOwn(t *testing.T) {
	for name, refuse := range map[string]int{"at once": 0, "when systemd is there": 1} {
		t.Run(name, func(t *testing.T) {
			w, h := newWorld(t), &houses{refuse: refuse}
			h.in(w.k)
			app := w.app("web", "web")
			w.k.Keep(app)
			first := w.running(app)
			runtimetest.Eventually(t, "it is moved", func() bool { return h.of(first.PID) != "" })
			if unit := h.of(first.PID); !strings.HasPrefix(unit, "evenkeel-web-") || !strings.HasSuffix(unit, ".scope") {
				t.Errorf("its unit is %s", unit)
			}
			// The next evenkeel finds it there, and leaves it.
			before := h.tried()
			w.again()
			h.in(w.k)
			w.k.Keep(app)
			if now := w.running(app); now.Identity != first.Identity {
				t.Fatalf("%v became %v", first.Identity, now.Identity)
			}
			// The next life is moved, too, into another unit.
			if _, err := w.k.Start(t.Context(), app, instant()); err != nil {
				t.Fatal(err)
			}
			second := w.running(app, first.Identity)
			runtimetest.Eventually(t, "the next life is moved", func() bool { return h.of(second.PID) != "" })
			if h.of(second.PID) == h.of(first.PID) || h.tried() != before+1 {
				t.Errorf("%q after %q, in %d tries", h.of(second.PID), h.of(first.PID), h.tried()-before)
			}
		})
	}
}

func TestWhoeverStaysIsMoved(t *testing.T) {
	w, h := newWorld(t), &houses{}
	h.in(w.k)
	w.k.apart = nil // else it is moved by itself
	app := w.app("web", "web")
	if _, err := w.k.Start(t.Context(), app, v1alpha1.Instant{}); err != nil {
		t.Fatal(err)
	}
	row := w.running(app)
	ward := w.k.known("web")
	ward.mu.Lock()
	l := ward.life
	ward.mu.Unlock()
	if stays := ward.staying(l); !slices.Equal(stays, []int{row.PID}) {
		t.Errorf("in evenkeel's own: %v, want %d", stays, row.PID)
	}
	for group, want := range map[string]bool{service: true, service + "/worker": true, "/system.slice/evenkeel.services": false, "/": false, "": false} {
		w.k.groupOf = func(procfs.Identity) (string, error) { return group, nil }
		if got := w.k.within(row.Identity); got != want {
			t.Errorf("%s: %v", group, got)
		}
	}
	w.k.groupOf = func(procfs.Identity) (string, error) { return "", procfs.ErrGone }
	if w.k.within(row.Identity) {
		t.Error("one that is gone lives there")
	}
	w.signal(row.Identity, 9)
	<-l.ended
	w.k.groupOf = func(procfs.Identity) (string, error) { return service, nil }
	if stays := ward.staying(l); stays != nil {
		t.Errorf("of a life that is over: %v", stays)
	}
}

func TestOnlyAServiceIsLeft(t *testing.T) {
	h := &houses{}
	k := New(Options{Dir: t.TempDir(), Clock: instant, Apart: h.apart})
	defer k.Close()
	if unit, _ := procfs.Service(k.group); (unit != "") != (k.apart != nil) {
		t.Errorf("in %q, and it moves: %v", k.group, k.apart != nil)
	}
}
