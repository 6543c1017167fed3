package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers"
)

// eyes see what they are told to, and must not act.
type eyes struct {
	reconcilers.Judge
	sees *v1alpha1.Observation
	due  []string
	app  *v1alpha1.App
}

func (e *eyes) Observe(_ context.Context, app *v1alpha1.App, due []string) v1alpha1.Observation {
	e.app, e.due = app, due
	return *e.sees
}

func (e *eyes) Act(context.Context, *v1alpha1.App, pass.Step) pass.StepResult { panic("check acts") }

func TestCheckLooksOnce(t *testing.T) {
	b := newBench(t)
	file := filepath.Join(t.TempDir(), "site.yaml")
	b.must(os.WriteFile(file, []byte(siteYAML), 0o644))

	see := &eyes{sees: results()}
	b.globals = &globals{domain: see}
	b.wants(b.run(nil, "check", "-f", file), exitWell, "bbyatch: well; 6 of 6 checks hold", "200 in 35ms")
	golden(t, "check/well", b.out.String())
	if got := strings.Join(see.due, " "); got != "build deploy disk environment host local memory port process public workers" {
		t.Errorf("asked %s", got)
	}

	see.sees = results(failing("local", "Refused", "no answer from 127.0.0.1:3003: connection refused"))
	b.wants(b.run(nil, "check", "-f", file, "bbyatch"), exitNotWell, "bbyatch: not well; 5 of 6 checks hold", "blame: ")
	golden(t, "check/notwell", b.out.String())
	b.wants(b.run(nil, "check", "-f", file, "-o", "json"), exitNotWell)
	var list v1alpha1.AppList
	if err := json.Unmarshal(b.out.Bytes(), &list); err != nil || list.Items[0].Status.Verdict == nil || list.Items[0].Status.LastPass == nil {
		t.Errorf("%v: %s", err, b.out.String())
	}

	b.wants(b.run(nil, "check"), exitUsage, "evenkeel check -f FILE")
	b.wants(b.run(nil, "check", "-f", file, "nosuch"), exitUsage, `no such App "nosuch"`)
	b.wants(b.run(nil, "check", "-f", file+"x"), exitUsage, "there is no such file")
	if list, err := os.ReadDir(b.dir); err != nil || len(list) != 0 {
		t.Errorf("check wrote into the state folder: %v, %v", list, err)
	}
}

func TestCheckUsesWhatIsKnown(t *testing.T) {
	b, v := newBench(t), healthy(t)
	v.Status.Learned = &v1alpha1.Learned{PublicGreenURL: "https://www.example.com/", Marks: []string{"m"}}
	b.desire(siteYAML)
	b.keep(v)
	see := &eyes{sees: results()}
	b.globals = &globals{domain: see}
	b.wants(b.run(nil, "check"), exitWell)
	if l := see.app.Status.Learned; l == nil || len(l.Marks) != 1 {
		t.Errorf("what was learned is not used: %+v", l)
	}
}

const minimalYAML = `apiVersion: evenkeel.dev/v1alpha1
kind: App
metadata: {name: kept}
spec:
  directory: DIR
  runtime: {exec: {command: [no-such-program, --quiet], env: {TOKEN: s3cret, NODE_ENV: production}}}
`

func TestPlacesOfAnAppThatEvenkeelKeeps(t *testing.T) {
	app := v1alpha1.NewApp()
	app.Spec.Runtime.Exec = &v1alpha1.ExecRuntime{Command: []string{"./server"}}
	text := fmt.Sprint(places("kept", app, "/state", "/state/monitor.log"))
	if !strings.Contains(text, "tail -n 50 /state/kept.output.log") || strings.Contains(text, "pm2") {
		t.Error(text)
	}
}

func TestPlacesOfAService(t *testing.T) {
	app := v1alpha1.NewApp()
	app.Spec.Runtime.Systemd = &v1alpha1.SystemdRuntime{Unit: "web.service", User: true}
	text := fmt.Sprint(places("web", app, "/state", "/state/monitor.log"))
	if !strings.Contains(text, "systemctl --user status web.service") || !strings.Contains(text, "journalctl --user -n 50 -u web.service") || strings.Contains(text, "pm2") {
		t.Error(text)
	}
	if text := settingsText(app, "f.yaml", nil, style{}); !strings.Contains(text, "systemd service web.service of the manager of evenkeel's user") {
		t.Error(text)
	}
}

func TestValidate(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	b.must(os.WriteFile(good, []byte(strings.Replace(siteYAML, "  alerts: [{exec: [/usr/local/bin/tell-me]}]\n",
		"  alerts: [{webhook: 'https://hooks.example.com/T0/secret'}]\n", 1)), 0o644))
	b.must(os.WriteFile(bad, []byte(strings.Replace(siteYAML, "paused: false", "pausd: false", 1)), 0o644))
	b.wants(b.run(nil, "validate", "-f", good), exitWell)
	golden(t, "validate/good", strings.ReplaceAll(b.out.String(), dir, "DIR"))
	b.wants(b.run(nil, "validate", "-f", good, "-o", "yaml"), exitWell, "kind: App\n", "confirmInterval: 5s", "note: ")
	b.wants(b.run(nil, "validate", bad), exitUsage, bad+":5:3: spec.pausd: unknown key", "1 mistake;")
	golden(t, "validate/bad", strings.ReplaceAll(b.out.String(), dir, "DIR"))
	b.must(os.WriteFile(bad, []byte(strings.NewReplacer("paused: false", "pausd: false", "directory: /", "directory: x/").Replace(siteYAML)), 0o644))
	b.wants(b.run(nil, "check", "-f", bad), exitUsage, "evenkeel: "+bad+":5:3: spec.pausd", "\nevenkeel: "+bad+":6:")
	kept := filepath.Join(dir, "kept.yaml")
	b.must(os.WriteFile(kept, []byte(strings.Replace(minimalYAML, "DIR", dir, 1)), 0o644))
	b.wants(b.run(nil, "validate", "-f", kept), exitWell, "started and kept by evenkeel: no-such-program --quiet", "environment", "NODE_ENV, TOKEN",
		"note: there is no program no-such-program in ")
	if strings.Contains(b.out.String(), "s3cret") {
		t.Errorf("it shows a value:\n%s", b.out.String())
	}
	b.wants(b.run(nil, "validate"), exitUsage, "validate needs a desired-state file")
}

func TestEvents(t *testing.T) {
	b := newBench(t)
	b.desire(siteYAML)
	b.keep(failed(t))
	b.wants(b.run(nil, "events"), exitWell, "nothing was recorded")
	b.journal(incident()...)
	b.wants(b.run(nil, "events"), exitWell)
	golden(t, "events/all", b.out.String())
	b.wants(b.run(nil, "events", "bbyatch", "--since", "10m", "-o", "json"), exitWell, `"reason":"PhaseChanged"`)
	if strings.Count(b.out.String(), "\n") != 1 {
		t.Errorf("want one line:\n%s", b.out.String())
	}
	b.wants(b.run(nil, "events", "-n", "1"), exitWell, "GiveUp")
	if strings.Contains(b.out.String(), "Degrade)") {
		t.Errorf("want the newest only:\n%s", b.out.String())
	}
	b.wants(b.run(nil, "events", "--since", "soon"), exitUsage, "--since soon: want a duration")
	b.wants(b.run(nil, "events", "-n", "-1"), exitUsage)
}

func TestVersionAndHelp(t *testing.T) {
	b := newBench(t)
	b.wants(b.run(nil, "version"), exitWell, "evenkeel ", "go1.")
	b.wants(b.run(nil, "version", "-o", "json"), exitWell, `"go": "go1.`)
	if got := versionOf("v1.2.3", "abc", nil).String(); !strings.HasPrefix(got, "evenkeel v1.2.3 (commit abc) go1.") {
		t.Errorf("got %q", got)
	}
	b.wants(b.run(nil, "completion", "bash"), exitWell, "bash completion")
	for _, c := range newRootCommand(&globals{}).Commands() {
		if c.Name() == "completion" || c.Name() == "help" {
			continue
		}
		if c.Short == "" || c.Long == "" || !strings.Contains(c.Example, "evenkeel "+c.Name()) {
			t.Errorf("%s: want a help text with an example", c.Name())
		}
	}
}

func TestHuman(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 300 * time.Microsecond: "<1ms", 350 * time.Millisecond: "350ms", 4230 * time.Millisecond: "4.2s",
		59900 * time.Millisecond: "59s", 3*time.Minute + 12*time.Second: "3m12s", 5 * time.Minute: "5m",
		52 * time.Hour: "2d4h", 2*time.Hour + 59*time.Second: "2h", -time.Minute: "-1m",
	} {
		if got := human(d); got != want {
			t.Errorf("%d: %q, want %q", d, got, want)
		}
	}
}
