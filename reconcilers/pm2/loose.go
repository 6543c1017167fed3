//go:build linux

package pm2

import (
	"math"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/json"
)

// An application's own variables are laid over PM2's fields (a variable named watch replaces the field watch), and what
// comes from a command line or an ecosystem file keeps the type it had there ("8000", 8000, "8s"). So a field of an
// unforeseen type is a field that is not there, never a row that cannot be read.

// looseText is a string; a number or boolean is taken as it is written.
type looseText string

// UnmarshalJSON never fails.
func (t *looseText) UnmarshalJSON(b []byte) error {
	*t = looseText(scalar(b))
	return nil
}

// looseInt is a whole number, also one in quotes or with a fraction.
type looseInt struct {
	n   int64
	set bool
}

// UnmarshalJSON never fails.
func (i *looseInt) UnmarshalJSON(b []byte) error {
	*i = looseInt{}
	f, err := strconv.ParseFloat(strings.TrimSpace(scalar(b)), 64)
	if err == nil && math.Abs(f) < 1<<53 {
		*i = looseInt{n: int64(f), set: true}
	}
	return nil
}

// milliseconds as PM2 counts: a number of them, never negative, at most a year.
func (i looseInt) milliseconds() time.Duration {
	return time.Duration(min(max(i.n, 0), 366*24*3600*1000)) * time.Millisecond
}

// looseBool is a boolean, also one in quotes. Of autorestart PM2 itself accepts both.
type looseBool struct{ yes, set bool }

// UnmarshalJSON never fails.
func (v *looseBool) UnmarshalJSON(b []byte) error {
	*v = looseBool{}
	switch scalar(b) {
	case "true":
		*v = looseBool{yes: true, set: true}
	case "false":
		*v = looseBool{set: true}
	}
	return nil
}

// or is the value, or otherwise if there is none.
func (v looseBool) or(otherwise bool) bool {
	if v.set {
		return v.yes
	}
	return otherwise
}

// looseList is a list of strings; a single one is a list of one, as PM2 has it.
type looseList []string

// UnmarshalJSON never fails.
func (l *looseList) UnmarshalJSON(b []byte) error {
	*l = nil
	if len(b) > 0 && b[0] == '[' {
		var items []looseText
		if json.UnmarshalCaseSensitivePreserveInts(b, &items) == nil {
			for _, item := range items {
				*l = append(*l, string(item))
			}
		}
		return nil
	}
	if s := scalar(b); s != "" {
		*l = looseList{s}
	}
	return nil
}

// scalar is a JSON string's contents, or a number or boolean as written; empty for null, lists and objects.
func scalar(b []byte) string {
	switch {
	case len(b) == 0 || b[0] == '{' || b[0] == '[' || string(b) == "null":
		return ""
	case b[0] == '"':
		var s string
		if json.UnmarshalCaseSensitivePreserveInts(b, &s) != nil {
			return ""
		}
		return s
	default:
		return string(b)
	}
}
