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

	"k8s.io/apimachinery/pkg/util/validation/field"
)

func validateChecks(checks *ChecksSpec, at *field.Path) (errs field.ErrorList) {
	errs = append(errs, validateCheckSettings(&checks.Process, at.Child("process"))...)
	errs = append(errs, validateCheckSettings(&checks.Port, at.Child("port"))...)
	errs = append(errs, validateLocal(&checks.Local, at.Child("local"))...)
	errs = append(errs, validatePublic(&checks.Public, at.Child("public"))...)
	errs = append(errs, validateMemory(&checks.Memory, at.Child("memory"))...)
	errs = append(errs, validateDisk(&checks.Disk, at.Child("disk"))...)
	if checks.Database != nil {
		errs = append(errs, validateDatabase(checks.Database, at.Child("database"))...)
	}
	errs = append(errs, validateCheckSettings(&checks.Workers, at.Child("workers"))...)
	if checks.Process.Disabled && checks.Port.Disabled && checks.Local.Disabled {
		errs = append(errs, field.Invalid(at, "process, port and local disabled",
			"want at least one of them enabled: without it nothing tells whether the application lives"))
	}
	return errs
}

func validateCheckSettings(settings *CheckSettings, at *field.Path) (errs field.ErrorList) {
	if settings.Interval.Duration != 0 {
		errs = append(errs, between(settings.Interval, minInterval, day, at.Child("interval"))...)
	}
	return append(errs, between(settings.Timeout, minTimeout, maxTimeout, at.Child("timeout"))...)
}

func validateLocal(local *LocalCheck, at *field.Path) field.ErrorList {
	errs := validateCheckSettings(&local.CheckSettings, at)
	if _, err := url.ParseRequestURI(local.Path); err != nil || !strings.HasPrefix(local.Path, "/") ||
		strings.ContainsRune(local.Path, '#') || strings.ContainsFunc(local.Path, isSpace) {
		errs = append(errs, field.Invalid(at.Child("path"), local.Path, "want a path that begins with \"/\", such as /api/health"))
	}
	errs = append(errs, validateExpectations(&local.Expectations, at)...)
	return append(errs, validateStatuses(local.ExpectStatus, at.Child("expectStatus"))...)
}

func validatePublic(public *PublicCheck, at *field.Path) field.ErrorList {
	errs := validateCheckSettings(&public.CheckSettings, at)
	if public.URL != "" {
		errs = append(errs, validateURL(public.URL, "https://www.example.com/", at.Child("url"))...)
	}
	if len(public.ExpectStatus) == 0 {
		errs = append(errs, field.Required(at.Child("expectStatus"), "want at least one status, such as [200]"))
	}
	errs = append(errs, validateExpectations(&public.Expectations, at)...)
	errs = append(errs, between(public.CertificateWarning, time.Hour, 90*day, at.Child("certificateWarning"))...)
	return append(errs, validateStatuses(public.ExpectStatus, at.Child("expectStatus"))...)
}

// The bounds of what an answer is searched for.
const (
	maxExpectBody    = 1024
	maxExpectHeaders = 16
)

// headerName is a token of HTTP.
var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

func validateExpectations(e *Expectations, at *field.Path) (errs field.ErrorList) {
	if len(e.ExpectBody) > maxExpectBody {
		errs = append(errs, field.Invalid(at.Child("expectBody"), len(e.ExpectBody), "want at most 1024 bytes of text"))
	}
	if len(e.ExpectHeader) > maxExpectHeaders {
		errs = append(errs, field.Invalid(at.Child("expectHeader"), len(e.ExpectHeader), "want at most 16 headers"))
	}
	for _, name := range slices.Sorted(maps.Keys(e.ExpectHeader)) {
		if !headerName.MatchString(name) {
			errs = append(errs, field.Invalid(at.Child("expectHeader").Key(name), name, "want the name of a header, such as X-Powered-By"))
		}
	}
	return errs
}

func validateStatuses(statuses []int32, at *field.Path) (errs field.ErrorList) {
	if len(statuses) > 32 {
		errs = append(errs, field.Invalid(at, len(statuses), "want at most 32 statuses"))
	}
	for i, status := range statuses {
		errs = append(errs, within(int64(status), 100, 599, "an HTTP status", at.Index(i))...)
	}
	return errs
}

func validateMemory(memory *MemoryCheck, at *field.Path) field.ErrorList {
	errs := validateCheckSettings(&memory.CheckSettings, at)
	if memory.MinAvailable == nil {
		errs = append(errs, field.Required(at.Child("minAvailable"), "want an amount of memory, such as 100Mi"))
	} else if memory.MinAvailable.Cmp(minMinAvailable) < 0 {
		errs = append(errs, field.Invalid(at.Child("minAvailable"), memory.MinAvailable.String(),
			"want an amount of memory of at least 1Mi, such as 100Mi"))
	}
	errs = append(errs, between(memory.For, minTimeout, day, at.Child("for"))...)
	errs = append(errs, between(memory.BaselineAfter, minTimeout, day, at.Child("baselineAfter"))...)
	return append(errs, oneOf(memory.Restart, at.Child("restart"), MemoryRestartWhenAppGrew, MemoryRestartAlways)...)
}

func validateDisk(disk *DiskCheck, at *field.Path) field.ErrorList {
	errs := validateCheckSettings(&disk.CheckSettings, at)
	if disk.MinFree != nil && disk.MinFree.Cmp(minMinAvailable) < 0 {
		errs = append(errs, field.Invalid(at.Child("minFree"), disk.MinFree.String(), "want an amount of space of at least 1Mi, such as 256Mi"))
	}
	if disk.MinFreeInodes != nil {
		errs = append(errs, within(*disk.MinFreeInodes, 1, 1_000_000_000, "a number of files", at.Child("minFreeInodes"))...)
	}
	return errs
}

func validateDatabase(database *DatabaseCheck, at *field.Path) field.ErrorList {
	errs := validateCheckSettings(&database.CheckSettings, at)
	if !isInside(database.EnvFile) {
		errs = append(errs, field.Invalid(at.Child("envFile"), database.EnvFile,
			"want a file inside directory, relative to it, such as .env"))
	}
	if len(database.Require) == 0 {
		errs = append(errs, field.Required(at.Child("require"), "want at least one variable, such as [DATABASE_URL]"))
	}
	for i, name := range database.Require {
		if !envVarName.MatchString(name) {
			errs = append(errs, field.Invalid(at.Child("require").Index(i), name,
				"want the name of a variable: letters, digits and '_', not beginning with a digit, such as DATABASE_URL"))
		}
	}
	return append(errs, oneOf(database.Connect, at.Child("connect"),
		DatabaseConnectOnSuspicion, DatabaseConnectAlways, DatabaseConnectNever)...)
}

func validateDeploy(deploy *DeploySpec, at *field.Path) field.ErrorList {
	errs := between(deploy.LockLimit, minTimeout, day, at.Child("lockLimit"))
	if n := len([]rune(deploy.LockFile)); n > maxPath {
		return append(errs, field.Invalid(at.Child("lockFile"), n, fmt.Sprintf("want a path of at most %d characters", maxPath)))
	}
	if file := deploy.LockFile; file != "" && !isInside(file) && (!filepath.IsAbs(file) || filepath.Clean(file) != file) {
		errs = append(errs, field.Invalid(at.Child("lockFile"), file,
			"want a file inside directory, relative to it, such as .deploy.lock, or an absolute path"))
	}
	return errs
}
