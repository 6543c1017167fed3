//go:build linux

package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body.String()
}

func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

// open makes a demo's folder with a site in it.
func open(t *testing.T) *Folder {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	f, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if err := MakeSite(f.Site()); err != nil {
		t.Fatal(err)
	}
	return f
}

// safeBuffer is a log that is written and read at the same time.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// serve runs the site in this process, and gives its address.
func serve(t *testing.T, f *Folder) (string, int) {
	t.Helper()
	port, taken, err := TakePort(t.Context(), 13003)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- RunSite(ctx, SiteOptions{Folder: f.Path(), Port: port, Log: &safeBuffer{}}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the site ended with %v", err)
		}
		_ = taken.Close()
	})
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	eventually(t, "the site answers", func() bool { code, _ := get(t, url+"/"); return code == 200 })
	return url, port
}

func TestSite(t *testing.T) {
	f := open(t)
	url, _ := serve(t, f)
	_, page := get(t, url+"/")
	if !strings.Contains(page, "<code>"+strconv.Itoa(os.Getpid())+"</code>") || strings.Contains(page, "{") && strings.Contains(page, "{pid}") {
		t.Errorf("the page does not name its process:\n%s", page)
	}
	for _, b := range Breakages() {
		if !strings.Contains(page, b.Path) {
			t.Errorf("the page does not name %s", b.Path)
		}
	}
	if code, _ := get(t, url+"/nothing"); code != 404 {
		t.Errorf("an unknown page gives %d", code)
	}
	if err := os.Remove(filepath.Join(f.Site(), buildFile)); err != nil {
		t.Fatal(err)
	}
	if code, _ := get(t, url+"/"); code != 500 {
		t.Errorf("without a build it gives %d", code)
	}
	if err := MakeSite(f.Site()); err != nil {
		t.Fatal(err)
	}
	if code, text := get(t, url+"/break/500"); code != 200 || !strings.Contains(text, "500") {
		t.Errorf("%d %s", code, text)
	}
	if code, _ := get(t, url+"/"); code != 500 {
		t.Errorf("broken, it gives %d", code)
	}
}

func TestStrangerTakesThePortAndTheSiteGetsItBack(t *testing.T) {
	f := open(t)
	url, port := serve(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	out := &safeBuffer{}
	go func() { ended <- RunStranger(ctx, f.Path(), port, out) }()
	eventually(t, "the stranger waits", func() bool { return strings.Contains(out.String(), "waits") })
	if code, _ := get(t, url+"/break/port"); code != 200 {
		t.Fatal(code)
	}
	eventually(t, "the stranger answers", func() bool { _, text := get(t, url+"/"); return strings.Contains(text, "another program") })
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	eventually(t, "the site answers again", func() bool { _, text := get(t, url+"/"); return strings.Contains(text, "evenkeel") })
}

func TestSpoiltCacheStopsTheSite(t *testing.T) {
	f := open(t)
	if err := SpoilCache(f.Site()); err != nil {
		t.Fatal(err)
	}
	err := RunSite(t.Context(), SiteOptions{Folder: f.Path(), Log: &safeBuffer{}})
	if err == nil || !strings.Contains(err.Error(), "stored pages") {
		t.Fatalf("%v", err)
	}
	if strings.Contains(err.Error(), Cache) {
		t.Errorf("it names its cache, so that evenkeel would not try a plain start first: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(f.Site(), Cache)); err != nil {
		t.Fatal(err)
	}
	serve(t, f)
}

func TestBadRelease(t *testing.T) {
	f := open(t)
	if err := errors.Join(SetBadRelease(f.Site(), true), SetBadRelease(f.Site(), false), SetBadRelease(f.Site(), false)); err != nil {
		t.Fatal(err)
	}
	if err := SetBadRelease(f.Site(), true); err != nil {
		t.Fatal(err)
	}
	s := &Site{SiteOptions: SiteOptions{Folder: f.Path(), Log: &safeBuffer{}}, dir: f.Site(), broken: true}
	answer := httptest.NewRecorder()
	s.handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil))
	if answer.Code != 500 {
		t.Errorf("%d", answer.Code)
	}
}

func TestDeployHoldsTheLockAndLeavesABuild(t *testing.T) {
	f := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	out := &safeBuffer{}
	go func() { ended <- RunDeploy(ctx, f.Path(), out) }()
	eventually(t, "the build is at work", func() bool { return strings.Contains(out.String(), "builds") })
	lock, build := filepath.Join(f.Site(), lockFile), filepath.Join(f.Site(), buildFile)
	if held, pid, err := procfs.Default().FlockHeld(lock); err != nil || !held || pid != os.Getpid() {
		t.Errorf("held %t by %d: %v", held, pid, err)
	}
	if _, err := os.Stat(build); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a finished build is there: %v", err)
	}
	if err := RunDeploy(t.Context(), f.Path(), out); err == nil {
		t.Error("a second build was begun beside the first")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(build); err != nil {
		t.Errorf("no finished build is there: %v", err)
	}
}

func TestProxy(t *testing.T) {
	f := open(t)
	_, port := serve(t, f)
	p, err := NewProxy(port)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if code, _ := get(t, p.URL()); code != 200 {
		t.Fatal(code)
	}
	address := p.URL()
	p.Down()
	if code, text := get(t, address); code != 0 || !strings.Contains(text, "refused") {
		t.Errorf("down, it gives %d %s", code, text)
	}
	if err := p.Up(); err != nil {
		t.Fatal(err)
	}
	if p.URL() != address {
		t.Errorf("it came back at %s, not at %s", p.URL(), address)
	}
	if code, _ := get(t, address); code != 200 {
		t.Errorf("back, it gives %d", code)
	}
	if code, text := get(t, address+"break/proxy"); code != 200 {
		t.Errorf("%d %s", code, text)
	}
	eventually(t, "it is away", func() bool { code, _ := get(t, address); return code == 0 })
	p.Close()
	if err := p.Up(); err != nil {
		t.Error(err)
	}
	if code, _ := get(t, address); code != 0 {
		t.Error("it came back after its end")
	}
}

func TestProxyWithoutASite(t *testing.T) {
	port, taken, err := TakePort(t.Context(), 13003)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	p, err := NewProxy(port)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if code, _ := get(t, p.URL()); code != http.StatusBadGateway {
		t.Errorf("%d", code)
	}
}

func TestFolderOfSomebodyElseIsRefused(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "site", "precious")
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "site"), 0o700), os.WriteFile(precious, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

func TestNamedFolderIsKeptAndUsedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "demo")
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(f.Path(), "notes")
	old := filepath.Join(f.State(), "old")
	if err := errors.Join(os.MkdirAll(f.State(), 0o700), os.WriteFile(mine, nil, 0o600), os.WriteFile(old, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("a folder in use was given to another demo: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f, err = Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what an earlier demo knew is still there: %v", err)
	}
	if _, err := os.Stat(mine); err != nil || !f.Kept() {
		t.Errorf("a file that is not the demo's is gone: %v", err)
	}
}

func TestSweep(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	running, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	defer running.Close()
	abandoned, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	if err := abandoned.lock.Close(); err != nil { // as at its end by force
		t.Fatal(err)
	}
	foreign := filepath.Join(temp, tempPrefix+"notes") // named alike, and not a demo's
	if err := os.Mkdir(foreign, 0o700); err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	if err := os.WriteFile(filepath.Join(elsewhere, lockName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(temp, tempPrefix+"link")
	if err := os.Symlink(elsewhere, link); err != nil {
		t.Fatal(err)
	}
	if got := Sweep(t.Context()); !slices.Equal(got, []string{abandoned.Path()}) {
		t.Errorf("swept %v", got)
	}
	for _, path := range []string{running.Path(), foreign, link, filepath.Join(elsewhere, lockName)} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(abandoned.Path()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

func TestOutlive(t *testing.T) {
	f := open(t)
	over := make(chan struct{})
	go func() {
		outlive(t.Context(), f.Path())
		close(over)
	}()
	waits := fmt.Sprintf(" %d ", os.Getpid())
	eventually(t, "it waits for the lock", func() bool {
		locks, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(strings.Split(string(locks), "\n"), func(line string) bool {
			return strings.Contains(line, "-> FLOCK") && strings.Contains(line, waits)
		})
	})
	select {
	case <-over:
		t.Fatal("it ended before its demo")
	default:
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	<-over
}

func TestIsPart(t *testing.T) {
	for _, c := range []struct {
		args []string
		want bool
	}{
		{[]string{"evenkeel", PartSite, FolderFlag, "/tmp/d"}, true},
		{[]string{"/x/evenkeel", PartStranger, FolderFlag, "/tmp/d", "--port", "3003"}, true},
		{[]string{"evenkeel", PartSite, FolderFlag, "/tmp/d2"}, false},
		{[]string{"evenkeel", "demo", "--dir", "/tmp/d"}, false},
		{[]string{"vi", FolderFlag, "/tmp/d"}, false},
		{[]string{"grep", "-r", PartSite, FolderFlag, "/tmp/d"}, false},
		{nil, false},
	} {
		if got := isPart(c.args, "/tmp/d"); got != c.want {
			t.Errorf("%q: %t", c.args, got)
		}
	}
}

func TestTakePortPassesByWhatIsTaken(t *testing.T) {
	first, taken, err := TakePort(t.Context(), 13103)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	second, alsoTaken, err := TakePort(t.Context(), first) // nobody listens on it, and it is another demo's
	if err != nil {
		t.Fatal(err)
	}
	defer alsoTaken.Close()
	if second <= first {
		t.Errorf("%d, and then %d", first, second)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	used := l.Addr().(*net.TCPAddr).Port
	third, thirdTaken, err := TakePort(t.Context(), used)
	if err != nil {
		t.Fatal(err)
	}
	defer thirdTaken.Close()
	if third <= used {
		t.Errorf("a port on which somebody listens was given: %d", third)
	}
}
