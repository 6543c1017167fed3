package v1alpha1

import (
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Defaults that are also needed where no App is at hand.
const (
	DefaultPort               = 3003
	DefaultInterval           = 60 * time.Second
	DefaultConfirmIntervalMax = 5 * time.Second
	DefaultConfirmIntervalMin = 50 * time.Millisecond
	DefaultFailureThreshold   = 3
	DefaultTimeout            = 10 * time.Second
	DefaultHeartbeat          = time.Minute
	DefaultMaxAttempts        = 3
	DefaultCertificateWarning = 14 * 24 * time.Hour
)

// NewApp returns an App with every default, and without what has none: name, directory and runtime.
//
// To decode a document over it, set Spec.ConfirmInterval to zero first and call CompleteDefaults afterwards: that default
// follows from the interval which the document gives.
func NewApp() *App {
	app := &App{TypeMeta: metav1.TypeMeta{APIVersion: GroupVersion, Kind: KindApp}}
	SetDefaults(app)
	return app
}

// SetDefaults gives a value to everything in app's spec that has none and has a default. A zero that was given cannot be
// told from one that was not here; so documents are decoded over NewApp, and zeros are left for Validate to refuse.
func SetDefaults(app *App) {
	spec := &app.Spec
	orDefault(&spec.Mode, ModeActive)
	orDefault(&spec.Port, DefaultPort)
	orDuration(&spec.Interval, DefaultInterval)
	CompleteDefaults(app)
	orDefault(&spec.FailureThreshold, DefaultFailureThreshold)
	setCheckDefaults(&spec.Checks)
	orDuration(&spec.Deploy.LockLimit, 30*time.Minute)
	setRecoveryDefaults(&spec.Recovery)
	for i := range spec.Alerts {
		spec.Alerts[i].SetDefaults()
	}
	if spec.Heartbeat != nil {
		spec.Heartbeat.SetDefaults()
	}
}

// CompleteDefaults sets the defaults that follow from other fields, where those are known. It sets no others, so that
// a zero that a document gave is still there for Validate.
func CompleteDefaults(app *App) {
	interval := app.Spec.Interval.Duration
	orDuration(&app.Spec.ConfirmInterval, min(max(interval/10, DefaultConfirmIntervalMin), DefaultConfirmIntervalMax))
}

// SetDefaults gives a database check that is asked for its defaults.
func (d *DatabaseCheck) SetDefaults() {
	orDuration(&d.Timeout, DefaultTimeout)
	orDefault(&d.EnvFile, ".env")
	if d.Require == nil {
		d.Require = []string{"DATABASE_URL"}
	}
	orDefault(&d.Connect, DatabaseConnectOnSuspicion)
}

// SetDefaults gives a heartbeat that is asked for its defaults.
func (h *HeartbeatSpec) SetDefaults() {
	orDuration(&h.Interval, DefaultHeartbeat)
	orDuration(&h.Timeout, DefaultTimeout)
}

// SetDefaults gives an alert its defaults.
func (a *AlertSpec) SetDefaults() {
	orDuration(&a.Timeout, DefaultTimeout)
}

// EffectiveInterval is the time between two times of asking: the check's own, else the spec's.
func (c CheckSettings) EffectiveInterval(spec *AppSpec) time.Duration {
	if c.Interval.Duration > 0 {
		return c.Interval.Duration
	}
	return spec.Interval.Duration
}

// EffectiveConfirmInterval is the time after which the check is asked again once it has failed: the spec's, but never
// longer than the check's own interval.
func (c CheckSettings) EffectiveConfirmInterval(spec *AppSpec) time.Duration {
	return min(spec.ConfirmInterval.Duration, c.EffectiveInterval(spec))
}

func setCheckDefaults(checks *ChecksSpec) {
	for _, settings := range []*CheckSettings{
		&checks.Process, &checks.Port, &checks.Local.CheckSettings, &checks.Public.CheckSettings,
		&checks.Memory.CheckSettings, &checks.Workers, &checks.Disk.CheckSettings,
	} {
		orDuration(&settings.Timeout, DefaultTimeout)
	}
	orDefault(&checks.Local.Path, "/")
	if checks.Public.ExpectStatus == nil {
		checks.Public.ExpectStatus = []int32{200}
	}
	orDuration(&checks.Public.CertificateWarning, DefaultCertificateWarning)
	if checks.Memory.MinAvailable == nil {
		checks.Memory.MinAvailable = resource.NewQuantity(100<<20, resource.BinarySI)
	}
	orDuration(&checks.Memory.For, 3*time.Minute)
	orDuration(&checks.Memory.BaselineAfter, 10*time.Minute)
	orDefault(&checks.Memory.Restart, MemoryRestartWhenAppGrew)
	if checks.Database != nil {
		checks.Database.SetDefaults()
	}
}

func setRecoveryDefaults(recovery *RecoverySpec) {
	orDuration(&recovery.Cooldown, 5*time.Minute)
	orDefault(&recovery.MaxAttempts, DefaultMaxAttempts)
	orDuration(&recovery.Deadline, 30*time.Second)
	orDuration(&recovery.StartupGrace, 60*time.Second)
	orDuration(&recovery.StopTimeout, 5*time.Second)
	orDuration(&recovery.ProvenAfter, 30*time.Minute)
	orDuration(&recovery.RespectStop, 15*time.Minute)
	orDefault(&recovery.Tell, TellWhenNotMended)
	orDefault(&recovery.LeaveFailed, LeaveFailedByOperator)
	if recovery.Caches == nil {
		recovery.Caches = []string{".next/cache", "node_modules/.cache"}
	}
}

func orDefault[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}

func orDuration(value *metav1.Duration, otherwise time.Duration) {
	orDefault(&value.Duration, otherwise)
}
