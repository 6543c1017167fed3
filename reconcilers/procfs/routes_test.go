//go:build linux

package procfs

import (
	"os"
	"path/filepath"
	"testing"
)

const routeHead = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"

func TestLeadsOut(t *testing.T) {
	const (
		own4     = "eth0\t007100CB\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
		default4 = "eth0\t00000000\t017100CB\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
		half4    = "tun0\t00000080\t0100080A\t0003\t0\t0\t0\t00000080\t0\t0\t0\n"
		down4    = "eth0\t00000000\t017100CB\t0002\t0\t0\t0\t00000000\t0\t0\t0\n"
		blocked4 = "*\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0\n"
		zero     = "00000000000000000000000000000000"
		lo6      = zero + " 00 " + zero + " 00 " + zero + " ffffffff 00000001 00000000 00200200       lo\n"
		link6    = "fe800000000000000000000000000000 40 " + zero + " 00 " + zero + " 00000100 00000001 00000000 00000001     eth0\n"
		default6 = zero + " 00 " + zero + " 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n"
	)
	for name, test := range map[string]struct {
		v4, v6 string
		want   bool
	}{
		"loopback only":               {"", lo6, false},
		"a network without a way on":  {own4, link6 + lo6, false},
		"a default route":             {own4 + default4, lo6, true},
		"two halves through a tunnel": {half4, lo6, true},
		"one that is down":            {down4, lo6, false},
		"one that refuses":            {blocked4, lo6, false},
		"IPv6 only":                   {"", link6 + default6 + lo6, true},
		"nonsense":                    {"x\n\n1 2 3 4 5 6 7 8 9\n", "a\n", false},
	} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "net"), 0o700); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{"route": routeHead + test.v4, "ipv6_route": test.v6} {
			if err := os.WriteFile(filepath.Join(dir, "net", file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := New(dir).LeadsOut(); got != test.want || err != nil {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
	dir := t.TempDir()
	if _, err := New(dir).LeadsOut(); err == nil {
		t.Error("what cannot be read is known")
	}
	_ = os.Mkdir(filepath.Join(dir, "net"), 0o700)
	_ = os.WriteFile(filepath.Join(dir, "net", "route"), []byte(routeHead), 0o600)
	if got, err := New(dir).LeadsOut(); got || err != nil {
		t.Errorf("without IPv6: %v %v", got, err)
	}
	if _, err := Default().LeadsOut(); err != nil {
		t.Errorf("this machine: %v", err)
	}
}
