package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/cmd/unit"
	"github.com/evenkeel/evenkeel/reconcilers/survey"
	"github.com/evenkeel/evenkeel/state"
)

// host is a machine under systemd of the test's own.
type host struct {
	*installer
	t    *testing.T
	dir  string
	home string
	site string // the desired file
	asks []string
	// fails are commands that fail, by how they begin.
	fails     []string
	isActive  bool
	watchdogs []survey.Watchdog
	// replaceable says who may replace the program.
	replaceable error
}

func newHost(t *testing.T) *host {
	t.Helper()
	dir := t.TempDir()
	h := &host{t: t, dir: dir, home: filepath.Join(dir, "home/deploy"), site: filepath.Join(dir, "home/deploy/site.yaml")}
	for _, d := range []string{"home/deploy/site", "home/deploy/.nvm/versions/node/v20.1.0/bin", "units", "linger", "state"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h.program("home/deploy/.nvm/versions/node/v20.1.0/bin/node")
	h.program("home/deploy/.nvm/versions/node/v20.1.0/bin/pm2")
	h.write("bin/evenkeel", "")
	h.write("home/deploy/site.yaml", strings.Replace(siteYAML, "/home/deploy/bbyatch", filepath.Join(h.home, "site"), 1))
	h.installer = &installer{
		root: true, uid: 0, self: filepath.Join(dir, "bin/evenkeel"), systemd: true, units: filepath.Join(dir, "units"),
		polkit:    filepath.Join(dir, "50-evenkeel.rules"),
		rootsOnly: func(string) error { return h.replaceable },
		lingering: filepath.Join(dir, "linger"), systemState: filepath.Join(dir, "state"),
		getenv: func(string) string { return "" },
		lookup: func(uid int) (owner, error) {
			return owner{Name: "deploy", Group: "deploy", Home: h.home, UID: 1000}, nil
		},
		run: func(_ context.Context, program string, args ...string) (string, error) {
			line := strings.Join(append([]string{filepath.Base(program)}, args...), " ")
			h.asks = append(h.asks, line)
			if strings.Contains(line, "is-active") && !h.isActive {
				return "", errors.New("exit status 3")
			}
			if slices.ContainsFunc(h.fails, func(f string) bool { return strings.HasPrefix(line, f) }) {
				return "it does not work", errors.New("exit status 1")
			}
			h.isActive = h.isActive || strings.Contains(line, "start "+unit.Name)
			return "", nil
		},
		places: func(context.Context, owner, *v1alpha1.App) []string { return nil },
	}
	h.installer.watchdogs = func(context.Context, owner, *v1alpha1.App) ([]survey.Watchdog, []string, error) {
		return h.watchdogs, nil, nil
	}
	return h
}

func (h *host) write(name, text string) {
	h.t.Helper()
	file := filepath.Join(h.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) program(name string) {
	h.t.Helper()
	h.write(name, "")
	if err := os.Chmod(filepath.Join(h.dir, name), 0o755); err != nil {
		h.t.Fatal(err)
	}
}

// planned is what would be done, whoever the test runs as.
func (h *host) planned(flags installFlags, files ...string) *installation {
	h.t.Helper()
	if flags.runAs == "" && !flags.user && !flags.pm2 {
		flags.runAs = "root" // lookup makes deploy of everybody
	}
	if len(files) == 0 {
		files = []string{h.site}
	}
	p, err := h.plan(h.t.Context(), files, flags)
	if err != nil {
		h.t.Fatal(err)
	}
	// The test's folder is one that does not stay.
	p.against = slices.DeleteFunc(p.against, func(s string) bool { return strings.Contains(s, "will not stay where it is") })
	return p
}

func TestInstallWritesAUnitAndStartsIt(t *testing.T) {
	h := newHost(t)
	p := h.planned(installFlags{})
	for _, want := range []string{"User=deploy\n", "ExecStart=" + h.self + " run -f " + h.site + " $EVENKEEL_OPTIONS\n", "Environment=PATH=" + h.home + "/.nvm/versions/node/v20.1.0/bin:/usr/local/bin:"} {
		if !strings.Contains(p.text, want) {
			t.Errorf("want %q in\n%s", want, p.text)
		}
	}
	if !p.lingers || p.refusal() != nil || !strings.Contains(strings.Join(p.warnings, "\n"), "startup systemd -u deploy --hp "+h.home) {
		t.Errorf("%+v", p)
	}
	h.asks = nil
	if changed, err := h.apply(t.Context(), p); err != nil || !changed {
		t.Fatalf("changed %t, %v", changed, err)
	}
	want := []string{"loginctl enable-linger deploy", "systemctl daemon-reload", "systemctl enable evenkeel.service", "systemctl restart evenkeel.service"}
	if !slices.Equal(h.asks, want) {
		t.Errorf("ran %q", h.asks)
	}
	if text, err := os.ReadFile(filepath.Join(h.units, unit.Name)); err != nil || string(text) != p.text {
		t.Errorf("wrote %s, %v", text, err)
	}
	// Once more: nothing is to be done.
	h.asks = nil
	if changed, err := h.apply(t.Context(), h.planned(installFlags{})); err != nil || changed || slices.Contains(h.asks, "systemctl restart evenkeel.service") {
		t.Errorf("changed %t, %v, ran %q", changed, err, h.asks)
	}
	// It does not run: it is started, and nothing is written.
	h.isActive, h.asks = false, nil
	if changed, err := h.apply(t.Context(), h.planned(installFlags{})); err != nil || !changed || !slices.Contains(h.asks, "systemctl start evenkeel.service") {
		t.Errorf("changed %t, %v, ran %q", changed, err, h.asks)
	}
}

func TestInstallSaysWhatPolkitHasToAllow(t *testing.T) {
	h := newHost(t)
	service := func(user bool) string {
		name := fmt.Sprintf("home/deploy/service-%v.yaml", user)
		h.write(name, fmt.Sprintf(`apiVersion: evenkeel.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  directory: %s/site
  runtime: {systemd: {unit: web.service, user: %v}}
`, h.home, user))
		return filepath.Join(h.dir, name)
	}
	p := h.planned(installFlags{}, service(false))
	rule := unit.PolkitRule("deploy", []string{"web.service"})
	if !strings.Contains(strings.Join(p.warnings, "\n"), "deploy may see web.service, but not start and stop it") || !strings.HasSuffix(p.printText(), rule) {
		t.Errorf("%q\n%s", p.warnings, p.printText())
	}
	if strings.Contains(p.text, "web.service") {
		t.Errorf("systemd would not start the application while it stops evenkeel:\n%s", p.text)
	}
	h.write("50-evenkeel.rules", rule)
	if p := h.planned(installFlags{}, service(false)); strings.Contains(strings.Join(p.warnings, "\n"), "polkit") {
		t.Errorf("the rule is there: %q", p.warnings)
	}
	p = h.planned(installFlags{}, service(true))
	if strings.Contains(strings.Join(p.warnings, "\n")+p.printText(), "polkit") || !p.lingers || !strings.Contains(p.text, "After=user@1000.service") {
		t.Errorf("a unit of deploy's own: %+v", p)
	}
}

func TestInstallOfWhatEvenkeelKeepsItself(t *testing.T) {
	h := newHost(t)
	h.write("own.yaml", fmt.Sprintf(`apiVersion: evenkeel.dev/v1alpha1
kind: App
metadata: {name: own}
spec:
  directory: %s/site
  runtime: {exec: {command: [/usr/bin/node, server.js]}}
`, h.home))
	file := filepath.Join(h.dir, "own.yaml")
	if p := h.planned(installFlags{}, file); !p.lingers || !strings.Contains(p.text, "After=user@1000.service\n") || strings.Contains(p.text, "NoNewPrivileges=") {
		t.Errorf("it lives in the manager of deploy's own, and would live in evenkeel's sandbox: %t\n%s", p.lingers, p.text)
	}
	h.lookup = func(int) (owner, error) { return owner{Name: "root", Group: "root", Home: "/root"}, nil }
	if p := h.planned(installFlags{}, file); p.lingers || strings.Contains(p.text, "user@") {
		t.Errorf("as root it lives in the system's manager: %t\n%s", p.lingers, p.text)
	}
}

func TestInstallRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(h *host)
		flags   installFlags
		want    string
	}{
		"another watchdog": {
			prepare: func(h *host) {
				h.watchdogs = []survey.Watchdog{{What: "a cron job", Where: "/etc/cron.d/watch", Sure: true}}
			},
			want: "a cron job (/etc/cron.d/watch) restarts bbyatch too",
		},
		"a unit of somebody else's": {
			prepare: func(h *host) { h.write("units/evenkeel.service", "[Service]\nExecStart=/bin/true\n") },
			want:    "was not written by evenkeel install",
		},
		"a unit with another file": {
			prepare: func(h *host) {
				u := unit.Unit{User: "deploy", Program: "/usr/bin/evenkeel", Files: []string{"/srv/other.yaml"}}
				text, err := u.Text()
				if err != nil {
					h.t.Fatal(err)
				}
				h.write("units/evenkeel.service", text)
			},
			want: "name it too: -f /srv/other.yaml",
		},
		"another evenkeel": {
			prepare: func(h *host) {
				lock, err := state.Acquire(h.systemState, "bbyatch", h.site)
				if err != nil {
					h.t.Fatal(err)
				}
				h.t.Cleanup(func() { _ = lock.Release() })
			},
			want: "bbyatch is already supervised by process",
		},
		"a unit of the user's own with the same file": {
			prepare: func(h *host) {
				u := unit.Unit{Program: "/usr/bin/evenkeel", Files: []string{h.site}}
				text, err := u.Text()
				if err != nil {
					h.t.Fatal(err)
				}
				h.write("home/deploy/.config/systemd/user/evenkeel.service", text)
			},
			want: "supervises the same file",
		},
		"no pm2 to keep it": {
			prepare: func(h *host) {
				if err := os.RemoveAll(filepath.Join(h.home, ".nvm")); err != nil {
					h.t.Fatal(err)
				}
				h.root, h.uid = false, 1000
			},
			flags: installFlags{pm2: true}, want: "there is no pm2 in",
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			c.prepare(h)
			if c.flags.pm2 && firstWith(machinePath, "pm2") != "" {
				t.Logf("this machine has a pm2 for everybody: %s", firstWith(machinePath, "pm2"))
				return
			}
			if err := h.planned(c.flags).refusal(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestInstallWantsWhatItNeeds(t *testing.T) {
	h := newHost(t)
	h.installer.root = false
	if _, err := h.plan(t.Context(), []string{h.site}, installFlags{}); err == nil || !strings.Contains(err.Error(), "wants root: sudo") {
		t.Error(err)
	}
	h.installer.root, h.systemd = true, false
	if _, err := h.plan(t.Context(), []string{h.site}, installFlags{}); err == nil || !strings.Contains(err.Error(), "does not run under systemd") {
		t.Error(err)
	}
	for _, c := range []struct {
		g     globals
		flags installFlags
		want  string
	}{
		{globals{}, installFlags{}, "install needs -f"},
		{globals{Files: []string{h.site}}, installFlags{user: true, pm2: true}, "--user or --pm2, not both"},
		{globals{Files: []string{h.site}}, installFlags{user: true, runAs: "root"}, "--run-as is for a unit of the machine"},
		{globals{Files: []string{h.site}, StateDir: h.dir}, installFlags{}, "--state-dir is not for install"},
	} {
		c.g.installer = h.installer
		if err := c.g.install(t.Context(), c.flags); exitCode(err) != exitUsage || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	if len(h.asks) != 0 {
		t.Errorf("ran %q", h.asks)
	}
}

func TestAStartThatFailsSaysWhereToLook(t *testing.T) {
	h := newHost(t)
	h.fails = []string{"systemctl restart"}
	if _, err := h.apply(t.Context(), h.planned(installFlags{})); err == nil || !strings.Contains(err.Error(), "journalctl -u evenkeel -n 30") || !strings.Contains(err.Error(), "it does not work") {
		t.Error(err)
	}
	h = newHost(t)
	h.fails = []string{"loginctl"}
	p := h.planned(installFlags{})
	if _, err := h.apply(t.Context(), p); err != nil || !strings.Contains(strings.Join(p.warnings, "\n"), "sudo loginctl enable-linger deploy") {
		t.Errorf("%v, %q", err, p.warnings)
	}
}

func TestUninstall(t *testing.T) {
	h := newHost(t)
	if _, err := h.apply(t.Context(), h.planned(installFlags{})); err != nil {
		t.Fatal(err)
	}
	h.write("state/bbyatch.yaml", "")
	h.write("units/evenkeel.service.d/own.conf", "")
	h.asks = nil
	b := newBench(t)
	b.globals = &globals{installer: h.installer}
	b.wants(b.run(nil, "uninstall"), exitWell, "the applications run on", h.systemState+" is left", "evenkeel.service.d is left")
	if want := []string{"systemctl disable --now evenkeel.service", "systemctl daemon-reload"}; !slices.Equal(h.asks, want) {
		t.Errorf("ran %q", h.asks)
	}
	b.wants(b.run(nil, "uninstall"), exitNotWell, "there is no evenkeel.service")
	h.write("units/evenkeel.service", "[Service]\n")
	b.wants(b.run(nil, "uninstall"), exitNotWell, "was not written by evenkeel install")
	b.wants(b.run(nil, "uninstall", "--force", "--purge"), exitWell, "removed "+h.systemState+" too")
	if _, err := os.Stat(h.systemState); err == nil {
		t.Error("the state is left")
	}
	b.wants(b.run(nil, "uninstall", "--pm2"), exitWell, "removed PM2's process evenkeel")
	b.wants(b.run(nil, "uninstall", "--pm2", "--user"), exitUsage, "not both")
}

func TestWhereProgramsAre(t *testing.T) {
	home := t.TempDir()
	for _, v := range []string{"v18.20.4", "v20.9.0", "v20.19.1", "v9.0.0"} {
		if err := os.MkdirAll(filepath.Join(home, ".nvm/versions/node", v, "bin"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	first := func() string { return filepath.Base(filepath.Dir(usualPlaces(home)[0])) }
	if got := first(); got != "v20.19.1" {
		t.Errorf("without a default: %s", got)
	}
	for alias, want := range map[string]string{"18": "v18.20.4", "v20.9.0": "v20.9.0", "lts/*": "v20.19.1", "20": "v20.19.1"} {
		if err := os.MkdirAll(filepath.Join(home, ".nvm/alias"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, ".nvm/alias/default"), []byte(alias+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := first(); got != want {
			t.Errorf("default %s: %s, want %s", alias, got, want)
		}
	}
	for line, want := range map[string]string{
		"prefix=${HOME}/.npm-mine": home + "/.npm-mine", "prefix = \"/opt/npm\"": "/opt/npm", "prefix=~/x/": home + "/x", "registry=https://r": "", "prefix=x": "",
	} {
		file := filepath.Join(home, ".npmrc")
		if err := os.WriteFile(file, []byte("# mine\n"+line+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := npmPrefix(file, home); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	if got := npmPrefix(filepath.Join(home, "nothing"), home); got != "" {
		t.Error(got)
	}
}

func TestOneLine(t *testing.T) {
	if got := oneLine("a\n\tb  c\n"); got != "a b c" {
		t.Error(got)
	}
	if got := oneLine(strings.Repeat("x", 1000)); len(got) > 410 || !strings.HasPrefix(got, "…") {
		t.Error(fmt.Sprint(len(got), got))
	}
}
