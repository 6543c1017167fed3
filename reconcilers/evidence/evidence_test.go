//go:build linux

package evidence

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

const secret = "correct-horse-battery"

// one is a runtime with one process.
type one struct {
	runtime.Runtime
	row runtime.Process
}

func (o one) Look(context.Context, *v1alpha1.App) (runtime.Snapshot, error) {
	return runtime.Snapshot{Daemon: runtime.Daemon{PID: 1, Version: "7.0.1"}, Processes: []runtime.Process{o.row}}, nil
}

// given are the variables that a process manager gives.
type given map[string]string

func (g given) EachVariable(_ context.Context, _ *v1alpha1.App, visit func(name, value string)) error {
	for name, value := range g {
		visit(name, value)
	}
	return nil
}

func now() v1alpha1.Instant {
	return v1alpha1.Instant{Wall: metav1.NewMicroTime(time.Now()), Boot: metav1.Duration{Duration: procfs.SinceBoot()}, BootID: "boot"}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// scenery is an application that says its secrets wherever it can.
func scenery(t *testing.T) (*Collector, *v1alpha1.App, pass.Step) {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, ".env"), "DATABASE_URL=postgresql://shop:"+secret+"@db/shop\nNEXTAUTH_SECRET=env-file-secret\n")
	out, errs := filepath.Join(dir, "out.log"), filepath.Join(dir, "err.log")
	write(t, out, strings.Repeat("GET / 200\n", 10_000)+"it is pm2-given-secret and env-file-secret\nlast line\n")
	write(t, errs, "password authentication failed: "+secret+"\n")
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "sid=cookie-secret-1")
		w.Header().Set("X-Powered-By", "Next.js")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte("<h1>DATABASE_URL was postgresql://shop:" + secret + "@db/shop</h1>" + strings.Repeat("x", bodyRead)))
	}))
	t.Cleanup(site.Close)
	cmd := exec.Command("/bin/sleep", "60")
	cmd.Args = []string{"sleep", "60"}
	cmd.Env = []string{"BIRTH_SECRET=born-with-secret", "ARG=born-with-secret"}
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	p, err := procfs.Default().Process(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	app := v1alpha1.NewApp()
	app.Name = "site"
	app.Spec.Directory = dir
	app.Spec.Runtime.PM2 = &v1alpha1.PM2Runtime{Process: "site"}
	app.Spec.Port = int32(netip.MustParseAddrPort(strings.TrimPrefix(site.URL, "http://")).Port())
	app.Status.Verdict = &v1alpha1.Verdict{Rule: "bad-answers", Blame: v1alpha1.BlameApp, Reason: "ServerErrors", Message: "it answers 500", Remedy: v1alpha1.RemedyRecover}
	c := &Collector{
		FS: procfs.Default(), Clock: now, PM2: given{"PM2_GIVEN": "pm2-given-secret"}, Own: []string{"EVENKEEL_SECRET=evenkeel-own-secret"},
		Runtime: one{row: runtime.Process{Name: "site", ID: "3", State: runtime.Running, Raw: "online", PID: p.PID, Identity: p.Identity, OutLog: out, ErrLog: errs}},
	}
	step := pass.Step{Name: "stop", Recovery: v1alpha1.Recovery{ID: "4-1"}, Recent: []v1alpha1.Observation{{At: now(), Results: []v1alpha1.CheckResult{
		{Check: "local", Status: metav1.ConditionFalse, Reason: "BadStatus", Message: "answered 500; born-with-secret", Facts: json.RawMessage(`{"status":500}`)},
	}}}}
	return c, app, step
}

func TestEverythingIsSeenAndNoSecretIsKept(t *testing.T) {
	c, app, step := scenery(t)
	e := c.Collect(t.Context(), app, step)
	if e.Recovery != "4-1" || e.Took.Duration <= 0 {
		t.Errorf("recovery %q, took %s", e.Recovery, e.Took.Duration)
	}
	parts := map[string]v1alpha1.EvidencePart{}
	for _, p := range e.Parts {
		parts[p.Name] = p
	}
	for name, want := range map[string]string{
		"verdict": "App: ServerErrors → Recover", "observations": "answered 500", "runtime": "site (id 3): Running (online)",
		"processes": "sleep 60", "sockets": "127.0.0.1", "memory": "available", "output": "last line",
		"errors": "password authentication failed: [masked]", "answers": "HTTP/1.1 500 Internal Server Error",
	} {
		if !strings.Contains(parts[name].Text, want) {
			t.Errorf("%s: want %q in it:\n%s\n(%s)", name, want, parts[name].Text, parts[name].Error)
		}
	}
	if !strings.Contains(parts["answers"].Text, "X-Powered-By: Next.js") || !strings.Contains(parts["answers"].Text, "<h1>") {
		t.Errorf("the answer is not kept:\n%s", parts["answers"].Text)
	}
	data, err := json.Marshal(e)
	if err != nil || len(data) > MaxSize {
		t.Fatalf("%d bytes, %v", len(data), err)
	}
	for _, s := range []string{secret, "env-file-secret", "pm2-given-secret", "born-with-secret", "cookie-secret-1", "evenkeel-own-secret"} {
		if strings.Contains(string(data), s) {
			t.Errorf("%q is kept", s)
		}
	}
	if !parts["output"].Cut || parts["errors"].Cut {
		t.Errorf("cut: output %v, errors %v; want the long one only", parts["output"].Cut, parts["errors"].Cut)
	}
}

func TestEvidenceEndsWithItsTime(t *testing.T) {
	c, app, step := scenery(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel() // the time is over in the middle of a question
		<-r.Context().Done()
	}))
	defer hung.Close()
	app.Spec.Port = int32(netip.MustParseAddrPort(strings.TrimPrefix(hung.URL, "http://")).Port())
	e := c.Collect(ctx, app, step)
	// Had it waited for the question's own limit, the deadline would have been exceeded.
	if data, _ := json.Marshal(e); !strings.Contains(string(data), "context canceled") || strings.Contains(string(data), "deadline exceeded") {
		t.Errorf("it does not say that it was ended in the middle of a question:\n%s", data)
	}
}

func TestEvidenceIsBounded(t *testing.T) {
	e := v1alpha1.Evidence{Parts: []v1alpha1.EvidencePart{{Name: "a", Text: strings.Repeat("\"<", 200<<10)}, {Name: "b", Text: "short"}}}
	fit(&e)
	if data, _ := json.Marshal(e); len(data) > MaxSize || e.Parts[1].Text != "short" || !e.Parts[0].Cut {
		t.Errorf("%d bytes, cut %v, beside it %q", len(data), e.Parts[0].Cut, e.Parts[1].Text)
	}
}
