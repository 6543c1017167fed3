package survey

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/evenkeel/evenkeel/reconcilers/bounded"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// target is the application as a watchdog would name it.
type target struct {
	process, directory string
	port               int
}

// restarts is what ends or restarts processes of PM2's, or whatever holds a port.
var restarts = regexp.MustCompile(`\bpm2\b[^\n;|&#]*\b(restart|reload|startOrRestart|startOrReload|gracefulReload|start|stop|delete)\b|` +
	`\b(pkill|killall|fuser|lsof)\b[^\n#]*(\bnode\b|\bnext\b|\bkill\b|:[0-9]+|[0-9]+/tcp)|` +
	`\bsystemctl\b[^\n;|&#]*\brestart\b[^\n;|&#]*\bpm2`)

// judge tells whether a text, a script or a line of one, is somebody who restarts the application. sure is false where it
// restarts something and does not name the application.
func judge(text string, t target) (found, sure bool) {
	switch {
	case strings.Contains(text, "evenkeel"):
		return false, false
	case strings.HasSuffix(t.process, unitSuffix) && steersUnit(t.process).MatchString(text):
		return true, true
	case !restarts.MatchString(text):
		return false, false
	}
	return true, mentions(text, t)
}

func mentions(text string, t target) bool {
	if t.directory != "" && strings.Contains(text, t.directory) || regexp.MustCompile(`\bpm2\s+(restart|reload|stop)\s+all\b`).MatchString(text) {
		return true
	}
	word := regexp.MustCompile(`(^|[^\w.-])` + regexp.QuoteMeta(t.process) + `($|[^\w.-])`)
	if word.MatchString(text) {
		return true
	}
	return t.port != 0 && regexp.MustCompile(fmt.Sprintf(`\b%d\b`, t.port)).MatchString(text)
}

// watchdogs looks for others who restart the application.
func (s *Surveyor) watchdogs(ctx context.Context, f *Facts, m *machine, app *candidate) {
	w := &watch{s: s, t: target{process: app.name, directory: f.Directory, port: f.Port.Number}, home: s.Getenv("HOME"), f: f}
	w.processes(m, app)
	for _, name := range m.modules {
		if watchful.MatchString(name) {
			w.add(Watchdog{What: "the PM2 module " + name, Where: "pm2 ls", Sure: true})
		}
	}
	w.monit()
	w.cron(ctx)
	w.units()
}

// watchful is what modules of PM2 that restart applications call themselves.
var watchful = regexp.MustCompile(`(?i)health|heal\b|watchdog|auto-?restart|keep-?alive`)

type watch struct {
	s    *Surveyor
	t    target
	home string
	f    *Facts
}

func (w *watch) add(found Watchdog) {
	const most = 20
	if len(w.f.Watchdogs) < most && !slices.Contains(w.f.Watchdogs, found) {
		w.f.Watchdogs = append(w.f.Watchdogs, found)
	}
}

func (w *watch) unread(what string) {
	if !slices.Contains(w.f.Unread, what) {
		w.f.Unread = append(w.f.Unread, what)
	}
}

// script judges a file; a file that cannot be read or is no text is none.
func (w *watch) script(path string) (found, sure bool) {
	text, err := bounded.Read(path, maxScript)
	if err != nil || slices.Contains(text, 0) {
		return false, false
	}
	return judge(string(text), w.t)
}

// interpreters are the programs that run what people write to watch something.
var interpreters = regexp.MustCompile(`^(ba|da|z|k|a)?sh$|^(python|perl|ruby|php|node)[0-9.]*$`)

// processes looks at everything that runs and is neither of the application, nor PM2, nor what has started us.
func (w *watch) processes(m *machine, app *candidate) {
	skip := map[int]bool{os.Getpid(): true, m.daemon.PID: true}
	for _, p := range m.procs.Ancestors(os.Getpid()) {
		skip[p.PID] = true
	}
	for i := range app.rows {
		for _, p := range app.rows[i].Tree(&m.procs) {
			skip[p.PID] = true
		}
	}
	for i := range m.procs.Processes {
		p := &m.procs.Processes[i]
		if skip[p.PID] || p.Kernel || !p.Alive() {
			continue
		}
		args, err := w.s.FS.Cmdline(p.Identity)
		if err != nil || len(args) == 0 {
			continue
		}
		switch {
		case p.Comm == "monit":
			w.add(Watchdog{What: "Monit", Where: fmt.Sprintf("process %d", p.PID), Sure: w.monitNames()})
		case strings.Contains(strings.Join(args[:min(len(args), 3)], " "), "autoheal"):
			w.add(Watchdog{What: "autoheal", Where: fmt.Sprintf("process %d", p.PID)})
		default:
			w.process(p, args)
		}
	}
}

// process looks at what an interpreter runs.
func (w *watch) process(p *procfs.Process, args []string) {
	if !interpreters.MatchString(filepath.Base(args[0])) {
		return
	}
	for i, a := range args[1:] {
		if a == "-c" && i+2 < len(args) {
			if found, sure := judge(args[i+2], w.t); found {
				w.add(Watchdog{What: "a command of " + filepath.Base(args[0]), Where: fmt.Sprintf("process %d", p.PID), Sure: sure})
			}
			return
		}
		if strings.HasPrefix(a, "-") {
			continue
		}
		if !filepath.IsAbs(a) {
			cwd, err := w.s.FS.Cwd(p.Identity)
			if err != nil {
				return
			}
			a = filepath.Join(cwd, a)
		}
		if found, sure := w.script(a); found {
			w.add(Watchdog{What: "the script " + a, Where: fmt.Sprintf("process %d", p.PID), Sure: sure})
		}
		return
	}
}

// Watchdogs looks for others who restart an application, whoever keeps its processes: by the name of its process, its folder
// and its port. unread says where one could hide that this user may not look.
func (s *Surveyor) Watchdogs(ctx context.Context, process, directory string, port int) (found []Watchdog, unread []string, err error) {
	s.setUp()
	app := &candidate{name: process}
	m, err := s.look(ctx, process)
	if err != nil { // PM2 is not there, or not to be asked; everybody else is looked at all the same
		procs, err := s.FS.Snapshot()
		if err != nil {
			return nil, nil, fmt.Errorf("reading the processes: %w", err)
		}
		m = &machine{procs: procs}
	}
	for i := range m.apps {
		if m.apps[i].name == process {
			app = &m.apps[i]
		}
	}
	f := &Facts{Directory: directory, Port: Port{Number: port}}
	s.watchdogs(ctx, f, m, app)
	return f.Watchdogs, f.Unread, ctx.Err()
}
