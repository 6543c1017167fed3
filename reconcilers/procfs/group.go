//go:build linux

package procfs

import (
	"path"
	"strings"
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

// InUnit tells whether a control group is that of a unit of systemd's, such as web.service, or lies in it.
func InUnit(group, unit string) bool {
	for ; group != "/" && group != "." && group != ""; group = path.Dir(group) {
		if path.Base(group) == unit {
			return true
		}
	}
	return false
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
