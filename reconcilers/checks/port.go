package checks

import (
	"fmt"
	"net/netip"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/listeners"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// portResult says who listens on the application's port, and whether it is the application.
func portResult(l *look) v1alpha1.CheckResult {
	r := v1alpha1.CheckResult{Took: metav1.Duration{Duration: l.tookListen}}
	f := facts.Port{Port: l.app.Spec.Port}
	if l.portErr != nil {
		r.Status, r.Reason, r.Message = metav1.ConditionUnknown, "CouldNotAsk", "the kernel could not be asked who listens: "+l.portErr.Error()
		r.Facts = facts.Raw(f)
		return r
	}
	f.Listeners, f.Elsewhere = l.holders, l.elsewhere
	r.Facts = facts.Raw(f)
	if len(f.Listeners) == 0 {
		r.Status, r.Reason, r.Message = metav1.ConditionFalse, "NotListening", fmt.Sprintf("nobody listens on port %d", f.Port)
		if len(f.Elsewhere) > 0 {
			r.Message += fmt.Sprintf("; the application listens on %s (pid %d)", f.Elsewhere[0].Addr, f.Elsewhere[0].PID)
		}
		return r
	}
	for _, known := range []struct {
		whose  facts.Whose
		status metav1.ConditionStatus
		reason string
		text   string
	}{
		{facts.Ours, metav1.ConditionTrue, "Listening", "the application listens on "},
		{facts.Stranger, metav1.ConditionFalse, "HeldByAnother", "another program listens on "},
		{facts.OurOrphan, metav1.ConditionFalse, "HeldByOrphan", "an orphan of the application listens on "},
	} {
		if who, ok := f.By(known.whose); ok {
			r.Status, r.Reason = known.status, known.reason
			r.Message = known.text + listensAt(who)
			if other, beside := f.By(facts.Stranger); beside && known.whose == facts.Ours {
				r.Message += "; another program listens on " + listensAt(other)
			}
			if l.sealed && known.whose == facts.Ours {
				r.Message += sealedText
			}
			return r
		}
	}
	r.Status, r.Reason = metav1.ConditionUnknown, "CannotTell"
	r.Message = fmt.Sprintf("somebody listens on %s; whose process it is cannot be seen by this user", f.Listeners[0].Addr)
	if l.sealed {
		r.Message += sealedText
	}
	return r
}

// classify says whose each listening socket is, and, where the application is not alone on its port, at which address it is
// certain to be reached.
func (p *Prober) classify(l *look) (own netip.AddrPort) {
	if len(l.listening) == 0 {
		return own
	}
	owners, err := listeners.Join(p.FS, l.listening, p.preferred(l)...)
	if err != nil {
		l.portErr = err
		return own
	}
	var ours, others []listeners.Listener
	l.holders, l.sealed = nil, false
	for _, o := range owners {
		fl := facts.Listener{Addr: o.Addr.String(), Whose: p.Whose(l.app, l, o), User: o.User, Waiting: o.RecvQ}
		if o.Known {
			fl.PID, fl.Process = o.Process.PID, o.Process.String()
			fl.Under = underAnother(l, o.Process.PID)
			fl.Since = max(l.now.Boot.Duration-o.StartedAt, 0)
			if fl.Whose == facts.Stranger || fl.Whose == facts.OurOrphan {
				fl.Command, fl.Folder = programName(o), o.Cwd
			}
			p.mu.Lock()
			p.owners[l.app.Name] = fl.PID
			p.mu.Unlock()
		} else {
			l.sealed = l.sealed || ownIsSealed(l, o)
		}
		if fl.User == "" {
			fl.User = userName(o.Listener.UID)
		}
		l.holders = append(l.holders, fl)
		if fl.Whose == facts.Ours {
			ours = append(ours, o.Listener)
		} else {
			others = append(others, o.Listener)
		}
	}
	if len(ours) > 0 && len(others) > 0 {
		own, _ = listeners.DialBeside(ours, others)
	}
	p.mu.Lock()
	p.owns[l.app.Name] = own
	p.mu.Unlock()
	return own
}

// programName names a process without its arguments: they may hold secrets.
func programName(o listeners.Owner) string {
	program, _, _ := strings.Cut(o.Cmdline, " ")
	if program = filepath.Base(program); program == "." || program == o.Comm {
		return o.Comm
	}
	return o.Comm + " (" + program + ")"
}

// preferred are the processes that are asked first for the socket: usually one of them has it.
func (p *Prober) preferred(l *look) []int {
	var list []int
	p.mu.Lock()
	if pid, ok := p.owners[l.app.Name]; ok {
		list = append(list, pid)
	}
	p.mu.Unlock()
	for pid := range l.tree {
		if !slices.Contains(list, pid) {
			list = append(list, pid)
		}
	}
	return list
}

// Whose says whose a listening socket is. Ours is what descends from the process that the runtime names (in cluster mode
// PM2's daemon itself listens). An orphan of ours carries, in the environment it was born with, the runtime's badge with a
// mark that the runtime is known to have given to this application. Name, folder and user prove nothing.
func (p *Prober) Whose(app *v1alpha1.App, l *look, o listeners.Owner) facts.Whose {
	if l.procsErr != nil || runtime.CouldNotAsk(l.snapshotErr) {
		return facts.CannotTell // which processes are the application's own is not known now
	}
	if !o.Known {
		return p.whoseUnseen(l, o)
	}
	if _, ok := l.tree[o.Process.PID]; ok {
		return facts.Ours
	}
	for n := range l.snapshot.Others {
		other := &l.snapshot.Others[n]
		if other.Alive() && slices.ContainsFunc(l.procs.Tree(other.PID), func(p procfs.Process) bool { return p.Identity == o.Process }) {
			return facts.Stranger // it lives under another row, whatever mark it bears
		}
	}
	if o.Process.PID == l.snapshot.Daemon.PID {
		return clusters(&l.snapshot)
	}
	if l.snapshot.Daemon.Badge.On(p.FS, o.Process, Marks(app, app.Status.Learned, &l.snapshot)) {
		return facts.OurOrphan
	}
	return facts.Stranger
}

// clusters says for whom PM2's daemon itself listens: for a cluster of living workers. Where none lives it has not let go of
// the port yet.
func clusters(s *runtime.Snapshot) facts.Whose {
	ours, others := false, false
	for n := range s.Processes {
		if p := &s.Processes[n]; p.Cluster {
			ours = true
			if p.Alive() {
				return facts.Ours
			}
		}
	}
	for n := range s.Others {
		others = others || s.Others[n].Cluster && s.Others[n].Alive()
	}
	if ours && !others {
		return facts.Ours
	}
	return facts.Stranger
}

// underAnother is the PM2 daemon that a process descends from, if that is not the one that was asked.
func underAnother(l *look, pid int) int {
	if l.app.Spec.Runtime.PM2 == nil {
		return 0 // evenkeel itself may be PM2's child, and what it keeps with it
	}
	for _, p := range l.procs.Ancestors(pid) {
		if p.PID != l.snapshot.Daemon.PID && p.Alive() && strings.HasPrefix(p.Comm, "PM2 v") {
			return p.PID
		}
	}
	return 0
}

// Marks are those that the runtime gives or is known to have given to this application, and to no other row.
func Marks(app *v1alpha1.App, learned *v1alpha1.Learned, snapshot *runtime.Snapshot) []string {
	var list []string
	if learned != nil && learned.MarksOf == runtime.NameOf(app) {
		list = append(list, learned.Marks...)
	}
	for n := range snapshot.Processes {
		list = append(list, snapshot.Processes[n].Mark)
	}
	list = append(list, snapshot.Daemon.Revival.Marks...)
	return slices.DeleteFunc(list, func(m string) bool {
		return m == "" || slices.ContainsFunc(snapshot.Others, func(p runtime.Process) bool { return p.Mark == m })
	})
}

func userName(uid uint32) string {
	if u, err := user.LookupId(strconv.Itoa(int(uid))); err == nil {
		return u.Username
	}
	return strconv.Itoa(int(uid))
}

func (l *look) since(at time.Duration) time.Duration { return max(l.now.Boot.Duration-at, 0) }
