//go:build linux

package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// snatch is how often the stranger tries to get the port. It has to be there before the site tries again.
const snatch = 2 * time.Millisecond

// RunStranger waits for the site's port and takes it, and answers on it as another program would, until the context or the
// demo ends.
func RunStranger(ctx context.Context, folder string, port int, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		outlive(ctx, folder)
		cancel()
	}()
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	fmt.Fprintf(out, "waits for %s\n", address)
	for {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if errors.Is(err, unix.EADDRINUSE) {
			if !pause(ctx, snatch) {
				return nil
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("taking the site's port: %w", err)
		}
		fmt.Fprintf(out, "process %d has %s; Ctrl-C ends it\n", os.Getpid(), address)
		server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(PIDHeader, strconv.Itoa(os.Getpid()))
			fmt.Fprintln(w, "this is another program")
		})}
		go func() { _ = server.Serve(listener) }()
		<-ctx.Done()
		return server.Close()
	}
}

// RunDeploy is a build at work in the site's folder: it holds the build's lock and has taken the finished build away, until
// the context ends; then the new one is there. If the demo ends it just goes.
func RunDeploy(ctx context.Context, folder string, out io.Writer) error {
	dir := siteIn(folder)
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("locking the build: %w", err)
	}
	defer func() { _ = lock.Close() }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("another build is at work in %s: %w", dir, err)
	}
	build := filepath.Join(dir, buildFile)
	if err := os.Remove(build); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("taking the old build away: %w", err)
	}
	fmt.Fprintf(out, "process %d builds in %s; Ctrl-C ends it with a finished build\n", os.Getpid(), dir)
	outlive(ctx, folder)
	if ctx.Err() == nil {
		return nil
	}
	fmt.Fprintln(out, "the build is finished")
	return os.WriteFile(build, []byte(time.Now().UTC().Format("demo-20060102T150405\n")), 0o600)
}
