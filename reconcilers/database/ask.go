package database

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/bounded"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// Answer is how asking ended.
type Answer struct {
	Class facts.DatabaseClass
	// Code is the server's own code for its refusal: an SQLSTATE, or MySQL's number.
	Code string
	// ReadOnly says that it serves, and takes no changes.
	ReadOnly bool
}

// goodbye bounds the clean end of a connection.
const goodbye = time.Second

// Ask connects, logs in, asks one trivial question and says goodbye. It takes no longer than ctx allows, and a second for the
// goodbye; it uses one connection at a time.
func (t Target) Ask(ctx context.Context) (a Answer) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // also ends what a driver that panics has left
	defer func() {
		if recover() != nil { // MySQL's driver does so on a greeting that is cut short; whoever sent it, it is no database's
			a = Answer{Class: facts.DatabaseError}
		}
	}()
	if t.Why != "" {
		return Answer{Class: facts.DatabaseCannotBeAsked}
	}
	switch t.Kind {
	case PostgreSQL:
		return t.askPostgreSQL(ctx)
	case MySQL:
		return t.askMySQL(ctx)
	case MongoDB:
		return t.askMongoDB(ctx)
	case SQLite:
		return t.askSQLite()
	}
	return Answer{Class: facts.DatabaseCannotBeAsked}
}

// dialer dials, and remembers whether anybody ever took the call.
type dialer struct {
	plain   net.Dialer
	reached atomic.Bool
}

func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := d.plain.DialContext(ctx, network, addr)
	if err == nil {
		d.reached.Store(true)
	}
	return c, err
}

// classify tells errors of the way to the server apart; what the server itself says is known to its caller.
func (d *dialer) classify(err error) facts.DatabaseClass {
	var name *net.DNSError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var network net.Error
	switch {
	case errors.As(err, &name):
		return facts.DatabaseNameNotResolved
	case errors.As(err, &authority), errors.As(err, &host), errors.As(err, &invalid), errors.As(err, &verification),
		errors.As(err, &record), errors.As(err, &alert):
		return facts.DatabaseTLS
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return facts.DatabaseRefused
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.ENETDOWN),
		errors.Is(err, syscall.EHOSTDOWN):
		return facts.DatabaseUnreachable
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.EADDRNOTAVAIL),
		errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM),
		errors.Is(err, context.Canceled):
		return facts.DatabaseCannotBeAsked // it is we who cannot
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &network) && network.Timeout():
		if d.reached.Load() {
			return facts.DatabaseTimeout
		}
		return facts.DatabaseUnreachable
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return facts.DatabaseClosed
	}
	return facts.DatabaseError
}

// maxAuthority bounds the file of a trusted authority, in bytes: the whole list of a system has a quarter of that.
const maxAuthority = 1 << 20

// errAuthority says that the file of the trusted authority cannot be used.
var errAuthority = errors.New("the authority's certificate cannot be read")

// tls is how a connection to host is secured.
func (t *Target) tls(host string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if t.security != verified {
		c.InsecureSkipVerify = true // what the application itself does not check is not for us to refuse
		return c, nil
	}
	if t.ca == "" {
		return c, nil
	}
	pem, err := bounded.Read(t.ca, maxAuthority)
	if err != nil {
		return nil, errAuthority
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errAuthority
	}
	return c, nil
}

// loopback tells whether an address is on this machine for certain.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
