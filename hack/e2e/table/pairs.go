package table

// Part is a fault that may be one of two at once: it lasts until it is cleared, and clearing it leaves nothing behind.
type Part struct {
	// Fault is that of hack/stack, with its argument.
	Fault string
	// Takes is what of the machine it takes for itself: of two faults that take the same only one can be there.
	Takes string
	// Outside says that the application is not to blame, and runs on.
	Outside bool
	// Lost are the bystanders whom it ends itself.
	Lost []string
}

// Parts are in the order in which they can be injected: those first that want an application that answers.
func Parts() []Part {
	return []Part{
		{Fault: "loop", Takes: "process"},
		{Fault: "http-500", Takes: "process"},
		{Fault: "port-free", Takes: "process"},
		{Fault: "hang", Takes: "process"},
		{Fault: "port-orphan", Takes: "port"},
		{Fault: "port-stranger", Takes: "port"},
		{Fault: "port-stranger-same-user", Takes: "port"},
		{Fault: "crash-loop", Takes: "start"},
		{Fault: "crash-loop silent", Takes: "start"},
		{Fault: "die", Takes: "start"},
		{Fault: "http-500-forever", Takes: "start"},
		{Fault: "page-broken", Takes: "folder"},
		{Fault: "cache-corrupt", Takes: "folder"},
		{Fault: "build-missing", Takes: "folder"},
		{Fault: "env-missing", Takes: "env", Outside: true},
		{Fault: "pm2-stop", Takes: "manager"},
		{Fault: "pm2-delete", Takes: "manager"},
		{Fault: "pm2-daemon-hang", Takes: "manager", Outside: true},
		{Fault: "pm2-daemon-kill", Takes: "manager", Lost: []string{"pm2", "shop"}},
		{Fault: "memory-low", Takes: "memory", Outside: true},
		{Fault: "postgres-stop", Takes: "postgres", Outside: true, Lost: []string{"postgres"}},
		{Fault: "postgres-hang", Takes: "postgres", Outside: true},
		{Fault: "dns", Takes: "dns", Outside: true},
		{Fault: "nginx-upstream", Takes: "nginx", Outside: true, Lost: []string{"nginx"}},
		{Fault: "cert-expired", Takes: "nginx", Outside: true, Lost: []string{"nginx"}},
		{Fault: "cert-wrong", Takes: "nginx", Outside: true, Lost: []string{"nginx"}},
		{Fault: "nginx-stop", Takes: "nginx", Outside: true, Lost: []string{"nginx"}},
	}
}

// Pair is two faults at once, in the order of their injection.
type Pair [2]Part

// Pairs are all that are possible.
func Pairs() (all []Pair) {
	parts := Parts()
	for n, a := range parts {
		for _, b := range parts[n+1:] {
			if a.Takes != b.Takes {
				all = append(all, Pair{a, b})
			}
		}
	}
	return all
}
