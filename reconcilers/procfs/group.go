//go:build linux

package procfs

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ControlGroup is the control group that a process is in, as systemd sees it: a path such as /system.slice/web.service. It is
// empty on a machine without any.
func (fs FS) ControlGroup(id Identity) (string, error) {
	b, err := fs.contents(id, "cgroup\x00", 1<<16)
	if err != nil {
		return "", err
	}
	return systemdGroup(string(b)), nil
}

// systemdGroup is the path in systemd's own hierarchy, where there is one, and else in the one that all share.
func systemdGroup(file string) string {
	unified := ""
	for line := range strings.Lines(file) {
		_, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		controllers, group, ok := strings.Cut(rest, ":")
		switch {
		case ok && controllers == "name=systemd":
			return group
		case ok && controllers == "":
			unified = group
		}
	}
	return unified
}

// GroupNumbers are the numbers of the control groups that these processes are in, in the hierarchy that all share, as the kernel
// names them for a socket too. Who has ended is left out. On a machine without that hierarchy it is an error, and so where one of
// the groups cannot be seen from here.
func (fs FS) GroupNumbers(ids ...Identity) (map[Identity]uint64, error) {
	point, err := parsed(fs, "self/mountinfo", unifiedPoint)
	if err != nil {
		return nil, err
	}
	byPath, numbers := map[string]uint64{}, map[Identity]uint64{}
	for _, id := range ids {
		b, err := fs.contents(id, "cgroup\x00", 1<<16)
		if errors.Is(err, ErrGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		group := unifiedGroup(string(b))
		if !strings.HasPrefix(group, "/") || strings.HasPrefix(group, "/..") { // outside of what this process sees
			return nil, fmt.Errorf("process %s: its control group %q cannot be seen", id, group)
		}
		if _, known := byPath[group]; !known {
			var st unix.Stat_t
			if err := unix.Stat(path.Join(point, group), &st); err != nil {
				return nil, fmt.Errorf("process %s: its control group %q: %w", id, group, err)
			}
			byPath[group] = st.Ino
		}
		numbers[id] = byPath[group]
	}
	return numbers, nil
}

// unifiedPoint is where the hierarchy that all share is mounted: all of it, "35 24 0:30 / /sys/fs/cgroup rw shared:9 - cgroup2 …".
func unifiedPoint(mountinfo []byte) (string, error) {
	for line := range strings.Lines(string(mountinfo)) {
		place, kind, _ := strings.Cut(line, " - ")
		if words := strings.Fields(place); len(words) >= 5 && words[3] == "/" && strings.HasPrefix(kind, "cgroup2 ") {
			return unescape(words[4]), nil
		}
	}
	return "", errors.New("no unified hierarchy of control groups is mounted")
}

// unifiedGroup is the path in it, of a process's cgroup file.
func unifiedGroup(file string) string {
	for line := range strings.Lines(file) {
		if group, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			return group
		}
	}
	return ""
}

// InUnit tells whether a control group is that of a unit of systemd's, such as web.service, or lies in it.
func InUnit(group, unit string) bool {
	for ; group != "/" && group != "." && group != ""; group = path.Dir(group) {
		if path.Base(group) == unit {
			return true
		}
	}
	return false
}

// SystemManager stands for the system's service manager where a user's number would stand for that user's own.
const SystemManager = -1

// Service is the service of systemd's that a control group belongs to, and whose manager keeps it: a user's number, or
// [SystemManager]. unit is empty where it is none: in a login, in another scope, and where systemd keeps nothing.
func Service(group string) (unit string, manager int) {
	manager = SystemManager
	for name := range strings.SplitSeq(group, "/") {
		switch path.Ext(name) {
		case ".scope":
			return "", manager
		case ".service":
			id, is := strings.CutPrefix(strings.TrimSuffix(name, ".service"), "user@")
			if uid, err := strconv.ParseUint(id, 10, 31); is && err == nil && manager == SystemManager {
				manager = int(uid)
				continue
			}
			return strings.TrimPrefix(name, "_"), manager // which stands before what could be taken for a file of the kernel's
		}
	}
	return "", manager
}

// Outputs are the files behind a process's standard output and standard error, as the kernel names them: a path, or a word such
// as pipe:[17]. The same rights are needed as for [FS.Exe].
func (fs FS) Outputs(id Identity) (files [2]string, err error) {
	for n, link := range []string{"fd/1\x00", "fd/2\x00"} {
		if files[n], err = fs.link(id, link); err != nil {
			return files, err
		}
	}
	return files, nil
}
