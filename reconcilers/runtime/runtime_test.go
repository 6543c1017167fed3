//go:build linux

package runtime

import (
	"errors"
	"fmt"
	"testing"
)

func TestStateOfSeveralRowsIsTheBest(t *testing.T) {
	for name, c := range map[string]struct {
		rows []State
		want State
	}{
		"none":                           {nil, Missing},
		"one of them runs":               {[]State{Stopped, Errored, Running}, Running},
		"one comes back":                 {[]State{Errored, Waiting, Stopped}, Waiting},
		"given up on":                    {[]State{Errored, Errored}, Errored},
		"stopped before given up":        {[]State{Errored, Stopped}, Stopped},
		"a word that nobody knows":       {[]State{Unknown, Stopped}, Unknown},
		"starting before stopping":       {[]State{Stopping, Starting}, Starting},
		"one that is known and unusable": {[]State{Missing}, Missing},
		"a state that is not there":      {[]State{"Dreaming"}, Unknown},
	} {
		s := Snapshot{}
		for _, state := range c.rows {
			s.Processes = append(s.Processes, Process{State: state})
		}
		if got := s.State(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestCouldNotAsk(t *testing.T) {
	for err, want := range map[error]bool{
		nil:              false,
		ErrNoDaemon:      false,
		ErrNotListed:     false,
		ErrPermission:    true,
		ErrTimeout:       true,
		ErrNotUnderstood: true,
		errors.New("x"):  true,
	} {
		if got := CouldNotAsk(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
		if err != nil && CouldNotAsk(fmt.Errorf("wrapped: %w", &CommandError{Err: err})) != want {
			t.Errorf("%v, wrapped: not %v", err, want)
		}
	}
}

func TestHistoryCountsWhatNobodyAskedFor(t *testing.T) {
	h := History{Exits: []Exit{
		{Cause: CauseCrash}, {Cause: CauseOrder, Signal: "SIGKILL"}, {Cause: CauseMemory}, {Cause: CauseCrash, Signal: "SIGKILL"},
	}}
	if n := h.Unplanned(); n != 2 {
		t.Errorf("%d, want 2", n)
	}
	if n := h.Killed(); n != 1 {
		t.Errorf("%d killed, want 1", n)
	}
}

func TestCommandErrorSaysWhatHappened(t *testing.T) {
	for want, e := range map[string]*CommandError{
		"pm2 stop 0: exit status 1: no":                    {Args: []string{"pm2", "stop", "0"}, Code: 1, Tail: "no"},
		"pm2 jlist: " + ErrTimeout.Error():                 {Args: []string{"pm2", "jlist"}, Code: -1, Err: ErrTimeout},
		"pm2 jlist: " + ErrNoCommand.Error() + ": no node": {Args: []string{"pm2", "jlist"}, Code: 127, Err: ErrNoCommand, Tail: "no node"},
	} {
		if got := e.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
