//go:build linux

package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

const shown = "\x1b[1mA tour\x1b[0m\r\n\r\n\x1b[1m1/2 crash\x1b[0m  it is killed\r\n  \x1b[2m03:00\x1b[0m  seen <it>\r\n\r\n" +
	"\x1b[1m2/2 hang\x1b[0m  it hangs\r\n  \x1b[1;31mblamed\x1b[0m  App & all\r\n\r\n   SCENE  BLAMED\r\n\x1b[32m✓\x1b[0m  hang   App\r\n"

func TestChoose(t *testing.T) {
	lines, err := choose(parse([]byte(shown)), "hang")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range lines {
		got = append(got, l.String())
	}
	want := "$ evenkeel demo --tour|⋮|2/2 hang  it hangs|  blamed  App & all|⋮|   SCENE  BLAMED|✓  hang   App"
	if text := strings.Join(got, "|"); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if _, err := choose(parse([]byte(shown)), "flood"); err == nil {
		t.Error("a scene that was not shown was found")
	}
}

func TestSVGIsWellFormed(t *testing.T) {
	data := string(svg(parse([]byte(shown)), "x"))
	for _, want := range []string{"App &amp; all", "seen &lt;it&gt;"} {
		if !strings.Contains(data, want) {
			t.Errorf("%s is not in it", want)
		}
	}
	for d := xml.NewDecoder(strings.NewReader(data)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
