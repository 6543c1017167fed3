package checks

import (
	"encoding/json"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/bounded"
)

// rootFor is how long the root of a checkout is believed to be where it was found.
const rootFor = time.Minute

// root is the checkout or workspace around an application's folder, empty where there is none.
type root struct {
	dir, path string
	at        time.Duration // since boot
}

// deploysFrom tells whether a work that goes on in cwd, above the application's folder, is a deploy of the application: one of
// the checkout or workspace around it, `git pull && pnpm install && pnpm build`, goes on where that begins.
func (p *Prober) deploysFrom(l *look, work, cwd, dir string) bool {
	program, _, _ := strings.Cut(work, " ")
	if cwd == dir || !within(dir, cwd) || !slices.Contains([]string{"git", "npm", "pnpm", "yarn", "bun"}, program) {
		return false // and there is no need to look for the root
	}
	p.mu.Lock()
	r, known := p.roots[l.app.Name]
	p.mu.Unlock()
	if now := l.now.Boot.Duration; !known || r.dir != dir || now < r.at || now-r.at >= rootFor {
		r = root{dir: dir, path: rootOf(dir, homes(dir)), at: now}
		p.mu.Lock()
		if p.roots == nil {
			p.roots = map[string]root{}
		}
		p.roots[l.app.Name] = r
		p.mu.Unlock()
	}
	return cwd == r.path
}

// homes are the home folders that are no checkout of an application, whatever lies in them: that of the folder's owner, and ours.
func homes(dir string) (list []string) {
	add := func(home string) {
		if path, err := filepath.EvalSymlinks(home); err == nil {
			list = append(list, path)
		}
	}
	if info, err := os.Stat(dir); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			if u, err := user.LookupId(strconv.Itoa(int(st.Uid))); err == nil {
				add(u.HomeDir)
			}
		}
	}
	if home, err := os.UserHomeDir(); err == nil {
		add(home)
	}
	return list
}

// rootOf is the nearest folder above dir that is a checkout or a workspace. One that is a checkout itself has none, and it is
// looked for below the homes and the file system's root only.
func rootOf(dir string, homes []string) string {
	if there(filepath.Join(dir, ".git")) {
		return ""
	}
	for !slices.Contains(homes, dir) {
		dir = filepath.Dir(dir)
		if dir == filepath.Dir(dir) || slices.Contains(homes, dir) {
			break
		}
		if there(filepath.Join(dir, ".git")) || there(filepath.Join(dir, "pnpm-workspace.yaml")) || hasWorkspaces(filepath.Join(dir, "package.json")) {
			return dir
		}
	}
	return ""
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// hasWorkspaces reads a package.json.
func hasWorkspaces(path string) bool {
	text, err := bounded.Read(path, 1<<20)
	if err != nil {
		return false
	}
	var found struct {
		Workspaces json.RawMessage `json:"workspaces"`
	}
	return json.Unmarshal(text, &found) == nil && len(found.Workspaces) > 0 && string(found.Workspaces) != "null"
}
