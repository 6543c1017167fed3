package state

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// TestMissingComparesExactly with whatever came in between, torn lines, rotated files and doubled events.
func TestMissingComparesExactly(t *testing.T) {
	j := newJournal(t, t.TempDir())
	j.size = 16000
	at := func(n int) metav1.MicroTime {
		return metav1.NewMicroTime(testNow.Add(time.Duration(n) * time.Microsecond))
	}
	event := func(n int, message string) v1alpha1.Event {
		return v1alpha1.Event{Time: at(n), Type: v1alpha1.EventNormal, Reason: v1alpha1.ReasonHeld, Message: message, App: "shop"}
	}
	long := strings.Repeat("ä", MaxTold) + "\xff"
	first := []v1alpha1.Event{event(1, "a"), event(1, "a"), event(1, "b\xff"), event(1, long)}
	if missing, err := j.Missing(first); err != nil || len(missing) != len(first) {
		t.Fatalf("an empty journal: %v, %v", missing, err)
	}
	for n, e := range first {
		if err := j.Append(e); err != nil {
			t.Fatal(err)
		}
		missing, err := j.Missing(first)
		if err != nil || len(missing) != len(first)-n-1 {
			t.Fatalf("after %d: %v, %v", n+1, missing, err)
		}
	}
	for n := range 8 { // among them a rotation
		if err := j.Append(event(1, "c"), event(2, strings.Repeat("x", 1000)+strconv.Itoa(n))); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.OpenFile(j.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	line, _ := json.Marshal(event(3, "torn"))
	if _, err := f.Write(line[:len(line)-4]); err != nil {
		t.Fatal(err)
	}
	f.Close()
	want := []v1alpha1.Event{event(3, "torn"), event(1, "a"), event(1, "A"), event(2, "a")}
	missing, err := j.Missing(want)
	if err != nil || len(missing) != 3 || missing[0].Message != "torn" || missing[1].Message != "A" || missing[2].Time != at(2) {
		t.Errorf("%v, %v", missing, err)
	}
}

// TestDelivered finds the names of alerts, and takes no text for one.
func TestDelivered(t *testing.T) {
	j := newJournal(t, t.TempDir())
	if err := j.Append(v1alpha1.Event{Reason: v1alpha1.ReasonAlertSent, Alert: "0123"}, v1alpha1.Event{Reason: v1alpha1.ReasonHeld, Message: "4567"}); err != nil {
		t.Fatal(err)
	}
	if got, err := j.Delivered([]string{"4567", "0123", "89ab"}); err != nil || !slices.Equal(got, []string{"0123"}) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := j.Delivered(nil); err != nil || got != nil {
		t.Errorf("%v, %v", got, err)
	}
}
