package state

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

func TestOnlyOneHoldsTheLock(t *testing.T) {
	dir := t.TempDir()
	if _, held, err := HolderOf(dir, "shop"); held || err != nil {
		t.Fatalf("before: %v, %v", held, err)
	}
	first, err := Acquire(dir, "shop", "/etc/evenkeel/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Acquire(dir, "shop", "/elsewhere.yaml")
	var locked *LockedError
	if !errors.As(err, &locked) {
		t.Fatalf("a second one: %v", err)
	}
	h := locked.Holder
	if h.PID != os.Getpid() || h.User == "" || h.Since.IsZero() || h.Command == "" || h.Desired != "/etc/evenkeel/shop.yaml" || h.App != "shop" {
		t.Errorf("%+v", h)
	}
	for _, part := range []string{"shop is already supervised by process ", "since 2", "/etc/evenkeel/shop.yaml"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if got, held, err := HolderOf(dir, "shop"); !held || err != nil || got.PID != h.PID {
		t.Errorf("held: %+v, %v, %v", got, held, err)
	}
	other, err := Acquire(dir, "blog", "")
	if err != nil {
		t.Fatalf("another App: %v", err)
	}
	defer other.Release()
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	if _, held, err := HolderOf(dir, "shop"); held || err != nil {
		t.Errorf("after: %v, %v", held, err)
	}
	again, err := Acquire(dir, "shop", "")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(lockPath(dir, "shop")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	again.Release()
}

// A child of a supervisor that was killed has the lock until it executes its program, and no longer.
func TestTheLockOfOneThatIsGoneIsWaitedFor(t *testing.T) {
	tests := map[string]struct {
		pid        int
		left, want time.Duration // when the child leaves it, and how long that takes us at most
		held       bool
	}{
		"it comes free":               {pid: gonePID(t), left: 100 * time.Millisecond, want: 110 * time.Millisecond},
		"it does not":                 {pid: gonePID(t), left: time.Hour, want: goneLimit + gonePause, held: true},
		"who has it is there":         {pid: os.Getpid(), left: 100 * time.Millisecond, held: true},
		"nobody knows yet who has it": {left: 100 * time.Millisecond, held: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				f, err := os.OpenFile(lockPath(dir, "shop"), os.O_RDWR|os.O_CREATE, 0o600)
				if err != nil {
					t.Fatal(err)
				}
				if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(f, "app: shop\npid: %d\n", tt.pid)
				time.AfterFunc(tt.left, func() { f.Close() })
				began := time.Now()
				lock, err := Acquire(dir, "shop", "")
				if took := time.Since(began); took > tt.want {
					t.Errorf("it took %s", took)
				}
				var locked *LockedError
				if errors.As(err, &locked) != tt.held || (lock == nil) != tt.held {
					t.Fatalf("%v, %v", lock, err)
				}
				if lock != nil {
					lock.Release()
				}
				f.Close()
			})
		})
	}
}

// gonePID is the number of a process that has ended.
func gonePID(t *testing.T) int {
	t.Helper()
	done := exec.Command("true")
	if err := done.Run(); err != nil {
		t.Fatal(err)
	}
	return done.Process.Pid
}

// What a child has of a lock that was released is no lock.
func TestAReleasedLockIsFreeWhoeverElseHasItOpen(t *testing.T) {
	dir := t.TempDir()
	lock, err := Acquire(dir, "shop", "")
	if err != nil {
		t.Fatal(err)
	}
	child, err := unix.Dup(int(lock.file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(child)
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if _, held, err := HolderOf(dir, "shop"); held || err != nil {
		t.Errorf("%v, %v", held, err)
	}
	again, err := Acquire(dir, "shop", "")
	if err != nil {
		t.Fatal(err)
	}
	again.Release()
}

// Asking who holds a lock never keeps anybody from taking it.
func TestAskingDoesNotDisturb(t *testing.T) {
	dir := t.TempDir()
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, _, err := HolderOf(dir, "shop"); err != nil {
					t.Errorf("asking: %v", err)
					return
				}
			}
		})
	}
	for range 500 {
		l, err := Acquire(dir, "shop", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, held, err := HolderOf(dir, "shop"); !held || err != nil {
			t.Fatalf("%v, %v", held, err)
		}
		l.Release()
	}
	close(done)
	wg.Wait()
}

// The lock of a process that was killed is free.
func TestLockEndsWithItsProcess(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestHelperHoldsLock$")
	child.Env = append(os.Environ(), "EVENKEEL_TEST_LOCK="+dir)
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if h, held, err := HolderOf(dir, "shop"); !held || h.PID != child.Process.Pid || err != nil {
		t.Errorf("%+v, %v, %v", h, held, err)
	}
	if f, err := Find(dir); err != nil || !f.Running() || f.Holders[0].PID != child.Process.Pid {
		t.Errorf("%+v, %v", f, err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	if _, held, err := HolderOf(dir, "shop"); held || err != nil {
		t.Errorf("%v, %v", held, err)
	}
	l, err := Acquire(dir, "shop", "")
	if err != nil {
		t.Fatal(err)
	}
	l.Release()
}

func TestHelperHoldsLock(t *testing.T) {
	dir := os.Getenv("EVENKEEL_TEST_LOCK")
	if dir == "" {
		t.Skip("this is the other process of TestLockEndsWithItsProcess")
	}
	if _, err := Acquire(dir, "shop", ""); err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("held\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func TestLockFileThatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(precious, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(precious, lockPath(dir, "shop")); err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(dir, "shop", ""); err == nil {
		t.Error("a link was locked")
	}
	if content, _ := os.ReadFile(precious); string(content) != "precious" {
		t.Error("the link was followed")
	}
}

func TestNamesThatNoFileMayHave(t *testing.T) {
	dir := t.TempDir()
	for _, app := range []string{"", ".", "..", "../x", "a/b", "shop.previous", "Shop", "-", strings.Repeat("a", 64), "a\x00b"} {
		if _, err := Acquire(dir, app, ""); err == nil {
			t.Errorf("%q was locked", app)
		}
		if _, err := NewStore(dir, app, Options{}); err == nil {
			t.Errorf("%q has a store", app)
		}
		if _, err := NewJournal(dir, app); err == nil {
			t.Errorf("%q has a journal", app)
		}
		if WriteLastPass(dir, app, nil) == nil || WriteDesired(dir, app, DesiredCopy{}) == nil {
			t.Errorf("%q was written", app)
		}
	}
}
