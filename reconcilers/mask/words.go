package mask

import (
	"regexp"
	"slices"
	"strings"
)

// secretWords are those that, in the name of a variable, a parameter or a field, say that its value is a secret.
var secretWords = regexp.MustCompile(`(?i)pass|pwd|secret|token|api_?-?key|private|credential|auth_|_auth|signature|salt|dsn|bearer|cookie|session|(^|[_-])(key|sig|jwt|pin)($|[_-])|_key$`)

// secretName tells whether a name says that its value is a secret.
func secretName(name string) bool { return secretWords.MatchString(name) }

// harmlessNames are variables of the system and of process managers that say where things are, and are no secret.
var harmlessNames = []string{
	"PATH", "HOME", "PWD", "OLDPWD", "SHELL", "LANG", "LANGUAGE", "TERM", "USER", "LOGNAME", "HOSTNAME", "NODE_ENV", "NODE_PATH",
	"TZ", "TMPDIR", "SHLVL", "_", "EDITOR", "PAGER", "MAIL", "DISPLAY", "XDG_RUNTIME_DIR", "XDG_SESSION_ID", "XDG_SESSION_TYPE",
	"XDG_SESSION_CLASS", "DBUS_SESSION_BUS_ADDRESS", "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "MEMORY_PRESSURE_WATCH",
	"PM2_HOME", "PM2_USAGE", "PM2_PROGRAMMATIC", "PM2_JSON_PROCESSING", "PM2_INTERACTOR_PROCESSING", "NODE_APP_INSTANCE",
	"exec_mode", "exec_interpreter", "name", "namespace", "status", "version", "node_version", "unique_id", "username", "PORT", "HOST",
	"EVENKEEL_APP", "EVENKEEL_BIRTH", "STATE_DIRECTORY", "npm_config_user_agent", "npm_lifecycle_event", "npm_package_name",
	"npm_package_version", "npm_command",
}

func harmlessName(name string) bool {
	return slices.Contains(harmlessNames, name) || strings.HasPrefix(name, "LC_") || strings.HasPrefix(name, "pm_")
}

// common are words that say nothing, and without which no evidence could be read.
var common = []string{
	"production", "development", "staging", "testing", "preview", "localhost", "127.0.0.1", "0.0.0.0", "default", "enabled",
	"disabled", "postgres", "postgresql", "public", "nodejs", "nextjs", "debug", "verbose", "warning", "module", "commonjs",
	"always", "never", "strict", "server", "client", "online", "stopped", "errored", "launching", "undefined", "UTF-8", "C.UTF-8",
	"en_US.UTF-8", "mongodb", "sqlite", "github", "google", "credentials",
}

// trivial tells whether a value says nothing whatever its name.
func trivial(value string) bool {
	switch strings.ToLower(value) {
	case "true", "false", "null", "none", "undefined", "yes", "no", "on", "off":
		return true
	}
	return false
}

var (
	numeric = regexp.MustCompile(`^[0-9]{1,9}([.:][0-9]+)*$`)
	// systemPath is a path that begins as those of a machine do. A secret may begin with a slash too.
	systemPath = regexp.MustCompile(`^/(bin|dev|etc|home|lib|lib64|media|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var)(/[\w.@+-]*)*(:/[\w.@+/-]*)*$`)
	// plainURL has neither user nor parameters.
	plainURL = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://[\w.-]+(:[0-9]+)?(/[\w./-]{0,40})?$`)
	relative = regexp.MustCompile(`^\.{0,2}/?[\w.-]{1,24}(/[\w.-]{1,24})*\.(js|cjs|mjs|ts|json|db|sqlite|env|log|sock)$`)
)

// harmless tells whether a value of a variable that has no telling name is no secret.
func harmless(value string) bool {
	if trivial(value) || slices.ContainsFunc(common, func(w string) bool { return strings.EqualFold(w, value) }) {
		return true
	}
	return numeric.MatchString(value) || systemPath.MatchString(value) || plainURL.MatchString(value) || relative.MatchString(value)
}
