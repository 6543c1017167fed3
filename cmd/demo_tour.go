package cmd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/cmd/demo"
	"github.com/evenkeel/evenkeel/reconcilers/listeners"
	"github.com/evenkeel/evenkeel/state"
)

const (
	// tourLimit is how long a whole tour may take.
	tourLimit = 90 * time.Second
	// sceneLimit is how long any one thing in it may take to happen.
	sceneLimit = 30 * time.Second
)

// tour breaks a demo's site in one way after the other.
type tour struct {
	*demoWorld
	visits visits

	events, alerts int       // how many there were when the scene began
	broken, left   time.Time // when the site was broken, and when the cause was taken away by us
	before         int       // the site's process when the scene began
}

// demoTour runs every scene. Its error says what was not as it must be.
func (g *globals) demoTour(ctx context.Context, dir string) error {
	began := time.Now()
	bounded, cancel := context.WithTimeout(ctx, tourLimit)
	defer cancel()
	var reports []sceneReport
	var st style
	port := 0
	list := scenes()
	err := g.inDemo(bounded, dir, func(ctx context.Context, w *demoWorld) error {
		st, port = w.voice.style, w.port
		var err error
		reports, err = w.takeTour(ctx, list)
		return err
	})
	if errors.Is(err, errInterrupted) && bounded.Err() == context.DeadlineExceeded {
		err = fmt.Errorf("the tour took longer than %s", tourLimit)
	}
	if have, lookErr := listeners.Listeners(ctx, uint16(port)); port != 0 && lookErr == nil && len(have) > 0 {
		err = errors.Join(err, fmt.Errorf("somebody still listens on port %d", port))
	}
	if len(reports) > 0 {
		fmt.Fprint(g.Stdout, tourText(reports, len(list), time.Since(began), err == nil, st))
	}
	if err == nil && !allWell(reports, len(list)) {
		return &saidError{exitNotWell}
	}
	return err
}

// errInterrupted says that the tour was broken off.
var errInterrupted = errors.New("the tour was interrupted")

// takeTour runs scenes until one cannot be brought to its end.
func (w *demoWorld) takeTour(ctx context.Context, list []scene) ([]sceneReport, error) {
	t := &tour{demoWorld: w}
	ctx, cancel := context.WithCancel(ctx)
	var visiting sync.WaitGroup
	visiting.Go(func() { t.visits.visitAll(ctx, w.proxy.URL()) })
	defer visiting.Wait()
	defer cancel()

	s := w.voice.style
	w.voice.line("%s", s.bold("A tour: evenkeel keeps a small site online, and the site is broken in every way."))
	w.voice.line("  The site: %s, in public: %s. Attempts are forgotten after half a second of health,", w.siteURL("/"), w.proxy.URL())
	w.voice.line("  so that each scene begins anew; \"%s\" is the whole of what it was told.", w.folder.Desired())
	if w.port != demoPort {
		w.voice.line("  Port %d is taken; the site uses %d instead.", demoPort, w.port)
	}
	w.speak()
	var reports []sceneReport
	for n := range list {
		sc := &list[n]
		w.voice.line("")
		w.voice.line("%s  %s", s.bold(fmt.Sprintf("%d/%d %s", n+1, len(list), sc.name)), sc.title)
		report, err := t.play(ctx, sc)
		if ctx.Err() != nil {
			return reports, errInterrupted
		}
		reports = append(reports, report)
		for _, p := range report.problems {
			w.voice.line("  %s %s", s.bad("✗"), p)
		}
		if len(report.problems) == 0 {
			w.voice.line("  %s %s", s.good("✓"), report.summary())
		}
		if err != nil {
			return reports, err
		}
	}
	return reports, nil
}

// play runs one scene and compares. An error says that no further one can be run.
func (t *tour) play(ctx context.Context, sc *scene) (sceneReport, error) {
	t.events, t.alerts = t.watch.counts()
	t.left = time.Time{}
	t.visits.forget()
	site, _ := t.watch.site()
	t.before = site.PID
	earlier, err := t.journal()
	if err != nil {
		return sceneReport{name: sc.name, problems: []string{err.Error()}}, err
	}
	var problems []string
	err = sc.play(ctx, t)
	if err != nil {
		problems = append(problems, err.Error())
	}
	record := sceneRecord{broken: t.broken, left: t.left, before: t.before, answers: t.visits.list()}
	if site, ok := t.watch.site(); ok {
		record.after = site.PID
	}
	_, record.alerts = t.watch.since(t.events, t.alerts)
	if all, err := t.journal(); err != nil || len(all) < len(earlier) {
		problems = append(problems, fmt.Sprintf("the journal cannot be read as a whole: %v", err))
	} else {
		record.events = all[len(earlier):]
	}
	report := record.report(sc)
	report.problems = append(problems, report.problems...)
	if err != nil {
		return report, fmt.Errorf("scene %s could not be brought to its end, and those after it were left out", sc.name)
	}
	return report, nil
}

// breaks says that the site is broken now, and how.
func (t *tour) breaks(format string, args ...any) {
	t.broken = time.Now()
	t.voice.say(t.broken, tagBreak.say(format, args...))
}

// mends says that the cause has been taken away now.
func (t *tour) mends(format string, args ...any) {
	t.left = time.Now()
	t.voice.say(t.left, tagMend.say(format, args...))
}

// until waits for something that must come to be.
func (t *tour) until(ctx context.Context, what string, so func() bool) error {
	if t.watch.wait(ctx, sceneLimit, so) {
		return nil
	}
	if ctx.Err() != nil {
		return errInterrupted
	}
	return fmt.Errorf("in vain for %s: %s", sceneLimit, what)
}

// looks waits for some more finished passes: time in which something would have been done.
func (t *tour) looks(ctx context.Context, n int) error {
	_, from := t.watch.pass()
	return t.until(ctx, fmt.Sprintf("waited for %d passes", n), func() bool {
		_, now := t.watch.pass()
		return now >= from+n
	})
}

// has tells whether an event of the scene is so.
func (t *tour) has(so func(*v1alpha1.Event) bool) bool {
	events, _ := t.watch.since(t.events, t.alerts)
	return slices.ContainsFunc(events, func(e v1alpha1.Event) bool { return so(&e) })
}

// reached waits until the scene has brought the App into a phase.
func (t *tour) reached(ctx context.Context, phase v1alpha1.Phase) error {
	return t.until(ctx, "waited for the phase "+string(phase), func() bool {
		return t.has(func(e *v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonPhaseChanged && e.Phase == phase })
	})
}

// quiet waits until the scene's incident is closed, everything holds and the state file says so.
func (t *tour) quiet(ctx context.Context) error {
	return t.until(ctx, "waited for everything to be well again, and the incident to be closed", func() bool {
		closed := t.has(func(e *v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonIncidentClosed })
		last, _ := t.watch.pass()
		if !closed || !last.Holds() {
			return false
		}
		st, err := state.ReadState(t.folder.State(), demoApp)
		return err == nil && st.Phase == v1alpha1.PhaseHealthy && st.Incident == nil
	})
}

// visits are what somebody sees who asks for the site again and again, at its public address.
type visits struct {
	mu   sync.Mutex
	seen []visit
}

// visit is one answer; pid is the process that gave it, and 0 where it was no good one.
type visit struct {
	at  time.Time
	pid int
}

// visitEvery is the time between two visits.
const visitEvery = 25 * time.Millisecond

// visitAll visits until the context ends.
func (v *visits) visitAll(ctx context.Context, url string) {
	client := &http.Client{Timeout: 250 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(visitEvery)
	defer tick.Stop()
	for {
		pid := ask(ctx, client, url)
		v.mu.Lock()
		v.seen = append(v.seen, visit{time.Now(), pid})
		v.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// ask gives the process that answers well; 0 if none does.
func ask(ctx context.Context, client *http.Client, url string) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0
	}
	pid, err := strconv.Atoi(resp.Header.Get(demo.PIDHeader))
	if err != nil {
		return 0
	}
	return pid
}

func (v *visits) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.seen = nil
}

func (v *visits) list() []visit {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.seen)
}
