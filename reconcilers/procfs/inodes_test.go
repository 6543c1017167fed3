//go:build linux

package procfs

import (
	"errors"
	"os"
	"slices"
	"testing"
)

func TestInodeOwners(t *testing.T) {
	_, inode := listen(t)
	self, err := Default().Process(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for name, prefer := range map[string][]int{
		"preferred": {os.Getpid()}, "nothing preferred": nil, "wrong ones preferred": {os.Getppid(), 1 << 30, -1},
	} {
		found, err := Default().InodeOwners([]uint64{inode}, prefer)
		if err != nil {
			t.Fatal(err)
		}
		if got := found.ByInode[inode]; !slices.Equal(got, []Identity{self.Identity}) {
			t.Errorf("%s: %v", name, got)
		}
	}

	const nobodys = 1<<40 + 1
	found, err := Default().InodeOwners([]uint64{inode, nobodys}, []int{os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	if missing := found.Missing(inode, nobodys); !slices.Equal(missing, []uint64{nobodys}) {
		t.Errorf("missing: %v", missing)
	}
}

func TestInodeOwnersCannotTell(t *testing.T) {
	l, inode := listen(t)
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	cmd := helperWithFile(t, f) // of root's, so nobody may not look into it
	if err := errors.Join(f.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	var found Holders
	asNobody(t, nil, func() { found, err = Default().InodeOwners([]uint64{inode}, []int{1}) })
	if err != nil || found.Denied == 0 || len(found.ByInode) != 0 || found.Hidden || len(found.Unseen) != found.Denied ||
		!slices.ContainsFunc(found.Unseen, func(p Process) bool { return p.PID == cmd.Process.Pid && p.UID == 0 }) {
		t.Errorf("%+v, %v", found, err)
	}
}

// The same socket in two processes: without a preference both are found.
func TestSharedSocket(t *testing.T) {
	l, inode := listen(t)
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := helperWithFile(t, f)
	found, err := Default().InodeOwners([]uint64{inode}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, id := range found.ByInode[inode] {
		pids = append(pids, id.PID)
	}
	slices.Sort(pids)
	want := []int{os.Getpid(), cmd.Process.Pid}
	slices.Sort(want)
	if !slices.Equal(pids, want) {
		t.Errorf("%v, want %v", pids, want)
	}
	found, err = Default().InodeOwners([]uint64{inode}, []int{cmd.Process.Pid})
	if err != nil || len(found.ByInode[inode]) != 1 || found.ByInode[inode][0].PID != cmd.Process.Pid {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestSocketInode(t *testing.T) {
	for link, want := range map[string]uint64{
		"socket:[123]": 123, "socket:[]": 0, "socket:[1": 0, "pipe:[1]": 0, "/tmp/socket:[1]": 0, "": 0, "socket:[1x]": 0,
	} {
		if got, ok := socketInode([]byte(link)); got != want || ok != (want != 0) {
			t.Errorf("%q: %d, %v", link, got, ok)
		}
	}
}

func BenchmarkProcess(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Default().Process(os.Getpid()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSnapshot(b *testing.B) {
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		s, err := Default().Snapshot()
		if err != nil {
			b.Fatal(err)
		}
		n = len(s.Processes)
	}
	b.ReportMetric(float64(n), "processes")
}

func BenchmarkInodeOwners(b *testing.B) {
	_, inode := listen(b)
	for name, prefer := range map[string][]int{"preferred": {os.Getpid()}, "all": nil} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if found, err := Default().InodeOwners([]uint64{inode}, prefer); err != nil || len(found.ByInode) != 1 {
					b.Fatal(found, err)
				}
			}
		})
	}
}

func BenchmarkEnviron(b *testing.B) {
	id := identity(b, helper(b, "plain", "PM2_HOME=x"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Default().Environ(id, "PM2_HOME", "unique_id"); err != nil {
			b.Fatal(err)
		}
	}
}
