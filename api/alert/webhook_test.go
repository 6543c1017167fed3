package alert

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func serve(t *testing.T, handle http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return server
}

// post sends one alert to an address, once.
func post(t *testing.T, address string) error {
	t.Helper()
	a := failed()
	return webhook{url: address, client: newClient()}.send(t.Context(), (&letter{Alert: a}).delivery(v1alpha1.AlertSpec{}))
}

func TestAWebhookGetsTheWholeAlertAndATextToShow(t *testing.T) {
	got := make(chan map[string]any, 1)
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var all map[string]any
		if err := json.Unmarshal(body, &all); err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %q: %v", r.Method, r.Header.Get("Content-Type"), err)
		}
		got <- all
		w.WriteHeader(http.StatusNoContent)
	})
	r := newReports()
	d := dispatcher(t, r)
	d.Alert(app(v1alpha1.AlertSpec{Webhook: server.URL + "/services/T0SECRET"}), failed())
	e := r.one(t)
	all := <-got
	for field, want := range map[string]any{
		"app": "bbyatch", "host": "web1", "kind": "Failed", "incident": 7.0, "blame": "App", "reason": "NotListening",
		"phase": "Failed", "duration": "16m0s", "time": "2026-11-23T03:12:41.000000Z",
	} {
		if all[field] != want {
			t.Errorf("%s = %v, want %v", field, all[field], want)
		}
	}
	if text, _ := all["text"].(string); !strings.HasPrefix(text, "bbyatch on web1: Failed") || all["content"] != text {
		t.Errorf("text %q, content %q", all["text"], all["content"])
	}
	if e.Reason != v1alpha1.ReasonAlertSent || strings.Contains(e.Message, "T0SECRET") || !strings.Contains(e.Message, server.URL+"/…") {
		t.Errorf("reported %+v", e)
	}
}

func TestOnly2xxIsDelivered(t *testing.T) {
	for code, want := range map[int]struct{ ok, permanent bool }{
		200: {ok: true}, 202: {ok: true}, 204: {ok: true},
		304: {permanent: true}, 400: {permanent: true}, 404: {permanent: true}, 410: {permanent: true},
		408: {}, 429: {}, 500: {}, 503: {},
	} {
		server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(code)
		})
		err := post(t, server.URL)
		if want.ok != (err == nil) {
			t.Errorf("%d gave %v", code, err)
		}
		if f, ok := errors.AsType[*failure](err); err != nil && (!ok || f.permanent != want.permanent || f.retryAfter != 7*time.Second) {
			t.Errorf("%d gave %#v", code, err)
		}
	}
}

func TestARedirectIsFollowedOnlyOnTheSameHostAndAsAPost(t *testing.T) {
	var strangers, posts atomic.Int32
	stranger := serve(t, func(http.ResponseWriter, *http.Request) { strangers.Add(1) })
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, stranger.URL, http.StatusTemporaryRedirect)
		case "/page":
			http.Redirect(w, r, "/there", http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusPermanentRedirect)
		case "/moved":
			http.Redirect(w, r, "/there", http.StatusPermanentRedirect)
		case "/there":
			if body, _ := io.ReadAll(r.Body); r.Method == http.MethodPost && len(body) > 0 {
				posts.Add(1)
			}
		}
	})
	for _, path := range []string{"/away", "/page", "/round"} {
		if err := post(t, server.URL+path); err == nil || !strings.Contains(err.Error(), "redirect that is not followed") {
			t.Errorf("%s gave %v", path, err)
		}
	}
	if strangers.Load() != 0 || posts.Load() != 0 {
		t.Errorf("%d alerts went to another host, %d were taken", strangers.Load(), posts.Load())
	}
	if err := post(t, server.URL+"/moved"); err != nil || posts.Load() != 1 {
		t.Errorf("a redirect on the same host gave %v, %d posts", err, posts.Load())
	}
}

func TestNoErrorShowsASecretOfTheAddress(t *testing.T) {
	echo := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "cannot POST "+r.URL.RequestURI()+" for "+r.URL.Query().Get("key")+"\n\nsorry"+strings.Repeat(" more", 1000))
	})
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for _, base := range []string{echo.URL, closed.URL, "http://no such host", "http://bad\x7f"} {
		address := strings.Replace(base, "http://", "http://user:Passw0rd@", 1) + "/hooks/s3cr3tpath?key=s3cr3tkey"
		err := post(t, address)
		if err == nil {
			t.Fatalf("%s: no error", base)
		}
		text := err.Error() + webhook{url: address}.name()
		for _, secret := range []string{"s3cr3t", "Passw0rd"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q shows %q", text, secret)
			}
		}
		if len(text) > 600 {
			t.Errorf("the error has %d bytes", len(text))
		}
		if base == echo.URL && !strings.Contains(text, "sorry") {
			t.Errorf("%q does not say what the receiver said", text)
		}
	}
}

func TestAWebhookThatDoesNotAnswerIsBrokenOffAtItsTimeout(t *testing.T) {
	let := make(chan struct{})
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-let:
		case <-r.Context().Done():
		}
	})
	defer close(let)
	r := newReports()
	d := New(Options{Report: r.take, Log: quiet()})
	d.Alert(app(v1alpha1.AlertSpec{Webhook: server.URL, Timeout: metav1.Duration{Duration: 30 * time.Millisecond}}), failed())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := d.Close(ctx); err != nil { // it hurries, so that one try or two are enough
		t.Fatal(err)
	}
	if e := r.one(t); e.Reason != v1alpha1.ReasonAlertFailed || !strings.Contains(e.Message, "no answer within 30ms") {
		t.Errorf("reported %+v", e)
	}
}

func TestALongAnswerIsNotRead(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		chunk := strings.Repeat("x", 64<<10)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
	})
	if err := post(t, server.URL); err != nil {
		t.Error(err)
	}
}

// TestAReceiverThatEchoesTheAddressIsNotQuoted, however it writes it: cut off, in other letters, with signs in between, as the words
// beside its status, or where no HTTP is expected.
func TestAReceiverThatEchoesTheAddressIsNotQuoted(t *testing.T) {
	const token, password = "T0kenOfTheHook42", "Passw0rdOfTheHook"
	for name, answer := range map[string]string{
		"as it is":                    "HTTP/1.1 400 Bad Request\r\nContent-Length: 28\r\n\r\nno such hook T0kenOfTheHook42",
		"beside the status":           "HTTP/1.1 400 T0kenOfTheHook42\r\nContent-Length: 0\r\n\r\n",
		"cut off":                     "HTTP/1.1 400 Bad Request\r\nContent-Length: 22\r\n\r\nno such hook T0kenOfTh",
		"at the end of what is read":  "HTTP/1.1 400 Bad Request\r\n\r\n" + strings.Repeat(token+" ", maxAnswer/len(token)-20) + strings.Repeat(" ", 200) + token + token,
		"in small letters":            "HTTP/1.1 400 Bad Request\r\n\r\nt0kenofthehook42",
		"with signs in between":       "HTTP/1.1 400 Bad Request\r\n\r\nT0ken-Of-The-Hook-42",
		"its user":                    "HTTP/1.1 401 Unauthorized\r\n\r\nnot you, userOfTheHook:" + password,
		"as what is no HTTP":          "T0kenOfTheHook42\r\n\r\n",
		"as what is no HTTP, cut off": "T0kenOfThe\r\n\r\n",
		"as its status":               "HTTP/1.1 T0kenOfTheHook42\r\n\r\n",
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(connection))
			_, _ = io.WriteString(connection, answer)
			_ = connection.Close()
		}()
		err = post(t, "http://userOfTheHook:"+password+"@"+listener.Addr().String()+"/hooks/"+token)
		_ = listener.Close()
		<-done
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		if said := strings.ToLower(err.Error()); strings.Contains(said, "t0ken") || strings.Contains(said, "userof") || strings.Contains(said, "passw0rd") || len(said) > 600 {
			t.Errorf("%s: %s", name, err)
		}
	}
}

// TestWhatAReceiverSaysIsQuoted where it says nothing of the address.
func TestWhatAReceiverSaysIsQuoted(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "channel_is_archived", http.StatusGone) })
	if err := post(t, server.URL+"/services/T00000000/B00000000/abcdefghijkl"); err == nil || err.Error() != `the answer was 410 Gone: "channel_is_archived"` {
		t.Errorf("%v", err)
	}
}
