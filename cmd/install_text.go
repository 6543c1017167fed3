package cmd

import (
	"fmt"
	"strings"

	"github.com/evenkeel/evenkeel/cmd/unit"
)

// saidText is what is said beside an installation.
func (p *installation) saidText(s style) string {
	var b strings.Builder
	for _, part := range []struct {
		title string
		paint func(string) string
		lines []string
	}{{"warning", s.warn, p.warnings}, {"note", s.dim, p.notes}} {
		for _, line := range part.lines {
			b.WriteString("  " + part.paint(part.title+":") + " " + plain(line) + "\n")
		}
	}
	return b.String()
}

// printText is what would be written and run.
func (p *installation) printText() string {
	var b strings.Builder
	if p.kind != pm2Process {
		fmt.Fprintf(&b, "# %s\n%s\n", p.path, p.text)
		for _, u := range p.swap.units() {
			if u.text != "" {
				fmt.Fprintf(&b, "# %s\n%s\n", u.path, u.text)
			}
		}
		b.WriteString("# then:\n")
	}
	if p.swap.goes() {
		for _, c := range append(p.swap.goingCommands(), []string{"rm", p.swap.service.path, p.swap.socket.path}) {
			b.WriteString("# " + strings.Join(quoted(c), " ") + "\n")
		}
	}
	for _, c := range p.commands() {
		b.WriteString("# " + strings.Join(quoted(c), " ") + "\n")
	}
	if len(p.ruled) > 0 {
		fmt.Fprintf(&b, "\n# %s, which is yours to write and to remove:\n%s", unit.PolkitFile, unit.PolkitRule(p.owner.Name, p.ruled))
	}
	return b.String()
}

// doneText is what is said after an installation; changed says that anything had to be done.
func (p *installation) doneText(changed bool, s style) string {
	var b strings.Builder
	where := p.path
	if p.kind == pm2Process {
		where = "PM2's process " + pm2Name
	}
	did := "installed"
	if !changed {
		did = "already installed, and nothing about it is to be changed:"
	}
	fmt.Fprintf(&b, "%s %s; it runs as %s and supervises %s\n", did, s.bold(plain(where)), p.owner.Name, plain(strings.Join(p.files, ", ")))
	if p.tools.pm2 != "" {
		fmt.Fprintf(&b, "  %s %s, with %s\n", s.dim("pm2:"), plain(p.tools.pm2), plain(p.tools.node))
	}
	if p.lingers {
		fmt.Fprintf(&b, "  %s %s's own service manager goes on without a login now (loginctl enable-linger)\n", s.dim("note:"), p.owner.Name)
	}
	b.WriteString(p.saidText(s))
	b.WriteString(table("  ", [][]cell{
		{{"evenkeel status", nil}, {"how is everything?", s.dim}},
		{{journalOf(p.kind), nil}, {"what monitor.log says too", s.dim}},
	}))
	return b.String()
}

// settingsOf is where an operator's own settings of a unit lie.
func settingsOf(path string) string { return path + ".d" }

// uninstalledText is what is said after evenkeel was taken away.
func uninstalledText(k kind, removed []string, data string, purged bool, left []string, s style) string {
	var b strings.Builder
	what := strings.Join(removed, ", ")
	if k == pm2Process {
		what = "PM2's process " + pm2Name
	}
	fmt.Fprintf(&b, "removed %s; the applications run on, and nobody watches over them now\n", s.bold(plain(what)))
	switch {
	case data == "":
	case purged:
		fmt.Fprintf(&b, "  removed %s too\n", plain(data))
	default:
		fmt.Fprintf(&b, "  %s %s is left, with attempts, cooldowns and logs; --purge removes it\n", s.dim("note:"), plain(data))
	}
	for _, l := range left {
		fmt.Fprintf(&b, "  %s %s is left\n", s.dim("note:"), plain(l))
	}
	return b.String()
}

// nothingInstalled says that there is nothing to take away.
func nothingInstalled(k kind, path string) error {
	if k == pm2Process {
		return fmt.Errorf("PM2 keeps no process %s", pm2Name)
	}
	return fmt.Errorf("there is no %s (%s); see \"evenkeel uninstall --help\" for other ways in which it may be installed", unit.Name, path)
}
