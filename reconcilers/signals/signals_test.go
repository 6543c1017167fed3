//go:build linux

package signals

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

const helperEnv = "EVENKEEL_SIGNALS_HELPER"

// TestMain lets the test binary play the processes that are signalled. All end with their stdin, so none is left over.
func TestMain(m *testing.M) {
	switch os.Getenv(helperEnv) {
	case "":
		goleak.VerifyTestMain(m)
		return
	case "reuse":
		if err := reuse(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	case "stubborn":
		signal.Ignore(unix.SIGTERM)
	case "parent": // of a grandchild, which is not our child
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), helperEnv+"=plain")
		child.Stdin, child.Stdout = os.Stdin, io.Discard
		if err := child.Start(); err != nil {
			panic(err)
		}
		go func() { _ = child.Wait() }()
		fmt.Println(child.Process.Pid)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

type process struct {
	*exec.Cmd
	id   procfs.Identity
	said []string
}

func start(t testing.TB, mode string) process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"="+mode)
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	p := process{Cmd: cmd}
	for lines := bufio.NewScanner(stdout); ; {
		if !lines.Scan() {
			t.Fatalf("helper never was ready: %v", lines.Err())
		}
		if lines.Text() == "ready" {
			break
		}
		p.said = append(p.said, lines.Text())
	}
	p.id = identify(t, cmd.Process.Pid)
	return p
}

func identify(t testing.TB, pid int) procfs.Identity {
	t.Helper()
	p, err := procfs.Default().Process(pid)
	if err != nil {
		t.Fatal(err)
	}
	return p.Identity
}

func eventually(t testing.TB, what string, yes func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

func hasState(id procfs.Identity, want procfs.State) func() bool {
	return func() bool {
		p, err := procfs.Default().Process(id.PID)
		return err == nil && p.State == want
	}
}

func TestSend(t *testing.T) {
	p := start(t, "plain")
	if err := Send(t.Context(), p.id, unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := Wait(t.Context(), p.id); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is a zombie", hasState(p.id, procfs.Zombie))
	if err := Send(t.Context(), p.id, unix.SIGTERM); !errors.Is(err, ErrGone) {
		t.Errorf("to a zombie: %v", err)
	}
	_ = p.Wait()
	if status := p.ProcessState.String(); status != "signal: terminated" {
		t.Errorf("it ended with %q", status)
	}
	if err := Send(t.Context(), p.id, unix.SIGTERM); !errors.Is(err, ErrGone) {
		t.Errorf("after it was reaped: %v", err)
	}
}

// The pid is in use, but by another process than the one that was seen.
func TestReusedPIDIsSpared(t *testing.T) {
	p := start(t, "plain")
	earlier := p.id
	earlier.StartTicks--
	if err := Send(t.Context(), earlier, unix.SIGKILL); !errors.Is(err, ErrGone) {
		t.Errorf("send: %v", err)
	}
	if err := Wait(t.Context(), earlier); err != nil {
		t.Errorf("wait: %v", err)
	}
	if r := Terminate(t.Context(), []procfs.Identity{earlier}, unix.SIGTERM, time.Second); r[0].Outcome != Gone || !r.Ended() || r.Err() != nil {
		t.Errorf("terminate: %+v", r)
	}
	if alive, err := procfs.Default().Alive(p.id); !alive || err != nil {
		t.Errorf("the new owner of the pid is alive: %v, %v", alive, err)
	}
}

func TestRefusals(t *testing.T) {
	never := []procfs.Identity{{PID: -1, StartTicks: 5}, {PID: 0, StartTicks: 5}, identify(t, 1), identify(t, os.Getpid())}
	s, err := procfs.Default().Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range s.Ancestors(os.Getpid()) {
		never = append(never, p.Identity)
	}
	unsure := start(t, "plain").id
	unsure.StartTicks = 0
	never = append(never, unsure)
	if len(never) < 6 {
		t.Fatalf("too few ancestors: %v", never)
	}
	for _, id := range never {
		// Signal 0 does nothing, should the guard fail.
		if err := Send(t.Context(), id, 0); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", id, err)
		}
		// Likewise: with an ended context nothing is signalled.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if r := Terminate(ctx, []procfs.Identity{id}, 0, time.Second); r[0].Outcome != Refused || !errors.Is(r.Err(), ErrRefused) {
			t.Errorf("%s: %+v", id, r)
		}
	}
}

func TestWaitForOneThatIsNoChild(t *testing.T) {
	p := start(t, "parent")
	var pid int
	if _, err := fmt.Sscan(strings.Join(p.said, " "), &pid); err != nil {
		t.Fatal(err)
	}
	id := identify(t, pid)
	waited := make(chan error, 1)
	go func() { waited <- Wait(t.Context(), id) }()
	if err := Send(t.Context(), id, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-waited:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("waited in vain")
	}
	if alive, err := procfs.Default().Alive(id); alive || err != nil {
		t.Errorf("alive: %v, %v", alive, err)
	}
}

// How one that is no child ended is told by newer kernels only; what is told must be true.
func TestWaitExitOfOneThatIsNoChild(t *testing.T) {
	p := start(t, "parent")
	var pid int
	if _, err := fmt.Sscan(strings.Join(p.said, " "), &pid); err != nil {
		t.Fatal(err)
	}
	id := identify(t, pid)
	type exit struct {
		status unix.WaitStatus
		known  bool
		err    error
	}
	waited := make(chan exit, 1)
	go func() {
		status, known, err := WaitExit(t.Context(), id)
		waited <- exit{status, known, err}
	}()
	if err := Send(t.Context(), id, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	e := <-waited
	if e.err != nil || (e.known && (!e.status.Signaled() || e.status.Signal() != unix.SIGKILL)) {
		t.Errorf("%+v", e)
	}
	if _, known, err := WaitExit(t.Context(), id); err != nil || known {
		t.Errorf("of one that is gone: known %v, %v", known, err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	p := start(t, "plain")
	reason := errors.New("the reason")
	ctx, cancel := context.WithCancelCause(t.Context())
	waited := make(chan error, 1)
	go func() { waited <- Wait(ctx, p.id) }()
	cancel(reason)
	if err := <-waited; !errors.Is(err, reason) {
		t.Errorf("%v", err)
	}
	if err := Wait(ctx, p.id); !errors.Is(err, reason) {
		t.Errorf("with an ended context: %v", err)
	}
}

func TestTerminate(t *testing.T) {
	plain, stubborn, stopped, stoppedStubborn, ended := start(t, "plain"), start(t, "stubborn"), start(t, "plain"), start(t, "stubborn"), start(t, "plain")
	for _, p := range []process{stopped, stoppedStubborn} {
		if err := Send(t.Context(), p.id, unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is stopped", hasState(p.id, procfs.Stopped))
	}
	_ = ended.Process.Kill()
	_ = ended.Wait()

	const grace = time.Second
	report := Terminate(t.Context(), []procfs.Identity{plain.id, stubborn.id, stopped.id, stoppedStubborn.id, ended.id, identify(t, os.Getppid())},
		unix.SIGTERM, grace)
	type row struct {
		outcome   Outcome
		continued bool
	}
	var got []row
	for _, r := range report {
		got = append(got, row{r.Outcome, r.Continued})
	}
	want := []row{{Exited, false}, {Killed, false}, {Exited, true}, {Killed, true}, {Gone, false}, {Refused, false}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v; %v", got, want, report.Err())
	}
	if report[1].Took < grace || report[0].Took >= grace {
		t.Errorf("took %v and %v", report[0].Took, report[1].Took)
	}
	if report.Ended() || !errors.Is(report.Err(), ErrRefused) {
		t.Errorf("ended: %v, %v", report.Ended(), report.Err())
	}
	if all := report[:5]; !all.Ended() || all.Err() != nil {
		t.Errorf("ended: %v, %v", all.Ended(), all.Err())
	}
	for _, p := range []process{plain, stubborn, stopped, stoppedStubborn} {
		if alive, err := procfs.Default().Alive(p.id); alive || err != nil {
			t.Errorf("%s alive: %v, %v", p.id, alive, err)
		}
	}
}

func TestTerminateAtOnce(t *testing.T) {
	a, b := start(t, "stubborn"), start(t, "stubborn")
	if r := Terminate(t.Context(), []procfs.Identity{a.id}, unix.SIGTERM, 0); r[0].Outcome != Killed {
		t.Errorf("%+v", r)
	}
	if r := Terminate(t.Context(), []procfs.Identity{b.id, b.id}, unix.SIGKILL, time.Minute); !r.Ended() || r[0].Outcome != Killed {
		t.Errorf("%+v", r)
	}
	if r := Terminate(t.Context(), nil, unix.SIGTERM, time.Second); len(r) != 0 || !r.Ended() || r.Err() != nil {
		t.Errorf("%+v", r)
	}
}

func TestTerminateGivesUpWithItsContext(t *testing.T) {
	p := start(t, "stubborn")
	ctx, cancel := context.WithCancel(t.Context())
	finished := make(chan Report, 1)
	go func() { finished <- Terminate(ctx, []procfs.Identity{p.id}, unix.SIGTERM, time.Minute) }()
	cancel()
	r := <-finished
	if r[0].Outcome != Left || !errors.Is(r.Err(), context.Canceled) {
		t.Errorf("%+v", r)
	}
	if alive, err := procfs.Default().Alive(p.id); !alive || err != nil {
		t.Errorf("killed in spite of that: %v, %v", alive, err)
	}
}

func TestNothingIsLeftOpen(t *testing.T) {
	count := func() int {
		open, err := filepath.Glob("/proc/self/fd/*")
		if err != nil {
			t.Fatal(err)
		}
		return len(open)
	}
	p := start(t, "plain")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	run := func() {
		_ = Send(t.Context(), p.id, 0)
		_ = Wait(ctx, p.id)
		_ = Terminate(ctx, []procfs.Identity{p.id, {PID: 1}}, unix.SIGTERM, time.Second)
	}
	run()
	before := count()
	for range 50 {
		run()
	}
	if after := count(); after > before {
		t.Errorf("%d descriptors became %d", before, after)
	}
}

func BenchmarkSend(b *testing.B) {
	p := start(b, "plain")
	b.ReportAllocs()
	for b.Loop() {
		if err := Send(b.Context(), p.id, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkKillUntilKnown(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		p := start(b, "plain")
		b.StartTimer()
		if r := Terminate(b.Context(), []procfs.Identity{p.id}, unix.SIGKILL, 0); !r.Ended() {
			b.Fatal(r)
		}
	}
}
