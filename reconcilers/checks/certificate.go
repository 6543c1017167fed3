package checks

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/bounded"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// certFileLimit bounds a file of certificates, in bytes. A chain of three has some 5 KiB.
const certFileLimit = 256 << 10

// refused is the certificate that a client has refused; nil where it was not for that.
func refused(err error) *facts.Cert {
	var verify *tls.CertificateVerificationError
	if !errors.As(err, &verify) || len(verify.UnverifiedCertificates) == 0 {
		return nil
	}
	return described(verify.UnverifiedCertificates[0], problemOf(verify.Err, verify.UnverifiedCertificates))
}

// described tells of a certificate with which something is wrong.
func described(leaf *x509.Certificate, problem facts.Problem) *facts.Cert {
	const most = 5
	c := &facts.Cert{NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter, Problem: problem, Issuer: bound(leaf.Issuer.String(), 128)}
	for _, name := range leaf.DNSNames {
		if len(c.Names) < most {
			c.Names = append(c.Names, bound(name, 128))
		}
	}
	return c
}

// problemOf says what is wrong with a chain that was refused.
func problemOf(err error, chain []*x509.Certificate) facts.Problem {
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	leaf := chain[0]
	switch {
	case errors.As(err, &hostname):
		return facts.WrongName
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		if bad := invalid.Cert; bad != nil && time.Now().Before(bad.NotBefore) {
			return facts.NotYetValid
		}
		return facts.Expired
	case errors.As(err, &authority):
		if len(chain) == 1 && !bytes.Equal(leaf.RawIssuer, leaf.RawSubject) && len(leaf.IssuingCertificateURL) > 0 {
			return facts.IncompleteChain
		}
		return facts.UnknownAuthority
	}
	return facts.Invalid
}

// lenient is a transport that refuses no certificate, and notes what it would have refused.
func (p *Prober) lenient(t *http.Transport, problem *facts.Problem, chain *[]*x509.Certificate) {
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true} // looked at below; nothing secret is sent
	t.TLSClientConfig.VerifyConnection = func(s tls.ConnectionState) error {
		*chain = s.PeerCertificates
		options := x509.VerifyOptions{Roots: p.Roots, DNSName: s.ServerName, Intermediates: x509.NewCertPool()}
		for _, c := range s.PeerCertificates[1:] {
			options.Intermediates.AddCert(c)
		}
		*problem = ""
		if _, err := s.PeerCertificates[0].Verify(options); err != nil {
			*problem = problemOf(err, s.PeerCertificates)
		}
		return nil
	}
}

// certFile reads the certificate that the proxy's configuration names, and compares it with the one that is shown.
func certFile(path string, shown *facts.Cert, now time.Time) *facts.CertFile {
	f := &facts.CertFile{Path: path}
	text, err := bounded.Read(path, certFileLimit)
	if err != nil {
		f.Error = err.Error()
		return f
	}
	leaf, err := firstCertificate(text)
	if err != nil {
		f.Error = path + ": " + err.Error()
		return f
	}
	f.NotAfter = leaf.NotAfter
	good := !now.Before(leaf.NotBefore) && now.Before(leaf.NotAfter)
	f.Newer = good && leaf.NotBefore.After(shown.NotBefore) && leaf.NotAfter.After(shown.NotAfter)
	return f
}

func firstCertificate(text []byte) (*x509.Certificate, error) {
	for {
		block, rest := pem.Decode(text)
		switch {
		case block == nil:
			return nil, io.ErrUnexpectedEOF
		case block.Type == "CERTIFICATE":
			return x509.ParseCertificate(block.Bytes)
		}
		text = rest
	}
}
