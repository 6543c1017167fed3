package facts

import (
	"strings"
	"testing"
)

// TestAMarkGivesNothingAway: with another key the same URL has another mark, and none holds a part of it.
func TestAMarkGivesNothingAway(t *testing.T) {
	const url = "https://me:s3cr3t@www.example.test/"
	one, two := Marker{Key: []byte("one")}, Marker{Key: []byte("two")}
	mark := one.Mark(url)
	if mark == two.Mark(url) || strings.Contains(mark, "s3cr3t") || !IsMark(mark) || mark != one.Mark(url) {
		t.Errorf("%s and %s", mark, two.Mark(url))
	}
	if !one.Is(mark, url) || two.Is(mark, url) || one.Is(mark, url+"x") {
		t.Error("it is not known again, or taken for another's")
	}
	if one.Mark("") != "" || one.Is("", "") || one.Is("", url) || one.Is(mark, "") {
		t.Error("no URL has no mark")
	}
}

// TestWhatOlderVersionsRememberedIsKnown: the URL itself, and its hash without a key.
func TestWhatOlderVersionsRememberedIsKnown(t *testing.T) {
	m := Marker{Key: []byte("one")}
	const hash = "sha256:100680ad546ce6a577f42f52df33b4cfdca756859e664b8d7de329b150d09ce9" // of "https://example.com"
	for kept, want := range map[string]bool{"https://example.com": true, hash: true, "https://example.org": false} {
		if m.Is(kept, "https://example.com") != want || IsMark(kept) {
			t.Errorf("%s: want %t", kept, want)
		}
	}
}
