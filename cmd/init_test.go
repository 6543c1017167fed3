package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"github.com/evenkeel/evenkeel/reconcilers/survey"
	"github.com/evenkeel/evenkeel/reconcilers/survey/draft"
)

// surveyed is a survey that has seen a simple application.
func surveyed(asked *string) func(context.Context, string) (survey.Facts, error) {
	return func(_ context.Context, process string) (survey.Facts, error) {
		*asked = process
		return survey.Facts{
			At: noon.Wall.Time, User: "deploy", Directory: "/home/deploy/bbyatch",
			PM2:       survey.PM2{Process: "bbyatch", Rows: 1, Version: "7.0.4", State: "online", Autorestart: true},
			Port:      survey.Port{Number: 3003, From: survey.FromListener, Addresses: []string{"::"}},
			Total:     2 << 30,
			Available: 1 << 30,
			Watchdogs: []survey.Watchdog{{What: "the script /home/deploy/monitor.sh", Where: "process 812", Sure: true}},
		}, nil
	}
}

func TestInit(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	t.Chdir(dir)
	asked := ""
	b.globals = &globals{survey: surveyed(&asked)}
	b.wants(b.run(nil, "init"), exitWell, "wrote bbyatch.yaml", "evenkeel check -f bbyatch.yaml")
	text, err := os.ReadFile("bbyatch.yaml")
	b.must(err)
	b.wants(b.run(nil, "validate", "-f", "bbyatch.yaml"), exitWell, "bbyatch is right")

	b.wants(b.run(nil, "init"), exitNotWell, "bbyatch.yaml is there already", "--force")
	b.must(os.WriteFile("bbyatch.yaml", []byte("mine"), 0o600))
	b.wants(b.run(nil, "init", "-o", "bbyatch.yaml"), exitNotWell, "bbyatch.yaml is there already")
	if got, _ := os.ReadFile("bbyatch.yaml"); string(got) != "mine" {
		t.Errorf("overwritten: %s", got)
	}
	b.wants(b.run(nil, "init", "--force"), exitWell, "wrote bbyatch.yaml")
	if got, _ := os.ReadFile("bbyatch.yaml"); !bytes.Equal(got, text) {
		t.Errorf("not overwritten: %s", got)
	}

	b.wants(b.run(nil, "init", "bbyatch", "-o", "-"), exitWell, "another watchdog: the script /home/deploy/monitor.sh (process 812)")
	if b.out.String() != string(text) || asked != "bbyatch" {
		t.Errorf("asked for %q, printed %s", asked, b.out.String())
	}
	other := filepath.Join(dir, "my file.yaml")
	b.wants(b.run(nil, "init", "-o", other), exitWell, "wrote "+other, "evenkeel run -f '"+other+"'")
	b.wants(b.run(nil, "init", "-o", "none/x.yaml"), exitNotWell, "writing none/x.yaml: open none: no such file")
	b.wants(b.run(nil, "init", "a", "b"), exitUsage)
}

func TestInitText(t *testing.T) {
	asked := ""
	facts, _ := surveyed(&asked)(t.Context(), "")
	facts.Unread = []string{"/var/spool/cron/crontabs"}
	d, err := draft.Write(facts, "")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "init/wrote", initText(d, "bbyatch.yaml", style{}))
}

func TestInitRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, test := range map[string]struct {
		facts survey.Facts
		err   error
		want  []string
	}{
		"several": {err: &survey.ChoiceError{Apps: []survey.Choice{{Name: "a", State: "online", Ports: []int{3003}}, {Name: "my b", State: "stopped"}}},
			want: []string{"PM2 lists several applications: a (online, answers on 3003), my b (stopped); say which: evenkeel init a, or evenkeel init 'my b'"}},
		"none":    {err: &survey.ChoiceError{}, want: []string{"PM2 lists no application; start", "sudo -iu USER evenkeel init"}},
		"no PM2":  {err: fmt.Errorf("%w: there is no socket", runtime.ErrNoDaemon), want: []string{"does not run: there is no socket"}},
		"hangs":   {err: fmt.Errorf("ask: %w", runtime.ErrTimeout), want: []string{"pm2 ping"}},
		"foreign": {err: runtime.ErrPermission, want: []string{"no right to talk"}},
		"no name": {facts: survey.Facts{Directory: "/srv/a", PM2: survey.PM2{Process: "all"}}, want: []string{"no desired state can be written", "--name NAME"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.globals = &globals{survey: func(context.Context, string) (survey.Facts, error) { return test.facts, test.err }}
			b.wants(b.run(nil, "init"), exitNotWell, test.want...)
			if list, err := os.ReadDir("."); err != nil || len(list) != 0 {
				t.Errorf("written: %v, %v", list, err)
			}
		})
	}
	if !errors.Is(explainSurvey(runtime.ErrNoDaemon), runtime.ErrNoDaemon) {
		t.Error("an error is lost")
	}
}

func TestShellWord(t *testing.T) {
	for word, want := range map[string]string{"a-b.c": "a-b.c", "a b": "'a b'", "it's": `'it'\''s'`, "a\nb": "NAME", "ü": "'ü'", "$x": "'$x'"} {
		if got := shellWord(word); got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
	if strings.Contains(shellWord("a\x1bb"), "\x1b") {
		t.Error("an escape sequence")
	}
}
