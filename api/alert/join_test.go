package alert

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func moment(seconds float64) v1alpha1.Instant {
	d := time.Duration(seconds * float64(time.Second))
	return v1alpha1.Instant{Wall: metav1.NewMicroTime(time.Unix(1_800_000_000, 0).Add(d)), Boot: metav1.Duration{Duration: time.Hour + d}, BootID: "b"}
}

func told(app string, kind v1alpha1.AlertKind, blame v1alpha1.Blame) Item {
	a := v1alpha1.NewApp()
	a.Name = app
	return Item{App: a, Alert: v1alpha1.Alert{Kind: kind, App: app, Blame: blame, Reason: string(blame) + "Fails", Message: app + " is not reached"}}
}

func TestWhatIsJoined(t *testing.T) {
	const degraded, resolved, gaveUp = v1alpha1.AlertDegraded, v1alpha1.AlertResolved, v1alpha1.AlertFailed
	const proxy, dns, blameApp = v1alpha1.BlameProxy, v1alpha1.BlameDNS, v1alpha1.BlameApp
	type came struct {
		at   float64
		item Item
	}
	for name, c := range map[string]struct {
		apps int
		came []came
		want []string // "seconds: app+app kind"
	}{
		"the only App's waits for nobody":               {1, []came{{0, told("a", degraded, proxy)}}, []string{"0: a Degraded"}},
		"a lone App's among several waits five seconds": {3, []came{{0, told("a", degraded, proxy)}}, []string{"5: a Degraded"}},
		"the App's own fault waits for nobody": {3, []came{{0, told("a", degraded, blameApp)}, {1, told("b", degraded, blameApp)}},
			[]string{"0: a Degraded", "1: b Degraded"}},
		"all of them at once are one": {3, []came{{0, told("a", degraded, proxy)}, {0.1, told("b", degraded, proxy)}, {0.2, told("c", degraded, proxy)}},
			[]string{"0.2: a+b+c Degraded"}},
		"two of three are one, when the wait is over": {3, []came{{0, told("a", degraded, proxy)}, {4.9, told("b", degraded, proxy)}},
			[]string{"5: a+b Degraded"}},
		"the wait is bounded, however many come": {9, []came{{0, told("a", degraded, proxy)}, {3, told("b", degraded, proxy)}, {6, told("c", degraded, proxy)}},
			[]string{"5: a+b Degraded", "11: c Degraded"}},
		"two faults are two": {3, []came{{0, told("a", degraded, proxy)}, {1, told("b", degraded, dns)}, {2, told("c", degraded, proxy)}},
			[]string{"5: a+c Degraded", "6: b Degraded"}},
		"the end of it is one too": {2, []came{{0, told("a", degraded, proxy)}, {0, told("b", degraded, proxy)}, {60, told("b", resolved, proxy)}, {63, told("a", resolved, proxy)}},
			[]string{"0: a+b Degraded", "63: b+a Resolved"}},
		"over before anybody was told: in order": {3, []came{{0, told("a", degraded, proxy)}, {1, told("b", degraded, proxy)}, {2, told("a", resolved, proxy)}},
			[]string{"2: a+b Degraded", "7: a Resolved"}},
		"giving up is told at once, after what waits": {3, []came{{0, told("a", degraded, proxy)}, {1, told("a", gaveUp, proxy)}},
			[]string{"1: a Degraded", "1: a Failed"}},
	} {
		t.Run(name, func(t *testing.T) {
			j := &Joiner{Wait: 5 * time.Second}
			var got []string
			note := func(at float64, groups [][]Item) {
				for _, g := range groups {
					var names []string
					for _, i := range g {
						names = append(names, i.App.Name)
					}
					got = append(got, fmt.Sprintf("%g: %s %s", at, strings.Join(names, "+"), g[0].Alert.Kind))
				}
			}
			events, due := c.came, 0.0
			for now := 0.0; len(events) > 0 || due > 0; {
				if due > 0 && (len(events) == 0 || due < events[0].at) {
					now = due
				} else {
					now = events[0].at
					note(now, j.Add(moment(now), events[0].item, c.apps))
					events = events[1:]
				}
				groups, next := j.Due(moment(now))
				note(now, groups)
				due = 0
				if next > 0 {
					due = now + next.Seconds()
				}
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if left := j.All(); left != nil {
				t.Errorf("left %v", left)
			}
		})
	}
}

func TestAJoinedAlertNamesAllOfTheChannelsApps(t *testing.T) {
	r := newReports()
	d := dispatcher(t, r)
	sent := map[string][]v1alpha1.Alert{}
	mu := &sync.Mutex{}
	d.newSender = func(spec v1alpha1.AlertSpec) sender { return noting{mu, sent, spec.Webhook} }
	items := []Item{told("shop", v1alpha1.AlertDegraded, v1alpha1.BlameProxy), told("blog", v1alpha1.AlertDegraded, v1alpha1.BlameProxy),
		told("wiki", v1alpha1.AlertDegraded, v1alpha1.BlameProxy)}
	items[0].Alert.Incident, items[1].Alert.Incident = 4, 7
	items[0].App.Spec.Alerts = []v1alpha1.AlertSpec{{Webhook: "http://owner"}}
	items[1].App.Spec.Alerts = []v1alpha1.AlertSpec{{Webhook: "http://owner"}, {Webhook: "http://blogger"}}
	d.Joined(items)
	for range 3 {
		<-r.came
	}
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(sent["http://owner"]) != 1 || len(sent["http://blogger"]) != 1 || len(sent) != 2 {
		t.Fatalf("sent %+v", sent)
	}
	owner, blogger := sent["http://owner"][0], sent["http://blogger"][0]
	if !reflect.DeepEqual(owner.Apps, []string{"blog", "shop"}) || owner.App != "blog" || len(owner.Evidence) != 2 || owner.Incident != 0 {
		t.Errorf("the owner is told %+v", owner)
	}
	if text := Summary(&owner); !strings.HasPrefix(text, "blog, shop on ") || !strings.Contains(text, "2 applications share this") {
		t.Errorf("the owner reads %q", text)
	}
	if blogger.App != "blog" || blogger.Apps != nil || blogger.Incident != 7 {
		t.Errorf("the blogger is told %+v", blogger)
	}
	journals := map[string][]int64{}
	for _, e := range r.all() {
		journals[e.App] = append(journals[e.App], e.Incident)
	}
	if !reflect.DeepEqual(journals, map[string][]int64{"shop": {4}, "blog": {7, 7}}) {
		t.Errorf("journals %v", journals)
	}
}

// noting is a receiver that takes everything.
type noting struct {
	mu   *sync.Mutex
	sent map[string][]v1alpha1.Alert
	url  string
}

func (n noting) send(_ context.Context, what *delivery) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sent[n.url] = append(n.sent[n.url], what.Alert)
	return nil
}

func (n noting) name() string { return n.url }
