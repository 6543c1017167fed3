package state

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state/crashpoint"
)

// brittle is what the journal needs of the file system, with one bad point.
type brittle struct{ *crashpoint.Point }

func (b brittle) Rename(from, to string) error {
	return b.Do("rename "+filepath.Ext(from)+" "+filepath.Ext(to), func() error { return os.Rename(from, to) })
}

func (b brittle) Open(path string) (journalFile, error) {
	var f journalFile
	err := b.Do("open", func() (err error) { f, err = openJournal(path); return err })
	if err != nil {
		if f != nil {
			f.Close()
		}
		return nil, err
	}
	return &brittleFile{f, b.Point}, nil
}

type brittleFile struct {
	journalFile
	b *crashpoint.Point
}

func (f *brittleFile) Stat() (info os.FileInfo, err error) {
	err = f.b.Do("stat", func() (err error) { info, err = f.journalFile.Stat(); return err })
	return info, err
}

func (f *brittleFile) ReadAt(p []byte, at int64) (n int, err error) {
	err = f.b.Do("read", func() (err error) { n, err = f.journalFile.ReadAt(p, at); return err })
	return n, err
}

func (f *brittleFile) Write(p []byte) (int, error) { return f.b.Write(f.journalFile, p) }

func (f *brittleFile) Close() error {
	defer f.journalFile.Close() // a dead process's too
	return f.b.Do("close", func() error { return nil })
}

// TestTheJournalAtEveryPoint lets appending fail, tear at every byte and die at each of its operations in turn, also where the
// journal is put aside. What was reported as written is there once and in its order, nothing else that was there is missing, no
// torn line takes another one with it, readers pass over it, and what is appended once more after a death is there once.
func TestTheJournalAtEveryPoint(t *testing.T) {
	whole := func(n int) string {
		j := newJournal(t, t.TempDir())
		appendEvents(t, j, n, n+1)
		content, err := os.ReadFile(j.path)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	line := len(whole(0))
	situations := map[string]map[string]string{ // by the ending of the file
		"nothing there":             {},
		"two events":                {"": whole(0) + whole(1)},
		"a torn line at the end":    {"": whole(0) + whole(1) + whole(2)[:line/2]},
		"a line without its end":    {"": whole(0) + strings.TrimSuffix(whole(1), "\n")},
		"to be put aside":           {"": strings.Repeat("x", 1000) + "\n" + whole(1)},
		"to be put aside, with one": {"": strings.Repeat("x", 1000) + "\n" + whole(1), ".1": whole(0)},
		"to be put aside, with all": {"": strings.Repeat("x", 1000) + "\n" + whole(1), ".1": whole(0), ".2": "forgotten"},
	}
	batch := []v1alpha1.Event{event(7), event(8), event(9)}
	points, runs := map[string]bool{}, 0
	for name, files := range situations {
		reached := false
		for _, how := range crashpoint.All() {
			keep, done := 0, false
			for k := 1; !done; {
				dir := t.TempDir()
				for ending, content := range files {
					if err := os.WriteFile(filepath.Join(dir, "shop.journal.jsonl"+ending), []byte(content), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				j := newJournal(t, dir)
				j.size = 1000
				before := strings.Fields(read(t, j, Query{}))
				b := &crashpoint.Point{K: k, How: how, Keep: keep}
				j.files = brittle{b}
				err := j.Append(batch...)
				at := fmt.Sprintf("%s, %s at %s (operation %d, byte %d)", name, how, b.Hit, k, keep)
				switch {
				case b.Hit == "": // there are no more operations
					done, reached = true, true
					if err != nil {
						t.Fatalf("%s: undisturbed: %v", at, err)
					}
					continue
				case err != nil && !errors.Is(err, syscall.EIO) && !errors.Is(err, crashpoint.ErrDead) && !errors.Is(err, syscall.ENOSPC):
					t.Fatalf("%s: the cause is not told: %v", at, err)
				}
				if b.Counts() {
					runs++
					points[string(how)+" at "+b.Hit] = true
				}
				// Another process, or the same one later.
				j = newJournal(t, dir)
				j.size = 1000
				after := strings.Fields(read(t, j, Query{}))
				kept := append(slices.Clone(before), "7", "8", "9")
				if err == nil && !slices.Equal(after, kept) || !slices.Equal(after, kept[:min(len(after), len(kept))]) || len(after) < len(before) {
					t.Fatalf("%s: the journal holds %v after %v: %v", at, after, before, err)
				}
				missing, lookErr := j.Missing(batch)
				if lookErr != nil {
					t.Fatal(lookErr)
				}
				j.size = 1 << 20
				if err := j.Append(append(missing, event(10))...); err != nil {
					t.Fatalf("%s: the next ones: %v", at, err)
				}
				if got := strings.Fields(read(t, j, Query{})); !slices.Equal(got, append(kept, "10")) {
					t.Fatalf("%s: after what was missing and the next one the journal holds %v, want %v and 10", at, got, kept)
				}
				if b.Hit == "write" && how.Torn() && keep < 3*line+1 {
					if at := keep % line; at < 2 || at > line-4 { // each byte where lines begin and end
						keep++
					} else {
						keep += 9
					}
					continue
				}
				k, keep = k+1, 0
			}
		}
		if !reached {
			t.Errorf("%s: not all operations were reached", name)
		}
	}
	want := []string{"open", "stat", "read", "write", "close", "rename .jsonl .1", "rename .1 .2"}
	for _, op := range want {
		for _, how := range []crashpoint.How{crashpoint.Fails, crashpoint.FailsThoughDone, crashpoint.Dies} {
			if !points[string(how)+" at "+op] {
				t.Errorf("never %s at %s", how, op)
			}
		}
	}
	t.Logf("%d points: %v; at each of them what was told is there once, and what was torn is passed over", runs, slices.Sorted(maps.Keys(points)))
}
