package checks

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/dotenv"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// known is what was found out of one life's environment, and by which files. It holds marks of values, made with a key that
// lives and dies with this process, and no value.
type known struct {
	life   string
	stamps string
	start  map[string]string // variable → mark of the value that the files had for it at the start
	facts  facts.Environment
}

// markKey makes the marks worthless to everybody else.
var markKey = func() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it does not fail
	return key
}()

func mark(value string) string {
	h := hmac.New(sha256.New, markKey)
	h.Write([]byte(value))
	return string(h.Sum(nil))
}

// environmentResult says what a restart would change in the application's environment: values are compared and forgotten.
// Files are read again only when one of them has changed.
func (p *Prober) environmentResult(l *look) v1alpha1.CheckResult {
	r := v1alpha1.CheckResult{Status: metav1.ConditionTrue, Reason: "NothingToCompare", Message: "no process to compare with"}
	names, files := envNames(l.app)
	if l.life == "" {
		return r
	}
	began := time.Now()
	stamps, latest := fileStamps(l.app.Spec.Directory, files)
	p.mu.Lock()
	k, seen := p.envs[l.app.Name]
	p.mu.Unlock()
	if !seen || k.life != l.life || k.stamps != stamps {
		if k.life != l.life {
			k = known{}
		}
		started := l.now.Wall.Add(-l.age)
		k = p.compareEnvironment(l, k, names, files, latest, started)
		k.life, k.stamps = l.life, stamps
		if time.Since(began) < factFiles { // else it may be mixed up of two moments
			p.mu.Lock()
			p.envs[l.app.Name] = k
			p.mu.Unlock()
		}
	}
	f := k.facts
	r.Facts = facts.Raw(f)
	r.Reason, r.Message = "Same", "its environment files are as they were at its start"
	switch {
	case len(f.Changed) > 0:
		r.Status, r.Reason = metav1.ConditionFalse, "Changed"
		r.Message = fmt.Sprintf("environment files were changed since its process started: a restart would change %s", strings.Join(f.Changed, ", "))
	case len(f.Later) > 0:
		r.Status, r.Reason = metav1.ConditionFalse, "Later"
		r.Message = fmt.Sprintf("%s was written after its process had started: a restart may change its environment", strings.Join(f.Later, ", "))
	case len(f.Overruled) > 0:
		r.Reason = "Overruled"
		r.Message = fmt.Sprintf("its process was given another %s than its environment files have; what it was given counts", strings.Join(f.Overruled, ", "))
	case len(f.Files) == 0:
		r.Message = "it has no environment files"
	}
	return r
}

// envNames are the variables that are compared, and the files that define them, the deciding one first.
func envNames(app *v1alpha1.App) (names, files []string) {
	names, files = []string{"DATABASE_URL"}, dotenv.NextFiles()
	if d := app.Spec.Checks.Database; d != nil {
		names = d.Require
		if d.EnvFile != ".env" && d.EnvFile != "" {
			files = []string{d.EnvFile}
		}
	}
	return names, files
}

// fileStamps tells whether anything of the files has changed, and when one last did.
func fileStamps(dir string, files []string) (stamps string, latest map[string]time.Time) {
	var b strings.Builder
	latest = map[string]time.Time{}
	for _, name := range files {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			b.WriteString("-;")
			continue
		}
		fmt.Fprintf(&b, "%d %d;", info.ModTime().UnixNano(), info.Size())
		latest[name] = info.ModTime()
	}
	return b.String(), latest
}

// compareEnvironment compares the files as they are with what the process was given, and with what they held when it
// started: that is known where no file was written since, or where this life was seen before that.
func (p *Prober) compareEnvironment(l *look, k known, names, files []string, latest map[string]time.Time, started time.Time) known {
	const slack = 2 * time.Second
	var f facts.Environment
	f.Life = l.life
	for _, name := range files {
		at, exists := latest[name]
		if !exists {
			continue
		}
		f.Files = append(f.Files, name)
		if at.After(started.Add(slack)) {
			f.Later = append(f.Later, name)
		}
	}
	given, err := p.FS.Environ(l.main.Identity, names...)
	if err != nil {
		given = nil
	}
	now := map[string]string{}
	for _, name := range names {
		value, _, ok, err := dotenv.Lookup(l.app.Spec.Directory, name, files...)
		if err != nil {
			continue
		}
		if ok {
			now[name] = mark(value.Reveal())
		}
		if own, has := given[name]; has {
			f.Given = append(f.Given, name)
			if ok && mark(own) != now[name] {
				f.Overruled = append(f.Overruled, name)
			}
		}
	}
	switch {
	case k.start != nil: // this life was seen with the files as they were at its start
		f.Later = nil
		for _, name := range names {
			if now[name] != k.start[name] && !slices.Contains(f.Given, name) {
				f.Changed = append(f.Changed, name)
			}
		}
	case len(f.Later) == 0:
		k.start = now
	}
	k.facts = f
	return k
}
