// Package checks asks the world: what does the process manager say, who listens, does the application answer, does the
// site, is there memory, is the database configured, are the processes alive, is a deploy at work, is there a build. It
// answers with facts and True, False or Unknown, and has no opinion on what to do. What could not be asked is Unknown,
// never a failure.
package checks

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/database"
	"github.com/evenkeel/evenkeel/reconcilers/dotenv"
)

// factsOnly are looked at for what they tell of other failures; health needs none of them.
var factsOnly = []string{v1alpha1.CheckDeploy, v1alpha1.CheckBuild, v1alpha1.CheckHost, v1alpha1.CheckEnvironment}

// IsFact tells whether a check is only looked at for what it tells of other failures: health does not need it, and it has
// no settings.
func IsFact(name string) bool { return slices.Contains(factsOnly, name) }

// Enabled lists the checks of an App that are asked.
func Enabled(app *v1alpha1.App) []string {
	c := &app.Spec.Checks
	list := slices.Clone(factsOnly)
	add := func(name string, s v1alpha1.CheckSettings) {
		if !s.Disabled {
			list = append(list, name)
		}
	}
	add(v1alpha1.CheckProcess, c.Process)
	add(v1alpha1.CheckPort, c.Port)
	add(v1alpha1.CheckLocal, c.Local.CheckSettings)
	add(v1alpha1.CheckMemory, c.Memory.CheckSettings)
	add(v1alpha1.CheckWorkers, c.Workers)
	add(v1alpha1.CheckDisk, c.Disk.CheckSettings)
	if c.Public.URL != "" {
		add(v1alpha1.CheckPublic, c.Public.CheckSettings)
	}
	if c.Database != nil {
		add(v1alpha1.CheckDatabase, c.Database.CheckSettings)
	}
	return list
}

// WithFound gives the App with those checks added that what is found in its folder calls for, unless the spec speaks of them:
// the address of a database in an environment file calls for the database, and so does an environment file where Prisma is
// installed.
func WithFound(app *v1alpha1.App) *v1alpha1.App {
	if app.Spec.Checks.Database != nil {
		return app
	}
	names, files := databaseVariables(app.Spec.Directory)
	switch {
	case slices.Contains(names, "DATABASE_URL"):
		names = []string{"DATABASE_URL"}
	case len(names) > 0:
		names = names[:1]
	case files && fileExists(filepath.Join(app.Spec.Directory, "node_modules", "@prisma", "client", "package.json")):
		names = []string{"DATABASE_URL"}
	default:
		return app
	}
	app = app.DeepCopy()
	app.Spec.Checks.Database = &v1alpha1.DatabaseCheck{Require: names}
	v1alpha1.SetDefaults(app)
	return app
}

// databaseVariables are the names, sorted, whose values in the environment files are addresses of databases; files tells
// whether there are any such files.
func databaseVariables(directory string) (names []string, files bool) {
	set, err := dotenv.Load(directory)
	for name, filled := range set.Vars {
		if !filled || strings.HasPrefix(name, "NEXT_PUBLIC_") {
			continue
		}
		if value, _, ok, err := dotenv.Lookup(directory, name); err == nil && ok && database.Known(value.Reveal()) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, len(set.Files) > 0 || err != nil
}

// Settings gives the settings of a check.
func Settings(app *v1alpha1.App, name string) v1alpha1.CheckSettings {
	c := &app.Spec.Checks
	switch name {
	case v1alpha1.CheckProcess:
		return c.Process
	case v1alpha1.CheckPort:
		return c.Port
	case v1alpha1.CheckLocal:
		return c.Local.CheckSettings
	case v1alpha1.CheckPublic:
		return c.Public.CheckSettings
	case v1alpha1.CheckMemory:
		return c.Memory.CheckSettings
	case v1alpha1.CheckWorkers:
		return c.Workers
	case v1alpha1.CheckDisk:
		return c.Disk.CheckSettings
	case v1alpha1.CheckDatabase:
		if c.Database != nil {
			return c.Database.CheckSettings
		}
	}
	no := false
	return v1alpha1.CheckSettings{Required: &no} // the others are facts, not conditions of health
}

// Interval is the time between two askings of a check.
func Interval(app *v1alpha1.App, name string) time.Duration {
	if d := Settings(app, name).Interval.Duration; d > 0 {
		return d
	}
	return app.Spec.Interval.Duration
}

// timeout bounds one asking.
func timeout(app *v1alpha1.App, name string) time.Duration {
	if d := Settings(app, name).Timeout.Duration; d > 0 {
		return d
	}
	return 10 * time.Second
}

// leading is the check that must be True for the application to be well: local; where it is disabled, port; else process.
func leading(app *v1alpha1.App) string {
	c := &app.Spec.Checks
	switch {
	case !c.Local.Disabled:
		return v1alpha1.CheckLocal
	case !c.Port.Disabled:
		return v1alpha1.CheckPort
	}
	return v1alpha1.CheckProcess
}
