//go:build linux

package procfs

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestRealHost(t *testing.T) {
	m, err := Default().Meminfo()
	if err != nil || m.Total == 0 || m.Available == 0 || m.Available > m.Total {
		t.Errorf("meminfo: %+v, %v", m, err)
	}
	if _, err := Default().Swaps(); err != nil {
		t.Errorf("swaps: %v", err)
	}
	for _, of := range []Resource{CPU, IO, RAM} {
		if _, _, err := Default().Pressure(of); err != nil {
			t.Errorf("pressure %s: %v", of, err)
		}
	}
	if l, err := Default().LoadAvg(); err != nil || l.Tasks == 0 {
		t.Errorf("load: %+v, %v", l, err)
	}
	if id, err := Default().BootID(); err != nil || len(id) != 36 {
		t.Errorf("boot id: %q, %v", id, err)
	}
	if _, _, err := Default().OOMKills(); err != nil {
		t.Errorf("oom kills: %v", err)
	}
	if SinceBoot() <= 0 {
		t.Error("no time since boot")
	}
}

func TestMissingFiles(t *testing.T) {
	empty := New(t.TempDir())
	if _, err := empty.Meminfo(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("meminfo: %v", err)
	}
	if swaps, err := empty.Swaps(); err != nil || swaps != nil {
		t.Errorf("swaps: %v, %v", swaps, err)
	}
	if _, known, err := empty.Pressure(RAM); err != nil || known {
		t.Errorf("pressure: %v, %v", known, err)
	}
	if _, err := New(filepath.Join(t.TempDir(), "none")).Snapshot(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("snapshot: %v", err)
	}
}

func TestParseMeminfo(t *testing.T) {
	const good = "MemTotal:  2000 kB\nMemFree: 1 kB\nMemAvailable:  1000 kB\nHugePages_Total:       0\nSwapTotal: 300 kB\nSwapFree: 100 kB\n"
	m, err := parseMeminfo([]byte(good))
	if want := (Meminfo{2000 << 10, 1000 << 10, 300 << 10, 100 << 10}); err != nil || m != want || m.SwapUsed() != 200<<10 {
		t.Errorf("%+v, %v", m, err)
	}
	for _, bad := range []string{"", "MemTotal: 1 kB\n", "MemTotal: x kB\nMemAvailable: 1 kB\nSwapTotal: 1 kB\nSwapFree: 1 kB"} {
		if m, err := parseMeminfo([]byte(bad)); err == nil {
			t.Errorf("%q: %+v", bad, m)
		}
	}
}

func TestParseSwaps(t *testing.T) {
	swaps, err := parseSwaps([]byte("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n" +
		"/swap\\040file\\134x                          file\t\t2097148\t\t512\t\t-2\n/dev/zram0 partition 4096 0 100\n"))
	want := []Swap{{`/swap file\x`, "file", 2097148 << 10, 512 << 10, -2}, {"/dev/zram0", "partition", 4 << 20, 0, 100}}
	if err != nil || !reflect.DeepEqual(swaps, want) {
		t.Errorf("%+v, %v", swaps, err)
	}
	for _, bad := range []string{"h\na b c", "h\n/x file 1 -1 1", "h\n/x file 1 1 x"} {
		if swaps, err := parseSwaps([]byte(bad)); err == nil {
			t.Errorf("%q: %+v", bad, swaps)
		}
	}
}

func TestParsePressure(t *testing.T) {
	p, err := parsePressure([]byte("some avg10=1.50 avg60=0.20 avg300=0.00 total=1500\nfull avg10=100.00 avg60=0.00 avg300=0.00 total=2\n"))
	want := Pressure{Some: Stall{1.5, 0.2, 0, 1500 * time.Microsecond}, Full: Stall{100, 0, 0, 2 * time.Microsecond}}
	if err != nil || p != want {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range []string{"", "full avg10=1", "some avg10=x", "some avg10=NaN", "some avg10=101", "some avg10=-1", "some total=x"} {
		if p, err := parsePressure([]byte(bad)); err == nil {
			t.Errorf("%q: %+v", bad, p)
		}
	}
}

func TestParseMounts(t *testing.T) {
	got := parseMounts("24 30 0:22 / /proc rw,relatime shared:5 - proc proc rw\n31 24 254:1 /a /mnt/with\\040blank rw - ext4 /dev/vda rw\nshort line\nx 1 0:1 / /x\n")
	want := []Mount{{24, 0, 22, "/proc"}, {31, 254, 1, "/mnt/with blank"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if mounts, err := Default().Mounts(); err != nil || len(mounts) == 0 {
		t.Errorf("%v, %v", mounts, err)
	}
}

func TestParseLoad(t *testing.T) {
	l, err := parseLoad([]byte("0.52 1.20 3.00 2/345 6789\n"))
	if want := (Load{0.52, 1.2, 3, 2, 345}); err != nil || l != want {
		t.Errorf("%+v, %v", l, err)
	}
	for _, bad := range []string{"", "1 2 3", "1 2 x 1/2 3", "1 2 NaN 1/2 3", "1 2 3 12 3", "1 2 3 -1/2 3"} {
		if l, err := parseLoad([]byte(bad)); err == nil {
			t.Errorf("%q: %+v", bad, l)
		}
	}
}

func TestParseOpenFiles(t *testing.T) {
	const limits = "Limit                     Soft Limit           Hard Limit           Units     \nMax processes 1 2 processes\nMax open files            "
	for in, want := range map[string]uint64{limits + "1024   524288  files\n": 1024, limits + "unlimited unlimited files": 1<<64 - 1, limits: 0, "": 0} {
		if got, ok := parseOpenFiles([]byte(in)); got != want || ok != (want != 0) {
			t.Errorf("%q: %d, %v", in, got, ok)
		}
	}
}

func FuzzHostFiles(f *testing.F) {
	for _, name := range []string{"meminfo", "swaps", "pressure/memory", "loadavg", "locks", "self/limits", "self/mountinfo"} {
		if b, err := os.ReadFile("/proc/" + name); err == nil {
			f.Add(b)
		}
	}
	f.Add([]byte("Filename\n/a\\040b file 1 1 -2\n"))
	f.Add([]byte("1: FLOCK  ADVISORY  WRITE 12 fd:01:7 0 EOF\n"))
	f.Add([]byte("some avg10=0 total=1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		if m, err := parseMeminfo(b); err == nil && m.SwapUsed() > m.SwapTotal {
			t.Fatalf("%+v", m)
		}
		_, _ = parseSwaps(b)
		if p, err := parsePressure(b); err == nil && (p.Some.Avg10 < 0 || p.Some.Avg10 > 100 || p.Some.Total < 0) {
			t.Fatalf("%+v", p)
		}
		_, _ = parseLoad(b)
		_, _ = parseFlocks(b)
		_, _ = parseOpenFiles(b)
		parseMounts(string(b))
		if !bytes.Equal(b, before) {
			t.Fatal("input changed")
		}
	})
}

func TestFlockHeld(t *testing.T) {
	for name, dir := range map[string]string{"disk": t.TempDir(), "memory": "/dev/shm"} {
		t.Run(name, func(t *testing.T) {
			file, err := os.CreateTemp(dir, "evenkeel-lock-*")
			if err != nil {
				t.Skip(err)
			}
			defer os.Remove(file.Name())
			defer file.Close()
			expect(t, file.Name(), false)
			if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
				t.Fatal(err)
			}
			expect(t, file.Name(), true)
			if err := unix.Flock(int(file.Fd()), unix.LOCK_UN); err != nil {
				t.Fatal(err)
			}
			expect(t, file.Name(), false)
		})
	}
	expect(t, filepath.Join(t.TempDir(), "none"), false)
}

func expect(t *testing.T, path string, want bool) {
	t.Helper()
	held, pid, err := Default().FlockHeld(path)
	if err != nil || held != want || (held && pid != os.Getpid()) {
		t.Errorf("held %v by %d, %v; want %v", held, pid, err, want)
	}
}

// On overlayfs, as in containers, stat(2) and /proc/locks need not agree.
func TestFlockHeldOnOverlay(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "lower", "lock"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	merged := filepath.Join(dir, "merged")
	options := "lowerdir=" + dir + "/lower,upperdir=" + dir + "/upper,workdir=" + dir + "/work"
	if err := unix.Mount("overlay", merged, "overlay", 0, options); err != nil {
		t.Skip("overlay:", err)
	}
	defer unix.Unmount(merged, unix.MNT_DETACH)
	file, err := os.Open(filepath.Join(merged, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	expect(t, file.Name(), false)
	if err := unix.Flock(int(file.Fd()), unix.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	expect(t, file.Name(), true)
}

func TestParseFlocks(t *testing.T) {
	locks, err := parseFlocks([]byte("1: FLOCK  ADVISORY  WRITE 12 fd:01:77 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 13 fd:01:77 0 EOF\n" +
		"2: POSIX  ADVISORY  READ 14 08:10:78 0 EOF\n3: FLOCK  ADVISORY  READ -1 00:1f:79 0 EOF\n"))
	want := []flock{{12, fileID{0xfd, 1, 77}}, {0, fileID{0, 0x1f, 79}}}
	if err != nil || !reflect.DeepEqual(locks, want) {
		t.Errorf("%+v, %v", locks, err)
	}
	if locks, err := parseFlocks([]byte("1: FLOCK  ADVISORY  WRITE 12 nonsense 0 EOF")); err == nil {
		t.Errorf("%+v", locks)
	}
}

func BenchmarkMeminfo(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Default().Meminfo(); err != nil {
			b.Fatal(err)
		}
	}
}
