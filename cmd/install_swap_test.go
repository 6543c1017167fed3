package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/cmd/unit"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

func (h *host) has(name string) bool {
	_, err := os.Stat(filepath.Join(h.units, name))
	return err == nil
}

func TestTheSwapHelperComesStaysAndGoes(t *testing.T) {
	h := newHost(t)
	with := installFlags{swap: true, swapSaid: true}
	install := func(flags installFlags) (bool, *installation) {
		t.Helper()
		h.asks = nil
		p := h.planned(flags)
		if err := p.refusal(); err != nil {
			t.Fatal(err)
		}
		changed, err := h.apply(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		return changed, p
	}
	if _, p := install(installFlags{}); h.has(unit.SwapSocket) || !strings.Contains(strings.Join(p.notes, "\n"), "clearing swap is off") ||
		!strings.Contains(strings.Join(p.notes, "\n"), "sudo "+h.self+" install -f "+h.site+" --with-swap-helper") {
		t.Errorf("without: %q", p.notes)
	}

	p := h.planned(with)
	for _, want := range []string{"# " + h.units + "/evenkeel-swap.service\n# Written by", "ExecStart=" + h.self + " swap-helper\n", "SocketUser=deploy\n", "# systemctl restart evenkeel-swap.socket\n"} {
		if !strings.Contains(p.printText(), want) {
			t.Errorf("want %q in\n%s", want, p.printText())
		}
	}
	changed, p := install(with)
	if !changed || !h.has(unit.SwapSocket) || !h.has(unit.SwapService) || slices.Contains(h.asks, "systemctl restart evenkeel.service") {
		t.Errorf("changed %t, ran %q", changed, h.asks)
	}
	if want := []string{"systemctl stop evenkeel-swap.service", "systemctl enable evenkeel-swap.socket", "systemctl restart evenkeel-swap.socket"}; !slices.Equal(h.asks[len(h.asks)-3:], want) {
		t.Errorf("ran %q", h.asks)
	}
	if text := p.doneText(true, style{}); !strings.Contains(text, "nobody but deploy may ask") {
		t.Error(text)
	}
	// Once more, with and without saying so: nothing is to be done.
	for _, flags := range []installFlags{with, {}} {
		if changed, _ := install(flags); changed || !h.has(unit.SwapSocket) {
			t.Errorf("%+v: changed %t, ran %q", flags, changed, h.asks)
		}
	}
	// It follows the program.
	h.installer.self = filepath.Join(h.dir, "bin/other")
	h.write("bin/other", "")
	if changed, _ := install(installFlags{}); !changed || !slices.Contains(h.asks, "systemctl restart evenkeel-swap.socket") {
		t.Errorf("ran %q", h.asks)
	}
	// It goes only if that is said.
	without := installFlags{swapSaid: true}
	if text := h.planned(without).printText(); !strings.Contains(text, "# systemctl disable --now evenkeel-swap.socket\n") || !strings.Contains(text, "# rm ") {
		t.Error(text)
	}
	if changed, _ := install(without); !changed || h.has(unit.SwapSocket) || h.has(unit.SwapService) || !slices.Contains(h.asks, "systemctl disable --now evenkeel-swap.socket") {
		t.Errorf("changed %t, ran %q", changed, h.asks)
	}
	if changed, _ := install(without); changed {
		t.Errorf("ran %q", h.asks)
	}
}

func TestUninstallTakesTheSwapHelperAway(t *testing.T) {
	h := newHost(t)
	if _, err := h.apply(t.Context(), h.planned(installFlags{swap: true, swapSaid: true})); err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	b.globals = &globals{installer: h.installer}
	h.asks = nil
	h.write("units/evenkeel-swap.service.d/own.conf", "")
	b.wants(b.run(nil, "uninstall"), exitWell, h.units+"/evenkeel.service, "+h.units+"/evenkeel-swap.service, "+h.units+"/evenkeel-swap.socket", "evenkeel-swap.service.d is left")
	if want := []string{"systemctl disable --now evenkeel-swap.socket", "systemctl stop evenkeel-swap.service", "systemctl disable --now evenkeel.service", "systemctl daemon-reload"}; !slices.Equal(h.asks, want) {
		t.Errorf("ran %q", h.asks)
	}
	// Its own unit was removed by hand, and then half of the helper too.
	h.write("units/evenkeel-swap.service", unit.Mark+"\n")
	b.wants(b.run(nil, "uninstall"), exitWell, "removed "+h.units+"/evenkeel-swap.service;")
	b.wants(b.run(nil, "uninstall"), exitNotWell, "there is no evenkeel.service")
	h.write("units/evenkeel-swap.socket", "[Socket]\n")
	b.wants(b.run(nil, "uninstall"), exitNotWell, "was not written by evenkeel install")
}

func TestWhatStandsAgainstTheSwapHelper(t *testing.T) {
	h := newHost(t)
	with := installFlags{swap: true, swapSaid: true}
	// Whoever may replace the program would be root.
	h.replaceable = errors.New("others may write to /home/deploy")
	if err := h.planned(with).refusal(); err == nil || !strings.Contains(err.Error(), "put evenkeel where only root may write: sudo install "+h.self) {
		t.Error(err)
	}
	if err := h.planned(installFlags{}).refusal(); err != nil {
		t.Error(err)
	}
	h.replaceable = nil
	h.write("units/evenkeel-swap.socket", "[Socket]\n")
	if err := h.planned(with).refusal(); err == nil || !strings.Contains(err.Error(), "evenkeel-swap.socket is there, and was not written by") {
		t.Error(err)
	}
	h = newHost(t)
	h.fails = []string{"systemctl restart evenkeel-swap"}
	if _, err := h.apply(t.Context(), h.planned(with)); err == nil || !strings.Contains(err.Error(), "evenkeel runs, but its swap helper is not ready") {
		t.Error(err)
	}
	for _, flags := range []installFlags{{swap: true, user: true}, {swap: true, pm2: true}} {
		g := globals{Files: []string{h.site}, installer: h.installer}
		if err := g.install(t.Context(), flags); exitCode(err) != exitUsage || !strings.Contains(err.Error(), "--with-swap-helper is for a unit of the machine") {
			t.Error(err)
		}
	}
	for _, flags := range []installFlags{{user: true}, {pm2: true}} {
		h := newHost(t)
		h.root, h.uid = false, 1000
		if p := h.planned(flags); !strings.Contains(strings.Join(p.notes, "\n"), "clearing swap is off") {
			t.Errorf("%q", p.notes)
		}
	}
}

func TestWhatOnlyRootMayReplace(t *testing.T) {
	shell, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	if err := rootsOnly(shell); err != nil {
		t.Error(err)
	}
	mine := filepath.Join(t.TempDir(), "evenkeel")
	if err := os.WriteFile(mine, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := rootsOnly(mine); err == nil {
		t.Errorf("%s lies where everybody may write", mine)
	}
	if err := rootsOnly("/nowhere/evenkeel"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestStatusSaysHowSwapIsCleared(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	process := func(caps string) {
		write("812/status", fmt.Sprintf("Uid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\nCapEff:\t%[2]s\n", 1000, caps))
	}
	const head = "Filename Type Size Used Priority\n"
	process("0")
	write("swaps", head)
	text := swapText(procfs.New(dir), 812, filepath.Join(dir, "none"))
	if text != "never cleared: only root may clear it, and evenkeel runs as an ordinary user; a helper of root's can: install evenkeel once more, with --with-swap-helper; there is none now" {
		t.Error(text)
	}
	write("swaps", head+"/swapfile file 1048572 0 -2\n")
	if text := swapText(procfs.New(dir), 812, filepath.Join(dir, "none")); strings.Contains(text, "there is none") {
		t.Error(text)
	}
	process("000001ffffffffff")
	if text := swapText(procfs.New(dir), 812, filepath.Join(dir, "none")); text != "cleared where it fits: evenkeel has the right to" {
		t.Error(text)
	}
	if text := swapText(procfs.New(dir), 813, filepath.Join(dir, "none")); text != "" {
		t.Error(text)
	}
	v := healthy(t)
	v.Swap = "cleared where it fits, by evenkeel-swap.service"
	if text := statusText([]view{v}, noon, style{}, false); !strings.Contains(text, "\n  swap        cleared where it fits, by evenkeel-swap.service\n") {
		t.Error(text)
	}
	b := newBench(t)
	b.keep(healthy(t))
	b.supervise(b.desire(siteYAML))
	b.wants(b.run(nil, "status"), exitWell, "\n  swap ")
}

func TestTheSwapHelperIsNotRunByHand(t *testing.T) {
	b := newBench(t)
	b.wants(b.run(nil, "swap-helper"), exitUsage, "run by evenkeel-swap.socket, and not by hand")
	b.wants(b.run(nil, "swap-helper", "/dev/sda1"), exitUsage)
}
