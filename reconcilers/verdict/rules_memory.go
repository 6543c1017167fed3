package verdict

import (
	"fmt"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// Memory: low for long enough, and by whose growth.

var (
	memoryLowBriefly = condition{
		yes: "it is not low for long yet", no: "it has been low for longer than checks.memory.for",
		holds: func(v *view) bool { return v.lowFor() < v.c.App.Spec.Checks.Memory.For.Duration },
		seen:  func(v *view) string { return v.lowFor().String() },
	}
	memoryTried = condition{
		yes: "a recovery because of memory was tried in this incident", no: "no recovery because of memory was tried in this incident",
		holds: (*view).memoryTried,
	}
	appGrew = condition{
		yes: "the application's own processes have grown by what is missing and everything else by no more, or they are always to be restarted",
		no:  "the application's own processes have not grown by what is missing, or everything else has grown by more",
		holds: func(v *view) bool {
			grown, known := v.grown()
			return v.restartsAlways() || (known && v.grewByWhatIsMissing(grown))
		},
		seen: func(v *view) string {
			if text := v.growth(); text != "" {
				return text
			}
			return "the application's normal size is not known yet"
		},
	}
)

// growth says who has grown by how much since the application's normal size was taken; empty where that is not known.
func (v *view) growth() string {
	grown, known := v.grown()
	if !known {
		return ""
	}
	text := "the application has " + grownBy(grown)
	if rest, known := v.restGrown(); known {
		text += ", everything else has " + grownBy(rest)
	}
	return text
}

func grownBy(bytes int64) string {
	if bytes < 0 {
		return "shrunk by " + mib(-bytes)
	}
	return "grown by " + mib(bytes)
}

func (v *view) restartsAlways() bool {
	return v.c.App.Spec.Checks.Memory.Restart == v1alpha1.MemoryRestartAlways
}

var ruleMemoryLowBriefly = Rule{
	Name: "memory-low-briefly", Sees: "available memory is low, but not for long yet",
	Blame: v1alpha1.BlameMemory, Reason: "MemoryLow", Remedy: v1alpha1.RemedyWait,
	When: []condition{fails(v1alpha1.CheckMemory), answers, memoryLowBriefly},
	says: func(v *view) string { return v.message(v1alpha1.CheckMemory) },
}

var ruleMemoryAppGrew = Rule{
	Name: "memory-app-grew", Sees: "available memory is low, the application's own processes have grown by what is missing, and everything else by no more",
	Blame: v1alpha1.BlameMemory, Reason: "AppGrew", Remedy: v1alpha1.RemedyRecover, Own: true, Certain: true,
	Next: []string{"see who uses it: ps -eo pid,user,rss,comm --sort=-rss | head", "a leak? see the application's log: {log}"},
	When: []condition{fails(v1alpha1.CheckMemory), answers, not(memoryTried), appGrew, managerAsked},
	says: func(v *view) string {
		if v.restartsAlways() {
			return v.message(v1alpha1.CheckMemory)
		}
		return v.message(v1alpha1.CheckMemory) + "; " + v.growth()
	},
}

var ruleMemoryHog = Rule{
	Name: "memory-hog", Sees: "available memory is low, and it is not the application that took it",
	Blame: v1alpha1.BlameMemory, Reason: "HogElsewhere", Remedy: v1alpha1.RemedyHold,
	AtLimit: "no limit: the application answers, and restarting it would free the wrong memory",
	Next:    []string{"see who uses it: ps -eo pid,user,rss,comm --sort=-rss | head"},
	When:    []condition{fails(v1alpha1.CheckMemory), answers},
	says: func(v *view) string {
		hog := ""
		if grown, _ := v.grown(); grown >= 1<<20 {
			hog = "; " + v.growth()
			if !v.asked && v.grewByWhatIsMissing(grown) {
				hog += ", but " + v.manager() + " could not be asked"
			}
		}
		if v.memory.HogPID != 0 {
			hog += fmt.Sprintf("; the largest other process is %s (pid %d) with %s", v.memory.HogName, v.memory.HogPID, mib(v.memory.HogBytes))
		}
		return v.message(v1alpha1.CheckMemory) + hog
	},
}
