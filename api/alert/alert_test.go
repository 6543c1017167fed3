package alert

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func TestMain(m *testing.M) {
	if os.Getenv(courierMark) != "" { // this program is the courier of a test
		os.Exit(Carry(context.Background(), os.Stdin, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// reports collects what a Dispatcher reports.
type reports struct {
	mu   sync.Mutex
	list []v1alpha1.Event
	came chan struct{}
}

func newReports() *reports { return &reports{came: make(chan struct{}, 1000)} }

func (r *reports) take(e v1alpha1.Event) {
	r.mu.Lock()
	r.list = append(r.list, e)
	r.mu.Unlock()
	r.came <- struct{}{}
}

func (r *reports) all() []v1alpha1.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]v1alpha1.Event(nil), r.list...)
}

// one waits for the first report.
func (r *reports) one(t *testing.T) v1alpha1.Event {
	t.Helper()
	<-r.came
	return r.all()[0]
}

func quiet() logrus.FieldLogger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

func dispatcher(t *testing.T, r *reports) *Dispatcher {
	t.Helper()
	d := New(Options{Report: r.take, Log: quiet(), Host: "web1", Random: rand.New(rand.NewPCG(1, 2))})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := d.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return d
}

// took is how many alerts a fake has taken.
func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.took)
}

func app(alerts ...v1alpha1.AlertSpec) *v1alpha1.App {
	a := v1alpha1.NewApp()
	a.Name, a.UID, a.Spec.Alerts = "bbyatch", "uid-1", alerts
	v1alpha1.SetDefaults(a)
	return a
}

func failed() v1alpha1.Alert {
	return v1alpha1.Alert{
		Time: metav1.NewMicroTime(time.Date(2026, 11, 23, 3, 12, 41, 0, time.UTC)),
		Kind: v1alpha1.AlertFailed, App: "bbyatch", Incident: 7, Phase: v1alpha1.PhaseFailed, Blame: v1alpha1.BlameApp,
		Reason: "NotListening", Message: "nothing listens on port 3003.", Evidence: []string{"port: False"},
		Next: []string{"pm2 logs bbyatch", "evenkeel why bbyatch"}, Duration: metav1.Duration{Duration: 16 * time.Minute},
	}
}

// fake is a receiver whose answers are given.
type fake struct {
	answer func(ctx context.Context, try int, d *delivery) error
	mu     sync.Mutex
	at     []time.Time
	took   []string
}

func (f *fake) name() string { return "fake" }

func (f *fake) send(ctx context.Context, d *delivery) error {
	f.mu.Lock()
	f.at = append(f.at, time.Now())
	try := len(f.at)
	f.mu.Unlock()
	err := f.answer(ctx, try, d)
	if err == nil {
		f.mu.Lock()
		f.took = append(f.took, d.Alert.Message)
		f.mu.Unlock()
	}
	return err
}

func hang(ctx context.Context, _ int, _ *delivery) error {
	<-ctx.Done()
	return ctx.Err()
}

// withFakes puts fakes in the place of the real receivers, by the webhook's address.
func withFakes(d *Dispatcher, fakes map[string]*fake) {
	d.newSender = func(spec v1alpha1.AlertSpec) sender { return fakes[spec.Webhook] }
}

func hook(name string) v1alpha1.AlertSpec { return v1alpha1.AlertSpec{Webhook: name} }

func TestAFailedDeliveryIsTriedFiveTimesOverAboutAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReports()
		d := dispatcher(t, r)
		f := &fake{answer: func(context.Context, int, *delivery) error { return errors.New("refused") }}
		withFakes(d, map[string]*fake{"a": f})
		began := time.Now()
		d.Alert(app(hook("a")), failed())
		e := r.one(t)
		if len(f.at) != 5 {
			t.Fatalf("%d tries, want 5", len(f.at))
		}
		if took := time.Since(began); took < 45*time.Second || took > 75*time.Second {
			t.Errorf("it was given up after %v, want about a minute", took)
		}
		if e.Reason != v1alpha1.ReasonAlertFailed || e.Type != v1alpha1.EventWarning || e.App != "bbyatch" || e.UID != "uid-1" ||
			e.Incident != 7 || !strings.Contains(e.Message, "fifth try: refused") {
			t.Errorf("reported %+v", e)
		}
	})
}

func TestNothingIsSentAgainOnceItWasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReports()
		d := dispatcher(t, r)
		f := &fake{answer: func(_ context.Context, try int, _ *delivery) error {
			if try < 3 {
				return errors.New("not yet")
			}
			return nil
		}}
		withFakes(d, map[string]*fake{"a": f})
		d.Alert(app(hook("a"), hook("a")), failed())
		e := r.one(t)
		synctest.Wait()
		if e.Reason != v1alpha1.ReasonAlertSent || e.Took.Duration < 8*time.Second || !strings.Contains(e.Message, "third try") {
			t.Errorf("reported %+v", e)
		}
		if len(f.at) != 3 || len(f.took) != 1 || len(r.all()) != 1 {
			t.Errorf("%d tries, %d taken, %d reports; want 3, 1, 1", len(f.at), len(f.took), len(r.all()))
		}
	})
}

func TestAPermanentFailureIsNotTriedAgainAndAWaitIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReports()
		d := dispatcher(t, r)
		f := &fake{answer: func(_ context.Context, try int, _ *delivery) error {
			if try == 1 {
				return fmt.Errorf("wrapped: %w", &failure{text: "busy", retryAfter: 50 * time.Second})
			}
			return &failure{text: "gone", permanent: true}
		}}
		withFakes(d, map[string]*fake{"a": f})
		d.Alert(app(hook("a")), failed())
		r.one(t)
		if len(f.at) != 2 || f.at[1].Sub(f.at[0]) != 50*time.Second {
			t.Errorf("tried at %v", f.at)
		}
	})
}

func TestAChannelThatHangsDelaysNobodyAndDropsTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReports()
		d := dispatcher(t, r)
		began := time.Now()
		stuck := &fake{answer: func(ctx context.Context, try int, d *delivery) error {
			if time.Since(began) < time.Second {
				return hang(ctx, try, d)
			}
			return nil
		}}
		well := &fake{answer: func(context.Context, int, *delivery) error { return nil }}
		withFakes(d, map[string]*fake{"stuck": stuck, "well": well})
		for n := range 100 {
			a := failed()
			a.Message = fmt.Sprint("alert ", n)
			d.Alert(app(hook("stuck"), hook("well")), a)
			synctest.Wait()
		}
		if time.Since(began) != 0 {
			t.Error("the caller was held up")
		}
		if len(well.took) != 100 {
			t.Errorf("the other channel took %d alerts, want 100", len(well.took))
		}
		if got := d.Dropped(); got != 100-1-queueSize {
			t.Errorf("%d dropped, want %d", got, 100-1-queueSize)
		}
		<-time.After(10 * time.Minute) // of virtual time
		synctest.Wait()
		if len(stuck.took) != 1+queueSize || stuck.took[1] != "alert 36" || stuck.took[queueSize] != "alert 99" {
			t.Errorf("it took %d, the second of them %q", len(stuck.took), stuck.took[1])
		}
		var told int
		for _, e := range r.all() {
			if e.Reason == v1alpha1.ReasonAlertFailed && strings.Contains(e.Message, "35 alerts were dropped") {
				told++
			}
		}
		if told != 1 {
			t.Errorf("the dropping was told %d times, want once", told)
		}
		if len(d.channels) != 0 {
			t.Error("a worker without work goes on")
		}
	})
}

func TestTheSameReceiverOfTwoAppsHasTwoQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReports()
		d := dispatcher(t, r)
		f := &fake{answer: func(ctx context.Context, try int, d *delivery) error {
			if d.Of[0].App == "bbyatch" {
				return hang(ctx, try, d)
			}
			return nil
		}}
		withFakes(d, map[string]*fake{"a": f})
		other := app(hook("a"))
		other.Name = "other"
		d.Alert(app(hook("a")), failed())
		d.Alert(other, failed())
		synctest.Wait()
		if len(f.took) != 1 {
			t.Error("one App's alert waits for another's")
		}
	})
}

func TestCloseTriesWhatIsQueuedOnceMoreWithoutPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReports()
		d := New(Options{Report: r.take, Log: quiet()})
		f := &fake{answer: func(_ context.Context, try int, _ *delivery) error {
			if try == 1 {
				return errors.New("not yet")
			}
			return nil
		}}
		withFakes(d, map[string]*fake{"a": f})
		for range 3 {
			d.Alert(app(hook("a")), failed())
		}
		synctest.Wait() // it failed once, and pauses
		began := time.Now()
		if err := d.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if time.Since(began) != 0 || len(f.took) != 3 {
			t.Errorf("%d taken after %v, want 3 at once", len(f.took), time.Since(began))
		}
		d.Alert(app(hook("a")), failed())
		synctest.Wait()
		if len(f.took) != 3 {
			t.Error("an alert was taken after Close")
		}
	})
}

func TestCloseBreaksOffWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReports()
		d := New(Options{Report: r.take, Log: quiet()})
		f := &fake{answer: hang}
		withFakes(d, map[string]*fake{"a": f})
		for range 3 {
			d.Alert(app(hook("a")), failed())
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		if err := d.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close = %v", err)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("Close took %v", took)
		}
		all := r.all()
		if len(all) != 3 || !strings.Contains(all[2].Message, "ended before it was tried") {
			t.Errorf("reported %+v", all)
		}
	})
}

func TestAPanicInAReceiverIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReports()
		d := dispatcher(t, r)
		withFakes(d, map[string]*fake{"a": {answer: func(context.Context, int, *delivery) error { panic("oh") }}})
		d.Alert(app(hook("a")), failed())
		if e := r.one(t); !strings.Contains(e.Message, "panic: oh") {
			t.Errorf("reported %+v", e)
		}
	})
}

func TestTheSummaryIsOneParagraphWithAllThatMatters(t *testing.T) {
	a := failed()
	a.Host = "web1"
	want := "bbyatch on web1: Failed (blame App, NotListening, incident 7). nothing listens on port 3003. It has lasted 16m0s. " +
		"Next: pm2 logs bbyatch; evenkeel why bbyatch"
	if got := Summary(&a); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	a.Message = strings.Repeat("ö\n", 3000)
	if got := Summary(&a); len(got) > maxSummary+3 || strings.Contains(got, "\n") || !strings.HasSuffix(got, "…") {
		t.Errorf("a long one has %d bytes: %q", len(got), got)
	}
}
