package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/evenkeel/evenkeel/cmd/unit"
	"github.com/evenkeel/evenkeel/reconcilers/swap"
)

// unitFile is a unit as it is to be and as it is; an empty text means that there is none.
type unitFile struct{ path, text, before string }

// swapHelper is the helper that clears swap: a service of root's, and the socket where it is asked.
type swapHelper struct{ service, socket unitFile }

func (h *swapHelper) units() []unitFile { return []unitFile{h.service, h.socket} }

func (h *swapHelper) wanted() bool { return h.socket.text != "" }

// same says that nothing is to be written or taken away.
func (h *swapHelper) same() bool {
	return h.service.text == h.service.before && h.socket.text == h.socket.before
}

// goes says that it is there, and is to be taken away.
func (h *swapHelper) goes() bool { return !h.wanted() && !h.same() }

// swapThere reads the units of the helper that are there.
func (in *installer) swapThere() (*swapHelper, error) {
	h := &swapHelper{
		service: unitFile{path: filepath.Join(in.units, unit.SwapService)}, socket: unitFile{path: filepath.Join(in.units, unit.SwapSocket)},
	}
	for _, u := range []*unitFile{&h.service, &h.socket} {
		text, err := os.ReadFile(u.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		u.before = string(text)
	}
	return h, nil
}

// planSwap says what becomes of the helper: it comes where it is wanted, follows where it is, and goes where it is not wanted.
func (in *installer) planSwap(p *installation, flags installFlags) error {
	if p.kind != systemUnit {
		p.swap = &swapHelper{}
		return nil
	}
	h, err := in.swapThere()
	if err != nil {
		return err
	}
	p.swap = h
	there := h.service.before != "" || h.socket.before != ""
	for _, u := range h.units() {
		if there && u.before != "" && !unit.Ours(u.before) && !flags.force {
			p.against = append(p.against, u.path+" is there, and was not written by evenkeel install; move it away, or take --force")
		}
	}
	if !flags.swap && (flags.swapSaid || !there) {
		return nil
	}
	u := unit.Swap{Program: p.self, User: p.owner.Name, Socket: swap.Socket}
	if h.service.text, h.socket.text, err = u.Texts(); err != nil {
		return err
	}
	if err := in.rootsOnly(p.self); err != nil {
		p.against = append(p.against, fmt.Sprintf("the swap helper runs as root, and others could put something else into its place (%v); put evenkeel where only root may write: sudo install %s /usr/local/bin/", err, shellWord(p.self)))
	}
	return nil
}

// rootsOnly fails where others than root may replace a file, or a folder above it.
func rootsOnly(path string) error {
	for ; ; path = filepath.Dir(path) {
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		switch {
		case !ok || st.Uid != 0:
			return fmt.Errorf("%s does not belong to root", path)
		case info.Mode().Perm()&0o002 != 0, info.Mode().Perm()&0o020 != 0 && st.Gid != 0:
			return fmt.Errorf("others may write to %s", path)
		case path == filepath.Dir(path):
			return nil
		}
	}
}

// commands are what is run for the helper after its units were written.
func (h *swapHelper) commands() (list [][]string) {
	switch {
	case !h.wanted():
		return nil
	case h.same():
		return [][]string{{"systemctl", "enable", unit.SwapSocket}, {"systemctl", "start", unit.SwapSocket}}
	}
	// A socket does not start while its service runs.
	return [][]string{{"systemctl", "stop", unit.SwapService}, {"systemctl", "enable", unit.SwapSocket}, {"systemctl", "restart", unit.SwapSocket}}
}

// goingCommands are what is run before its units are removed.
func (h *swapHelper) goingCommands() (list [][]string) {
	if h.socket.before != "" {
		list = append(list, []string{"systemctl", "disable", "--now", unit.SwapSocket})
	}
	if h.service.before != "" {
		list = append(list, []string{"systemctl", "stop", unit.SwapService})
	}
	return list
}

// removeSwap stops the helper and takes its units away. It says what it has removed, and what of the operator's own is left.
func (in *installer) removeSwap(ctx context.Context, force bool) (removed, left []string, err error) {
	h, err := in.swapThere()
	if err != nil || h.same() {
		return nil, nil, err
	}
	for _, u := range h.units() {
		if u.before != "" && !unit.Ours(u.before) && !force {
			return nil, nil, fmt.Errorf("%s was not written by evenkeel install, and is left as it is; --force removes it", u.path)
		}
	}
	for _, c := range h.goingCommands() {
		if out, err := in.run(ctx, c[0], c[1:]...); err != nil {
			return nil, nil, fmt.Errorf("%s: %w: %s", strings.Join(c, " "), err, oneLine(out))
		}
	}
	for _, u := range h.units() {
		if u.before == "" {
			continue
		}
		if err := os.Remove(u.path); err != nil {
			return nil, nil, err
		}
		removed = append(removed, u.path)
		if _, err := os.Stat(settingsOf(u.path)); err == nil {
			left = append(left, settingsOf(u.path))
		}
	}
	return removed, left, nil
}

// swapActive tells whether the helper can be asked, where it is wanted.
func (in *installer) swapActive(ctx context.Context, p *installation) bool {
	if !p.swap.wanted() {
		return true
	}
	_, err := in.run(ctx, "systemctl", "is-active", "--quiet", unit.SwapSocket)
	return err == nil
}

// swapNote says how swap is cleared, or how that comes to be.
func (p *installation) swapNote() string {
	keeps := false
	for _, app := range p.apps {
		keeps = keeps || app.Spec.Runtime.Exec != nil
	}
	switch {
	case p.kind != systemUnit:
		return "clearing swap is off, and that step of a recovery is skipped: it needs root. A helper of root's can do it for a unit of the machine: sudo " +
			p.self + " install -f FILE --with-swap-helper"
	case p.swap.wanted():
		return fmt.Sprintf("where it fits, swap is cleared by %s, which runs as root for that alone, and which nobody but %s may ask", unit.SwapService, p.owner.Name)
	case p.owner.UID == 0 && keeps: // there is no sandbox
		return ""
	}
	return fmt.Sprintf("clearing swap is off, and that step of a recovery is skipped: it needs root. A helper of root's does it, and nothing else: sudo %s install -f %s --with-swap-helper",
		p.self, strings.Join(quoted(p.files), " -f "))
}
