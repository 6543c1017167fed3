package state

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func newJournal(t *testing.T, dir string) *Journal {
	t.Helper()
	j, err := NewJournal(dir, "shop")
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// event is an event that its message identifies; it happened that many seconds later than the first.
func event(n int) v1alpha1.Event {
	return v1alpha1.Event{Time: metav1.NewMicroTime(testNow.Add(time.Duration(n) * time.Second)), Type: v1alpha1.EventNormal,
		Reason: v1alpha1.ReasonVerdict, App: "shop", Message: fmt.Sprint(n)}
}

func appendEvents(t *testing.T, j *Journal, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		if err := j.Append(event(n)); err != nil {
			t.Fatal(err)
		}
	}
}

func messages(events []v1alpha1.Event) string {
	var all []string
	for _, e := range events {
		all = append(all, e.Message)
	}
	return strings.Join(all, " ")
}

func read(t *testing.T, j *Journal, q Query) string {
	t.Helper()
	events, err := j.Read(q)
	if err != nil {
		t.Fatal(err)
	}
	return messages(events)
}

func TestJournalReadsWhatWasAppended(t *testing.T) {
	j := newJournal(t, t.TempDir())
	if got := read(t, j, Query{}); got != "" {
		t.Errorf("an App without a journal: %s", got)
	}
	if err := j.Append(); err != nil {
		t.Error(err)
	}
	appendEvents(t, j, 0, 3)
	if err := j.Append(event(3), event(4)); err != nil {
		t.Error(err)
	}
	for _, test := range []struct {
		q    Query
		want string
	}{
		{Query{}, "0 1 2 3 4"},
		{Query{Limit: 2}, "3 4"},
		{Query{Limit: 9}, "0 1 2 3 4"},
		{Query{Limit: -1}, ""},
		{Query{Since: testNow.Add(3 * time.Second)}, "3 4"},
		{Query{Since: testNow.Add(2 * time.Second), Limit: 1}, "4"},
	} {
		if got := read(t, j, test.q); got != test.want {
			t.Errorf("%+v: got %q, want %q", test.q, got, test.want)
		}
	}
	if info, err := os.Stat(j.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestJournalIsBounded(t *testing.T) {
	j := newJournal(t, t.TempDir())
	j.size = 2000
	appendEvents(t, j, 0, 200)
	var total int64
	for i := range 10 {
		info, err := os.Stat(j.generation(i))
		if (err == nil) != (i <= journalOld) {
			t.Errorf("generation %d: %v", i, err)
		}
		if err == nil {
			if info.Size() > j.size {
				t.Errorf("generation %d has %d bytes", i, info.Size())
			}
			total += info.Size()
		}
	}
	if total < 2*j.size {
		t.Errorf("only %d bytes are kept", total)
	}
	// Reading goes across the files, and leaves none out.
	got := strings.Fields(read(t, j, Query{}))
	for i, m := range got {
		if want := fmt.Sprint(200 - len(got) + i); m != want {
			t.Fatalf("event %d is %s, want %s", i, m, want)
		}
	}
	if got := strings.Fields(read(t, j, Query{Limit: 25})); len(got) != 25 || got[24] != "199" {
		t.Errorf("%v", got)
	}
}

func TestJournalTornLine(t *testing.T) {
	j := newJournal(t, t.TempDir())
	appendEvents(t, j, 0, 3)
	content, err := os.ReadFile(j.path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(content), "\n")
	whole := lines[0] + lines[1]
	for cut := range len(lines[2]) + 1 {
		if err := os.WriteFile(j.path, []byte(whole+lines[2][:cut]), 0o600); err != nil {
			t.Fatal(err)
		}
		want := "0 1"
		if cut >= len(lines[2])-1 { // only the end of the line is missing, or nothing
			want = "0 1 2"
		}
		if got := read(t, j, Query{}); got != want {
			t.Fatalf("torn after %d: %q, want %q", cut, got, want)
		}
		appendEvents(t, j, 3, 4)
		if got := read(t, j, Query{}); got != want+" 3" {
			t.Fatalf("torn after %d, and the next line: %q", cut, got)
		}
	}
}

func TestJournalLongAndStrangeMessages(t *testing.T) {
	j := newJournal(t, t.TempDir())
	for _, m := range []string{strings.Repeat("é", block), "two\nlines", "\x00\xff"} {
		e := event(0)
		e.Message = m
		if err := j.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	events, err := j.Read(Query{})
	if err != nil || len(events) != 3 || events[1].Message != "two\nlines" {
		t.Fatalf("%v, %v", len(events), err)
	}
	if n := len(events[0].Message); n > maxMessage+len("…") || n < maxMessage-1 || !strings.HasSuffix(events[0].Message, "é…") {
		t.Errorf("a message of %d bytes", n)
	}
}

// fullDisk writes half of what it is given.
type fullDisk struct {
	journalFile
}

func (f fullDisk) Write(p []byte) (int, error) {
	n, _ := f.journalFile.Write(p[:len(p)/2])
	return n, syscall.ENOSPC
}

// opener opens journals in its own way.
type opener func(path string) (journalFile, error)

func (o opener) Open(path string) (journalFile, error) { return o(path) }
func (opener) Rename(string, string) error             { return nil }

func TestJournalOnAFullDisk(t *testing.T) {
	j := newJournal(t, t.TempDir())
	appendEvents(t, j, 0, 1)
	j.files = opener(func(path string) (journalFile, error) {
		f, err := openJournal(path)
		return fullDisk{f}, err
	})
	for n := range 3 {
		if err := j.Append(event(n)); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("got %v", err)
		}
	}
	j.files = osJournal{}
	appendEvents(t, j, 7, 9)
	if got := read(t, j, Query{}); got != "0 7 8" {
		t.Errorf("got %q", got)
	}
	j.files = opener(func(string) (journalFile, error) { return nil, syscall.EROFS })
	if err := j.Append(event(1)); !errors.Is(err, syscall.EROFS) {
		t.Errorf("got %v", err)
	}
}

func TestFollowGivesEveryEventOnce(t *testing.T) {
	dir := t.TempDir()
	j := newJournal(t, dir)
	j.size = 60_000
	appendEvents(t, j, 0, 10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events, err := newJournal(t, dir).Follow(ctx, Query{Limit: 3}, func(err error) { t.Errorf("warned: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { appendEvents(t, j, 10, 900) }) // across a rotation
	for n := 7; n < 900; n++ {
		select {
		case e := <-events:
			if e.Message != fmt.Sprint(n) {
				t.Fatalf("got %s, want %d", e.Message, n)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("event %d never came", n)
		}
	}
	wg.Wait()
	if _, err := os.Stat(j.generation(1)); err != nil {
		t.Errorf("there was no rotation: %v", err)
	}
	cancel()
	for range events { // it is closed
	}
}

func TestFollowFromBeforeTheFirstEvent(t *testing.T) {
	j := newJournal(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	events, err := j.Follow(ctx, Query{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	appendEvents(t, j, 0, 1)
	if e := <-events; e.Message != "0" {
		t.Errorf("%+v", e)
	}
	cancel()
	for range events {
	}
}

// A line of which only a part is there yet is given when it is whole.
func TestFollowWaitsForTheWholeLine(t *testing.T) {
	j := newJournal(t, t.TempDir())
	appendEvents(t, j, 0, 2)
	content, err := os.ReadFile(j.path)
	if err != nil {
		t.Fatal(err)
	}
	half := len(content) - 20
	if err := os.Truncate(j.path, int64(half)); err != nil {
		t.Fatal(err)
	}
	var f follower
	f.path = j.path
	known, err := f.begin(j, Query{})
	if err != nil || messages(known) != "0" {
		t.Fatalf("%v, %v", known, err)
	}
	defer f.close()
	var got []v1alpha1.Event
	take := func(e v1alpha1.Event) bool { got = append(got, e); return true }
	if err := f.read(take); err != nil || len(got) != 0 {
		t.Fatalf("%v, %v", got, err)
	}
	w, err := os.OpenFile(j.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, piece := range [][]byte{content[half : half+5], content[half+5:]} {
		if _, err := w.Write(piece); err != nil {
			t.Fatal(err)
		}
		if err := f.read(take); err != nil {
			t.Fatal(err)
		}
	}
	if messages(got) != "1" {
		t.Errorf("%v", got)
	}
	// Somebody empties it.
	if err := os.Truncate(j.path, 0); err != nil {
		t.Fatal(err)
	}
	appendEvents(t, j, 5, 6)
	if err := f.read(take); err != nil || messages(got) != "1 5" {
		t.Errorf("%v, %v", got, err)
	}
}

// Between two looks an event is written, the journal is put aside, and another event is written.
func TestFollowAcrossARotation(t *testing.T) {
	j := newJournal(t, t.TempDir())
	appendEvents(t, j, 0, 1)
	f := follower{path: j.path}
	if _, err := f.begin(j, Query{}); err != nil {
		t.Fatal(err)
	}
	defer f.close()
	appendEvents(t, j, 1, 2)
	if err := j.rotate(); err != nil {
		t.Fatal(err)
	}
	appendEvents(t, j, 2, 3)
	var got []v1alpha1.Event
	if err := f.read(func(e v1alpha1.Event) bool { got = append(got, e); return true }); err != nil || messages(got) != "1 2" {
		t.Errorf("%v, %v", messages(got), err)
	}
}

// A journal that is put aside while its files are opened is met under both names.
func TestReadGivesNoEventTwice(t *testing.T) {
	j := newJournal(t, t.TempDir())
	appendEvents(t, j, 0, 2)
	if err := os.Link(j.path, j.generation(1)); err != nil {
		t.Fatal(err)
	}
	if got := read(t, j, Query{}); got != "0 1" {
		t.Errorf("got %q", got)
	}
}

func TestBackwardsAcrossBlocks(t *testing.T) {
	for _, sizes := range [][]int{{}, {0}, {1, 2, 3}, {block - 1, 1}, {block, block}, {3 * block, 0, 5}, {block - 2, 0, 0, block + 1}} {
		for _, ended := range []bool{true, false} {
			var want []string
			for i, n := range sizes {
				want = append(want, strings.Repeat(string(rune('a'+i)), n))
			}
			text := strings.Join(want, "\n")
			if ended {
				text += "\n"
			}
			var got []string
			err := backwards(strings.NewReader(text), int64(len(text)), func(line []byte) bool {
				got = append([]string{string(line)}, got...)
				return true
			})
			if err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			if joined := strings.Join(got, "\n"); strings.TrimLeft(joined, "\n") != strings.TrimLeft(text, "\n") {
				t.Errorf("%v: the lines are others", sizes)
			}
		}
	}
}
