package main

import "time"

// once is a short schedule to which a finding was shrunk.
type once struct {
	// name says what it broke.
	name     string
	schedule Schedule
	// undone takes back what has mended it, in the source; with that it breaks again.
	undone []plant
}

var onceBroken = []once{
	{"the end of a long outage of the proxy was never told", Schedule{Length: 6 * time.Hour, Entries: []Entry{
		{Kind: "proxy-down", At: 83 * time.Minute, For: 50 * time.Minute},
	}}, []plant{
		{file: "controller/step.go", from: "\ts.alert(&v) // first: what closes the incident must not swallow the word that it is over\n\ts.prove(&v)\n", to: "\ts.prove(&v)\n\ts.alert(&v)\n"},
	}},
	{"a machine that is starved made the application its own orphan, and cost it its life", Schedule{Length: 6 * time.Hour, Entries: []Entry{
		{Kind: "starved", At: 91 * time.Minute, For: 14 * time.Minute},
	}}, []plant{
		{file: "reconcilers/verdict/rules_port.go", from: "not(oursListens), managerAsked, not(stoppedByHand)", to: "not(oursListens), not(stoppedByHand)"},
		{file: "hack/sim/observe.go", from: "\t\tif !l.asked {\n\t\t\twhose = facts.CannotTell // no descent is known\n\t\t}", to: "\t\tif !l.asked {\n\t\t\twhose = facts.OurOrphan\n\t\t}"},
	}},
	{"an operator who stopped a crash loop was overruled", Schedule{Length: 6 * time.Hour, Entries: []Entry{
		{Kind: "crash-loop", At: 90 * time.Minute, For: 2 * time.Hour, N: 1},
		{Kind: "pm2-stop", At: 94 * time.Minute, For: 40 * time.Minute},
	}}, []plant{
		{file: "reconcilers/verdict/rules_app.go", from: "not(stateIs(\"given up, or not listed any more\", runtime.Errored, runtime.Missing)), not(stoppedByHand)", to: "not(stateIs(\"given up\", runtime.Errored))"},
		{file: "reconcilers/verdict/table.go", from: "\truleOperatorStop,\n", to: ""},
		{file: "reconcilers/verdict/table.go", from: "\truleOutlivesItsCrashes,\n", to: "\truleOutlivesItsCrashes,\n\truleOperatorStop,\n"},
	}},
	{"an operator's stop was overruled because the proxy had been down for long", Schedule{Length: 8 * time.Hour, Entries: []Entry{
		{Kind: "proxy-wrong", At: 64 * time.Minute, For: 58 * time.Minute},
		{Kind: "pm2-stop", At: 98 * time.Minute, For: 40 * time.Minute},
	}}, []plant{
		{file: "controller/decide.go", from: "h == nil || lead.Status", to: "h == nil || false && lead.Status"},
		{file: "controller/decide.go", from: " && v.Blame != v1alpha1.BlameOperator", to: ""},
	}},
	{"an operator's stop was held for ever, because another hold's limit was spent", Schedule{Length: 8 * time.Hour, Entries: []Entry{
		{Kind: "database-down", At: 96 * time.Minute, For: 109 * time.Minute},
		{Kind: "pm2-stop", At: 168 * time.Minute, For: 40 * time.Minute},
	}}, []plant{
		{file: "controller/decide.go", from: " && !old.LimitSpent && v.Blame != v1alpha1.BlameOperator", to: ""},
	}},
	{"an operator's stop was overruled because the database had been down for long", Schedule{Length: 8 * time.Hour, Entries: []Entry{
		{Kind: "database-down", At: 102 * time.Minute, For: 2 * time.Hour},
		{Kind: "pm2-stop", At: 122 * time.Minute, For: 40 * time.Minute},
	}}, []plant{
		{file: "controller/decide.go", from: " && v.Blame != v1alpha1.BlameOperator", to: ""},
	}},
	{"a deploy that had just begun was taken to have had its time, for the proxy had been down before it", Schedule{Length: 8 * time.Hour, Entries: []Entry{
		{Kind: "proxy-down", At: 64 * time.Minute, For: 3 * time.Hour},
		{Kind: "deploy-hangs", At: 140 * time.Minute, For: time.Hour, N: 1},
	}}, []plant{
		{file: "controller/decide.go", from: "!answeredBefore(c) && !old.LimitSpent", to: "!old.LimitSpent"},
		{file: "reconcilers/verdict/rules_deploy.go", from: " && !v.answers()", to: ""},
	}},
	{"a crash loop was taken for somebody else's fault, and got a fourth attempt", Schedule{Variant: "brisk", Length: 5 * time.Hour, Entries: []Entry{
		{Kind: "crash-loop", At: 82 * time.Minute, For: 72 * time.Minute, N: 514887},
	}}, []plant{
		{file: "controller/step.go", from: "case lead.Status == metav1.ConditionTrue, v.Remedy != v1alpha1.RemedyWait:", to: "case lead.Status == metav1.ConditionTrue:"},
	}},
	{"attempts were forgotten after five minutes, because the site had been well before them", Schedule{Length: 6 * time.Hour, Entries: []Entry{
		{Kind: "dns", At: 96 * time.Minute, For: 52 * time.Minute},
		{Kind: "starved", At: 141 * time.Minute, For: 15 * time.Minute},
	}}, []plant{
		{file: "controller/recovery.go", from: "\t\ti.Proven, i.ProvenAt = metav1.Duration{}, nil // what was proven before it does not close it\n", to: ""},
	}},
	{"the same, with a fault of the application's own", Schedule{Length: 6 * time.Hour, Entries: []Entry{
		{Kind: "dns", At: 6825700 * time.Millisecond, For: 33 * time.Minute},
		{Kind: "deaf", At: 147 * time.Minute},
	}}, []plant{
		{file: "controller/recovery.go", from: "\t\ti.Proven, i.ProvenAt = metav1.Duration{}, nil // what was proven before it does not close it\n", to: ""},
		{file: "controller/incident.go", from: "(confirmed(&s.c, v) || s.r.Recovery.Open())", to: "confirmed(&s.c, v) && !s.r.Recovery.Open()"},
	}},
	{"a stranger on the port was not spoken of for hours", Schedule{Length: 6 * time.Hour, Entries: []Entry{
		{Kind: "stranger", At: 75 * time.Minute, For: 3 * time.Hour},
	}}, []plant{
		{file: "controller/alert.go", from: "v.Down || v.Stranger || lead", to: "v.Down || lead"},
	}},
	{"a stand-down in a recovery was lost when evenkeel died in it", Schedule{Length: day, Entries: []Entry{
		{Kind: "errors", At: 90 * time.Minute},
		{Kind: "stand-down", At: 90*time.Minute + time.Second, Phase: "Recovering", Delay: 2 * time.Second},
		{Kind: "restarted", At: 90*time.Minute + 2*time.Second, Phase: "Recovering", Delay: 3 * time.Second, N: 20},
	}}, []plant{
		{file: "controller/orders.go", from: "\t\ts.r.StoodDown = true\n", to: "\t\ts.r.StoodDown = !s.r.Recovery.Open()\n"},
	}},
	{"a stop that PM2 had not carried out yet was forgotten when evenkeel died after it", Schedule{Length: 12 * time.Hour, Entries: []Entry{
		{Kind: "hang-always", At: 108 * time.Minute, For: 2 * time.Hour},
		{Kind: "pm2-hangs", At: 110 * time.Minute, For: 47 * time.Minute},
		{Kind: "reset-while-down", At: 111 * time.Minute, Phase: "Recovering"},
	}}, []plant{
		{file: "controller/recovery.go", from: "case rec.Stopped && !v.Up:", to: "case rec.Stopped && v.Down:"},
	}},
	{"the same, with a stand-down", Schedule{Length: 12 * time.Hour, Entries: []Entry{
		{Kind: "deaf", At: 71 * time.Minute},
		{Kind: "pm2-hangs", At: 71*time.Minute + 2*time.Second, Phase: "Recovering", For: 14 * time.Minute},
		{Kind: "stand-down-while-down", At: 71*time.Minute + 3*time.Second, Phase: "Recovering"},
	}}, []plant{
		{file: "controller/recovery.go", from: "case rec.Stopped && !v.Up:", to: "case rec.Stopped && v.Down:"},
	}},
	{"an older state file that an editor saved while evenkeel was down was believed", Schedule{Length: day, Entries: []Entry{
		{Kind: "reset", At: 97*time.Minute + 30*time.Second, N: 77}, // saved 77 s later
		{Kind: "exit-for-good", At: 97*time.Minute + 40*time.Second},
		{Kind: "reset-while-down", At: 97*time.Minute + 40*time.Second, Phase: "Recovering", Delay: 3 * time.Second},
	}}, []plant{
		{file: "state/load.go", from: "newer != nil && isOlder(", to: "newer != nil && false && isOlder("},
	}},
	{"a state file from before the state was lost, saved while evenkeel was down, was believed", Schedule{Length: 114 * time.Minute, Entries: []Entry{
		{Kind: "pm2-gone", At: 94 * time.Minute, For: 64 * time.Minute},
		{Kind: "stale-save", At: 94 * time.Minute, Phase: "Degraded", Delay: 151900 * time.Millisecond, For: 13 * time.Minute},
		{Kind: "state-lost", At: 101 * time.Minute},
		{Kind: "restarted", At: 108 * time.Minute, N: 387840},
	}}, []plant{
		{file: "state/load.go", from: "return file.UID != \"\" && previous.UID != \"\"", to: "return false"},
	}},
	{"one slow answer while the database was down cost the application its life", Schedule{Length: 6 * time.Hour, Entries: []Entry{
		{Kind: "database-down", At: 90 * time.Minute, For: 2 * time.Hour},
		{Kind: "pause-3s", At: 150 * time.Minute},
	}}, []plant{
		{file: "controller/decide.go", from: "if r.Hold != nil && !failingAnew(", to: "if false && !failingAnew("},
		{file: "reconcilers/verdict/rules_database_asked.go", from: "looks < 2; n--", to: "looks < 1; n--"}, // a later mend, which hid it
	}},
	{"a pause after a recovery that had failed excused it, and a fourth one followed", Schedule{Length: 4 * time.Hour, Entries: []Entry{
		{Kind: "errored", At: 3917200 * time.Millisecond},
		{Kind: "hang-always", At: 65 * time.Minute, For: time.Hour},
		{Kind: "pause-until", At: 77 * time.Minute, For: 20 * time.Minute},
	}}, []plant{
		{file: "controller/incident.go", from: "(rec == nil || rec.Verified)", to: "(rec == nil || true)"},
	}},
	{"without a local check, the lives before a recovery that worked made a crash loop after it", Schedule{Variant: "inward", Length: 5 * time.Hour, Entries: []Entry{
		{Kind: "hog", At: 92 * time.Minute, For: 174 * time.Minute},
		{Kind: "other-spec", At: 92 * time.Minute},
		{Kind: "cache-corrupt", At: 128 * time.Minute, N: 794599},
	}}, []plant{
		{file: "reconcilers/verdict/view.go", from: "if answersIn(o) || v.spoiledIn(o) {", to: "if o.Status(v1alpha1.CheckLocal) == metav1.ConditionTrue || v.spoiledIn(o) {"},
		{file: "reconcilers/verdict/view.go", from: "func (v *view) answers() bool { return answersIn(v.latest) }", to: "func (v *view) answers() bool { return v.is(v1alpha1.CheckLocal, metav1.ConditionTrue) }"},
	}},
	{"what could not be written for a full disk was wanted back after an end in good order", Schedule{Length: 825 * time.Minute, Entries: []Entry{
		{Kind: "disk-full", At: 148 * time.Minute, For: 20 * time.Minute},
		{Kind: "restarted", At: 150 * time.Minute, Phase: "Degraded", Delay: 142500 * time.Millisecond},
	}}, []plant{
		{file: "hack/sim/sim.go", from: "\t\t\ts.journal(\"evenkeel has ended\")\n\t\t\ts.check.gone()\n", to: "\t\t\ts.journal(\"evenkeel has ended\")\n"},
	}},
	{"PM2 had given up beside another daemon, and the start after that was one too many", Schedule{Length: 12182 * time.Minute, Entries: []Entry{
		{Kind: "pm2-stop", At: 91 * time.Minute, For: 40 * time.Minute, Alone: true},
		{Kind: "two-daemons", At: 728083700 * time.Millisecond, For: 1833200 * time.Millisecond, Alone: true},
	}}, []plant{
		{file: "hack/sim/liveness.go", from: `, "two-daemons": 1}`, to: "}"},
	}},
	{"a database was to be found silent whose address nobody knew any more", Schedule{Length: 117 * time.Minute, Entries: []Entry{
		{Kind: "database-down", At: 111 * time.Minute, For: 206 * time.Minute, N: 204542},
		{Kind: "no-env-file", At: 111 * time.Minute, For: 20 * time.Minute},
	}}, []plant{
		{file: "hack/sim/may.go", from: "!atLimit && !unasked && a.ready", to: "!atLimit && (!unasked || true) && a.ready"},
	}},
	{"a broken cache had to be mended at a hold's limit, where no attempt is left for the clean plan", Schedule{Variant: "once", Length: 131 * time.Minute, Entries: []Entry{
		{Kind: "cache-corrupt", At: 78 * time.Minute},
		{Kind: "pm2-stop", At: 78 * time.Minute, For: 40 * time.Minute},
		{Kind: "reset", At: 89 * time.Minute},
		{Kind: "cache-corrupt", At: 90 * time.Minute},
		{Kind: "reset", At: 101 * time.Minute},
	}}, []plant{
		{file: "hack/sim/check.go", from: "if entered && clean && s.w", to: "if entered && (clean || true) && s.w"},
	}},
	{"an application that had failed to start while its database was down was held for variables that were not missing", Schedule{Length: 318 * time.Minute, Entries: []Entry{
		{Kind: "database-down", At: 100 * time.Minute, For: 4897300 * time.Millisecond},
		{Kind: "lie", At: 112 * time.Minute},
		{Kind: "crash-loop", At: 148 * time.Minute, For: 104 * time.Minute},
	}}, []plant{
		{file: "reconcilers/verdict/rules_fault.go", from: "notRunning(v) && configurationMissing.met(v)", to: "notRunning(v) && v.is(v1alpha1.CheckDatabase, \"False\")"},
	}},
	{"a pause of three seconds while the database was silent was taken for a hang", Schedule{Length: 132 * time.Minute, Entries: []Entry{
		{Kind: "database-down", At: 100 * time.Minute, For: 208 * time.Minute, N: 630052},
		{Kind: "pause-3s", At: 130 * time.Minute},
	}}, []plant{
		{file: "reconcilers/verdict/rules_database_asked.go", from: "looks < 2; n--", to: "looks < 1; n--"},
	}},
	{"an application of its usual size was restarted for the memory that another program had taken", Schedule{Length: 6 * time.Hour, Entries: []Entry{
		{Kind: "hog", At: 90 * time.Minute, For: time.Hour, N: 1, Alone: true},
	}}, []plant{
		{file: "reconcilers/verdict/words.go", from: "case !v.grewMost(grown):", to: "case false:"},
	}},
	{"an operator's pm2 delete was undone at once", Schedule{Length: 6 * time.Hour, Entries: []Entry{
		{Kind: "pm2-delete", At: 90 * time.Minute, For: time.Hour, N: 2},
	}}, []plant{
		{file: "reconcilers/verdict/view.go", from: " || v.deleted()", to: ""},
	}},
	{"an application was restarted for a service that it could not reach, and given up", Schedule{Length: 6 * time.Hour, Entries: []Entry{
		{Kind: "service-down", At: 90 * time.Minute, For: 2 * time.Hour, Alone: true},
	}}, []plant{
		{file: "reconcilers/verdict/table.go", from: "\truleDependencyDown,\n", to: ""},
	}},
	{"an application that had been given another port was restarted three times, and given up", Schedule{Length: 6 * time.Hour, Entries: []Entry{
		{Kind: "moved-port", At: 90 * time.Minute, For: 2 * time.Hour, Alone: true},
	}}, []plant{
		{file: "reconcilers/verdict/table.go", from: "\truleListensElsewhere,\n", to: ""},
	}},
	{"an application that had lost its port was held for, because it still showed its metrics", Schedule{Length: 6 * time.Hour, Entries: []Entry{
		{Kind: "deaf", At: 90 * time.Minute, N: 2, Alone: true},
	}}, []plant{
		{file: "reconcilers/verdict/rules_port.go", from: "running, not(hasListened), ", to: "running, "},
	}},
	{"an application that answered was restarted three times, because more was expected than it had ever answered", Schedule{Length: 6 * time.Hour, Entries: []Entry{
		{Kind: "wrong-expectation", At: 90 * time.Minute, For: 2 * time.Hour, Alone: true},
	}}, []plant{
		{file: "reconcilers/verdict/table.go", from: "\truleNeverAsExpected,\n", to: ""},
	}},
	{"a recovery was taken to begin when evenkeel, killed as it wrote that, came back", Schedule{Length: 32502 * time.Minute, Entries: []Entry{
		{Kind: "other-spec", At: 91 * time.Minute, N: 488516},
		{Kind: "pm2-gone", At: 32415 * time.Minute, For: time.Hour},
		{Kind: "folder-gone", At: 32451 * time.Minute, For: 1722500 * time.Millisecond},
		{Kind: "cache-fills-disk", At: 32463 * time.Minute},
		{Kind: "killed-often", At: 32475 * time.Minute, For: 7 * time.Minute},
	}}, []plant{
		{file: "hack/sim/check.go", from: "&at, c.s.w.truly(at)", to: "&at, c.s.w.now"},
	}},
	{"the cooldown before an order was asked for after it, though the operator had made it shorter", Schedule{Length: 160 * time.Minute, Entries: []Entry{
		{Kind: "deaf", At: 104 * time.Minute},
		{Kind: "pm2-stop", At: 104 * time.Minute, For: 40 * time.Minute},
		{Kind: "reset", At: 115 * time.Minute},
		{Kind: "crash-loop", At: 116 * time.Minute, For: 114 * time.Minute},
		{Kind: "demand-while-down", At: 116 * time.Minute, Phase: "Cooldown"},
		{Kind: "other-spec", At: 128 * time.Minute, Phase: "Cooldown"},
	}}, []plant{
		{file: "hack/sim/check.go", from: "\tc.lastCooldown = cooldownInForce(c.s.k.appOr(c.s), r.Incident)\n\tif", to: "\tif"},
		{file: "hack/sim/check.go", from: "\tc.saidAt = c.s.w.now\n}", to: "\tc.saidAt, c.lastCooldown = c.s.w.now, cooldownInForce(c.s.k.appOr(c.s), r.Incident)\n}"},
	}},
	{"an attempt counted as failed, though evenkeel could ask nothing before it knew", Schedule{Variant: "once", Length: 126 * time.Minute, Entries: []Entry{
		{Kind: "crash-loop", At: 89 * time.Minute, For: 168 * time.Minute, N: 364375},
		{Kind: "reset", At: 112 * time.Minute},
		{Kind: "blind", At: 113 * time.Minute, Phase: "Cooldown", Delay: 23 * time.Second, For: 8 * time.Minute, N: 625041},
	}}, []plant{
		{file: "hack/sim/attempts.go", from: "\t\tlast.counts = false\n", to: ""},
	}},
	{"a crash loop for want of a build cost a restart when the build had just come", Schedule{Length: 18925 * time.Minute, Entries: []Entry{
		{Kind: "reboot", At: 5380700 * time.Millisecond, N: 211814, Alone: true},
		{Kind: "cache-fills-disk", At: 13174 * time.Minute, Alone: true},
		{Kind: "deploy-fails", At: 1127292700 * time.Millisecond, For: 7166500 * time.Millisecond, Alone: true},
	}}, []plant{
		{file: "reconcilers/verdict/words.go", from: "\treturn v.builtBefore() || slices.Contains(", to: "\treturn false && slices.Contains("},
	}},
	{"an application that was stopped by hand was started at the limit of a deploy's hold", Schedule{Length: 107 * time.Minute, Entries: []Entry{
		{Kind: "database-down", At: 75 * time.Minute, For: 122 * time.Minute},
		{Kind: "deploy-hangs", At: 87 * time.Minute, For: 20 * time.Minute},
		{Kind: "pm2-delete", At: 99 * time.Minute, For: time.Hour},
	}}, []plant{
		{file: "reconcilers/verdict/verdict.go", from: "if out.ActAtLimit && out.Blame != v1alpha1.BlameOperator && v.stopRespected() {", to: "if false && v.stopRespected() {"},
	}},
	{"the record was written at every pass, for its words alone", Schedule{Length: 27152 * time.Minute, Entries: []Entry{
		{Kind: "reset", At: 89 * time.Minute},
		{Kind: "pm2-delete", At: 27040 * time.Minute, For: 114 * time.Minute},
		{Kind: "deploy-fails", At: 27040 * time.Minute, For: 30 * time.Minute},
		{Kind: "stand-down", At: 27064 * time.Minute},
	}}, []plant{
		{file: "controller/words.go", from: "\treturn !w.late\n", to: "\treturn true\n"},
	}},
	{"a crash loop that had just ended, and that nobody asks for answers, was judged by what nobody could know", Schedule{Variant: "inward", Length: 83881 * time.Minute, Entries: []Entry{
		{Kind: "other-spec", At: 6189700 * time.Millisecond},
		{Kind: "crash-loop", At: 5023089300 * time.Millisecond, For: 160 * time.Minute, N: 894583},
		{Kind: "reset", At: 83867 * time.Minute, N: 454816},
	}}, []plant{
		{file: "hack/sim/may.go", from: "c.loopedUntil < 10*time.Minute", to: "c.loopedUntil < 0"},
	}},
	{"an application that an operator stopped again, after it had been started for him, was never started", Schedule{Length: 216 * time.Minute, Entries: []Entry{
		{Kind: "reboot", At: 70 * time.Minute},
		{Kind: "crash-loop", At: 82 * time.Minute, For: 98 * time.Minute},
		{Kind: "reset", At: 105 * time.Minute},
		{Kind: "pm2-stop", At: 106 * time.Minute, For: 40 * time.Minute},
		{Kind: "reset", At: 117 * time.Minute},
		{Kind: "pm2-delete", At: 118 * time.Minute, Phase: "Cooldown", Delay: 75800 * time.Millisecond, For: time.Hour},
		{Kind: "reset", At: 129 * time.Minute},
		{Kind: "reset", At: 141 * time.Minute},
	}}, []plant{
		{file: "controller/decide.go", from: "h != nil && h.LimitSpent && h.Blame == v1alpha1.BlameOperator &&", to: "h != nil && false &&"},
	}},
	{"an attempt counted as failed, though an operator stopped the application before that was known", Schedule{Length: 220 * time.Minute, Entries: []Entry{
		{Kind: "errors", At: 102 * time.Minute},
		{Kind: "crash-loop", At: 114 * time.Minute, For: 104 * time.Minute, N: 456074},
		{Kind: "deploy-fails", At: 114 * time.Minute, For: time.Hour},
		{Kind: "power-loss", At: 126 * time.Minute, Phase: "Cooldown", N: 926068},
		{Kind: "reset", At: 137 * time.Minute},
		{Kind: "pm2-stop", At: 138 * time.Minute, Phase: "Cooldown", Delay: 79400 * time.Millisecond, For: 40 * time.Minute},
		{Kind: "cache-corrupt", At: 162 * time.Minute},
	}}, []plant{
		{file: "hack/sim/attempts.go", from: "(stopped || c.s.foreignStands()", to: "(c.s.foreignStands()"},
	}},
	{"after a save that was rejected the copy of the state was two changes old", Schedule{Length: 108 * time.Minute, Entries: []Entry{
		{Kind: "orphan", At: 5574 * time.Second},
		{Kind: "demand-while-down", At: 92 * time.Minute, Phase: "Recovering", Delay: 8500 * time.Millisecond},
		{Kind: "reset", At: 6234 * time.Second, N: 387715},
		{Kind: "demand", At: 6294 * time.Second},
		{Kind: "garbage-save", At: 6295 * time.Second},
	}}, []plant{
		{file: "state/store.go", from: "\t\tif before != nil {\n", to: "\t\tif false {\n"},
	}},
	{"an order that a loss of power had brought back was taken for one that nobody gave", Schedule{Length: 110 * time.Minute, Entries: []Entry{
		{Kind: "crash-loop", At: 91 * time.Minute, For: 164 * time.Minute},
		{Kind: "disk-full", At: 5511800 * time.Millisecond, For: 57 * time.Minute},
		{Kind: "reset", At: 6170800 * time.Millisecond, N: 591647},
		{Kind: "demand", At: 103 * time.Minute},
		{Kind: "power-loss", At: 6231800 * time.Millisecond, Phase: "Cooldown", N: 270928},
	}}, []plant{
		{file: "hack/sim/check.go", from: " && !(c.powerCut &&", to: " && !(false &&"},
	}},
	{"an application that somebody else had started, and that hung, was taken not to be started", Schedule{Length: 113 * time.Minute, Entries: []Entry{
		{Kind: "hang-always", At: 63 * time.Minute, For: 163 * time.Minute},
		{Kind: "moved-port", At: 75 * time.Minute, For: 20 * time.Minute},
		{Kind: "reset", At: 86 * time.Minute},
		{Kind: "reboot-without-pm2", At: 87 * time.Minute, Phase: "Recovering", Delay: 1700 * time.Millisecond, For: 20 * time.Minute},
		{Kind: "killed-often", At: 99 * time.Minute, Phase: "Recovering", Delay: 4 * time.Second, For: 582300 * time.Millisecond, N: 423323},
		{Kind: "reset", At: 6616200 * time.Millisecond},
		{Kind: "pm2-restart", At: 6677200 * time.Millisecond, Phase: "Recovering", Delay: 8500 * time.Millisecond},
	}}, []plant{
		{file: "hack/sim/check.go", from: "if c.s.w.app == nil {\n\t\t\tc.s.fail(\"recovery", to: "if !c.s.w.well() {\n\t\t\tc.s.fail(\"recovery"},
	}},
	{"an application that was not listed any more was taken to come and go", Schedule{Variant: "once", Length: 136 * time.Minute, Entries: []Entry{
		{Kind: "proxy-down", At: 94 * time.Minute, For: 195 * time.Minute},
		{Kind: "two-daemons", At: 106 * time.Minute, For: 20 * time.Minute},
		{Kind: "pm2-delete", At: 130 * time.Minute, For: time.Hour},
	}}, []plant{
		{file: "reconcilers/verdict/rules_app.go", from: "runtime.Errored, runtime.Missing)), not(stoppedByHand)", to: "runtime.Errored)), not(stoppedByHand)"},
	}},
	{"who takes out of the list what he had stopped before was taken to stop it anew", Schedule{Length: 819 * time.Minute, Entries: []Entry{
		{Kind: "pm2-stop", At: 81 * time.Minute, Phase: "Degraded", For: 40 * time.Minute},
		{Kind: "pm2-delete", At: 129 * time.Minute, Phase: "Degraded", Delay: 128100 * time.Millisecond, For: time.Hour},
	}}, []plant{
		{file: "hack/sim/faults.go", from: "if byHand && !stopped {", to: "if byHand && (!stopped || true) {"},
	}},
	{"a recovery that a reboot had cut off was given the cooldown of a spec from after it", Schedule{Length: 141 * time.Minute, Entries: []Entry{
		{Kind: "deaf", At: 114 * time.Minute},
		{Kind: "other-spec", At: 6897 * time.Second, Phase: "Recovering", N: 985319},
		{Kind: "demand", At: 7616 * time.Second},
		{Kind: "reboot-without-pm2", At: 7617 * time.Second, For: 20 * time.Minute, N: 990089},
		{Kind: "errored", At: 138 * time.Minute},
	}}, []plant{
		{file: "hack/sim/check.go", from: "\t\tc.begunAt = c.begunAt.Rebase(c.s.w.instant())\n", to: ""},
	}},
	{"the application was restarted for memory that another program had taken again, which had it when the application settled", Schedule{Length: 13943 * time.Minute, Entries: []Entry{
		{Kind: "hog", At: 115 * time.Minute, For: 213 * time.Minute, N: 679585},
		{Kind: "module-missing", At: 175 * time.Minute, For: 83 * time.Minute},
		{Kind: "hog", At: 13938 * time.Minute, For: 1 * time.Hour, N: 917553},
	}}, []plant{
		{file: "reconcilers/judge.go", from: "case m.Rest() < b.Rest-m.Wanted:", to: "case m.Rest() < -m.Wanted:"},
	}},
	{"an attempt that had failed was not spent, because evenkeel only observed since", Schedule{Length: 176 * time.Minute, Entries: []Entry{
		{Kind: "pm2-delete", At: 70 * time.Minute, For: 1 * time.Hour},
		{Kind: "errors", At: 82 * time.Minute},
		{Kind: "reset", At: 93 * time.Minute},
		{Kind: "observe", At: 94 * time.Minute, Phase: "Cooldown", Delay: 24900 * time.Millisecond, For: 20 * time.Minute},
		{Kind: "crash-loop", At: 106 * time.Minute, For: 161 * time.Minute, N: 735339},
	}}, []plant{
		{file: "controller/incident.go", from: "(rec == nil || rec.Verified)", to: "(rec == nil || rec.Verified || s.c.App.Spec.Observes())"},
	}},
	{"an operator's stop was undone at the limit of an earlier one of his, because evenkeel was started anew in between", Schedule{Length: 181 * time.Minute, Entries: []Entry{
		{Kind: "pm2-delete", At: 115 * time.Minute, Phase: "Cooldown", Delay: 0, For: 1 * time.Hour},
		{Kind: "errors", At: 127 * time.Minute},
		{Kind: "reset", At: 138 * time.Minute},
		{Kind: "restarted", At: 139 * time.Minute, Phase: "Cooldown", Delay: 0, N: 935451},
		{Kind: "reset", At: 150 * time.Minute},
		{Kind: "reset", At: 162 * time.Minute},
		{Kind: "demand", At: 10546500 * time.Millisecond},
		{Kind: "pm2-stop", At: 175 * time.Minute, Phase: "Cooldown", Delay: 0, For: 40 * time.Minute},
	}}, []plant{
		{file: "controller/decide.go", from: "(answeredBefore(c) || answeredSince(c, h.Since))", to: "(answeredBefore(c) || answeredSince(c, h.Since) && false)"},
	}},
	{"an operator's stop spent the attempt that had been made at a hold's limit, and the application was held for good", Schedule{Variant: "once", Length: 14 * time.Hour, Entries: []Entry{
		{Kind: "files-used-up", At: 2 * time.Hour, For: 17 * time.Minute},
		{Kind: "pm2-stop", At: 7201 * time.Second, Phase: "Cooldown", Delay: 20 * time.Second, For: 40 * time.Minute},
		{Kind: "crash-loop", At: 10 * time.Hour, For: 164 * time.Minute, N: 1},
	}}, []plant{
		{file: "controller/incident.go", from: "(idle(s.c.App, s.c.Now) || v.Blame == v1alpha1.BlameOperator)", to: "idle(s.c.App, s.c.Now)"},
	}},
	{"a state that was on disk when evenkeel was killed was not known to the simulator as the one before", Schedule{Length: 69733 * time.Minute, Entries: []Entry{
		{Kind: "other-spec", At: 110 * time.Minute},
		{Kind: "hang-always", At: 69695 * time.Minute, For: 149 * time.Minute},
		{Kind: "reset", At: 69706 * time.Minute},
		{Kind: "observe", At: 4182475100 * time.Millisecond, For: 20 * time.Minute},
		{Kind: "lie", At: 69719 * time.Minute},
		{Kind: "killed-often", At: 69719 * time.Minute, Phase: "Recovering", Delay: 2800 * time.Millisecond, For: 219900 * time.Millisecond, N: 682986},
		{Kind: "reset", At: 4183854100 * time.Millisecond, N: 251415},
	}}, []plant{
		{file: "hack/sim/check.go", from: "\tif c.writing != nil && sameRecord(&got, c.writing) {\n\t\tc.before = c.onDisk\n\t}\n", to: ""},
	}},
	{"a stop that never came about, since its PM2 hung and evenkeel was killed, was taken for one without a start", Schedule{Length: 4 * time.Hour, Entries: []Entry{
		{Kind: "pm2-hangs", At: 7199 * time.Second, For: 100 * time.Second},
		{Kind: "demand", At: 2 * time.Hour},
		{Kind: "demand-while-down", At: 7201 * time.Second, Phase: "Recovering", Delay: 4 * time.Second, N: 1},
	}}, []plant{
		{file: "hack/sim/check.go", from: "\t\t\tc.needStart = \"\" // evenkeel", to: "\t\t\t// evenkeel"},
	}},
}
