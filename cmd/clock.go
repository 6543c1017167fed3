package cmd

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// newClock gives the clock of this machine: the one on the wall, the time since boot, and the name of the boot, which
// cannot change while we live.
func newClock() (func() v1alpha1.Instant, error) {
	boot, err := procfs.Default().BootID()
	if err != nil {
		return nil, fmt.Errorf("reading the kernel's boot id (is /proc mounted?): %w", err)
	}
	return func() v1alpha1.Instant {
		return v1alpha1.Instant{
			Wall: metav1.NewMicroTime(time.Now()), Boot: metav1.Duration{Duration: procfs.SinceBoot()}, BootID: boot,
		}
	}, nil
}
