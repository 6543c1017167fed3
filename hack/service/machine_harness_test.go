//go:build vps

package service

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// machine is a freshly booted machine of hack/vps.
type machine struct {
	*testing.T
}

var (
	script string // hack/vps
	binary string // the built evenkeel
	// emulated says that the machine is qemu's and not a container (the tag qemu), and slow that it takes so many times as long.
	emulated = false
	slow     = time.Duration(1)
)

// vpsCommand is a call of hack/vps.
func vpsCommand(args ...string) *exec.Cmd {
	if emulated {
		args = append([]string{"--qemu"}, args...)
	}
	return exec.Command(script, args...)
}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		_, file, _, _ := runtime.Caller(0)
		root := filepath.Dir(filepath.Dir(filepath.Dir(file)))
		script = filepath.Join(root, "hack", "vps")
		dir, err := os.MkdirTemp("", "evenkeel-service-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "evenkeel")
		build := exec.Command("go", "build", "-trimpath", "-o", binary, ".")
		build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
		defer func() { _ = vpsCommand("down").Run() }() // the next up makes it anew anyhow
		return m.Run()
	}())
}

// boot boots a fresh machine with the built program in /usr/bin, and the site running under PM2 and saved.
func boot(t *testing.T) *machine {
	t.Helper()
	m := bare(t)
	m.vps("copy", binary, "/usr/bin/evenkeel")
	m.root("chmod 755 /usr/bin/evenkeel")
	return m
}

// bare boots one without evenkeel.
func bare(t *testing.T) *machine {
	t.Helper()
	m := &machine{T: t}
	m.vps("up")
	m.deploy("cd site && pm2 start ecosystem.config.js && pm2 save")
	m.eventually(20*time.Second, "the site answers", func() (string, bool) {
		out, err := m.try("root", "curl -sS -m 3 http://www.site.test/")
		return out, err == nil && out == "hello\n"
	})
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := m.try("root", "journalctl --no-pager -n 120 -o short-precise -u evenkeel; evenkeel status --state-dir /var/lib/evenkeel")
			t.Log(out)
		}
	})
	return m
}

func (m *machine) vps(args ...string) {
	m.Helper()
	if out, err := vpsCommand(args...).CombinedOutput(); err != nil {
		m.Fatalf("hack/vps %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// try runs a shell's command line as a user, who is logged in for it.
func (m *machine) try(user, line string) (string, error) {
	out, err := vpsCommand("exec", "-u", user, "--", "sh", "-c", line).CombinedOutput()
	return string(out), err
}

func (m *machine) as(user, line string) string {
	m.Helper()
	out, err := m.try(user, line)
	if err != nil {
		m.Fatalf("%s: %s: %v\n%s", user, line, err, out)
	}
	return out
}

func (m *machine) root(line string) string   { m.Helper(); return m.as("root", line) }
func (m *machine) deploy(line string) string { m.Helper(); return m.as("deploy", line) }

// write writes a file of deploy's.
func (m *machine) write(path, text string) {
	m.Helper()
	file := filepath.Join(m.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		m.Fatal(err)
	}
	m.vps("copy", file, path)
	m.root("chown deploy: " + path)
}

// eventually waits for a fact.
func (m *machine) eventually(limit time.Duration, what string, is func() (string, bool)) {
	m.Helper()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	end := time.After(limit * slow)
	for {
		last, ok := is()
		if ok {
			return
		}
		select {
		case <-end:
			m.Fatalf("not within %s: %s; last seen:\n%s", limit, what, last)
		case <-ticker.C:
		}
	}
}

// wants fails unless a text holds all of these.
func (m *machine) wants(text string, want ...string) {
	m.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			m.Errorf("want %q in:\n%s", w, text)
		}
	}
}

// property is a property of evenkeel's unit.
func (m *machine) property(name string) string {
	m.Helper()
	return strings.TrimSpace(m.root("systemctl show -p " + name + " --value evenkeel"))
}

// status is what evenkeel says of an App.
type status struct {
	Status struct {
		Phase         string `json:"phase"`
		CooldownUntil string `json:"cooldownUntil"`
		Incident      *struct {
			Attempts []struct {
				Number    int `json:"number"`
				StartedAt struct {
					Wall time.Time `json:"wall"`
				} `json:"startedAt"`
			} `json:"attempts"`
		} `json:"incident"`
	} `json:"status"`
}

func (m *machine) status(app string) (s status, raw string) {
	raw, _ = m.try("deploy", "evenkeel status -o json "+app)
	var list struct {
		Items []status `json:"items"`
	}
	if json.Unmarshal([]byte(raw), &s) != nil || s.Status.Phase != "" {
		return s, raw
	}
	if json.Unmarshal([]byte(raw), &list) == nil && len(list.Items) > 0 {
		s = list.Items[0]
	}
	return s, raw
}

func (m *machine) untilPhase(app, phase string, limit time.Duration) status {
	m.Helper()
	var s status
	m.eventually(limit, app+" is "+phase, func() (raw string, is bool) {
		s, raw = m.status(app)
		return raw, s.Status.Phase == phase
	})
	return s
}

// pid is the process that a pattern of pgrep's finds; 0 where there is none.
func (m *machine) pid(pattern string) int {
	m.Helper()
	// in brackets, so that the shell that runs this is not found
	out, err := m.try("root", "pgrep -o -f '["+pattern[:1]+"]"+pattern[1:]+"'")
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil {
		m.Fatalf("pgrep %s: %s", pattern, out)
	}
	return pid
}

// brisk is a desired file of the site with short times, for what must be waited for.
var brisk = `apiVersion: evenkeel.dev/v1alpha1
kind: App
metadata: {name: site}
spec:
  directory: /home/deploy/site
  runtime: {pm2: {process: site, start: ecosystem.config.js}}
  interval: 1s
  checks:
    process: {timeout: 2s}
    port: {timeout: 2s}
    local: {timeout: 1s}
    public: {url: http://www.site.test/, timeout: 2s}
    memory: {timeout: 2s}
    disk: {timeout: 2s}
    workers: {timeout: 2s}
    database: {envFile: .env, require: [DATABASE_URL], timeout: 2s}
  recovery: {cooldown: 5m, stopTimeout: 1s, deadline: 10s, startupGrace: 5s, caches: [.next/cache]}
`

// install installs evenkeel with the brisk file.
func (m *machine) install() {
	m.Helper()
	m.write("/home/deploy/site.yaml", brisk)
	m.root("evenkeel install -f /home/deploy/site.yaml")
	m.untilPhase("site", "Healthy", 10*time.Second)
}
