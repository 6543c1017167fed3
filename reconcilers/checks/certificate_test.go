package checks

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

var discard = log.New(io.Discard, "", 0)

// refuse is a resolver's way to name servers that are not there.
func refuse(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("connection refused")
}

// authority makes certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	a.cert, a.key, _ = a.make(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-1000 * time.Hour), NotAfter: time.Now().Add(100000 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	})
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) make(t *testing.T, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// site makes one for a name and a time, counted from now.
func (a *authority) site(t *testing.T, name string, from, to time.Duration) (*x509.Certificate, tls.Certificate) {
	t.Helper()
	now := time.Now()
	leaf, _, pair := a.make(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: now.Add(from), NotAfter: now.Add(to),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IssuingCertificateURL: []string{"http://ca.test/ca.crt"},
	})
	return leaf, pair
}

// secure serves with a certificate, on a port of 127.0.0.1.
func secure(t *testing.T, pair tls.Certificate, h http.HandlerFunc) (port int) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	s.Config.ErrorLog = discard
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().(*net.TCPAddr).Port
}

// trusting is a prober that trusts an authority, finds every name at 127.0.0.1 and sees this Nginx.
func trusting(t *testing.T, a *authority, fs procfs.FS) *Prober {
	t.Helper()
	p := prober(t)
	p.FS, p.Roots, p.Resolver = fs, a.pool, answering(t, reply{addr: [4]byte{127, 0, 0, 1}})
	p.public = newPublicClient(a.pool, p.dialer())
	t.Cleanup(p.public.CloseIdleConnections)
	return p
}

const day = 24 * time.Hour

func pemOf(leaf *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}))
}

func TestWhatIsWrongWithACertificate(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	const name = "site.test"
	shown := func(by *authority, name string, from, to time.Duration) tls.Certificate {
		_, pair := by.site(t, name, from, to)
		return pair
	}
	renewed, _ := a.site(t, name, -time.Hour, 90*day)
	later, _ := a.site(t, name, time.Hour, 90*day)
	older, _ := a.site(t, name, -500*time.Hour, -time.Hour)
	_, selfSigned := (&authority{}).site(t, name, -time.Hour, 90*day)
	for _, tc := range []struct {
		name    string
		pair    tls.Certificate
		file    string // what the proxy's configuration names
		class   facts.Class
		problem facts.Problem
		newer   bool
		fileErr string
	}{
		{"good", shown(a, name, -time.Hour, 90*day), "", facts.Answered, "", false, ""},
		{"expired", shown(a, name, -100*day, -time.Hour), pemOf(older), facts.Certificate, facts.Expired, false, ""},
		{"expired, and renewed on disk", shown(a, name, -100*day, -time.Hour), pemOf(renewed), facts.Certificate, facts.Expired, true, ""},
		{"expired, and what is on disk is not good yet", shown(a, name, -100*day, -time.Hour), pemOf(later), facts.Certificate, facts.Expired, false, ""},
		{"expired, and no certificate is on disk", shown(a, name, -100*day, -time.Hour), "hello", facts.Certificate, facts.Expired, false, "unexpected EOF"},
		{"not yet valid", shown(a, name, time.Hour, 90*day), pemOf(older), facts.Certificate, facts.NotYetValid, false, ""},
		{"for another name", shown(a, "other.test", -time.Hour, 90*day), "", facts.Certificate, facts.WrongName, false, "names none"},
		{"by an authority that nobody knows, without a chain", shown(stranger, name, -time.Hour, 90*day), "", facts.Certificate, facts.IncompleteChain, false, "names none"},
		{"by itself", selfSigned, "", facts.Certificate, facts.UnknownAuthority, false, "names none"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			port := secure(t, tc.pair, answer(200))
			directive := ""
			if tc.file != "" {
				file := filepath.Join(t.TempDir(), "fullchain.pem")
				write(t, file, tc.file)
				directive = "ssl_certificate " + file + ";"
			}
			p := trusting(t, a, nginxWith(t, fmt.Sprintf("http { server { listen %d ssl; server_name %s; %s } }", port, name, directive)))
			app := site("site")
			app.Spec.Checks.Public.URL = "https://" + net.JoinHostPort(name, strconv.Itoa(port)) + "/"
			app.Status.Learned = &v1alpha1.Learned{PublicGreenURL: facts.Marker{}.Mark(app.Spec.Checks.Public.URL)}
			r := p.askPublic(t.Context(), &look{app: app}, func() bool { return true })
			f := factsOf[facts.Public](t, r)
			if f.Class != tc.class || f.Certificate == nil || f.Certificate.Problem != tc.problem {
				t.Fatalf("%s: %+v %+v", r.Message, f.HTTP, f.Certificate)
			}
			if tc.problem == "" {
				return
			}
			if len(f.Certificate.Names) != 1 || f.Certificate.Issuer == "" {
				t.Errorf("it is not described: %+v", f.Certificate)
			}
			if f.Proxy.Class != facts.Certificate || f.Proxy.Status != 200 {
				t.Errorf("the proxy here: %+v", f.Proxy)
			}
			if file := f.Certificate.File; file == nil || file.Newer != tc.newer || !strings.Contains(file.Error, tc.fileErr) || (file.Error == "") != (tc.fileErr == "") {
				t.Errorf("on disk: %+v", file)
			}
			if timed := tc.problem == facts.Expired || tc.problem == facts.NotYetValid; timed != (f.Clock != nil) {
				t.Errorf("the clock: %+v", f.Clock)
			}
		})
	}
}

func TestACertificateThatSoonExpiresIsLookedAtOnDisk(t *testing.T) {
	a := newAuthority(t)
	renewed, _ := a.site(t, "site.test", -time.Hour, 90*day)
	_, pair := a.site(t, "site.test", -80*day, 10*day)
	port := secure(t, pair, answer(200))
	file := filepath.Join(t.TempDir(), "fullchain.pem")
	write(t, file, pemOf(renewed))
	p := trusting(t, a, nginxWith(t, fmt.Sprintf("http { server { listen %d ssl; server_name site.test; ssl_certificate %s; } }", port, file)))
	app := site("site")
	app.Spec.Checks.Public.URL = fmt.Sprintf("https://site.test:%d/", port)
	seen := func() *facts.Cert {
		r := p.askPublic(t.Context(), &look{app: app}, func() bool { return true })
		if r.Status != yes {
			t.Fatalf("%s: %s", r.Reason, r.Message)
		}
		return factsOf[facts.Public](t, r).Certificate
	}
	if c := seen(); c == nil || c.File == nil || !c.File.Newer || c.File.Path != file || c.Problem != "" {
		t.Errorf("%+v", c)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if c := seen(); c.File == nil || !c.File.Newer {
		t.Error("it is read at every look")
	}
	p.ways["site"].fileAt = time.Now().Add(-certEvery)
	if c := seen(); c.File == nil || c.File.Newer || !strings.Contains(c.File.Error, "no such file") {
		t.Errorf("it is gone: %+v", c.File)
	}
	app.Spec.Checks.Public.CertificateWarning.Duration = 9 * day
	if c := seen(); c.File != nil {
		t.Errorf("nobody wants to be warned yet: %+v", c)
	}
}

// A proxy behind a delivery network may show a certificate that only that network trusts.
func TestBehindADeliveryNetworkTheProxysCertificateNeedNotBeTheWorlds(t *testing.T) {
	origin := &facts.HTTP{Class: facts.Answered, Status: 200, Certificate: &facts.Cert{Problem: facts.UnknownAuthority}}
	for _, tc := range []struct {
		name string
		f    facts.Public
		want bool
	}{
		{"straight to this machine", facts.Public{Names: &facts.Names{Outcome: facts.Resolved, Own: true}}, true},
		{"nobody knows whither", facts.Public{Names: &facts.Names{Outcome: facts.NoServer}}, true},
		{"behind a delivery network", facts.Public{HTTP: facts.HTTP{CDN: "Cloudflare", Status: 521}, Names: &facts.Names{}}, false},
		{"behind one that refuses it", facts.Public{HTTP: facts.HTTP{CDN: "Cloudflare", Status: 526}, Names: &facts.Names{}}, true},
		{"behind another machine", facts.Public{Names: &facts.Names{Outcome: facts.Resolved}}, false},
		{"the world sees it", facts.Public{HTTP: facts.HTTP{Class: facts.Certificate}, Names: &facts.Names{Outcome: facts.Resolved}}, true},
	} {
		if got := badCertificate(&tc.f, origin); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func TestTheClockIsComparedWithAnotherMachines(t *testing.T) {
	a := newAuthority(t)
	_, pair := a.site(t, "site.test", -100*day, -time.Hour) // nobody looks at it
	date := time.Now().Add(-48 * time.Hour)
	var got *http.Request
	port := secure(t, pair, func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.Header().Set("Date", date.UTC().Format(http.TimeFormat))
	})
	p := trusting(t, a, procfs.New(t.TempDir()))
	url := fmt.Sprintf("https://user:secret@site.test:%d/?token=secret", port)
	f := p.clock(t.Context(), url, true, time.Minute)
	if !f.Compared || f.Ahead < 47*time.Hour || f.Ahead > 49*time.Hour || f.Before {
		t.Errorf("%+v", f)
	}
	if got.Header.Get("Authorization") != "" || got.URL.RawQuery != "" {
		t.Error("secrets are told to somebody who has not proved his name")
	}
	if f := p.clock(t.Context(), url, false, time.Minute); f.Compared {
		t.Error("its own clock is no proof")
	}
	if f := p.clock(t.Context(), fmt.Sprintf("https://site.test:%d/", reserve(t)), true, time.Minute); f.Compared {
		t.Error("nobody answered")
	}
	if !writtenAt().IsZero() && !beforeBuilt(time.Unix(0, 0)) {
		t.Error("1970 is taken for a time at which this could run")
	}
}
