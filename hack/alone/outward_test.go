package alone

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// kinds are what a receiver was told, in its order.
func kinds(all []told) (list []string) {
	for _, a := range all {
		list = append(list, a.kind)
	}
	return list
}

// TestWhatIsResolvedTellsHowLongAndWhoseFault: a failure that is told is told to be over, by webhook and by mail, with how long it took
// and whom it was blamed on.
func TestWhatIsResolvedTellsHowLongAndWhoseFault(t *testing.T) {
	t.Parallel()
	hook, post := &receiver{place: newPlace(t)}, &receiver{place: newPlace(t)}
	hook.answer(http.StatusOK)
	post.receive()
	m := newTold(t, hookAt(hook.place)+"}, "+mailAt(post.place)+"}", "")
	m.run()
	m.observed()
	began := time.Now()
	m.failing(true)
	m.until("it is seen to fail", func() bool { return m.phase() == string(v1alpha1.PhaseDegraded) })
	m.never("it is over", 2*time.Second, func() bool { return m.phase() != string(v1alpha1.PhaseDegraded) })
	m.failing(false)
	for who, r := range map[string]*receiver{"webhook": hook, "mail server": post} {
		m.until("the "+who+" is told that it is over", func() bool { return len(r.taken()) >= 2 }, func() string { return fmt.Sprint(kinds(r.taken())) })
		all := r.taken()
		if got := kinds(all); !slices.Equal(got, []string{string(v1alpha1.AlertDegraded), string(v1alpha1.AlertResolved)}) {
			t.Fatalf("the %s is told %q", who, got)
		}
		over := all[1]
		lasted := regexp.MustCompile(`It has lasted (\S+)\.`).FindStringSubmatch(strings.Join(strings.Fields(over.text), " "))
		if len(lasted) != 2 || !strings.Contains(over.text, "blame "+string(v1alpha1.BlameApp)) {
			t.Fatalf("the %s is told no duration or nobody's fault: %q", who, over.text)
		}
		if d, err := time.ParseDuration(lasted[1]); err != nil || d < 2*time.Second || d > time.Since(began)+time.Second {
			t.Errorf("the %s is told that it has lasted %s (%v), of %s", who, lasted[1], err, time.Since(began))
		}
		if over.thread != all[0].thread || over.about != all[0].about {
			t.Errorf("the %s is told in two threads: %+v", who, all)
		}
	}
	if over := hook.taken()[1]; over.blame != string(v1alpha1.BlameApp) || over.lasted == "" {
		t.Errorf("for programs: blame %q, %q", over.blame, over.lasted)
	}
}

// observed brings the application up, and pauses evenkeel then: so that failures are told, and not mended.
func (m *machine) observed() {
	m.Helper()
	m.well()
	m.paused = true
	m.desire()
	m.until("it is paused", func() bool { return m.journal(v1alpha1.ReasonPaused) })
}

// flaps is how often the application fails, and is well again.
const flaps = 200

// TestTwoHundredFlapsMakeOneThread, in which little is said: that it fails and is well again, that it flaps, and that this is over.
func TestTwoHundredFlapsMakeOneThread(t *testing.T) {
	t.Parallel()
	hook, post := &receiver{place: newPlace(t)}, &receiver{place: newPlace(t)}
	hook.answer(http.StatusOK)
	post.receive()
	m := newTold(t, hookAt(hook.place)+"}, "+mailAt(post.place)+"}", "provenAfter: 24h, ")
	change := m.change
	m.change = func(text string) string {
		return strings.NewReplacer("confirmInterval: 100ms", "confirmInterval: 100ms\n  failureThreshold: 1", "  interval: 200ms", "  interval: 100ms").Replace(change(text))
	}
	m.desire()
	m.run()
	m.observed()
	for range flaps {
		m.failing(true)
		m.until("it is seen to fail", func() bool { return m.phase() == string(v1alpha1.PhaseDegraded) })
		m.failing(false)
		m.until("it is seen to be well", func() bool { return m.phase() == string(v1alpha1.PhaseHealthy) })
	}
	m.until("nothing waits to be told", func() bool { return m.waiting() == 0 })
	m.end() // what it would still say, it says now
	if n := m.told(v1alpha1.ReasonIncidentClosed); n != 0 {
		t.Errorf("%d incidents were over", n)
	}
	want := []string{string(v1alpha1.AlertDegraded), string(v1alpha1.AlertResolved), string(v1alpha1.AlertFlapping), string(v1alpha1.AlertResolved)}
	for who, r := range map[string]*receiver{"webhook": hook, "mail server": post} {
		all := r.taken()
		if got := kinds(all); !slices.Equal(got, want) {
			t.Errorf("%d flaps: the %s is told %q, want %q", flaps, who, got, want)
		}
		for _, a := range all {
			if a.thread != all[0].thread || a.about != "incident 1" {
				t.Errorf("the %s is told of %s in the thread %s, after %s", who, a.about, a.thread, all[0].thread)
			}
		}
	}
}

// asked is what an evenkeel that serves its metrics answers; over is empty for a port of loopback.
func asked(ctx context.Context, over, url string) (code int, text string, err error) {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if over != "" {
			network, address = "unix", over
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	answer, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(body), err
}

// TestItSaysHowItIsOnASocketAndOnLoopback: /metrics and /healthz, and neither anywhere else; and /healthz is of evenkeel, not of the
// application.
func TestItSaysHowItIsOnASocketAndOnLoopback(t *testing.T) {
	t.Parallel()
	for name, port := range map[string]bool{"a unix socket": false, "a port of loopback": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newTold(t, "", "")
			over, at := m.socket(), "http://evenkeel"
			if port {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				over, at = "", "http://"+l.Addr().String()
				m.more = []string{"--metrics", l.Addr().String()}
				_ = l.Close()
			}
			m.run()
			m.well()
			is := func(path string, code int, want string) func() bool {
				return func() bool {
					got, text, err := asked(t.Context(), over, at+path)
					return err == nil && got == code && strings.Contains(text, want)
				}
			}
			m.until("/healthz says ok", is("/healthz", http.StatusOK, "ok\n"))
			m.until("/metrics tells of passes", is("/metrics", http.StatusOK, `evenkeel_passes_total{app="site"} `))
			m.until("nothing else is there", is("/", http.StatusNotFound, ""))
			if !port {
				if info, err := os.Stat(over); err != nil || info.Mode().Perm() != 0o660 {
					t.Errorf("the socket is %v, %v", info, err)
				}
			}
			m.observed()
			m.failing(true)
			m.until("the application fails", func() bool { return m.phase() == string(v1alpha1.PhaseDegraded) })
			m.until("evenkeel is well all the same", is("/healthz", http.StatusOK, "ok\n"))
			m.end()
			if _, _, err := asked(t.Context(), over, at+"/healthz"); err == nil {
				t.Error("somebody answers after it has ended")
			}
			m.run() // it takes its place again
			m.ready()
			m.until("/healthz says ok", is("/healthz", http.StatusOK, "ok\n"))
			m.end()
			m.more = []string{"--metrics", "0.0.0.0:9464"}
			out, err := exec.Command(filepath.Join(m.bin, "evenkeel"), m.arguments()...).CombinedOutput() //nolint:gosec // the test's own
			if err == nil || !strings.Contains(string(out), "loopback or a unix socket only") {
				t.Errorf("for everybody: %v, %s", err, out)
			}
		})
	}
}

// secret stands in every address, and must be shown nowhere.
const secret = "s3cr3tt0k3n"

// TestAlertTestSaysWhichReceiverFails: one of every kind that takes the alert, one of every kind that does not.
func TestAlertTestSaysWhichReceiverFails(t *testing.T) {
	t.Parallel()
	hook, post, bad, down := &receiver{place: newPlace(t)}, &receiver{place: newPlace(t)}, &receiver{place: newPlace(t)}, newPlace(t)
	hook.answer(http.StatusOK)
	bad.answer(http.StatusForbidden)
	post.receive()
	m := newTold(t, "", "")
	program := func(name, text string) string {
		path := filepath.Join(m.dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil { //nolint:gosec // it is run
			t.Fatal(err)
		}
		return path
	}
	good, failing := program("good", "cat >\"$0.got\"\n"), program("failing", "echo 'no way in with "+secret+"' >&2; exit 7\n")
	mail := func(p *place) string {
		return fmt.Sprintf("{shoutrrr: 'smtp://me:%s@%s/?auth=None&encryption=None&usestarttls=no&from=evenkeel@example.com&to=ops@example.com'}", secret, p.address)
	}
	generic := func(p *place) string {
		return fmt.Sprintf("{shoutrrr: 'generic://%s/%s?disabletls=yes'}", p.address, secret)
	}
	well := []string{
		fmt.Sprintf("{exec: [%s, %s]}", good, secret), fmt.Sprintf("{webhook: 'http://%s/%s'}", hook.address, secret), mail(post.place),
	}
	test := func(alerts ...string) (string, int) {
		m.change = func(text string) string { return text + "  alerts: [" + strings.Join(alerts, ", ") + "]\n" }
		m.desire()
		cmd := exec.Command(filepath.Join(m.bin, "evenkeel"), "alert", "test", "site", "-f", m.file, "--state-dir", m.state) //nolint:gosec // the test's own
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), secret) {
			t.Errorf("a secret is shown:\n%s", out)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	out, code := test(well...)
	if code != 0 || strings.Count(out, ": taken in ") != 3 {
		t.Errorf("all of them work: exit code %d\n%s", code, out)
	}
	text, err := os.ReadFile(good + ".got")
	if err != nil || !strings.Contains(string(text), `"kind":"Test"`) {
		t.Errorf("the program is told %q, %v", text, err)
	}
	if got := slices.Concat(kinds(hook.taken()), kinds(post.taken())); !slices.Equal(got, []string{"Test", "Test"}) {
		t.Errorf("webhook and mail server are told %q", got)
	}
	for name, wrong := range map[string]struct{ alert, line string }{
		"a program":                        {fmt.Sprintf("{exec: [%s, %s]}", failing, secret), "program " + failing + ": "},
		"a program that is not there":      {fmt.Sprintf("{exec: [/does/not/exist, %s]}", secret), "program /does/not/exist: it cannot be run"},
		"a webhook that refuses":           {fmt.Sprintf("{webhook: 'http://%s/%s'}", bad.address, secret), "webhook http://" + bad.address + "/…: the answer was 403 Forbidden"},
		"a webhook that is down":           {fmt.Sprintf("{webhook: 'http://%s/%s'}", down.address, secret), "webhook http://" + down.address + "/…: "},
		"a mail server that is down":       {mail(down), "shoutrrr smtp: "},
		"one of shoutrrr's that is not up": {generic(down), "shoutrrr generic: "},
	} {
		out, code := test(well[0], wrong.alert, well[2])
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if code != 1 || len(lines) != 3 || !strings.HasPrefix(lines[1], wrong.line) || strings.Contains(lines[1], "taken in") ||
			!strings.Contains(lines[0], ": taken in ") || !strings.Contains(lines[2], ": taken in ") {
			t.Errorf("%s: exit code %d\n%s", name, code, out)
		}
	}
}

// TestOnlyFinishedPassesFeedTheHeartbeat: while a pass hangs in a check that is given five minutes, nothing arrives; when it is over,
// heartbeats do again.
func TestOnlyFinishedPassesFeedTheHeartbeat(t *testing.T) {
	t.Parallel()
	place := newPlace(t)
	var beats atomic.Int64
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/beat" {
			beats.Add(1)
		}
	})}
	l := place.open()
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	m := newTold(t, "", "")
	change := m.change
	m.change = func(text string) string {
		text = strings.Replace(change(text), "local: {timeout: 500ms}", "local: {timeout: 5m}", 1)
		return text + fmt.Sprintf("  heartbeat: {url: 'http://%s/beat', interval: %s}\n", place.address, beatEvery)
	}
	m.desire()
	m.run()
	m.well()
	m.until("heartbeats arrive", func() bool { return beats.Load() >= 2 })
	passes := m.passes()
	m.signal(m.only(), syscall.SIGSTOP)
	m.until("a pass hangs", func() bool {
		before := m.passes()
		m.never("", 2*time.Second, func() bool { return false })
		return m.passes() == before
	})
	hung := beats.Load()
	m.never("a heartbeat of a pass that has not finished", beatEvery+beatEvery/2, func() bool { return beats.Load() > hung })
	if now := m.passes(); now > passes+50 || beats.Load() != hung {
		t.Fatalf("%v passes became %v: none has hung", passes, now)
	}
	m.signal(m.only(), syscall.SIGCONT)
	m.until("heartbeats arrive again", func() bool { return beats.Load() > hung })
}

// beatEvery is the least time between two heartbeats that may be asked for.
const beatEvery = 10 * time.Second
