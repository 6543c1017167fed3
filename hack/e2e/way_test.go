//go:build e2e

package e2e

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func init() {
	register(testCase{Name: "certificate-expiring", Seconds: 30, Run: testCertificateExpiring})
}

// testCertificateExpiring has a certificate that is good for five more days: it is warned of once, and that is all.
func testCertificateExpiring(w *world) {
	d := w.reference().Set("spec.interval", "1s")
	in := w.inbox(d)
	s := w.supervise(d)
	p := s.proof("certificate-expiring", in)
	t0 := w.fault("cert-expiring")
	s.waitEvent(40*time.Second, t0, "a warning", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonWarning })
	s.waitPasses(10, time.Minute)
	in.wants(s, p.row.Told()[:1]...)
	for _, o := range s.trace.since(t0.Add(quick)) {
		if o.Status(v1alpha1.CheckPublic) == metav1.ConditionFalse {
			w.Errorf("a pass takes it for a failure: %+v", o)
		}
	}
	status, _, code := s.cli("status")
	if code != 0 || !strings.Contains(status, "expires on") {
		w.Errorf("status ends with %d:\n%s", code, status)
	}
	t1 := time.Now()
	w.clear("cert-expiring")
	s.waitEvent(30*time.Second, t1, "its end", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonWarningOver })
	p.judge()
}
