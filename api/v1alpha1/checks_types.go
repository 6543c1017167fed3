package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CheckSettings are what every check has.
type CheckSettings struct {
	// Disabled leaves the check out.
	Disabled bool `json:"disabled,omitempty"`
	// Required says that health needs this check. Default true.
	Required *bool `json:"required,omitempty"`
	// Interval between two times of asking. Default: spec.interval.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	Interval metav1.Duration `json:"interval,omitzero"`
	// Timeout of one time of asking, from 10ms to 10m; it may be longer than the interval. Default 10s.
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	Timeout metav1.Duration `json:"timeout,omitzero"`
}

// IsRequired tells whether health needs the check.
func (c CheckSettings) IsRequired() bool { return c.Required == nil || *c.Required }

// ChecksSpec holds the settings of each check.
type ChecksSpec struct {
	// Process asks the runtime whether the application's process runs.
	Process CheckSettings `json:"process,omitzero"`
	// Port asks the kernel who listens on spec.port.
	Port CheckSettings `json:"port,omitzero"`
	// Local asks the application itself, on this machine.
	Local LocalCheck `json:"local,omitzero"`
	// Public asks for the site as the world does.
	Public PublicCheck `json:"public,omitzero"`
	// Memory reads how much memory is available.
	Memory MemoryCheck `json:"memory,omitzero"`
	// Disk looks at the free space where the application, its logs and evenkeel's own state lie.
	Disk DiskCheck `json:"disk,omitzero"`
	// Database looks for the database's configuration, and asks the database. Without it there is such a check where an
	// environment file holds the address of a database, or where there is such a file and Prisma is installed.
	Database *DatabaseCheck `json:"database,omitempty"`
	// Workers looks at the application's own processes.
	Workers CheckSettings `json:"workers,omitzero"`
}

// LocalCheck asks the application on the address on which it listens. Any answer below 500 is alive; no redirect is followed.
type LocalCheck struct {
	CheckSettings `json:",inline"`
	// Path that is asked for. Default "/".
	// +kubebuilder:validation:Pattern=`^/`
	// +kubebuilder:default="/"
	Path string `json:"path,omitempty"`
	// ExpectStatus narrows what counts as alive.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:Minimum=100
	// +kubebuilder:validation:items:Maximum=599
	ExpectStatus []int32 `json:"expectStatus,omitempty"`
	// Expectations narrow it further.
	Expectations `json:",inline"`
}

// Expectations are what an answer must hold beside its status.
type Expectations struct {
	// ExpectBody is a text that must stand in the first 64 KiB of the answer, byte for byte.
	// +kubebuilder:validation:MaxLength=1024
	ExpectBody string `json:"expectBody,omitempty"`
	// ExpectHeader names headers of the answer, and for each a text that must stand in it; an empty text asks only that the
	// header is there.
	// +kubebuilder:validation:MaxProperties=16
	ExpectHeader map[string]string `json:"expectHeader,omitempty"`
}

// PublicCheck asks for the site through its proxy. Redirects are followed.
type PublicCheck struct {
	CheckSettings `json:",inline"`
	// URL is the site's public address. Without it there is no public check.
	// +kubebuilder:validation:Pattern=`^$|^https?://[^/]`
	URL string `json:"url,omitempty" evenkeel:"address"`
	// ExpectStatus is what the last answer must be. Default [200].
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:Minimum=100
	// +kubebuilder:validation:items:Maximum=599
	// +kubebuilder:default={200}
	ExpectStatus []int32 `json:"expectStatus,omitempty"`
	// Expectations are what the last answer must hold beside its status.
	Expectations `json:",inline"`
	// CertificateWarning is how long before its certificate expires you are warned, from 1h to 2160h; it is never warned while
	// more than a third of its whole time is left. Default 336h, which is two weeks. A warning is no failure.
	// +kubebuilder:default="336h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	CertificateWarning metav1.Duration `json:"certificateWarning,omitzero"`
}

// MemoryRestart says when low memory restarts the application.
// +kubebuilder:validation:Enum=WhenAppGrew;Always
type MemoryRestart string

// The values of MemoryCheck.Restart.
const (
	// MemoryRestartWhenAppGrew restarts only an application that has itself grown by what is missing, while everything else on the
	// machine has grown by no more.
	MemoryRestartWhenAppGrew MemoryRestart = "WhenAppGrew"
	// MemoryRestartAlways restarts whoever is to blame, as the old scripts did.
	MemoryRestartAlways MemoryRestart = "Always"
)

// MemoryCheck reads the machine's available memory.
type MemoryCheck struct {
	CheckSettings `json:",inline"`
	// MinAvailable is the headroom that must be there, at least 1Mi. Default 100Mi. Low memory is over at 1.5 times as much.
	// +kubebuilder:default="100Mi"
	MinAvailable *resource.Quantity `json:"minAvailable,omitempty"`
	// For is how long memory must be low before anything is done. Default 3m.
	// +kubebuilder:default="3m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	For metav1.Duration `json:"for,omitzero"`
	// BaselineAfter is the age at which the application's memory is taken as its normal size. Default 10m.
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	BaselineAfter metav1.Duration `json:"baselineAfter,omitzero"`
	// Restart says when low memory restarts the application. Default WhenAppGrew.
	// +kubebuilder:default=WhenAppGrew
	Restart MemoryRestart `json:"restart,omitempty"`
}

// DiskCheck looks at the free space where the application, its logs and evenkeel's own state lie. It tells early, and it
// never restarts an application that answers, unless the application's own cache has filled the disk to the end.
type DiskCheck struct {
	CheckSettings `json:",inline"`
	// MinFree is the space that must be free, at least 1Mi. Default: 256Mi, or a twentieth of a file system below 5Gi.
	MinFree *resource.Quantity `json:"minFree,omitempty"`
	// MinFreeInodes is how many files it must still be possible to make. Default: 1000, or a twentieth of those of a file
	// system that takes fewer than 20000.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000000
	MinFreeInodes *int64 `json:"minFreeInodes,omitempty"`
}

// DatabaseConnect says when the database itself is asked.
// +kubebuilder:validation:Enum=OnSuspicion;Always;Never
type DatabaseConnect string

// The values of DatabaseCheck.Connect.
const (
	// DatabaseConnectOnSuspicion asks it when local or public fails, when the application's log names it, and until it serves again.
	DatabaseConnectOnSuspicion DatabaseConnect = "OnSuspicion"
	// DatabaseConnectAlways asks it in every look.
	DatabaseConnectAlways DatabaseConnect = "Always"
	// DatabaseConnectNever never asks it.
	DatabaseConnectNever DatabaseConnect = "Never"
)

// DatabaseCheck looks for the database's configuration, and asks the database.
type DatabaseCheck struct {
	CheckSettings `json:",inline"`
	// EnvFile holds the configuration, relative to directory. Default ".env". The variants that Next.js reads before it
	// (.env.production.local, .env.local, .env.production) are looked at too.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:default=.env
	EnvFile string `json:"envFile,omitempty"`
	// Require names the variables that must be there and not empty. Default [DATABASE_URL].
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:items:Pattern=`^[A-Za-z_][A-Za-z0-9_]*$`
	// +kubebuilder:default={DATABASE_URL}
	Require []string `json:"require,omitempty"`
	// Connect says when the database itself is asked, at the address in the first variable of require that holds one: a login, a
	// trivial question and a goodbye, over one connection, within timeout. OnSuspicion asks when local or public fails, when the
	// application's log names the database, and until it serves again; Always in every look; Never not at all. PostgreSQL,
	// MySQL, MariaDB and MongoDB are asked, and SQLite's file is looked at. Default OnSuspicion.
	// +kubebuilder:default=OnSuspicion
	Connect DatabaseConnect `json:"connect,omitempty"`
}
