package verdict

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// What the application needs of others, and could not reach by its own word: a database that nobody knows how to ask, another
// service, the name servers.

// lacks are the needs that its log names and that nothing speaks against: a database that was asked and serves is none.
func (v *view) lacks() []facts.Need {
	_, asked, _ := net.SplitHostPort(v.database.Where)
	return slices.DeleteFunc(slices.Clone(v.process.Needs), func(n facts.Need) bool {
		same := n.Port == 0 || asked == "" || asked == strconv.Itoa(n.Port)
		return n.Kind == facts.NeedDatabase && v.database.Class == facts.DatabaseReachable && same
	})
}

var needFails = condition{
	yes:   "its log says, since it fails, that it could not reach something else, or was refused there",
	no:    "its log does not say, since it fails, that something else could not be reached",
	holds: func(v *view) bool { return len(v.lacks()) > 0 },
	seen: func(v *view) string {
		var list []string
		for _, n := range v.lacks() {
			list = append(list, needWords(n))
		}
		return strings.Join(list, "; ")
	},
}

// needWords says what could not be reached.
func needWords(n facts.Need) string {
	what := "a service"
	switch n.Kind {
	case facts.NeedName:
		return "the name of another machine did not resolve"
	case facts.NeedDatabase:
		what = "a database"
	case facts.NeedService:
	}
	if n.Port != 0 {
		what += fmt.Sprintf(" (port %d)", n.Port)
	}
	return what + map[facts.NeedEnd]string{
		facts.NeedRefused: " did not take its connection", facts.NeedSilent: " did not answer in time",
		facts.NeedNoWay: " could not be reached", facts.NeedLogin: " refused its login",
	}[n.End]
}

// needBlame is whose fault that is: a database's before all, since its address may be a name, too.
func needBlame(list []facts.Need) v1alpha1.Blame {
	for _, by := range []struct {
		kind  facts.NeedKind
		blame v1alpha1.Blame
	}{{facts.NeedDatabase, v1alpha1.BlameDatabase}, {facts.NeedName, v1alpha1.BlameDNS}} {
		if slices.ContainsFunc(list, func(n facts.Need) bool { return n.Kind == by.kind }) {
			return by.blame
		}
	}
	return v1alpha1.BlameNetwork
}

var ruleDependencyDown = Rule{
	Name: "dependency-down", Sees: "the application's process runs and fails, and its log says since then that a connection or a lookup failed, or a login was refused; Database or DNS is blamed where it is plainly one",
	Blame: v1alpha1.BlameNetwork, Reason: "DependencyDown", Remedy: v1alpha1.RemedyHold,
	Limit: holdLimit, AtLimit: "one plain recovery", Act: true,
	Next: []string{
		"see what it could not reach: {errors}", "does that run, and does it answer from this machine? is the address, or the login, still right?",
		"is it the application all the same? evenkeel recover {app}",
	},
	When: []condition{needFails, fails(v1alpha1.CheckLocal), failsForAnother, running},
	says: func(v *view) string {
		return fmt.Sprintf("the application fails (%s), and its log says why: %s", v.message(v1alpha1.CheckLocal), needFails.seen(v))
	},
	adjust: func(v *view, out *v1alpha1.Verdict) { out.Blame = needBlame(v.lacks()) },
}
