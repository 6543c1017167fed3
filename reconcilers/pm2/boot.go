//go:build linux

package pm2

import "path/filepath"

// Boot is what brings PM2 back when the machine boots.
type Boot struct {
	// Unit is the service that `pm2 startup` has made for a home; empty where there is none. Enabled says that it is started
	// at boot.
	Unit    string
	Enabled bool
	// Saved says that the process is among what `pm2 save` has kept, so that it comes back with PM2.
	Saved bool
}

// AtBoot looks at what brings the PM2 of a home back when the machine boots, with one process in it. It asks nobody: units and
// PM2's saved list are read.
func AtBoot(home, process string) Boot { return machine.atBoot(home, process) }

func (s *system) atBoot(home, process string) Boot {
	b := Boot{Unit: s.unitOf(home)}
	for _, dir := range s.units {
		for _, pattern := range []string{"*.wants", "*.requires"} {
			links, _ := filepath.Glob(filepath.Join(dir, pattern, b.Unit)) // the pattern is right
			b.Enabled = b.Enabled || b.Unit != "" && len(links) > 0
		}
	}
	if saved, err := readDump(home); err == nil {
		b.Saved = len(saved.of(process)) > 0
	}
	return b
}
