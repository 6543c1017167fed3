package alert

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tell-me")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func run(ctx context.Context, args ...string) error {
	a := failed()
	a.Message = "a message with $(touch /tmp/never), `quotes`\x00 and\nlines"
	return program{args: args}.send(ctx, (&letter{Alert: a}).delivery(v1alpha1.AlertSpec{}))
}

func TestAProgramGetsTheAlertOnStandardInputAndInVariables(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SECRET_OF_EVENKEEL", "x")
	path := script(t, `cat >"$1/stdin"; env >"$1/env"; echo "$EVENKEEL_MESSAGE" >"$1/message"; printf '%s' "$2" >"$1/arg"; pwd >"$1/pwd"`)
	if err := run(t.Context(), path, dir, "two words; $HOME"); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	var got v1alpha1.Alert
	if err := json.Unmarshal([]byte(read("stdin")), &got); err != nil || got.App != "bbyatch" || got.Incident != 7 || len(got.Next) != 2 {
		t.Errorf("standard input: %v, %+v", err, got)
	}
	env := "\n" + read("env")
	for _, want := range []string{
		"EVENKEEL_APP=bbyatch", "EVENKEEL_KIND=Failed", "EVENKEEL_PHASE=Failed", "EVENKEEL_BLAME=App",
		"EVENKEEL_REASON=NotListening", "EVENKEEL_INCIDENT=7", "PATH=", "HOME=", "LANG=",
	} {
		if !strings.Contains(env, "\n"+want) {
			t.Errorf("there is no %s in:%s", want, env)
		}
	}
	if strings.Contains(env, "SECRET_OF_EVENKEEL") {
		t.Error("evenkeel's own environment was handed on")
	}
	if want := "a message with $(touch /tmp/never), `quotes` and\nlines\n"; read("message") != want {
		t.Errorf("message %q, want %q", read("message"), want)
	}
	if read("arg") != "two words; $HOME" || read("pwd") != "/\n" {
		t.Errorf("argument %q in %q", read("arg"), read("pwd"))
	}
}

func TestAProgramThatFailsSaysWhyBounded(t *testing.T) {
	err := run(t.Context(), script(t, `head -c 100000 /dev/zero | tr '\0' x; echo; echo "no such channel" >&2; exit 3`))
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no such channel") || len(err.Error()) > 500 {
		t.Errorf("got %v", err)
	}
	if err = run(t.Context(), "/does/not/exist", "s3cr3t"); err == nil || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("got %v", err)
	}
}

func TestWhatAProgramSaysOfItsArgumentsIsNotQuoted(t *testing.T) {
	for _, arg := range []string{"s3cr3tt0k3n", "--token=s3cr3tt0k3n", "https://chat.example.com/s3cr3tt0k3n/x", "s3cr3t  t0k3n"} {
		path := script(t, `echo "cannot post to $1 (${1#*=}) today" >&2; exit 22`)
		err := run(t.Context(), path, arg, "-s")
		if err == nil || strings.Contains(err.Error(), "s3cr3t") && strings.Contains(err.Error(), "t0k3n") || !strings.Contains(err.Error(), "today") {
			t.Errorf("%s: %v", arg, err)
		}
	}
}

func TestAProgramThatReadsNothingButSucceedsHasTakenTheAlert(t *testing.T) {
	if err := run(t.Context(), script(t, "exit 0")); err != nil {
		t.Error(err)
	}
}

func TestAProgramThatHangsIsKilledWithItsGroupAndNobodyElse(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "ready")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	path := script(t, `sleep 300 & echo $! $$ >"$1"; wait`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- run(ctx, path, fifo) }()
	data, err := os.ReadFile(fifo) // both live now
	if err != nil {
		t.Fatal(err)
	}
	pids := strings.Fields(string(data))
	child, _ := strconv.Atoi(pids[0])
	leader, _ := strconv.Atoi(pids[1])
	if group, err := syscall.Getpgid(child); err != nil || group != leader || group == syscall.Getpgrp() {
		t.Fatalf("the child's group is %d (%v), the leader %d, ours %d", group, err, leader, syscall.Getpgrp())
	}
	began := time.Now()
	cancel()
	if err := <-done; err == nil {
		t.Error("it was taken for delivered")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("ending it took %v", took)
	}
	for living(child) { // the kernel needs a moment to take it down
		if time.Since(began) > 10*time.Second {
			t.Fatal("the child outlived its group")
		}
	}
}

// living tells whether a process runs; one that is dead and not yet reaped does not.
func living(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

func TestAChildThatHoldsTheOutputDoesNotUndoADelivery(t *testing.T) {
	dir := t.TempDir()
	path := script(t, `sleep 300 & echo $! >"$1/pid"; exit 0`)
	began := time.Now()
	if err := run(t.Context(), path, dir); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	data, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(data)))
	if !living(pid) {
		t.Error("what the program left running was killed")
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

func TestTheEndOfTheOutputIsKept(t *testing.T) {
	o := &tail{limit: 8}
	for _, s := range []string{"abc", "defgh", "ij", "0123456789", ""} {
		_, _ = o.Write([]byte(s))
		if len(o.kept) > 8 {
			t.Fatalf("%q is longer than 8", o.kept)
		}
	}
	if string(o.kept) != "23456789" {
		t.Errorf("kept %q", o.kept)
	}
	_, _ = o.Write([]byte("abc"))
	if string(o.kept) != "56789abc" {
		t.Errorf("kept %q", o.kept)
	}
}
