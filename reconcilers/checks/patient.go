package checks

import (
	"sync"
	"time"
)

// patient asks what may hang in the kernel, such as a network's file system that does not answer: for as long as an answer
// is awaited, nobody asks again.
type patient[T any] struct {
	mu   sync.Mutex
	open map[string]chan T
}

// ask gives nil where no answer came within the limit; it is taken up by the next one who asks under the same name.
func (p *patient[T]) ask(name string, limit time.Duration, do func() T) *T {
	p.mu.Lock()
	answer, waiting := p.open[name]
	if !waiting {
		if p.open == nil {
			p.open = map[string]chan T{}
		}
		answer = make(chan T, 1)
		p.open[name] = answer
		go func() { answer <- do() }()
	} else {
		limit = min(limit, time.Millisecond) // it has had its time; has it come meanwhile?
	}
	p.mu.Unlock()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case t := <-answer:
		p.mu.Lock()
		delete(p.open, name)
		p.mu.Unlock()
		if waiting { // an answer to a question of long ago
			return p.ask(name, limit, do)
		}
		return &t
	case <-timer.C:
		return nil
	}
}
