package cmd

import (
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func TestRunRefusesToServeMetricsToTheWorld(t *testing.T) {
	b := newBench(t)
	b.wants(b.run(nil, "run", "-f", b.desire(siteYAML), "--log-file", "-", "--metrics", "0.0.0.0:9464"), exitUsage, "on loopback or a unix socket only")
}

func TestEvenkeelIsIllWhereAPassIsOverdue(t *testing.T) {
	now := at(0)
	w := newWatchdog(nil, func() v1alpha1.Instant { return now })
	w.passed(site(t))
	if err := w.healthy(); err != nil {
		t.Error(err)
	}
	now = at(longestGap(site(t)) + time.Minute)
	if err := w.healthy(); err == nil || err.Error() != "the next pass of bbyatch is overdue by 1m0s" {
		t.Error(err)
	}
	w.forget("bbyatch")
	if err := w.healthy(); err != nil {
		t.Error(err)
	}
}
