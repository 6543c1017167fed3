package swap

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"go.uber.org/goleak"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// proc is a proc file system with a machine's memory, in KiB, and swap, and with this process's rights.
func proc(t *testing.T, available, used int, uid int, caps string) procfs.FS {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write("meminfo", fmt.Sprintf("MemTotal: 1004000 kB\nMemAvailable: %d kB\nSwapTotal: 1048572 kB\nSwapFree: %d kB\n", available, 1048572-used))
	write("swaps", fmt.Sprintf("Filename\tType\tSize\tUsed\tPriority\n/swapfile\tfile\t1048572\t%d\t-2\n", used))
	write(fmt.Sprintf("%d/status", os.Getpid()), fmt.Sprintf("Name:\tevenkeel\nUid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\nCapEff:\t%[2]s\n", uid, caps))
	return procfs.New(dir)
}

const (
	noRights  = "0000000000000000"
	allRights = "000001ffffffffff"
)

// clearer notes what it is asked; nothing of this machine is ever switched in a test.
type clearer struct {
	asked int
	err   error
}

func (c *clearer) Clear(context.Context, []procfs.Swap) error {
	c.asked++
	return c.err
}

// serving is a helper on a socket of the test's own.
func serving(t *testing.T, h *Helper) (socket string, ended <-chan error, stop func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "swap") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket = filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- h.Serve(ctx, l)
		_ = l.Close()
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		for range done { // until it has ended
		}
	})
	return socket, done, cancel
}

func TestTheHelperDecidesForItself(t *testing.T) {
	for name, c := range map[string]struct {
		available, used int
		err             error
		asked           int
		outcome         Outcome
		says            string
	}{
		"it fits":                    {500000, 200000, nil, 1, Cleared, "195 MiB of swap are read back into 488 MiB available"},
		"it does not fit":            {190000, 200000, nil, 0, LeftAlone, "does not fit"},
		"it fits without the margin": {390000, 200000, nil, 0, LeftAlone, "with a margin of 198 MiB"},
		"none is used":               {500000, 0, nil, 0, LeftAlone, "none of it is used"},
		"the kernel refuses":         {500000, 200000, errors.New("swapoff: Operation not permitted"), 1, Failed, "Operation not permitted"},
	} {
		t.Run(name, func(t *testing.T) {
			does := &clearer{err: c.err}
			h := &Helper{FS: proc(t, c.available, c.used, 0, allRights), Clearer: does}
			a := h.answer(t.Context(), time.Now())
			if a.Outcome != c.outcome || !strings.Contains(a.Message, c.says) || does.asked != c.asked {
				t.Errorf("%+v, asked %d times", a, does.asked)
			}
		})
	}
	h := &Helper{FS: procfs.New(t.TempDir()), Clearer: &clearer{}}
	if a := h.answer(t.Context(), time.Now()); a.Outcome != Failed || !strings.Contains(a.Message, "could not be read") {
		t.Errorf("%+v", a)
	}
}

func TestTheHelperRestsBetweenTwoClearings(t *testing.T) {
	for _, err := range []error{nil, errors.New("swapoff: broken off")} {
		does := &clearer{err: err}
		h, now := &Helper{FS: proc(t, 500000, 200000, 0, allRights), Clearer: does}, time.Now()
		h.answer(t.Context(), now)
		if a := h.answer(t.Context(), now.Add(Rest-time.Second)); a.Outcome != LeftAlone || !strings.Contains(a.Message, "once in 60s, and did so 59s ago") {
			t.Errorf("%+v", a)
		}
		h.answer(t.Context(), now.Add(Rest))
		if does.asked != 2 {
			t.Errorf("cleared %d times, want 2", does.asked)
		}
	}
}

func TestTheHelperIsAskedThroughItsSocket(t *testing.T) {
	log, entries := test.NewNullLogger()
	does := &clearer{}
	socket, _, _ := serving(t, &Helper{FS: proc(t, 500000, 200000, 0, allRights), Clearer: does, Log: log, Idle: Rest})
	s := &Switcher{FS: proc(t, 500000, 200000, os.Getuid(), noRights), Socket: socket}
	if allowed, why := s.Allowed(); !allowed {
		t.Fatal(why)
	}
	if err := s.Clear(t.Context(), nil); err != nil || does.asked != 1 {
		t.Fatalf("%v, asked %d times", err, does.asked)
	}
	var left *LeftError
	if err := s.Clear(t.Context(), nil); !errors.As(err, &left) || !strings.Contains(left.Why, "once in 60s") {
		t.Errorf("%v", err)
	}
	for _, e := range entries.AllEntries() {
		if e.Data["pid"] != int32(os.Getpid()) || e.Data["uid"] != uint32(os.Getuid()) {
			t.Errorf("asked by %v", e.Data)
		}
	}
}

// TestNothingThatIsSentMattersToTheHelper: it answers before it was sent anything, whatever comes, and whoever does not read.
func TestNothingThatIsSentMattersToTheHelper(t *testing.T) {
	log, _ := test.NewNullLogger()
	does := &clearer{}
	socket, _, _ := serving(t, &Helper{FS: proc(t, 90000, 200000, 0, allRights), Clearer: does, Log: log, Idle: Rest})
	var silent []net.Conn
	for range 20 {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		silent = append(silent, c)
	}
	for _, sent := range []string{"", `{"outcome":"Cleared"}` + "\n", "/etc/shadow\x00-a", strings.Repeat("x", 1<<16)} {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte(sent)) // it may be closed already
		line, _ := bufio.NewReader(c).ReadBytes('\n')
		var a Answer
		if len(line) > 0 { // where unread words were sent, the kernel may reset the connection
			if err := json.Unmarshal(line, &a); err != nil || a.Outcome != LeftAlone {
				t.Errorf("after %.20q: %s, %v", sent, line, err)
			}
		}
		_ = c.Close()
	}
	for _, c := range silent {
		_ = c.Close()
	}
	if does.asked != 0 {
		t.Error("swap was cleared")
	}
}

func TestTheHelperEndsWhenNobodyAsks(t *testing.T) {
	log, _ := test.NewNullLogger()
	_, ended, _ := serving(t, &Helper{Log: log, Idle: time.Millisecond})
	if err := <-ended; err != nil {
		t.Error(err)
	}
	_, ended, stop := serving(t, &Helper{Log: log, Idle: time.Hour})
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAHelperThatDoesNotAnswer(t *testing.T) {
	dir := t.TempDir()
	if err := ask(t.Context(), filepath.Join(dir, "none")); err == nil || !strings.Contains(err.Error(), "systemctl status evenkeel-swap.socket") {
		t.Error(err)
	}
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ask(ctx, socket); err == nil {
		t.Error("an answer")
	}
	go func() {
		if c, err := l.Accept(); err == nil {
			_ = c.Close()
		}
	}()
	if err := ask(t.Context(), socket); err == nil || !strings.Contains(err.Error(), "without an answer") {
		t.Error(err)
	}
}

func TestInWhatWaySwapMayBeCleared(t *testing.T) {
	log, _ := test.NewNullLogger()
	log.SetLevel(logrus.PanicLevel)
	socket, _, _ := serving(t, &Helper{FS: proc(t, 1, 1, 0, allRights), Clearer: &clearer{}, Log: log, Idle: Rest})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	me := os.Getuid()
	for name, c := range map[string]struct {
		uid          int
		caps, socket string
		way          Way
		why          string
	}{
		"root":                              {0, allRights, "/nowhere", Directly, ""},
		"nobody's helper":                   {1000, noRights, "/nowhere", None, "evenkeel runs as an ordinary user; a helper of root's can"},
		"root in a sandbox":                 {0, noRights, "/nowhere", None, "evenkeel runs in a sandbox without that right"},
		"a helper":                          {me, noRights, socket, ByHelper, ""},
		"another user's helper":             {me + 1, noRights, socket, None, fmt.Sprintf("serves another user (uid %d)", me)},
		"a file where the socket should be": {me, noRights, file, None, "is no socket of its helper"},
	} {
		t.Run(name, func(t *testing.T) {
			fs := proc(t, 1, 1, c.uid, c.caps)
			way, why, err := WayOf(fs, os.Getpid(), c.socket)
			if way != c.way || !strings.Contains(why, c.why) || err != nil {
				t.Errorf("%d, %q, %v", way, why, err)
			}
			allowed, _ := (&Switcher{FS: fs, Socket: c.socket}).Allowed()
			if allowed != (c.way != None) {
				t.Errorf("allowed: %v", allowed)
			}
		})
	}
	if _, _, err := WayOf(procfs.New(t.TempDir()), 1, socket); err == nil {
		t.Error("the way of nobody")
	}
	s := &Switcher{FS: proc(t, 1, 1, 1000, noRights), Socket: "/nowhere"}
	var left *LeftError
	if err := s.Clear(t.Context(), nil); !errors.As(err, &left) {
		t.Error(err)
	}
}

// tools puts a swapoff and a swapon into PATH that only write down what they are asked.
func tools(t *testing.T, off, on string) (said func() string) {
	t.Helper()
	dir := t.TempDir()
	for name, then := range map[string]string{"swapoff": off, "swapon": on} {
		text := fmt.Sprintf("#!/bin/sh\necho %s \"$@\" >>%s/said\n%s\n", name, dir, then)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return func() string {
		b, _ := os.ReadFile(filepath.Join(dir, "said"))
		return string(b)
	}
}

func TestAnAreaIsSwitchedOffAndOnAgain(t *testing.T) {
	areas := []procfs.Swap{{Path: "/swap file", Used: 1, Priority: -2}, {Path: "/unused"}, {Path: "/dev/zram0", Used: 1, Priority: 100}}
	said := tools(t, "", "")
	if err := (Direct{}).Clear(t.Context(), areas); err != nil || said() != "swapoff /swap file\nswapon /swap file\nswapoff /dev/zram0\nswapon -p 100 /dev/zram0\n" {
		t.Errorf("%v\n%s", err, said())
	}
	said = tools(t, "echo Operation not permitted >&2; exit 1", "")
	if err := (Direct{}).Clear(t.Context(), areas); err == nil || said() != "swapoff /swap file\n" || !strings.Contains(err.Error(), "Operation not permitted") {
		t.Errorf("%v\n%s", err, said())
	}
	tools(t, "", "exit 255")
	if err := (Direct{}).Clear(t.Context(), areas); err == nil || !strings.Contains(err.Error(), "it is off now, and does not come back") {
		t.Errorf("%v", err)
	}
	// One that takes too long is broken off; the kernel has it on then.
	said = tools(t, "exec sleep 60", "")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := (Direct{}).Clear(ctx, areas); !errors.Is(err, context.DeadlineExceeded) || strings.Contains(said(), "swapon") {
		t.Errorf("%v\n%s", err, said())
	}
}
