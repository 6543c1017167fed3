//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// world is what one test works with: the stack, freshly reset, and a folder of its own.
type world struct {
	*testing.T
	*stack
	dir     string // of this test; deploy's own
	spared  map[string]proc
	files   map[string]string // of those others, as inventory tells them
	changed []string          // survivors that the test itself ends
	runs    []*supervisor
	inboxes []*inbox
	planted map[string]string // secrets of the desired document, by what they are
	measure *measurement
	judged  []string // the rows of the table that were held against what came of them
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, stack: theStack}
	w.reset()
	w.dir = filepath.Join(w.work, strings.ReplaceAll(filepath.Base(t.Name()), " ", "-"))
	if err := os.RemoveAll(w.dir); err != nil {
		t.Fatal(err)
	}
	w.mkdir(w.dir)
	w.measure = &measurement{test: filepath.Base(t.Name())}
	w.spared, w.files = w.survivors(), w.othersFiles()
	for name, p := range w.spared {
		if p.PID == 0 {
			t.Fatalf("%s does not run after the reset", name)
		}
	}
	t.Cleanup(func() {
		w.keptSecrets()
		for _, s := range w.runs {
			s.end()
		}
		w.compareSurvivors()
		if t.Failed() {
			w.dump()
		}
		measured.add(w.measure, t.Failed())
	})
	return w
}

// reset puts the stack into its fresh running state.
func (w *world) reset() {
	w.Helper()
	var out []byte
	var err error
	for range 2 {
		if out, err = w.command("reset").CombinedOutput(); err == nil {
			break
		}
		w.Logf("hack/stack reset: %v\n%s", err, out)
		_ = w.command("up").Run()
	}
	if err != nil {
		w.Fatalf("hack/stack reset: %v\n%s", err, out)
	}
	if err := w.readEnv(); err != nil {
		w.Fatal(err)
	}
}

// touches says which survivors the test itself ends or makes anew ("nginx" stands for its workers too).
func (w *world) touches(names ...string) { w.changed = append(w.changed, names...) }

func (w *world) compareSurvivors() {
	now := w.survivors()
	for name, was := range w.spared {
		kind, _, _ := strings.Cut(name, " ")
		if slices.Contains(w.changed, kind) {
			continue
		}
		if now[name] != was {
			w.Errorf("survivor %s: %s before, %s after", name, was, now[name])
		}
	}
	w.sameInventory(w.files, w.othersFiles())
}

// othersFiles are the files of those whom no recovery may touch.
func (w *world) othersFiles() map[string]string {
	w.Helper()
	all := map[string]string{}
	for _, folder := range []string{w.home("shop"), w.home("stray"), w.live("home", "other")} {
		maps.Copy(all, w.inventory(folder))
	}
	return all
}

func (w *world) note(format string, args ...any) { w.Logf("      "+format, args...) }

// fault breaks something, and gives the moment before it did.
func (w *world) fault(args ...string) time.Time {
	w.Helper()
	at := time.Now()
	w.mustStack(append([]string{"fault"}, args...)...)
	return at
}

// clear takes a fault's cause away.
func (w *world) clear(name string) {
	w.Helper()
	w.mustStack("fault", "clear", name)
}

func (w *world) mustStack(args ...string) {
	w.Helper()
	if out, err := w.command(args...).CombinedOutput(); err != nil {
		w.Fatalf("hack/stack %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// as runs a command inside as a user, and gives what it printed and its exit code.
func (w *world) as(who string, args ...string) (stdout, stderr string, code int) {
	w.Helper()
	return w.run(append([]string{"exec", "-u", who, "--"}, args...)...)
}

func (w *world) run(args ...string) (string, string, int) {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out, errs strings.Builder
	cmd := exec.CommandContext(ctx, w.script, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.Fatalf("hack/stack %s: %v", strings.Join(args, " "), err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func (w *world) pm2(args ...string) string {
	w.Helper()
	out, errs, code := w.as("deploy", append([]string{"pm2"}, args...)...)
	if code != 0 {
		w.Fatalf("pm2 %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// pm2Row is a row of PM2's list.
type pm2Row struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
	ID   int    `json:"pm_id"`
	Env  struct {
		Status      string `json:"status"`
		Mode        string `json:"exec_mode"`
		RestartTime int    `json:"restart_time"`
	} `json:"pm2_env"`
}

func (w *world) pm2List() (rows []pm2Row) {
	w.Helper()
	out, _, _ := w.as("deploy", "pm2", "-s", "jlist")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for _, line := range slices.Backward(lines) {
		if strings.HasPrefix(line, "[") && json.Unmarshal([]byte(line), &rows) == nil {
			return rows
		}
	}
	return nil
}

func (w *world) pm2Row(name string) pm2Row {
	w.Helper()
	for _, r := range w.pm2List() {
		if r.Name == name {
			return r
		}
	}
	return pm2Row{}
}

// site is the process that PM2 keeps as the site; the zero proc where there is none.
func (w *world) site() proc { return w.pm2Proc("bbyatch") }

func (w *world) mustSite() proc {
	w.Helper()
	p := w.site()
	if p.PID == 0 {
		w.Fatal("the site has no process")
	}
	return p
}

// status asks a URL of the stack, without following redirects; 0 is no answer.
func (w *world) status(url string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	res, err := w.client.Transport.RoundTrip(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// public is the site's answer through Nginx; local that of its port.
func (w *world) public() int { return w.status(w.env["PUBLIC_URL"]) }
func (w *world) local() int  { return w.status("http://127.0.0.1:" + w.env["APP_PORT"] + "/") }

// eventually waits until done says so; it polls. done's text says how it stands.
func (w *world) eventually(limit time.Duration, what string, done func() (string, bool)) time.Time {
	w.Helper()
	at, ok := w.within(limit, done)
	if !ok {
		said, _ := done()
		w.Fatalf("not within %s: %s; it stands thus: %s", limit, what, said)
	}
	return at
}

// within is eventually without the end of the test.
func (w *world) within(limit time.Duration, done func() (string, bool)) (time.Time, bool) {
	end := time.Now().Add(limit)
	for {
		if _, ok := done(); ok {
			return time.Now(), true
		}
		if time.Now().After(end) {
			return time.Time{}, false
		}
		time.Sleep(25 * time.Millisecond)
	}
}

// waitPublic waits for 200 through Nginx.
func (w *world) waitPublic(limit time.Duration) time.Time {
	w.Helper()
	return w.eventually(limit, "200 through Nginx", func() (string, bool) {
		code := w.public()
		return fmt.Sprintf("%d", code), code == http.StatusOK
	})
}

func (w *world) own(path string) {
	if err := os.Lchown(path, w.uid, w.gid); err != nil {
		w.Fatal(err)
	}
}

// mkdir makes a folder of deploy's.
func (w *world) mkdir(path string) {
	w.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		w.Fatal(err)
	}
	w.own(path)
}

// write writes a file of deploy's, as an editor does: a new file that takes the old one's name.
func (w *world) write(path, text string, mode fs.FileMode) {
	w.Helper()
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := os.WriteFile(tmp, []byte(text), mode); err != nil {
		w.Fatal(err)
	}
	if err := os.Chmod(tmp, mode); err != nil {
		w.Fatal(err)
	}
	w.own(tmp)
	if err := os.Rename(tmp, path); err != nil {
		w.Fatal(err)
	}
}

func (w *world) read(path string) string {
	w.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		w.Fatal(err)
	}
	return string(data)
}
