//go:build linux

package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The names of the hidden commands that play the parts of a demo, and the flag that tells each of them its folder; it is
// the first of their arguments.
const (
	PartSite     = "demo-site"
	PartStranger = "demo-stranger"
	PartDeploy   = "demo-deploy"
	FolderFlag   = "--demo"
)

// Parts lists the hidden commands.
func Parts() []string { return []string{PartSite, PartStranger, PartDeploy} }

// PIDHeader is the header in which the parts that answer over HTTP say which process answers.
const PIDHeader = "X-Process"

// Cache is the site's cache folder, in the site's folder; evenkeel knows this place.
const Cache = ".next/cache"

var (
	cacheFile = filepath.Join(Cache, "pages.json")
	buildFile = filepath.Join(".next", "BUILD_ID")
	lockFile  = filepath.Join(".next", "lock")
	// badRelease is there while the release that is checked out answers with nothing but errors.
	badRelease = "BAD_RELEASE"
)

// MakeSite fills the site's folder: a finished build.
func MakeSite(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, Cache), 0o700); err != nil {
		return fmt.Errorf("making the site's folder: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, buildFile), []byte("demo-1\n"), 0o600)
}

// SetBadRelease makes the release that lies in the site's folder one that answers with nothing but errors, or takes that
// away. It counts from the next start on.
func SetBadRelease(dir string, bad bool) error {
	path := filepath.Join(dir, badRelease)
	if bad {
		return os.WriteFile(path, []byte("a release that only answers with errors; remove this file to go back to the one before\n"), 0o600)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// SpoilCache writes nonsense over what the site keeps in its cache.
func SpoilCache(dir string) error {
	return os.WriteFile(filepath.Join(dir, cacheFile), []byte(`{"/":"<h1>hal`), 0o600)
}

// SiteOptions are what the site is told.
type SiteOptions struct {
	// Folder is the demo's; the site's own is in it.
	Folder string
	// Port to listen on, at 127.0.0.1. With Socket, an open listening socket, that is used instead.
	Port   int
	Socket *os.File
	// Log gets the site's own log.
	Log io.Writer
}

// Site is the web application: one page, and a way to break it for each thing that can go wrong.
type Site struct {
	SiteOptions
	dir     string
	born    time.Time
	page    string
	answers atomic.Int64

	mu     sync.Mutex
	hung   bool
	broken bool
	moved  chan struct{} // closed when the listener has to be given up
}

// RunSite serves until the context or the demo ends. An error says why it could not start.
func RunSite(ctx context.Context, o SiteOptions) error {
	s := &Site{SiteOptions: o, dir: siteIn(o.Folder), born: time.Now()}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		outlive(ctx, o.Folder)
		cancel()
	}()
	if _, err := os.Stat(filepath.Join(s.dir, badRelease)); err == nil {
		s.broken = true
	}
	if err := s.readCache(); err != nil {
		return err
	}
	server := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: 5 * time.Second,
		BaseContext: func(l net.Listener) context.Context { return context.WithValue(ctx, listenerKey{}, l) },
	}
	// What hangs does not end by itself, so that the end is not waited for.
	defer func() { _ = server.Close() }()
	for {
		moved := make(chan struct{})
		s.mu.Lock()
		s.moved = moved
		s.mu.Unlock()
		listener, err := s.listen(ctx)
		if err != nil {
			return err
		}
		s.logf("process %d listens on %s", os.Getpid(), listener.Addr())
		go func() { _ = server.Serve(listener) }()
		select {
		case <-ctx.Done():
			return nil
		case <-moved:
			s.logf("lost its socket; tries to get it back")
			_ = listener.Close()
			if !pause(ctx, handOver) {
				return nil
			}
		}
	}
}

const (
	// handOver is for how long the site leaves its port alone after it has lost its socket.
	handOver = time.Second
	// listenAgain is how often it tries to listen on a port that somebody else has.
	listenAgain = 20 * time.Millisecond
)

// listen gives a listening socket. A port that somebody else has is waited for, as servers of this kind do.
func (s *Site) listen(ctx context.Context) (net.Listener, error) {
	if socket := s.Socket; socket != nil {
		s.Socket = nil
		defer func() { _ = socket.Close() }()
		return net.FileListener(socket)
	}
	said := false
	for {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)))
		switch {
		case err == nil:
			return listener, nil
		case !errors.Is(err, unix.EADDRINUSE):
			return nil, err
		case !said:
			s.logf("%v; tries again until it is free", err)
			said = true
		}
		if !pause(ctx, listenAgain) {
			return nil, ctx.Err()
		}
	}
}

// readCache takes the page from the cache, as an application does that renders once; without one it renders.
func (s *Site) readCache() error {
	path := filepath.Join(s.dir, cacheFile)
	data, err := os.ReadFile(path)
	pages := map[string]string{}
	switch {
	case errors.Is(err, os.ErrNotExist):
		s.page = render()
		pages["/"] = s.page
		text, err := json.Marshal(pages)
		if err == nil {
			err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, text, 0o600))
		}
		return err
	case err != nil:
		return err
	}
	if err := json.Unmarshal(data, &pages); err != nil {
		return fmt.Errorf("the stored pages cannot be read: %w", err)
	}
	s.page = pages["/"]
	return nil
}

func (s *Site) logf(format string, args ...any) {
	fmt.Fprintf(s.Log, time.Now().Format("15:04:05.000 ")+format+"\n", args...)
}

// leaveOrphan hands the socket to a copy of this program, which goes on serving, and ends: as a wrapper does that is killed
// while its child lives on.
func (s *Site) leaveOrphan(listener *os.File) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	child := exec.Command(self, PartSite, FolderFlag, s.Folder, "--socket", "3") //nolint:noctx // it is meant to outlive us
	child.Dir = s.dir
	child.ExtraFiles = []*os.File{listener}
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return child.Start()
}

// pause waits, and tells whether the context has not ended meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
