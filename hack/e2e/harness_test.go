//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state"
)

// --- the cases and their choice --------------------------------------------------------------------------------------

// testCase is one end-to-end test. Files register theirs in init.
type testCase struct {
	// Name is that of the subtest: TestE2E/<Name>.
	Name string
	// Seconds is how long it takes, the reset of the stack included.
	Seconds int
	// Always says that it is run whatever the seed draws.
	Always bool
	Run    func(w *world)
}

var cases []testCase

func register(c testCase) { cases = append(cases, c) }

// usualBudget is what a run without E2E_FULL may take, as far as the cases' own expectations go.
const usualBudget = 12 * time.Minute

// chosen are the cases of this run, in the order of their names.
func chosen() []testCase {
	all := slices.Clone(cases)
	slices.SortFunc(all, func(a, b testCase) int { return strings.Compare(a.Name, b.Name) })
	pattern := flag.Lookup("test.run").Value.String()
	if os.Getenv("E2E_FULL") == "1" || strings.Contains(pattern, "/") {
		return all
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("E2E_SEED"); text != "" {
		given, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			panic(fmt.Sprintf("E2E_SEED=%s: %v", text, err))
		}
		seed = given
	}
	budget := usualBudget
	if limit, err := time.ParseDuration(flag.Lookup("test.timeout").Value.String()); err == nil && limit > 0 {
		budget = min(budget, limit*3/4)
	}
	left := int(budget.Seconds())
	var picked, rest []testCase
	for _, c := range all {
		if c.Always {
			picked = append(picked, c)
			left -= c.Seconds
		} else {
			rest = append(rest, c)
		}
	}
	random := rand.New(rand.NewPCG(seed, 0))
	random.Shuffle(len(rest), func(a, b int) { rest[a], rest[b] = rest[b], rest[a] })
	for _, c := range rest {
		if c.Seconds <= left {
			picked = append(picked, c)
			left -= c.Seconds
		}
	}
	slices.SortFunc(picked, func(a, b testCase) int { return strings.Compare(a.Name, b.Name) })
	fmt.Printf("e2e: %d of %d tests, drawn with E2E_SEED=%d (budget %s; E2E_FULL=1 runs all)\n", len(picked), len(all), seed, budget)
	return picked
}

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "e2e: the stack wants root")
		os.Exit(1)
	}
	if err := theStack.prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	code := m.Run()
	printTable(os.Stdout)
	if out, err := theStack.command("reset").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "e2e: the stack could not be put back: %v\n%s", err, out)
	}
	os.Exit(code)
}

// TestE2E runs what was chosen, one after the other: there is one stack.
func TestE2E(t *testing.T) {
	for _, c := range chosen() {
		t.Run(c.Name, func(t *testing.T) {
			w := newWorld(t)
			start := time.Now()
			c.Run(w)
			w.note("test took %.0f s (%d s were expected)", time.Since(start).Seconds(), c.Seconds)
		})
	}
}

// --- the stack -------------------------------------------------------------------------------------------------------

// stack is the machine in the box.
type stack struct {
	script string // hack/stack
	dir    string // its folder
	work   string // our own folder in it, which deploy may read
	binary string // the built evenkeel
	env    map[string]string
	uid    int
	gid    int
	client *http.Client
	held   *os.File // the lock
}

var theStack = &stack{}

// prepare builds the program and brings the stack up.
func (s *stack) prepare() error {
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Dir(filepath.Dir(filepath.Dir(file)))
	s.script = filepath.Join(root, "hack", "stack")
	dir, err := s.command("path").Output()
	if err != nil {
		return fmt.Errorf("hack/stack path: %w", err)
	}
	s.dir = strings.TrimSpace(string(dir))
	if err := s.lock(); err != nil {
		return err
	}
	up := s.command("up")
	up.Stderr = os.Stderr
	if err := up.Run(); err != nil {
		return fmt.Errorf("hack/stack up: %w", err)
	}
	s.work = filepath.Join(s.dir, "e2e")
	if err := os.RemoveAll(s.work); err != nil {
		return err
	}
	if err := os.MkdirAll(s.work, 0o755); err != nil {
		return err
	}
	s.binary = filepath.Join(s.work, "evenkeel")
	build := exec.Command("go", "build", "-o", s.binary, ".")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	if err := os.Chmod(s.binary, 0o755); err != nil {
		return err
	}
	deploy, err := user.Lookup("deploy")
	if err != nil {
		return err
	}
	s.uid, _ = strconv.Atoi(deploy.Uid)
	s.gid, _ = strconv.Atoi(deploy.Gid)
	if err := s.readEnv(); err != nil {
		return err
	}
	ca, err := os.ReadFile(s.env["CA_FILE"])
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return errors.New("the stack's CA cannot be read")
	}
	s.client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			var c net.Conn
			err = s.inside(func() (err error) {
				c, err = (&net.Dialer{}).DialContext(ctx, "tcp4", "127.0.0.1:"+port)
				return err
			})
			return c, err
		},
	}}
	return nil
}

// lock waits until no other run of these tests uses the stack; the lock goes with this process.
func (s *stack) lock() error {
	f, err := os.OpenFile(s.dir+".e2e.lock", os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	s.held = f
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
		return nil
	}
	fmt.Fprintln(os.Stderr, "e2e: another run uses", s.dir+"; waiting for its end")
	return unix.Flock(int(f.Fd()), unix.LOCK_EX)
}

func (s *stack) readEnv() error {
	out, err := s.command("env").Output()
	if err != nil {
		return fmt.Errorf("hack/stack env: %w", err)
	}
	s.env = map[string]string{}
	for line := range strings.Lines(string(out)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			s.env[k] = strings.Trim(v, "'")
		}
	}
	return nil
}

// command is a call of hack/stack. Its context is the caller's own affair.
func (s *stack) command(args ...string) *exec.Cmd { return exec.Command(s.script, args...) }

// inside runs f in the stack's network namespace; f must not start goroutines that make sockets.
func (s *stack) inside(f func() error) error {
	runtime.LockOSThread()
	own, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	if err != nil {
		return err
	}
	defer own.Close()
	there, err := os.Open("/proc/" + s.env["STACK_PID"] + "/ns/net")
	if err != nil {
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	err = f()
	if back := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); back != nil {
		return back // the thread stays locked, and dies with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}

// listen listens on the loopback of the stack; port 0 takes any.
func (s *stack) listen(port int) (net.Listener, error) {
	var l net.Listener
	err := s.inside(func() (err error) {
		l, err = net.Listen("tcp4", "127.0.0.1:"+strconv.Itoa(port))
		return err
	})
	return l, err
}

// --- processes -------------------------------------------------------------------------------------------------------

// proc names a process for good.
type proc struct {
	PID   int
	Start string // in clock ticks since boot
}

func (p proc) String() string { return fmt.Sprintf("%d:%s", p.PID, p.Start) }

// procOf reads which process a pid is now; no process, or a zombie, is the zero proc.
func procOf(pid int) proc {
	fields := statOf(pid)
	if pid <= 0 || len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return proc{}
	}
	return proc{PID: pid, Start: fields[19]}
}

// statOf are the fields of /proc/<pid>/stat behind the name: state, parent, …
func statOf(pid int) []string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
}

func (p proc) alive() bool { return p.PID > 0 && procOf(p.PID) == p }

// ppid is the parent, 0 where there is none.
func (p proc) ppid() int {
	fields := statOf(p.PID)
	if len(fields) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(fields[1])
	return n
}

func children(pid int) (list []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		data, _ := os.ReadFile(task)
		for _, f := range strings.Fields(string(data)) {
			n, _ := strconv.Atoi(f)
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list
}

// descendants are all processes below pid, pid itself first.
func descendants(pid int) []int {
	list := []int{pid}
	for n := 0; n < len(list); n++ {
		list = append(list, children(list[n])...)
	}
	return list
}

func pidIn(path string) int {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(fields[0])
	return n
}

// live is a path in the part of the stack that runs.
func (s *stack) live(parts ...string) string {
	return filepath.Join(append([]string{s.dir, "live"}, parts...)...)
}

// home is a path in deploy's home, as seen from outside.
func (s *stack) home(parts ...string) string {
	return s.live(append([]string{"home", "deploy"}, parts...)...)
}

// app is a path in the site's folder, as seen from outside.
func (s *stack) app(parts ...string) string {
	return s.home(append([]string{"bbyatch", "bbyatchv2-master"}, parts...)...)
}

// pm2Daemon is PM2's daemon of this stack.
func (s *stack) pm2Daemon() proc {
	net, err := os.Readlink("/proc/" + s.env["STACK_PID"] + "/ns/net")
	if err != nil {
		return proc{}
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		data, _ := os.ReadFile(path)
		if !strings.HasPrefix(string(data), "PM2 v") || !strings.Contains(string(data), "God Daemon ("+s.env["PM2_HOME"]+")") {
			continue
		}
		if ns, _ := os.Readlink(filepath.Join(filepath.Dir(path), "ns", "net")); ns == net {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			return procOf(pid)
		}
	}
	return proc{}
}

// pm2Proc is the process that PM2 keeps under a name, from its pid file; the zero proc where it does not live.
func (s *stack) pm2Proc(name string) proc {
	files, _ := filepath.Glob(s.home(".pm2", "pids", name+"-*.pid"))
	for _, f := range files {
		p := procOf(pidIn(f))
		if p.PID != 0 && p.ppid() == s.pm2Daemon().PID {
			return p
		}
	}
	return proc{}
}

// survivors are those whom no recovery may touch, by name.
func (s *stack) survivors() map[string]proc {
	m := map[string]proc{
		"shop":      s.pm2Proc("shop"),
		"stray":     procOf(pidIn(filepath.Join(s.dir, "run", "stray"))),
		"neighbour": procOf(pidIn(filepath.Join(s.dir, "run", "neighbour"))),
		"pm2":       s.pm2Daemon(),
		"nginx":     procOf(pidIn(s.live("nginx", "nginx.pid"))),
		"postgres":  procOf(pidIn(s.live("pg", "data", "postmaster.pid"))),
	}
	for n, pid := range children(m["nginx"].PID) {
		m[fmt.Sprintf("nginx worker %d", n)] = procOf(pid)
	}
	return m
}

// --- one test's world ------------------------------------------------------------------------------------------------

// world is what one test works with: the stack, freshly reset, and a folder of its own.
type world struct {
	*testing.T
	*stack
	dir     string // of this test; deploy's own
	spared  map[string]proc
	changed []string // survivors that the test itself ends
	runs    []*supervisor
	measure *measurement
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
	w.spared = w.survivors()
	for name, p := range w.spared {
		if p.PID == 0 {
			t.Fatalf("%s does not run after the reset", name)
		}
	}
	t.Cleanup(func() {
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

// --- files of the test -----------------------------------------------------------------------------------------------

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

// --- the desired file ------------------------------------------------------------------------------------------------

// desired is a desired-state document.
type desired struct{ doc map[string]any }

const referenceDocument = `
apiVersion: evenkeel.dev/v1alpha1
kind: App
metadata: {name: bbyatch}
spec:
  directory: %s
  runtime: {pm2: {process: bbyatch, start: ecosystem.config.js}}
  port: %s
  checks:
    local:    {path: /, timeout: 10s}
    public:   {url: "%s", expectStatus: [200]}
    memory:   {minAvailable: 100Mi}
    database: {envFile: .env, require: [DATABASE_URL]}
  recovery: {cooldown: 5m, maxAttempts: 3, deadline: 30s, startupGrace: 60s, caches: [.next/cache, node_modules/.cache]}
`

// defaults is the reference document with every setting at its default.
func (w *world) defaults() *desired {
	d := &desired{doc: map[string]any{}}
	text := fmt.Sprintf(referenceDocument, w.env["APP_DIR"], w.env["APP_PORT"], w.env["PUBLIC_URL"])
	if err := yaml.Unmarshal([]byte(text), &d.doc); err != nil {
		w.Fatal(err)
	}
	return d
}

// The times of the reference document, as the tests use it.
const (
	testInterval = 2 * time.Second
	testConfirm  = 200 * time.Millisecond // follows from it
	testCooldown = 8 * time.Second
	testGrace    = 20 * time.Second
	testTimeout  = 10 * time.Second // the default
)

// reference is the reference document with short times.
func (w *world) reference() *desired {
	return w.defaults().
		Set("spec.interval", testInterval.String()).
		Set("spec.recovery.cooldown", testCooldown.String()).
		Set("spec.recovery.startupGrace", testGrace.String()).
		Set("spec.checks.memory.for", "3s").
		Set("spec.checks.memory.baselineAfter", "5s")
}

// Set puts a value at a path such as spec.recovery.cooldown.
func (d *desired) Set(path string, value any) *desired {
	at := d.doc
	keys := strings.Split(path, ".")
	for _, k := range keys[:len(keys)-1] {
		next, ok := at[k].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[k] = next
		}
		at = next
	}
	at[keys[len(keys)-1]] = value
	return d
}

// Alert adds somebody to tell: {"exec": […]} or {"webhook": "…"}.
func (d *desired) Alert(to map[string]any) *desired {
	spec := d.doc["spec"].(map[string]any)
	list, _ := spec["alerts"].([]any)
	spec["alerts"] = append(list, to)
	return d
}

func (d *desired) Text() string {
	data, err := yaml.Marshal(d.doc)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// --- a running supervisor --------------------------------------------------------------------------------------------

// supervisor is `evenkeel run` as the site's ordinary user. Its files outlive it: begin starts it anew on them.
type supervisor struct {
	*world
	App      string
	File     string // the desired file
	StateDir string
	Log      string // what it wrote on standard output and error
	// Wrap stands before the program (strace and the like); Args behind `run -f … --state-dir …`.
	Wrap, Args []string
	// Terminal, if set, is the terminal that it is started on, in a session of its own, instead of the log.
	Terminal *os.File
	// Elsewhere, if set, finds the process where somebody else (PM2) has started it; begin is not used then.
	Elsewhere func() proc

	cmd    *exec.Cmd
	ended  chan struct{}
	code   int
	expect bool // its end was ordered
	trace  *passTrace
}

// prepare writes the desired file and makes a state folder, and starts nothing.
func (w *world) prepare(name string, d *desired) *supervisor {
	w.Helper()
	s := &supervisor{world: w, App: "bbyatch", StateDir: filepath.Join(w.dir, name+"-state"),
		File: filepath.Join(w.dir, name+".yaml"), Log: filepath.Join(w.dir, name+".log")}
	if err := os.MkdirAll(s.StateDir, 0o700); err != nil {
		w.Fatal(err)
	}
	w.own(s.StateDir)
	w.write(s.File, d.Text(), 0o644)
	w.runs = append(w.runs, s)
	return s
}

// supervise starts evenkeel on a document, and waits until it is Healthy with a finished pass.
func (w *world) supervise(d *desired) *supervisor {
	w.Helper()
	s := w.prepare("evenkeel", d)
	s.begin()
	s.waitHealthy(30 * time.Second)
	return s
}

// begin starts the process.
func (s *supervisor) begin() {
	s.Helper()
	args := append([]string{"exec", "-u", "deploy", "--"}, s.Wrap...)
	args = append(args, s.binary, "run", "-f", s.File, "--state-dir", s.StateDir)
	s.cmd = s.command(append(args, s.Args...)...)
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		s.Fatal(err)
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if tty := s.Terminal; tty != nil {
		s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
		s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	}
	if err := s.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.ended, s.expect = make(chan struct{}), false
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait()
		s.code = cmd.ProcessState.ExitCode()
		close(ended)
	}(s.cmd, s.ended)
	s.record()
}

// record begins to remember the passes.
func (s *supervisor) record() {
	if s.trace == nil {
		s.trace = newPassTrace(s.StateDir, s.App)
	}
}

// pid is evenkeel's own, below whatever wraps it; 0 while there is none.
func (s *supervisor) pid() int {
	if s.Elsewhere != nil {
		return s.Elsewhere().PID
	}
	for _, p := range descendants(s.cmd.Process.Pid) {
		if exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", p)); exe == s.binary {
			return p
		}
	}
	return 0
}

func (s *supervisor) running() bool {
	if s.Elsewhere != nil {
		return s.Elsewhere().PID != 0
	}
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// wait waits for its end, and gives the exit code (-1 for a signal).
func (s *supervisor) wait(limit time.Duration) int {
	s.Helper()
	s.expect = true
	select {
	case <-s.ended:
		return s.code
	case <-time.After(limit):
		s.Fatalf("evenkeel did not end within %s", limit)
		return -1
	}
}

// term sends SIGTERM and waits no longer than a recovery may take; it gives the exit code.
func (s *supervisor) term() int {
	s.Helper()
	s.expect = true
	if p := s.pid(); p != 0 {
		_ = syscall.Kill(p, syscall.SIGTERM)
	}
	return s.wait(90 * time.Second)
}

// kill ends it with SIGKILL, and whatever wraps it.
func (s *supervisor) kill() {
	s.Helper()
	s.expect = true
	for _, p := range slices.Backward(append([]int{s.cmd.Process.Pid}, s.pid())) {
		if p != 0 {
			_ = syscall.Kill(p, syscall.SIGKILL)
		}
	}
	s.wait(10 * time.Second)
}

// end is what a test's end does: SIGTERM gives exit code 0, and an end that nobody ordered is a failure.
func (s *supervisor) end() {
	defer s.trace.stop()
	if s.cmd == nil {
		return
	}
	if !s.running() {
		if !s.expect {
			s.Errorf("evenkeel ended by itself with exit code %d", s.code)
		}
	} else if code := s.term(); code != 0 {
		s.Errorf("evenkeel ended with exit code %d after SIGTERM", code)
	}
}

// cli runs another command of evenkeel's as deploy: stdout, stderr, exit code.
func (s *supervisor) cli(args ...string) (string, string, int) {
	s.Helper()
	return s.as("deploy", append([]string{s.binary, "--state-dir", s.StateDir}, args...)...)
}

// get is the App as `evenkeel status -o json` shows it.
func (s *supervisor) get() v1alpha1.App {
	s.Helper()
	out, errs, _ := s.cli("status", "-o", "json")
	var list v1alpha1.AppList
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		s.Fatalf("evenkeel status -o json: %v\n%s%s", err, out, errs)
	}
	for _, app := range list.Items {
		if app.Name == s.App {
			return app
		}
	}
	return v1alpha1.App{}
}

// stateFile is where the phase stands that an operator may edit.
func (s *supervisor) stateFile() string { return filepath.Join(s.StateDir, s.App+".yaml") }

// state is what the state file holds; empty while there is none.
func (s *supervisor) state() v1alpha1.AppState {
	st, err := state.ReadState(s.StateDir, s.App)
	if err != nil || st == nil {
		return v1alpha1.AppState{}
	}
	return *st
}

// pass is the last finished pass; nil while there is none.
func (s *supervisor) pass() *v1alpha1.Observation {
	o, err := state.ReadLastPass(s.StateDir, s.App)
	if err != nil {
		return nil
	}
	return o
}

// journal is all that was recorded, oldest first.
func (s *supervisor) journal() []v1alpha1.Event {
	j, err := state.NewJournal(s.StateDir, s.App)
	if err != nil {
		return nil
	}
	events, _ := j.Read(state.Query{})
	return events
}

// events are those of the journal since a moment, with one of the reasons (any where none is named).
func (s *supervisor) events(since time.Time, reasons ...string) (list []v1alpha1.Event) {
	for _, e := range s.journal() {
		if !e.Time.Time.Before(since) && (len(reasons) == 0 || slices.Contains(reasons, e.Reason)) {
			list = append(list, e)
		}
	}
	return list
}

// waitEvent waits for the first event since a moment that fits.
func (s *supervisor) waitEvent(limit time.Duration, since time.Time, what string, fits func(e v1alpha1.Event) bool) (found v1alpha1.Event) {
	s.Helper()
	s.eventually(limit, what, func() (string, bool) {
		list := s.events(since)
		for _, e := range list {
			if fits(e) {
				found = e
				return "", true
			}
		}
		return s.summary(), false
	})
	return found
}

// waitPhase waits for the change into a phase since a moment, and gives its event.
func (s *supervisor) waitPhase(limit time.Duration, since time.Time, phase v1alpha1.Phase) v1alpha1.Event {
	s.Helper()
	return s.waitEvent(limit, since, "phase "+string(phase), func(e v1alpha1.Event) bool {
		return e.Reason == v1alpha1.ReasonPhaseChanged && e.Phase == phase
	})
}

// waitHealthy waits until the phase is Healthy and the last pass holds.
func (s *supervisor) waitHealthy(limit time.Duration) time.Time {
	s.Helper()
	return s.eventually(limit, "Healthy, with everything holding", func() (string, bool) {
		if !s.running() {
			s.Fatalf("evenkeel has ended with exit code %d", s.code)
		}
		return s.summary(), s.state().Phase == v1alpha1.PhaseHealthy && s.pass().Holds()
	})
}

// waitPasses waits until so many more passes are finished.
func (s *supervisor) waitPasses(n int, limit time.Duration) {
	s.Helper()
	have := len(s.trace.all())
	s.eventually(limit, fmt.Sprintf("%d more passes", n), func() (string, bool) {
		more := len(s.trace.all()) - have
		return fmt.Sprintf("%d more", more), more >= n
	})
}

// summary says in a line how it stands.
func (s *supervisor) summary() string {
	st := s.state()
	text := "phase " + string(st.Phase)
	if v := st.Verdict; v != nil {
		text += fmt.Sprintf(", verdict %s (%s, %s): %s", v.Rule, v.Blame, v.Remedy, v.Message)
	}
	if o := s.pass(); o != nil {
		for _, r := range o.Results {
			if r.Status != metav1.ConditionTrue {
				text += fmt.Sprintf("; %s %s %s", r.Check, r.Status, r.Message)
			}
		}
	}
	return text
}

// passTrace remembers every pass that was finished. It looks at the file of the last pass, so that it is independent of the
// log and the journal.
type passTrace struct {
	mu     sync.Mutex
	passes []v1alpha1.Observation
	end    context.CancelFunc
	done   chan struct{}
}

func newPassTrace(dir, app string) *passTrace {
	ctx, cancel := context.WithCancel(context.Background())
	tr := &passTrace{end: cancel, done: make(chan struct{})}
	path := filepath.Join(dir, app+".pass.json")
	go func() {
		defer close(tr.done)
		ticker := time.NewTicker(15 * time.Millisecond)
		defer ticker.Stop()
		var last os.FileInfo
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			info, err := os.Stat(path)
			if err != nil || (last != nil && os.SameFile(info, last) && info.ModTime().Equal(last.ModTime())) {
				continue
			}
			last = info
			if o, err := state.ReadLastPass(dir, app); err == nil && o != nil {
				tr.add(*o)
			}
		}
	}()
	return tr
}

func (tr *passTrace) add(o v1alpha1.Observation) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if n := len(tr.passes); n > 0 && tr.passes[n-1].At == o.At {
		return
	}
	tr.passes = append(tr.passes, o)
}

func (tr *passTrace) all() []v1alpha1.Observation {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return slices.Clone(tr.passes)
}

// since are the passes that began after a moment.
func (tr *passTrace) since(t time.Time) []v1alpha1.Observation {
	return slices.DeleteFunc(tr.all(), func(o v1alpha1.Observation) bool { return o.At.Wall.Time.Before(t) })
}

func (tr *passTrace) stop() {
	if tr != nil {
		tr.end()
		<-tr.done
	}
}

// end of a result: when the check was answered.
func answeredAt(r v1alpha1.CheckResult) time.Time { return r.At.Wall.Time.Add(r.Took.Duration) }

// --- alerts ----------------------------------------------------------------------------------------------------------

// inbox receives alerts: by a program that writes each into a file of its own, and by a webhook on the stack's loopback.
type inbox struct {
	w      *world
	folder string
	url    string
	mu     sync.Mutex
	hooked []v1alpha1.Alert
}

// inbox makes a receiver and names it in the document.
func (w *world) inbox(d *desired) *inbox {
	w.Helper()
	in := &inbox{w: w, folder: filepath.Join(w.dir, "alerts")}
	w.mkdir(in.folder)
	script := filepath.Join(w.dir, "tell")
	w.write(script, "#!/bin/sh\nset -e\nf=$(mktemp "+in.folder+"/.XXXXXX)\ncat >$f\nmv $f "+in.folder+"/$(date +%s%N).json\n", 0o755)
	d.Alert(map[string]any{"exec": []any{script}})
	l, err := w.listen(0)
	if err != nil {
		w.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var a v1alpha1.Alert
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		in.mu.Lock()
		defer in.mu.Unlock()
		in.hooked = append(in.hooked, a)
	})}
	go func() { _ = server.Serve(l) }()
	w.Cleanup(func() { _ = server.Close() })
	in.url = fmt.Sprintf("http://127.0.0.1:%d/alert", l.Addr().(*net.TCPAddr).Port)
	d.Alert(map[string]any{"webhook": in.url})
	return in
}

// byProgram are the alerts that the program was given, in the order of their coming.
func (in *inbox) byProgram() (list []v1alpha1.Alert) {
	in.w.Helper()
	files, _ := filepath.Glob(filepath.Join(in.folder, "*.json"))
	slices.Sort(files)
	for _, f := range files {
		var a v1alpha1.Alert
		if err := json.Unmarshal([]byte(in.w.read(f)), &a); err != nil {
			in.w.Errorf("alert in %s: %v", f, err)
		}
		list = append(list, a)
	}
	return list
}

// byWebhook are those that the webhook was given.
func (in *inbox) byWebhook() []v1alpha1.Alert {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.hooked)
}

// words says an alert in a few words.
func words(list []v1alpha1.Alert) (out []string) {
	for _, a := range list {
		out = append(out, strings.TrimSpace(string(a.Kind)+" "+string(a.Blame)))
	}
	return out
}

// --- what was measured -----------------------------------------------------------------------------------------------

// measurement is one line of the table. Times are from the injection on; a negative one was not measured.
type measurement struct {
	test                           string
	detected, confirmed, recovered time.Duration
	set                            bool
	notes                          []string
	failed                         bool
}

func (m *measurement) String() string {
	cell := func(d time.Duration) string {
		if !m.set || d <= 0 {
			return "-"
		}
		return fmt.Sprintf("%.1f", d.Seconds())
	}
	verdict := "ok"
	if m.failed {
		verdict = "FAIL"
	}
	return strings.TrimRight(fmt.Sprintf("%-4s %-28s %9s %10s %10s  %s", verdict, m.test, cell(m.detected), cell(m.confirmed),
		cell(m.recovered), strings.Join(m.notes, "; ")), " ")
}

// times notes when, after the injection, the failure was first seen, when it was confirmed, and when it was mended.
func (m *measurement) times(injected, detected, confirmed, recovered time.Time) {
	m.set = true
	m.detected, m.confirmed, m.recovered = detected.Sub(injected), confirmed.Sub(injected), recovered.Sub(injected)
}

func (m *measurement) add(format string, args ...any) {
	m.notes = append(m.notes, fmt.Sprintf(format, args...))
}

type results struct {
	mu   sync.Mutex
	list []*measurement
}

var measured results

func (r *results) add(m *measurement, failed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.failed = failed
	r.list = append(r.list, m)
	fmt.Println(m)
}

func printTable(to io.Writer) {
	fmt.Fprintf(to, "\n%-4s %-28s %9s %10s %10s  %s\n", "", "test", "detected", "confirmed", "recovered", "(seconds from the injection)")
	for _, m := range measured.list {
		fmt.Fprintln(to, m)
	}
}

// --- when it fails ---------------------------------------------------------------------------------------------------

// dump prints everything that could tell why.
func (w *world) dump() {
	show := func(title, text string) {
		const most = 12 << 10
		if len(text) > most {
			text = "…" + text[len(text)-most:]
		}
		w.Logf("----- %s\n%s", title, text)
	}
	file := func(path string) {
		data, err := os.ReadFile(path)
		if err == nil {
			show(path, string(data))
		}
	}
	for _, s := range w.runs {
		file(s.File)
		file(s.Log)
		var b strings.Builder
		for _, e := range s.journal() {
			fmt.Fprintf(&b, "%s %-18s %-10s %s %s %s\n", e.Time.Format("15:04:05.000"), e.Reason, e.Phase, e.Step, e.Outcome, e.Message)
		}
		show("journal of "+s.App, b.String())
		file(s.stateFile())
		file(filepath.Join(s.StateDir, s.App+".pass.json"))
	}
	var b strings.Builder
	for _, r := range w.pm2List() {
		fmt.Fprintf(&b, "%s id %d pid %d %s, %d restarts\n", r.Name, r.ID, r.PID, r.Env.Status, r.Env.RestartTime)
	}
	show("pm2", b.String())
	logs, _ := filepath.Glob(w.home(".pm2", "logs", "bbyatch-*.log"))
	for _, path := range append(logs, w.home(".pm2", "pm2.log"), w.live("nginx", "error.log")) {
		file(path)
	}
	out, _ := w.command("status").CombinedOutput()
	show("hack/stack status", string(out))
}

func itoa(n int) string { return strconv.Itoa(n) }
