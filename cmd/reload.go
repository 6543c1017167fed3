package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller"
	"github.com/evenkeel/evenkeel/state"
	"github.com/evenkeel/evenkeel/state/desired"
)

// begin starts with what the desired files hold; where a file is broken, with the last good copy of its Apps.
func (s *supervisor) begin(ctx context.Context) error {
	set := desired.Load(s.paths)
	type first struct {
		entry    *desired.Entry
		rejected error
	}
	var firsts []first
	for _, e := range set.Apps {
		firsts = append(firsts, first{entry: e})
	}
	if err := set.Err(); err != nil {
		for _, e := range s.goodCopies(set) {
			firsts = append(firsts, first{entry: e, rejected: problemsOf(set, e.File, e.App.Name)})
		}
		if len(firsts) == 0 {
			return &usageError{fmt.Errorf("no App can be supervised:\n%w", err)}
		}
	}
	s.tellBroken(set)
	if len(firsts) == 0 {
		return &usageError{fmt.Errorf("no App is desired in %s", strings.Join(s.paths, ", "))}
	}
	var failures []error
	for _, f := range firsts {
		if err := s.start(ctx, f.entry, f.rejected); err != nil {
			failures = append(failures, err)
		}
	}
	if len(s.apps) == 0 {
		return &startError{errors.Join(failures...)}
	}
	return nil // the first reload tells of the rest, and tries it again
}

// tellBroken tells the mistakes of the desired files, as often as they change. Whose App it is that cannot be read is
// known only of those that are supervised already; those are told by their own loops too.
func (s *supervisor) tellBroken(set *desired.Set) {
	text := ""
	if err := set.Err(); err != nil {
		text = err.Error()
	}
	if text == s.broken {
		return
	}
	s.broken = text
	if text == "" {
		s.log.Info("desired state has no mistakes any more")
		return
	}
	s.log.WithField("error", text).Error("desired state has mistakes; what is good of it is in force")
}

// goodCopies are the last good copies of those Apps whose file has mistakes now and that the files do not hold otherwise.
func (s *supervisor) goodCopies(set *desired.Set) []*desired.Entry {
	names, err := state.Apps(s.dir)
	if err != nil {
		return nil
	}
	var list []*desired.Entry
	for _, name := range names {
		if set.App(name) != nil {
			continue
		}
		kept, err := state.ReadDesired(s.dir, name)
		if err != nil || problemsOf(set, kept.Source, name) == nil {
			continue
		}
		e := desired.Parse(kept.Document, kept.Source).App(name)
		if e == nil {
			continue
		}
		if n := slices.IndexFunc(set.Apps, func(other *desired.Entry) bool { return sameApplication(other.App, e.App) }); n >= 0 {
			s.log.WithField("app", name).Errorf("last good spec is not used: its process or its port %d is that of App %s now", e.App.Spec.Port, set.Apps[n].App.Name)
			continue
		}
		list = append(list, e)
	}
	return list
}

// problemsOf is why an App cannot be read from where it came from; nil where it was taken out of its file, or the file was
// removed from its folder. A file that is there and cannot be read, a folder that cannot be looked into or is not there
// (a disk that is not mounted) is trouble: the last good spec stays in force.
func problemsOf(set *desired.Set, file, name string) error {
	for _, r := range set.Rejected {
		if r.Name == name {
			return r.Problems.Err()
		}
	}
	if _, err := os.Lstat(file); errors.Is(err, os.ErrNotExist) {
		if _, err := os.ReadDir(filepath.Dir(file)); err != nil {
			return fmt.Errorf("the folder of %s cannot be read: %w", file, err)
		}
		return nil
	} else if err != nil {
		return fmt.Errorf("the desired state cannot be read: %w", err)
	}
	for _, r := range set.Rejected {
		if r.Name == "" && r.File == file {
			return r.Problems.Err()
		}
	}
	for _, f := range set.Files {
		if f.Err != nil && (f.Path == file || f.Path == filepath.Dir(file)) {
			return f.Problems.Err()
		}
	}
	return nil
}

// reload brings the loops in line with the desired files. It gives the time after which it is to be called again; 0 means
// not before the files change.
func (s *supervisor) reload(ctx context.Context) time.Duration {
	set := desired.Load(s.paths)
	s.tellBroken(set)
	now := s.clock()
	var again time.Duration
	soon := func(d time.Duration) {
		if d > 0 && (again == 0 || d < again) {
			again = max(d, time.Millisecond)
		}
	}
	for name, a := range s.apps {
		if isClosed(a.ended) {
			s.forget(name, a)
		}
	}
	for _, e := range set.Apps {
		a, known := s.apps[e.App.Name]
		switch {
		case known && a.leaving:
			soon(removalGrace) // it comes back as soon as it has gone
		case known:
			s.update(a, e)
		default:
			soon(s.take(ctx, set, e))
		}
	}
	for name, a := range s.apps {
		switch {
		case set.App(name) != nil:
			continue
		case a.leaving:
			soon(removalGrace)
			continue
		}
		if err := problemsOf(set, a.file, name); err != nil {
			a.missingSince = v1alpha1.Instant{}
			if text := err.Error(); text != a.rejected {
				a.rejected = text
				offer(a.specs, controller.SpecUpdate{App: a.app.DeepCopy(), Rejected: err})
			}
			soon(retryAfter)
			continue
		}
		if a.missingSince.IsZero() {
			a.missingSince = now
		}
		if left := removalGrace - now.Since(a.missingSince); left > 0 {
			soon(left)
			continue
		}
		s.log.WithField("app", name).Warn("App was removed from the desired state; its supervision ends, it is left as it is")
		s.end(a)
		soon(time.Second)
	}
	return again
}

// take takes up supervision of an App that is new in the desired files. It gives the time after which it is to be tried
// again; 0 means that it is supervised.
func (s *supervisor) take(ctx context.Context, set *desired.Set, e *desired.Entry) time.Duration {
	if old := s.inTheWay(set, e.App); old != nil {
		if err := problemsOf(set, old.file, old.app.Name); err != nil {
			s.refuse(e.App, fmt.Errorf("its process or its port %d is that of App %s, whose last good spec is in force because its file cannot be read: %w",
				e.App.Spec.Port, old.app.Name, err))
			return retryAfter
		}
		// It is the same application under a new name. Two supervisors of it would restart each other's restarts.
		if !old.leaving {
			s.log.WithField("app", old.app.Name).Infof("App is called %s now", e.App.Name)
			s.end(old)
		}
		return goneAfter
	}
	if err := s.start(ctx, e, nil); err != nil {
		s.refuse(e.App, err)
		return retryAfter
	}
	delete(s.refused, e.App.Name)
	return 0
}

// inTheWay is the supervised App that has the process or the port of a new one, and that the desired files do not hold.
// (Of two that they hold, desired.Load refuses both.)
func (s *supervisor) inTheWay(set *desired.Set, app *v1alpha1.App) *supervised {
	for name, a := range s.apps {
		if set.App(name) == nil && sameApplication(a.app, app) {
			return a
		}
	}
	return nil
}

// sameApplication tells whether two Apps are about one application, whatever they are called.
func sameApplication(a, b *v1alpha1.App) bool {
	return a.Spec.Port == b.Spec.Port || apiequality.Semantic.DeepEqual(a.Spec.Runtime, b.Spec.Runtime)
}

// goneAfter is how soon after its supervision was ended an App is looked for again.
const goneAfter = 200 * time.Millisecond

// retryAfter is how long after a failure an App that cannot be supervised, or a file that cannot be read, is tried again.
const retryAfter = 5 * time.Second

// refuse tells, once, that an App which was added cannot be supervised.
func (s *supervisor) refuse(app *v1alpha1.App, err error) {
	if s.refused[app.Name] {
		return
	}
	s.refused[app.Name] = true
	s.log.WithError(err).WithField("app", app.Name).Error("an App that was added cannot be supervised; it is tried again")
	s.sink(app.Name, nil).Alert(app, v1alpha1.Alert{
		Time: s.clock().Wall, Kind: v1alpha1.AlertSpecRejected, App: app.Name, Reason: "NotSupervised",
		Message: "an App that was added cannot be supervised: " + err.Error(),
	}, func() {})
}
