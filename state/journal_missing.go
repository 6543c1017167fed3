package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// MaxTold bounds the message of an event, or of an alert, that stands in the state file as still to be told, in bytes.
const MaxTold = 2 << 10

// Missing gives those events that the journal does not hold, in their order. Each line of the journal stands for one of them
// only. Messages are compared up to MaxTold.
func (j *Journal) Missing(events []v1alpha1.Event) ([]v1alpha1.Event, error) {
	missing := slices.Clone(events)
	var times [][]byte // of all of them, as they stand in a line: most lines need no second look
	want := make([]string, len(missing))
	for n, e := range missing {
		at, err := json.Marshal(e.Time)
		if err == nil {
			want[n], err = comparableText(e)
		}
		if err != nil {
			return nil, fmt.Errorf("looking events up in the journal: %w", err)
		}
		times = append(times, at)
	}
	err := j.scan(func(line []byte) bool {
		if !slices.ContainsFunc(times, func(at []byte) bool { return bytes.Contains(line, at) }) {
			return true
		}
		e, ok := parseEvent(line)
		if !ok {
			return true
		}
		text, err := comparableText(e)
		if err != nil {
			return true
		}
		// The last one first: it is the journal's end that is read first.
		for n := len(want) - 1; n >= 0; n-- {
			if want[n] == text {
				want, missing, times = slices.Delete(want, n, n+1), slices.Delete(missing, n, n+1), slices.Delete(times, n, n+1)
				break
			}
		}
		return len(missing) > 0
	})
	if err != nil {
		return nil, fmt.Errorf("looking events up in the journal: %w", err)
	}
	return missing, nil
}

// comparableText is an event as a text: two that are the same give the same, also where one has come through the state file.
func comparableText(e v1alpha1.Event) (string, error) {
	e.Message = shorten(e.Message, MaxTold)
	first, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	var back v1alpha1.Event // a text that is no UTF-8 is another one afterwards
	if err := json.Unmarshal(first, &back); err != nil {
		return "", err
	}
	text, err := json.Marshal(back)
	return string(text), err
}

// Delivered gives those of the names of alerts of which an event AlertSent or AlertFailed tells.
func (j *Journal) Delivered(names []string) ([]string, error) {
	left := slices.Clone(names)
	var found []string
	if len(left) == 0 {
		return nil, nil
	}
	err := j.scan(func(line []byte) bool {
		if !slices.ContainsFunc(left, func(name string) bool { return bytes.Contains(line, []byte(name)) }) {
			return true
		}
		if e, ok := parseEvent(line); ok {
			if n := slices.Index(left, e.Alert); n >= 0 {
				found, left = append(found, left[n]), slices.Delete(left, n, n+1)
			}
		}
		return len(left) > 0
	})
	if err != nil {
		return nil, fmt.Errorf("looking alerts up in the journal: %w", err)
	}
	return found, nil
}

// scan gives every line, the newest first, until yield returns false.
func (j *Journal) scan(yield func(line []byte) bool) error {
	parts, err := j.openAll()
	if err != nil {
		return err
	}
	defer closeAll(parts)
	goOn := true
	for _, p := range parts {
		if !goOn {
			break
		}
		err := backwards(p.file, p.end, func(line []byte) bool {
			goOn = yield(line)
			return goOn
		})
		if err != nil {
			return err
		}
	}
	return nil
}
