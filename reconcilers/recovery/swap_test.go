package recovery

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/swap"
)

// recorded makes a proc file system with a machine's memory and swap as the kernel prints them.
func recorded(t *testing.T, totalKB, availableKB, swapTotalKB, swapFreeKB int, swaps string) procfs.FS {
	t.Helper()
	dir := t.TempDir()
	meminfo := strings.NewReplacer("{total}", strconv.Itoa(totalKB), "{avail}", strconv.Itoa(availableKB), "{stotal}", strconv.Itoa(swapTotalKB), "{sfree}", strconv.Itoa(swapFreeKB)).Replace(
		"MemTotal:        {total} kB\nMemFree:          51200 kB\nMemAvailable:    {avail} kB\nBuffers:           12288 kB\nCached:           204800 kB\n" +
			"SwapCached:         1024 kB\nSwapTotal:       {stotal} kB\nSwapFree:        {sfree} kB\n")
	for name, text := range map[string]string{
		"meminfo": meminfo,
		"swaps":   "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n" + swaps,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return procfs.New(dir)
}

// switcher notes what it is asked to switch; nothing of this machine is ever switched in a test.
type switcher struct {
	allowed bool
	cycled  []string
	err     error
}

func (s *switcher) Allowed() (bool, string) { return s.allowed, "only root may" }

func (s *switcher) Clear(_ context.Context, areas []procfs.Swap) error {
	for _, a := range areas {
		s.cycled = append(s.cycled, a.Path)
	}
	return s.err
}

func TestSwapIsClearedOnlyWhereItFitsAndWhereEvenkeelMay(t *testing.T) {
	const half = "/swapfile                               file\t\t1048572\t\t200000\t\t-2\n"
	for _, tc := range []struct {
		name                                  string
		total, available, swapTotal, swapFree int
		swaps                                 string
		allowed                               bool
		want                                  bool
		says                                  string
	}{
		{"no swap", 1004000, 500000, 0, 0, "", true, false, "there is none"},
		{"swap that is not used", 1004000, 500000, 1048572, 1048572, "/swapfile                               file\t\t1048572\t\t0\t\t-2\n", true, false, "none of it is used"},
		{"it fits, and evenkeel may", 1004000, 500000, 1048572, 848572, half, true, true, "195 MiB of swap are read back into 488 MiB"},
		{"it fits, and evenkeel may not", 1004000, 500000, 1048572, 848572, half, false, false, "only root may"},
		{"it does not fit", 1004000, 90000, 1048572, 848572, half, true, false, "does not fit into the 87 MiB"},
		{"it fits, but without the margin", 1004000, 330000, 1048572, 848572, half, true, false, "with a margin of 198 MiB"},
		{"two areas together do not fit", 1004000, 500000, 2097144, 1697144,
			half + "/dev/vda2                               partition\t1048572\t\t200000\t\t-3\n", true, false, "390 MiB of it are used"},
		{"a name with a blank", 1004000, 500000, 1048572, 848572,
			"/var/swap\\040file                        file\t\t1048572\t\t200000\t\t-2\n", true, true, "read back"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &switcher{allowed: tc.allowed}
			h := &Hands{FS: recorded(t, tc.total, tc.available, tc.swapTotal, tc.swapFree, tc.swaps), Swap: s}
			out := h.memory(t.Context(), v1alpha1.NewApp(), aboutMemory)
			if got := len(s.cycled) > 0; got != tc.want {
				t.Fatalf("switched = %v, want %v (%s)", s.cycled, tc.want, out.message)
			}
			wantOutcome := v1alpha1.StepSkipped
			if tc.want {
				wantOutcome = v1alpha1.StepDone
			}
			if out.StepOutcome != wantOutcome || !strings.Contains(out.message, tc.says) {
				t.Fatalf("%s: %q, want %s and %q", out.StepOutcome, out.message, wantOutcome, tc.says)
			}
		})
	}
}

// aboutMemory is the step of a recovery that is about memory.
var aboutMemory = pass.Step{Recovery: v1alpha1.Recovery{Blame: v1alpha1.BlameMemory}}

func TestSwapIsLeftAloneWhenTheRecoveryIsNotAboutMemory(t *testing.T) {
	s := &switcher{allowed: true}
	fs := recorded(t, 1004000, 500000, 1048572, 848572, "/swapfile                               file\t\t1048572\t\t200000\t\t-2\n")
	out := (&Hands{FS: fs, Swap: s}).memory(t.Context(), v1alpha1.NewApp(), pass.Step{Recovery: v1alpha1.Recovery{Blame: v1alpha1.BlameApp}})
	if out.StepOutcome != v1alpha1.StepSkipped || len(s.cycled) > 0 {
		t.Fatalf("%s: %q, switched %v", out.StepOutcome, out.message, s.cycled)
	}
}

func TestSwapThatCannotBeSwitchedIsSaid(t *testing.T) {
	s := &switcher{allowed: true, err: errors.New("clearing swap on /swapfile: swapoff: interrupted")}
	fs := recorded(t, 1004000, 500000, 1048572, 848572, "/swapfile                               file\t\t1048572\t\t200000\t\t-2\n")
	out := (&Hands{FS: fs, Swap: s}).memory(t.Context(), v1alpha1.NewApp(), aboutMemory)
	if out.StepOutcome != v1alpha1.StepFailed || !strings.Contains(out.message, "/swapfile") {
		t.Fatalf("%s: %q", out.StepOutcome, out.message)
	}
}

func TestSwapThatTheHelperLeavesAloneIsNoFailure(t *testing.T) {
	s := &switcher{allowed: true, err: &swap.LeftError{Why: "that does not fit"}}
	fs := recorded(t, 1004000, 500000, 1048572, 848572, "/swapfile                               file\t\t1048572\t\t200000\t\t-2\n")
	out := (&Hands{FS: fs, Swap: s}).memory(t.Context(), v1alpha1.NewApp(), aboutMemory)
	if out.StepOutcome != v1alpha1.StepSkipped || out.message != "488 MiB available; swap is left alone: that does not fit" {
		t.Fatalf("%s: %q", out.StepOutcome, out.message)
	}
}

func TestWithoutASwitcherSwapIsLeftAlone(t *testing.T) {
	fs := recorded(t, 1004000, 500000, 1048572, 848572, "/swapfile                               file\t\t1048572\t\t200000\t\t-2\n")
	out := (&Hands{FS: fs}).memory(t.Context(), v1alpha1.NewApp(), aboutMemory)
	if out.StepOutcome != v1alpha1.StepSkipped {
		t.Fatalf("%s: %q", out.StepOutcome, out.message)
	}
}
