package verdict

import (
	"fmt"
	"slices"
	"strings"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// Who listens on the application's port.

var (
	strangerListens = listenedBy(facts.Stranger, "a stranger listens on its port", "no stranger listens on its port")
	orphanListens   = listenedBy(facts.OurOrphan, "an orphan of its own listens on its port", "no orphan of its own listens on its port")
	oursListens     = listenedBy(facts.Ours, "the application itself listens on its port", "the application itself does not listen on its port")
	noListener      = condition{
		yes: "nobody listens on its port", no: "somebody listens on its port",
		holds: func(v *view) bool { return len(v.port.Listeners) == 0 },
	}
)

var (
	listensElsewhere = condition{
		yes: "it listens on another port", no: "it is not seen to listen on another port than those that it opens beside its own",
		holds: func(v *view) bool { return len(v.elsewhere()) > 0 },
		seen: func(v *view) string {
			if list := v.elsewhere(); len(list) > 0 {
				return list[0].Addr
			}
			return ""
		},
	}
	hasListened = condition{
		yes: "its process has listened on its port before", no: "its process has never been seen to listen on its port",
		holds: func(v *view) bool {
			l := v.listened()
			return l != nil && l.Incarnation == v.process.Life && l.Port == v.port.Port
		},
	}
)

// listened is the life that was last seen to listen on the application's port; nil where none is known.
func (v *view) listened() *v1alpha1.Listened {
	if v.c.Record.Learned == nil {
		return nil
	}
	return v.c.Record.Learned.Listened
}

// elsewhere is where the application listens instead of on its port: not where it did so beside it in an earlier life, for its
// metrics say.
func (v *view) elsewhere() []facts.Place {
	l := v.listened()
	return slices.DeleteFunc(slices.Clone(v.port.Elsewhere), func(p facts.Place) bool {
		return l != nil && l.Port == v.port.Port && slices.Contains(l.Beside, p.Port)
	})
}

var orphanUnderAnother = condition{
	yes: "another PM2 daemon runs what listens on its port", no: "no other PM2 daemon runs what listens on its port",
	holds: func(v *view) bool { l, _ := v.port.By(facts.OurOrphan); return l.Under != 0 },
}

var ruleStrangerOnPort = Rule{
	Name: "stranger-on-port", Sees: "a process that is not the application's listens on its port",
	Blame: v1alpha1.BlamePort, Reason: "StrangerOnPort", Remedy: v1alpha1.RemedyHold,
	AtLimit: "no limit: it heals by itself when the stranger leaves; the alert is repeated every hour",
	Next:    []string{"see who it is: ss -ltnp 'sport = :{port}'", "stop that program, or give one of the two another port"},
	When:    []condition{strangerListens, not(oursListens), not(runElsewhere)},
	says: func(v *view) string {
		l, _ := v.port.By(facts.Stranger)
		return fmt.Sprintf("port %d is held by another program: %s", v.port.Port, describe(l))
	},
}

// A server below npm outlives PM2's daemon. To start one beside it would make a second copy, which finds the port taken.
var ruleOrphanOfRuntime = Rule{
	Name: "orphan-of-runtime", Sees: "the process manager itself does not run, and what it has left of the application listens on its port; both can be brought back",
	Blame: v1alpha1.BlameRuntime, Reason: "DaemonGoneOrphan", Remedy: v1alpha1.RemedyRecover, Own: true,
	Next: []string{"see who it is: ss -ltnp 'sport = :{port}'", "see why PM2 died: tail {home}/pm2.log; dmesg | tail"},
	When: []condition{managerGone, orphanListens, not(stoppedByHand), not(managerLost), not(folderGone), not(causeUnchanged)},
	says: func(v *view) string {
		l, _ := v.port.By(facts.OurOrphan)
		return fmt.Sprintf("no PM2 daemon runs in %s, and what it has left holds port %d: %s; that is ended, or a second one would be started beside it, and both can be brought back: %s",
			v.process.Home, v.port.Port, describe(l), v.process.Revival)
	},
}

// Who is the runtime's own is known only where the runtime was asked; where it is gone, nobody is. But what could not be
// replaced is left to serve.
var ruleOrphanOnPort = Rule{
	Name: "orphan-on-port", Sees: "an earlier process of the application, no longer its runtime's, listens on its port",
	Blame: v1alpha1.BlamePort, Reason: "OrphanOnPort", Remedy: v1alpha1.RemedyRecover, Own: true,
	Next: []string{"see who it is: ss -ltnp 'sport = :{port}'"},
	When: []condition{orphanListens, not(oursListens), managerAsked, not(stoppedByHand), not(managerLost), not(folderGone), not(causeUnchanged)},
	says: func(v *view) string {
		l, _ := v.port.By(facts.OurOrphan)
		return fmt.Sprintf("port %d is held by an orphan of the application itself: %s", v.port.Port, describe(l))
	},
}

// unseenListens is a listener of whom it cannot be told whose he is.
var unseenListens = listenedBy(facts.CannotTell, "somebody listens on its port of whom it cannot be told whose he is",
	"of everybody who listens on its port it can be told whose he is")

// Perhaps he is an orphan, which a recovery would end, and perhaps he runs in a container, where nothing of ours reaches him.
var rulePortHeldUnseen = Rule{
	Name: "port-held-unseen", Sees: "it does not come up, its log says that its port is in use, and whose the process is that listens there cannot be told",
	Blame: v1alpha1.BlamePort, Reason: "PortHeldUnseen", Remedy: v1alpha1.RemedyHold,
	Limit: holdLimit, AtLimit: "one plain recovery", Act: true,
	Next: []string{
		"see who it is, as root: sudo ss -ltnp 'sport = :{port}'", "a container that publishes the port? docker ps --filter publish={port}",
		"stop that program, or give one of the two another port",
	},
	When: []condition{
		logNames(facts.SignAddressInUse, "an address that is in use"), unseenListens, not(oursListens), managerAsked, comesToNothing, not(answers), not(stoppedByHand),
	},
	says: func(v *view) string {
		l, _ := v.port.By(facts.CannotTell)
		return fmt.Sprintf("the application does not come up, because port %d is in use: by %s", v.port.Port, describe(l))
	},
}

// A start would open the same port again. At the limit one is tried all the same: the application may have been started with a
// port that is not in its settings any more.
var ruleListensElsewhere = Rule{
	Name: "listens-elsewhere", Sees: "the process runs, was never seen to listen on its port, and listens on another one, which it is not known to open beside it",
	Blame: v1alpha1.BlameConfig, Reason: "ListensElsewhere", Remedy: v1alpha1.RemedyHold,
	Limit: holdLimit, AtLimit: "one plain recovery", Act: true,
	Next: []string{
		"see where it listens: ss -ltnp 'sport = :{elsewhere}'", "is that right? then let spec.port say so, and the proxy too",
		"is it wrong? correct it where the application is started (PORT, -p), then: evenkeel recover {app}",
	},
	When: []condition{fails(v1alpha1.CheckPort), noListener, listensElsewhere, running, not(hasListened), not(answers), not(localAnswers)},
	says: func(v *view) string {
		var list []string
		for _, p := range v.elsewhere() {
			list = append(list, p.Addr)
		}
		return fmt.Sprintf("the application listens on %s, and port %d is expected (spec.port): one of the two is a mistake",
			strings.Join(list, ", "), v.port.Port)
	},
}

var ruleNotListening = Rule{
	Name: "not-listening", Sees: "the process runs, nobody listens on its port, and nothing is known that it may wait for before it does",
	Blame: v1alpha1.BlameApp, Reason: "NotListening", Remedy: v1alpha1.RemedyRecover, Own: true,
	Next: []string{"see the log: {log}", "does the application really use port {port}?"},
	When: []condition{fails(v1alpha1.CheckPort), noListener, running, not(answers), not(localAnswers), not(waitsForAnother)},
	says: func(v *view) string {
		return fmt.Sprintf("the application's process runs, but nobody listens on port %d", v.port.Port)
	},
	adjust: cleanIfCacheFills,
}
