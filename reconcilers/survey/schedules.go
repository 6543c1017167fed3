package survey

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/bounded"
)

// monitFiles are where Monit's rules lie, below /etc.
var monitFiles = []string{"monit/monitrc", "monitrc", "monit.conf", "monit/conf.d/*", "monit/conf-enabled/*", "monit.d/*"}

// monitNames tells whether Monit's rules name the application. Rules that may not be read are noted.
func (w *watch) monitNames() (names bool) {
	for _, pattern := range monitFiles {
		for _, path := range glob(w.s.Etc, pattern) {
			text, err := bounded.Read(path, maxScript)
			if errors.Is(err, fs.ErrPermission) {
				w.unread(path)
			}
			names = names || mentions(string(text), w.t)
		}
	}
	return names
}

// monit also finds a Monit that does not run now, if its rules name the application.
func (w *watch) monit() {
	for _, found := range w.f.Watchdogs {
		if found.What == "Monit" {
			return
		}
	}
	if w.monitNames() {
		w.add(Watchdog{What: "Monit, which does not run now", Where: filepath.Join(w.s.Etc, "monit"), Sure: true})
	}
}

// cron looks through the cron jobs that this user may read.
func (w *watch) cron(ctx context.Context) {
	for _, pattern := range []string{"crontab", "cron.d/*"} {
		for _, path := range glob(w.s.Etc, pattern) {
			w.crontab(path)
		}
	}
	for _, pattern := range []string{"cron.hourly/*", "cron.daily/*"} {
		for _, path := range glob(w.s.Etc, pattern) {
			if found, sure := w.script(path); found {
				w.add(Watchdog{What: "a cron job", Where: path, Sure: sure})
			}
		}
	}
	for _, pattern := range []string{"crontabs", "tabs", "."} {
		dir := filepath.Join(w.s.Spool, pattern)
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrPermission) {
			w.unread(dir)
		}
		for _, e := range entries {
			if e.Type().IsRegular() {
				w.crontab(filepath.Join(dir, e.Name()))
			}
		}
	}
	if text, err := w.s.Crontab(ctx); err == nil {
		w.lines(string(text), "crontab -l")
	}
}

func (w *watch) crontab(path string) {
	text, err := bounded.Read(path, maxScript)
	if errors.Is(err, fs.ErrPermission) {
		w.unread(path)
	}
	w.lines(string(text), path)
}

// lines judges each line of a crontab, and the scripts that it runs. What runs at boot only watches nothing.
func (w *watch) lines(text, where string) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || strings.HasPrefix(line, "@reboot") {
			continue
		}
		if found, sure := w.command(line); found {
			w.add(Watchdog{What: "a cron job", Where: fmt.Sprintf("%s, line %d", where, n), Sure: sure})
		}
	}
}

// command judges a command line, and the scripts that it runs.
func (w *watch) command(line string) (found, sure bool) {
	found, sure = judge(line, w.t)
	words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t;&|()<>\"'", r) })
	folders := []string{w.t.directory, w.home}
	for _, word := range words {
		if filepath.IsAbs(word) {
			folders = append(folders, word)
		}
	}
	for _, word := range words {
		word = strings.TrimPrefix(strings.TrimPrefix(word, "~/"), "$HOME/")
		places := []string{word}
		if !filepath.IsAbs(word) {
			if !strings.Contains(word, "/") && filepath.Ext(word) == "" {
				continue // a program or an argument
			}
			places = nil
			for _, folder := range folders {
				places = append(places, filepath.Join(folder, word))
			}
		}
		for _, place := range places {
			f, s := w.script(place)
			found, sure = found || f, sure || s
		}
	}
	return found, sure
}

// units looks through the systemd units, of the machine and of this user, that are switched on themselves or by a timer.
func (w *watch) units() {
	for _, dir := range []string{filepath.Join(w.s.Etc, "systemd", "system"), filepath.Join(w.home, ".config", "systemd", "user")} {
		for _, path := range glob(dir, "*.service") {
			name := strings.TrimSuffix(filepath.Base(path), ".service")
			if name+unitSuffix == w.t.process { // the application's own
				continue
			}
			if len(glob(dir, "*.wants/"+name+".service"))+len(glob(dir, "*.wants/"+name+".timer")) == 0 {
				continue
			}
			text, err := bounded.Read(path, maxScript)
			if err != nil {
				continue
			}
			for line := range strings.Lines(string(text)) {
				line = strings.TrimSpace(line)
				if !strings.HasPrefix(line, "ExecStart") || strings.Contains(line, "resurrect") { // PM2's own unit
					continue
				}
				if found, sure := w.command(line[strings.Index(line, "=")+1:]); found {
					w.add(Watchdog{What: "the systemd unit " + name + ".service", Where: path, Sure: sure})
				}
			}
		}
	}
}

// glob is what fits below a folder; hidden files and backups fit nothing.
func glob(dir, pattern string) (list []string) {
	found, _ := filepath.Glob(filepath.Join(dir, pattern)) // our own patterns are right
	for _, path := range found {
		if base := filepath.Base(path); !strings.HasPrefix(base, ".") && !strings.HasSuffix(base, "~") {
			list = append(list, path)
		}
	}
	return list
}

// ownCrontab asks cron for the jobs of this user, which that user may not read as a file.
func ownCrontab(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "crontab", "-l")
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout = &limited{&out, maxScript}
	err := cmd.Run()
	return out.Bytes(), err
}

// limited takes what fits, and lets the rest go.
type limited struct {
	to   *bytes.Buffer
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	take := min(len(b), l.left)
	l.left -= take
	l.to.Write(b[:take])
	return len(b), nil
}
