package checks

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/url"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// clockLimit bounds the question what time it is elsewhere.
const clockLimit = 5 * time.Second

// clock gathers what there is to know of this machine's clock, where a certificate is out of its time. elsewhere says that
// the site is served by another machine, whose time can be compared.
func (p *Prober) clock(ctx context.Context, address string, elsewhere bool, limit time.Duration) *facts.Clock {
	f := &facts.Clock{Before: beforeBuilt(time.Now())}
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err == nil {
		f.Known, f.Kept = true, t.Status&unix.STA_UNSYNC == 0
	}
	if elsewhere {
		if ahead, ok := p.ahead(ctx, address, min(limit, clockLimit)); ok {
			f.Compared, f.Ahead = true, ahead
		}
	}
	return f
}

// ahead is by how much this machine's clock is ahead of the one that answers. Its certificate is not looked at: it is what
// is in doubt.
func (p *Prober) ahead(ctx context.Context, address string, limit time.Duration) (time.Duration, bool) {
	u, err := url.Parse(address)
	if err != nil {
		return 0, false
	}
	u.User, u.RawQuery = nil, "" // for nobody whose name is not proved
	var problem facts.Problem
	var chain []*x509.Certificate
	transport := publicTransport(p.Roots, p.dialer().DialContext)
	p.lenient(transport, &problem, &chain)
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, u.String(), nil)
	if err != nil {
		return 0, false
	}
	req.Header.Set("User-Agent", userAgent)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, false
	}
	_ = resp.Body.Close()
	then, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return 0, false
	}
	return time.Since(then).Truncate(time.Second), true
}

// beforeBuilt tells whether a moment lies before the code of this program was written.
func beforeBuilt(now time.Time) bool {
	written := writtenAt()
	return !written.IsZero() && now.Before(written)
}

var writtenAt = sync.OnceValue(func() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
				return t
			}
		}
	}
	return time.Time{}
})
