package v1alpha1

import (
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	minTimeout  = 10 * time.Millisecond
	maxTimeout  = 10 * time.Minute
	minInterval = 100 * time.Millisecond
	day         = 24 * time.Hour
	week        = 7 * day

	// maxPath is the longest path that Linux takes.
	maxPath = 4096
)

var (
	minMinAvailable = resource.MustParse("1Mi")
	envVarName      = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	onlyDigits      = regexp.MustCompile(`^[0-9]+$`)
)

// Validate says everything that is wrong with an App that has its defaults. The detail of each error is what would be
// right, and begins with "want". Status is not looked at.
func Validate(app *App) field.ErrorList {
	errs := validateName(app.Name)
	spec, at := &app.Spec, field.NewPath("spec")
	errs = append(errs, oneOf(spec.Mode, at.Child("mode"), ModeActive, ModeObserve)...)
	errs = append(errs, validatePause(spec, at)...)
	errs = append(errs, validateDirectory(spec.Directory, at.Child("directory"))...)
	errs = append(errs, validateRuntime(&spec.Runtime, at.Child("runtime"))...)
	errs = append(errs, within(int64(spec.Port), 1, 65535, "a port", at.Child("port"))...)
	errs = append(errs, between(spec.Interval, minInterval, day, at.Child("interval"))...)
	errs = append(errs, validateConfirmInterval(spec, at.Child("confirmInterval"))...)
	errs = append(errs, within(int64(spec.FailureThreshold), 1, 10, "a number", at.Child("failureThreshold"))...)
	errs = append(errs, validateChecks(&spec.Checks, at.Child("checks"))...)
	errs = append(errs, validateDeploy(&spec.Deploy, at.Child("deploy"))...)
	errs = append(errs, validateRecovery(&spec.Recovery, at.Child("recovery"))...)
	if h := spec.Heartbeat; h != nil {
		at := at.Child("heartbeat")
		errs = append(errs, validateURL(h.URL, "https://hc-ping.com/UUID", at.Child("url"))...)
		errs = append(errs, between(h.Interval, 10*time.Second, 24*time.Hour, at.Child("interval"))...)
		errs = append(errs, between(h.Timeout, minTimeout, maxTimeout, at.Child("timeout"))...)
	}
	return append(errs, validateAlerts(spec.Alerts, at.Child("alerts"))...)
}

func validateName(name string) field.ErrorList {
	at := field.NewPath("metadata", "name")
	const want = "want a name of at most 63 small letters, digits and '-', beginning and ending with a letter or digit, such as my-site"
	if name == "" {
		return field.ErrorList{field.Required(at, want)}
	}
	if len(validation.IsDNS1123Label(name)) > 0 {
		return field.ErrorList{field.Invalid(at, name, want)}
	}
	return nil
}

func validatePause(spec *AppSpec, at *field.Path) (errs field.ErrorList) {
	if n := len([]rune(spec.PauseReason)); n > 512 {
		errs = append(errs, field.Invalid(at.Child("pauseReason"), spec.PauseReason[:20]+"…",
			fmt.Sprintf("want at most 512 characters, not %d", n)))
	}
	if spec.PausedUntil != nil && !spec.Paused {
		errs = append(errs, field.Invalid(at.Child("pausedUntil"), spec.PausedUntil.UTC().Format(time.RFC3339),
			"want \"paused: true\" beside it, or this line left out"))
	}
	return errs
}

func validateDirectory(dir string, at *field.Path) field.ErrorList {
	const want = "want the absolute path of the application's folder, such as /home/deploy/my-site"
	switch {
	case dir == "":
		return field.ErrorList{field.Required(at, want)}
	case strings.ContainsRune(dir, 0):
		return field.ErrorList{field.Invalid(at, dir, "want a path without a NUL character")}
	case len([]rune(dir)) > maxPath:
		return field.ErrorList{field.Invalid(at, len(dir), fmt.Sprintf("want a path of at most %d characters", maxPath))}
	case !filepath.IsAbs(dir):
		return field.ErrorList{field.Invalid(at, dir, want)}
	case filepath.Clean(dir) == "/":
		return field.ErrorList{field.Invalid(at, dir, "want the application's own folder, never the whole machine")}
	case filepath.Clean(dir) != dir:
		return field.ErrorList{field.Invalid(at, dir, "want the shortest form of the path: "+filepath.Clean(dir))}
	}
	return nil
}

func validateRuntime(runtime *RuntimeSpec, at *field.Path) field.ErrorList {
	var named []string
	for _, one := range []struct {
		kind string
		is   bool
	}{{RuntimePM2, runtime.PM2 != nil}, {RuntimeExec, runtime.Exec != nil}, {RuntimeSystemd, runtime.Systemd != nil}} {
		if one.is {
			named = append(named, one.kind)
		}
	}
	if len(named) > 1 {
		return field.ErrorList{field.Invalid(at, strings.Join(named, " and "), "want one of them: two that keep one process would restart each other's restarts")}
	}
	switch {
	case runtime.PM2 != nil:
		return validatePM2(runtime.PM2, at.Child("pm2"))
	case runtime.Exec != nil:
		return validateExec(runtime.Exec, at.Child("exec"))
	case runtime.Systemd != nil:
		return validateSystemd(runtime.Systemd, at.Child("systemd"))
	}
	return field.ErrorList{field.Required(at,
		"want who keeps the application's process, such as {pm2: {process: my-site}}, {systemd: {unit: my-site.service}} or {exec: {command: [node, server.js]}}")}
}

var (
	unitName = regexp.MustCompile(`^[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\-]+)?\.service$`)
	ownUnit  = regexp.MustCompile(`^evenkeel(@.*)?\.service$`)
)

func validateSystemd(systemd *SystemdRuntime, at *field.Path) field.ErrorList {
	at = at.Child("unit")
	unit := systemd.Unit
	switch before, isService := strings.CutSuffix(unit, ".service"); {
	case unit == "":
		return field.ErrorList{field.Required(at, "want the application's unit, such as my-site.service")}
	case len(unit) > 255:
		return field.ErrorList{field.Invalid(at, unit, "want at most 255 characters")}
	case !isService:
		return field.ErrorList{field.Invalid(at, unit, "want the whole name of a service, which ends in .service, such as my-site.service")}
	case strings.HasSuffix(before, "@"):
		return field.ErrorList{field.Invalid(at, unit, "want an instance of the template, such as "+before+"blue.service: the template itself never runs")}
	case ownUnit.MatchString(unit):
		return field.ErrorList{field.Invalid(at, unit, "want the application's unit, not evenkeel's own")}
	case !unitName.MatchString(unit):
		return field.ErrorList{field.Invalid(at, unit, "want the name of a unit as systemctl shows it, without a folder: letters, digits and :-_.\\\\, one @ before an instance")}
	}
	return nil
}

func validateExec(run *ExecRuntime, at *field.Path) (errs field.ErrorList) {
	command, env := at.Child("command"), at.Child("env")
	switch {
	case len(run.Command) == 0:
		errs = append(errs, field.Required(command, "want the program with its arguments, such as [node, server.js]"))
	case len(run.Command) > 256:
		errs = append(errs, field.Invalid(command, len(run.Command), "want at most 256 entries"))
	case IsBelowDirectory(run.Command[0]):
		errs = append(errs, validateArguments(run.Command, command)...)
	default:
		errs = append(errs, validateProgram(run.Command, "node", command)...)
	}
	if len(run.Env) > 256 {
		errs = append(errs, field.Invalid(env, len(run.Env), "want at most 256 variables"))
	}
	for _, name := range slices.Sorted(maps.Keys(run.Env)) {
		switch {
		case !envVarName.MatchString(name):
			errs = append(errs, field.Invalid(env.Child(name), name, "want the name of a variable: letters, digits and '_', no digit first"))
		case strings.HasPrefix(name, EnvPrefix):
			errs = append(errs, field.Invalid(env.Child(name), name, "want another name: those that begin with EVENKEEL_ are evenkeel's own"))
		case strings.ContainsRune(run.Env[name], 0):
			errs = append(errs, field.Invalid(env.Child(name), name, "want a value without a NUL character"))
		}
	}
	return errs
}

// EnvPrefix begins the names of the variables that evenkeel gives to the programs it starts.
const EnvPrefix = "EVENKEEL_"

// IsBelowDirectory tells whether a program is named by its path below spec.directory: one with a slash in it, such as
// ./server or node_modules/.bin/next. A name without one is looked for on the PATH.
func IsBelowDirectory(program string) bool {
	inner, dotted := strings.CutPrefix(program, "./")
	return isInside(inner) && (dotted || strings.ContainsRune(inner, '/')) && !strings.ContainsFunc(inner, isSpace)
}

func validatePM2(pm2 *PM2Runtime, at *field.Path) (errs field.ErrorList) {
	process := at.Child("process")
	switch name := pm2.Process; {
	case name == "":
		errs = append(errs, field.Required(process, "want the name that \"pm2 ls\" shows for the application"))
	case len([]rune(name)) > 128:
		errs = append(errs, field.Invalid(process, name, "want at most 128 characters"))
	case name == "all" || onlyDigits.MatchString(name):
		errs = append(errs, field.Invalid(process, name,
			"want a name: PM2 takes \"all\" for every process, and a number for an id that changes"))
	case strings.HasPrefix(name, "-") || strings.HasPrefix(name, "/") || strings.ContainsFunc(name, isControl):
		errs = append(errs, field.Invalid(process, name,
			"want a name that does not begin with '-' or '/', which PM2 would not take for one, and has no control characters"))
	}
	if space := pm2.Namespace; len([]rune(space)) > 128 || strings.HasPrefix(space, "-") || strings.ContainsFunc(space, isControl) {
		errs = append(errs, field.Invalid(at.Child("namespace"), space,
			"want a name of at most 128 characters that does not begin with '-', which PM2 would not take for one, and has no control characters"))
	}
	if pm2.Start != "" && !isInside(pm2.Start) {
		errs = append(errs, field.Invalid(at.Child("start"), pm2.Start,
			"want a file inside directory, relative to it, such as ecosystem.config.js"))
	}
	if pm2.Home != "" && (!filepath.IsAbs(pm2.Home) || filepath.Clean(pm2.Home) != pm2.Home) {
		errs = append(errs, field.Invalid(at.Child("home"), pm2.Home, "want an absolute path, such as /home/deploy/.pm2"))
	}
	if len(pm2.Command) > 0 {
		errs = append(errs, validateProgram(pm2.Command, "pm2", at.Child("command"))...)
	}
	return errs
}

// validateProgram looks at a program with its arguments.
func validateProgram(command []string, example string, at *field.Path) (errs field.ErrorList) {
	program := command[0]
	switch {
	case program == "":
		errs = append(errs, field.Required(at.Index(0), "want a program, such as /usr/local/bin/"+example))
	case filepath.IsAbs(program) && filepath.Clean(program) == program && program != "/":
	case strings.ContainsRune(program, '/') || program == "." || program == "..":
		errs = append(errs, field.Invalid(at.Index(0), program,
			"want an absolute path such as /usr/local/bin/"+example+", or a plain program name that PATH knows"))
	case strings.ContainsFunc(program, isSpace):
		errs = append(errs, field.Invalid(at.Index(0), program,
			fmt.Sprintf("want each argument as an entry of its own: [%s]", strings.Join(strings.Fields(program), ", "))))
	}
	return append(errs, validateArguments(command, at)...)
}

func validateArguments(command []string, at *field.Path) (errs field.ErrorList) {
	for i, arg := range command {
		if strings.ContainsRune(arg, 0) {
			errs = append(errs, field.Invalid(at.Index(i), arg, "want an argument without a NUL character"))
		}
	}
	return errs
}

func validateConfirmInterval(spec *AppSpec, at *field.Path) field.ErrorList {
	if spec.Interval.Duration < minInterval || spec.Interval.Duration > day {
		return nil // Said already, and what follows from a wrong interval is of no use.
	}
	return between(spec.ConfirmInterval, DefaultConfirmIntervalMin, spec.Interval.Duration, at)
}

func validateRecovery(recovery *RecoverySpec, at *field.Path) (errs field.ErrorList) {
	errs = append(errs, between(recovery.Cooldown, minInterval, day, at.Child("cooldown"))...)
	errs = append(errs, within(int64(recovery.MaxAttempts), 1, 20, "a number", at.Child("maxAttempts"))...)
	errs = append(errs, between(recovery.Deadline, minInterval, time.Hour, at.Child("deadline"))...)
	errs = append(errs, between(recovery.StartupGrace, minTimeout, time.Hour, at.Child("startupGrace"))...)
	errs = append(errs, between(recovery.StopTimeout, minTimeout, maxTimeout, at.Child("stopTimeout"))...)
	errs = append(errs, between(recovery.ProvenAfter, minInterval, week, at.Child("provenAfter"))...)
	errs = append(errs, between(recovery.RespectStop, minTimeout, week, at.Child("respectStop"))...)
	errs = append(errs, oneOf(recovery.Tell, at.Child("tell"), TellWhenNotMended, TellAlways)...)
	errs = append(errs, oneOf(recovery.LeaveFailed, at.Child("leaveFailed"), LeaveFailedByOperator, LeaveFailedWhenHealthy)...)
	for i, dir := range recovery.Caches {
		if isInside(dir) {
			continue
		}
		want := ".next/cache"
		if clean := filepath.Clean(dir); dir != "" && isInside(clean) {
			want = clean
		}
		errs = append(errs, field.Invalid(at.Child("caches").Index(i), dir,
			"want a folder below directory, relative to it, without '.', '..' and a '/' at the end, such as "+want))
	}
	return errs
}

func validateAlerts(alerts []AlertSpec, at *field.Path) (errs field.ErrorList) {
	if len(alerts) > 16 {
		errs = append(errs, field.Invalid(at, len(alerts), "want at most 16 alerts"))
	}
	for i := range alerts {
		alert, at := &alerts[i], at.Index(i)
		switch {
		case several(len(alert.Exec) > 0, alert.Webhook != "", alert.Shoutrrr != ""):
			errs = append(errs, field.Invalid(at, "more than one of exec, webhook and shoutrrr", "want one of them; make the other an entry of its own"))
		case len(alert.Exec) > 0:
			errs = append(errs, validateProgram(alert.Exec, "tell-me", at.Child("exec"))...)
		case alert.Webhook != "":
			errs = append(errs, validateURL(alert.Webhook, "https://hooks.example.com/evenkeel", at.Child("webhook"))...)
		case alert.Shoutrrr != "":
			errs = append(errs, validateShoutrrr(alert.Shoutrrr, at.Child("shoutrrr"))...)
		default:
			errs = append(errs, field.Required(at, "want exec: [program, arguments], webhook: an address, or shoutrrr: an address"))
		}
		errs = append(errs, between(alert.Timeout, minTimeout, maxTimeout, at.Child("timeout"))...)
	}
	return errs
}

// several tells whether more than one is true.
func several(list ...bool) bool {
	n := 0
	for _, is := range list {
		if is {
			n++
		}
	}
	return n > 1
}

// ShoutrrrServices are the services that an address by shoutrrr may name.
var ShoutrrrServices = []string{
	"bark", "discord", "generic", "googlechat", "gotify", "hangouts", "ifttt", "join", "lark", "matrix", "mattermost", "notifiarr",
	"ntfy", "opsgenie", "pagerduty", "pushbullet", "pushover", "rocketchat", "signal", "slack", "smtp", "teams", "telegram", "wecom",
	"zulip",
}

func validateShoutrrr(address string, at *field.Path) field.ErrorList {
	scheme, rest, _ := strings.Cut(address, "://")
	service, _, _ := strings.Cut(scheme, "+")
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != scheme || rest == "" || strings.ContainsFunc(address, isSpace):
		return field.ErrorList{field.Invalid(at, address, "want a whole address such as ntfy://ntfy.sh/TOPIC; what is special in a password is written with % (%40 for @)")}
	case service == "http" || service == "https":
		return field.ErrorList{field.Invalid(at, address, "want the address of one of shoutrrr's services; for an http or https address take webhook:")}
	case !slices.Contains(ShoutrrrServices, service):
		return field.ErrorList{field.Invalid(at, address, "want one of shoutrrr's services: "+strings.Join(ShoutrrrServices, ", "))}
	}
	return nil
}

func validateURL(address, example string, at *field.Path) field.ErrorList {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || strings.ContainsFunc(address, isSpace) {
		return field.ErrorList{field.Invalid(at, address, "want a whole address with http:// or https://, such as "+example)}
	}
	return nil
}

// within tells whether a number lies between two others.
func within(n, least, most int64, what string, at *field.Path) field.ErrorList {
	if n < least || n > most {
		return field.ErrorList{field.Invalid(at, n, fmt.Sprintf("want %s from %d to %d", what, least, most))}
	}
	return nil
}

// between tells whether a duration lies between two others.
func between(d metav1.Duration, least, most time.Duration, at *field.Path) field.ErrorList {
	if d.Duration < least || d.Duration > most {
		return field.ErrorList{field.Invalid(at, d.Duration.String(),
			fmt.Sprintf("want a duration from %s to %s", shortDuration(least), shortDuration(most)))}
	}
	return nil
}

// shortDuration writes 24h for 24h0m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func oneOf[T ~string](got T, at *field.Path, wanted ...T) field.ErrorList {
	quoted := make([]string, 0, len(wanted))
	for _, want := range wanted {
		if got == want {
			return nil
		}
		quoted = append(quoted, string(want))
	}
	return field.ErrorList{field.Invalid(at, string(got), "want "+strings.Join(quoted, " or "))}
}

// isInside tells whether a path is relative, clean and lies strictly below the folder that it is relative to.
func isInside(path string) bool {
	return filepath.IsLocal(path) && filepath.Clean(path) == path && path != "." && !strings.ContainsRune(path, 0)
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func isSpace(r rune) bool { return r <= ' ' || r == 0x7f }
