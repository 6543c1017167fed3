package checks

import (
	"path/filepath"
	"slices"
	"strings"
)

// What a program is at, by its name and its arguments alone.

// mayDeploy is a cheap first sieve by the kernel's short name.
func mayDeploy(comm string) bool {
	for _, prefix := range []string{"git", "npm", "pnpm", "yarn", "bun", "next-build", "node", "MainThread", "turbo", "rsync", "tar", "bsdtar", "unzip", "scp"} {
		if strings.HasPrefix(comm, prefix) {
			return true
		}
	}
	return false
}

var (
	gitWork     = []string{"checkout", "switch", "pull", "merge", "rebase", "reset", "restore", "stash", "clean", "clone", "cherry-pick", "revert", "submodule"}
	installWork = []string{"ci", "i", "install", "add", "update", "upgrade", "rebuild", "prune", "dedupe", "remove", "uninstall", "clean-install"}
)

// DeployWork names the work that a program is at, if its name and arguments are those of a deploy; else it is empty.
func DeployWork(comm string, args []string) string {
	if strings.HasPrefix(comm, "next-build") {
		return "next build"
	}
	words := commandWords(args)
	if len(words) == 0 {
		return ""
	}
	program, rest := words[0], words[1:]
	if watches(program, args) {
		return ""
	}
	switch program {
	case "git":
		return workOf("git", rest, gitWork)
	case "npm", "pnpm", "yarn", "bun":
		if len(rest) == 0 {
			if program == "yarn" { // plain `yarn` installs
				return "yarn install"
			}
			return ""
		}
		verb := rest[0]
		if (verb == "run" || verb == "run-script") && len(rest) > 1 {
			verb = rest[1]
		}
		if verb == "build" || strings.HasPrefix(verb, "build:") {
			return program + " run " + verb
		}
		return workOf(program, rest, installWork)
	case "next", "nuxt", "nuxi", "astro", "remix", "react-router", "vite", "turbo":
		if len(rest) > 1 && rest[0] == "run" { // turbo run build
			rest = rest[1:]
		}
		return workOf(program, rest, []string{"build"})
	case "prisma":
		return workOf(program, rest, []string{"generate", "migrate", "db"})
	}
	return unpackWork(program, args)
}

// watches tells of a build that goes on for as long as somebody works on the source: it is no deploy, and never ends. A folder
// may be called so, too; and to npm and its like -w is a workspace.
func watches(program string, args []string) bool {
	if len(args) == 1 {
		args = strings.Fields(args[0])
	}
	packages := slices.Contains([]string{"npm", "pnpm", "yarn", "bun", "git"}, program)
	return slices.ContainsFunc(args, func(a string) bool {
		return a == "-w" && !packages || strings.Contains(a, "watch") && (strings.HasPrefix(a, "-") || !strings.Contains(a, "/"))
	})
}

// unpacks tells of a work, as [DeployWork] names it, that it only brings files from an archive or another machine.
func unpacks(work string) bool {
	return slices.Contains([]string{"rsync", "tar", "unzip", "scp"}, work)
}

// unpackWork names what brings files here: not what reads them, for a backup say.
func unpackWork(program string, args []string) string {
	args = args[min(1, len(args)):]
	has := func(list ...string) bool {
		return slices.ContainsFunc(args, func(a string) bool { return slices.Contains(list, a) })
	}
	switch program {
	case "rsync":
		if !has("--sender", "--dry-run", "-n", "--list-only") && !remote(rsyncTo(args)) {
			return "rsync"
		}
	case "tar", "bsdtar":
		if has("--extract", "--get") || len(args) > 0 && tarExtracts(args[0]) {
			return "tar"
		}
	case "unzip":
		if !has("-l", "-t", "-v", "-Z", "-p") {
			return "unzip"
		}
	case "scp":
		if has("-t") { // the receiving end
			return "scp"
		}
	}
	return ""
}

// rsyncValues are the options of rsync whose value may be an argument of its own.
var rsyncValues = strings.Fields(`-e -f -T -M -B --rsh --filter --exclude --include --exclude-from --include-from --files-from
	--rsync-path --remote-option --temp-dir --backup-dir --suffix --partial-dir --compare-dest --copy-dest --link-dest --bwlimit
	--timeout --contimeout --port --sockopts --address --chmod --chown --usermap --groupmap --log-file --log-file-format
	--out-format --password-file --max-size --min-size --max-delete --block-size --modify-window --info --debug --skip-compress
	--compress-level --compress-choice --checksum-choice --protocol --iconv --outbuf --stop-after --stop-at`)

// rsyncTo is where an rsync with these arguments writes to, as it was told. It is empty where that is not told for certain: of
// the receiving end, whose folder is always here, and where there is but one operand.
func rsyncTo(args []string) string {
	to, operands := "", 0
	value, only := false, false // the next is an option's value; all that follows are operands
	for _, a := range args {
		switch {
		case value:
			value = false
		case a == "--server" && !only:
			return ""
		case a == "--" && !only:
			only = true
		case only || !strings.HasPrefix(a, "-"):
			operands++
			to = a
		case strings.HasPrefix(a, "--"):
			value = slices.Contains(rsyncValues, a)
		default: // -aze ssh: the value may stand behind the letter, too
			at := strings.IndexAny(a[1:], "efTMB@")
			value = at >= 0 && at+2 == len(a)
		}
	}
	if operands < 2 {
		return ""
	}
	return to
}

// remote tells an operand of rsync that is on another machine: host:path, host::module, rsync://host/module. A colon behind a
// slash belongs to a name.
func remote(operand string) bool {
	before, _, colon := strings.Cut(operand, ":")
	return colon && before != "" && !strings.Contains(before, "/")
}

// writesElsewhere tells of an rsync that writes to a folder of this machine that is neither the application's nor above it. Where
// an end of it works may already be where it writes: what is not found from there is not taken to be elsewhere.
func writesElsewhere(work string, args []string, cwd, dir string) bool {
	if work != "rsync" {
		return false
	}
	to := rsyncTo(args[min(1, len(args)):])
	if to == "" || !filepath.IsAbs(to) && cwd == "" {
		return false
	}
	if !filepath.IsAbs(to) {
		to = filepath.Join(cwd, to)
	}
	to = filepath.Clean(to)
	target, err := filepath.EvalSymlinks(to)
	return err == nil && !within(to, dir) && !within(target, dir) && !within(dir, to) && !within(dir, target)
}

// tarExtracts reads tar's first argument, xzf or -xzf.
func tarExtracts(arg string) bool {
	letters, short := strings.CutPrefix(arg, "-")
	return !strings.HasPrefix(letters, "-") && strings.Contains(letters, "x") && (short || !strings.ContainsAny(letters, "./"))
}

func workOf(program string, rest, verbs []string) string {
	if len(rest) > 0 && slices.Contains(verbs, rest[0]) {
		return program + " " + rest[0]
	}
	return ""
}

// commandWords gives the program's plain name and its arguments without options: `node /usr/bin/npm ci --omit=dev`,
// `npm ci` (npm writes that over its own command line) and `git -C /x pull` all read alike.
func commandWords(args []string) []string {
	if len(args) == 1 && strings.Contains(args[0], " ") { // a program that has renamed itself
		args = strings.Fields(args[0])
	}
	var words []string
	skip := false
	for n, a := range args {
		switch {
		case skip:
			skip = false
			continue
		case strings.HasPrefix(a, "-"):
			skip = a == "-C" || a == "-c" || a == "--prefix" ||
				len(words) == 0 && (a == "-r" || a == "--require" || a == "--import") // node's own, before its script
			continue
		}
		if len(words) == 0 {
			a = plainName(a)
			if n == 0 && (a == "node" || a == "sh" || a == "bash") {
				continue
			}
		}
		words = append(words, a)
	}
	return words
}

// plainName is the program that a path stands for: /usr/lib/node_modules/npm/bin/npm-cli.js is npm.
func plainName(path string) string {
	base := filepath.Base(path)
	for _, suffix := range []string{".js", ".cjs", ".mjs"} {
		base = strings.TrimSuffix(base, suffix)
	}
	return strings.TrimSuffix(base, "-cli")
}
