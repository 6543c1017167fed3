package verdict

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

const (
	holdLimit = 30 * time.Minute
	// settleTime is how long a process that is gone must stay gone before PM2 is taken not to bring it back: its own
	// restarts pass through "stopped". What evenkeel itself keeps is not about to come back unless it says so.
	settleTime = 2 * time.Second
	// endedTime is the same for a process manager that has ended in good order: it may be on its way to a newer version of
	// itself, or the machine has just begun.
	endedTime = 10 * time.Second
	// crashLives and crashExits make a crash loop: so many lives without one good answer, or so many unplanned exits
	// within ten minutes.
	crashLives = 3
	crashExits = 5
	// leadUnknown is how long the leading check may go unasked.
	leadUnknown = 10 * time.Minute
)

// Rules is the table, in order.
func Rules() []Rule { return append([]Rule(nil), rules...) }

var rules = []Rule{
	{
		Name: "healthy", Sees: "the leading check is True and no required check is False",
		Blame: v1alpha1.BlameNone, Reason: "AllHold", Remedy: v1alpha1.RemedyNone,
		match: func(v *view) (string, bool) { return "everything holds", v.latest.Holds() },
	},
	{
		Name: "deploy-at-work", Sees: "a checkout, an install or a build at work in the application's folder, now or a moment ago",
		Blame: v1alpha1.BlameDeploy, Reason: "DeployAtWork", Remedy: v1alpha1.RemedyHold,
		Limit: holdLimit, AtLimit: "one plain recovery if a finished build is there and the application does not answer; else the hold goes on",
		Next: []string{"wait for the deploy to end, or look at it: ps -fp {deploy}"},
		match: func(v *view) (string, bool) {
			what := v.deployLately()
			return "a deploy is at work in the application's folder: " + what, what != ""
		},
		adjust: func(v *view, out *v1alpha1.Verdict) {
			out.ActAtLimit = (v.build.Kind == "" || v.build.Present) && !v.answers()
		},
	},
	{
		Name: "stranger-on-port", Sees: "a process that is not the application's listens on its port",
		Blame: v1alpha1.BlamePort, Reason: "StrangerOnPort", Remedy: v1alpha1.RemedyHold,
		AtLimit: "no limit: it heals by itself when the stranger leaves; the alert is repeated every hour",
		Next:    []string{"see who it is: ss -ltnp 'sport = :{port}'", "stop that program, or give one of the two another port"},
		match: func(v *view) (string, bool) {
			l, ok := v.port.By(facts.Stranger)
			if _, ours := v.port.By(facts.Ours); !ok || ours || v.runElsewhere() {
				return "", false
			}
			return fmt.Sprintf("port %d is held by another program: %s", v.port.Port, describe(l)), true
		},
	},
	{
		Name: "runtime-going", Sees: "the process manager itself is gone since a moment ago; its own service, or whoever ended it, may be bringing it back",
		Blame: v1alpha1.BlameRuntime, Reason: "DaemonGoing", Remedy: v1alpha1.RemedyWait, Look: settleTime,
		match: func(v *view) (string, bool) {
			wait := endedTime
			if v.process.Leftover {
				wait = settleTime
			}
			return fmt.Sprintf("no PM2 daemon runs in %s since a moment ago", v.process.Home),
				v.daemonGone() && v.unmoved() < wait && !v.stopped() && !v.runElsewhere()
		},
	},
	{
		Name: "orphan-on-port", Sees: "an earlier process of the application, no longer its runtime's, listens on its port",
		Blame: v1alpha1.BlamePort, Reason: "OrphanOnPort", Remedy: v1alpha1.RemedyRecover, Own: true,
		Next: []string{"see who it is: ss -ltnp 'sport = :{port}'"},
		match: func(v *view) (string, bool) {
			l, ok := v.port.By(facts.OurOrphan)
			// Who is the runtime's own is known only where the runtime was asked; where it is gone, nobody is. But what could not
			// be replaced is left to serve.
			if _, ours := v.port.By(facts.Ours); !ok || ours || !v.asked || v.stopped() || v.daemonGone() && v.process.Revival == "" {
				return "", false
			}
			return fmt.Sprintf("port %d is held by an orphan of the application itself: %s", v.port.Port, describe(l)), true
		},
	},
	{
		Name: "answers-elsewhere", Sees: "something answers on the port, and the process manager that was asked does not run it, or does not even know it",
		Blame: v1alpha1.BlameRuntime, Reason: "RunByAnother", Remedy: v1alpha1.RemedyHold,
		AtLimit: "no limit: the site is up",
		Next: []string{
			"is it another user's process manager, or another home of it? evenkeel asked {home}",
			"under PM2 set spec.runtime.pm2.home, or run evenkeel as the user who runs the application",
		},
		match: func(v *view) (string, bool) {
			_, orphan := v.port.By(facts.OurOrphan)
			who := ""
			if l, ok := v.port.By(facts.Stranger); ok {
				who = "; it is held by " + describe(l)
			}
			return fmt.Sprintf("port %d answers, but %s in %s does not run %q there%s", v.port.Port, v.manager(), v.process.Home, v.name(), who),
				notRunning(v) && v.answers() && !orphan
		},
	},
	{
		Name: "build-missing", Sees: "the build output that was there is gone, or the log says so, and the application does not answer",
		Blame: v1alpha1.BlameConfig, Reason: "BuildMissing", Remedy: v1alpha1.RemedyHold, Certain: false,
		AtLimit: "no limit: no restart can help; the alert is repeated every hour",
		Next:    []string{"rebuild or roll back: cd {directory} && npm run build", "see the log: {log}"},
		match: func(v *view) (string, bool) {
			known := v.sign(facts.SignBuildMissing) || (v.c.Record.Learned != nil && v.c.Record.Learned.BuildSeen)
			return "there is no finished build: " + v.build.Missing + " is missing", v.build.Kind != "" && !v.build.Present && known && !v.answers()
		},
	},
	{
		Name: "operator-stop", Sees: "somebody had the process stopped, or ended its process manager, and it was not evenkeel",
		Blame: v1alpha1.BlameOperator, Reason: "StoppedByOperator", Remedy: v1alpha1.RemedyHold, Certain: true,
		AtLimit: "after respectStop (15 min) one plain recovery", Act: true,
		Next: []string{"start it: pm2 start {name}", "to keep it stopped: evenkeel pause {app} --reason '…'"},
		match: func(v *view) (string, bool) {
			what := fmt.Sprintf("%q was", v.name())
			if v.daemonGone() {
				what += ", and PM2 itself is,"
			}
			return fmt.Sprintf("%s stopped by hand %s ago", what, v.process.StopOrderedFor.Round(time.Second)),
				v.stopped() && v.unmoved() >= v.settle()
		},
		adjust: func(v *view, out *v1alpha1.Verdict) { out.HoldLimit = v.c.App.Spec.Recovery.RespectStop },
	},
	{
		Name: "runtime-gone", Sees: "the process manager itself does not run, and it can be brought back with the application",
		Blame: v1alpha1.BlameRuntime, Reason: "DaemonGone", Remedy: v1alpha1.RemedyRecover, Own: true, Certain: true,
		Next: []string{"see why it died: tail {home}/pm2.log; dmesg | tail", "what comes back is what was last saved: pm2 save"},
		match: func(v *view) (string, bool) {
			return fmt.Sprintf("no PM2 daemon runs in %s; it can be brought back: %s", v.process.Home, v.process.Revival),
				v.daemonGone() && v.process.Revival != "" && !v.answers()
		},
	},
	{
		Name: "runtime-lost", Sees: "the process manager itself does not run, and evenkeel cannot bring it back with the application",
		Blame: v1alpha1.BlameRuntime, Reason: "DaemonLost", Remedy: v1alpha1.RemedyHold,
		AtLimit: "no limit: the alert is repeated every hour",
		Next: []string{
			"start PM2 as the application's user: pm2 resurrect (or: systemctl start pm2-<user>)",
			"see its log: {home}/pm2.log", "is this the right home? {home}",
		},
		match: func(v *view) (string, bool) {
			why := ""
			if v.process.NoRevival != "" {
				why = ": " + v.process.NoRevival
			}
			return fmt.Sprintf("no PM2 daemon runs in %s%s", v.process.Home, why), v.daemonGone()
		},
	},
	{
		Name: "cache-signature", Sees: "it comes and goes without an answer, and its log names one of the cache folders",
		Blame: v1alpha1.BlameCache, Reason: "CacheSignature", Remedy: v1alpha1.RemedyRecover, Plan: PlanClean, Own: true, Certain: true,
		Next: []string{"see the log: {errors}"},
		match: func(v *view) (string, bool) {
			down := notRunning(v) && v.unmoved() >= v.settle()
			return "the application does not come up, and its log names its cache",
				v.asked && v.sign(facts.SignCache) && !v.answers() && (down || v.crashLoop()) && !v.stopped()
		},
	},
	{
		Name: "crash-loop", Sees: "three lives without one good answer, or five unplanned exits within ten minutes",
		Blame: v1alpha1.BlameApp, Reason: "CrashLoop", Remedy: v1alpha1.RemedyRecover, Own: true, Certain: true,
		Next: []string{"see why it dies: {errors}"},
		match: func(v *view) (string, bool) {
			return fmt.Sprintf("the application comes and goes: %d lives without a good answer, %d unplanned exits in ten minutes",
				v.lives(), v.process.Crashes), v.asked && !v.answers() && v.state() != runtime.Errored && !v.stopped() && v.crashLoop()
		},
	},
	{
		Name: "crash-loop-answering", Sees: "it answers in between: three lives that answered have come and gone, with five unplanned exits within ten minutes",
		Blame: v1alpha1.BlameApp, Reason: "CrashLoop", Remedy: v1alpha1.RemedyRecover, Own: true, Certain: true,
		Next: []string{"see why it dies: {errors}"},
		match: func(v *view) (string, bool) {
			return fmt.Sprintf("the application comes and goes, though it answers in between: %d unplanned exits in ten minutes", v.process.Crashes),
				v.answers() && v.young() && v.answeredLives() >= crashLives
		},
	},
	{
		Name: "outlives-its-crashes", Sees: "it answers again after five unplanned exits within ten minutes, and has not lived for much longer than they did",
		Blame: v1alpha1.BlameApp, Reason: "CrashLoop", Remedy: v1alpha1.RemedyWait, Look: time.Minute,
		match: func(v *view) (string, bool) {
			return "it answers; whether it stays has to be seen: " + v.message(v1alpha1.CheckProcess), v.answers() && v.young()
		},
	},
	{
		Name: "runtime-busy", Sees: "the runtime is stopping, starting or about to restart it, within the time that its settings allow",
		Blame: v1alpha1.BlameRuntime, Reason: "RuntimeBusy", Remedy: v1alpha1.RemedyWait, Look: settleTime,
		match: func(v *view) (string, bool) {
			switch v.state() {
			case runtime.Stopping, runtime.Starting, runtime.Waiting:
				return v.manager() + " is at it: " + v.message(v1alpha1.CheckProcess), v.unmoved() < v.bound()
			}
			return "", false
		},
	},
	{
		Name: "not-listed", Sees: "the process manager runs and has not listed the application for two seconds, and spec.runtime says no start",
		Blame: v1alpha1.BlameConfig, Reason: "NotListed", Remedy: v1alpha1.RemedyHold,
		AtLimit: "no limit: evenkeel would not know how to start it; the alert is repeated every hour",
		Next: []string{
			"start it by hand: pm2 start … --name {name}",
			"or say how: spec.runtime.pm2.start: ecosystem.config.js", "is this the right home? {home}",
		},
		match: func(v *view) (string, bool) {
			pm2 := v.c.App.Spec.Runtime.PM2
			return fmt.Sprintf("PM2 in %s lists no process %q", v.process.Home, v.name()),
				v.asked && v.state() == runtime.Missing && pm2 != nil && pm2.Start == "" && v.unmoved() >= settleTime
		},
	},
	{
		Name: "process-gone", Sees: "the process is gone, and the runtime has not brought it back within two seconds (under exec: and will not)",
		Blame: v1alpha1.BlameApp, Reason: "ProcessGone", Remedy: v1alpha1.RemedyRecover, Own: true, Certain: true,
		Next: []string{"see why it died: {errors}"},
		match: func(v *view) (string, bool) {
			return "the application does not run: " + v.message(v1alpha1.CheckProcess), notRunning(v) && v.unmoved() >= v.settle()
		},
	},
	{
		Name: "process-going", Sees: "the process is gone since a moment ago; the runtime may be bringing it back",
		Blame: v1alpha1.BlameApp, Reason: "ProcessGoing", Remedy: v1alpha1.RemedyWait, Look: settleTime,
		match: func(v *view) (string, bool) {
			return "the process is gone since a moment ago: " + v.message(v1alpha1.CheckProcess), notRunning(v)
		},
	},
	{
		Name: "starting", Sees: "a young process has not given its first good answer yet",
		Blame: v1alpha1.BlameApp, Reason: "Starting", Remedy: v1alpha1.RemedyWait,
		match: func(v *view) (string, bool) {
			return fmt.Sprintf("the application is starting; its process is %s old", v.process.Age.Round(100*time.Millisecond)),
				v.running && v.lead.Status == metav1.ConditionUnknown && v.lead.Reason == "Starting"
		},
	},
	{
		Name: "not-listening", Sees: "the process runs, and nobody listens on its port",
		Blame: v1alpha1.BlameApp, Reason: "NotListening", Remedy: v1alpha1.RemedyRecover, Own: true,
		Next: []string{"see the log: {log}", "does the application really use port {port}?"},
		match: func(v *view) (string, bool) {
			return fmt.Sprintf("the application's process runs, but nobody listens on port %d", v.port.Port),
				v.running && v.is(v1alpha1.CheckPort, metav1.ConditionFalse) && len(v.port.Listeners) == 0 && !v.answers()
		},
	},
	{
		Name: "cannot-see", Sees: "the process manager could not be asked, and the leading check is False",
		Blame: v1alpha1.BlameHost, Reason: "CannotSee", Remedy: v1alpha1.RemedyHold,
		Limit: leadUnknown, AtLimit: "one plain recovery", Act: true,
		Next: []string{"see whether this machine is starved: uptime; free -m; ps -eo pid,pcpu,rss,comm --sort=-pcpu | head", "see what keeps it: {list}"},
		match: func(v *view) (string, bool) {
			why := v.message(v1alpha1.CheckProcess)
			if why == "" {
				why = v.manager() + " was not asked"
			}
			return why + ", so that it is not known what is wrong: " + v.lead.Message,
				!v.asked && v.lead.Status == metav1.ConditionFalse
		},
		adjust: func(v *view, out *v1alpha1.Verdict) {
			if v.local.Class != facts.Timeout {
				out.Blame = v1alpha1.BlameRuntime
			}
		},
	},
	{
		Name: "database-configuration", Sees: "the database's configuration is not complete, while the application's process runs and answers, be it with errors",
		Blame: v1alpha1.BlameConfig, Reason: "DatabaseConfigMissing", Remedy: v1alpha1.RemedyHold, AtLimit: "no limit: a restart would lose the last good environment",
		Next: []string{"put it back: {envFile} needs {missing}"},
		match: func(v *view) (string, bool) {
			alive := v.lead.Status == metav1.ConditionTrue || (v.running && v.local.Class == facts.Answered)
			return v.message(v1alpha1.CheckDatabase), v.is(v1alpha1.CheckDatabase, metav1.ConditionFalse) && alive && !v.is(v1alpha1.CheckMemory, metav1.ConditionFalse)
		},
	},
	{
		Name: "hung", Sees: "the process runs and the port is open, and no answer comes in time",
		Blame: v1alpha1.BlameApp, Reason: "Hung", Remedy: v1alpha1.RemedyRecover, Own: true,
		Next: []string{"see the log: {log}"},
		match: func(v *view) (string, bool) {
			return "the application does not answer: " + v.message(v1alpha1.CheckLocal),
				v.running && v.is(v1alpha1.CheckLocal, metav1.ConditionFalse) && v.local.Class == facts.Timeout
		},
		adjust: func(_ *view, out *v1alpha1.Verdict) { out.Hung = true },
	},
	{
		Name: "database-down", Sees: "the application answers with an error of its own, and its log names the database",
		Blame: v1alpha1.BlameDatabase, Reason: "DatabaseUnreachable", Remedy: v1alpha1.RemedyHold,
		Limit: holdLimit, AtLimit: "one plain recovery", Act: true,
		Next: []string{"does the database run, and does it answer from this machine?", "see the log: {errors}"},
		match: func(v *view) (string, bool) {
			return "the application cannot reach its database: " + v.message(v1alpha1.CheckLocal),
				v.running && v.is(v1alpha1.CheckLocal, metav1.ConditionFalse) && v.local.Class == facts.Answered && v.sign(facts.SignDatabase)
		},
	},
	{
		Name: "server-error", Sees: "the application answers with an error of its own (5xx, or a status that is not expected)",
		Blame: v1alpha1.BlameApp, Reason: "ServerError", Remedy: v1alpha1.RemedyRecover, Own: true,
		Next: []string{"see the log: {errors}"},
		match: func(v *view) (string, bool) {
			return "the application answers with an error: " + v.message(v1alpha1.CheckLocal),
				v.is(v1alpha1.CheckLocal, metav1.ConditionFalse) && v.local.Class == facts.Answered
		},
	},
	{
		Name: "lead-unknown-long", Sees: "whether the application is well could not be asked for ten minutes",
		Blame: v1alpha1.BlameHost, Reason: "CannotAsk", Remedy: v1alpha1.RemedyHold, Certain: true,
		AtLimit: "no limit: nobody acts on what he cannot see; the alert is repeated every hour",
		Next:    []string{"see what is wrong with this machine: uptime; free -m; df -h; dmesg | tail", "see whether PM2 answers: pm2 ls"},
		match: func(v *view) (string, bool) {
			for _, u := range v.c.Record.Unknown {
				if u.Check == v.lead.Check && v.c.Now.Since(u.Since) >= leadUnknown {
					return "it could not be asked for ten minutes whether the application is well: " + v.lead.Message, true
				}
			}
			return "", false
		},
		adjust: blameWhoCouldNotBeAsked,
	},
	{
		Name: "lead-unknown", Sees: "whether the application is well could not be asked",
		Blame: v1alpha1.BlameHost, Reason: "CannotAsk", Remedy: v1alpha1.RemedyWait,
		match: func(v *view) (string, bool) {
			return "it could not be asked whether the application is well: " + v.lead.Message, v.lead.Status == metav1.ConditionUnknown
		},
		adjust: blameWhoCouldNotBeAsked,
	},
	{
		Name: "memory-low-briefly", Sees: "available memory is low, but not for long yet",
		Blame: v1alpha1.BlameMemory, Reason: "MemoryLow", Remedy: v1alpha1.RemedyWait,
		match: func(v *view) (string, bool) {
			return v.message(v1alpha1.CheckMemory), v.memoryOnly() && v.lowFor() < v.c.App.Spec.Checks.Memory.For.Duration
		},
	},
	{
		Name: "memory-app-grew", Sees: "available memory is low, and the application's own processes have grown by what is missing",
		Blame: v1alpha1.BlameMemory, Reason: "AppGrew", Remedy: v1alpha1.RemedyRecover, Own: true, Certain: true,
		Next: []string{"see who uses it: ps -eo pid,user,rss,comm --sort=-rss | head", "a leak? see the application's log: {log}"},
		match: func(v *view) (string, bool) {
			if !v.memoryOnly() || v.memoryTried() {
				return "", false
			}
			if v.c.App.Spec.Checks.Memory.Restart == v1alpha1.MemoryRestartAlways {
				return v.message(v1alpha1.CheckMemory), true
			}
			grown, known := v.grown()
			return fmt.Sprintf("%s; the application has grown by %s", v.message(v1alpha1.CheckMemory), mib(grown)),
				known && v.grewByWhatIsMissing(grown)
		},
	},
	{
		Name: "memory-hog", Sees: "available memory is low, and it is not the application that took it",
		Blame: v1alpha1.BlameMemory, Reason: "HogElsewhere", Remedy: v1alpha1.RemedyHold,
		AtLimit: "no limit: the application answers, and restarting it would free the wrong memory",
		Next:    []string{"see who uses it: ps -eo pid,user,rss,comm --sort=-rss | head"},
		match: func(v *view) (string, bool) {
			hog := ""
			if v.memory.HogPID != 0 {
				hog = fmt.Sprintf("; the largest other process is %s (pid %d) with %s", v.memory.HogName, v.memory.HogPID, mib(v.memory.HogBytes))
			}
			return v.message(v1alpha1.CheckMemory) + hog, v.memoryOnly()
		},
	},
	{
		Name: "certificate", Sees: "the application answers on this machine; the public URL shows a certificate that is not valid",
		Blame: v1alpha1.BlameCertificate, Reason: "CertificateInvalid", Remedy: v1alpha1.RemedyHold, AtLimit: "no limit: the application is well",
		Next:  []string{"see the certificate: openssl s_client -connect {host}:443 -servername {host} </dev/null | openssl x509 -noout -dates -subject", "renewed but not loaded? nginx -t && systemctl reload nginx"},
		match: func(v *view) (string, bool) { return v.publicOnly(facts.Certificate) },
	},
	{
		Name: "dns", Sees: "the application answers on this machine; the public name does not resolve",
		Blame: v1alpha1.BlameDNS, Reason: "NameNotResolved", Remedy: v1alpha1.RemedyHold, AtLimit: "no limit: the application is well",
		Next:  []string{"see what the name resolves to: getent ahosts {host}"},
		match: func(v *view) (string, bool) { return v.publicOnly(facts.DNS) },
	},
	{
		Name: "proxy", Sees: "the application answers on this machine; the proxy on this machine, where there is one, does not, or not as expected",
		Blame: v1alpha1.BlameProxy, Reason: "ProxyFails", Remedy: v1alpha1.RemedyHold, AtLimit: "no limit: the application is well",
		Next: []string{"test and start or reload it: nginx -t && systemctl reload-or-restart nginx", "see its log: tail /var/log/nginx/error.log"},
		match: func(v *view) (string, bool) {
			m, ok := v.publicOnly("")
			p := v.public.Proxy
			if !ok || p == nil || p.Class == facts.NotAsked || (p.Class == facts.Answered && expected(v.c.App, p.Status)) {
				return "", false
			}
			return fmt.Sprintf("%s; the proxy on this machine: %s", m, outcome(p)), true
		},
	},
	{
		Name: "network", Sees: "the application answers on this machine, and so does the proxy, if there is one here; the public URL does not",
		Blame: v1alpha1.BlameNetwork, Reason: "NotReachableFromOutside", Remedy: v1alpha1.RemedyHold, AtLimit: "no limit: the application is well",
		Next: []string{"is it the DNS record, a CDN, a firewall, or a proxy on another machine? curl -sv {url} -o /dev/null"},
		match: func(v *view) (string, bool) {
			m, ok := v.publicOnly("")
			if p := v.public.Proxy; p != nil && p.Class == facts.NotAsked && p.Error != "" {
				m += "; " + p.Error
			}
			return m, ok
		},
	},
	{
		Name: "local-fails", Sees: "the leading check is False, for whatever reason",
		Blame: v1alpha1.BlameApp, Reason: "NoAnswer", Remedy: v1alpha1.RemedyRecover, Own: true,
		Next: []string{"see the log: {log}"},
		match: func(v *view) (string, bool) {
			return "the application is not well: " + v.lead.Message, v.lead.Status == metav1.ConditionFalse
		},
	},
	{
		Name: "anything-else", Sees: "something else does not hold",
		Blame: v1alpha1.BlameNone, Reason: "DoesNotHold", Remedy: v1alpha1.RemedyHold, AtLimit: "no limit: the application answers",
		match: func(v *view) (string, bool) {
			var list []string
			for _, r := range v.latest.Results {
				if r.Required && r.Status != metav1.ConditionTrue {
					list = append(list, r.Check+": "+r.Message)
				}
			}
			return "does not hold: " + strings.Join(list, "; "), true
		},
	},
}
