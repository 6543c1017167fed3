package desired_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/state/desired"
)

const minimal = head + "spec:\n  directory: /x\n  runtime: {pm2: {process: p}}\n"

// named is a right App of that name, with a process and a port of its own.
func named(name string) string {
	port := 4000
	for _, c := range name {
		port += int(c)
	}
	return strings.NewReplacer("name: site", "name: "+name, "process: p}", "process: "+name+"}").Replace(minimal) + fmt.Sprintf("  port: %d\n", port)
}

func names(set *desired.Set) string {
	var all []string
	for _, e := range set.Apps {
		all = append(all, e.App.Name)
	}
	return strings.Join(all, " ")
}

func TestTwoAppsOfOneProcessAreRefused(t *testing.T) {
	two := minimal + "---\n" + strings.Replace(minimal, "name: site", "name: other", 1)
	set := desired.Parse([]byte(two), "two.yaml")
	if err := set.Err(); len(set.Apps) != 0 || err == nil || !strings.Contains(err.Error(), `spec.runtime.pm2.process: got "p", which two.yaml:`) {
		t.Errorf("got %q, %v", names(set), err)
	}
}

func TestTwoAppsOfOneUnitAreRefused(t *testing.T) {
	one := strings.Replace(minimal, "{pm2: {process: p}}", "{systemd: {unit: a.service}}", 1)
	users := strings.NewReplacer("name: site", "name: users", "unit: a.service", "unit: a.service, user: true").Replace(one) + "  port: 3004\n"
	if set := desired.Parse([]byte(one+"---\n"+users), "two.yaml"); set.Err() != nil || len(set.Apps) != 2 {
		t.Errorf("units of two managers: %v", set.Err())
	}
	other := strings.Replace(one, "name: site", "name: other", 1) + "  port: 3005\n"
	set := desired.Parse([]byte(one+"---\n"+other), "two.yaml")
	if err := set.Err(); len(set.Apps) != 0 || err == nil || !strings.Contains(err.Error(), `spec.runtime.systemd.unit: got "a.service", which two.yaml:`) {
		t.Errorf("got %q, %v", names(set), err)
	}
}

func TestTwoAppsOfOnePortAreRefused(t *testing.T) {
	other := strings.NewReplacer("name: site", "name: other", "process: p", "process: q").Replace(minimal) // 3003, as the first, for want of another
	set := desired.Parse([]byte(minimal+"---\n"+other+"---\n"+named("third")), "some.yaml")
	if err := set.Err(); names(set) != "third" || err == nil || !strings.Contains(err.Error(), `spec.port: got "3003", which some.yaml:3 has too`) {
		t.Errorf("got %q, %v", names(set), err)
	}
}

func TestLoadReadsAFolderInOrderAndNotWhatIsHidden(t *testing.T) {
	dir := t.TempDir()
	for file, text := range map[string]string{
		"b.yml": named("b1") + "---\n" + named("b2"), "a.yaml": named("a"), ".c.yaml": named("c"), "d.txt": named("d"), "e.yaml~": named("e"),
		"f.yaml": "apiVersion: evenkeel.dev/v1alpha1\nkind: AppList\nitems:\n- " + strings.ReplaceAll(named("f"), "\n", "\n  "),
	} {
		write(t, filepath.Join(dir, file), text)
	}
	if err := os.Mkdir(filepath.Join(dir, "g.yaml"), 0o755); err != nil {
		t.Fatal(err)
	}
	set := desired.Load([]string{dir, filepath.Join(dir, "a.yaml")})
	if got := names(set); got != "a b1 b2 f" || set.Err() != nil || len(set.Files) != 3 {
		t.Errorf("got %q, %v, %d files", got, set.Err(), len(set.Files))
	}
	if e := set.App("b2"); string(e.Raw) != "---\n"+named("b2") || e.Line != 11 || e.Start != len(named("b1")) || e.End != e.Start+len(e.Raw) {
		t.Errorf("got line %d, bytes %d to %d, %q", e.Line, e.Start, e.End, e.Raw)
	}
}

func TestLoadNamesBothPlacesOfADoubledName(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")
	write(t, a, named("x")+"---\n"+named("y"))
	write(t, b, "# copy\n"+named("x"))
	set := desired.Load([]string{dir})
	if got := names(set); got != "y" {
		t.Errorf("got %q", got)
	}
	if got := set.Err().Error(); !strings.Contains(got, a+":3:1: metadata.name: got \"x\", which "+b+":4 is called too") ||
		!strings.Contains(got, b+":4:1: metadata.name: got \"x\", which "+a+":3 is called too") {
		t.Error(got)
	}
}

func TestLoadKeepsWhatIsRightBesideWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), "a: [\n---\n"+named("a")+"---\n"+strings.Replace(named("bad"), "spec:", "spec:\n  prot: 1", 1))
	write(t, filepath.Join(dir, "b.yaml"), named("b")+"status: {nonsense: 1}\n")
	write(t, filepath.Join(dir, "c.yaml"), "# nothing\n")
	if err := syscall.Mkfifo(filepath.Join(dir, "d.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	set := desired.Load([]string{dir, filepath.Join(dir, "nowhere.yaml")})
	if got := names(set); got != "a b" {
		t.Errorf("got %q", got)
	}
	var rejected []string
	for _, r := range set.Rejected {
		rejected = append(rejected, filepath.Base(r.File)+"/"+r.Name)
	}
	if got := strings.Join(rejected, " "); got != "a.yaml/ a.yaml/bad c.yaml/ d.yaml/ nowhere.yaml/" {
		t.Errorf("rejected %q", got)
	}
	for _, want := range []string{"a.yaml:1:1: a '[' or '{' that goes wrong", "a.yaml:15:3: spec.prot: unknown key", "c.yaml:1:1: the file is empty",
		"d.yaml: it is no regular file", "nowhere.yaml: there is no such file"} {
		if !strings.Contains(set.Err().Error(), want) {
			t.Errorf("%q is not in\n%v", want, set.Err())
		}
	}
}

func TestLoadReportsEveryMistakeOfAFileAtOnce(t *testing.T) {
	set := desired.Parse([]byte(`apiVersion: evenkeel.dev/v1alpha1
kind: App
metadata: {name: my-site}
spec:
  runtime: {pm2: {process: my-site}}
  Port: 3003
  interval: 60
  checks:
    public: {url: www.example.com}
  recovery: {maxAttempts: 0, caches: [.next/cache, ..]}
`), "site.yaml")
	want := `site.yaml:4:1: spec.directory: missing, want the absolute path of the application's folder, such as /home/deploy/my-site
site.yaml:6:3: spec.Port: unknown key "Port", did you mean "port"? Upper and lower case matter
site.yaml:7:13: spec.interval: got 60, want a duration such as 60s
site.yaml:9:19: spec.checks.public.url: got "www.example.com", want a whole address with http:// or https://, such as https://www.example.com/
site.yaml:10:27: spec.recovery.maxAttempts: got 0, want a number from 1 to 20
site.yaml:10:52: spec.recovery.caches[1]: got "..", want a folder below directory, relative to it, without '.', '..' and a '/' at the end, such as .next/cache`
	if got := set.Err().Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestLoadRefusesZerosThatWouldBecomeDefaults(t *testing.T) {
	for _, field := range []string{"interval: 0s", "confirmInterval: 0s", "port: 0", "failureThreshold: 0", "checks: {local: {interval: 0s}}",
		"checks: {local: {timeout: 0s}}", "checks: {local: {path: ''}}", "checks: {public: {expectStatus: []}}", "checks: {memory: {minAvailable: 0}}",
		"checks: {memory: {restart: ''}}", "checks: {database: {require: []}}", "checks: {database: {envFile: ''}}", "recovery: {maxAttempts: 0}",
		"recovery: {leaveFailed: ''}", "recovery: {cooldown: 0s}", "alerts: [{webhook: 'http://x/', timeout: 0s}]", "interval: -1s"} {
		set := desired.Parse([]byte(minimal+"  "+field+"\n"), "f.yaml")
		if problems := set.Problems(); len(problems) != 1 || problems[0].Line != 7 {
			t.Errorf("%s: got %v", field, problems)
		}
	}
}

func TestLoadSetsDefaultsAroundWhatIsGiven(t *testing.T) {
	set := desired.Parse([]byte(minimal+"  interval: 2s\n  checks: {database: {}}\n  recovery: {caches: [], cooldown: }\n  alerts: [{exec: [x]}]\n"), "f.yaml")
	if set.Err() != nil {
		t.Fatal(set.Err())
	}
	spec := set.Apps[0].App.Spec
	if spec.ConfirmInterval.Duration != 200*time.Millisecond || spec.Port != 3003 || spec.Checks.Database.EnvFile != ".env" ||
		spec.Checks.Database.Timeout.Duration != 10*time.Second || spec.Recovery.Cooldown.Duration != 5*time.Minute ||
		spec.Recovery.Caches == nil || len(spec.Recovery.Caches) != 0 || spec.Alerts[0].Timeout.Duration != 10*time.Second {
		t.Errorf("got %+v", spec)
	}
	if spec := desired.Parse([]byte(minimal), "f.yaml").Apps[0].App.Spec; spec.Checks.Database != nil || len(spec.Recovery.Caches) != 2 {
		t.Errorf("got %+v", spec)
	}
}

func TestLoadSaysWhatADocumentMustBe(t *testing.T) {
	for text, want := range map[string]string{
		"- a\n":       `f.yaml:1:1: the document is no App, want "apiVersion: evenkeel.dev/v1alpha1" and "kind: App" in lines of their own`,
		"kind: app\n": `f.yaml:1:7: kind: got "app", want App`,
		strings.Replace(minimal, "kind", "Kind", 1): `f.yaml:2:1: Kind: unknown key "Kind", did you mean "kind"? Upper and lower case matter`,
		"a: 1\n":                                      `f.yaml:1:1: kind: missing, want kind: App`,
		"kind: List\n":                                `f.yaml:1:1: items: the list holds no App, want items: with an App in each entry`,
		"kind: List\nitems: [x]\n":                    `f.yaml:2:9: items[0]: the entry is no App, want kind: App and the rest of an App in it`,
		"kind: List\nitems:\n- kind: Thing\n":         `f.yaml:3:9: items[0].kind: got "Thing", want App`,
		strings.Replace(minimal, "v1alpha1", "v1", 1): `f.yaml:1:13: apiVersion: got "evenkeel.dev/v1", want evenkeel.dev/v1alpha1`,
	} {
		if got, _, _ := strings.Cut(desired.Parse([]byte(text), "f.yaml").Problems().Error(), "\n"); got != want {
			t.Errorf("%q\ngot  %s\nwant %s", text, got, want)
		}
	}
}

// TestNoProblemShowsASecret pins a bug: the address of a webhook with a mistake in it stood in the log, the journal, the
// state and the alerts of the other channels.
func TestNoProblemShowsASecret(t *testing.T) {
	for name, spec := range map[string]string{
		"a webhook's scheme":            "alerts: [{webhook: 'htps://hooks.example.com/services/SECRET'}]",
		"a webhook without a scheme":    "alerts: [{webhook: hooks.example.com/SECRET}]",
		"a webhook that is a list":      "alerts: [{webhook: [https://hooks.example.com/SECRET]}]",
		"a webhook that is a number":    "alerts: [{webhook: 5EC2E7}]\n  interval: 5EC2E7x",
		"a program in one piece":        "alerts: [{exec: [\"curl -H 'Authorization: SECRET' x\"]}]",
		"a program that is text":        "alerts: [{exec: curl -d SECRET}]",
		"an alert that is text":         "alerts: [curl -d SECRET]",
		"alerts that are text":          "alerts: curl -d SECRET",
		"alerts that are an address":    "alerts: https://hooks.example.com/SECRET",
		"a password in the public URL":  "checks: {public: {url: 'htp://u:SECRET@www.example.com/'}}",
		"with a slash in it":            "checks: {public: {url: 'htp://u:SE/SECRET@www.example.com/'}}",
		"a query of the public URL":     "checks: {public: {url: 'htp://www.example.com/?key=SECRET'}}",
		"an address where none belongs": "interval: https://u:SECRET@www.example.com/SECRET",
		"and in a list":                 "recovery: {caches: https://u:SECRET@www.example.com/SECRET}",
	} {
		t.Run(name, func(t *testing.T) {
			set := desired.Parse([]byte(minimal+"  "+spec+"\n"), "site.yaml")
			err := set.Err()
			if err == nil || !strings.Contains(err.Error(), "site.yaml:") || !strings.Contains(err.Error(), "want") {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error(), "SECRET") {
				t.Errorf("it shows the secret: %v", err)
			}
			t.Log(err)
		})
	}
}
