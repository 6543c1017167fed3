package v1alpha1

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var newYear = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// moment is so long after the new year, by the wall clock, and so long after the boot of that name.
func moment(wall, boot time.Duration, id string) Instant {
	return Instant{Wall: metav1.NewMicroTime(newYear.Add(wall)), Boot: metav1.Duration{Duration: boot}, BootID: id}
}

func TestInstantsWithinOneBootGoByTheTimeSinceBoot(t *testing.T) {
	const h = time.Hour
	for _, tc := range []struct {
		name      string
		then, now Instant
		since     time.Duration
		before    bool // then lies before now
	}{
		{"an hour later", moment(0, h, "a"), moment(h, 2*h, "a"), h, true},
		{"the clock was set back by a day meanwhile", moment(0, h, "a"), moment(-23*h, 2*h, "a"), h, true},
		{"the clock was set forward by a day meanwhile", moment(0, h, "a"), moment(25*h, 2*h, "a"), h, true},
		{"the same moment", moment(0, h, "a"), moment(0, h, "a"), 0, false},
		{"from before this boot, as Rebase gives it", moment(0, -h, "a"), moment(h, h, "a"), 2 * h, true},
		{"the other way round", moment(0, 2*h, "a"), moment(h, h, "a"), 0, false},
		{"a later boot", moment(0, 9*h, "a"), moment(2*h, h, "b"), 2 * h, true},
		{"a later boot, by a clock that was set back", moment(0, h, "a"), moment(-h, 2*h, "b"), 0, false},
	} {
		if got := tc.now.Since(tc.then); got != tc.since {
			t.Errorf("%s: %s since, want %s", tc.name, got, tc.since)
		}
		if got := tc.then.Before(tc.now); got != tc.before {
			t.Errorf("%s: before: %v, want %v", tc.name, got, tc.before)
		}
	}
}

func TestRebase(t *testing.T) {
	const h = time.Hour
	now := moment(9*h, 2*h, "b")
	for _, tc := range []struct {
		name    string
		i, want Instant
	}{
		{"of this boot", moment(0, h, "b"), moment(0, h, "b")},
		{"never set", Instant{}, Instant{}},
		{"of a boot before", moment(4*h, h, "a"), moment(4*h, -3*h, "b")},
		{"in the future by the clock", moment(10*h, h, "a"), now},
		{"before anything was known of boots", moment(8*h, 0, ""), moment(8*h, h, "b")},
	} {
		if got := tc.i.Rebase(now); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestAnInstantIsZeroWhereNothingOfItIsSet(t *testing.T) {
	for _, tc := range []struct {
		i    Instant
		want bool
	}{
		{Instant{}, true},
		{Instant{BootID: "a"}, false},
		{Instant{Boot: metav1.Duration{Duration: 1}}, false},
		{Instant{Wall: metav1.NewMicroTime(newYear)}, false},
	} {
		if got := tc.i.IsZero(); got != tc.want {
			t.Errorf("%+v: %v", tc.i, got)
		}
	}
}

func TestAWaitIsNeverLongerThanItsLength(t *testing.T) {
	const h = time.Hour
	from := moment(0, 2*h, "a")
	for _, tc := range []struct {
		name string
		wait *Wait
		now  Instant
		want time.Duration
	}{
		{"none", nil, from, 0},
		{"it begins", NewWait(from, h), from, h},
		{"half of it is over", NewWait(from, h), from.Add(h / 2), h / 2},
		{"it is over", NewWait(from, h), from.Add(2 * h), 0},
		{"the clock was set back by a year", NewWait(from, h), moment(-365*24*h, 2*h+h/4, "a"), 3 * h / 4},
		{"the machine was booted, and its clock set back", NewWait(from, h), moment(-h, 0, "b"), h},
	} {
		if got := tc.wait.Left(tc.now); got != tc.want {
			t.Errorf("%s: %s left, want %s", tc.name, got, tc.want)
		}
	}
}
