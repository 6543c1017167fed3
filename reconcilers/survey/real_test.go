package survey

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/nginx"
	"github.com/evenkeel/evenkeel/reconcilers/pm2"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 40 * time.Second

// pm2World is a PM2_HOME of its own with the real PM2.
type pm2World struct {
	t                  *testing.T
	dir, home, program string
}

func newPM2World(t *testing.T) *pm2World {
	t.Helper()
	cmd := exec.Command("../../hack/lib/pm2")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("this test needs the real PM2, and hack/lib/pm2 could not get it: %v\n%s", err, said.String())
	}
	// A socket's path has 107 bytes at most; the names of tests are longer.
	dir, err := os.MkdirTemp("", "ek-survey-")
	if err != nil {
		t.Fatal(err)
	}
	w := &pm2World{t: t, dir: dir, home: filepath.Join(dir, "h"), program: strings.TrimSpace(string(out))}
	t.Cleanup(func() {
		if len(w.daemons()) > 0 {
			w.pm2("kill")
			w.eventually("PM2's daemon is gone", func() bool { return len(w.daemons()) == 0 })
		}
		_ = os.RemoveAll(dir)
	})
	return w
}

func (w *pm2World) pm2(args ...string) {
	w.t.Helper()
	cmd := exec.Command(w.program, args...)
	cmd.Dir = w.dir
	cmd.Env = []string{"HOME=" + w.dir, "PM2_HOME=" + w.home, "PATH=" + os.Getenv("PATH"), "PM2_DISABLE_VERSION_CHECK=true"}
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("pm2 %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// daemons are the PM2 daemons of this home.
func (w *pm2World) daemons() (found []procfs.Process) {
	fs := procfs.Default()
	all, err := fs.Processes()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range all {
		if args, _ := fs.Cmdline(p.Identity); strings.Contains(strings.Join(args, " "), "God Daemon ("+w.home+")") {
			found = append(found, p)
		}
	}
	return found
}

func (w *pm2World) eventually(what string, is func() bool) {
	w.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !is(); <-tick.C {
		if time.Now().After(end) {
			w.t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func (w *pm2World) write(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		w.t.Fatal(err)
	}
}

// surveyor sees this world: its PM2, its /etc, and front in the place of the internet.
func (w *pm2World) surveyor(front string, env map[string]string) (*Surveyor, func()) {
	getenv := func(name string) string { return env[name] }
	m := pm2.New(pm2.WithEnv(getenv))
	return &Surveyor{
		PM2: m, Getenv: getenv, Etc: filepath.Join(w.dir, "etc"), Spool: filepath.Join(w.dir, "spool"),
		Nginx:   []string{filepath.Join(w.dir, "etc/nginx/nginx.conf")},
		Crontab: func(context.Context) ([]byte, error) { return []byte("* * * * * pm2 restart web\n"), nil },
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, front)
		},
	}, m.Close
}

// freePort is a port on which nobody listens.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

const secret = "hunter2-never-shown"

func TestRealPM2(t *testing.T) {
	w := newPM2World(t)
	port := freePort(t)
	w.write("app/web.js", "require('http').createServer((q, r) => r.end('ok')).listen(Number(process.env.PORT), '127.0.0.1')")
	w.write("app/worker.js", "setInterval(() => {}, 1000)")
	w.write("app/package.json", "{}")
	w.write("app/.next/BUILD_ID", "x")
	w.write("app/.env", "DATABASE_URL=postgres://u:"+secret+"@h/d\n")
	w.write("app/monitor.sh", "# pm2 restart web\nwhile :; do sleep 1; done\n")
	w.write("app/ecosystem.config.js", fmt.Sprintf(`module.exports = {apps: [
  {name: 'web', script: 'web.js', cwd: __dirname, args: '--token %s', env: {PORT: '%d', TOKEN: '%s'}, max_memory_restart: '300M'},
  {name: 'worker', script: 'worker.js', cwd: __dirname},
  {name: 'monitor', script: 'monitor.sh', cwd: __dirname, interpreter: 'bash'},
]}`, secret, port, secret))
	w.write("etc/nginx/nginx.conf", "http { include conf.d/*.conf; }")
	w.write("etc/nginx/conf.d/site.conf", fmt.Sprintf(
		"server {\n  server_name site.test www.site.test;\n  location / { proxy_pass http://127.0.0.1:%d; }\n}", port))
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Host == "site.test" {
			http.Redirect(rw, r, "http://www.site.test"+r.URL.Path, http.StatusMovedPermanently)
		}
	}))
	defer front.Close()
	address := front.Listener.Addr().String()

	s, done := w.surveyor(address, map[string]string{"HOME": w.dir, "PM2_HOME": w.home})
	defer done()
	if _, err := s.Survey(t.Context(), ""); !errors.Is(err, runtime.ErrNoDaemon) || len(w.daemons()) != 0 {
		t.Fatalf("without PM2: %v, %d daemons", err, len(w.daemons()))
	}
	w.pm2("start", "app/ecosystem.config.js")
	w.eventually("the application listens", func() bool {
		c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	daemon := w.daemons()

	f, err := s.Survey(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", f)
	app := filepath.Join(w.dir, "app")
	want := PM2{Process: "web", Rows: 1, Version: "7.0.4", Home: w.home, State: "online", Autorestart: true, MaxMemory: 300 << 20}
	if f.PM2 != want {
		t.Errorf("PM2 %+v", f.PM2)
	}
	if f.Directory != app || f.Ecosystem == nil || *f.Ecosystem != (Ecosystem{"ecosystem.config.js", true}) || !f.Next {
		t.Errorf("folder %s, %+v, Next %v", f.Directory, f.Ecosystem, f.Next)
	}
	if f.Port.Number != port || f.Port.From != FromListener || !slices.Equal(f.Port.Addresses, []string{"127.0.0.1"}) || f.Local == nil || f.Local.Status != 200 {
		t.Errorf("port %+v, local %+v", f.Port, f.Local)
	}
	if len(f.Proxy.Sites) != 1 || f.Proxy.Sites[0].By.Line != 3 || len(f.Public) != 2 {
		t.Fatalf("proxy %+v, public %+v", f.Proxy, f.Public)
	}
	bare, www := f.Public[0], f.Public[1]
	if bare.URL != "http://site.test/" || bare.Answer.Final != "http://www.site.test/" || len(bare.Hops) != 1 || www.Answer.Status != 200 || www.Answer.Final != "" {
		t.Errorf("public %+v", f.Public)
	}
	if !slices.Equal(f.Env.Database, []string{"DATABASE_URL"}) || f.Total == 0 || f.Available == 0 {
		t.Errorf("env %+v, memory %d of %d", f.Env, f.Available, f.Total)
	}
	for _, want := range []Watchdog{
		{What: "the script " + filepath.Join(app, "monitor.sh"), Sure: true}, {What: "a cron job", Where: "crontab -l, line 1", Sure: true},
	} {
		if !slices.ContainsFunc(f.Watchdogs, func(g Watchdog) bool {
			return g.What == want.What && g.Sure == want.Sure && (want.Where == "" || g.Where == want.Where)
		}) {
			t.Errorf("not seen: %+v in %+v", want, f.Watchdogs)
		}
	}
	if raw, err := json.Marshal(f); err != nil || strings.Contains(string(raw), secret) {
		t.Errorf("a secret in %s, %v", raw, err)
	}

	if f, err := s.Survey(t.Context(), "worker"); err != nil || f.PM2.Process != "worker" || f.Port.Number != 0 || f.Local != nil {
		t.Errorf("worker: %+v, %v", f.Port, err)
	}
	var choice *ChoiceError
	if _, err := s.Survey(t.Context(), "nobody"); !errors.As(err, &choice) || len(choice.Apps) != 3 || !strings.Contains(err.Error(), fmt.Sprintf("web (online, answers on %d)", port)) {
		t.Errorf("nobody: %v", err)
	}
	// Where PM2_HOME is not known, the daemon itself tells.
	procs, err := procfs.Default().Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if mine, _ := s.daemons(&machine{procs: procs}); !slices.Contains(mine, w.home) {
		t.Errorf("%s is not among %q", w.home, mine)
	}
	if now := w.daemons(); len(now) != 1 || len(daemon) != 1 || now[0].Identity != daemon[0].Identity {
		t.Errorf("daemon %v before, %v after", daemon, now)
	}
}

func TestDialsNobodyWithoutSites(t *testing.T) {
	s := Surveyor{Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("dialled")
		return nil, errors.New("no")
	}}
	if got := s.askPublic(t.Context(), nil); got != nil {
		t.Errorf("%+v", got)
	}
	s.Dial = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	site := Site{}
	site.Names, site.Listens = []string{"a.example.com"}, []nginx.Listen{{Port: 80}}
	if got := s.askPublic(t.Context(), []Site{site}); len(got) != 1 || got[0].Answer.Class != facts.Refused {
		t.Errorf("%+v", got)
	}
}
