//go:build linux

// Picture runs "evenkeel demo --tour" on a terminal of its own, and writes what it showed of one scene, and the table at its
// end, as docs/tour.svg. Nothing is drawn that was not on that terminal, but for a mark where lines were left out.
//
//	go run ./hack/picture
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// columns is the width of the terminal, rows its height.
const columns, rows = 108, 50

func main() {
	to := flag.String("o", "docs/tour.svg", "file to write")
	scene := flag.String("scene", "hang", "the scene that is shown")
	flag.Parse()
	if err := paint(context.Background(), *to, *scene); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

func paint(ctx context.Context, to, scene string) error {
	dir, err := os.MkdirTemp("", "evenkeel-picture-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "evenkeel")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, ".")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building evenkeel: %w", err)
	}
	shown, err := onTerminal(ctx, binary, "demo", "--tour")
	if err != nil {
		return fmt.Errorf("the tour: %w\n%s", err, shown)
	}
	lines, err := choose(parse(shown), scene)
	if err != nil {
		return err
	}
	return os.WriteFile(to, svg(lines, "evenkeel demo --tour"), 0o644) // #nosec G306 -- a picture for everybody
}

// onTerminal runs a program on a terminal of its own, and gives what it wrote there.
func onTerminal(ctx context.Context, program string, args ...string) ([]byte, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a terminal: %w", err)
	}
	defer master.Close()
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns})
	}
	if err != nil {
		return nil, fmt.Errorf("preparing a terminal: %w", err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the terminal: %w", err)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "NO_COLOR=")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = cmd.Start()
	terminal.Close()
	if err != nil {
		return nil, err
	}
	var shown bytes.Buffer
	if _, err := io.Copy(&shown, master); err != nil && !errors.Is(err, unix.EIO) { // EIO: nobody has it open any more
		return shown.Bytes(), err
	}
	return shown.Bytes(), cmd.Wait()
}
