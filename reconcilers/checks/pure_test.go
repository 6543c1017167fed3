package checks

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

func TestDeployWork(t *testing.T) {
	for _, tc := range []struct {
		comm, args string // arguments are parted by |
		want       string
	}{
		{"git", "git|pull", "git pull"},
		{"git", "git|-C|/srv/site|checkout|main", "git checkout"},
		{"git", "/usr/bin/git|reset|--hard|origin/main", "git reset"},
		{"git", "git|fetch|--quiet", ""},
		{"git", "git|status", ""},
		{"git", "git|log", ""},
		{"npm ci", "npm ci", "npm ci"},
		{"npm install", "npm install --omit=dev", "npm install"},
		{"node", "node|/usr/bin/npm|ci", "npm ci"},
		{"node", "node|/usr/lib/node_modules/npm/bin/npm-cli.js|run|build", "npm run build"},
		{"npm run build", "npm run build", "npm run build"},
		{"npm start", "npm start", ""},
		{"npm run start", "npm run start", ""},
		{"node", "node|/srv/site/node_modules/.bin/next|start|-p|3003", ""},
		{"node", "node|/srv/site/node_modules/.bin/next|build", "next build"},
		{"next-build (v16", "next-build (v16.4.5)", "next build"},
		{"next-server (v1", "next-server (v16.4.5)", ""},
		{"yarn", "yarn", "yarn install"},
		{"node", "node|/opt/yarn/bin/yarn.js|install|--frozen-lockfile", "yarn install"},
		{"pnpm", "pnpm|i", "pnpm i"},
		{"bun", "bun|install", "bun install"},
		{"node", "node|server.js", ""},
		{"node", "node", ""},
		{"node", "", ""},
	} {
		if got := DeployWork(tc.comm, strings.Split(tc.args, "|")); got != tc.want {
			t.Errorf("DeployWork(%q, %q) = %q, want %q", tc.comm, tc.args, got, tc.want)
		}
	}
}

func TestSignsIn(t *testing.T) {
	caches := []string{".next/cache", "node_modules/.cache"}
	for _, tc := range []struct {
		log  string
		want []facts.Sign
	}{
		{"Error: listen EADDRINUSE: address already in use :::3003\n", []facts.Sign{facts.SignAddressInUse}},
		{"Error: Could not find a production build in the '.next' directory.\n", []facts.Sign{facts.SignBuildMissing}},
		{"SyntaxError: /srv/site/.next/cache/site-index.json: Unterminated string in JSON at position 35\n", []facts.Sign{facts.SignCache}},
		{"reading /srv/site/.next/cache/site-index.json\n", nil},
		{"Error: /srv/site/.next/server/app.js: no\n", nil},
		{"code: 'MODULE_NOT_FOUND'\n", []facts.Sign{facts.SignModuleNotFound}},
		{"/usr/bin/env: 'node': No such file or directory\n", []facts.Sign{facts.SignInterpreter}},
		{"", nil},
	} {
		if got := SignsIn([]byte(tc.log), caches); !slices.Equal(got, tc.want) {
			t.Errorf("SignsIn(%q) = %v, want %v", tc.log, got, tc.want)
		}
	}
}

func TestClassify(t *testing.T) {
	wrap := func(err error) error { return &url.Error{Op: "Get", URL: "https://www.example.test/", Err: err} }
	for _, tc := range []struct {
		err  error
		want facts.Class
	}{
		{wrap(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), facts.Refused},
		{wrap(context.DeadlineExceeded), facts.Timeout},
		{wrap(io.EOF), facts.Closed},
		{wrap(&net.OpError{Op: "read", Err: syscall.ECONNRESET}), facts.Closed},
		{wrap(x509.CertificateInvalidError{Reason: x509.Expired}), facts.Certificate},
		{wrap(x509.HostnameError{Certificate: &x509.Certificate{}, Host: "other.test"}), facts.Certificate},
		{wrap(&net.DNSError{Err: "no such host", Name: "www.example.test", IsTimeout: true}), facts.DNS},
		{wrap(&net.OpError{Op: "dial", Err: syscall.ENETUNREACH}), facts.Unreachable},
		{wrap(errRedirects), facts.Redirects},
		{wrap(fmt.Errorf("malformed HTTP response")), facts.Garbage},
	} {
		if got := classify(tc.err); got != tc.want {
			t.Errorf("classify(%v) = %s, want %s", tc.err, got, tc.want)
		}
	}
}

func TestWithin(t *testing.T) {
	for path, want := range map[string]bool{
		"/srv/site": true, "/srv/site/sub": true, "/srv/site-2": false, "/srv": false, "/srv/site (deleted)": true, "": false,
	} {
		if got := within(path, "/srv/site"); got != want {
			t.Errorf("within(%q) = %v, want %v", path, got, want)
		}
	}
}
