package checks

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/listeners"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// grouped writes the control groups of processes down, in a hierarchy of its own, and gives each group's number.
func grouped(t *testing.T, proc string, of map[int]string) map[string]uint64 {
	t.Helper()
	point := t.TempDir()
	write(t, filepath.Join(proc, "self/mountinfo"), "35 24 0:30 / "+point+" rw shared:9 - cgroup2 cgroup2 rw\n")
	numbers := map[string]uint64{}
	for pid, group := range of {
		write(t, filepath.Join(proc, strconv.Itoa(pid), "cgroup"), "0::"+group+"\n")
		write(t, filepath.Join(point, group, "cgroup.procs"), "")
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(point, group), &st); err != nil {
			t.Fatal(err)
		}
		numbers[group] = st.Ino
	}
	return numbers
}

func TestWhoseSocketItIsThatNobodyIsSeenToHold(t *testing.T) {
	const (
		deploy, www, other = 1000, 33, 34
		web, php, pm2      = "/system.slice/web.service", "/system.slice/php.service", "/system.slice/pm2-deploy.service"
	)
	process := func(pid int, uid uint32) procfs.Process {
		return procfs.Process{Identity: procfs.Identity{PID: pid, StartTicks: uint64(pid)}, UID: uid, State: procfs.Sleeping}
	}
	daemon, unit, own, child, stranger := process(10, deploy), process(100, www), process(100, deploy), process(101, deploy), process(50, www)
	groups := map[int]string{10: pm2, 50: php, 70: "/user.slice/session-3.scope", 100: web, 101: web}
	inPM2 := map[int]string{10: pm2, 50: php, 70: "/user.slice/session-3.scope", 100: pm2, 101: pm2}
	reused := unit
	reused.StartTicks++
	type list = []procfs.Process
	for _, tc := range []struct {
		name     string
		own      list
		unseen   list
		openedBy uint32
		openedIn string // a control group; the kernel does not tell if empty
		groups   map[int]string
		hidden   bool
		cluster  string // "ours" or "others"
		want     facts.Whose
	}{
		// A unit with another User= than evenkeel's.
		{name: "the unit's user, and nobody else of it", own: list{unit}, unseen: list{unit, process(1, 0)}, openedBy: www, want: facts.Ours},
		{name: "the unit's user, and another of it could have it", own: list{unit}, unseen: list{unit, stranger}, openedBy: www, want: facts.CannotTell},
		{name: "opened in the unit, and another of its user is elsewhere", own: list{unit}, unseen: list{unit, stranger}, openedBy: www, openedIn: web, groups: groups, want: facts.Ours},
		{name: "opened by another service of the same user", own: list{unit}, unseen: list{unit, stranger}, openedBy: www, openedIn: php, groups: groups, want: facts.CannotTell},
		{name: "opened in the unit as root, before it gave its rights up", own: list{unit}, unseen: list{unit, stranger}, openedBy: 0, openedIn: web, groups: groups, want: facts.Ours},
		{name: "opened in the unit, by what outlived an earlier life", own: list{process(101, www)}, unseen: list{process(101, www), unit}, openedBy: www, openedIn: web, groups: groups, want: facts.CannotTell},
		{name: "the unit's process has ended, and another of its number is there", own: list{unit}, unseen: list{reused}, openedBy: www, want: facts.CannotTell},
		{name: "the unit's processes may be looked into, and have it not", own: list{unit}, openedBy: www, want: facts.CannotTell},
		{name: "not all that run are listed", own: list{unit}, unseen: list{unit}, openedBy: www, hidden: true, want: facts.CannotTell},
		{name: "the groups are not known", own: list{unit}, unseen: list{unit}, openedBy: www, openedIn: web, want: facts.Ours},
		{name: "a user that is neither", own: list{unit}, unseen: list{unit, process(60, other)}, openedBy: other, want: facts.Stranger},
		{name: "a user that is neither, in a group of its own", own: list{unit}, unseen: list{unit, stranger}, openedBy: other, openedIn: php, groups: groups, want: facts.Stranger},
		{name: "the unit does not run", unseen: list{stranger}, openedBy: www, openedIn: php, groups: groups, want: facts.Stranger},

		// A program with file capabilities, of evenkeel's own user.
		{name: "sealed, and nobody else is", own: list{own, child}, unseen: list{own, child, process(1, 0)}, openedBy: deploy, want: facts.Ours},
		{name: "sealed, and so is another's", own: list{own}, unseen: list{own, process(70, deploy)}, openedBy: deploy, want: facts.CannotTell},
		{name: "sealed, and so is a login of the same user", own: list{own}, unseen: list{own, process(70, deploy)}, openedBy: deploy, openedIn: pm2, groups: inPM2, want: facts.Ours},
		{name: "sealed, and a login of the same user listens", own: list{own}, unseen: list{own, process(70, deploy)}, openedBy: deploy, openedIn: "/user.slice/session-3.scope", groups: inPM2, want: facts.CannotTell},
		{name: "PM2's daemon is sealed too", own: list{own}, unseen: list{daemon, own}, openedBy: deploy, openedIn: pm2, groups: inPM2, want: facts.Ours},
		{name: "PM2's daemon, which listens for a cluster of ours", own: list{own}, unseen: list{daemon, own}, openedBy: deploy, cluster: "ours", want: facts.Ours},
		{name: "PM2's daemon, which listens for another's cluster", own: list{own}, unseen: list{daemon, own}, openedBy: deploy, cluster: "others", want: facts.CannotTell},
		{name: "PM2's daemon alone is sealed", own: list{own}, unseen: list{daemon}, openedBy: deploy, want: facts.CannotTell},
		{name: "another row's is sealed as well", own: list{own}, unseen: list{daemon, own, child}, openedBy: deploy, openedIn: pm2, groups: inPM2, want: facts.CannotTell},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, pid := range []int{10, 50, 70, 100, 101} {
				write(t, filepath.Join(dir, strconv.Itoa(pid), "stat"), strconv.Itoa(pid)+" (node) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 "+strconv.Itoa(pid)+" 1000000 100\n")
			}
			o := listeners.Owner{Listener: listeners.Listener{Addr: netip.MustParseAddrPort("[::]:3003"), Inode: 4711, UID: tc.openedBy}, Unseen: tc.unseen, Hidden: tc.hidden}
			if o.Group = 99; tc.openedIn == "" {
				o.Group = 0
			}
			if tc.groups != nil {
				o.Group = grouped(t, dir, tc.groups)[tc.openedIn]
				// Of who is not among the made-up machine's the group is not asked: he has ended.
			}
			cluster := []runtime.Process{{Cluster: true, PID: 100, Identity: own.Identity}}
			l := &look{uid: deploy, tree: map[int]procfs.Process{}, snapshot: runtime.Snapshot{Daemon: runtime.Daemon{PID: 10, Identity: daemon.Identity}}}
			switch tc.cluster {
			case "ours":
				l.snapshot.Processes = cluster
			case "others":
				l.snapshot.Others = cluster
			}
			for _, proc := range tc.own {
				l.tree[proc.PID] = proc
			}
			p := &Prober{FS: procfs.New(dir)}
			if got := p.Whose(site("green"), l, o); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
			sealed := tc.openedBy == deploy && slices.ContainsFunc(tc.own, func(p procfs.Process) bool {
				return slices.ContainsFunc(tc.unseen, func(u procfs.Process) bool { return u.Identity == p.Identity })
			})
			if got := ownIsSealed(l, o); got != sealed {
				t.Errorf("its own process may not be looked into: %t, want %t", got, sealed)
			}
		})
	}
}

// Why it cannot be told is said, and what to do; a pid is named only where there is one.
func TestPortResultOfASealedProcess(t *testing.T) {
	for whose, begin := range map[facts.Whose]string{
		facts.Ours:       "the application listens on [::]:3003; the application's own process may not be looked at, as one with file capabilities: getcap ",
		facts.CannotTell: "somebody listens on [::]:3003; whose process it is cannot be seen by this user; the application's own process may not be looked at",
	} {
		l := &look{app: site("green"), now: moment(time.Minute), sealed: true, holders: []facts.Listener{{Addr: "[::]:3003", Whose: whose}}}
		if r := portResult(l); !strings.HasPrefix(r.Message, begin) || !strings.HasSuffix(r.Message, "getcap $(readlink -f $(command -v node))") {
			t.Errorf("%s: %q", whose, r.Message)
		}
	}
	r := portResult(&look{app: site("green"), holders: []facts.Listener{{Addr: "[::]:3003", Whose: facts.Stranger}}})
	if r.Message != "another program listens on [::]:3003" {
		t.Errorf("%q", r.Message)
	}
}
