//go:build e2e

package e2e

import (
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func init() {
	register(testCase{Name: "postgres-back", Seconds: 60, Run: testPostgresBack})
}

// testPostgresBack: the page fails, and the database is down: it is held. The database comes back, and the page still fails:
// then it is the site's own fault, and exactly one recovery mends it.
func testPostgresBack(w *world) {
	d := w.reference()
	in := w.inbox(d)
	s := w.supervise(d)
	site := w.mustSite()
	p := s.proof("postgres-back", in)
	t0 := w.fault("postgres-stop")
	w.fault("http-500")
	s.eventually(30*time.Second, "held for the database", func() (string, bool) {
		st := s.state()
		return s.summary(), st.Phase == v1alpha1.PhaseDegraded && st.Verdict != nil && st.Verdict.Rule == "database-refuses"
	})
	s.waitPasses(6, 30*time.Second)
	if now := w.site(); now != site {
		w.Errorf("the site was %s and is %s, while its database was down", site, now)
	}
	p.lifted()
	w.clear("postgres-stop")
	s.waitHealthy(90 * time.Second)
	p.judge()
	w.measure.times(t0, firstFailure(s, t0), s.waitPhase(time.Second, t0, v1alpha1.PhaseDegraded).Time.Time, time.Now())
}
