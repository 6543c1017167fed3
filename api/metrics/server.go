package metrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sys/unix"
)

// Listen listens where address says: unix:/run/evenkeel/metrics.sock, or a port on loopback such as 127.0.0.1:9464. Anywhere
// else is refused: there is no password, and what is shown is nobody else's business.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return listenUnix(ctx, path)
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("%q is no address to serve metrics on: want 127.0.0.1:9464, [::1]:9464 or unix:/PATH", address)
	}
	if !at.Addr().IsLoopback() {
		return nil, fmt.Errorf("metrics are served on loopback or a unix socket only, not on %s: want 127.0.0.1:%d, and something with a password before it to reach it from elsewhere",
			at.Addr(), at.Port())
	}
	var to net.ListenConfig
	l, err := to.Listen(ctx, "tcp", at.String())
	if err != nil {
		return nil, fmt.Errorf("serving metrics: %w", err)
	}
	return l, nil
}

// listenUnix takes the place of a socket on which nobody listens any more, and of nothing else.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("%q is no path to serve metrics on: want a whole one, as in unix:/run/evenkeel/metrics.sock", path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		dialer := net.Dialer{Timeout: time.Second}
		c, err := dialer.DialContext(ctx, "unix", path)
		if err == nil {
			_ = c.Close()
			return nil, fmt.Errorf("serving metrics: somebody listens on %s already", path)
		}
		if errors.Is(err, unix.ECONNREFUSED) {
			_ = os.Remove(path)
		}
	}
	var to net.ListenConfig
	l, err := to.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("serving metrics: %w", err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("serving metrics: %w", err)
	}
	return l, nil
}

// Serve serves /metrics and /healthz until the context ends. healthy says what is wrong with evenkeel itself; nil where
// nothing is.
func (m *Metrics) Serve(ctx context.Context, l net.Listener, healthy func() error) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 5 * time.Second}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if err := healthy(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
	})
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving metrics: %w", err)
	}
	return nil
}
