package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/cmd/unit"
	"github.com/evenkeel/evenkeel/reconcilers/pm2"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"github.com/evenkeel/evenkeel/reconcilers/survey"
	"github.com/evenkeel/evenkeel/state"
	"github.com/evenkeel/evenkeel/state/desired"
)

// owner is the user that evenkeel is to run as.
type owner struct {
	Name, Group, Home string
	UID               int
}

// installer is the machine on which evenkeel is installed.
type installer struct {
	root bool
	uid  int
	self string // this program
	// systemd says that it is the machine's process 1; units is where its unit files lie, lingering where it notes whose
	// service managers go on without a login.
	systemd          bool
	units, lingering string
	rootsOnly        func(path string) error // fails where others than root may replace a file
	polkit           string                  // the rule that lets evenkeel act on the system's units
	systemState      string                  // where a system unit keeps its state
	getenv           func(string) string
	lookup           func(uid int) (owner, error)
	run              func(ctx context.Context, program string, args ...string) (string, error)
	watchdogs        func(ctx context.Context, o owner, app *v1alpha1.App) ([]survey.Watchdog, []string, error)
	places           func(ctx context.Context, o owner, app *v1alpha1.App) []string
}

// thisMachine is the machine that we run on.
func thisMachine() (*installer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	_, err = os.Stat("/run/systemd/system")
	return &installer{
		root: os.Geteuid() == 0, uid: os.Geteuid(), self: self, systemd: err == nil,
		units: "/etc/systemd/system", lingering: "/var/lib/systemd/linger", systemState: "/var/lib/evenkeel",
		polkit: unit.PolkitFile, rootsOnly: rootsOnly,
		getenv: os.Getenv, lookup: lookupOwner, run: runProgram, watchdogs: otherWatchdogs, places: placesOfPM2,
	}, nil
}

func lookupOwner(uid int) (owner, error) {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return owner{}, err
	}
	o := owner{Name: u.Username, Home: u.HomeDir, UID: uid, Group: u.Gid}
	if g, err := user.LookupGroupId(u.Gid); err == nil {
		o.Group = g.Name
	}
	return o, nil
}

func runProgram(ctx context.Context, program string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, program, args...)
	c.Env = append(os.Environ(), "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=")
	if dir := filepath.Dir(program); dir != "." { // a program of node's wants the node beside it
		c.Env = append(c.Env, "PATH="+dir+":"+os.Getenv("PATH"))
	}
	out, err := c.CombinedOutput()
	return string(out), err
}

// asOwner is the environment as the owner has it, for what looks at the owner's things.
func asOwner(o owner) func(string) string {
	return func(name string) string {
		if name == "HOME" {
			return o.Home
		}
		return ""
	}
}

func otherWatchdogs(ctx context.Context, o owner, app *v1alpha1.App) ([]survey.Watchdog, []string, error) {
	manager := pm2.New(pm2.WithEnv(asOwner(o)))
	defer manager.Close()
	s := &survey.Surveyor{PM2: manager, Getenv: asOwner(o)}
	if o.UID != os.Geteuid() {
		s.Crontab = func(ctx context.Context) ([]byte, error) {
			return exec.CommandContext(ctx, "crontab", "-l", "-u", o.Name).Output()
		}
	}
	return s.Watchdogs(ctx, runtime.NameOf(app), app.Spec.Directory, int(app.Spec.Port))
}

func placesOfPM2(ctx context.Context, o owner, app *v1alpha1.App) []string {
	manager := pm2.New(pm2.WithEnv(asOwner(o)))
	defer manager.Close()
	return manager.Places(ctx, app)
}

// plan looks at the machine and says what is to be done. It changes nothing.
func (in *installer) plan(ctx context.Context, files []string, flags installFlags) (*installation, error) {
	p := &installation{kind: systemUnit, self: in.self}
	switch {
	case flags.pm2:
		p.kind = pm2Process
	case flags.user:
		p.kind = userUnit
	}
	if p.kind != pm2Process && !in.systemd {
		return nil, errors.New("this machine does not run under systemd; let PM2 keep evenkeel (--pm2), or run it by hand: evenkeel run -f FILE")
	}
	if p.kind == systemUnit && !in.root && !flags.print {
		return nil, fmt.Errorf("a unit of the machine wants root: sudo %s install -f %s; or take --user", in.self, strings.Join(quoted(files), " -f "))
	}
	for _, f := range files {
		abs, err := filepath.Abs(f)
		if err != nil {
			return nil, fmt.Errorf("finding %s: %w", f, err)
		}
		p.files = append(p.files, abs)
	}
	set := desired.Load(p.files)
	if err := set.Err(); err != nil {
		return nil, err
	}
	for _, e := range set.Apps {
		p.apps = append(p.apps, e.App)
	}
	if len(p.apps) == 0 {
		return nil, fmt.Errorf("%w in %s", desired.ErrNoApp, strings.Join(p.files, ", "))
	}
	var err error
	if p.owner, err = in.owner(p, flags); err != nil {
		return nil, err
	}
	in.checkSelf(p)
	in.findTools(ctx, p)
	if err := in.unit(p, flags); err != nil {
		return nil, err
	}
	if err := in.planSwap(p, flags); err != nil {
		return nil, err
	}
	in.checkOthers(ctx, p, flags)
	in.checkBoot(p)
	return p, nil
}

func quoted(words []string) []string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = shellWord(w)
	}
	return list
}

// owner is whom the service is to run as.
func (in *installer) owner(p *installation, flags installFlags) (owner, error) {
	if p.kind != systemUnit {
		if in.root && p.kind == userUnit {
			return owner{}, usagef("--user is for the user who runs the application; as root, leave it out")
		}
		return in.lookup(in.uid)
	}
	if flags.runAs != "" {
		u, err := user.Lookup(flags.runAs)
		if err != nil {
			return owner{}, fmt.Errorf("--run-as %s: %w", flags.runAs, err)
		}
		uid, err := strconv.Atoi(u.Uid)
		if err != nil {
			return owner{}, fmt.Errorf("--run-as %s: %w", flags.runAs, err)
		}
		return in.lookup(uid)
	}
	uids := map[int]string{}
	for _, app := range p.apps {
		info, err := os.Stat(app.Spec.Directory)
		if err != nil {
			return owner{}, fmt.Errorf("the folder of %s (spec.directory): %w", app.Name, err)
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			uids[int(st.Uid)] = app.Spec.Directory
		}
	}
	for uid, dir := range uids {
		switch {
		case len(uids) > 1:
			return owner{}, errors.New("the applications belong to several users; say whom evenkeel is to run as (--run-as USER), or install one evenkeel for each as a unit of theirs (--user)")
		case uid == 0:
			return owner{}, fmt.Errorf("%s belongs to root, as whom evenkeel need not run; say whom it is to run as: --run-as USER", dir)
		}
		return in.lookup(uid)
	}
	return owner{}, errors.New("whom evenkeel is to run as cannot be told; say so: --run-as USER")
}

// checkSelf sees to it that the program will be there when the machine boots, and is nobody else's.
func (in *installer) checkSelf(p *installation) {
	if path, err := filepath.EvalSymlinks(p.self); err == nil && strings.HasPrefix(path, os.TempDir()+"/") {
		p.against = append(p.against, fmt.Sprintf("%s will not stay where it is; put it in its place first: sudo install %s /usr/local/bin/", p.self, shellWord(p.self)))
	}
	info, err := os.Stat(p.self)
	if err != nil {
		return
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && p.kind == systemUnit && (info.Mode().Perm()&0o002 != 0 || st.Uid != 0 && int(st.Uid) != p.owner.UID) {
		p.warnings = append(p.warnings, p.self+" can be replaced by another user than root and "+p.owner.Name+"; put it where it cannot: sudo install "+shellWord(p.self)+" /usr/local/bin/")
	}
}

// unit writes the unit, and compares it with the one that is there.
func (in *installer) unit(p *installation, flags installFlags) error {
	if p.kind == pm2Process {
		return nil
	}
	u := unit.Unit{Program: p.self, Files: p.files, Path: p.tools.path}
	p.path = in.unitPath(p.kind, p.owner)
	if p.kind == systemUnit {
		u.User, u.Group = p.owner.Name, p.owner.Group
	}
	for _, app := range p.apps {
		u.Keeps = u.Keeps || app.Spec.Runtime.Exec != nil
		// Never after the application's own unit: systemd would not start that while evenkeel, which waits for it, is stopped. After
		// the user's manager, what lives in it outlives evenkeel when the machine goes down.
		if p.kind == systemUnit && inUsersManager(app, p.owner) {
			if manager := fmt.Sprintf("user@%d.service", p.owner.UID); !slices.Contains(u.After, manager) {
				u.After = append(u.After, manager)
			}
		}
		if app.Spec.Runtime.PM2 == nil || p.kind != systemUnit {
			continue
		}
		if boot := pm2.AtBoot(pm2Home(app, p.owner), app.Spec.Runtime.PM2.Process); boot.Unit != "" && !slices.Contains(u.After, boot.Unit) {
			u.After = append(u.After, boot.Unit)
		}
	}
	var err error
	if p.text, err = u.Text(); err != nil {
		return err
	}
	old, err := os.ReadFile(p.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	p.before = string(old)
	had, ours := unit.Files(p.before)
	switch {
	case flags.force || p.before == "":
	case !ours:
		p.against = append(p.against, fmt.Sprintf("%s is there, and was not written by evenkeel install; move it away, or take --force", p.path))
	default:
		for _, f := range had {
			if !slices.Contains(p.files, f) {
				p.against = append(p.against, fmt.Sprintf("the installed evenkeel supervises %s, which would not be supervised any more; name it too: -f %s, or take --force", f, shellWord(f)))
			}
		}
	}
	return nil
}

// inUsersManager tells whether an App lives in the service manager of the user whom evenkeel runs as: a unit of it, or a process that
// evenkeel starts itself and gives a unit there.
func inUsersManager(app *v1alpha1.App, o owner) bool {
	systemd := app.Spec.Runtime.Systemd
	return systemd != nil && systemd.User || app.Spec.Runtime.Exec != nil && o.UID != 0
}

func (in *installer) unitPath(k kind, o owner) string {
	if k == userUnit {
		return filepath.Join(o.Home, ".config/systemd/user", unit.Name)
	}
	return filepath.Join(in.units, unit.Name)
}

// pm2Home is where PM2 lives for a service of the owner's, which has no PM2_HOME in its environment.
func pm2Home(app *v1alpha1.App, o owner) string {
	if home := app.Spec.Runtime.PM2.Home; home != "" {
		return filepath.Clean(home)
	}
	return filepath.Join(o.Home, ".pm2")
}

// checkOthers looks for others who act on the applications: watchdogs, and other evenkeels.
func (in *installer) checkOthers(ctx context.Context, p *installation, flags installFlags) {
	mine := in.mainPID(ctx, p.kind)
	for _, app := range p.apps {
		if app.Spec.Runtime.PM2 != nil && app.Spec.Runtime.PM2.Process == pm2Name {
			p.against = append(p.against, fmt.Sprintf("%s is the PM2 process of evenkeel itself", app.Name))
		}
		for _, dir := range []string{in.systemState, filepath.Join(p.owner.Home, ".local/state/evenkeel")} {
			holder, held, err := state.HolderOf(dir, app.Name)
			if err != nil || !held || holder.PID == mine && mine != 0 {
				continue
			}
			if p.kind == pm2Process && strings.Contains(holder.Command, p.self+" run") && in.managed(ctx, p) {
				continue // it is the one that is started anew
			}
			p.against = append(p.against, (&state.LockedError{Holder: holder}).Error()+"; end that one first")
		}
		found, unread, err := in.watchdogs(ctx, p.owner, app)
		if err != nil {
			p.warnings = append(p.warnings, fmt.Sprintf("whether another watchdog is at work on %s could not be found out: %v", app.Name, err))
		}
		sure, unsure := watchdogsText(app, found)
		p.warnings = append(p.warnings, unsure...)
		if flags.force {
			p.warnings = append(p.warnings, sure...)
		} else {
			p.against = append(p.against, sure...)
		}
		if len(unread) > 0 {
			p.notes = append(p.notes, "another watchdog could hide where this user may not look: "+strings.Join(unread, ", "))
		}
	}
	for _, other := range []kind{systemUnit, userUnit} {
		if other == p.kind {
			continue
		}
		path := in.unitPath(other, p.owner)
		if text, err := os.ReadFile(path); err == nil {
			if files, ours := unit.Files(string(text)); ours && slices.ContainsFunc(files, func(f string) bool { return slices.Contains(p.files, f) }) {
				p.against = append(p.against, fmt.Sprintf("%s supervises the same file; uninstall that one first", path))
			}
		}
	}
}

// mainPID is the process of the installed evenkeel; 0 where none runs.
func (in *installer) mainPID(ctx context.Context, k kind) int {
	args := []string{"show", "-p", "MainPID", "--value", unit.Name}
	switch k {
	case pm2Process:
		return 0
	case userUnit:
		args = append([]string{"--user"}, args...)
	}
	out, err := in.run(ctx, "systemctl", args...)
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(out)) // what is no number is no process
	return pid
}

// managed tells whether PM2 keeps an evenkeel already.
func (in *installer) managed(ctx context.Context, p *installation) bool {
	_, err := in.run(ctx, p.tools.pm2, "describe", pm2Name)
	return err == nil
}

// active tells whether the installed evenkeel runs.
func (in *installer) active(ctx context.Context, k kind) bool {
	args := []string{"is-active", "--quiet", unit.Name}
	if k == userUnit {
		args = append([]string{"--user"}, args...)
	}
	_, err := in.run(ctx, "systemctl", args...)
	return err == nil
}

// checkBoot looks at what happens when the machine boots.
func (in *installer) checkBoot(p *installation) {
	usesManager := false // what lives in the service manager of the user: PM2, where evenkeel brings it back, a unit, or what evenkeel keeps itself
	for _, app := range p.apps {
		usesManager = usesManager || inUsersManager(app, p.owner)
		if systemd := app.Spec.Runtime.Systemd; systemd != nil {
			in.checkRights(p, systemd)
		}
		if app.Spec.Runtime.PM2 == nil {
			continue
		}
		usesManager = true
		home, process := pm2Home(app, p.owner), app.Spec.Runtime.PM2.Process
		boot := pm2.AtBoot(home, process)
		if !boot.Enabled {
			p.warnings = append(p.warnings, fmt.Sprintf("no unit brings PM2 (%s) back when the machine boots, so that all of it comes back only as evenkeel finds it gone. This makes one: %s", home, p.startup(home)))
		}
		if !boot.Saved {
			p.warnings = append(p.warnings, fmt.Sprintf("%s is not among what PM2 has saved (%s), and would not come back with it: pm2 save", process, home))
		}
	}
	if p.kind == userUnit || p.kind == systemUnit && usesManager && p.owner.UID != 0 {
		_, err := os.Stat(filepath.Join(in.lingering, p.owner.Name))
		p.lingers = err != nil
	}
	if p.kind == pm2Process {
		p.notes = append(p.notes, "PM2 forgets it with the next reboot, unless you save it: pm2 save")
	}
	if note := p.swapNote(); note != "" {
		p.notes = append(p.notes, note)
	}
}
