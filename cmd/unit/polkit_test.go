package unit

import (
	"strings"
	"testing"
)

func TestThePolkitRuleAllowsNothingElse(t *testing.T) {
	rule := PolkitRule("deploy", []string{"web.service", `a\x2db@c.service`})
	for _, want := range []string{
		`action.id == "org.freedesktop.systemd1.manage-units"`, `subject.user == "deploy"`, `["stop", "restart", "reset-failed"].indexOf(action.lookup("verb"))`,
		`["web.service", "a\\x2db@c.service"].indexOf(action.lookup("unit"))`,
	} {
		if !strings.Contains(rule, want) {
			t.Errorf("want %s in:\n%s", want, rule)
		}
	}
}
