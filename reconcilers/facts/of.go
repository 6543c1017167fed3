package facts

import (
	"encoding/json"
	"sync"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// Of reads the facts of a check from an observation. It tells whether there are any. Who reads them shares them with others, and
// leaves what they point to as it is.
func Of[T any](o *v1alpha1.Observation, check string) (T, bool) {
	r, ok := o.Result(check)
	if !ok || len(r.Facts) == 0 {
		var none T
		return none, false
	}
	at := &r.Facts[0]
	if known, ok := read.get(at).(T); ok {
		return known, true
	}
	var t T
	if err := json.Unmarshal(r.Facts, &t); err != nil {
		return t, false
	}
	read.put(at, t)
	return t, true
}

// read is what Of has read last: a pass asks for the same facts thirty times, and for those of the passes before it. Facts are
// written once and never changed, so their place in memory names them; as long as it stands here, nothing else comes to lie there.
var read = memo{known: map[*byte]any{}}

// memo keeps the newest things that it was given, of a few applications and their last looks.
type memo struct {
	mu    sync.Mutex
	known map[*byte]any
	order [256]*byte // as they came; next is the oldest
	next  int
}

func (m *memo) get(at *byte) any {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known[at]
}

func (m *memo) put(at *byte, v any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.known[at]; !ok {
		delete(m.known, m.order[m.next])
		m.order[m.next] = at
		m.next = (m.next + 1) % len(m.order)
	}
	m.known[at] = v
}
