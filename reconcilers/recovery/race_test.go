package recovery

import (
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// TestAListenerThatChangesBetweenLookAndKillIsSpared lets a stranger have the port together with our orphan, and then alone
// from a random instant of the step that frees it, round after round. The stranger lives, whatever the step says. RACE_ROUNDS is how often; hack/prove wants
// 3000.
func TestAListenerThatChangesBetweenLookAndKillIsSpared(t *testing.T) {
	rounds := 40
	if n, err := strconv.Atoi(os.Getenv("RACE_ROUNDS")); err == nil {
		rounds = n
	}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	outcomes := map[v1alpha1.StepOutcome]int{}
	for round := range rounds {
		t.Run("", func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			socket, err := l.(*net.TCPListener).File()
			if err != nil {
				t.Fatal(err)
			}
			orphan := inheriting(t, "node server.js", socket, marked("ours")...)
			stranger := inheriting(t, "node other.js", socket, "PATH=/bin") // the port is its own when the orphan has gone
			port := int32(l.Addr().(*net.TCPAddr).Port)
			if err := errors.Join(socket.Close(), l.Close()); err != nil {
				t.Fatal(err)
			}
			app := v1alpha1.NewApp()
			app.Spec.Port = port
			rt := &fakeRuntime{snapshot: runtime.Snapshot{
				Daemon: daemonIn(home), Processes: []runtime.Process{{ID: "0", Mark: "ours", State: runtime.Stopped}},
			}}
			var changing sync.WaitGroup
			after := time.Duration(random.Int64N(int64(4 * time.Millisecond)))
			changing.Go(func() {
				timer := time.NewTimer(after)
				defer timer.Stop()
				<-timer.C
				_ = unix.Kill(orphan.PID, unix.SIGKILL)
			})
			out := (&Hands{FS: procfs.Default(), Runtime: rt}).Act(t.Context(), app, pass.Step{Name: StepPort, Timeout: 300 * time.Millisecond})
			changing.Wait()
			outcomes[out.Outcome]++
			if !alive(t, stranger) {
				t.Fatalf("seed %d, round %d: the stranger was ended: %s: %q", seed, round, out.Outcome, out.Message)
			}
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("seed %d: in %d rounds every stranger lives; the step ended as %v", seed, rounds, outcomes)
}
