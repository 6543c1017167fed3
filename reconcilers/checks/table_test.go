package checks

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/listeners"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// TestProcessesAreReadAnewAtTheLeastDoubt: who is well is looked at with a list that is a moment old. A child that was born since
// shows whether it was read anew.
func TestProcessesAreReadAnewAtTheLeastDoubt(t *testing.T) {
	for _, tc := range []struct {
		name  string
		doubt func(s *calmSite)
		want  bool
	}{
		{"all is well", func(*calmSite) {}, false},
		{"it fails", func(s *calmSite) { s.status.Store(http.StatusInternalServerError) }, true},
		{"something is under way", func(s *calmSite) { s.app.Status.Phase = v1alpha1.PhaseDegraded }, true},
		{"it is being recovered", func(s *calmSite) { s.app.Status.Recovery = &v1alpha1.Recovery{ID: "r"} }, true},
		{"somebody acts", func(s *calmSite) { s.p.Forget() }, true},
		{"the list is too old", func(s *calmSite) { s.p.Reuse = 1 }, true},
		{"another process is the application now", func(s *calmSite) {
			write(t, filepath.Join(s.proc, "300", "stat"), stat(300, 1))
			s.rt.snapshot.Processes = []runtime.Process{row("site", "m", proc{pid: 300}), row("site", "m", s.main)}
		}, true},
		{"its process is not said to run", func(s *calmSite) { s.rt.snapshot.Processes[0].State = runtime.Stopping }, true},
		{"the process manager cannot be asked", func(s *calmSite) { s.rt.err = runtime.ErrPermission }, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newCalmSite(t)
			for range 3 {
				s.look()
			}
			write(t, filepath.Join(s.proc, "200", "stat"), stat(200, 100))
			tc.doubt(s)
			o := s.look()
			if _, anew := s.p.table.last.procs.Get(200); anew != tc.want {
				t.Errorf("read anew: %t, want %t", anew, tc.want)
			}
			if host, _ := o.Result(v1alpha1.CheckHost); host.Status != yes || host.At != o.At {
				t.Errorf("the machine: %+v", host)
			}
		})
	}
}

// TestALookThatFoundSomethingIsFollowedByAFreshOne, although all is well again.
func TestALookThatFoundSomethingIsFollowedByAFreshOne(t *testing.T) {
	s := newCalmSite(t)
	for range 3 {
		s.look()
	}
	s.status.Store(http.StatusBadGateway)
	s.look()
	s.status.Store(http.StatusOK)
	write(t, filepath.Join(s.proc, "200", "stat"), stat(200, 100))
	o := s.look()
	if workers, _ := o.Result(v1alpha1.CheckWorkers); workers.Message != "2 alive" {
		t.Errorf("the first look after a failure rests on what was read before: %s", workers.Message)
	}
	write(t, filepath.Join(s.proc, "201", "stat"), stat(201, 100))
	o = s.look()
	if workers, _ := o.Result(v1alpha1.CheckWorkers); workers.Message != "2 alive" {
		t.Errorf("and the next one does not: %s", workers.Message)
	}
}

// stat is a process that started when it could.
func stat(pid, parent int) string {
	return fmt.Sprintf("%d (node) S %d 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 1000000 100\n", pid, parent, pid)
}

// calmSite is an application that is well, on a machine at leisure. A second lies between two looks.
type calmSite struct {
	t      *testing.T
	app    *v1alpha1.App
	p      *Prober
	rt     *fakeRuntime
	main   proc
	proc   string
	status atomic.Int64
	looks  int
}

func newCalmSite(t *testing.T) *calmSite {
	t.Helper()
	s := &calmSite{t: t, app: site("site"), main: proc{pid: 100, parent: 1, comm: "node"}, proc: t.TempDir()}
	s.status.Store(http.StatusOK)
	addr := serve(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(s.status.Load())) })
	s.app.Spec.Directory, s.app.Spec.Port, s.app.Status.Phase = t.TempDir(), int32(addr.Port()), v1alpha1.PhaseHealthy
	s.rt = &fakeRuntime{snapshot: runtime.Snapshot{Daemon: runtime.Daemon{Home: pm2Home, Reachable: true}, Processes: []runtime.Process{row("site", "m", s.main)}}}
	s.p = prober(t)
	s.p.FS, s.p.Runtime, s.p.Reuse = procfs.New(s.proc), s.rt, time.Hour
	s.p.Clock = func() v1alpha1.Instant { return moment(time.Hour + time.Duration(s.looks)*time.Second) }
	sockets, err := listeners.Listeners(t.Context(), addr.Port())
	if err != nil || len(sockets) != 1 {
		t.Fatalf("%v %v", sockets, err)
	}
	fd := filepath.Join(s.proc, "100", "fd")
	if err := os.MkdirAll(fd, 0o700); err != nil {
		t.Fatal(err)
	}
	link(t, fmt.Sprintf("socket:[%d]", sockets[0].Inode), filepath.Join(fd, "1"))
	return s
}

func (s *calmSite) look() v1alpha1.Observation {
	s.t.Helper()
	s.looks++
	hostOf(s.t, s.proc, 1000+10*s.looks, 1000+190*s.looks, 100, 50+s.looks, time.Second, 0)
	write(s.t, filepath.Join(s.proc, "100", "stat"), stat(100, 1))
	o := s.p.Observe(s.t.Context(), s.app, strings.Fields("local process port workers host"))
	if s.looks <= 3 && !o.Holds() {
		s.t.Fatalf("look %d: %+v", s.looks, o)
	}
	return o
}
