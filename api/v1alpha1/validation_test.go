package v1alpha1_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func validApp() *v1alpha1.App {
	app := v1alpha1.NewApp()
	app.Name = "my-site"
	app.Spec.Directory = "/home/deploy/my-site"
	app.Spec.Runtime.PM2 = &v1alpha1.PM2Runtime{Process: "my site"}
	return app
}

func execRuntime(env map[string]string, command ...string) v1alpha1.RuntimeSpec {
	return v1alpha1.RuntimeSpec{Exec: &v1alpha1.ExecRuntime{Command: command, Env: env}}
}

func systemdRuntime(unit string) v1alpha1.RuntimeSpec {
	return v1alpha1.RuntimeSpec{Systemd: &v1alpha1.SystemdRuntime{Unit: unit}}
}

func lasting(d time.Duration) metav1.Duration { return metav1.Duration{Duration: d} }

func TestTheMinimalAppIsValid(t *testing.T) {
	if errs := v1alpha1.Validate(validApp()); len(errs) > 0 {
		t.Error(errs)
	}
}

func TestValidateTakesWhatIsRight(t *testing.T) {
	until := metav1.Now()
	for name, set := range map[string]func(*v1alpha1.App){
		"a timeout longer than the interval": func(a *v1alpha1.App) {
			a.Spec.Interval, a.Spec.ConfirmInterval = lasting(time.Second), lasting(100*time.Millisecond)
			a.Spec.Checks.Local.Timeout = lasting(time.Minute)
		},
		"a pause with an end": func(a *v1alpha1.App) { a.Spec.Paused, a.Spec.PausedUntil = true, &until },
		"pm2 by its path": func(a *v1alpha1.App) {
			a.Spec.Runtime.PM2.Command = []string{"/usr/bin/node", "/opt/pm2/bin/pm2"}
			a.Spec.Runtime.PM2.Home = "/home/deploy/.pm2"
			a.Spec.Runtime.PM2.Start = "deploy/ecosystem.config.js"
		},
		"a program by its name": func(a *v1alpha1.App) {
			a.Spec.Runtime = execRuntime(map[string]string{"NODE_ENV": "production", "_x1": ""}, "npm", "start")
		},
		"a service":                     func(a *v1alpha1.App) { a.Spec.Runtime = systemdRuntime("my-site.service") },
		"an instance of a template":     func(a *v1alpha1.App) { a.Spec.Runtime = systemdRuntime(`site@a\x2db.service`) },
		"a name that begins like ours":  func(a *v1alpha1.App) { a.Spec.Runtime = systemdRuntime("evenkeel-demo.service") },
		"a program by its path":         func(a *v1alpha1.App) { a.Spec.Runtime = execRuntime(nil, "/usr/bin/node", "server.js") },
		"a program below the directory": func(a *v1alpha1.App) { a.Spec.Runtime = execRuntime(nil, "node_modules/.bin/next", "start") },
		"a program in the directory":    func(a *v1alpha1.App) { a.Spec.Runtime = execRuntime(nil, "./server") },
		"no caches":                     func(a *v1alpha1.App) { a.Spec.Recovery.Caches = []string{} },
		"a name of dots":                func(a *v1alpha1.App) { a.Spec.Recovery.Caches = []string{"...", ".next/..cache"} },
		"alerts": func(a *v1alpha1.App) {
			a.Spec.Alerts = []v1alpha1.AlertSpec{{Exec: []string{"mail", "-s", "down", "me"}}, {Webhook: "http://[::1]:8080"}}
			v1alpha1.SetDefaults(a)
		},
		"a port and a path in the URL": func(a *v1alpha1.App) { a.Spec.Checks.Public.URL = "https://x.example:8443/a?b=c" },
		"what an answer must hold": func(a *v1alpha1.App) {
			a.Spec.Checks.Public.Expectations = v1alpha1.Expectations{ExpectBody: "<title>Yachts", ExpectHeader: map[string]string{"X-Powered-By": "Next.js", "etag": ""}}
			a.Spec.Checks.Local.ExpectBody, a.Spec.Checks.Public.CertificateWarning = "Yachts", lasting(time.Hour)
		},
		"a path with a query": func(a *v1alpha1.App) { a.Spec.Checks.Local.Path = "/health?full=1" },
	} {
		t.Run(name, func(t *testing.T) {
			app := validApp()
			set(app)
			if errs := v1alpha1.Validate(app); len(errs) > 0 {
				t.Error(errs)
			}
		})
	}
}

func TestValidateNamesTheFieldAndWhatWouldBeRight(t *testing.T) {
	until := metav1.Now()
	quantity := func(s string) *resource.Quantity { q := resource.MustParse(s); return &q }
	for name, test := range map[string]struct {
		set  func(*v1alpha1.App)
		want string
	}{
		"no name":                   {func(a *v1alpha1.App) { a.Name = "" }, "metadata.name: Required value: want a name"},
		"a capital in the name":     {func(a *v1alpha1.App) { a.Name = "Site" }, `metadata.name: Invalid value: "Site": want a name of at most 63 small`},
		"a dot in the name":         {func(a *v1alpha1.App) { a.Name = "a.b" }, "metadata.name: Invalid value"},
		"no directory":              {func(a *v1alpha1.App) { a.Spec.Directory = "" }, "spec.directory: Required value: want the absolute path"},
		"a relative directory":      {func(a *v1alpha1.App) { a.Spec.Directory = "site" }, "spec.directory: Invalid value: \"site\": want the absolute path"},
		"the whole machine":         {func(a *v1alpha1.App) { a.Spec.Directory = "//" }, "never the whole machine"},
		"the whole machine, hidden": {func(a *v1alpha1.App) { a.Spec.Directory = "/home/.." }, "never the whole machine"},
		"an unclean directory":      {func(a *v1alpha1.App) { a.Spec.Directory = "/a/../b/" }, "want the shortest form of the path: /b"},
		"no runtime":                {func(a *v1alpha1.App) { a.Spec.Runtime.PM2 = nil }, "spec.runtime: Required value"},
		"two runtimes":              {func(a *v1alpha1.App) { a.Spec.Runtime.Exec = execRuntime(nil, "node").Exec }, "spec.runtime: Invalid value: \"pm2 and exec\": want one of them"},
		"two others":                {func(a *v1alpha1.App) { a.Spec.Runtime.Systemd = systemdRuntime("a.service").Systemd }, "spec.runtime: Invalid value: \"pm2 and systemd\": want one of them"},
		"no unit":                   {func(a *v1alpha1.App) { a.Spec.Runtime = systemdRuntime("") }, "spec.runtime.systemd.unit: Required value: want the application's unit"},
		"a unit without its kind":   {func(a *v1alpha1.App) { a.Spec.Runtime = systemdRuntime("my-site") }, "spec.runtime.systemd.unit: Invalid value: \"my-site\": want the whole name of a service, which ends in .service"},
		"a unit of another kind":    {func(a *v1alpha1.App) { a.Spec.Runtime = systemdRuntime("my-site.socket") }, "which ends in .service"},
		"a template itself":         {func(a *v1alpha1.App) { a.Spec.Runtime = systemdRuntime("site@.service") }, "want an instance of the template, such as site@blue.service"},
		"evenkeel's own unit":       {func(a *v1alpha1.App) { a.Spec.Runtime = systemdRuntime("evenkeel.service") }, "not evenkeel's own"},
		"an instance of its own":    {func(a *v1alpha1.App) { a.Spec.Runtime = systemdRuntime("evenkeel@x.service") }, "not evenkeel's own"},
		"a unit by its file":        {func(a *v1alpha1.App) { a.Spec.Runtime = systemdRuntime("/etc/systemd/system/a.service") }, "without a folder"},
		"a unit with a blank":       {func(a *v1alpha1.App) { a.Spec.Runtime = systemdRuntime("my site.service") }, "want the name of a unit as systemctl shows it"},
		"nothing but the kind":      {func(a *v1alpha1.App) { a.Spec.Runtime = systemdRuntime(".service") }, "want the name of a unit as systemctl shows it"},
		"a unit that is too long":   {func(a *v1alpha1.App) { a.Spec.Runtime = systemdRuntime(strings.Repeat("a", 250) + ".service") }, "want at most 255 characters"},
		"no command":                {func(a *v1alpha1.App) { a.Spec.Runtime = execRuntime(nil) }, "spec.runtime.exec.command: Required value: want the program with its arguments"},
		"a command of one line":     {func(a *v1alpha1.App) { a.Spec.Runtime = execRuntime(nil, "npm start") }, "spec.runtime.exec.command[0]: Invalid value: \"npm start\": want each argument as an entry of its own: [npm, start]"},
		"a program outside":         {func(a *v1alpha1.App) { a.Spec.Runtime = execRuntime(nil, "../node") }, "spec.runtime.exec.command[0]: Invalid value"},
		"a NUL in an argument":      {func(a *v1alpha1.App) { a.Spec.Runtime = execRuntime(nil, "./node", "\x00") }, "spec.runtime.exec.command[1]: Invalid value"},
		"a variable with a dot":     {func(a *v1alpha1.App) { a.Spec.Runtime = execRuntime(map[string]string{"a.b": ""}, "node") }, "want the name of a variable"},
		"a variable of evenkeel's":  {func(a *v1alpha1.App) { a.Spec.Runtime = execRuntime(map[string]string{"EVENKEEL_APP": "x"}, "node") }, "spec.runtime.exec.env.EVENKEEL_APP: Invalid value"},
		"no process":                {func(a *v1alpha1.App) { a.Spec.Runtime.PM2.Process = "" }, "spec.runtime.pm2.process: Required value"},
		"every process":             {func(a *v1alpha1.App) { a.Spec.Runtime.PM2.Process = "all" }, "spec.runtime.pm2.process: Invalid value"},
		"an id":                     {func(a *v1alpha1.App) { a.Spec.Runtime.PM2.Process = "0" }, "spec.runtime.pm2.process: Invalid value"},
		"an option":                 {func(a *v1alpha1.App) { a.Spec.Runtime.PM2.Process = "--kill" }, "spec.runtime.pm2.process: Invalid value"},
		"a pattern":                 {func(a *v1alpha1.App) { a.Spec.Runtime.PM2.Process = "/.*/" }, "spec.runtime.pm2.process: Invalid value"},
		"a start outside":           {func(a *v1alpha1.App) { a.Spec.Runtime.PM2.Start = "../x.js" }, "spec.runtime.pm2.start: Invalid value"},
		"a relative home":           {func(a *v1alpha1.App) { a.Spec.Runtime.PM2.Home = "~/.pm2" }, "spec.runtime.pm2.home: Invalid value"},
		"a relative command":        {func(a *v1alpha1.App) { a.Spec.Runtime.PM2.Command = []string{"bin/pm2"} }, "spec.runtime.pm2.command[0]: Invalid value"},
		"a command in one word":     {func(a *v1alpha1.App) { a.Spec.Runtime.PM2.Command = []string{"npx pm2"} }, "want each argument as an entry of its own: [npx, pm2]"},
		"port 0":                    {func(a *v1alpha1.App) { a.Spec.Port = 0 }, "spec.port: Invalid value: 0: want a port from 1 to 65535"},
		"port 65536":                {func(a *v1alpha1.App) { a.Spec.Port = 65536 }, "spec.port: Invalid value: 65536"},
		"too short an interval":     {func(a *v1alpha1.App) { a.Spec.Interval = lasting(time.Millisecond) }, "spec.interval: Invalid value: \"1ms\": want a duration from 100ms to 24h"},
		"too long an interval":      {func(a *v1alpha1.App) { a.Spec.Interval = lasting(25 * time.Hour) }, "spec.interval: Invalid value: \"25h0m0s\": want"},
		"confirming too rarely":     {func(a *v1alpha1.App) { a.Spec.ConfirmInterval = lasting(2 * time.Minute) }, "spec.confirmInterval: Invalid value: \"2m0s\": want a duration from 50ms to 1m"},
		"a check's interval":        {func(a *v1alpha1.App) { a.Spec.Checks.Workers.Interval = lasting(-1) }, "spec.checks.workers.interval: Invalid value"},
		"a check's timeout":         {func(a *v1alpha1.App) { a.Spec.Checks.Local.Timeout = lasting(0) }, "spec.checks.local.timeout: Invalid value: \"0s\": want a duration from 10ms to 10m"},
		"threshold 0":               {func(a *v1alpha1.App) { a.Spec.FailureThreshold = 0 }, "spec.failureThreshold: Invalid value: 0: want a number from 1 to 10"},
		"a path without a slash":    {func(a *v1alpha1.App) { a.Spec.Checks.Local.Path = "health" }, "spec.checks.local.path: Invalid value"},
		"status 99":                 {func(a *v1alpha1.App) { a.Spec.Checks.Local.ExpectStatus = []int32{200, 99} }, "spec.checks.local.expectStatus[1]: Invalid value: 99: want an HTTP status from 100 to 599"},
		"a URL without scheme":      {func(a *v1alpha1.App) { a.Spec.Checks.Public.URL = "x.example" }, "spec.checks.public.url: Invalid value"},
		"a URL without host":        {func(a *v1alpha1.App) { a.Spec.Checks.Public.URL = "https:///x" }, "spec.checks.public.url: Invalid value"},
		"a URL of files":            {func(a *v1alpha1.App) { a.Spec.Checks.Public.URL = "file:///x" }, "spec.checks.public.url: Invalid value"},
		"a book in the answer":      {func(a *v1alpha1.App) { a.Spec.Checks.Public.ExpectBody = strings.Repeat("a", 1025) }, "spec.checks.public.expectBody: Invalid value: 1025: want at most 1024"},
		"a header with a blank":     {func(a *v1alpha1.App) { a.Spec.Checks.Local.ExpectHeader = map[string]string{"X Y": ""} }, "spec.checks.local.expectHeader[X Y]: Invalid value"},
		"no certificate warning":    {func(a *v1alpha1.App) { a.Spec.Checks.Public.CertificateWarning = lasting(0) }, "spec.checks.public.certificateWarning: Invalid value: \"0s\": want a duration from 1h to 2160h"},
		"no memory":                 {func(a *v1alpha1.App) { a.Spec.Checks.Memory.MinAvailable = quantity("0") }, "spec.checks.memory.minAvailable: Invalid value: \"0\""},
		"a thousandth of a byte":    {func(a *v1alpha1.App) { a.Spec.Checks.Memory.MinAvailable = quantity("100m") }, "spec.checks.memory.minAvailable: Invalid value: \"100m\": want an amount"},
		"no room":                   {func(a *v1alpha1.App) { a.Spec.Checks.Disk.MinFree = quantity("1") }, "spec.checks.disk.minFree: Invalid value: \"1\": want an amount of space"},
		"fewer files than none":     {func(a *v1alpha1.App) { a.Spec.Checks.Disk.MinFreeInodes = new(int64(-1)) }, "spec.checks.disk.minFreeInodes: Invalid value: -1: want a number of files"},
		"a lock file above":         {func(a *v1alpha1.App) { a.Spec.Deploy.LockFile = "../lock" }, "spec.deploy.lockFile: Invalid value: \"../lock\": want a file inside directory"},
		"a lock for a moment":       {func(a *v1alpha1.App) { a.Spec.Deploy.LockLimit.Duration = 1 }, "spec.deploy.lockLimit: Invalid value"},
		"another restart":           {func(a *v1alpha1.App) { a.Spec.Checks.Memory.Restart = "always" }, "spec.checks.memory.restart: Invalid value: \"always\": want WhenAppGrew or Always"},
		"a variable with a dash": {func(a *v1alpha1.App) {
			a.Spec.Checks.Database = &v1alpha1.DatabaseCheck{Require: []string{"DATABASE-URL"}}
			v1alpha1.SetDefaults(a)
		}, "spec.checks.database.require[0]: Invalid value"},
		"an env file outside": {func(a *v1alpha1.App) {
			a.Spec.Checks.Database = &v1alpha1.DatabaseCheck{EnvFile: "/etc/env"}
			v1alpha1.SetDefaults(a)
		}, "spec.checks.database.envFile: Invalid value"},
		"nothing that tells of life": {func(a *v1alpha1.App) {
			c := &a.Spec.Checks
			c.Process.Disabled, c.Port.Disabled, c.Local.Disabled = true, true, true
		}, "spec.checks: Invalid value"},
		"attempts 0":                {func(a *v1alpha1.App) { a.Spec.Recovery.MaxAttempts = 0 }, "spec.recovery.maxAttempts: Invalid value: 0: want a number from 1 to 20"},
		"no deadline":               {func(a *v1alpha1.App) { a.Spec.Recovery.Deadline = lasting(0) }, "spec.recovery.deadline: Invalid value: \"0s\": want a duration from 100ms to 1h"},
		"another leaveFailed":       {func(a *v1alpha1.App) { a.Spec.Recovery.LeaveFailed = "Never" }, "want ByOperator or WhenHealthy"},
		"a cache that leads out":    {func(a *v1alpha1.App) { a.Spec.Recovery.Caches = []string{"a/../../b"} }, "spec.recovery.caches[0]: Invalid value"},
		"a cache that is the app":   {func(a *v1alpha1.App) { a.Spec.Recovery.Caches = []string{"."} }, "spec.recovery.caches[0]: Invalid value"},
		"an absolute cache":         {func(a *v1alpha1.App) { a.Spec.Recovery.Caches = []string{"/tmp"} }, "spec.recovery.caches[0]: Invalid value"},
		"a cache that is not clean": {func(a *v1alpha1.App) { a.Spec.Recovery.Caches = []string{"./.cache/"} }, "such as .cache"},
		"an alert to nobody":        {func(a *v1alpha1.App) { a.Spec.Alerts = []v1alpha1.AlertSpec{{Timeout: lasting(time.Second)}} }, "spec.alerts[0]: Required value"},
		"an alert to two": {func(a *v1alpha1.App) {
			a.Spec.Alerts = []v1alpha1.AlertSpec{{Exec: []string{"x"}, Webhook: "http://x/"}}
			v1alpha1.SetDefaults(a)
		}, "spec.alerts[0]: Invalid value"},
		"an end without a pause":  {func(a *v1alpha1.App) { a.Spec.PausedUntil = &until }, "spec.pausedUntil: Invalid value"},
		"a reason that is a book": {func(a *v1alpha1.App) { a.Spec.PauseReason = strings.Repeat("ü", 513) }, "want at most 512 characters, not 513"},
	} {
		t.Run(name, func(t *testing.T) {
			app := validApp()
			test.set(app)
			errs := v1alpha1.Validate(app)
			if len(errs) != 1 || !strings.Contains(errs[0].Error(), test.want) || !strings.HasPrefix(errs[0].Detail, "want ") {
				t.Errorf("got %v, want %s", errs, test.want)
			}
		})
	}
}

func TestSetDefaultsKeepsWhatIsGiven(t *testing.T) {
	app := validApp()
	app.Spec.Interval, app.Spec.ConfirmInterval = lasting(2*time.Second), lasting(0)
	app.Spec.Recovery.Caches = []string{}
	app.Spec.Checks.Public.ExpectStatus = []int32{204}
	v1alpha1.SetDefaults(app)
	spec := &app.Spec
	if spec.ConfirmInterval.Duration != 200*time.Millisecond || len(spec.Recovery.Caches) != 0 || spec.Checks.Public.ExpectStatus[0] != 204 {
		t.Errorf("got %+v", app.Spec)
	}
	check := v1alpha1.CheckSettings{}
	if check.EffectiveInterval(spec) != 2*time.Second || check.EffectiveConfirmInterval(spec) != 200*time.Millisecond {
		t.Error("a check without an interval does not take the spec's")
	}
	check.Interval = lasting(100 * time.Millisecond)
	if check.EffectiveInterval(spec) != 100*time.Millisecond || check.EffectiveConfirmInterval(spec) != 100*time.Millisecond {
		t.Error("a check's own interval does not count")
	}
}

func TestAnEmptyListOfCachesStaysEmptyWhenWrittenAndReadAgain(t *testing.T) {
	app := validApp()
	app.Spec.Recovery.Caches = []string{}
	data, err := json.Marshal(app.DeepCopy())
	if err != nil {
		t.Fatal(err)
	}
	read := v1alpha1.NewApp()
	if err := json.Unmarshal(data, read); err != nil || len(read.Spec.Recovery.Caches) != 0 {
		t.Errorf("got %v, %v from %s", read.Spec.Recovery.Caches, err, data)
	}
}

// The defaults that an API server would set from the CRD are those that SetDefaults sets.
func TestTheCRDHasTheSameDefaults(t *testing.T) {
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema map[string]any `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(v1alpha1.CRD, &crd); err != nil {
		t.Fatal(err)
	}
	app := validApp()
	app.Spec.Checks.Database = &v1alpha1.DatabaseCheck{}
	app.Spec.Alerts = []v1alpha1.AlertSpec{{Exec: []string{"x"}}}
	given := map[string]any{"directory": app.Spec.Directory, "runtime": map[string]any{"pm2": map[string]any{"process": "my site"}},
		"alerts": []any{map[string]any{"exec": []any{"x"}}}, "checks": map[string]any{"database": map[string]any{},
			"local": map[string]any{}, "port": map[string]any{}, "process": map[string]any{}, "public": map[string]any{},
			"memory": map[string]any{}, "workers": map[string]any{}, "disk": map[string]any{}}, "deploy": map[string]any{}}
	v1alpha1.SetDefaults(app)
	properties := crd.Spec.Versions[0].Schema.OpenAPIV3Schema["properties"].(map[string]any)
	defaulted, _ := json.Marshal(withDefaults(properties["spec"].(map[string]any), given))
	var server v1alpha1.App
	if err := json.Unmarshal(defaulted, &server.Spec); err != nil {
		t.Fatal(err)
	}
	v1alpha1.CompleteDefaults(&server)
	got, _ := json.Marshal(server.Spec)
	want, _ := json.Marshal(app.Spec)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the server would have\n%s\nevenkeel has\n%s", got, want)
	}
}

func withDefaults(schema map[string]any, value any) any {
	switch value := value.(type) {
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		for name, property := range properties {
			property := property.(map[string]any)
			if _, ok := value[name]; !ok {
				if otherwise, ok := property["default"]; ok {
					value[name] = otherwise
				}
			}
			if inner, ok := value[name]; ok {
				value[name] = withDefaults(property, inner)
			}
		}
	case []any:
		for i := range value {
			if items, ok := schema["items"].(map[string]any); ok {
				value[i] = withDefaults(items, value[i])
			}
		}
	}
	return value
}
