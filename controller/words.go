package controller

import (
	"slices"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// wordsEvery is how often a record is written in which only words have changed: for how long a stranger has had the port, say,
// or how often PM2 has started the application in vain. Nobody decides by them, and the disk of a small server is not for that.
const wordsEvery = 10 * time.Minute

// Words keeps a record from being written at every pass for its words alone. The zero value is good.
type Words struct {
	at   v1alpha1.Instant // of the last write
	late bool             // other words stand on disk
}

// Due tells whether a record that has become another, by a step with these commands, has to be written.
func (w *Words) Due(old, now *v1alpha1.AppStatus, commands []Command, at v1alpha1.Instant) bool {
	if apiequality.Semantic.DeepEqual(*old, *now) {
		return w.late && w.over(at)
	}
	if w.over(at) || slices.ContainsFunc(commands, tells) {
		return true
	}
	a, b := wordless(old), wordless(now)
	w.late = apiequality.Semantic.DeepEqual(a, b)
	return !w.late
}

// Written is told of every write.
func (w *Words) Written(at v1alpha1.Instant) { w.at, w.late = at, false }

func (w *Words) over(at v1alpha1.Instant) bool { return w.at.IsZero() || at.Since(w.at) >= wordsEvery }

// tells says that a command needs its record on disk before it is carried out.
func tells(c Command) bool {
	_, looks := c.(Observe)
	return !looks
}

// wordless is a record without what is said in it of what is seen.
func wordless(r *v1alpha1.AppStatus) v1alpha1.AppStatus {
	out := *r
	if v := r.Verdict; v != nil {
		bare := *v
		bare.Message, bare.Evidence, bare.Next = "", nil, nil
		out.Verdict = &bare
	}
	if b := r.Blocked; b != nil {
		bare := *b
		bare.Message = ""
		out.Blocked = &bare
	}
	out.Conditions = slices.Clone(r.Conditions)
	for n := range out.Conditions {
		out.Conditions[n].Message = ""
	}
	return out
}
