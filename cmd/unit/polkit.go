package unit

import (
	"fmt"
	"strconv"
	"strings"
)

// PolkitFile is where polkit looks for a rule of the machine's own.
const PolkitFile = "/etc/polkit-1/rules.d/50-evenkeel.rules"

// PolkitRule is a rule by which polkit lets an ordinary user start and stop these units of the system's, and do nothing else.
func PolkitRule(user string, units []string) string {
	names := make([]string, len(units))
	for n, u := range units {
		names[n] = strconv.Quote(u)
	}
	return fmt.Sprintf(`// evenkeel, which runs as %s, may start and stop the applications that it keeps online.
polkit.addRule(function(action, subject) {
    if (action.id == "org.freedesktop.systemd1.manage-units" && subject.user == %s &&
        ["stop", "restart", "reset-failed"].indexOf(action.lookup("verb")) >= 0 &&
        [%s].indexOf(action.lookup("unit")) >= 0) {
        return polkit.Result.YES;
    }
});
`, user, strconv.Quote(user), strings.Join(names, ", "))
}
