package desired_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/state/desired"
)

// bomb is a document whose aliases stand for billions of values.
func bomb() string {
	var b strings.Builder
	b.WriteString(minimal + "  pauseReason: x\na0: &a0 [x, x]\n")
	for i := 1; i < 40; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [*a%d, *a%d]\n", i, i, i-1, i-1)
	}
	return b.String()
}

// TestNoFileBreaksTheReader reads what no operator would write. It is refused with a reason and a place, or it is right;
// nothing is followed for ever, and nothing takes long.
func TestNoFileBreaksTheReader(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want string // part of what is said; empty where the file is right
	}{
		"a byte order mark":             {"\ufeff" + minimal, ""},
		"carriage returns":              {strings.ReplaceAll(minimal, "\n", "\r\n"), ""},
		"carriage returns alone":        {strings.ReplaceAll(minimal, "\n", "\r"), ""},
		"an anchor and its alias":       {minimal + "  interval: &t 30s\n  recovery: {cooldown: *t}\n", ""},
		"a merge":                       {minimal + "  checks:\n    port: &s {timeout: 5s}\n    workers:\n      <<: *s\n", ""},
		"an anchor that holds itself":   {minimal + "  alerts: &a [*a]\n", "f.yaml:7:15: spec.alerts[0]: an anchor that holds itself"},
		"a merge of itself":             {minimal + "  deploy: &d {<<: *d}\n", "anchor"},
		"an anchor that nobody made":    {minimal + "  interval: *t\n", "nothing has that name"},
		"aliases of aliases of aliases": {bomb(), "unknown key \"a0\""},
		"aliases of aliases in a field": {minimal + "  runtime2: x\n" + strings.Replace(bomb(), minimal, "", 1), "unknown key"},
		"a NUL":                         {minimal + "  pauseReason: \"a\x00b\"\n", "f.yaml:7:"},
		"an escaped NUL":                {minimal + "  recovery: {caches: [\"a\\0b\"]}\n", "spec.recovery.caches[0]: got"},
		"UTF-16":                        {"\xff\xfek\x00i\x00", "want it saved as UTF-8"},
		"no UTF-8":                      {minimal + "  pauseReason: \xff\xfe\n", "f.yaml:7:"},
		"a tab":                         {minimal + "\tport: 3003\n", "a tab character"},
		"larger than a megabyte":        {minimal + "# " + strings.Repeat("x", 1<<20), "larger than 1 MiB"},
		"a long line":                   {minimal + "# " + strings.Repeat("x", 1<<19), ""},
		"lists in lists in lists":       {minimal + "  alerts: " + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "\n", "f.yaml:"},
		"keys in keys in keys":          {minimal + "  deploy: " + strings.Repeat("{a: ", 5_000) + strings.Repeat("}", 5_000) + "\n", "f.yaml:"},
		"a hundred thousand entries":    {minimal + "  recovery:\n    caches: [" + strings.Repeat("a,", 120_000) + "]\n", "f.yaml:"},
		"documents without end":         {strings.Repeat("---\n", 50_000) + minimal, ""},
		"an empty file":                 {"", "the file is empty"},
		"nothing but a comment":         {"# later\n", "the file is empty"},
		"a number":                      {"7\n", "the document is no App"},
		"a tag of a program":            {minimal + "  port: !!python/object/apply:os.system [\"true\"]\n", "f.yaml:7:"},
		"a tag of a type":               {minimal + "  port: !!str 3003\n", "spec.port: got"},
		"a duration with a line in it":  {minimal + "  port: 3003\n  interval: >\n    60s\n", "f.yaml:8:13: spec.interval: got"},
		"a date for a name":             {strings.Replace(minimal, "name: site", "name: 2026-11-23", 1), ""},
		"a number in another base":      {minimal + "  port: 0xbbb\n", "want a whole number"},
		"not a number":                  {minimal + "  port: .nan\n", "spec.port: got"},
		"a number beyond all":           {minimal + "  port: 99999999999999999999999\n", "spec.port: got"},
	} {
		t.Run(name, func(t *testing.T) {
			set := desired.Parse([]byte(test.text), "f.yaml")
			switch err := set.Err(); {
			case test.want == "" && err == nil:
			case test.want == "":
				t.Errorf("it is right, and refused: %.600v", err)
			case err == nil:
				t.Error("it is taken")
			case !strings.Contains(err.Error(), test.want):
				t.Errorf("want %q, got %.600v", test.want, err)
			}
		})
	}
}

// TestWhatIsNoFileIsNeitherWaitedForNorRead puts other things where the file should be.
func TestWhatIsNoFileIsNeitherWaitedForNorRead(t *testing.T) {
	for name, test := range map[string]struct {
		put  func(path string) error
		want string
	}{
		"a pipe":                  {func(path string) error { return unix.Mkfifo(path, 0o600) }, "no regular file"},
		"a link to a pipe":        {func(path string) error { _ = unix.Mkfifo(path+".pipe", 0o600); return os.Symlink(path+".pipe", path) }, "no regular file"},
		"a link to itself":        {func(path string) error { return os.Symlink(path, path) }, "too many levels"},
		"a link to nowhere":       {func(path string) error { return os.Symlink(path+".no", path) }, "there is no such file"},
		"a device without an end": {func(path string) error { return os.Symlink("/dev/zero", path) }, "no regular file"},
		"a socket": {func(path string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				return err
			}
			l.SetUnlinkOnClose(false)
			return l.Close()
		}, "no regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "site.yaml")
			if err := test.put(path); err != nil {
				t.Fatal(err)
			}
			err := desired.Load([]string{path}).Err()
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
