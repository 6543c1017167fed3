//go:build linux

package demo

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Breakage is one way in which the site can be broken by asking for it.
type Breakage struct {
	// Path is what to ask the site for; Means says what happens then.
	Path, Means string
	// do breaks it; it gives the answer, and what is to come once that is sent.
	do func(s *Site, r *http.Request) (string, func())
}

// Breakages are the ways in which the site breaks itself.
func Breakages() []Breakage { return append([]Breakage(nil), breakages...) }

var breakages = []Breakage{
	{"/break/crash", "it ends with an error", func(*Site, *http.Request) (string, func()) {
		return "it ends now", func() { os.Exit(3) }
	}},
	{"/break/hang", "it answers nobody any more", func(s *Site, _ *http.Request) (string, func()) {
		s.set(func() { s.hung = true })
		return "from now on nobody gets an answer", func() {}
	}},
	{"/break/500", "it answers with errors", func(s *Site, _ *http.Request) (string, func()) {
		s.set(func() { s.broken = true })
		return "from now on everybody gets a 500", func() {}
	}},
	{"/break/port", "it loses its socket, for a moment: let a stranger take the port", func(s *Site, _ *http.Request) (string, func()) {
		return "the port is free for a second", func() { s.set(func() { close(s.moved); s.moved = make(chan struct{}) }) }
	}},
	{"/break/orphan", "it ends, and leaves a child that keeps the port", func(s *Site, r *http.Request) (string, func()) {
		socket, err := socketOf(r)
		if err == nil {
			err = s.leaveOrphan(socket)
		}
		if err != nil {
			return "it could not leave an orphan: " + err.Error(), func() {}
		}
		return "a child keeps the port; its parent ends now", func() { os.Exit(0) }
	}},
	{"/break/cache", "what it keeps in its cache is spoilt, and it ends", func(s *Site, _ *http.Request) (string, func()) {
		if err := SpoilCache(s.dir); err != nil {
			return "the cache could not be spoilt: " + err.Error(), func() {}
		}
		return "the cache is spoilt; it ends now", func() { os.Exit(3) }
	}},
	{"/break/release", "a release is put into place that no restart can help", func(s *Site, _ *http.Request) (string, func()) {
		if err := SetBadRelease(s.dir, true); err != nil {
			return "the release could not be put into place: " + err.Error(), func() {}
		}
		s.set(func() { s.broken = true })
		return "it only answers with errors. To go back: rm " + filepath.Join(s.dir, badRelease), func() {}
	}},
}

func (s *Site) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// handler answers for the site.
func (s *Site) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	for _, b := range breakages {
		mux.HandleFunc(b.Path, func(w http.ResponseWriter, r *http.Request) {
			text, then := b.do(s, r)
			s.logf("%s: %s", b.Path, text)
			w.Header().Set("Connection", "close")
			w.Header().Set("Content-Length", strconv.Itoa(len(text)+1)) // whole, even if the process ends on it
			fmt.Fprintln(w, text)
			_ = http.NewResponseController(w).Flush()
			then()
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(PIDHeader, strconv.Itoa(os.Getpid()))
		if !strings.HasPrefix(r.URL.Path, "/break/") {
			s.mu.Lock()
			hung, broken := s.hung, s.broken
			s.mu.Unlock()
			if hung {
				<-r.Context().Done()
				return
			}
			if _, err := os.Stat(filepath.Join(s.dir, buildFile)); err != nil || broken {
				http.Error(w, "500: something is broken", http.StatusInternalServerError)
				return
			}
		}
		mux.ServeHTTP(w, r)
	})
}

func (s *Site) home(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	page := strings.NewReplacer(
		"{pid}", strconv.Itoa(os.Getpid()), "{age}", time.Since(s.born).Round(time.Second).String(),
		"{answers}", strconv.FormatInt(s.answers.Add(1), 10),
	).Replace(s.page)
	fmt.Fprint(w, page)
}

// render makes the page, but for what changes.
func render() string {
	var list strings.Builder
	for _, b := range breakages {
		fmt.Fprintf(&list, "<li><a href=\"%s\">%s</a> %s</li>\n", b.Path, b.Path, b.Means)
	}
	return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>kept on an even keel</title>
<style>body{font:17px/1.6 system-ui,sans-serif;max-width:38em;margin:4em auto;padding:0 1em;color:#223;background:#f6f8fa}
h1{font-weight:500}code,a{color:#06c}li{margin:.2em 0}</style></head>
<body><h1>This site is kept online by evenkeel.</h1>
<p>Process <code>{pid}</code>, up {age}, {answers} pages served. Break it, and watch the terminal:</p>
<ul>
` + list.String() + `</ul></body></html>
`
}

// socketOf is a copy of the listening socket through which a request came in.
func socketOf(r *http.Request) (*os.File, error) {
	listener, ok := r.Context().Value(listenerKey{}).(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("the listening socket is not known")
	}
	return listener.File()
}

// listenerKey is the key under which a request's context holds the listener.
type listenerKey struct{}
