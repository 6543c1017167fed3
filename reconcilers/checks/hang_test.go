package checks

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

func TestOneOnlyWaitsForAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p patient[int]
		var asked atomic.Int32
		gate := make(chan int)
		stuck := func() int { asked.Add(1); return <-gate }
		quick := func() int { asked.Add(1); return 7 }
		begin := time.Now()
		for range 100 {
			if got := p.ask("a", time.Second, stuck); got != nil {
				t.Errorf("answered %d", *got)
			}
		}
		if took := time.Since(begin); asked.Load() != 1 || took != time.Second {
			t.Errorf("asked %d times in %s, want once and one second", asked.Load(), took)
		}
		if got := p.ask("b", time.Second, quick); got == nil || *got != 7 {
			t.Error("another one is not asked")
		}
		gate <- 1
		synctest.Wait()
		if got := p.ask("a", time.Second, quick); got == nil || *got != 7 {
			t.Error("what came too late was taken for the answer, or it is not asked again")
		}
		// One that is slow, and not stuck, has its whole time again.
		slow := func() int { time.Sleep(900 * time.Millisecond); return 8 }
		if got := p.ask("c", time.Millisecond, slow); got != nil {
			t.Error("no limit")
		}
		time.Sleep(time.Second)
		if got := p.ask("c", time.Second, slow); got == nil || *got != 8 {
			t.Error("it did not have its time")
		}
		defer func() {
			if recover() == nil {
				t.Error("a panic is none where it was asked")
			}
		}()
		p.ask("d", time.Second, func() int { panic("x") })
	})
}

// hung mounts a file system whose server answers nothing: whoever looks into it waits in the kernel until the test lets go. Only
// root may mount one, where the kernel knows FUSE; without, TestOneOnlyWaitsForAnAnswer holds the bound by itself.
func hung(t *testing.T) (dir string, letGo func()) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "hung")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("no FUSE here, and nothing else hangs in the kernel:", err) // TestOneOnlyWaitsForAnAnswer holds the bound then
	}
	err = unix.Mount("hung", dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("fd=%d,rootmode=40755,user_id=%d,group_id=%d", fd, os.Getuid(), os.Getgid()))
	if err != nil {
		_ = unix.Close(fd)
		t.Skip("only root may mount what hangs:", err) // TestOneOnlyWaitsForAnAnswer holds the bound then
	}
	open := true
	letGo = func() {
		if open {
			open = false
			_ = unix.Close(fd) // ends all that waits
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(letGo)
	return dir, letGo
}

// TestAFileSystemThatHangsHoldsNoPassUp: the application lies on it, with its logs and its .env. Every check that reads files says
// Unknown in its time, what the kernel and the process manager say is known as before, nobody piles up, and once it answers
// all is as it was.
func TestAFileSystemThatHangsHoldsNoPassUp(t *testing.T) {
	dir, letGo := hung(t)
	main := proc{pid: 100, parent: 1, comm: "node", args: []string{"node", "server.js"}, cwd: dir}
	r := row("site", "m", main)
	r.ErrLog, r.OutLog, r.Script = filepath.Join(dir, "err.log"), filepath.Join(dir, "out.log"), filepath.Join(dir, "server.js")
	p := &Prober{
		FS: machine(t, main), Runtime: &fakeRuntime{snapshot: runtime.Snapshot{Processes: []runtime.Process{r}}},
		Clock: func() v1alpha1.Instant { return moment(time.Hour) },
	}
	app := site("site")
	app.Spec.Directory, app.Spec.Port = dir, 1
	app.Spec.Deploy.LockFile = "deploying"
	app.Spec.Checks.Database = &v1alpha1.DatabaseCheck{Require: []string{"DATABASE_URL"}, EnvFile: ".env", Connect: v1alpha1.DatabaseConnectAlways}
	short := metav1.Duration{Duration: 300 * time.Millisecond}
	app.Spec.Checks.Process.Timeout, app.Spec.Checks.Disk.Timeout, app.Spec.Checks.Database.Timeout = short, short, short
	app.Status.Learned = &v1alpha1.Learned{Fault: &v1alpha1.Fault{Cause: "as it was"}}
	due := []string{v1alpha1.CheckProcess, v1alpha1.CheckDatabase, v1alpha1.CheckDeploy, v1alpha1.CheckBuild, v1alpha1.CheckEnvironment, v1alpha1.CheckDisk}
	for pass := range 30 {
		began := time.Now()
		o := p.Observe(t.Context(), app, due)
		if took := time.Since(began); pass == 0 && took > factFiles+5*time.Second || pass > 0 && took > 2*time.Second {
			t.Fatalf("pass %d took %s", pass, took)
		}
		for _, res := range o.Results {
			want := maybe
			if res.Check == v1alpha1.CheckProcess {
				want = yes
				if f := factsOf[facts.Process](t, res); f.FolderMissing || f.Cause != "as it was" || f.Life == "" {
					t.Errorf("%+v", f)
				}
			}
			if res.Status != want || !strings.Contains(res.Message, dir) || !strings.Contains(res.Message, "does not answer within") {
				t.Fatalf("pass %d: %s is %s: %s", pass, res.Check, res.Status, res.Message)
			}
		}
		var all strings.Builder
		if err := pprof.Lookup("goroutine").WriteTo(&all, 2); err != nil {
			t.Fatal(err)
		}
		n := 0
		for one := range strings.SplitSeq(all.String(), "\n\n") {
			if strings.Contains(one, "[syscall") && strings.Contains(one, "checks.(*patient[") {
				n++
			}
		}
		if n != len(due) {
			t.Fatalf("pass %d: %d goroutines wait for it, of %d checks", pass, n, len(due))
		}
	}
	letGo()
	write(t, filepath.Join(dir, ".env"), "DATABASE_URL=file:./site.db\n")
	deadline := time.Now().Add(10 * time.Second)
	for {
		unknown := ""
		o := p.Observe(t.Context(), app, due)
		for _, res := range o.Results {
			if strings.Contains(res.Message, "does not answer within") {
				unknown = res.Check
			}
		}
		if unknown == "" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer though its file system does", unknown)
		}
	}
}

// hungRuntime reads its own files, which nobody answers for.
type hungRuntime struct {
	fakeRuntime
	file string
}

func (r *hungRuntime) Look(context.Context, *v1alpha1.App) (runtime.Snapshot, error) {
	_, err := os.Stat(r.file)
	return runtime.Snapshot{}, err
}

// TestAProcessManagerWhoseFilesHangHoldsNoPassUp: the process manager's own files hang.
func TestAProcessManagerWhoseFilesHangHoldsNoPassUp(t *testing.T) {
	dir, letGo := hung(t)
	p := &Prober{FS: procfs.New(t.TempDir()), Runtime: &hungRuntime{file: filepath.Join(dir, "pm2.log")}, Clock: func() v1alpha1.Instant { return moment(time.Hour) }}
	app := site("site")
	app.Spec.Directory = t.TempDir()
	app.Spec.Checks.Process.Timeout.Duration = 200 * time.Millisecond
	for range 5 {
		o := p.Observe(t.Context(), app, []string{v1alpha1.CheckProcess})
		if r := o.Results[0]; r.Status != maybe || r.Reason != "CouldNotAsk" || !strings.Contains(r.Message, "do not answer") {
			t.Fatalf("%s %s: %s", r.Status, r.Reason, r.Message)
		}
	}
	letGo()
}

// BenchmarkFiles is one look by all checks that read files, on a machine with no other process, while all is well: mostly what
// it costs that none of them may hold a pass up.
func BenchmarkFiles(b *testing.B) {
	p := &Prober{
		FS: procfs.New(b.TempDir()), Runtime: &fakeRuntime{snapshot: runtime.Snapshot{Processes: []runtime.Process{row("site", "m", proc{})}}},
		Clock: func() v1alpha1.Instant { return moment(time.Hour) },
	}
	app := site("site")
	app.Spec.Directory = b.TempDir()
	app.Spec.Checks.Database = &v1alpha1.DatabaseCheck{Require: []string{"DATABASE_URL"}, EnvFile: ".env", Connect: v1alpha1.DatabaseConnectNever}
	due := []string{v1alpha1.CheckProcess, v1alpha1.CheckDatabase, v1alpha1.CheckDeploy, v1alpha1.CheckBuild, v1alpha1.CheckEnvironment, v1alpha1.CheckDisk}
	for b.Loop() {
		p.Observe(b.Context(), app, due)
	}
}
