package state

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

// FuzzJournal begins with any bytes where the journal should be. It can be read, what is appended is the last event, and
// nothing that was an event is lost by it.
func FuzzJournal(f *testing.F) {
	for _, seed := range []string{
		"", "\n\n", "{}\n", `{"time":"2026-11-23T03:12:41.000000Z","type":"Normal","reason":"Started","message":"a"}` + "\n",
		`{"time":"2026-11-23T03:12:41.000000Z","type":"Normal","reason":"Started","mess`, "\x00\x00\x00", strings.Repeat("x", 70<<10) + "\n{\"reason\":\"A\"}",
		`{"reason":"A","time":7}`, `[]`, `{"reason":"A"}{"reason":"B"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		j, err := NewJournal(t.TempDir(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(j.path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		before, err := j.Read(Query{})
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Append(event(1), event(2)); err != nil {
			t.Fatal(err)
		}
		after, err := j.Read(Query{})
		if err != nil || len(after) != len(before)+2 || after[len(after)-1].Message != "2" {
			t.Fatalf("%d events before, %d after, %v", len(before), len(after), err)
		}
		if last, err := j.Read(Query{Limit: 1}); err != nil || len(last) != 1 || last[0].Message != "2" {
			t.Fatalf("%v, %v", last, err)
		}
		if since, err := j.Read(Query{Since: testNow.Add(time.Second)}); err != nil || len(since) < 2 {
			t.Fatalf("%v, %v", since, err)
		}
	})
}

// FuzzCopies reads any bytes as the copies that evenkeel keeps for itself: none is taken that is not as it was written.
func FuzzCopies(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte(desiredPreamble + "{}\n"))
	f.Add([]byte(desiredPreamble + `{"source":"f","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}` + "\n"))
	f.Add([]byte(`{"at":{"bootID":"x"},"results":[{"check":"local","status":"True"}],"before":[{}]}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		fs := newSim()
		fs.save(desiredPath("/state", "shop"), string(content))
		if kept, err := readDesired(fs, "/state", "shop"); err == nil {
			again := newSim()
			if err := writeDesired(again, "/state", "shop", kept); err != nil {
				t.Fatal(err)
			}
			if twice, err := readDesired(again, "/state", "shop"); err != nil || !bytes.Equal(twice.Document, kept.Document) {
				t.Fatalf("%q, then %q, %v", kept.Document, twice.Document, err)
			}
		}
		dir := t.TempDir()
		if err := os.WriteFile(passPath(dir, "shop"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if passes, err := ReadPasses(dir, "shop"); err == nil && len(passes) == 0 {
			t.Fatal("no pass, and no error")
		}
	})
}
