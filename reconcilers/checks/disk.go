package checks

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/cachedir"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

const (
	// What is wanted where the spec does not say, and of which part of a file system at most.
	wantFree, wantInodes, wantPart = 256 << 20, 1000, 20
	// weighEvery is how often a short volume is looked into: who fills it. It costs a walk through the caches.
	weighEvery = 30 * time.Second
	weighLimit = 2 * time.Second
)

// place is a folder of ours and what lies in it.
type place struct{ path, holds string }

// weight is what was found on a short volume, and when.
type weight struct {
	at     v1alpha1.Instant
	volume string
	disk   facts.Disk
}

// diskResult says whether there is room where the application, its logs and our own state lie. A file system that does not
// answer (a network's, mostly) is Unknown, and is not asked again until it has.
func (p *Prober) diskResult(ctx context.Context, l *look) v1alpha1.CheckResult {
	var r v1alpha1.CheckResult
	r.Status, r.Reason = metav1.ConditionUnknown, "CouldNotAsk"
	places := p.places(l)
	limit := timeout(l.app, v1alpha1.CheckDisk)
	answer := p.disks.ask(l.question(v1alpha1.CheckDisk), limit, func() diskAnswer { return askDisks(places, l.app.Spec.Checks.Disk) })
	if answer == nil {
		r.Message = hangs(l.app.Spec.Directory+", or where its logs or evenkeel's state lie,", limit)
		return r
	}
	f := facts.Disk{Volumes: answer.volumes}
	worst, bad := f.Worst()
	if bad {
		p.weigh(ctx, l, &f, answer.devs[worst.Path])
	}
	r.Facts = facts.Raw(f)
	switch {
	case bad:
		r.Status, r.Reason, r.Message = metav1.ConditionFalse, diskReason(&worst), diskMessage(&worst)
	case len(f.Volumes) == 0:
		r.Message = "the free space could not be asked: " + answer.err.Error()
	default:
		least := slices.MinFunc(f.Volumes, func(a, b facts.Volume) int { return int((a.Free-a.Want)>>20) - int((b.Free-b.Want)>>20) })
		r.Status, r.Reason = metav1.ConditionTrue, "Enough"
		r.Message = fmt.Sprintf("%s free where %s lies", mebi(least.Free), strings.Join(least.Holds, " and "))
	}
	return r
}

func diskReason(v *facts.Volume) string {
	switch {
	case v.ReadOnly:
		return "ReadOnly"
	case v.NoSpace():
		return "NoSpace"
	}
	return "NoInodes"
}

func diskMessage(v *facts.Volume) string {
	where := fmt.Sprintf("where %s lies (%s)", strings.Join(v.Holds, " and "), v.Path)
	switch {
	case v.ReadOnly:
		return "nothing can be written " + where + ": it is mounted read-only"
	case v.NoSpace():
		return fmt.Sprintf("%s free %s, %s wanted", mebi(v.Free), where, mebi(v.Want))
	}
	return fmt.Sprintf("%d files can still be made %s, %d wanted; there is space left", v.FreeInodes, where, v.WantInodes)
}

func mebi(bytes int64) string { return fmt.Sprintf("%d MiB", bytes>>20) }

// places lists our folders, each once.
func (p *Prober) places(l *look) []place {
	list := []place{{l.app.Spec.Directory, "app"}}
	add := func(path, holds string) {
		if path != "" && !slices.ContainsFunc(list, func(have place) bool { return have == place{path, holds} }) {
			list = append(list, place{path, holds})
		}
	}
	for n := range l.snapshot.Processes {
		for _, file := range []string{l.snapshot.Processes[n].OutLog, l.snapshot.Processes[n].ErrLog} {
			if filepath.IsAbs(file) && !strings.HasPrefix(file, "/dev/") {
				add(filepath.Dir(file), "logs")
			}
		}
	}
	if l.app.Spec.Runtime.PM2 != nil {
		add(l.snapshot.Daemon.Home, "PM2's own files")
	}
	for _, dir := range p.Folders {
		add(dir, "state")
	}
	return list
}

type diskAnswer struct {
	volumes []facts.Volume
	devs    map[string]uint64
	err     error
}

// askDisks asks each file system once.
func askDisks(places []place, spec v1alpha1.DiskCheck) diskAnswer {
	answer := diskAnswer{devs: map[string]uint64{}, err: errors.New("there is no folder")}
	for _, at := range places {
		var st unix.Stat_t
		var fs unix.Statfs_t
		if err := unix.Stat(at.path, &st); err != nil {
			answer.err = fmt.Errorf("%s: %w", at.path, err)
			continue
		}
		if n := slices.IndexFunc(answer.volumes, func(v facts.Volume) bool { return answer.devs[v.Path] == st.Dev }); n >= 0 {
			v := &answer.volumes[n]
			if !slices.Contains(v.Holds, at.holds) {
				v.Holds = append(v.Holds, at.holds)
			}
			v.ReadOnly = v.ReadOnly || at.holds != "app" && readOnly(at.path)
			continue
		}
		if err := unix.Statfs(at.path, &fs); err != nil {
			answer.err = fmt.Errorf("%s: %w", at.path, err)
			continue
		}
		v := facts.Volume{Path: at.path, Holds: []string{at.holds}}
		block := int64(fs.Frsize)
		v.Size, v.Free = int64(fs.Blocks)*block, int64(fs.Bavail)*block
		v.Inodes, v.FreeInodes = int64(fs.Files), int64(fs.Ffree)
		v.Want, v.WantInodes = min(wantFree, v.Size/wantPart), min(wantInodes, v.Inodes/wantPart)
		if spec.MinFree != nil {
			v.Want = spec.MinFree.Value()
		}
		if spec.MinFreeInodes != nil && v.Inodes > 0 {
			v.WantInodes = *spec.MinFreeInodes
		}
		v.ReadOnly = at.holds != "app" && fs.Flags&unix.ST_RDONLY != 0
		answer.volumes = append(answer.volumes, v)
		answer.devs[at.path] = st.Dev
	}
	return answer
}

func readOnly(path string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(path, &fs) == nil && fs.Flags&unix.ST_RDONLY != 0
}

// weigh finds out what fills a short volume: the application's caches, or files that were removed and are still held open. It
// does so rarely.
func (p *Prober) weigh(ctx context.Context, l *look, f *facts.Disk, dev uint64) {
	worst, _ := f.Worst()
	p.mu.Lock()
	known, ok := p.weights[l.app.Name]
	p.mu.Unlock()
	if !ok || known.volume != worst.Path || l.now.Since(known.at) >= weighEvery || l.now.Before(known.at) {
		known = weight{at: l.now, volume: worst.Path}
		if folders := onDevice(l.app.Spec.Directory, l.app.Spec.Recovery.Caches, dev); len(folders) > 0 && worst.NoSpace() {
			known.disk.Caches = cachedir.Size(ctx, l.app.Spec.Directory, folders, weighLimit)
		}
		p.weighHeld(l, &known.disk, dev)
		p.mu.Lock()
		p.weights[l.app.Name] = known
		p.mu.Unlock()
	}
	f.Caches, f.Held, f.HeldBy, f.HeldName, f.HeldDaemon = known.disk.Caches, known.disk.Held, known.disk.HeldBy, known.disk.HeldName, known.disk.HeldDaemon
}

// onDevice keeps the folders that lie on one file system.
func onDevice(dir string, folders []string, dev uint64) []string {
	return slices.DeleteFunc(slices.Clone(folders), func(folder string) bool {
		var st unix.Stat_t
		return unix.Lstat(filepath.Join(dir, folder), &st) != nil || st.Dev != dev
	})
}

// weighHeld adds up what removed files take, of PM2's daemon and of the application.
func (p *Prober) weighHeld(l *look, f *facts.Disk, dev uint64) {
	holders := []procfs.Process{}
	if daemon, ok := l.procs.Get(l.snapshot.Daemon.PID); ok && l.app.Spec.Runtime.PM2 != nil {
		holders = append(holders, daemon)
	}
	for _, proc := range l.tree {
		holders = append(holders, proc)
	}
	slices.SortStableFunc(holders, func(a, b procfs.Process) int { return a.PID - b.PID })
	seen := map[uint64]bool{}
	most := int64(0)
	for n := range holders {
		list, err := p.FS.DeletedFiles(holders[n].Identity)
		if err != nil {
			continue
		}
		sum := int64(0)
		for _, file := range list {
			if file.Dev == dev && !seen[file.Inode] {
				seen[file.Inode] = true
				sum += file.Bytes
			}
		}
		f.Held += sum
		if sum > most {
			most = sum
			f.HeldBy, f.HeldName = holders[n].PID, holders[n].Comm
			f.HeldDaemon = holders[n].PID == l.snapshot.Daemon.PID
		}
	}
}
