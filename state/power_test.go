package state

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// cutsWanted is how often TestThePowerGoes cuts the power; POWER_CUTS sets it, hack/prove wants 200.
func cutsWanted() int {
	if n, err := strconv.Atoi(os.Getenv("POWER_CUTS")); err == nil {
		return n
	}
	return 12
}

const inNamespace = "EVENKEEL_TEST_POWER"

// TestThePowerGoes writes states to a real ext4 on a file, and cuts its power (FS_IOC_SHUTDOWN without a flush of the log) at
// random instants. What was reported as written is there afterwards, or what was being written; the state is never lost, nor
// older. It takes root, and a mount namespace of its own, in which this same test runs anew.
func TestThePowerGoes(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("a file system of its own needs root; the same is simulated in TestPowerLossAtEveryOperation")
		return
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Logf("a file system of its own needs a loop device (%v); the same is simulated in TestPowerLossAtEveryOperation", err)
		return
	}
	if os.Getenv(inNamespace) == "" {
		anew := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestThePowerGoes$", "-test.v", "-test.timeout=10m") // #nosec G204 -- it is this program
		anew.Env = append(os.Environ(), inNamespace+"=1")
		anew.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
		out, err := anew.CombinedOutput()
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "power_test.go") {
				t.Log(strings.TrimSpace(line))
			}
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	d := newDisk(t)
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	reported, lastDesired := 0, 0
	cuts, between := cutsWanted(), 0
	for cut := range cuts {
		d.mount()
		s := open2(t, d.at, Options{})
		l := s.Load()
		found, _ := strconv.Atoi(l.State.Message)
		if l.Lost || found < reported || reported > 0 && l.Fresh {
			t.Fatalf("seed %d, cut %d: state %d was reported as written, %d is there: %v", seed, cut, reported, found, l.Warnings)
		}
		if found > reported {
			between++
		}
		if kept, err := ReadDesired(d.at, "shop"); lastDesired > 0 && (err != nil || atoi(string(kept.Document)) < lastDesired) {
			t.Fatalf("seed %d, cut %d: copy %d was reported as written, there is %q, %v", seed, cut, lastDesired, kept.Document, err)
		}
		deadline := time.Now().Add(time.Duration(random.Int64N(int64(60 * time.Millisecond))))
		stop := make(chan struct{})
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			timer := time.NewTimer(time.Until(deadline))
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-stop:
			}
			d.cut()
		}()
		n := max(found, reported)
		for {
			n++
			if err := s.Write(status(v1alpha1.PhaseDegraded, strconv.Itoa(n)), 4); err != nil {
				break
			}
			reported = n
			if err := WriteDesired(d.at, "shop", DesiredCopy{Source: "f", Document: []byte(strconv.Itoa(n))}); err != nil {
				break
			}
			lastDesired = n
		}
		close(stop)
		<-gone
		d.unmount()
	}
	t.Logf("seed %d: %d cuts of the power at random instants, %d states reported as written, all kept; %d times the newest one was not reported yet",
		seed, cuts, reported, between)
}

func atoi(s string) int { n, _ := strconv.Atoi(s); return n }

// disk is an ext4 on a file, mounted where nobody else sees it.
type disk struct {
	*testing.T
	image, at string
	mounted   bool
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	d := &disk{T: t, image: filepath.Join(dir, "image"), at: filepath.Join(dir, "mnt")}
	if err := os.Mkdir(d.at, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.image, 16<<20); err != nil {
		t.Fatal(err)
	}
	d.run("mkfs.ext4", "-q", "-F", d.image)
	t.Cleanup(func() {
		if d.mounted {
			d.unmount()
		}
	})
	return d
}

func (d *disk) run(name string, args ...string) {
	d.Helper()
	cmd := exec.CommandContext(d.Context(), name, args...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	if path, err := exec.LookPath("/usr/sbin/" + name); err == nil {
		cmd.Path, cmd.Err = path, nil
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		d.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func (d *disk) mount() { d.Helper(); d.run("mount", "-o", "loop", d.image, d.at); d.mounted = true }

func (d *disk) unmount() {
	d.Helper()
	if err := unix.Unmount(d.at, 0); err != nil {
		d.Fatal(fmt.Errorf("unmounting: %w", err))
	}
	d.mounted = false
}

// cut stops everything that has not reached the disk, as a loss of power does.
func (d *disk) cut() {
	const shutdown, withoutFlush = 0x8004587d, 2
	f, err := os.Open(d.at)
	if err != nil {
		d.Error(err)
		return
	}
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), shutdown, withoutFlush); err != nil {
		d.Errorf("cutting the power: %v", err)
	}
}
