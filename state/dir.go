// Package state keeps on disk what evenkeel knows: for each App the state file that an operator may overrule, the lock of
// its supervisor, the journal, the last pass, and the last good copy of what is desired. It decides nothing and logs
// nothing; whoever holds an App's lock is the only one who writes its files.
package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// systemDir is where a supervisor keeps its state that runs as root.
const systemDir = "/var/lib/evenkeel"

// environment is what the search for the state folder looks at, so that a test can be another user.
type environment struct {
	getenv    func(string) string
	home      func() (string, error)
	root      bool
	systemDir string
}

// thisProcess is the environment of this process.
func thisProcess() environment {
	return environment{getenv: os.Getenv, home: os.UserHomeDir, root: os.Geteuid() == 0, systemDir: systemDir}
}

// Dir is the state folder: the explicit one, else the first of $STATE_DIRECTORY, else /var/lib/evenkeel for root, else
// $XDG_STATE_HOME/evenkeel, else ~/.local/state/evenkeel. It is made (0700) where it does not exist. A folder in which
// everybody may write is refused: what lies there is obeyed.
func Dir(explicit string) (string, error) { return thisProcess().dir(explicit) }

// Where is where Dir would be; nothing is made or looked at.
func Where(explicit string) (string, error) { return thisProcess().resolve(explicit) }

func (e environment) dir(explicit string) (string, error) {
	dir, err := e.resolve(explicit)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making the state folder: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", fmt.Errorf("looking at the state folder: %w", err)
	}
	if info.Mode().Perm()&0o002 != 0 {
		return "", fmt.Errorf("the state folder %s may be written by everybody; chmod o-w %s, or use another --state-dir", dir, dir)
	}
	return dir, nil
}

// resolve says where the state folder is, without making it.
func (e environment) resolve(explicit string) (string, error) {
	if explicit != "" {
		return filepath.Abs(explicit)
	}
	if dir := e.unitDir(); dir != "" {
		return dir, nil
	}
	if e.root {
		return e.systemDir, nil
	}
	return e.userDir()
}

// unitDir is the folder that systemd has made for the unit we run in.
func (e environment) unitDir() string {
	first, _, _ := strings.Cut(e.getenv("STATE_DIRECTORY"), ":")
	if !filepath.IsAbs(first) {
		return ""
	}
	return filepath.Clean(first)
}

// userDir is the folder of a supervisor that runs as a person.
func (e environment) userDir() (string, error) {
	if dir := e.getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) { // what is not absolute is to be ignored
		return filepath.Join(dir, "evenkeel"), nil
	}
	home, err := e.home()
	if err != nil {
		return "", fmt.Errorf("no place for the state folder; give --state-dir: %w", err)
	}
	return filepath.Join(home, ".local", "state", "evenkeel"), nil
}

// Found is a state folder that other commands look into.
type Found struct {
	// Dir is the folder.
	Dir string
	// Holders are the supervisors that run on it; none when nobody does.
	Holders []Holder
	// Unreadable are the places into which this user may not look; there may be another supervisor in them.
	Unreadable []string
}

// Running tells whether a supervisor runs on the folder.
func (f Found) Running() bool { return len(f.Holders) > 0 }

// ErrNoState says that there is no state folder with anything in it.
var ErrNoState = errors.New("no state of evenkeel was found")

// Find finds the state folder for a command that only reads. Of the places in which a supervisor may keep it, it takes
// the one in which a lock is held; two such are an error that names both. Where none is held it takes the first in which
// there are state files. Nothing is made or changed.
func Find(explicit string) (Found, error) { return thisProcess().find(explicit) }

func (e environment) find(explicit string) (Found, error) {
	places, err := e.places(explicit)
	if err != nil {
		return Found{}, err
	}
	var held, idle []Found
	var unreadable []string
	for _, dir := range places {
		apps, holders, err := inspect(dir)
		switch {
		case errors.Is(err, os.ErrPermission):
			unreadable = append(unreadable, dir)
		case err != nil:
			return Found{}, fmt.Errorf("looking into %s: %w", dir, err)
		case len(holders) > 0:
			held = append(held, Found{Dir: dir, Holders: holders})
		case len(apps) > 0:
			idle = append(idle, Found{Dir: dir})
		}
	}
	hint := ""
	if len(unreadable) > 0 {
		hint = fmt.Sprintf(" (not allowed to look into %s)", strings.Join(unreadable, ", "))
	}
	switch {
	case len(held) > 1:
		names := make([]string, len(held))
		for i, f := range held {
			names[i] = fmt.Sprintf("%s (process %d of %s)", f.Dir, f.Holders[0].PID, f.Holders[0].User)
		}
		return Found{}, fmt.Errorf("supervisors run on more than one state folder: %s; choose one with --state-dir",
			strings.Join(names, " and "))
	case len(held) == 1:
		held[0].Unreadable = unreadable
		return held[0], nil
	case len(idle) > 0:
		idle[0].Unreadable = unreadable
		return idle[0], nil
	}
	return Found{Unreadable: unreadable}, fmt.Errorf("%w in %s%s", ErrNoState, strings.Join(places, ", "), hint)
}

// places are all folders in which a supervisor may keep its state, whoever runs it.
func (e environment) places(explicit string) ([]string, error) {
	if explicit != "" {
		dir, err := filepath.Abs(explicit)
		return []string{dir}, err
	}
	var places []string
	if dir := e.unitDir(); dir != "" {
		places = append(places, dir)
	}
	user, err := e.userDir()
	switch {
	case err != nil, e.root:
		places = append(places, e.systemDir)
		if err == nil {
			places = append(places, user)
		}
	default:
		places = append(places, user, e.systemDir)
	}
	var unique []string
	for _, p := range places {
		if !slices.Contains(unique, p) {
			unique = append(unique, p)
		}
	}
	return unique, nil
}

// inspect says which Apps a folder knows, and who supervises them. A folder that does not exist knows none.
func inspect(dir string) (apps []string, holders []Holder, err error) {
	listing, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, entry := range listing {
		name := entry.Name()
		if app, ok := strings.CutSuffix(name, ".yaml"); ok && CheckName(app) == nil {
			apps = append(apps, app)
		}
		if app, ok := strings.CutSuffix(name, ".lock"); ok && CheckName(app) == nil {
			holder, held, err := HolderOf(dir, app)
			if err != nil {
				return nil, nil, err
			}
			if held {
				holders = append(holders, holder)
			}
		}
	}
	return apps, holders, nil
}

// Apps lists the Apps of which a folder holds a state file, sorted.
func Apps(dir string) ([]string, error) {
	apps, _, err := inspect(dir)
	return apps, err
}

// CheckName says what is wrong with an App's name, if anything: it has to be a DNS label, for it becomes part of the
// names of files, in which the dot separates.
func CheckName(app string) error {
	if problems := validation.IsDNS1123Label(app); len(problems) > 0 {
		return fmt.Errorf("%q cannot be the name of an App: %s", app, strings.Join(problems, "; "))
	}
	return nil
}
