package alert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	maxAnswer    = 4 << 10 // of a receiver's answer that is read
	maxQuoted    = 300     // of it that is quoted in an error
	maxRedirects = 3
)

// webhook posts an alert to an address. The address is a secret: whoever knows it may post.
type webhook struct {
	url    string
	client *http.Client
}

// newClient makes the client of every webhook. Alerts are rare: no connection is kept.
func newClient() *http.Client {
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DisableKeepAlives:      true,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return &http.Client{Transport: transport, CheckRedirect: checkRedirect}
}

// checkRedirect follows only what stays with the same host and protocol and stays a POST: anything else would hand the
// alert to somebody whom the operator did not name, or ask for a page and take that for a delivery.
func checkRedirect(next *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > maxRedirects || next.Method != first.Method || next.URL.Host != first.URL.Host || next.URL.Scheme != first.URL.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

func (w webhook) name() string { return "webhook " + mask(w.url) }

func (w webhook) send(ctx context.Context, d *delivery) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(d.body))
	if err != nil {
		return &failure{text: "the address cannot be used", permanent: true}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "evenkeel")
	if d.ID != "" {
		request.Header.Set("Idempotency-Key", d.ID)
	}
	response, err := w.client.Do(request)
	if err != nil {
		var outer *url.Error // it quotes the address
		if errors.As(err, &outer) {
			err = outer.Err
		}
		text := w.clean(err.Error()) // it may quote what is no HTTP
		if repeats(text, w.url) {
			text = "what came back is no answer, and repeats the address: it is not quoted"
		}
		return errors.New(shorten(text, maxQuoted))
	}
	defer func() { _ = response.Body.Close() }()
	answer, readErr := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	code := response.StatusCode
	if code >= 200 && code < 300 {
		return nil // acknowledged, even where the rest of the answer was lost
	}
	f := &failure{text: fmt.Sprintf("the answer was %s", statusOf(code)), permanent: isPermanent(code), retryAfter: retryAfter(response)}
	if code >= 300 && code < 400 {
		f.text += ", a redirect that is not followed: name the address to which it leads"
	}
	switch quote := w.clean(oneLine(answer)); {
	case quote == "" || readErr != nil:
	case repeats(quote, w.url):
		f.text += "; what it says repeats the address, and is not quoted"
	default:
		f.text += fmt.Sprintf(": %q", shorten(quote, maxQuoted))
	}
	return f
}

// statusOf is a status in our words: those that stand beside it in an answer are the receiver's.
func statusOf(code int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", code, http.StatusText(code)))
}

// isPermanent tells whether the same request would be answered the same way again.
func isPermanent(code int) bool {
	switch code {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return code >= 300 && code < 500
}

func retryAfter(response *http.Response) time.Duration {
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if err != nil || seconds < 0 || seconds > int(patience/time.Second) {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// clean takes everything secret of the address out of a text.
func (w webhook) clean(text string) string {
	return withoutSecrets(strings.ReplaceAll(text, w.url, mask(w.url)), w.url)
}

// withoutSecrets takes out of a text whatever stands in an address besides its host; more is the caller's.
func withoutSecrets(text, address string, more ...string) string {
	secrets := append(secretsOf(address), more...)
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // what holds another goes first
	for _, secret := range secrets {
		for _, s := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			if len(s) > wordLength {
				text = strings.ReplaceAll(text, s, "…")
			}
		}
	}
	return text
}

// secretsOf is all that stands in an address besides its host, whole and in pieces.
func secretsOf(address string) []string {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	secrets := []string{u.RequestURI(), u.EscapedPath(), u.Path, u.RawQuery, u.Fragment, u.User.Username()}
	if password, ok := u.User.Password(); ok {
		secrets = append(secrets, password)
	}
	for _, values := range u.Query() {
		secrets = append(secrets, values...)
	}
	return append(secrets, strings.Split(u.Path, "/")...)
}

const (
	// wordLength is the length of what is no secret, and stands in words.
	wordLength = 5
	// pieceLength is how much of a secret tells something of it.
	pieceLength = 8
)

// repeats tells whether a text still shows a piece of what stands in an address besides its host: cut off, in other letters, or
// written with signs in between.
func repeats(text, address string) bool {
	said := lettersOf(text)
	for _, secret := range secretsOf(address) {
		s := lettersOf(secret)
		for n := 0; len(s) > wordLength && n <= max(len(s)-pieceLength, 0); n++ {
			if strings.Contains(said, s[n:min(n+pieceLength, len(s))]) {
				return true
			}
		}
	}
	return false
}

// lettersOf leaves of a text its letters and digits, in small letters.
func lettersOf(text string) string {
	return strings.Map(func(r rune) rune {
		if r = unicode.ToLower(r); unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, text)
}

// mask leaves of an address what may be shown: the way into it (path, query, user) is often the secret itself.
func mask(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "…"
	}
	return u.Scheme + "://" + u.Host + "/…"
}

// oneLine makes one line of readable text of what a receiver or a program said.
func oneLine(said []byte) string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(string(said), "�")), " ")
}
