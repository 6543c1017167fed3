//go:build linux

package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// Proxy is the reverse proxy before the site: its address is the site's public one.
type Proxy struct {
	target *url.URL

	mu     sync.Mutex
	addr   string
	server *http.Server
	back   *time.Timer
	over   bool
}

// outage is for how long the proxy is away when somebody asks it to go.
const outage = 10 * time.Second

// NewProxy begins to serve on a free port of 127.0.0.1, for the site on the port given.
func NewProxy(sitePort int) (*Proxy, error) {
	p := &Proxy{
		addr:   "127.0.0.1:0",
		target: &url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", sitePort)},
	}
	return p, p.Up()
}

// URL is the site's public address.
func (p *Proxy) URL() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return "http://" + p.addr + "/"
}

// Up lets it serve, if it does not.
func (p *Proxy) Up() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server != nil || p.over {
		return nil
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", p.addr)
	if err != nil {
		return fmt.Errorf("the demo's proxy cannot listen: %w", err)
	}
	p.addr = listener.Addr().String()
	server := &http.Server{Handler: p.handler(), ReadHeaderTimeout: 5 * time.Second}
	p.server = server
	go func() { _ = server.Serve(listener) }()
	return nil
}

// Down takes it away, with all its connections.
func (p *Proxy) Down() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down()
}

func (p *Proxy) down() {
	if p.server != nil {
		_ = p.server.Close()
		p.server = nil
	}
}

// Close ends it for good.
func (p *Proxy) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if p.back != nil {
		p.back.Stop()
	}
	p.down()
}

func (p *Proxy) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/break/proxy", func(w http.ResponseWriter, _ *http.Request) {
		text := fmt.Sprintf("the proxy is away for %s\n", outage)
		w.Header().Set("Connection", "close")
		w.Header().Set("Content-Length", strconv.Itoa(len(text))) // so that the answer is whole once it is flushed
		_, _ = io.WriteString(w, text)
		_ = http.NewResponseController(w).Flush()
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.over {
			return
		}
		go p.Down() // it waits for nobody, and this answer has to end first
		p.back = time.AfterFunc(outage, func() { _ = p.Up() })
	})
	mux.Handle("/", &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(p.target) },
		// Each request asks the site anew, so that what it answers does not hang on an old connection.
		Transport: &http.Transport{DisableKeepAlives: true},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			status := http.StatusBadGateway
			if errors.Is(err, context.Canceled) {
				status = 499 // as Nginx has it: the client has gone
			}
			http.Error(w, fmt.Sprintf("%d: the site does not answer", status), status)
		},
		ErrorLog: log.New(io.Discard, "", 0),
	})
	return mux
}
