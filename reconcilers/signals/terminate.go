//go:build linux

package signals

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"golang.org/x/sys/unix"
)

// Outcome says how [Terminate] left a process.
type Outcome string

// The outcomes. Only after the first three is the process no more.
const (
	Exited   Outcome = "Exited"   // after the graceful signal
	Killed   Outcome = "Killed"   // after SIGKILL
	Gone     Outcome = "Gone"     // it was not there any more
	Survived Outcome = "Survived" // not even SIGKILL ended it in time: it hangs in the kernel
	Refused  Outcome = "Refused"  // it is one that is never touched
	Failed   Outcome = "Failed"   // it could not be signalled or watched, see Err
	Left     Outcome = "Left"     // the context ended first; the process has at most been asked
)

// Ended says that the process is no more.
func (o Outcome) Ended() bool { return o == Exited || o == Killed || o == Gone }

// Result is what became of one process.
type Result struct {
	Process   procfs.Identity
	Outcome   Outcome
	Took      time.Duration // from its first signal to its end
	Continued bool          // it was stopped (SIGSTOP), and had to be let run to heed the signal
	Err       error         // with Refused, Failed and Left
}

// Report is what became of all, in the order given.
type Report []Result

// Ended says that none of them is left.
func (r Report) Ended() bool {
	return !slices.ContainsFunc(r, func(one Result) bool { return !one.Outcome.Ended() })
}

// Err joins the errors of those that are left; nil if none is.
func (r Report) Err() error {
	var errs []error
	for _, one := range r {
		switch {
		case one.Err != nil:
			errs = append(errs, one.Err)
		case !one.Outcome.Ended():
			errs = append(errs, fmt.Errorf("process %s is still there after SIGKILL", one.Process))
		}
	}
	return errors.Join(errs...)
}

// killTime is how long a killed process may take to be gone.
const killTime = 5 * time.Second

// Terminate asks all these processes to end, waits up to grace for each of them, kills those that are left and waits
// for their end too (up to 5 s; only what hangs in the kernel takes that long). All are identified before the first is
// signalled. A stopped process cannot heed a signal, so it is continued after it was asked.
//
// When the context ends, nothing more is signalled: a caller who wants the processes ended for certain hands over one
// that does not end. With a grace of 0, or with SIGKILL as graceful signal, there is no asking.
func Terminate(ctx context.Context, ids []procfs.Identity, graceful unix.Signal, grace time.Duration) Report {
	report := make(Report, len(ids))
	handles := make([]*handle, len(ids))
	for i, id := range ids {
		report[i].Process = id
		handles[i] = report[i].prepare()
	}

	begun := time.Now()
	ask := graceful != unix.SIGKILL && grace > 0 && ctx.Err() == nil
	if ask {
		for i, h := range handles {
			if h != nil {
				report[i].ask(h, graceful)
			}
		}
	}
	var all sync.WaitGroup
	for i, h := range handles {
		if h == nil {
			continue
		}
		all.Go(func() {
			defer h.close()
			if report[i].Outcome != "" {
				return
			}
			report[i].finish(ctx, h, ask, grace)
			report[i].Took = time.Since(begun)
		})
	}
	all.Wait()
	return report
}

// prepare opens the process, or notes why not.
func (r *Result) prepare() *handle {
	if err := refuse(r.Process); err != nil {
		r.fail(err)
		return nil
	}
	h, err := open(r.Process)
	if err != nil {
		r.fail(err)
		return nil
	}
	return h
}

func (r *Result) fail(err error) {
	switch {
	case errors.Is(err, ErrGone):
		r.Outcome = Gone
		return
	case errors.Is(err, ErrRefused):
		r.Outcome = Refused
	default:
		r.Outcome = Failed
	}
	r.Err = err
}

func (r *Result) ask(h *handle, graceful unix.Signal) {
	if err := h.send(graceful); err != nil {
		r.fail(err)
		return
	}
	p, err := procfs.Default().Check(h.id)
	if err != nil || p.State != procfs.Stopped {
		return
	}
	if err := h.send(unix.SIGCONT); err == nil {
		r.Continued = true
	}
}

func (r *Result) finish(ctx context.Context, h *handle, asked bool, grace time.Duration) {
	if asked {
		switch over, err := h.waitFor(ctx, grace); {
		case over:
			r.Outcome = Exited
			return
		case err != nil:
			r.leave(ctx, err)
			return
		}
	}
	if err := ctx.Err(); err != nil {
		r.leave(ctx, err)
		return
	}
	if err := h.send(unix.SIGKILL); err != nil {
		r.fail(err)
		if r.Outcome == Gone && asked {
			r.Outcome = Exited
		}
		return
	}
	switch over, err := h.waitFor(ctx, killTime); {
	case over:
		r.Outcome = Killed
	case err != nil:
		r.leave(ctx, err)
	default:
		r.Outcome = Survived
	}
}

func (r *Result) leave(ctx context.Context, err error) {
	r.Outcome, r.Err = Failed, err
	if ctx.Err() != nil {
		r.Outcome, r.Err = Left, fmt.Errorf("process %s: %w", r.Process, context.Cause(ctx))
	}
}

var errTime = errors.New("time is over")

// waitFor waits for the end, but no longer than the limit: then over is false and err is nil.
func (h *handle) waitFor(ctx context.Context, limit time.Duration) (over bool, err error) {
	bounded, cancel := context.WithTimeoutCause(ctx, limit, errTime)
	defer cancel()
	err = h.wait(bounded)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, errTime):
		return false, nil
	default:
		return false, err
	}
}
