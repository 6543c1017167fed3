//go:build linux

package procfs

import "testing"

func TestLocalPorts(t *testing.T) {
	if first, last, err := Default().LocalPorts(); err != nil || first == 0 || first > last {
		t.Errorf("this machine: %d to %d, error %v", first, last, err)
	}
	for text, want := range map[string][2]uint16{"32768\t60999\n": {32768, 60999}, "1 65535": {1, 65535}, "": {}, "1": {}, "1 65536": {}, "a b": {}, "1 2 3": {}} {
		got, err := parsePortRange([]byte(text))
		if got != want || (err == nil) != (want != [2]uint16{}) {
			t.Errorf("%q: %v, error %v", text, got, err)
		}
	}
}
