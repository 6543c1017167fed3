package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Instant is a moment on this machine: the wall clock for people, and the time since boot, which no clock change moves,
// for measuring. Between two boots only the wall clock is left.
type Instant struct {
	// Wall is what the clock on the wall said.
	Wall metav1.MicroTime `json:"wall"`
	// Boot is the time since boot, suspension included (CLOCK_BOOTTIME). It is negative for a moment before this boot.
	Boot metav1.Duration `json:"boot"`
	// BootID is the kernel's random name of the boot (/proc/sys/kernel/random/boot_id).
	BootID string `json:"bootID"`
}

// IsZero tells whether the instant was never set.
func (i Instant) IsZero() bool { return i.BootID == "" && i.Boot.Duration == 0 && i.Wall.IsZero() }

// Since is the time that has passed from then to i; never negative. Within one boot the wall clock is not looked at.
func (i Instant) Since(then Instant) time.Duration {
	var d time.Duration
	if i.BootID == then.BootID {
		d = i.Boot.Duration - then.Boot.Duration
	} else {
		d = i.Wall.Sub(then.Wall.Time)
	}
	return max(d, 0)
}

// Before tells whether i lies before other.
func (i Instant) Before(other Instant) bool {
	if i.BootID == other.BootID {
		return i.Boot.Duration < other.Boot.Duration
	}
	return i.Wall.Time.Before(other.Wall.Time)
}

// Add is the moment d after i.
func (i Instant) Add(d time.Duration) Instant {
	return Instant{Wall: metav1.NewMicroTime(i.Wall.Add(d)), Boot: metav1.Duration{Duration: i.Boot.Duration + d}, BootID: i.BootID}
}

// Rebase gives the same moment in the boot of now, so that from then on no jump of the wall clock moves it. A moment that
// the wall clock puts into the future is taken as now.
func (i Instant) Rebase(now Instant) Instant {
	if i.BootID == now.BootID || i.IsZero() {
		return i
	}
	return now.Add(-now.Since(i))
}

// Wait is a span of time that began at an instant. It survives restarts, reboots and jumps of the clock, and is never
// longer than its length.
type Wait struct {
	// From is when it began.
	From Instant `json:"from"`
	// Length is how long it lasts.
	Length metav1.Duration `json:"length"`
}

// NewWait is a wait of length d from now.
func NewWait(now Instant, d time.Duration) *Wait {
	return &Wait{From: now, Length: metav1.Duration{Duration: d}}
}

// Left is what is left of the wait: between nothing and its whole length.
func (w *Wait) Left(now Instant) time.Duration {
	if w == nil {
		return 0
	}
	return max(w.Length.Duration-now.Since(w.From), 0)
}
