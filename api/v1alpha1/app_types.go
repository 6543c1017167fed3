package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// App is one web application on this machine: spec is what is wanted, status is what evenkeel sees and does.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=apps,singular=app,scope=Namespaced
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Blame",type=string,JSONPath=`.status.verdict.blame`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type App struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the operator wants.
	Spec AppSpec `json:"spec"`
	// Status is what evenkeel sees, decided and did. It is never read from a desired-state file.
	Status AppStatus `json:"status,omitzero"`
}

// AppList is a Kubernetes List of Apps.
//
// +kubebuilder:object:root=true
type AppList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []App `json:"items"`
}

// AppSpec is the desired state of one application.
//
// +kubebuilder:validation:XValidation:rule="!has(self.pausedUntil) || (has(self.paused) && self.paused)",message="pausedUntil wants paused: true"
type AppSpec struct {
	// Mode says whether evenkeel acts. In Observe it sees, judges, records and alerts as always, journals what it would have
	// done and how the world went on without that, and does nothing: no step, no order of yours to recover, no start of an
	// application that it keeps itself (runtime.exec). Nothing that happens meanwhile counts against the attempts or the
	// cooldown. A change is in force within a second. Default Active.
	// +kubebuilder:default=Active
	Mode Mode `json:"mode,omitempty"`
	// Paused stops evenkeel from beginning any plan of its own; it goes on observing, recording and alerting.
	Paused bool `json:"paused,omitempty"`
	// PauseReason is shown wherever the pause is shown.
	// +kubebuilder:validation:MaxLength=512
	PauseReason string `json:"pauseReason,omitempty"`
	// PausedUntil ends the pause by itself; without it a pause lasts until paused is false again. It wants paused: true.
	PausedUntil *metav1.Time `json:"pausedUntil,omitempty"`

	// Directory is the application's checkout: an absolute path, not the machine's root, without '.', '..' and a '/' at
	// its end. Nothing outside it is ever deleted.
	// +kubebuilder:validation:Pattern=`^/.*[^/]$`
	// +kubebuilder:validation:MaxLength=4096
	Directory string `json:"directory"`
	// Runtime says who keeps the application's process.
	Runtime RuntimeSpec `json:"runtime"`
	// Port is the TCP port on which the application listens.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +kubebuilder:default=3003
	Port int32 `json:"port,omitempty"`

	// Interval is the time between two passes of the checks; each check may set its own. At least 100ms. Default 60s.
	// +kubebuilder:default="60s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	Interval metav1.Duration `json:"interval,omitzero"`
	// ConfirmInterval is the time after which a failed check is asked again: at least 50ms, at most interval. Default: a
	// tenth of interval, at most 5s.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	ConfirmInterval metav1.Duration `json:"confirmInterval,omitzero"`
	// FailureThreshold is how many failures in a row make a failure. Default 3.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	// +kubebuilder:default=3
	FailureThreshold int32 `json:"failureThreshold,omitempty"`

	// Checks are the questions asked on every pass. At least one of process, port and local is enabled.
	// +kubebuilder:default={}
	Checks ChecksSpec `json:"checks,omitzero"`
	// Deploy tells how a deploy shows, beyond what is seen without being told.
	Deploy DeploySpec `json:"deploy,omitzero"`
	// Recovery bounds what evenkeel may do.
	// +kubebuilder:default={}
	Recovery RecoverySpec `json:"recovery,omitzero"`
	// Alerts say whom to tell. Without any, the condition AlertsConfigured is False.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Alerts []AlertSpec `json:"alerts,omitempty"`
	// Heartbeat is an address outside of this machine that is asked after finished passes, so that somebody else misses
	// evenkeel, or the machine, when it is gone. Without it there is none.
	Heartbeat *HeartbeatSpec `json:"heartbeat,omitempty"`
}

// Mode says whether evenkeel acts on an App.
// +kubebuilder:validation:Enum=Active;Observe
type Mode string

// The modes.
const (
	// ModeActive: evenkeel mends what it can.
	ModeActive Mode = "Active"
	// ModeObserve: evenkeel only says what it would do.
	ModeObserve Mode = "Observe"
)

// Observes tells whether evenkeel only watches the App, and does nothing.
func (s *AppSpec) Observes() bool { return s.Mode == ModeObserve }

// PausedAt tells whether the operator has paused evenkeel for the App at that moment.
func (s *AppSpec) PausedAt(now time.Time) bool {
	return s.Paused && (s.PausedUntil == nil || now.Before(s.PausedUntil.Time))
}

// RuntimeSpec names the process manager; exactly one member is set.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:MaxProperties=1
type RuntimeSpec struct {
	// PM2 keeps the application's process.
	PM2 *PM2Runtime `json:"pm2,omitempty"`
	// Exec lets evenkeel itself start the application and keep its process; no other process manager is needed.
	Exec *ExecRuntime `json:"exec,omitempty"`
	// Systemd runs the application as a service.
	Systemd *SystemdRuntime `json:"systemd,omitempty"`
}

// The kinds of runtimes, as they are named in spec.runtime.
const (
	RuntimePM2     = "pm2"
	RuntimeExec    = "exec"
	RuntimeSystemd = "systemd"
)

// Kind is the runtime that is named; empty where none is.
func (r *RuntimeSpec) Kind() string {
	switch {
	case r.PM2 != nil:
		return RuntimePM2
	case r.Exec != nil:
		return RuntimeExec
	case r.Systemd != nil:
		return RuntimeSystemd
	}
	return ""
}

// Manager names the runtime's process manager in a sentence: PM2, systemd, or evenkeel itself.
func (r *RuntimeSpec) Manager() string {
	switch {
	case r.Exec != nil:
		return "evenkeel"
	case r.Systemd != nil:
		return "systemd"
	}
	return "PM2"
}

// PM2Runtime is an application that PM2 runs.
type PM2Runtime struct {
	// Process is the name of the PM2 process. PM2 takes "all" for every process, and a number for an id; neither is a name.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[^-/]`
	// +kubebuilder:validation:XValidation:rule="self != 'all' && !self.matches('^[0-9]+$')",message="PM2 takes all for every process, and a number for an id"
	Process string `json:"process"`
	// Namespace is PM2's namespace of the process. It is needed only where the same name stands in several, and the process's
	// folder is not directory. Default: any.
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^$|^[^-]`
	Namespace string `json:"namespace,omitempty"`
	// Start is what `pm2 start` is given where PM2's list does not hold the process: an ecosystem file or a script,
	// relative to directory.
	Start string `json:"start,omitempty"`
	// Home is the PM2_HOME, an absolute path, in which the daemon runs. Default: $PM2_HOME, else .pm2 in the home of evenkeel's user.
	// +kubebuilder:validation:Pattern=`^$|^/`
	Home string `json:"home,omitempty"`
	// Command is the pm2 program, with arguments if need be: an absolute path, or a name that evenkeel's PATH knows. Default:
	// pm2.
	// +listType=atomic
	Command []string `json:"command,omitempty"`
}

// ExecRuntime is an application that evenkeel starts and keeps itself, in the foreground, in a session of its own. It goes
// on living when evenkeel ends, and is found again when evenkeel comes back.
type ExecRuntime struct {
	// Command is the program with its arguments; there is no shell between. The program is an absolute path, a path below
	// directory such as node_modules/.bin/next, or a name that PATH knows. It has to stay in the foreground. A change is in
	// force from the next start on.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Command []string `json:"command"`
	// Env is set over evenkeel's own environment, from the next start on. PORT is spec.port where it is not given here;
	// names that begin with EVENKEEL_ are evenkeel's own.
	// +kubebuilder:validation:MaxProperties=256
	// +kubebuilder:validation:XValidation:rule="self.all(name, name.matches('^[A-Za-z_][A-Za-z0-9_]*$') && !name.startsWith('EVENKEEL_'))",message="want names of variables, none of which begins with EVENKEEL_"
	Env map[string]string `json:"env,omitempty" evenkeel:"secret"`
}

// SystemdRuntime is an application that is a systemd service. What its unit says holds: evenkeel starts and stops the unit, and
// changes nothing of it. systemd's own Restart= goes on working beside evenkeel.
type SystemdRuntime struct {
	// Unit is the service's unit, such as my-site.service; of a template one of its instances, such as site@blue.service. It is
	// never evenkeel's own.
	// +kubebuilder:validation:MinLength=9
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\-]+)?\.service$`
	// +kubebuilder:validation:XValidation:rule="!self.matches('^evenkeel(@.*)?[.]service$')",message="want the application's unit, not evenkeel's own"
	Unit string `json:"unit"`
	// User says that the unit is one of the service manager of the user that evenkeel runs as, and not one of the system's. That
	// manager has to run without a login: loginctl enable-linger. To start and stop a unit of the system's, evenkeel has to be root,
	// or polkit has to allow it. Default false.
	User bool `json:"user,omitempty"`
}

// Program is a program of systemd's, such as systemctl, with what makes it speak to the unit's manager.
func (s *SystemdRuntime) Program(name string) string {
	if s.User {
		return name + " --user"
	}
	return name
}

// DeploySpec tells how a deploy shows. Checkouts, installs and builds at work in directory are seen without it.
type DeploySpec struct {
	// LockFile is a file that lies there while a deploy is at work, relative to directory or absolute. Where it begins with a
	// pid, it counts only while that process lives. Without it there is none.
	// +kubebuilder:validation:MaxLength=4096
	LockFile string `json:"lockFile,omitempty"`
	// LockLimit is the age from which on a lock file is taken to be left over. Default 30m.
	// +kubebuilder:default="30m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	LockLimit metav1.Duration `json:"lockLimit,omitzero"`
}

// TellRecovery says whether a recovery that helps at once is told.
// +kubebuilder:validation:Enum=WhenNotMended;Always
type TellRecovery string

// The values of RecoverySpec.Tell.
const (
	// TellWhenNotMended tells of a failure only where the first recovery has not mended it, or when it comes again.
	TellWhenNotMended TellRecovery = "WhenNotMended"
	// TellAlways tells of every confirmed failure at once, and when it is over.
	TellAlways TellRecovery = "Always"
)

// LeaveFailed says who may end the phase Failed.
// +kubebuilder:validation:Enum=ByOperator;WhenHealthy
type LeaveFailed string

// The values of RecoverySpec.LeaveFailed.
const (
	// LeaveFailedByOperator waits for a reset.
	LeaveFailedByOperator LeaveFailed = "ByOperator"
	// LeaveFailedWhenHealthy also leaves when the site has been well for provenAfter, unless an operator stood it down.
	LeaveFailedWhenHealthy LeaveFailed = "WhenHealthy"
)

// RecoverySpec bounds what evenkeel may do, and how often.
type RecoverySpec struct {
	// Cooldown is the least time between the starts of two automatic recoveries. Default 5m. It doubles, up to 1h, for each
	// recovery of an incident that held only for a while.
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	Cooldown metav1.Duration `json:"cooldown,omitzero"`
	// MaxAttempts is how many recoveries of an incident may fail before evenkeel stops and waits. Default 3.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	// +kubebuilder:default=3
	MaxAttempts int32 `json:"maxAttempts,omitempty"`
	// Deadline is the time in which a start must prove itself. Default 30s.
	// +kubebuilder:default="30s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	Deadline metav1.Duration `json:"deadline,omitzero"`
	// StartupGrace is how long a new process may take to its first good answer, counted from its own start. Where its start
	// builds (a prestart, say), that is part of it. Default 60s.
	// +kubebuilder:default="60s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	StartupGrace metav1.Duration `json:"startupGrace,omitzero"`
	// StopTimeout is how long a graceful stop may take before the process is killed. Default 5s.
	// +kubebuilder:default="5s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	StopTimeout metav1.Duration `json:"stopTimeout,omitzero"`
	// ProvenAfter is how long the application must answer before attempts are forgotten. Default 30m.
	// +kubebuilder:default="30m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	ProvenAfter metav1.Duration `json:"provenAfter,omitzero"`
	// RespectStop is how long an operator's own stop of the process is left alone. Default 15m.
	// +kubebuilder:default="15m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	RespectStop metav1.Duration `json:"respectStop,omitzero"`
	// Tell says whether alerts tell of a failure that the first recovery of an incident mends: WhenNotMended tells of it only
	// where the recovery does not help, or when it fails again within the incident; Always tells of it at once, and when it is
	// over. What is held for, and what evenkeel does not act on, is told at once in any case. Default WhenNotMended.
	// +kubebuilder:default=WhenNotMended
	Tell TellRecovery `json:"tell,omitempty"`
	// LeaveFailed says who may end the phase Failed. Default ByOperator.
	// +kubebuilder:default=ByOperator
	LeaveFailed LeaveFailed `json:"leaveFailed,omitempty"`
	// Caches are the folders that a clean recovery empties, relative to directory and below it. Default .next/cache and
	// node_modules/.cache; an empty list means none, and stays one when written again.
	// +listType=atomic
	// +kubebuilder:validation:items:Pattern=`^[^/]`
	// +kubebuilder:default={.next/cache,node_modules/.cache}
	Caches []string `json:"caches,omitzero"`
}

// HeartbeatSpec is where to say that evenkeel lives, as healthchecks.io and others take it.
type HeartbeatSpec struct {
	// URL is asked with GET. Any answer from 200 to 299 is a good one; no redirect is followed. It is a secret.
	// +kubebuilder:validation:Pattern=`^https?://[^/]`
	URL string `json:"url" evenkeel:"secret"`
	// Interval is the least time between two heartbeats. Each follows a finished pass, so that they are no closer than
	// spec.interval. From 10s to 24h. Default 1m.
	// +kubebuilder:default="1m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	Interval metav1.Duration `json:"interval,omitzero"`
	// Timeout of one heartbeat. Default 10s.
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	Timeout metav1.Duration `json:"timeout,omitzero"`
}

// AlertSpec is one way of telling somebody; exactly one of exec, webhook and shoutrrr is set.
//
// +kubebuilder:validation:ExactlyOneOf=exec;webhook;shoutrrr
type AlertSpec struct {
	// Exec is a program with its arguments; it gets the alert as JSON on standard input and in EVENKEEL_ variables.
	// +listType=atomic
	Exec []string `json:"exec,omitempty" evenkeel:"secret"`
	// Webhook is an http or https address that gets the alert as JSON by POST.
	// +kubebuilder:validation:Pattern=`^https?://[^/]`
	Webhook string `json:"webhook,omitempty" evenkeel:"secret"`
	// Shoutrrr is the address of a chat program, a push service or a mailbox, as shoutrrr writes them:
	// telegram://TOKEN@telegram?chats=@ops, discord://TOKEN@ID, ntfy://ntfy.sh/TOPIC,
	// smtp://USER:PASSWORD@HOST:587/?from=me@example.com&to=you@example.com.
	// +kubebuilder:validation:Pattern=`^[a-z]+(\+[a-z]+)?://.`
	Shoutrrr string `json:"shoutrrr,omitempty" evenkeel:"secret"`
	// Timeout of one delivery. Default 10s.
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	Timeout metav1.Duration `json:"timeout,omitzero"`
}
