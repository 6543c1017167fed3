package recovery

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// People work in these: editors, their servers on this machine, terminals that outlive a connection, and connections.
// Whatever is begun in a terminal that was begun by the application, or by another row of its process manager, bears the
// mark of that in its environment; it is somebody's work all the same.
var (
	editors = []string{
		"vi", "vim", "nvim", "view", "vimdiff", "nano", "pico", "emacs", "emacsclient", "micro", "joe", "hx", "helix", "kak", "mcedit", "mc", "ed",
		"tmux", "screen", "zellij", "dtach", "abduco", "byobu", "mosh-server", "sshd", "sshd-session", "dropbear", "login",
		"code-server", "code-tunnel", "openvscode-server", "ttyd", "wetty",
	}
	editorFolders = []string{
		"/.vscode-server", "/.vscode-remote", "/.cursor-server", "/.windsurf-server", "/.zed_server", "/code-server/", "/openvscode-server",
	}
)

// isEditor tells whether a program is one that people work in, by its short name and its arguments.
func isEditor(comm string, args []string) bool {
	names := []string{comm}
	if len(args) > 0 {
		names = append(names, args[0])
	}
	for _, name := range names {
		if words := strings.Fields(name); len(words) > 0 { // some write over their own name: "tmux: server", "sshd: deploy@pts/0"
			name = strings.ToLower(strings.TrimSuffix(filepath.Base(words[0]), ":"))
		}
		if slices.Contains(editors, strings.TrimLeft(name, "-")) {
			return true
		}
	}
	// An editor's server is a plain Node program: its own file tells.
	return slices.ContainsFunc(args[:min(len(args), 2)], func(a string) bool {
		return slices.ContainsFunc(editorFolders, func(f string) bool { return strings.Contains(a, f) })
	})
}

// inEditor tells whether a process is an editor or a terminal, or runs in one. Where the process manager itself runs in
// one, or evenkeel does, that says nothing of what they have started.
func (g *guard) inEditor(p procfs.Process) bool {
	for _, up := range append([]procfs.Process{p}, g.procs.Ancestors(p.PID)...) {
		if why := g.forbid[up.PID]; why == guardAbove || why == guardDaemon || up.PID == os.Getpid() {
			return false
		}
		args, err := g.fs.Cmdline(up.Identity)
		if err != nil {
			args = nil
		}
		if isEditor(up.Comm, args) {
			return true
		}
	}
	return false
}
