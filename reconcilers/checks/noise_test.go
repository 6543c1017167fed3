package checks

import (
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// TestWhatWasNamedWhileAllWasWellIsNoReason: telemetry that is out of reach all day does not stand against a restart; what an
// application went on without for a few minutes may be why it fails now.
func TestWhatWasNamedWhileAllWasWellIsNoReason(t *testing.T) {
	const telemetry, cache = "Error: connect ECONNREFUSED 127.0.0.1:4318\n", "Error: connect ECONNREFUSED 127.0.0.1:6380\n"
	const nameless = "Error: getaddrinfo ENOTFOUND telemetry.example.test\n"
	type stretch struct {
		times int
		adds  string
		local metav1.ConditionStatus
		named int // needs that are told by the last of them
	}
	for name, looks := range map[string][]stretch{
		"for long":                               {{15, telemetry, yes, 0}, {3, telemetry, no, 0}},
		"for long, and it fails of another":      {{15, telemetry, yes, 0}, {3, telemetry + cache, no, 1}},
		"for a few minutes":                      {{8, cache, yes, 0}, {3, cache, no, 1}},
		"for a few minutes between two failures": {{8, cache, yes, 0}, {1, cache, no, 1}, {8, cache, yes, 0}, {1, cache, no, 1}},
		"for long, and the next failure, too":    {{15, telemetry, yes, 0}, {1, "", no, 0}, {3, "", yes, 0}, {3, telemetry, no, 0}},
		"long ago":                               {{15, telemetry, yes, 0}, {61, "", yes, 0}, {3, telemetry, no, 1}},
		"for long, where nobody could ask":       {{15, telemetry, maybe, 1}, {3, telemetry, no, 1}},
		"without a port":                         {{15, nameless, yes, 0}, {3, nameless, no, 1}},
		"only since it fails":                    {{15, "", yes, 0}, {3, telemetry, no, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "error.log")
			write(t, log, "started\n")
			p := &Prober{}
			l := logged(log)
			p.others(l, yes)
			for n, s := range looks {
				var got ofOthers
				for range s.times {
					l.now.Boot.Duration += time.Minute
					add(t, log, s.adds, false)
					got = p.others(l, s.local)
				}
				if len(got.needs) != s.named {
					t.Errorf("stretch %d: %v, want %d", n+1, got.needs, s.named)
				}
			}
		})
	}
}

func logged(log string) *look {
	app := v1alpha1.NewApp()
	app.Name, app.Spec.Port = "site", 3003
	v1alpha1.SetDefaults(app)
	l := &look{app: app, now: v1alpha1.Instant{Boot: metav1.Duration{Duration: time.Hour}, BootID: "b"}, life: "100:1"}
	l.snapshot.Processes = []runtime.Process{{ErrLog: log}}
	return l
}
