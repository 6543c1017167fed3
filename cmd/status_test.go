package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/strict"
	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller"
	"github.com/evenkeel/evenkeel/state"
)

func TestStatusText(t *testing.T) {
	for name, test := range map[string]struct {
		view view
		code int
	}{
		"healthy":    {healthy(t), exitWell},
		"held":       {held(t), exitNotWell},
		"failed":     {failed(t), exitNotWell},
		"cooling":    {cooling(t), exitNotWell},
		"recovering": {recovering(t), exitNotWell},
		"orphaned":   {orphaned(t), exitNoSupervisor},
		"unseen":     {unseen(t), exitNoSupervisor},
	} {
		t.Run(name, func(t *testing.T) {
			golden(t, "status/"+name, statusText([]view{test.view}, noon, style{}, false))
			if code := test.view.code(noon); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
		})
	}
	t.Run("several", func(t *testing.T) {
		other, shop := healthy(t), held(t)
		other.Name, shop.Name = "blog", "shop"
		golden(t, "status/several", statusText([]view{healthy(t), other, shop}, noon, style{}, false))
	})
}

// TestStatusSaysWhatEndsAHold, in the words of why: its cause, or its limit, and then when that is and what happens at it.
func TestStatusSaysWhatEndsAHold(t *testing.T) {
	limit := metav1.NewTime(noon.Wall.Add(26 * time.Minute))
	for name, tc := range map[string]struct {
		change func(v *view)
		want   string
	}{
		"no limit": {func(*view) {}, "since 4m; it ends when its cause ends"},
		"no limit, in the rule's words": {func(v *view) { v.Status.Verdict.AtLimit = "no limit: the site is up" },
			"it ends when its cause ends; no limit: the site is up"},
		"a limit": {func(v *view) { v.Status.Hold.Until = &limit },
			"it ends when its cause ends, or at its limit, when one plain recovery is tried; until 12:26:00, 26m left"},
		"a limit, and no attempts": {func(v *view) { v.Status.Hold.Until, v.Status.Incident.Spent = &limit, v.maxAttempts() },
			"it ends when its cause ends, since no attempt is left for its limit; until 12:26:00, 26m left"},
		"a limit at which nothing is tried": {func(v *view) {
			v.Status.Verdict.HoldLimit.Duration, v.Status.Verdict.AtLimit = 30*time.Minute, "one plain recovery if a finished build is there"
		}, "it ends when its cause ends; at its limit of 30m0s: one plain recovery if a finished build is there"},
		"a limit that is over": {func(v *view) { v.Status.Hold.LimitSpent = true },
			"it ends when its cause ends; its limit is over, at which one recovery was tried"},
		"a verdict of another rule": {func(v *view) { v.Status.Verdict.Rule, v.Status.Verdict.AtLimit = "dns", "no limit: the site is up" },
			"since 4m; it ends when its cause ends\n"},
	} {
		v := held(t)
		tc.change(&v)
		if text := statusText([]view{v}, noon, style{}, true); !strings.Contains(text, tc.want) {
			t.Errorf("%s: want %q in\n%s", name, tc.want, text)
		}
		h, verdict := v.Status.Hold, v.Status.Verdict
		if verdict.Rule != h.Rule {
			continue
		}
		words := controller.HoldEnds(h, verdict, v.spent() < v.maxAttempts())
		v.Status.Blocked = &v1alpha1.Blocked{Message: "acting would not help (ProxyFails); " + words, Until: h.Until}
		_, end, _ := strings.Cut(tc.want, "it ends")
		if text := againstText(&v, noon); !strings.Contains(text, "it ends"+end) {
			t.Errorf("%s: why says otherwise: %s", name, text)
		}
	}
}

func TestStatusColoursOnlyWhereAsked(t *testing.T) {
	views := []view{failed(t), cooling(t)}
	if text := statusText(views, noon, style{}, true); strings.Contains(text, "\x1b") {
		t.Errorf("an escape sequence in plain text:\n%q", text)
	}
	if text := statusText(views, noon, style{on: true}, true); !strings.Contains(text, "\x1b[1;31mFailed\x1b[0m") || strings.Contains(text, "\x1b[31mdisk") {
		t.Errorf("want our colours and nobody else's:\n%q", text)
	}
}

func TestAPassThatIsOverdueIsNotWell(t *testing.T) {
	v, late := healthy(t), at(10*time.Minute)
	if v.code(noon) != exitWell || v.code(late) != exitNotWell {
		t.Errorf("codes %d and %d, want 0 and 1", v.code(noon), v.code(late))
	}
	if text := statusText([]view{v}, late, style{}, false); !strings.Contains(text, "it is overdue") {
		t.Errorf("want the pass to be called overdue:\n%s", text)
	}
}

func TestStatusReadsTheStateFolder(t *testing.T) {
	b := newBench(t)
	b.wants(b.run(nil, "status"), exitNoSupervisor, "no state of evenkeel was found", "evenkeel run -f FILE")

	file := b.desire(siteYAML)
	b.keep(healthy(t))
	b.wants(b.run(nil, "status"), exitNoSupervisor, "no supervisor runs for bbyatch", "11s old", "evenkeel run -f "+file)

	b.supervise(file)
	b.wants(b.run(nil, "status"), exitWell, "Healthy", "everything holds", "200 in 35ms")
	b.wants(b.run(nil, "status", "nosuch"), exitUsage, `no App "nosuch" is known`, "known: bbyatch")
	b.wants(b.run(nil, "status", "-o", "table"), exitUsage, "-o table is not known here")
	b.wants(b.run(nil, "status", "--colour"), exitUsage, "unknown flag", "See evenkeel status --help")
	b.wants(b.run(nil, "stauts"), exitUsage, "unknown command", "status")
}

func TestStatusPrintsAppsWithStatus(t *testing.T) {
	b := newBench(t)
	b.supervise(b.desire(siteYAML))
	b.keep(failed(t))
	b.wants(b.run(nil, "status", "-o", "json"), exitNotWell)
	var list v1alpha1.AppList
	if err := json.Unmarshal(b.out.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	if list.Kind != "AppList" || len(list.Items) != 1 {
		t.Fatalf("got %s", b.out.String())
	}
	app := list.Items[0]
	if app.Spec.Port != 3003 || app.Status.Phase != v1alpha1.PhaseFailed || app.Status.LastPass == nil || app.UID == "" {
		t.Errorf("want spec, status and last pass: %+v", app)
	}
	b.wants(b.run(nil, "status", "-o", "yaml"), exitNotWell, "kind: AppList", "lastPass:", "type: Supervised")
}

func TestWatchAppendsOnlyWhatIsNew(t *testing.T) {
	b := newBench(t)
	g := &globals{Stdout: &b.out, clock: func() v1alpha1.Instant { return b.now }}
	last, err := g.redraw([]view{healthy(t)}, false, "")
	b.must(err)
	first := b.out.Len()
	b.now = at(time.Second)
	last, err = g.redraw([]view{healthy(t)}, false, last)
	b.must(err)
	if first == 0 || b.out.Len() != first {
		t.Errorf("the passing of time alone was printed")
	}
	_, err = g.redraw([]view{held(t)}, false, last)
	b.must(err)
	if b.out.Len() == first {
		t.Errorf("a change was not printed")
	}
	if text := inPlaceText("a\nb\n"); text != "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J" {
		t.Errorf("in place: %q", text)
	}
}

func unseen(t *testing.T) view {
	v := healthy(t)
	v.Holder, v.Unseen = nil, []string{"/var/lib/evenkeel"}
	return v
}

func TestExitCodes(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, exitWell}, {said(exitNotWell), exitNotWell}, {errors.New("x"), exitNotWell}, {usagef("x"), exitUsage},
		{fmt.Errorf("x: %w", strict.Problems{{File: "f", Message: "m"}}), exitUsage}, {noSupervisorf("x"), exitNoSupervisor},
		{fmt.Errorf("%w: %w", state.ErrNoState, os.ErrPermission), exitNoSupervisor}, {&state.LockedError{}, exitNotWell},
	} {
		if got := exitCode(test.err); got != test.want {
			t.Errorf("%v: %d, want %d", test.err, got, test.want)
		}
	}
	err := explain(fmt.Errorf("%w: %w", state.ErrNoState, os.ErrPermission))
	if !strings.Contains(err.Error(), "sudo") || strings.Contains(err.Error(), "evenkeel run -f") {
		t.Errorf("got %v", err)
	}
}
