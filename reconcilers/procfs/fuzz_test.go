package procfs

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// FuzzKernel reads any bytes as what the kernel says of killed processes and of its processors.
func FuzzKernel(f *testing.F) {
	f.Add([]byte("4,812,5140900,-;Out of memory: Killed process 812 (node) total-vm:1kB, anon-rss:2kB\n SUBSYSTEM=x\n"))
	f.Add([]byte("3,1,18446744073709551615,-;Memory cgroup out of memory: Killed process 99999999999999999999 (a b) x"))
	f.Add([]byte("4,1,1,-;Out of memory: Killed process 1 (\x1b[31m\nnode) UID:0"))
	f.Add([]byte("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1\n"))
	f.Add([]byte("cpu 18446744073709551615 0 0 0 0 0 0 0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, ok := parseKill(b); ok {
			if k.PID < 0 || k.At < 0 || len(k.Line) > 4*300 || strings.ContainsFunc(k.Line, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Fatalf("%+v", k)
			}
		}
		if c, err := parseCPUTimes(b); err == nil && (c.Stolen < 0 || c.Idle < 0) {
			t.Fatalf("%+v", c)
		}
	})
}

// FuzzProcess makes a process out of any bytes, with any name, arguments and environment, in a /proc of its own. What is read
// is bounded, and the one variable that is asked for is never that of another.
func FuzzProcess(f *testing.F) {
	f.Add([]byte("7 (a) b (c\n) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0 0 0\n"), []byte("node\x00server.js\x00"), []byte("A=1\x00WANTED=x\x00"))
	f.Add([]byte("7 (\n7 (x) R 1) S 1"), []byte("\x00\x00"), []byte("XWANTED=no\x00WANTED"))
	f.Add([]byte(""), []byte(strings.Repeat("a", 9000)), []byte("=\x00==\x00WANTED=\x00WANTED=twice\x00"))
	f.Fuzz(func(t *testing.T, stat, cmdline, environ []byte) {
		root := t.TempDir()
		dir := filepath.Join(root, strconv.Itoa(7))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string][]byte{"stat": stat, "cmdline": cmdline, "environ": environ} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		fs := New(root)
		p, err := fs.Process(7)
		if err != nil {
			return
		}
		if p.PID != 7 {
			t.Fatalf("%+v", p)
		}
		env, err := fs.Environ(p.Identity, "WANTED")
		if value, ok := env["WANTED"]; err == nil && ok && !strings.Contains("\x00"+string(environ), "\x00WANTED="+value) {
			t.Fatalf("%q is not in %q", value, environ)
		}
		if len(env) > 1 {
			t.Fatalf("%v", env)
		}
		_, _ = fs.Cmdline(p.Identity)
	})
}
