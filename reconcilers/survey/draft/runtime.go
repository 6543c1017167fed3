package draft

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/survey"
)

func (d *drafter) runtime() {
	for _, other := range d.f.Beside {
		d.noticed("%s could have been meant, too; if so: evenkeel init %s", other.String(), other.Name)
	}
	d.line(2, "runtime:", "")
	if d.f.Systemd != nil {
		d.systemd()
		return
	}
	p := &d.f.PM2
	d.line(4, "pm2:", "")
	how := "fork mode"
	if p.Cluster {
		how = "cluster mode"
	}
	d.line(6, "process: "+quote(p.Process), fmt.Sprintf("PM2 %s, %s; was %s", p.Version, how, p.State))
	d.start()
	if p.Home != "" {
		d.line(6, "home: "+quote(p.Home), "PM2_HOME, which is not the usual one")
	}
	d.habits()
}

// systemd says which unit it is, and what goes with that.
func (d *drafter) systemd() {
	u := d.f.Systemd
	d.line(4, "systemd:", "")
	d.line(6, "unit: "+quote(u.Unit), strings.TrimPrefix(u.File+", ", ", ")+"was "+u.State)
	if u.User {
		d.line(6, "user: true", "of "+d.f.User+"'s own service manager, which has to run without a login: loginctl enable-linger "+d.f.User)
	}
	var said []string
	if !u.Autorestart {
		said = append(said, "Restart= is off: systemd does not bring it back after a crash, so that every crash is evenkeel's to mend, with a cooldown between. On is better.")
	}
	if u.Kind == "oneshot" {
		said = append(said, "Type=oneshot: systemd takes it for done when its first process ends; for a server, simple, exec or notify is right.")
	}
	if !u.May {
		said = append(said, fmt.Sprintf("%s may see %s, but not start and stop it, unless polkit allows it: `evenkeel install --print` shows the rule.", d.f.User, u.Unit))
	}
	for _, text := range said {
		d.comment(6, text)
		d.noticed("%s", text)
	}
}

// start says what PM2 is to be given where its list has lost the application.
func (d *drafter) start() {
	const why = "what PM2 is given where its list has lost the application"
	e := d.f.Ecosystem
	switch {
	case e != nil && e.Names && strings.ContainsAny(d.f.PM2.Process, ", "):
		d.comment(6, fmt.Sprintf("start: %s describes the application, but PM2 cannot pick a name with a blank or comma out of it.", e.File))
		d.unknown("what to start where PM2's list has lost the application: PM2 cannot pick %q out of %s, because of the blank or comma", d.f.PM2.Process, e.File)
	case e != nil && e.Names:
		d.line(6, "start: "+quote(e.File), why)
	case e != nil:
		d.verbatim(6, "start: "+quote(e.File)+"   # "+why+"; but the name "+d.f.PM2.Process+" was not seen in that file")
		d.unknown("whether %s describes %s: the name was not seen in it; if it does, uncomment spec.runtime.pm2.start", e.File, d.f.PM2.Process)
	default:
		d.verbatim(6, "start: ecosystem.config.js   # "+why+"; the folder holds no such file")
		d.unknown("what to start where PM2's list has lost the application: %s holds no ecosystem file; write one and name it in spec.runtime.pm2.start, "+
			"or keep PM2's list with pm2 save", d.f.Directory)
	}
}

// habits says which of PM2's own settings do not go well with a supervisor.
func (d *drafter) habits() {
	p := &d.f.PM2
	var said []string
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	if p.Rows > 1 {
		say("PM2 lists %d rows of this name. evenkeel looks after them as one: it is well while one of them serves, and a recovery restarts them all.", p.Rows)
	}
	if p.Cluster {
		say("It runs in cluster mode, where PM2's daemon itself listens for the workers. evenkeel leaves that daemon alone; a recovery replaces every worker.")
	}
	if !p.Autorestart {
		say("autorestart is off: PM2 does not bring it back after a crash, so that every crash is evenkeel's to mend, with a cooldown between. On is better.")
	}
	if p.Unstartable {
		say("autostart is off: PM2 will not start it whatever it is told, and so evenkeel cannot. Remove it from the list and add it with autostart on.")
	}
	if p.Watch {
		say("watch is on: PM2 restarts it whenever a file changes. In production that is restarts out of nothing; off is better.")
	}
	if p.MaxMemory > 0 {
		say("max_memory_restart is %s: PM2 restarts it there by itself. That is fine; evenkeel counts it as no failure.", size(p.MaxMemory))
	}
	if p.Cron != "" {
		say("cron_restart is %q: PM2 restarts it by that schedule. That is fine; evenkeel counts it as no failure.", p.Cron)
	}
	for _, text := range said {
		d.comment(6, text)
		d.noticed("%s", text)
	}
}

func (d *drafter) port() {
	p := &d.f.Port
	comment := ""
	number := p.Number
	switch p.From {
	case survey.FromListener:
		comment = "its process listens there, on " + list(places(p.Addresses))
		if len(p.Others) > 0 {
			var others []string
			for _, o := range p.Others {
				others = append(others, strconv.Itoa(o))
			}
			comment += "; also on port " + list(others)
			d.noticed("it listens on more than one port: %d was taken, and not %s", p.Number, list(others))
		}
	case survey.FromArguments, survey.FromVariable:
		from := "its command line names it"
		if p.From == survey.FromVariable {
			from = "its variable PORT names it"
		}
		comment = from + ", but nothing of it was seen listening"
		d.unknown("whether it listens on port %d: %s, but nothing was seen listening; is the application up?", number, from)
	default:
		number = v1alpha1.DefaultPort
		comment = "NOT FOUND OUT: the default; set it to the port on which it listens"
		d.unknown("on which port it listens: no process of it was seen listening; is it up? The file says %d, the default", number)
	}
	d.line(2, fmt.Sprintf("port: %d", number), comment)
}

// places are addresses as people say them.
func places(addresses []string) (said []string) {
	for _, a := range addresses {
		if a == "::" || a == "0.0.0.0" {
			a = "all addresses (" + a + ")"
		}
		said = append(said, a)
	}
	return said
}

func (d *drafter) local() {
	a := d.f.Local
	comment := ""
	switch {
	case a == nil:
		comment = "any answer below 500 counts as alive"
	case a.Class == facts.Answered && a.Status < 500:
		comment = fmt.Sprintf("answered %d; anything below 500 counts as alive", a.Status)
	case a.Class == facts.Answered:
		comment = fmt.Sprintf("answered %d, which counts as a failure", a.Status)
		d.noticed("the application itself answered %d at %s: it is not well now, or / is the wrong path to ask for (spec.checks.local.path)", a.Status, a.URL)
	default:
		comment = "did not answer: " + a.Error
		d.noticed("the application itself did not answer at %s: %s", a.URL, a.Error)
	}
	d.line(4, "local: {path: /}", comment)
}

func (d *drafter) memory() {
	least, comment := headroom(d.f.Total)
	if d.f.Total > 0 {
		comment = fmt.Sprintf("%s of %s were available%s", size(d.f.Available), size(d.f.Total), comment)
	} else {
		d.unknown("how much memory the machine has")
	}
	d.line(4, "memory: {minAvailable: "+size(least)+"}", comment)
	if d.f.Total > 0 && d.f.Available < least*3/2 {
		d.noticed("memory is short now: %s available", size(d.f.Available))
	}
}

// headroom is the mission's 100 MiB, but on a machine of less than 1 GiB a tenth of it.
func headroom(total uint64) (least uint64, comment string) {
	const usual, small, step = 100 << 20, 900 << 20, 4 << 20
	if total == 0 || total >= small {
		return usual, ""
	}
	return max(total/10/step*step, step), "; a tenth, because the machine is small"
}

// size writes bytes as Kubernetes does.
func size(bytes uint64) string { return strconv.FormatUint(bytes>>20, 10) + "Mi" }
