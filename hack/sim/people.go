package main

import (
	"bytes"
	"regexp"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller"
)

// addOperators are what people do.
func addOperators() {
	add(kind{name: "pause", whose: operator, least: time.Minute, most: 3 * time.Hour,
		begin: always(func(s *sim, _ *Entry) {
			s.spec(func(a *v1alpha1.App) { a.Spec.Paused, a.Spec.PausedUntil = true, nil })
		}),
		end: func(s *sim, _ *Entry) {
			if !s.under("pause-until") {
				s.spec(func(a *v1alpha1.App) { a.Spec.Paused, a.Spec.PausedUntil = false, nil })
			}
		}})
	add(kind{name: "pause-until", whose: operator, least: time.Minute, most: 3 * time.Hour,
		begin: always(func(s *sim, e *Entry) {
			until := metav1.NewTime(s.w.wall().Add(e.For / 2).Truncate(time.Second))
			s.spec(func(a *v1alpha1.App) { a.Spec.Paused, a.Spec.PausedUntil = true, &until })
		}),
		end: func(s *sim, _ *Entry) {
			if !s.under("pause") {
				s.spec(func(a *v1alpha1.App) { a.Spec.Paused, a.Spec.PausedUntil = false, nil })
			}
		}})
	add(kind{name: "observe", whose: operator, least: time.Minute, most: 3 * time.Hour,
		begin: func(s *sim, _ *Entry) bool {
			was := s.desired.Spec.Observes()
			s.spec(func(a *v1alpha1.App) { a.Spec.Mode = v1alpha1.ModeObserve })
			return !was
		},
		end: func(s *sim, _ *Entry) { s.spec(func(a *v1alpha1.App) { a.Spec.Mode = v1alpha1.ModeActive }) }})
	add(kind{name: "other-spec", whose: operator, begin: always(func(s *sim, e *Entry) {
		s.spec(func(a *v1alpha1.App) {
			cooldowns := []time.Duration{time.Minute, 5 * time.Minute, 20 * time.Minute}
			a.Spec.Recovery.Cooldown.Duration = cooldowns[e.N%3]
			a.Spec.FailureThreshold = int32(2 + e.N%3)
		})
	})})
	add(kind{name: "bad-spec", whose: operator, begin: func(s *sim, _ *Entry) bool {
		if s.k == nil || s.k.ending {
			return false
		}
		s.k.pending = &controller.SpecUpdate{Rejected: errBadSpec}
		s.k.stimulate(controller.Input{Look: s.k.adopt()})
		return true
	}})
	order := func(name string, phase v1alpha1.Phase, force bool) {
		add(kind{name: name, whose: operator, begin: func(s *sim, e *Entry) bool { return s.save(phase, force, e) }})
	}
	order("reset", v1alpha1.PhaseHealthy, false)
	order("stand-down", v1alpha1.PhaseFailed, false)
	order("demand", v1alpha1.PhaseRecovering, false)
	order("demand-force", v1alpha1.PhaseRecovering, true)
	order("order-nonsense", v1alpha1.PhaseCooldown, false)
	// An editor that was opened before and saves what it had: no order, since its two lines agree.
	add(kind{name: "stale-save", whose: operator, least: time.Minute, most: 20 * time.Minute, begin: func(s *sim, e *Entry) bool {
		had := bytes.Clone(s.w.disk.content(statePath))
		if len(had) == 0 || s.check.ordered != nil || !agrees(had) {
			return false
		}
		s.w.in(e.For, func() {
			if s.check.ordered == nil {
				s.check.saved(had)
				s.w.disk.save(statePath, had)
				s.tellEdited(e)
			}
		})
		return true
	}})
	add(kind{name: "garbage-save", whose: operator, begin: func(s *sim, e *Entry) bool {
		if s.check.ordered != nil {
			return false
		}
		s.check.tampered = true
		s.w.disk.save(statePath, []byte("phase: [oops\n"))
		s.tellEdited(e)
		return true
	}})
	add(kind{name: "state-removed", whose: operator, begin: func(s *sim, e *Entry) bool {
		if s.check.ordered != nil {
			return false
		}
		s.check.tampered = true
		s.w.disk.remove(statePath)
		s.tellEdited(e)
		return true
	}})
	add(kind{name: "pm2-stop", whose: operator, expect: respected, least: 40 * time.Minute, most: 40 * time.Minute, begin: func(s *sim, _ *Entry) bool {
		p := &s.w.pm2
		if !p.up || !p.listed || p.hung {
			return false
		}
		s.w.orderStop(false)
		s.check.stoppedByHand()
		return true
	}})
	add(kind{name: "pm2-restart", whose: operator, expect: nothing, begin: func(s *sim, _ *Entry) bool {
		p := &s.w.pm2
		if !p.up || !p.listed || p.hung {
			return false
		}
		s.w.orderStart()
		return true
	}})
}

type specError string

func (e specError) Error() string { return string(e) }

const errBadSpec = specError(`site.yaml:3:5: spec.pors is not known; did you mean port?`)

var (
	phaseValue    = regexp.MustCompile(`(?m)^phase: .*$`)
	observedValue = regexp.MustCompile(`(?m)^observedPhase: (.*)$`)
	versionValue  = regexp.MustCompile(`(?m)^  resourceVersion: .*$`)
)

func agrees(doc []byte) bool {
	p, o := phaseLine.FindSubmatch(doc), observedValue.FindSubmatch(doc)
	return p != nil && o != nil && bytes.Equal(p[1], o[1])
}

// save is an operator who changes the phase in the state file. With an odd N his editor has been open for a while, so
// that what he saves is based on an older state. Where he finds somebody else's order in it he leaves it alone.
func (s *sim) save(phase v1alpha1.Phase, force bool, e *Entry) bool {
	if s.onReset != nil && phase == v1alpha1.PhaseHealthy {
		s.onReset()
	}
	had := bytes.Clone(s.w.disk.content(statePath))
	if !agrees(had) {
		return false
	}
	line := "phase: " + string(phase)
	if force {
		line += "\nforce: true"
	}
	doc := phaseValue.ReplaceAll(had, []byte(line))
	open := time.Duration(e.N%2) * time.Duration(e.N%90) * time.Second
	s.w.in(open, func() {
		s.check.saved(doc)
		s.w.disk.save(statePath, doc)
		observed := observedValue.FindSubmatch(doc)
		s.check.orderSaved(phase, observed != nil && string(observed[1]) == string(phase))
		s.tellEdited(e)
	})
	return true
}

// tellEdited is inotify, or, where an event is lost, the slow poll behind it.
func (s *sim) tellEdited(e *Entry) {
	delay := 100 * time.Millisecond
	switch e.N % 7 {
	case 3:
		delay = 3 * time.Second
	case 5:
		delay = 30 * time.Second
	}
	s.w.in(delay, func() {
		if s.k != nil && !s.k.ending {
			s.guard(s.k.edited)
		}
	})
}

// addMachine are reboots, clocks, and evenkeel's own end.
func addMachine() {
	reboot := func(s *sim, e *Entry, resurrect bool, clean func()) bool {
		if s.off {
			return false
		}
		down := 20*time.Second + time.Duration(e.N%100)*time.Second
		clean()
		s.w.shutDown()
		s.off = true
		s.w.in(down, func() {
			s.off = false
			if e.N%5 == 4 { // the clock on the wall is off until the network is there
				s.w.wallBy -= time.Hour
				s.w.in(20*time.Second, func() { s.jumpClock(time.Hour) })
			}
			s.w.boot(resurrect)
			s.startAt = s.w.now + 3*time.Second
		})
		return true
	}
	add(kind{name: "reboot", whose: machine, expect: nothing, begin: func(s *sim, e *Entry) bool {
		return reboot(s, e, true, func() { s.stop(time.Hour); s.kill(time.Hour) })
	}})
	add(kind{name: "reboot-without-pm2", whose: machine, least: 10 * time.Minute, most: 2 * time.Hour, begin: func(s *sim, e *Entry) bool {
		return reboot(s, e, false, func() { s.stop(time.Hour); s.kill(time.Hour) })
	}, end: func(s *sim, _ *Entry) { s.w.resurrect() }})
	add(kind{name: "power-loss", whose: machine, expect: nothing, begin: func(s *sim, e *Entry) bool {
		return reboot(s, e, true, func() { s.kill(time.Hour); s.w.disk.losePower(e.N); s.check.powerLost() })
	}})
	add(kind{name: "clock-forward", whose: machine, expect: nothing, begin: always(func(s *sim, e *Entry) {
		s.jumpClock([]time.Duration{30 * time.Second, 10 * time.Minute, 2 * time.Hour, 400 * 24 * time.Hour}[e.N%4])
	})})
	add(kind{name: "clock-back", whose: machine, expect: nothing, begin: always(func(s *sim, e *Entry) {
		s.jumpClock(-[]time.Duration{30 * time.Second, 10 * time.Minute, 2 * time.Hour, 400 * 24 * time.Hour}[e.N%4])
	})})
	// evenkeel dies at one of its next points: before and after writes, between commands, within steps.
	add(kind{name: "killed", whose: machine, expect: nothing, begin: func(s *sim, e *Entry) bool { s.killIn = 1 + int(e.N%90); return s.k != nil }})
	add(kind{name: "killed-often", whose: machine, least: time.Minute, most: 10 * time.Minute, begin: always(func(s *sim, e *Entry) {
		var again func()
		n := int(e.N % 13)
		again = func() {
			if s.under("killed-often") {
				if s.killIn == 0 {
					s.killIn = 1 + n
					n = (n*7 + 5) % 37
				}
				s.w.in(3*time.Second, again)
			}
		}
		again()
	})})
	add(kind{name: "restarted", whose: machine, expect: nothing, begin: func(s *sim, e *Entry) bool {
		ran := s.k != nil && !s.k.ending
		s.stop(time.Duration(e.N%300) * time.Second)
		return ran
	}})
	edit := func(name string, phase v1alpha1.Phase) {
		add(kind{name: name, whose: machine, begin: func(s *sim, _ *Entry) bool {
			ran := s.k != nil
			s.kill(2 * time.Minute)
			s.w.in(time.Minute, func() { s.save(phase, false, &Entry{}) })
			return ran && agrees(s.w.disk.content(statePath))
		}})
	}
	edit("reset-while-down", v1alpha1.PhaseHealthy)
	edit("stand-down-while-down", v1alpha1.PhaseFailed)
	edit("demand-while-down", v1alpha1.PhaseRecovering)
	add(kind{name: "state-lost", whose: machine, begin: func(s *sim, _ *Entry) bool {
		if s.check.ordered != nil {
			return false
		}
		s.kill(time.Minute)
		s.w.disk.save(statePath, []byte("garbage"))
		s.w.disk.save(prevPath, []byte("garbage"))
		s.check.lost()
		return true
	}})
}

// jumpClock sets the clock on the wall.
func (s *sim) jumpClock(by time.Duration) {
	s.w.wallBy += by
	s.w.note("the clock is set by %s", by)
	s.check.clockSet(by)
	if s.k != nil && !s.k.busy() { // Loop never sleeps for longer than this, so that it notices
		s.k.wakeAt = min(s.k.wakeAt, s.w.now+30*time.Second)
	}
}
