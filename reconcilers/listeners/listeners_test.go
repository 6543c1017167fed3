//go:build linux

package listeners

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"golang.org/x/sys/unix"
)

const helperEnv = "EVENKEEL_LISTENERS_HELPER"

// The first thread stands for the whole process in /proc; kept here, it is never the one that asNobody spoils.
func init() { runtime.LockOSThread() }

// TestMain lets the test binary play another process, which has inherited a socket and ends with its stdin.
func TestMain(m *testing.M) {
	if os.Getenv(helperEnv) == "" {
		os.Exit(m.Run())
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// open listens at the address with IPV6_V6ONLY as told, and skips the test where the machine has no such address.
func open(t testing.TB, network, address string, v6only bool) (*net.TCPListener, uint16) {
	t.Helper()
	config := net.ListenConfig{Control: func(network, _ string, c syscall.RawConn) (err error) {
		if network != "tcp6" {
			return nil
		}
		only := 0
		if v6only {
			only = 1
		}
		outer := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only) })
		return errors.Join(outer, err)
	}}
	l, err := config.Listen(t.Context(), network, address)
	if err != nil {
		t.Skipf("listen at %s: %v", address, err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.(*net.TCPListener), uint16(l.Addr().(*net.TCPAddr).Port)
}

func TestListenersOfTheKernel(t *testing.T) {
	for _, c := range []struct {
		name, network, address string
		v6only                 bool
		addr, dial             string
	}{
		{"loopback", "tcp4", "127.0.0.1:0", false, "127.0.0.1", "127.0.0.1"},
		{"another loopback", "tcp4", "127.0.0.7:0", false, "127.0.0.7", "127.0.0.7"},
		{"any IPv4", "tcp4", "0.0.0.0:0", false, "0.0.0.0", "127.0.0.1"},
		{"dual-stack, as Node does", "tcp6", "[::]:0", false, "::", "127.0.0.1"},
		{"IPv6 only", "tcp6", "[::]:0", true, "::", "::1"},
		{"IPv6 loopback", "tcp6", "[::1]:0", true, "::1", "::1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, port := open(t, c.network, c.address, c.v6only)
			found, err := Listeners(t.Context(), port)
			if err != nil || len(found) != 1 {
				t.Fatalf("%+v, %v", found, err)
			}
			l := found[0]
			if want := netip.AddrPortFrom(netip.MustParseAddr(c.addr), port); l.Addr != want {
				t.Errorf("listens at %v, want %v", l.Addr, want)
			}
			if l.V6Only != c.v6only || int(l.UID) != os.Geteuid() || l.Inode == 0 || l.Backlog == 0 || l.RecvQ != 0 {
				t.Errorf("%+v", l)
			}
			dial, ok := DialAddr(found)
			if want := netip.AddrPortFrom(netip.MustParseAddr(c.dial), port); !ok || dial != want {
				t.Fatalf("dial %v, %v; want %v", dial, ok, want)
			}
			conn, err := net.Dial("tcp", dial.String())
			if err != nil {
				t.Fatalf("the address given does not answer: %v", err)
			}
			_ = conn.Close()
		})
	}
}

// The number that a socket bears is the one by which its process's control group is known.
func TestTheGroupOfASocketIsThatOfWhoOpenedIt(t *testing.T) {
	_, port := open(t, "tcp4", "127.0.0.1:0", false)
	found, err := Listeners(t.Context(), port)
	if err != nil || len(found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	self, err := procfs.Default().Process(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	groups, err := procfs.Default().GroupNumbers(self.Identity)
	if err == nil && found[0].Group != 0 && found[0].Group != groups[self.Identity] {
		t.Errorf("socket in %d, process in %d", found[0].Group, groups[self.Identity])
	}
}

func TestAllPorts(t *testing.T) {
	_, one := open(t, "tcp4", "127.0.0.1:0", false)
	_, two := open(t, "tcp6", "[::1]:0", true)
	found, err := All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ports := map[uint16]bool{}
	for _, l := range found {
		ports[l.Addr.Port()] = true
	}
	if !ports[one] || !ports[two] {
		t.Errorf("%d or %d is missing in %v", one, two, found)
	}
}

func TestNobodyListens(t *testing.T) {
	l, port := open(t, "tcp4", "127.0.0.1:0", false)
	// A client of the port is no listener, and neither is what remains of a connection.
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	_ = l.Close()
	found, err := Listeners(t.Context(), port)
	if err != nil || len(found) != 0 {
		t.Errorf("%+v, %v", found, err)
	}
	if owners, err := Owners(t.Context(), procfs.Default(), port); err != nil || len(owners) != 0 {
		t.Errorf("%+v, %v", owners, err)
	}
}

func TestQueueGrowsWhileNobodyAccepts(t *testing.T) {
	l, port := open(t, "tcp4", "127.0.0.1:0", false)
	for range 3 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	eventually(t, "three wait", func() bool {
		found, err := Listeners(t.Context(), port)
		return err == nil && len(found) == 1 && found[0].RecvQ == 3
	})
}

func TestEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Listeners(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	ctx, cancel = context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if _, err := Listeners(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestOwnersFindsThisProcess(t *testing.T) {
	_, port := open(t, "tcp6", "[::]:0", false)
	self, err := procfs.Default().Process(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	cwd, _ := os.Getwd()
	for _, prefer := range [][]int{nil, {os.Getpid()}, {1}} {
		owners, err := Owners(t.Context(), procfs.Default(), port, prefer...)
		if err != nil || len(owners) != 1 {
			t.Fatalf("%+v, %v", owners, err)
		}
		o := owners[0]
		if !o.Known || o.Process != self.Identity || int(o.UID) != os.Geteuid() || o.Cwd != cwd || o.StartedAt != self.StartedAt() ||
			!strings.HasPrefix(o.Cmdline, os.Args[0][:min(20, len(os.Args[0]))]) || o.Comm != self.Comm {
			t.Errorf("%+v", o)
		}
		if o.UID == 0 && o.User != "root" {
			t.Errorf("user %q", o.User)
		}
	}
}

// inherit hands the listener to a process of its own and closes it here.
func inherit(t *testing.T, l *net.TCPListener) *exec.Cmd {
	t.Helper()
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"=1")
	cmd.ExtraFiles = []*os.File{f}
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start(), f.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	return cmd
}

func TestOwnersFindsAnother(t *testing.T) {
	l, port := open(t, "tcp4", "127.0.0.1:0", false)
	cmd := inherit(t, l)
	owners, err := Owners(t.Context(), procfs.Default(), port, os.Getpid())
	if err != nil || len(owners) != 1 || !owners[0].Known || owners[0].Process.PID != cmd.Process.Pid {
		t.Errorf("%+v, %v", owners, err)
	}
}

func TestOwnersCannotTell(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give its rights up")
	}
	l, port := open(t, "tcp4", "127.0.0.1:0", false)
	inherit(t, l)
	var owners []Owner
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
			err = errno
			return
		}
		owners, err = Owners(context.Background(), procfs.Default(), port)
	}()
	<-done
	if err != nil || len(owners) != 1 {
		t.Fatalf("%+v, %v", owners, err)
	}
	if o := owners[0]; o.Known || o.Why == "" || o.Process.PID != 0 || o.User != "root" || o.Addr.Port() != port {
		t.Errorf("%+v", o)
	}
}

func TestJoinWithoutProcess(t *testing.T) {
	owners, err := Join(procfs.Default(), []Listener{{Addr: netip.MustParseAddrPort("127.0.0.1:1"), UID: 4000000000}})
	if err != nil || len(owners) != 1 || owners[0].Known || owners[0].Why == "" || owners[0].User != "uid 4000000000" {
		t.Errorf("%+v, %v", owners, err)
	}
}

func TestUserNames(t *testing.T) {
	u := userNames{}
	u.read([]byte("root:x:0:0:root:/root:/bin/sh\nbroken\n:x:5:5::\ntoor:x:0:0::/:\ndeploy:x:1000:1000::/home/deploy:/bin/sh\nneg:x:-1:1::\n"))
	for uid, want := range map[uint32]string{0: "root", 1000: "deploy", 5: "uid 5"} {
		if got := u.name(uid); got != want {
			t.Errorf("%d: %q, want %q", uid, got, want)
		}
	}
}

func TestDialAddr(t *testing.T) {
	for name, c := range map[string]struct {
		addrs  []string
		v6only bool
		want   string
	}{
		"nobody":                     {nil, false, ""},
		"any":                        {[]string{"0.0.0.0:1"}, false, "127.0.0.1:1"},
		"dual-stack":                 {[]string{"[::]:1"}, false, "127.0.0.1:1"},
		"IPv6 only":                  {[]string{"[::]:1"}, true, "[::1]:1"},
		"both loopbacks":             {[]string{"[::1]:1", "127.0.0.1:1"}, true, "127.0.0.1:1"},
		"specific":                   {[]string{"10.0.0.7:1"}, false, "10.0.0.7:1"},
		"specific before IPv6":       {[]string{"[2001:db8::1]:1", "10.0.0.7:1"}, true, "10.0.0.7:1"},
		"loopback before specific":   {[]string{"10.0.0.7:1", "127.0.0.1:1"}, false, "127.0.0.1:1"},
		"lowest of two of one kind":  {[]string{"10.0.0.7:1", "10.0.0.3:1"}, false, "10.0.0.3:1"},
		"link-local keeps its zone":  {[]string{"[fe80::1%2]:1"}, true, "[fe80::1%2]:1"},
		"zero value is no listener":  {[]string{""}, false, ""},
		"IPv6 only and IPv4 address": {[]string{"[::]:1", "10.0.0.7:1"}, true, "[::1]:1"},
	} {
		t.Run(name, func(t *testing.T) {
			var ls []Listener
			for _, a := range c.addrs {
				l := Listener{V6Only: c.v6only}
				if a != "" {
					l.Addr = netip.MustParseAddrPort(a)
				}
				ls = append(ls, l)
			}
			got, ok := DialAddr(ls)
			if ok != (c.want != "") || ok && got.String() != c.want {
				t.Errorf("%v, %v; want %q", got, ok, c.want)
			}
		})
	}
}

func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

func BenchmarkListeners(b *testing.B) {
	_, port := open(b, "tcp4", "127.0.0.1:0", false)
	b.ReportAllocs()
	for b.Loop() {
		if found, err := Listeners(b.Context(), port); err != nil || len(found) != 1 {
			b.Fatal(found, err)
		}
	}
}

func BenchmarkOwners(b *testing.B) {
	_, port := open(b, "tcp4", "127.0.0.1:0", false)
	for name, prefer := range map[string][]int{"preferred": {os.Getpid()}, "all": nil} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if found, err := Owners(b.Context(), procfs.Default(), port, prefer...); err != nil || len(found) != 1 {
					b.Fatal(found, err)
				}
			}
		})
	}
}

func TestDialBeside(t *testing.T) {
	for name, c := range map[string]struct{ ours, others, want string }{
		"nobody else":                        {"[::]:1", "", "127.0.0.1:1"},
		"a stranger at the usual address":    {"[::1]:1", "127.0.0.1:1", "[::1]:1"},
		"everywhere, and one at 127.0.0.1":   {"0.0.0.0:1", "127.0.0.1:1", "127.0.0.2:1"},
		"dual-stack, and one at 127.0.0.1":   {"[::]:1", "127.0.0.1:1", "127.0.0.2:1"},
		"dual-stack, and all of IPv4":        {"[::]:1", "0.0.0.0:1", "[::1]:1"},
		"dual-stack, and both loopbacks":     {"[::]:1", "0.0.0.0:1 [::1]:1", ""},
		"at 127.0.0.1, and one everywhere":   {"127.0.0.1:1", "[::]:1 0.0.0.0:1", "127.0.0.1:1"},
		"at one address, and 127.0.0.1":      {"10.0.0.7:1", "127.0.0.1:1", "10.0.0.7:1"},
		"both at the same address":           {"0.0.0.0:1", "0.0.0.0:1", ""},
		"two of ours, and one of them alone": {"127.0.0.1:1 [::1]:1", "127.0.0.1:1", "[::1]:1"},
	} {
		list := func(addrs string) (ls []Listener) {
			for _, a := range strings.Fields(addrs) {
				ls = append(ls, Listener{Addr: netip.MustParseAddrPort(a)})
			}
			return ls
		}
		got, ok := DialBeside(list(c.ours), list(c.others))
		if ok != (c.want != "") || ok && got.String() != c.want {
			t.Errorf("%s: %v, %v; want %q", name, got, ok, c.want)
		}
	}
}
