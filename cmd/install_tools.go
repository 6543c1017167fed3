package cmd

import (
	"bufio"
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// tools are the operator's programs.
type tools struct {
	// pm2 and node are their paths; empty where they were not found.
	pm2, node string
	// path is what the service's PATH is to be: theirs first, then the machine's.
	path []string
}

// machinePath is where everybody's programs are.
var machinePath = []string{"/usr/local/bin", "/usr/bin", "/bin"}

// findTools finds the operator's pm2 and node: where the living PM2 has them, where people put them, on our own PATH.
func (in *installer) findTools(ctx context.Context, p *installation) {
	var dirs []string
	wantsPM2 := p.kind == pm2Process
	named := ""
	for _, app := range p.apps {
		if spec := app.Spec.Runtime.PM2; spec != nil {
			wantsPM2 = true
			dirs = append(dirs, in.places(ctx, p.owner, app)...)
			if len(spec.Command) > 0 && filepath.IsAbs(spec.Command[0]) {
				named = cmp.Or(named, spec.Command[0])
			}
		}
	}
	dirs = append(dirs, usualPlaces(p.owner.Home)...)
	dirs = append(append(dirs, filepath.SplitList(in.getenv("PATH"))...), machinePath...)
	if p.tools.node = firstWith(dirs, "node"); p.tools.node != "" {
		p.tools.path = append(p.tools.path, filepath.Dir(p.tools.node))
	}
	if wantsPM2 {
		if p.tools.pm2 = cmp.Or(named, firstWith(dirs, "pm2")); p.tools.pm2 != "" {
			p.tools.path = slices.Insert(p.tools.path, 0, filepath.Dir(p.tools.pm2))
		}
	}
	p.tools.path = append(p.tools.path, machinePath...)
	var unique []string
	for _, dir := range p.tools.path {
		if !slices.Contains(unique, dir) {
			unique = append(unique, dir)
		}
	}
	p.tools.path = unique
	switch {
	case wantsPM2 && p.tools.pm2 == "" && p.kind == pm2Process:
		p.against = append(p.against, "there is no pm2 in "+strings.Join(dirs, ":"))
	case wantsPM2 && (p.tools.pm2 == "" || p.tools.node == ""):
		p.warnings = append(p.warnings, "pm2 or node was not found: evenkeel could not bring PM2 back if it dies; set spec.runtime.pm2.command to [NODE, PM2]")
	}
}

// firstWith is the first folder's program of a name that can be run.
func firstWith(dirs []string, name string) string {
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) {
			continue
		}
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			return file
		}
	}
	return ""
}

// usualPlaces are the folders in a home where nvm, volta and the like put programs.
func usualPlaces(home string) []string {
	in := func(parts ...string) string { return filepath.Join(append([]string{home}, parts...)...) }
	dirs := nvmPlaces(in(".nvm"))
	dirs = append(dirs, in(".volta", "bin"))
	if prefix := npmPrefix(in(".npmrc"), home); prefix != "" {
		dirs = append(dirs, filepath.Join(prefix, "bin"))
	}
	return append(dirs, in(".npm-global", "bin"), in(".local", "share", "fnm", "aliases", "default", "bin"), in("n", "bin"),
		in(".asdf", "shims"), in(".local", "share", "mise", "shims"), in(".local", "bin"), in("bin"))
}

// nvmPlaces are nvm's versions of Node: its default one first, then the newest.
func nvmPlaces(nvm string) []string {
	found, _ := filepath.Glob(filepath.Join(nvm, "versions", "node", "v*", "bin")) // the pattern is right
	version := func(dir string) []int {
		var list []int
		for part := range strings.SplitSeq(strings.TrimPrefix(filepath.Base(filepath.Dir(dir)), "v"), ".") {
			n, _ := strconv.Atoi(part) // what is no number sorts first
			list = append(list, n)
		}
		return list
	}
	slices.SortFunc(found, func(a, b string) int { return slices.Compare(version(b), version(a)) })
	alias, _ := os.ReadFile(filepath.Join(nvm, "alias", "default")) // without one the newest counts
	want := "v" + strings.TrimPrefix(strings.TrimSpace(string(alias)), "v")
	if want == "v" {
		return found
	}
	for i, dir := range found {
		if name := filepath.Base(filepath.Dir(dir)); name == want || strings.HasPrefix(name, want+".") {
			return slices.Insert(slices.Delete(slices.Clone(found), i, i+1), 0, dir)
		}
	}
	return found
}

// npmPrefix is what an .npmrc says of where npm puts programs.
func npmPrefix(file, home string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), "=")
		if !ok || strings.TrimSpace(name) != "prefix" {
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		for _, word := range []string{"${HOME}", "$HOME", "~"} {
			if rest, is := strings.CutPrefix(value, word); is {
				value = home + rest
			}
		}
		if filepath.IsAbs(value) {
			return filepath.Clean(value)
		}
	}
	return ""
}
