//go:build linux

package procfs

import (
	"os"
	"testing"
)

func TestRights(t *testing.T) {
	for text, want := range map[string]struct {
		rights Rights
		ok     bool
	}{
		"Name:\tx\nUid:\t1000\t0\t1000\t1000\nCapEff:\t000001ffffffffff\n":         {Rights{0, true}, true},
		"Uid:\t1000\t1000\t1000\t1000\nCapPrm:\tffff\nCapEff:\t0000000000000000\n": {Rights{1000, false}, true},
		"Uid:\t0\t0\t0\t0\nCapEff:\tffffffffffdfffff\n":                            {Rights{0, false}, true}, // all but this one
		"Uid:\t0\t0\t0\t0\n":              {},
		"CapEff:\t000001ffffffffff\n":     {},
		"Uid:\tx\t0\t0\t0\nCapEff:\tzz\n": {},
		"Uid:\t0\nCapEff:\t0\n":           {},
	} {
		if r, err := parseRights([]byte(text)); r != want.rights || (err == nil) != want.ok {
			t.Errorf("%q: %+v, %v", text, r, err)
		}
	}
	if r, err := Default().Rights(os.Getpid()); err != nil || r.UID != os.Geteuid() {
		t.Errorf("%+v, %v", r, err)
	}
}
