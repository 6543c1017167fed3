package cmd

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state/desired"
)

// ground is the built binary, with a site that really answers and a desired file for it.
type ground struct {
	*testing.T
	binary, dir, state, file string
	text                     string
	server                   *httptest.Server
}

func newGround(t *testing.T) *ground {
	t.Helper()
	g := &ground{T: t, dir: t.TempDir()}
	g.binary, g.state, g.file = filepath.Join(g.dir, "evenkeel"), filepath.Join(g.dir, "state"), filepath.Join(g.dir, "site.yaml")
	build := exec.Command("go", "build", "-o", g.binary, "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	g.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := os.Stat(filepath.Join(g.dir, "broken")); err == nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(g.server.Close)
	g.text = fmt.Sprintf(`apiVersion: evenkeel.dev/v1alpha1
kind: App
metadata: {name: site}
spec:
  paused: false   # edit and save
  directory: %s
  runtime: {exec: {command: [/bin/true]}}
  port: %d
  checks:   # the site is this test's own: nobody keeps its process
    process: {required: false}
    port:    {required: false}
    workers: {required: false}
    memory:  {required: false}
    disk:    {required: false}
`, g.dir, g.server.Listener.Addr().(*net.TCPAddr).Port)
	g.write(g.file, g.text)
	g.write(filepath.Join(g.dir, "good.sh"), "#!/bin/sh\ncp site.yaml during.yaml\necho deployed\n")
	g.write(filepath.Join(g.dir, "bad.sh"), "#!/bin/sh\ntouch broken\n")
	g.write(filepath.Join(g.dir, "long.sh"), "#!/bin/sh\ncp site.yaml during.yaml\necho $$ >pid\nexec sleep 300\n")
	return g
}

func (g *ground) write(path, text string) {
	g.Helper()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		g.Fatal(err)
	}
}

func (g *ground) read(name string) string {
	g.Helper()
	text, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil {
		g.Fatal(err)
	}
	return string(text)
}

func (g *ground) command(args ...string) *exec.Cmd {
	cmd := exec.Command(g.binary, append([]string{"--state-dir", g.state, "deploy", "-f", g.file}, args...)...)
	cmd.Dir = g.dir
	return cmd
}

// run runs deploy and gives its exit code and what it said.
func (g *ground) run(args ...string) (int, string) {
	g.Helper()
	cmd := g.command(args...)
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}

// spec is what the file desires, while the deploy was under way or now.
func (g *ground) spec(file string) *v1alpha1.AppSpec {
	g.Helper()
	set := desired.Parse([]byte(g.read(file)), file)
	if err := set.Err(); err != nil {
		g.Fatal(err)
	}
	return &set.App("site").App.Spec
}

func TestDeployOnTheBuiltBinary(t *testing.T) {
	g := newGround(t)
	t.Run("to its end", g.deploysToTheEnd)
	g.write(g.file, g.text)
	t.Run("killed", g.isKilled)
}

func (g *ground) deploysToTheEnd(t *testing.T) {
	code, said := g.run("--", "./good.sh")
	if code != 0 || !strings.Contains(said, "deployed\n") || !strings.Contains(said, "site is well") {
		t.Errorf("a good one: %d\n%s", code, said)
	}
	during := g.spec("during.yaml")
	if !during.Paused || during.PausedUntil == nil || !strings.HasPrefix(during.PauseReason, "deploy: good.sh") {
		t.Errorf("meanwhile: %+v", during)
	} else if left := time.Until(during.PausedUntil.Time); left < 25*time.Minute || left > 30*time.Minute {
		t.Errorf("the pause had %s left", left)
	}
	if got := g.read("site.yaml"); got != g.text {
		t.Errorf("it left\n%s", got)
	}

	if code, said = g.run("--", "false"); code != 1 || g.read("site.yaml") != g.text {
		t.Errorf("false: %d\n%s\n%s", code, said, g.read("site.yaml"))
	}
	if code, said = g.run("--", "sh", "-c", "exit 42"); code != 42 || g.read("site.yaml") != g.text {
		t.Errorf("exit 42: %d\n%s", code, said)
	}
	if code, said = g.run("--well-within", "1s", "--", "./bad.sh"); code != 1 || !strings.Contains(said, "site is not well within 1s") || g.read("site.yaml") != g.text {
		t.Errorf("one that breaks the site: %d\n%s", code, said)
	}
	if err := os.Remove(filepath.Join(g.dir, "broken")); err != nil {
		t.Fatal(err)
	}

	for name, args := range map[string][]string{
		"no command": {"site"}, "an empty one": {"site", "--"}, "two Apps": {"site", "other", "--", "true"}, "nobody": {"other", "--", "true"},
		"no such program": {"--", "./nosuch"}, "no time": {"--for", "soon", "--", "true"},
	} {
		if code, said = g.run(args...); code != 2 || g.read("site.yaml") != g.text {
			t.Errorf("%s: %d\n%s", name, code, said)
		}
	}

	g.write(g.file, strings.Replace(g.text, "paused: false", "paused: true", 1))
	mine := g.read("site.yaml")
	if code, said = g.run("--", "./good.sh"); code != 0 || g.read("site.yaml") != mine || !strings.Contains(said, "paused already") {
		t.Errorf("paused by its operator: %d\n%s\n%s", code, said, g.read("site.yaml"))
	}
}

// isKilled: it leaves a pause that ends by itself; interrupted, it ends its command and the pause.
func (g *ground) isKilled(t *testing.T) {
	for _, tc := range []struct {
		signal syscall.Signal
		paused bool
	}{{syscall.SIGTERM, false}, {syscall.SIGKILL, true}} {
		fifo := filepath.Join(g.dir, "pid")
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := g.command("--for", "20s", "--", "./long.sh")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var child int
		if _, err := fmt.Sscan(g.read("pid"), &child); err != nil { // it is at work
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(tc.signal); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		_ = os.Remove(fifo)
		if tc.paused {
			_ = syscall.Kill(child, syscall.SIGKILL)
		}
		spec := g.spec("site.yaml")
		if !tc.paused {
			if g.read("site.yaml") != g.text || cmd.ProcessState.ExitCode() != 128+int(tc.signal) {
				t.Errorf("%s: exit code %d, it left\n%s", tc.signal, cmd.ProcessState.ExitCode(), g.read("site.yaml"))
			}
			continue
		}
		if !spec.PausedAt(time.Now()) || spec.PausedAt(time.Now().Add(21*time.Second)) {
			t.Errorf("%s: it left\n%s", tc.signal, g.read("site.yaml"))
		}
	}
}

func TestDeployWaitsUntilTheSupervisorHasTakenThePause(t *testing.T) {
	b, v := newBench(t), healthy(t)
	file := b.desire(siteYAML)
	b.supervise(file)
	store := b.keep(v)
	b.globals = &globals{domain: &machine{wrong: map[string]v1alpha1.Verdict{}, looked: map[string]int{}}}
	b.wants(b.run(nil, "deploy", "--", "true"), exitNotWell, "has not taken it within 3s")
	if text, err := os.ReadFile(file); err != nil || string(text) != siteYAML {
		t.Errorf("%v, it left\n%s", err, text)
	}
	b.wants(b.run(b.adopt(store, &v, file), "deploy", "--", "true"), exitWell, "bbyatch is paused until", "bbyatch is well", "no longer paused")
	script := filepath.Join(t.TempDir(), "change.sh")
	b.must(os.WriteFile(script, []byte("#!/bin/sh\nsed -i 's/pauseReason: .*/pauseReason: mine/' "+file+"\n"), 0o755))
	b.wants(b.run(b.adopt(store, &v, file), "deploy", "--", script), exitWell, "was changed meanwhile", "left as it is")
}
