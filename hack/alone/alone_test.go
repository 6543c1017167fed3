package alone

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

func TestItOutlivesEvenkeelAndIsFoundAgain(t *testing.T) {
	m := newMachine(t, nil)
	m.run()
	m.well()
	first := m.only()
	for _, end := range []struct {
		how string
		do  func()
	}{{"kill -9", m.kill}, {"SIGTERM", m.end}, {"kill -9 again", m.kill}} {
		end.do()
		before := len(m.output())
		m.until("it goes on logging after "+end.how, func() bool { return len(m.output()) > before+100 })
		if now := m.only(); now != first {
			t.Fatalf("after %s it is %s, was %s", end.how, now, first)
		}
		m.run()
		m.until("evenkeel is back", func() bool { return strings.Contains(m.said(), "is kept on") })
		m.well()
		if now := m.only(); now != first {
			t.Fatalf("after the start that followed %s it is %s, was %s", end.how, now, first)
		}
	}
}

func TestACrashWhileNobodyWatchedIsMended(t *testing.T) {
	m := newMachine(t, nil)
	m.run()
	m.well()
	first := m.only()
	m.kill()
	m.signal(first, syscall.SIGKILL)
	m.until("it is gone", func() bool { return len(m.marked()) == 0 })
	m.run()
	m.until("it is back", func() bool { return m.answers() != 0 })
	m.well()
	if now := m.only(); now == first {
		t.Fatal("it never was away")
	}
	if m.journal("RecoveryStarted") {
		t.Error("a recovery was made of it")
	}
}

func TestACrashIsMendedAtOnceAndCostsNothing(t *testing.T) {
	m := newMachine(t, nil)
	m.run()
	m.well()
	first := m.only()
	m.signal(first, syscall.SIGKILL)
	m.until("there is another one", func() bool {
		all := m.marked()
		return len(all) == 1 && all[0] != first
	})
	m.well()
	if m.journal("RecoveryStarted") {
		t.Error("a recovery was made of it")
	}
}

// TestNeverTwo kills evenkeel at odd moments, most of them while it is mending a crash.
func TestNeverTwo(t *testing.T) {
	m := newMachine(t, nil)
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	for round := range 12 {
		m.run()
		if round%3 != 2 { // else it is killed on its way up
			m.until("it runs", func() bool { return len(m.marked()) == 1 && m.answers() != 0 })
			for _, id := range m.marked() { // so many crashes are a loop, and evenkeel itself may have stopped it just now
				_ = syscall.Kill(id.PID, syscall.SIGKILL)
			}
		}
		after := time.Duration(random.Int64N(int64(12 * time.Millisecond)))
		timer := time.NewTimer(after)
		<-timer.C
		m.kill()
		if all := m.marked(); len(all) > 1 {
			t.Fatalf("round %d, killed %s after the crash: %v", round, after, all)
		}
	}
	m.run()
	m.well()
	m.only()
}

func TestAHangIsRecovered(t *testing.T) {
	m := newMachine(t, nil)
	m.run()
	m.well()
	first := m.only()
	m.signal(first, syscall.SIGSTOP)
	m.until("another one answers", func() bool { pid := m.answers(); return pid != 0 && pid != first.PID })
	m.well()
	m.only()
	for _, reason := range []string{"RecoveryStarted", "RecoveryFinished"} {
		if !m.journal(reason) {
			t.Errorf("the journal tells of no %s", reason)
		}
	}
}

// TestADryRunDoesNothing but look, judge, and say what would be done: to an application that hangs, and to one that has ended.
func TestADryRunDoesNothing(t *testing.T) {
	m := newMachine(t, nil)
	m.run()
	m.well()
	m.end()
	_ = os.Remove(filepath.Join(m.state, "site.pass.json")) // what is seen from here on
	m.more = []string{"--dry-run"}
	m.run()
	m.seenWell()
	first := m.only()
	m.signal(first, syscall.SIGSTOP)
	m.until("it says what it would do", func() bool { return m.journal("WouldRecover") })
	m.never("something is done", 2*time.Second, func() bool {
		return len(m.marked()) != 1 || m.only() != first || m.journal("RecoveryStarted") || m.attempts() != 0
	})
	m.signal(first, syscall.SIGCONT)
	m.until("it is well by itself", func() bool { return m.phase() == "Healthy" && m.answers() == first.PID })
	m.signal(first, syscall.SIGKILL)
	m.never("it was brought back", 2*time.Second, func() bool { return len(m.marked()) != 0 })
}

func TestPausedItIsNotBroughtBack(t *testing.T) {
	m := newMachine(t, nil)
	m.run()
	m.well()
	m.paused = true
	m.desire()
	m.until("it is paused", func() bool { return m.journal("Paused") })
	m.signal(m.only(), syscall.SIGKILL)
	m.never("it was brought back", 1500*time.Millisecond, func() bool { return m.answers() != 0 })
	m.kill()
	m.run() // nor by the next evenkeel
	m.until("evenkeel is back", func() bool { return strings.Contains(m.said(), "evenkeel is ready") })
	m.never("it was brought back", time.Second, func() bool { return len(m.marked()) != 0 })
	m.paused = false
	m.desire()
	m.well()
	m.only()
}

// TestAnOrphanOnThePortIsEnded kills a program whose listener is a child in a session of its own: only the mark in the
// environment proves whose that is.
func TestAnOrphanOnThePortIsEnded(t *testing.T) {
	m := newMachine(t, map[string]string{"PART": "detached"})
	m.run()
	m.well()
	listener := m.answers()
	var main procfs.Identity
	for _, id := range m.marked() {
		if id.PID != listener {
			main = id
		}
	}
	m.signal(main, syscall.SIGKILL)
	m.until("another one answers", func() bool { pid := m.answers(); return pid != 0 && pid != listener })
	m.well()
	if all := m.marked(); len(all) != 2 {
		t.Errorf("processes: %v", all)
	}
}

// TestAsProcessOne runs evenkeel as process 1 of a pid namespace of its own.
func TestAsProcessOne(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("a pid namespace needs root; the parts are tested in reconcilers/zombies and reconcilers/keeper")
		return
	}
	m := newMachine(t, map[string]string{"ORPHANS": "yes"})
	args := append([]string{"--pid", "--fork", "--kill-child", "--mount-proc", m.bin + "/evenkeel"}, m.arguments()...)
	m.launch(exec.Command("unshare", args...))
	m.well()
	fs := procfs.Default()
	var one procfs.Process
	children, err := fs.Children(m.running.Process.Pid)
	if err != nil || len(children) != 1 {
		t.Fatalf("children of unshare: %v, %v", children, err)
	}
	one = children[0]
	// Its application has made a child that lost its parent and ended.
	m.until("zombies are taken away", func() bool {
		children, err := fs.Children(one.PID)
		return err == nil && len(children) == 1 && children[0].Alive()
	})
	if err := syscall.Kill(one.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := m.running.Wait(); err != nil {
		t.Errorf("process 1 did not end well: %v", err)
	}
	m.running = nil
	out := m.output()
	if !strings.Contains(out, "asked to end") || !strings.Contains(out, "\nended ") {
		t.Error("the application was not asked to end, or not waited for")
	}
	if !strings.Contains(m.said(), "have ended with process 1") {
		t.Error("evenkeel does not say that it ended them")
	}
	// The next container brings it back, and takes that end for no crash.
	m.launch(exec.Command("unshare", args...))
	m.until("it is back", func() bool { return strings.Count(m.output(), "began ") == 2 })
	m.well()
	if record, _ := os.ReadFile(m.state + "/site.exec.json"); !strings.Contains(string(record), fmt.Sprintf("%q", "Daemon")) {
		t.Errorf("the end is not noted as one that was ordered: %s", record)
	}
}
