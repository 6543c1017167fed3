// Package heartbeat tells a service outside of this machine that evenkeel lives: it asks the address under spec.heartbeat
// after finished passes, and after nothing else. Where evenkeel, or the machine, is gone, the service misses that and tells
// somebody.
//
// Nobody waits for it: of each App at most one request is under way, and a pass that finishes meanwhile asks for none.
package heartbeat

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 4 << 10

// Options are what a Beater needs.
type Options struct {
	// Report is told when heartbeats begin to fail, ReasonHeartbeatFailed, and when they arrive again, ReasonHeartbeatBack.
	Report func(v1alpha1.Event)
	// Log gets what became of each.
	Log logrus.FieldLogger
}

// Beater sends heartbeats. It is safe for use by several goroutines.
type Beater struct {
	options Options
	client  *http.Client
	ctx     context.Context
	end     context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	closed bool
	hearts map[string]*heart
}

// heart is one App's. It is guarded by Beater.mu.
type heart struct {
	last    time.Time // when the last one began
	busy    bool
	failing bool
	failed  time.Time // since when
}

// New makes a Beater. Close it.
func New(options Options) *Beater {
	b := &Beater{options: options, hearts: map[string]*heart{}}
	b.ctx, b.end = context.WithCancel(context.Background())
	b.client = &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return b
}

// Pass is called with every finished pass. It sends a heartbeat where one is due, and returns at once.
func (b *Beater) Pass(app *v1alpha1.App) {
	spec := app.Spec.Heartbeat
	b.mu.Lock()
	defer b.mu.Unlock()
	if spec == nil {
		delete(b.hearts, app.Name)
		return
	}
	h := b.hearts[app.Name]
	if h == nil {
		h = &heart{}
		b.hearts[app.Name] = h
	}
	now := time.Now()
	// A pass that comes a little early, as passes do, still counts.
	if b.closed || h.busy || !h.last.IsZero() && now.Sub(h.last) < spec.Interval.Duration-spec.Interval.Duration/10 {
		return
	}
	h.busy, h.last = true, now
	name, uid, to := app.Name, app.UID, *spec
	b.running.Go(func() {
		err := b.beat(to)
		b.done(h, name, err, func(kind, reason, message string) {
			b.options.Report(v1alpha1.Event{Time: metav1.NowMicro(), Type: kind, Reason: reason, Message: message, App: name, UID: uid})
		})
	})
}

// Close sends no more, and breaks off what is under way when the context ends.
func (b *Beater) Close(ctx context.Context) {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	stop := context.AfterFunc(ctx, b.end)
	b.running.Wait()
	stop()
	b.end()
}

// done notes how one ended, and says it where that is news.
func (b *Beater) done(h *heart, app string, err error, report func(kind, reason, message string)) {
	b.mu.Lock()
	h.busy = false
	was := h.failing
	h.failing = err != nil
	if h.failing && !was {
		h.failed = h.last
	}
	since := h.failed
	ended := b.ctx.Err() != nil
	b.mu.Unlock()
	switch {
	case ended: // that says nothing
	case err != nil:
		b.options.Log.WithField("app", app).WithError(err).Debug("heartbeat did not arrive")
		if !was {
			report(v1alpha1.EventWarning, v1alpha1.ReasonHeartbeatFailed, "the heartbeat did not arrive, and goes on being sent: "+err.Error())
		}
	case was:
		report(v1alpha1.EventNormal, v1alpha1.ReasonHeartbeatBack,
			fmt.Sprintf("the heartbeat arrives again, after %s", time.Since(since).Round(time.Second)))
	}
}

// ofNobody is an error that says nothing in the receiver's own words: what is no HTTP is quoted in it.
func ofNobody(err error) error {
	var (
		ours        net.Error // of the network: no connection, no name, no answer in time
		certificate *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &ours), errors.As(err, &certificate), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return err
	}
	return errors.New("what came back is no HTTP")
}

// beat sends one. Its errors name no more of the address than its host: the path is a secret.
func (b *Beater) beat(spec v1alpha1.HeartbeatSpec) error {
	ctx, cancel := context.WithTimeout(b.ctx, spec.Timeout.Duration)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, spec.URL, nil)
	if err != nil {
		return errors.New("its address cannot be used")
	}
	request.Header.Set("User-Agent", "evenkeel")
	where := request.URL.Scheme + "://" + request.URL.Host + "/…"
	response, err := b.client.Do(request)
	if err != nil {
		var outer *url.Error // it quotes the address
		if errors.As(err, &outer) {
			err = outer.Err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: no answer within %s", where, spec.Timeout.Duration)
		}
		return fmt.Errorf("%s: %w", where, ofNobody(err))
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
	if response.StatusCode < 200 || response.StatusCode >= 300 {
		return fmt.Errorf("%s answered %d", where, response.StatusCode)
	}
	return nil
}
