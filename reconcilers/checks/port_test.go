package checks

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/listeners"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

func TestWhoseSocketItIs(t *testing.T) {
	const inode, me = 4711, 1000
	npm := proc{pid: 100, parent: 10, comm: "npm start", env: marked("green-1")}
	server := proc{pid: 101, parent: 100, comm: "next-server (v1", env: marked("green-1"), sockets: []uint64{inode}}
	orphan := func(env ...string) proc {
		return proc{pid: 90, parent: 1, comm: "next-server (v1", env: env, sockets: []uint64{inode}}
	}
	known := func(of string, marks ...string) *v1alpha1.Learned {
		return &v1alpha1.Learned{MarksOf: of, MarksIn: pm2Home, Marks: marks}
	}
	green := row("green", "green-1", npm)
	noAnswer := fmt.Errorf("asking PM2: %w", runtime.ErrPermission)
	for _, tc := range []struct {
		name      string
		processes []proc
		rows      []runtime.Process
		others    []runtime.Process
		err       error
		learned   *v1alpha1.Learned
		openedBy  uint32
		want      facts.Whose
	}{
		{name: "it descends from the row's process", processes: []proc{npm, server}, rows: []runtime.Process{green}, want: facts.Ours},
		{name: "the daemon listens for a cluster", processes: []proc{{pid: 10, parent: 1, comm: "PM2 v7.0.4: God", sockets: []uint64{inode}}, npm},
			rows: []runtime.Process{{Name: "green", ID: "0", State: runtime.Running, PID: 100, Identity: npm.identity(), Cluster: true}}, want: facts.Ours},
		{name: "the daemon itself, and no cluster", processes: []proc{{pid: 10, parent: 1, comm: "PM2 v7.0.4: God", sockets: []uint64{inode}}, npm},
			rows: []runtime.Process{green}, want: facts.Stranger},
		{name: "an orphan with the row's mark", processes: []proc{npm, orphan(marked("green-1")...)}, rows: []runtime.Process{green}, want: facts.OurOrphan},
		{name: "an orphan with a mark of before", processes: []proc{orphan(marked("green-0")...)}, rows: []runtime.Process{row("green", "green-1", proc{})},
			learned: known("green", "green-0"), want: facts.OurOrphan},
		{name: "an orphan of no daemon, with a mark of before", processes: []proc{orphan(marked("green-0")...)}, err: runtime.ErrNoDaemon,
			learned: known("green", "green-0"), want: facts.OurOrphan},
		{name: "the right mark, in another home", processes: []proc{orphan("PM2_HOME=/root/.pm2", "unique_id=green-1")}, rows: []runtime.Process{green}, want: facts.Stranger},
		{name: "the right home, and no mark", processes: []proc{orphan("PM2_HOME=" + pm2Home)}, rows: []runtime.Process{green}, want: facts.Stranger},
		{name: "marks that were those of another name", processes: []proc{orphan(marked("blue-1")...)}, rows: []runtime.Process{row("green", "green-1", proc{})},
			learned: known("blue", "blue-1"), want: facts.Stranger},
		{name: "a live row of another name, and marks that were not forgotten",
			processes: []proc{{pid: 90, parent: 10, comm: "node", env: marked("blue-1"), sockets: []uint64{inode}}},
			others:    []runtime.Process{row("blue", "blue-1", proc{pid: 90})}, learned: known("green", "blue-1"), want: facts.Stranger},
		{name: "below a live row of another name, with a mark of ours",
			processes: []proc{{pid: 80, parent: 10, comm: "npm start"}, {pid: 90, parent: 80, comm: "node", env: marked("green-1"), sockets: []uint64{inode}}},
			rows:      []runtime.Process{row("green", "green-1", proc{})}, others: []runtime.Process{row("blue", "blue-1", proc{pid: 80})}, want: facts.Stranger},
		{name: "the orphan of another name's row", processes: []proc{orphan(marked("blue-1")...)},
			others: []runtime.Process{row("blue", "blue-1", proc{})}, learned: known("green", "blue-1"), want: facts.Stranger},
		{name: "PM2 could not be asked", processes: []proc{orphan(marked("green-1")...)}, err: noAnswer, learned: known("green", "green-1"), want: facts.CannotTell},
		{name: "another user's socket", rows: []runtime.Process{green}, processes: []proc{npm}, openedBy: 33, want: facts.Stranger},
		{name: "another user's socket, and PM2 could not be asked", err: noAnswer, openedBy: 33, want: facts.CannotTell},
		{name: "our user's socket, and nobody is seen to hold it", rows: []runtime.Process{green}, processes: []proc{npm}, openedBy: me, want: facts.CannotTell},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fs := machine(t, withDaemon(tc.processes)...)
			p := &Prober{FS: fs, Runtime: &fakeRuntime{err: tc.err, snapshot: runtime.Snapshot{
				Daemon: runtime.Daemon{Home: pm2Home, PID: 10, Badge: runtime.Badge{HomeVar: "PM2_HOME", MarkVar: "unique_id", Home: pm2Home}}, Processes: tc.rows, Others: tc.others,
			}}}
			app := site("green")
			app.Status.Learned = tc.learned
			l := &look{app: app, uid: me}
			p.lookAround(t.Context(), l)
			owners, err := listeners.Join(fs, []listeners.Listener{{Addr: netip.MustParseAddrPort("[::]:3003"), Inode: inode, UID: tc.openedBy}})
			if err != nil || len(owners) != 1 {
				t.Fatalf("owners %v, error %v", owners, err)
			}
			if owners[0].Known == (tc.openedBy != 0) {
				t.Fatalf("the made-up machine is not what it should be: %+v", owners[0])
			}
			if got := p.Whose(app, l, owners[0]); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

// withDaemon adds PM2's daemon, where it is not there.
func withDaemon(list []proc) []proc {
	if slices.ContainsFunc(list, func(p proc) bool { return p.pid == 10 }) {
		return list
	}
	return append([]proc{{pid: 10, parent: 1, comm: "PM2 v7.0.4: God"}}, list...)
}

func TestPortResult(t *testing.T) {
	listener := func(w facts.Whose) facts.Listener { return facts.Listener{Addr: "[::]:3003", Whose: w, PID: 9} }
	for _, tc := range []struct {
		name    string
		holders []facts.Listener
		err     error
		status  string
		reason  string
	}{
		{"nobody", nil, nil, "False", "NotListening"},
		{"the application", []facts.Listener{listener(facts.Ours)}, nil, "True", "Listening"},
		{"the application beside a stranger", []facts.Listener{listener(facts.Stranger), listener(facts.Ours)}, nil, "True", "Listening"},
		{"a stranger", []facts.Listener{listener(facts.CannotTell), listener(facts.Stranger)}, nil, "False", "HeldByAnother"},
		{"an orphan", []facts.Listener{listener(facts.OurOrphan)}, nil, "False", "HeldByOrphan"},
		{"somebody", []facts.Listener{listener(facts.CannotTell)}, nil, "Unknown", "CannotTell"},
		{"the kernel says nothing", nil, fmt.Errorf("no answer"), "Unknown", "CouldNotAsk"},
	} {
		r := portResult(&look{app: site("green"), holders: tc.holders, portErr: tc.err})
		if string(r.Status) != tc.status || r.Reason != tc.reason || r.Message == "" {
			t.Errorf("%s: %s %s %q, want %s %s", tc.name, r.Status, r.Reason, r.Message, tc.status, tc.reason)
		}
	}
}

// Both listen on the same port, each at an address of its own. It is the application that is asked, at the first look too.
func TestAStrangerAtAnotherAddressIsNotAskedInItsPlace(t *testing.T) {
	app := site("site")
	own := serve(t, "[::1]:0", answer(http.StatusInternalServerError))
	serve(t, fmt.Sprintf("127.0.0.1:%d", own.Port()), answer(http.StatusOK))
	found, err := listeners.Listeners(t.Context(), own.Port())
	if err != nil || len(found) != 2 {
		t.Fatalf("%v, %v", found, err)
	}
	inode := map[bool]uint64{}
	for _, l := range found {
		inode[l.Addr.Addr().Is6()] = l.Inode
	}
	main := proc{pid: 100, parent: 1, comm: "node", sockets: []uint64{inode[true]}}
	stranger := proc{pid: 50, parent: 1, comm: "other", sockets: []uint64{inode[false]}}
	app.Spec.Directory, app.Spec.Port = t.TempDir(), int32(own.Port())
	app.Spec.Recovery.StartupGrace.Duration = time.Second
	p := prober(t)
	p.FS, p.Clock = machine(t, main, stranger), func() v1alpha1.Instant { return moment(time.Minute) }
	rt := &fakeRuntime{snapshot: runtime.Snapshot{Daemon: runtime.Daemon{Home: pm2Home, Reachable: true}, Processes: []runtime.Process{row("site", "m", main)}}}
	p.Runtime = rt
	for look := range 2 {
		o := p.Observe(t.Context(), app, []string{v1alpha1.CheckLocal, v1alpha1.CheckPort})
		local, _ := facts.Of[facts.HTTP](&o, v1alpha1.CheckLocal)
		if o.Status(v1alpha1.CheckLocal) != no || local.Addr != own.String() {
			t.Errorf("look %d: %s asked: %s", look, local.Addr, o.Status(v1alpha1.CheckLocal))
		}
		port, _ := o.Result(v1alpha1.CheckPort)
		want := fmt.Sprintf("the application listens on %s (pid 100); another program listens on 127.0.0.1:%d (pid 50)", own, own.Port())
		if port.Status != yes || port.Message != want {
			t.Errorf("look %d: %s: %q", look, port.Status, port.Message)
		}
	}
	// It has ended, and what is left is the stranger's: the usual address is asked again.
	rt.snapshot.Processes = []runtime.Process{row("site", "m", proc{})}
	o := p.Observe(t.Context(), app, []string{v1alpha1.CheckLocal, v1alpha1.CheckPort})
	if local, _ := facts.Of[facts.HTTP](&o, v1alpha1.CheckLocal); !strings.HasPrefix(local.Addr, "127.0.0.1:") || o.Status(v1alpha1.CheckPort) != no {
		t.Errorf("without it: %s asked, port %s", local.Addr, o.Status(v1alpha1.CheckPort))
	}
}
