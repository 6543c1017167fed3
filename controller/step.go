package controller

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/state/machine"
)

// maxEvents bounds the events of one step. The longest honest chain is Relapse, Recover; the bound turns a mistake in the
// table into a stop instead of an endless loop.
const maxEvents = 6

// Step is the brain: it takes what is known (the case) and what has come in, and gives the new record, what is to be done
// about it, in order, and the moment at which it wants to be called again at the latest. It changes nothing that it is given.
func Step(judge pass.Judge, c pass.Case, in Input) (v1alpha1.AppStatus, []Command, v1alpha1.Instant) {
	s := &stepper{judge: judge, c: c, in: in}
	s.c.Record = *c.Record.DeepCopy()
	s.r = &s.c.Record
	rebase(s.r, c.Now)
	if s.r.Phase == "" {
		s.r.Phase = v1alpha1.PhaseHealthy
		s.r.Since = metav1.NewTime(c.Now.Wall.Time)
		s.r.Message = "supervision has begun; nothing is known to be wrong"
	}

	if in.Started {
		s.started()
	}
	if in.Order != nil {
		s.ordered(*in.Order)
	}
	if in.Done != nil {
		s.stepDone(*in.Done)
	}
	if in.Observed && !in.Ending {
		s.observed()
	}
	if s.in.Ending {
		s.noteProven()
	}
	s.wouldEnd()
	s.act()
	s.conditions()
	s.r.ObservedPhase = s.r.Phase
	s.fileIncident(c.Record.Incident)
	return *s.r, s.commands, s.next
}

// stepper is the working state of one Step.
type stepper struct {
	judge    pass.Judge
	c        pass.Case
	r        *v1alpha1.AppStatus // &c.Record
	in       Input
	verdict  *v1alpha1.Verdict // of the newest observation, if it is fresh
	lookAll  bool              // everything is asked before anything is decided
	sudden   bool              // the newest verdict blames somebody else than the one before, and may be of this one look
	commands []Command
	next     v1alpha1.Instant
}

// started takes up what an earlier run of evenkeel has left.
func (s *stepper) started() {
	// Time in which nobody looked proves nothing.
	if i := s.r.Incident; i != nil {
		i.ProvenAt = nil
	}
	s.r.WellSince, s.r.NotWellSince = nil, nil
	if s.in.Lost {
		s.openIncident(v1alpha1.BlameNone, "StateLost")
		s.r.Incident.Spent = max(s.c.App.Spec.Recovery.MaxAttempts-1, 0)
		s.event(v1alpha1.EventWarning, v1alpha1.ReasonStateLost, "the record of earlier attempts is lost; one attempt is left")
	}
	if s.c.App.Spec.Observes() {
		s.event(v1alpha1.EventNormal, v1alpha1.ReasonObserving, "evenkeel only observes; it says what it would do, and does nothing")
	}
	if rec := s.r.Recovery; rec.Open() {
		if rec.Step != "" {
			s.finishStep(pass.StepResult{
				Step: rec.Step, Outcome: v1alpha1.StepInterrupted, Message: "evenkeel was ended while this step was under way",
				Took: s.c.Now.Since(*rec.StepAt),
			})
		}
		s.event(v1alpha1.EventWarning, v1alpha1.ReasonRecoveryResumed,
			fmt.Sprintf("recovery %s was interrupted; it goes on at %q unless everything holds by now", rec.ID, first(rec.Pending)))
	} else if s.r.Phase == v1alpha1.PhaseRecovering {
		s.fire(machine.Settle, "no recovery is under way")
	}
}

// observed judges the newest observation and lets the machine follow.
func (s *stepper) observed() {
	latest := s.c.Latest()
	s.noteUnknown(latest)
	learned := s.judge.Learn(&s.c)
	s.r.Learned = &learned
	v := s.judge.Diagnose(&s.c)
	s.boundWait(latest, &v)
	s.verdict = &v
	s.sudden = s.isSudden(&v)
	s.noteVerdict(v)
	if s.r.Recovery.Open() {
		s.goOn(latest, &v)
		return
	}
	s.demanded()
	for range maxEvents {
		s.account(&v)
		d := Decide(s.judge, &s.c, &v)
		if d.Confirmed && !s.sudden {
			s.noteBlame(&v)
		}
		s.r.Hold, s.r.Blocked = d.Hold, d.Blocked
		if d.Would {
			s.wouldAct(d, &v)
		}
		if d.Event == "" {
			break
		}
		if d.Event == machine.Recover && !s.mayBegin() {
			break
		}
		if d.HoldLimitReached {
			s.event(v1alpha1.EventWarning, v1alpha1.ReasonHoldLimit, d.Why)
		}
		s.follow(d, &v)
		if s.r.Recovery.Open() {
			break
		}
	}
	if s.r.Demand != nil { // it waits for its turn
		s.r.Blocked = turnBlocks()
	}
	s.noteWarnings(s.judge.Warn(&s.c))
	s.notePause()
	s.noteDowntime(latest)
	s.alert(&v) // first: what closes the incident must not swallow the word that it is over
	s.prove(&v)
}

// waitBound is how long a verdict may say that it is too early to say, while the application is not well.
const waitBound = 10 * time.Minute

// boundWait turns a wait that has lasted for too long into a hold, which is told.
func (s *stepper) boundWait(latest *v1alpha1.Observation, v *v1alpha1.Verdict) {
	lead, _ := latest.Leading()
	switch {
	case lead.Status == metav1.ConditionTrue, v.Remedy != v1alpha1.RemedyWait:
		s.r.NotWellSince = nil // a verdict that says something is no wait; the next one begins anew
	case s.r.NotWellSince == nil:
		now := s.c.Now
		s.r.NotWellSince = &now
	case v.Remedy == v1alpha1.RemedyWait && s.c.Now.Since(*s.r.NotWellSince) >= waitBound:
		v.Remedy, v.Certain = v1alpha1.RemedyHold, true
		v.Message = fmt.Sprintf("for %s now: %s", s.c.Now.Since(*s.r.NotWellSince).Round(time.Second), v.Message)
	}
}

// mayBegin tells whether a recovery may begin at this step: only on one coherent look, and when it is this App's turn on
// the machine.
func (s *stepper) mayBegin() bool {
	if !s.coherent() {
		return false
	}
	if s.in.NoTurn {
		s.r.Blocked = turnBlocks()
		return false
	}
	return true
}

// coherent tells whether the newest observation is one look at everything; where it is not, one is asked for.
func (s *stepper) coherent() bool {
	latest := s.c.Latest()
	s.lookAll = slices.ContainsFunc(latest.Results, func(r v1alpha1.CheckResult) bool { return r.At != latest.At })
	return !s.lookAll
}

// follow lets the machine take a decision's event, with all that belongs to it.
func (s *stepper) follow(d Decision, v *v1alpha1.Verdict) {
	switch d.Event {
	case machine.Degrade:
		s.openIncident(v.Blame, v.Reason)
		s.noteBlame(v)
		s.fire(d.Event, d.Why)
	case machine.Relapse:
		s.closeAttempt()
		s.openIncident(v.Blame, v.Reason)
		s.fire(d.Event, d.Why)
	case machine.Recover:
		s.begin(v1alpha1.TriggerAutomatic, d, v)
	case machine.Heal:
		s.mended(s.healedBy())
		s.fire(d.Event, d.Why)
	case machine.Stabilize:
		s.mended(mendedBy(s.r.Recovery))
		if rec := s.r.Recovery; rec != nil && rec.Verified && s.r.Incident != nil {
			s.r.Incident.Mended.At = *rec.FinishedAt // the cooldown after it was only to prove it
		}
		s.closeAttempt()
		s.r.Cooldown, s.r.CooldownUntil = nil, nil
		s.fire(d.Event, d.Why)
	case machine.Restore:
		s.resolved(d.Why)
		s.mended("by itself or by somebody else, after evenkeel had given up")
		s.closeIncident("restored: " + d.Why)
		s.fire(d.Event, d.Why)
	default:
		s.fire(d.Event, d.Why)
	}
}

// act gives the commands: the next step of a recovery, a pass that is due, or nothing; and when to call again.
func (s *stepper) act() {
	if s.in.Busy {
		s.next = s.c.Now.Add(time.Hour)
		return
	}
	if s.observing() {
		return
	}
	if rec := s.r.Recovery; rec.Open() {
		if s.in.Started {
			s.observe(s.allChecks())
			return
		}
		switch {
		case s.in.Ending && !rec.Stopped:
		case rec.Undecided:
			s.observe(s.allChecks())
		default:
			s.nextStep()
		}
		return
	}
	if s.in.Ending {
		return
	}
	due, when := s.due()
	if len(due) > 0 {
		s.observeSince(due, when)
		return
	}
	s.next = when
}

func (s *stepper) observe(due []string) { s.observeSince(due, s.c.Now) }

func (s *stepper) observeSince(due []string, since v1alpha1.Instant) {
	s.commands = append(s.commands, Observe{Due: due, Since: since})
	s.next = s.c.Now.Add(time.Hour)
}

// MayEnd tells whether supervision may end, and a new spec come into force, with this record: not while a recovery has
// stopped the application and not yet started it again.
func MayEnd(r *v1alpha1.AppStatus) bool {
	return !r.Recovery.Open() || !r.Recovery.Stopped
}

// fire sends one event through the machine. An event that the machine refuses changes nothing.
func (s *stepper) fire(event machine.Event, why string) bool {
	from := s.r.Phase
	to, err := machine.Next(from, event)
	if err != nil {
		s.event(v1alpha1.EventWarning, v1alpha1.ReasonOrderRefused, err.Error())
		return false
	}
	if to == from {
		return true
	}
	s.r.Phase, s.r.Message = to, why
	s.r.Since = metav1.NewTime(s.c.Now.Wall.Time)
	s.r.Blocked = nil
	if to == v1alpha1.PhaseHealthy {
		s.r.Hold = nil
	}
	if to != v1alpha1.PhaseFailed {
		s.r.WellSince = nil
	}
	kind := v1alpha1.EventNormal
	if to == v1alpha1.PhaseDegraded || to == v1alpha1.PhaseFailed {
		kind = v1alpha1.EventWarning
	}
	e := s.newEvent(kind, v1alpha1.ReasonPhaseChanged, fmt.Sprintf("%s → %s (%s): %s", from, to, event, why))
	e.From = from
	s.commands = append(s.commands, Record{e})
	return true
}

func (s *stepper) newEvent(kind, reason, message string) v1alpha1.Event {
	e := v1alpha1.Event{
		Time: s.c.Now.Wall, Type: kind, Reason: reason, Message: message,
		App: s.c.App.Name, UID: s.c.App.UID, Phase: s.r.Phase,
	}
	if i := s.r.Incident; i != nil {
		e.Incident, e.Blame = i.Number, i.Blame
		if n := len(i.Attempts); n > 0 {
			e.Attempt = i.Attempts[n-1].Number
		}
	}
	if v := s.r.Verdict; v != nil {
		e.Blame = v.Blame
	}
	if s.r.Recovery.Open() {
		e.Recovery = s.r.Recovery.ID
	}
	return e
}

func (s *stepper) event(kind, reason, message string) {
	s.commands = append(s.commands, Record{s.newEvent(kind, reason, message)})
}

// rebase brings every instant of the record into this boot, so that no later jump of the wall clock moves it.
func rebase(r *v1alpha1.AppStatus, now v1alpha1.Instant) {
	re := func(i *v1alpha1.Instant) {
		if i != nil {
			*i = i.Rebase(now)
		}
	}
	if w := r.Cooldown; w != nil {
		re(&w.From)
	}
	if i := r.Incident; i != nil {
		re(&i.StartedAt)
		re(i.ProvenAt)
		re(i.ResolvedAt)
		for n := range i.Downtime {
			re(i.Downtime[n].Since)
		}
		if i.Mended != nil {
			re(&i.Mended.At)
		}
		for n := range i.Attempts {
			re(&i.Attempts[n].StartedAt)
		}
		for n := range i.Alerts {
			re(&i.Alerts[n].At)
		}
	}
	if rec := r.Recovery; rec != nil {
		re(&rec.StartedAt)
		re(rec.StepAt)
		re(rec.FinishedAt)
	}
	if w := r.Would; w != nil {
		re(&w.At)
		re(&w.ToldAt)
	}
	if h := r.Hold; h != nil {
		re(&h.Since)
	}
	if d := r.Demand; d != nil {
		re(&d.At)
	}
	for n := range r.Unknown {
		re(&r.Unknown[n].Since)
		re(r.Unknown[n].RemindedAt)
	}
	re(r.PausedSince)
	re(r.PauseToldAt)
	for n := range r.Warnings {
		re(&r.Warnings[n].Since)
		re(&r.Warnings[n].ToldAt)
		re(r.Warnings[n].EndedAt)
	}
	re(r.WellSince)
	re(r.NotWellSince)
	if l := r.Learned; l != nil {
		re(l.LowMemorySince)
	}
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
