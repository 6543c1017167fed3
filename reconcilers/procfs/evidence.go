//go:build linux

package procfs

import (
	"bytes"
	"strings"
)

// EachVariable hands over every variable that stood in the process's environment at its start. Values are secrets: whoever
// is handed them must not let them reach a log, an error or a file. The same rights are needed as for [FS.Exe].
func (fs FS) EachVariable(id Identity, visit func(name, value string)) error {
	b, err := fs.contents(id, "environ\x00", maxEnviron)
	if err != nil {
		return err
	}
	defer clear(b)
	for entry := range bytes.SplitSeq(b, []byte{0}) {
		if name, value, ok := bytes.Cut(entry, []byte{'='}); ok {
			visit(string(name), string(value))
		}
	}
	return nil
}

// WaitsIn is what the process waits for in the kernel: the name of the function (wchan), and the number of the system call.
// Either is empty where it may not be read, or where the process does not wait.
func (fs FS) WaitsIn(id Identity) (wchan, syscall string) {
	const most = 4 << 10
	if b, err := fs.contents(id, "wchan\x00", most); err == nil && string(b) != "0" {
		wchan = strings.TrimSpace(string(b))
	}
	if b, err := fs.contents(id, "syscall\x00", most); err == nil {
		syscall, _, _ = strings.Cut(strings.TrimSpace(string(b)), " ") // the rest are addresses
	}
	return wchan, syscall
}
