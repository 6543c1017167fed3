package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/cmd/unit"
)

// checkRights looks whether evenkeel may start and stop a unit of the system's.
func (in *installer) checkRights(p *installation, systemd *v1alpha1.SystemdRuntime) {
	if systemd.User || p.owner.UID == 0 {
		return
	}
	p.ruled = append(p.ruled, systemd.Unit)
	// Its contents are for root and polkit alone; an ordinary user is told once more.
	if text, err := os.ReadFile(in.polkit); err == nil && strings.Contains(string(text), strconv.Quote(systemd.Unit)) && strings.Contains(string(text), strconv.Quote(p.owner.Name)) {
		return
	}
	p.warnings = append(p.warnings, fmt.Sprintf("%s may see %s, but not start and stop it, unless polkit allows it: put the rule that \"evenkeel install --print\" shows into %s",
		p.owner.Name, systemd.Unit, unit.PolkitFile))
}

// startup is the command that makes PM2's own unit.
func (p *installation) startup(home string) string {
	program := p.tools.pm2
	if program == "" {
		program = "pm2"
	}
	env := "PATH=$PATH:" + shellWord(filepath.Dir(p.tools.node))
	if home != filepath.Join(p.owner.Home, ".pm2") {
		env += " PM2_HOME=" + shellWord(home)
	}
	return fmt.Sprintf("sudo env %s %s startup systemd -u %s --hp %s", env, shellWord(program), shellWord(p.owner.Name), shellWord(p.owner.Home))
}
