package desired_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/state/desired"
)

const head = "apiVersion: evenkeel.dev/v1alpha1\nkind: App\nmetadata: {name: site}\n"

var until = time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC)

func pausing() []desired.Change {
	return []desired.Change{
		desired.SetField([]string{"spec", "paused"}, true),
		desired.SetField([]string{"spec", "pauseReason"}, "moving the disk: \"now\""),
		desired.SetField([]string{"spec", "pausedUntil"}, until),
	}
}

func resuming() []desired.Change {
	return []desired.Change{
		desired.RemoveField([]string{"spec", "pauseReason"}),
		desired.RemoveField([]string{"spec", "pausedUntil"}),
		desired.SetField([]string{"spec", "paused"}, false),
	}
}

func TestSplicePausesAndResumesInEveryStyle(t *testing.T) {
	const reason = `pauseReason: "moving the disk: \"now\""`
	const end = `pausedUntil: "2026-11-23T18:00:00Z"`
	for name, test := range map[string]struct{ before, paused, resumed string }{
		"missing field, inserted behind spec": {
			"spec: # what I want\n  # the checkout\n  directory: /x\n  runtime: {pm2: {process: p}}\n",
			"spec: # what I want\n  paused: true\n  " + reason + "\n  " + end + "\n  # the checkout\n  directory: /x\n  runtime: {pm2: {process: p}}\n",
			"spec: # what I want\n  paused: false\n  # the checkout\n  directory: /x\n  runtime: {pm2: {process: p}}\n",
		},
		"a comment behind the value": {
			"spec:\n    directory: /x\n\n    paused: false   # edit and save\n    runtime: {pm2: {process: p}}\n",
			"spec:\n    directory: /x\n\n    paused: true   # edit and save\n    " + reason + "\n    " + end + "\n    runtime: {pm2: {process: p}}\n",
			"spec:\n    directory: /x\n\n    paused: false   # edit and save\n    runtime: {pm2: {process: p}}\n",
		},
		"comments beside what resuming takes away": {
			"spec:\n  paused: false\n  pauseReason: # why\n  pausedUntil: null # RFC 3339\n  directory: /x\n  runtime: {pm2: {process: p}}\n",
			"spec:\n  paused: true\n  pauseReason: \"moving the disk: \\\"now\\\"\" # why\n  " + end + " # RFC 3339\n  directory: /x\n  runtime: {pm2: {process: p}}\n",
			"spec:\n  paused: false\n  pauseReason: null # why\n  pausedUntil: null # RFC 3339\n  directory: /x\n  runtime: {pm2: {process: p}}\n",
		},
		"braces": {
			"spec: {directory: /x, runtime: {pm2: {process: p}}} # end\n",
			"spec: {paused: true, " + reason + ", " + end + ", directory: /x, runtime: {pm2: {process: p}}} # end\n",
			"spec: {paused: false, directory: /x, runtime: {pm2: {process: p}}} # end\n",
		},
		"braces over several lines": {
			"spec: {\n  directory: /x, # it's here\n  runtime: {pm2: {process: it's}},\n  paused: false, # now\n  # and\n}\n",
			"spec: {\n  directory: /x, # it's here\n  runtime: {pm2: {process: it's}},\n  paused: true, " + reason + ", " + end + ", # now\n  # and\n}\n",
			"spec: {\n  directory: /x, # it's here\n  runtime: {pm2: {process: it's}},\n  paused: false, # now\n  # and\n}\n",
		},
		"no line break at the end": {
			"spec:\n  directory: /x\n  runtime: {pm2: {process: p}}\n  paused: false",
			"spec:\n  directory: /x\n  runtime: {pm2: {process: p}}\n  paused: true\n  " + reason + "\n  " + end,
			"spec:\n  directory: /x\n  runtime: {pm2: {process: p}}\n  paused: false",
		},
		"CRLF": {
			"spec:\r\n  directory: /x\r\n  runtime: {pm2: {process: p}}\r\n",
			"spec:\r\n  paused: true\r\n  " + reason + "\r\n  " + end + "\r\n  directory: /x\r\n  runtime: {pm2: {process: p}}\r\n",
			"spec:\r\n  paused: false\r\n  directory: /x\r\n  runtime: {pm2: {process: p}}\r\n",
		},
		"anchors, aliases and a merge": {
			"spec: &s # base\n  directory: &d /x\n  paused: &no false\n  runtime:\n    <<: {pm2: &r {process: p}}\n  checks: {public: {url: &u 'https://x.example/'}}\n",
			"spec: &s # base\n  directory: &d /x\n  paused: &no true\n  " + reason + "\n  " + end + "\n  runtime:\n    <<: {pm2: &r {process: p}}\n  checks: {public: {url: &u 'https://x.example/'}}\n",
			"spec: &s # base\n  directory: &d /x\n  paused: &no false\n  runtime:\n    <<: {pm2: &r {process: p}}\n  checks: {public: {url: &u 'https://x.example/'}}\n",
		},
		"a reason in lines of its own": {
			"spec:\n  directory: /x\n  pauseReason: |\n    # because\n\n    of it\n\n  # the runtime\n  paused: FALSE\n  runtime: {pm2: {process: p}}\n",
			"spec:\n  directory: /x\n  " + reason + "\n  " + end + "\n\n  # the runtime\n  paused: true\n  runtime: {pm2: {process: p}}\n",
			"spec:\n  directory: /x\n\n  # the runtime\n  paused: false\n  runtime: {pm2: {process: p}}\n",
		},
		"a reason that goes on in the next line": {
			"spec:\n  pauseReason: it is\n    broken\n  directory: /x\n  runtime: {pm2: {process: p}}\n",
			"spec:\n  paused: true\n  " + reason + "\n  " + end + "\n  directory: /x\n  runtime: {pm2: {process: p}}\n",
			"spec:\n  paused: false\n  directory: /x\n  runtime: {pm2: {process: p}}\n",
		},
		"a single-quoted reason": {
			"spec:\n  pauseReason: 'it''s\n    \" broken'\n  directory: /x\n  runtime: {pm2: {process: p}}\n  paused:\n    false\n",
			"spec:\n  " + reason + "\n  " + end + "\n  directory: /x\n  runtime: {pm2: {process: p}}\n  paused:\n    true\n",
			"spec:\n  directory: /x\n  runtime: {pm2: {process: p}}\n  paused:\n    false\n",
		},
		"other documents, right and wrong": {
			"spec: {directory: /x, runtime: {pm2: {process: p}}}\n---\nkind: App\nspec: {nonsense: [1}\n---\nmore:\n\tnonsense",
			"spec: {paused: true, " + reason + ", " + end + ", directory: /x, runtime: {pm2: {process: p}}}\n---\nkind: App\nspec: {nonsense: [1}\n---\nmore:\n\tnonsense",
			"spec: {paused: false, directory: /x, runtime: {pm2: {process: p}}}\n---\nkind: App\nspec: {nonsense: [1}\n---\nmore:\n\tnonsense",
		},
	} {
		t.Run(name, func(t *testing.T) {
			paused, err := desired.Splice([]byte(head+test.before), "f.yaml", "site", pausing()...)
			if err != nil {
				t.Fatal(err)
			}
			if string(paused) != head+test.paused {
				t.Errorf("paused\ngot\n%q\nwant\n%q", paused[len(head):], test.paused)
			}
			resumed, err := desired.Splice(paused, "f.yaml", "site", resuming()...)
			if err != nil {
				t.Fatal(err)
			}
			if string(resumed) != head+test.resumed {
				t.Errorf("resumed\ngot\n%q\nwant\n%q", resumed[len(head):], test.resumed)
			}
		})
	}
}

func TestSpliceEditsJSONAndListsAndSecondDocuments(t *testing.T) {
	const jsonApp = `{"apiVersion": "evenkeel.dev/v1alpha1", "kind": "App", "metadata": {"name": "site"}, "spec": {%"directory": "/x", "runtime": {"pm2": {"process": "p"}}}}`
	const app = head + "spec:\n%  directory: /x\n  runtime: {pm2: {process: p}}\n"
	other := strings.NewReplacer("%", "", "site", "other").Replace(app)
	item := func(app string) string {
		return "- " + strings.ReplaceAll(strings.TrimSuffix(app, "\n"), "\n", "\n  ") + "\n"
	}
	for name, test := range map[string]struct{ text, inserted string }{
		"JSON": {jsonApp, `"paused": true, `},
		"an entry of a List": {"apiVersion: v1\nkind: List\nitems:\n" + item(other) + strings.Replace(item(app), "  %  ", "%    ", 1),
			"    paused: true\n"},
		"a second document": {other + "---\n" + app, "  paused: true\n"},
	} {
		t.Run(name, func(t *testing.T) {
			before, want := strings.Replace(test.text, "%", "", 1), strings.Replace(test.text, "%", test.inserted, 1)
			got, err := desired.Splice([]byte(before), "f.yaml", "site", desired.SetField([]string{"spec", "paused"}, true))
			if err != nil {
				t.Fatalf("%v in\n%s", err, before)
			}
			if string(got) != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestSpliceSetsFieldsThatLieDeeper(t *testing.T) {
	const spec = "spec:\n  directory: /x\n  runtime:\n    pm2:\n      process: p\n  checks:\n    local: {}\n    memory:\n  recovery:\n    caches:\n    - a # first\n    - b\n    cooldown: 5m\n"
	for name, test := range map[string]struct {
		change         desired.Change
		old, new, fail string
	}{
		"into empty braces":        {desired.SetField([]string{"spec", "checks", "local", "timeout"}, 5*time.Second), "local: {}", "local: {timeout: \"5s\"}", ""},
		"into a key without value": {desired.SetField([]string{"spec", "checks", "memory", "restart"}, "Always"), "memory:", "memory: {restart: Always}", ""},
		"below a missing key": {desired.SetField([]string{"spec", "checks", "public", "url"}, "https://x.example/"),
			"  checks:\n", "  checks:\n    public: {url: \"https://x.example/\"}\n", ""},
		"a number":                    {desired.SetField([]string{"spec", "port"}, 80), "spec:\n", "spec:\n  port: 80\n", ""},
		"a word that means a bool":    {desired.SetField([]string{"spec", "pauseReason"}, "no"), "spec:\n", "spec:\n  pauseReason: \"no\"\n", ""},
		"removing a key of many":      {desired.RemoveField([]string{"spec", "recovery", "cooldown"}), "    cooldown: 5m\n", "", ""},
		"removing what is not there":  {desired.RemoveField([]string{"spec", "checks", "memory", "for"}), "", "", ""},
		"removing a list":             {desired.RemoveField([]string{"spec", "recovery", "caches"}), "    caches:\n    - a # first\n    - b\n", "", ""},
		"an impossible value":         {desired.SetField([]string{"spec", "port"}, 0), "", "", "spec.port: got 0, want a port from 1 to 65535"},
		"a field that does not exist": {desired.SetField([]string{"spec", "prot"}, 1), "", "", `did you mean "port"?`},
		"removing what must be there": {desired.RemoveField([]string{"spec", "directory"}), "", "", "spec.directory: missing"},
		"a key below text":            {desired.SetField([]string{"spec", "directory", "x"}, 1), "", "", "spec.directory is no place for keys"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := desired.Splice([]byte(head+spec), "f.yaml", "site", test.change)
			if test.fail != "" {
				if !errors.Is(err, desired.ErrRefused) || !strings.Contains(err.Error(), test.fail) {
					t.Errorf("got %v, want it refused: %s", err, test.fail)
				}
				return
			}
			if want := head + strings.Replace(spec, test.old, test.new, 1); err != nil || string(got) != want {
				t.Errorf("%v, got\n%s\nwant\n%s", err, got, want)
			}
		})
	}
}

func TestSpliceRefusesWhatItCannotDoExactly(t *testing.T) {
	const runtime = "  directory: /x\n  runtime: {pm2: {process: p}}\n"
	for name, test := range map[string]struct{ text, want string }{
		"an anchor that something else repeats": {head + "spec:\n  paused: &no false\n  checks: {process: {disabled: *no}}\n" + runtime, "an alias repeats"},
		"a spec that is wrong already":          {head + "spec:\n  prot: 1\n" + runtime, "mend it first"},
		"an app of another name":                {strings.Replace(head, "site", "other", 1) + "spec:\n" + runtime, `no such App "site"`},
		"an app that is there twice":            {head + "spec:\n" + runtime + "---\n" + head + "spec:\n" + runtime, "in line 3 and in line 10"},
		"a spec that is an alias": {"apiVersion: evenkeel.dev/v1alpha1\nkind: App\nmetadata: {name: site, annotations: &s {a: b}}\nspec: *s\n",
			"mend it first"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := desired.Splice([]byte(test.text), "f.yaml", "site", desired.SetField([]string{"spec", "paused"}, true))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v and\n%s\nwant %q", err, got, test.want)
			}
		})
	}
}

func TestEditKeepsModeOwnerAndSymlink(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "real.yaml"), filepath.Join(dir, "link.yaml")
	write(t, file, head+"spec: {directory: /x, runtime: {pm2: {process: p}}}\n")
	if err := errors.Join(os.Chmod(file, 0o640), os.Symlink("real.yaml", link)); err != nil {
		t.Fatal(err)
	}
	root := os.Geteuid() == 0
	if root {
		if err := os.Chown(file, 1234, 2345); err != nil {
			t.Fatal(err)
		}
	}
	if err := desired.Pause(link, "site", "", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if target, err := os.Readlink(link); err != nil || target != "real.yaml" {
		t.Errorf("the symlink is %q, %v", target, err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if stat := info.Sys().(*syscall.Stat_t); info.Mode() != 0o640 || root && (stat.Uid != 1234 || stat.Gid != 2345) {
		t.Errorf("mode %v, owner %d:%d", info.Mode(), stat.Uid, stat.Gid)
	}
	set := desired.Load([]string{file})
	if app := set.App("site"); app == nil || !app.App.Spec.Paused {
		t.Errorf("not paused: %v", set.Err())
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestEditWritesNothingWhenNothingChanges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f.yaml")
	write(t, file, head+"spec: {directory: /x, runtime: {pm2: {process: p}}}\n")
	before, _ := os.Stat(file)
	if err := desired.Resume(file, "site"); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.Stat(file); !os.SameFile(before, after) {
		t.Error("the file was replaced")
	}
}

func TestEditsSideBySideLoseNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f.yaml")
	text, names := "", []string{"a", "b", "c", "d", "e", "f"}
	for _, name := range names {
		text += "---\n" + strings.Replace(head, "site", name, 1) + "spec: {directory: /x, runtime: {pm2: {process: p}}}\n"
	}
	write(t, file, text)
	var wg sync.WaitGroup
	for _, name := range names {
		wg.Go(func() {
			if err := desired.Pause(file, name, "", time.Time{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, e := range desired.Load([]string{file}).Apps {
		if !e.App.Spec.Paused {
			t.Errorf("%s is not paused", e.App.Name)
		}
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
