package checks

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/sourcegraph/conc/panics"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// patient asks what may hang in the kernel, such as a file system of a network, or a disk that is dying: for as long as an
// answer is awaited, nobody asks again under the same name. So at most one goroutine waits for each, whatever the number of looks.
type patient[T any] struct {
	mu   sync.Mutex
	open map[string]chan answered[T]
}

type answered[T any] struct {
	value    T
	panicked *panics.Recovered
}

// ask gives nil where no answer came within the limit; one that comes later is taken for none: the next one asks anew. A panic
// in do is one here.
func (p *patient[T]) ask(name string, limit time.Duration, do func() T) *T {
	p.mu.Lock()
	answer, waiting := p.open[name]
	if waiting {
		select {
		case <-answer: // to a question of long ago
			waiting = false
		default:
		}
	}
	if waiting {
		p.mu.Unlock()
		return nil // it has had its time
	}
	if p.open == nil {
		p.open = map[string]chan answered[T]{}
	}
	answer = make(chan answered[T], 1)
	p.open[name] = answer
	p.mu.Unlock()
	go func() {
		var a answered[T]
		a.panicked = panics.Try(func() { a.value = do() })
		answer <- a
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case a := <-answer:
		p.mu.Lock()
		delete(p.open, name)
		p.mu.Unlock()
		if a.panicked != nil {
			panic(a.panicked)
		}
		return &a.value
	case <-timer.C:
		return nil
	}
}

// question names what is asked of an App's files, so that another folder is another question.
func (l *look) question(what string) string {
	return l.app.Name + "\x00" + what + "\x00" + l.app.Spec.Directory
}

// hangs says that what was asked in a folder has not been answered within the limit, and what that may mean.
func hangs(dir string, limit time.Duration) string {
	return fmt.Sprintf("%s does not answer within %s: a disk, or a file system of a network, that hangs; until it answers nobody asks again "+
		"(look: timeout 5 ls %s; dmesg)", dir, limit, strings.ReplaceAll(dir, " ", `\ `))
}

const (
	// factFiles is for how long the files may be read that a fact rests on, which has no time of its own in the spec.
	factFiles = 3 * time.Second
	// databaseFiles is for how long those may be read in which a database's address stands.
	databaseFiles = 2 * time.Second
)

// ofFiles asks a check that reads the application's files, within a limit. One that has not been answered is Unknown.
func (p *Prober) ofFiles(l *look, check string, limit time.Duration, ask func() v1alpha1.CheckResult) v1alpha1.CheckResult {
	if r := p.files.ask(l.question(check), limit, ask); r != nil {
		return *r
	}
	return v1alpha1.CheckResult{Status: metav1.ConditionUnknown, Reason: "CouldNotAsk", Message: hangs(l.app.Spec.Directory, limit)}
}
