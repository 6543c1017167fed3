package facts

import (
	"fmt"
	"testing"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func look(p Process) *v1alpha1.Observation {
	return &v1alpha1.Observation{Results: []v1alpha1.CheckResult{{Check: v1alpha1.CheckProcess, Facts: Raw(p)}}}
}

func TestFactsAreThoseOfTheirObservation(t *testing.T) {
	var looks []*v1alpha1.Observation
	for n := range 3 * len(read.order) {
		looks = append(looks, look(Process{Home: fmt.Sprint(n)}))
	}
	for range 2 { // the first ones have been forgotten by then
		for n, o := range looks {
			for range 2 {
				if p, ok := Of[Process](o, v1alpha1.CheckProcess); !ok || p.Home != fmt.Sprint(n) {
					t.Fatalf("look %d: %q, %v", n, p.Home, ok)
				}
			}
		}
	}
	if kept := len(read.known); kept > len(read.order) {
		t.Errorf("%d are kept", kept)
	}
	if _, ok := Of[Process](looks[0], v1alpha1.CheckPort); ok {
		t.Error("facts of a check that was not asked")
	}
	if p, ok := Of[Port](looks[0], v1alpha1.CheckProcess); !ok || len(p.Listeners) > 0 {
		t.Errorf("as those of another kind: %+v, %v", p, ok)
	}
	looks[0].Results[0].Facts = []byte("{")
	if _, ok := Of[Process](looks[0], v1alpha1.CheckProcess); ok {
		t.Error("what is not JSON was read")
	}
}

func BenchmarkOf(b *testing.B) {
	o := look(Process{Home: "/home/deploy/.pm2", Rows: make([]Row, 2)})
	for b.Loop() {
		Of[Process](o, v1alpha1.CheckProcess)
	}
}
