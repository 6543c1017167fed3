package checks

import (
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/listeners"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// TestWhereElseTheApplicationListens: what is its own, and meant for others.
func TestWhereElseTheApplicationListens(t *testing.T) {
	sockets := listenersAt("[::]:3003", "127.0.0.1:3004", "0.0.0.0:9464", "127.0.0.1:40001", "[::1]:40002", "0.0.0.0:40003", "127.0.0.1:9229", "127.0.0.1:9333", "[::]:80")
	for n := range sockets {
		sockets[n].Inode = uint64(n + 1)
	}
	const own, near, metrics, ipc, ipc6, high, inspector, inspect, nginx = 1, 2, 3, 4, 5, 6, 7, 8, 9
	daemon := proc{pid: 10, parent: 1, comm: "PM2 v7.0.4: God"}
	npm := proc{pid: 100, parent: 10, comm: "npm start"}
	server := func(env []string, args []string, sockets ...uint64) proc {
		return proc{pid: 101, parent: 100, comm: "next-server (v1", args: args, env: env, sockets: sockets}
	}
	web := proc{pid: 50, parent: 1, comm: "nginx", sockets: []uint64{nginx}}
	listening := daemon
	listening.sockets = []uint64{near}
	cluster := func(name string, p proc) runtime.Process {
		r := row(name, "m", p)
		r.Cluster = true
		return r
	}
	for _, tc := range []struct {
		name      string
		processes []proc
		others    []runtime.Process
		clustered bool
		want      []string
	}{
		{"on another port", []proc{daemon, npm, server(nil, nil, near), web}, nil, false, []string{"127.0.0.1:3004"}},
		{"on its own", []proc{daemon, npm, server(nil, nil, own), web}, nil, false, nil},
		{"what the world reaches comes first", []proc{daemon, npm, server(nil, nil, near, metrics)}, nil, false, []string{"0.0.0.0:9464", "127.0.0.1:3004"}},
		{"for itself alone", []proc{daemon, npm, server(nil, nil, ipc, ipc6)}, nil, false, nil},
		{"on a high port, for all", []proc{daemon, npm, server(nil, nil, high)}, nil, false, []string{"0.0.0.0:40003"}},
		{"Node's inspector", []proc{daemon, npm, server(nil, nil, inspector)}, nil, false, nil},
		{"an inspector by its arguments", []proc{daemon, npm, server(nil, []string{"node", "--inspect-brk=127.0.0.1:9333", "server.js"}, inspect)}, nil, false, nil},
		{"an inspector by its environment", []proc{daemon, npm, server([]string{"NODE_OPTIONS=--inspect=9333 --max-old-space-size=400"}, []string{"next-server (v16.4.6)"}, inspect)}, nil, false, nil},
		{"the port of no inspector", []proc{daemon, npm, server(nil, []string{"node", "--inspect", "server.js", "9333"}, inspect)}, nil, false, []string{"127.0.0.1:9333"}},
		{"PM2's daemon listens for its cluster", []proc{listening, npm, server(nil, nil)}, nil, true, []string{"127.0.0.1:3004"}},
		{"PM2's daemon listens, and it is no cluster", []proc{listening, npm, server(nil, nil)}, nil, false, nil},
		{"PM2's daemon listens for two clusters", []proc{listening, npm, server(nil, nil)}, []runtime.Process{cluster("blue", proc{})}, true, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			main := row("green", "m", npm)
			if tc.clustered {
				main = cluster("green", npm)
			}
			p := &Prober{FS: machine(t, tc.processes...), Runtime: &fakeRuntime{snapshot: runtime.Snapshot{
				Daemon: runtime.Daemon{Home: pm2Home, PID: 10}, Processes: []runtime.Process{main}, Others: tc.others,
			}}}
			l := &look{app: site("green"), now: moment(time.Minute)}
			p.lookAround(t.Context(), l)
			var got []string
			for _, place := range p.ownPlaces(l, sockets) {
				got = append(got, place.Addr)
				if addr := sockets[slices.IndexFunc(sockets, func(s listeners.Listener) bool { return s.Addr.String() == place.Addr })].Addr; int32(addr.Port()) != place.Port || place.PID == 0 {
					t.Errorf("%+v", place)
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

// TestWhenOtherPortsAreLookedFor: where nobody listens, and while it is learned what is opened beside the application's own.
func TestWhenOtherPortsAreLookedFor(t *testing.T) {
	other, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	self, err := procfs.Default().Process(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	ours, stranger := []facts.Listener{{Whose: facts.Ours}}, []facts.Listener{{Whose: facts.Stranger}}
	noted := &v1alpha1.Learned{Listened: &v1alpha1.Listened{Port: 3003, Incarnation: self.Identity.String()}}
	for _, tc := range []struct {
		name    string
		holders []facts.Listener
		learned *v1alpha1.Learned
		age     time.Duration
		want    bool
	}{
		{"nobody listens", nil, noted, time.Hour, true},
		{"it listens, and that is new", ours, nil, time.Hour, true},
		{"it listens, and is young", ours, noted, time.Minute, true},
		{"it listens as it has for long", ours, noted, time.Hour, false},
		{"somebody else listens", stranger, nil, time.Minute, false},
	} {
		p := &Prober{FS: procfs.Default()}
		l := &look{app: site("green"), life: self.Identity.String(), age: tc.age, holders: tc.holders, tree: map[int]procfs.Process{self.PID: self}}
		l.app.Status.Learned = tc.learned
		p.lookElsewhere(t.Context(), l)
		port := int32(other.Addr().(*net.TCPAddr).Port)
		if got := slices.ContainsFunc(l.elsewhere, func(p facts.Place) bool { return p.Port == port && p.PID == self.PID }); got != tc.want {
			t.Errorf("%s: %+v, want the port %d: %t", tc.name, l.elsewhere, port, tc.want)
		}
		l.listening = nil
		if r := portResult(l); tc.holders == nil && (r.Status != no || factsOf[facts.Port](t, r).Elsewhere[0].Port == 0) {
			t.Errorf("%s: %s %s", tc.name, r.Status, r.Message)
		}
	}
}
