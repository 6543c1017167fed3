package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func TestLastPass(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadLastPass(dir, "shop"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	for _, status := range []metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse} {
		o := v1alpha1.Observation{Results: []v1alpha1.CheckResult{{Check: "local", Status: status, Facts: []byte(`{"a":1}`)}}}
		if err := WriteLastPass(dir, "shop", &o); err != nil {
			t.Fatal(err)
		}
		got, err := ReadLastPass(dir, "shop")
		if err != nil || got.Status("local") != status || string(got.Results[0].Facts) != `{"a":1}` {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if err := os.WriteFile(passPath(dir, "shop"), nil, 0o600); err != nil { // as a loss of power may leave it
		t.Fatal(err)
	}
	if _, err := ReadLastPass(dir, "shop"); err == nil {
		t.Error("an empty pass was read")
	}
}

// TestThePassesBeforeAreKeptWithTheLast where they are given, and gone with the next one where they are not.
func TestThePassesBeforeAreKeptWithTheLast(t *testing.T) {
	dir := t.TempDir()
	look := func(check string) v1alpha1.Observation {
		return v1alpha1.Observation{Results: []v1alpha1.CheckResult{{Check: check}}}
	}
	last := look("c")
	for _, before := range [][]v1alpha1.Observation{{look("a"), look("b")}, nil} {
		if err := WriteLastPass(dir, "shop", &last, before...); err != nil {
			t.Fatal(err)
		}
		list, err := ReadPasses(dir, "shop")
		if err != nil || len(list) != len(before)+1 || list[len(list)-1].Results[0].Check != "c" || len(before) > 0 && list[0].Results[0].Check != "a" {
			t.Errorf("%+v, %v", list, err)
		}
	}
}

// A pass costs no fsync, and one that cannot be written leaves the last one.
func TestLastPassFailures(t *testing.T) {
	fs := newSim()
	if err := writeLastPass(fs, "/state", "shop", &v1alpha1.Observation{}); err != nil {
		t.Fatal(err)
	}
	was := fs.content("/state/shop.pass.json")
	for _, op := range fs.log {
		if strings.HasPrefix(op, "sync") {
			t.Errorf("operations: %v", fs.log)
		}
	}
	for k := 1; k <= 4; k++ {
		fs.ops = 0
		fs.before = func(n int, _ string) error {
			if n == k {
				return syscall.ENOSPC
			}
			return nil
		}
		if err := writeLastPass(fs, "/state", "shop", &v1alpha1.Observation{Results: []v1alpha1.CheckResult{{}}}); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("operation %d: %v", k, err)
		}
		if fs.content("/state/shop.pass.json") != was {
			t.Errorf("operation %d: the last pass is gone", k)
		}
	}
}

func TestDesiredCopy(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadDesired(dir, "shop"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	for _, document := range []string{"kind: App\n", "", "no end of line", "\ufeff%YAML 1.2\r\n---\r\nkind: App\r\n", "\x00\xff\n\n"} {
		want := DesiredCopy{Source: "/etc/evenkeel/a b\n.yaml", Taken: testNow, Generation: 4, Document: []byte(document)}
		if err := WriteDesired(dir, "shop", want); err != nil {
			t.Fatal(err)
		}
		got, err := ReadDesired(dir, "shop")
		if err != nil || string(got.Document) != document || got.Source != want.Source || !got.Taken.Equal(testNow) || got.Generation != 4 {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if info, err := os.Stat(desiredPath(dir, "shop")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := WriteDesired(dir, "shop", DesiredCopy{Document: make([]byte, MaxSize)}); err == nil {
		t.Error("one that could not be read was written")
	}
}

func TestDesiredCopyThatWasChanged(t *testing.T) {
	dir := t.TempDir()
	if err := WriteDesired(dir, "shop", DesiredCopy{Source: "x", Document: []byte("command: [good]\n")}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "shop.desired.yaml")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "command: [good]\n", string(good[:len(good)-3]), strings.Replace(string(good), "[good]", "[evil]", 1)} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadDesired(dir, "shop"); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestDesiredCopyAtEveryPowerLoss(t *testing.T) {
	for k := 1; ; k++ {
		fs := newSim()
		if err := writeDesired(fs, "/state", "shop", DesiredCopy{Source: "x", Document: []byte("old")}); err != nil {
			t.Fatal(err)
		}
		fs.ops = 0
		fs.before = func(n int, _ string) error {
			if n >= k {
				return errDead
			}
			return nil
		}
		err := writeDesired(fs, "/state", "shop", DesiredCopy{Source: "x", Document: []byte("new")})
		for _, found := range fs.reboots() {
			got, readErr := readDesired(found, "/state", "shop")
			if readErr != nil || string(got.Document) != "new" && (string(got.Document) != "old" || err == nil) {
				t.Errorf("at operation %d: %q, %v", k, got.Document, readErr)
			}
		}
		if err == nil {
			break
		}
	}
	// The same once more is not written.
	fs := newSim()
	for range 2 {
		if err := writeDesired(fs, "/state", "shop", DesiredCopy{Source: "x", Document: []byte("same")}); err != nil {
			t.Fatal(err)
		}
	}
	if fs.ops != 6 {
		t.Errorf("%v", fs.log)
	}
}
