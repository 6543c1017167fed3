// Command mutants changes what decides, one small thing at a time, and asks the tests whether they notice: Diagnose (the
// rules and reconcilers/judge.go), Decide (with the budget and the incident) and the machine.
//
//	go run ./hack/mutants            exit status 1 where one lives of which docs/mutants.md does not say why
//	go run ./hack/mutants --only controller/decide.go
//	go run ./hack/mutants --again F  those alone that lived by the output F of an earlier run
//	go run ./hack/mutants --units    what the unit tests alone do not notice: minutes, for those who write them
//	go run ./hack/mutants --id 17    what it is
//
// A mutant dies by the unit tests of its package, by a few seconds of the simulator, or by the exhaustive tests and old
// schedules of hack/sim, in this order.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// targets are the files that are changed: every rule and what it looks at, the judge around them, Decide with the budget and
// the incident, and the machine. What warns and what is told (verdict/warnings.go, controller/alert.go) leads to no action, and
// is left out.
func targets(root string) ([]string, error) {
	rules, err := filepath.Glob(filepath.Join(root, "reconcilers/verdict/*.go"))
	if err != nil {
		return nil, err
	}
	list := []string{"reconcilers/judge.go"}
	for _, path := range rules {
		if name := filepath.Base(path); !strings.HasSuffix(name, "_test.go") && name != "warnings.go" {
			list = append(list, "reconcilers/verdict/"+name)
		}
	}
	return append(list, "controller/decide.go", "controller/incident.go", "state/machine/machine.go", "api/v1alpha1/instant.go"), nil
}

const reasons = "docs/mutants.md"

// killer is something that notices mutants: a program and its arguments. One that takes longer than its time has noticed.
type killer struct {
	name, dir string
	argv      []string
	limit     time.Duration
	// of is the package whose mutants it is asked about; empty means all.
	of string
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	f := flag.NewFlagSet("mutants", flag.ExitOnError)
	only := f.String("only", "", "the mutants of these files alone, or of all files below these folders; with commas between them")
	like := f.String("like", "", "those alone whose change holds this text")
	again := f.String("again", "", "those alone that live by this output of an earlier run, or by "+reasons)
	units := f.Bool("units", false, "ask the unit tests alone, which is quick; what they do not notice the simulator may")
	id := f.Int("id", 0, "say what this mutant is")
	cpu := f.Int("cpu", 10, "seconds of processor time that the simulator has for each")
	workers := f.Int("workers", runtime.NumCPU(), "mutants side by side")
	_ = f.Parse(args)
	root, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	dir, err := scratch()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	files, err := targets(root)
	if err != nil {
		return err
	}
	overlay, mutants, err := plant(root, dir, files)
	if err != nil {
		return err
	}
	if *id > 0 {
		for _, m := range mutants {
			if m.id == *id {
				fmt.Printf("%s, line %d\n", m.key(), m.line)
			}
		}
		return nil
	}
	mutants = slices.DeleteFunc(mutants, func(m *mutant) bool { return !asked(m.file, *only) || !strings.Contains(m.change, *like) })
	if *again != "" {
		lived, err := listed(*again)
		if err != nil {
			return err
		}
		mutants = slices.DeleteFunc(mutants, func(m *mutant) bool { return !lived[m.key()] })
	}
	killers, err := build(ctx, root, dir, overlay, slices.DeleteFunc(slices.Clone(files), func(f string) bool { return !asked(f, *only) }), *cpu, *units)
	if err != nil {
		return err
	}
	for _, k := range killers { // with no mutant active nothing is noticed
		if out, ok := k.notices(ctx, 0); ok && ctx.Err() == nil {
			return fmt.Errorf("%s (%s) fails without any mutant:\n%s", k.name, k.argv[0], out)
		}
	}
	began := time.Now()
	hunt(ctx, mutants, killers, *workers)
	if ctx.Err() != nil {
		return errors.New("ended before all were asked")
	}
	all := *like == "" && *again == ""
	return report(root, files, mutants, killers, all, time.Since(began))
}

// asked says that a file is one of those that are asked about; all are where nothing is said.
func asked(file, only string) bool {
	return slices.ContainsFunc(strings.Split(only, ","), func(prefix string) bool { return strings.HasPrefix(file, prefix) })
}

// scratch makes the folder of this run, and removes those of runs that were killed: each is named by its process.
func scratch() (string, error) {
	const name = "evenkeel-mutants-"
	old, err := filepath.Glob(filepath.Join(os.TempDir(), name+"*"))
	if err != nil {
		return "", err
	}
	for _, path := range old {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(path), name), "-")
		if n, err := strconv.Atoi(pid); err == nil && errors.Is(syscall.Kill(n, 0), syscall.ESRCH) {
			_ = os.RemoveAll(path)
		}
	}
	return os.MkdirTemp("", fmt.Sprintf("%s%d-", name, os.Getpid()))
}

// plant writes the changed files and the overlay that puts them in the place of the real ones.
func plant(root, dir string, files []string) (overlay string, mutants []*mutant, err error) {
	replace := map[string]string{}
	for n, file := range files {
		changed, found, err := instrument(root, file, len(mutants)+1)
		if err != nil {
			return "", nil, err
		}
		mutants = append(mutants, found...)
		path := filepath.Join(dir, strconv.Itoa(n)+".go")
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			return "", nil, err
		}
		replace[filepath.Join(root, file)] = path
		pkg := filepath.Dir(file)
		added := filepath.Join(root, pkg, "zz_mutants.go")
		if replace[added] == "" {
			path := filepath.Join(dir, strconv.Itoa(n)+"-switches.go")
			if err := os.WriteFile(path, []byte("package "+filepath.Base(pkg)+switches), 0o600); err != nil {
				return "", nil, err
			}
			replace[added] = path
		}
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", nil, err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, mutants, os.WriteFile(overlay, data, 0o600)
}

// build compiles what notices; units leaves out all but the unit tests.
func build(ctx context.Context, root, dir, overlay string, files []string, cpu int, units bool) ([]killer, error) {
	var list []killer
	compile := func(name string, args ...string) (string, error) {
		program := filepath.Join(dir, name)
		c := exec.CommandContext(ctx, "go", // #nosec G204 -- a tool for developers
			append([]string{args[0]}, append([]string{"-overlay", overlay, "-o", program}, args[1:]...)...)...)
		c.Dir = root
		if out, err := c.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building %s: %w\n%s", name, err, out)
		}
		return program, nil
	}
	var packages []string
	for _, file := range files {
		if pkg := filepath.Dir(file); !slices.Contains(packages, pkg) {
			packages = append(packages, pkg)
		}
	}
	for _, pkg := range packages {
		program, err := compile(strings.ReplaceAll(pkg, "/", "-")+".test", "test", "-c", "./"+pkg)
		if err != nil {
			return nil, err
		}
		// Random cases come last: they take longest, and most mutants have died by then.
		for _, which := range []string{"-test.skip", "-test.run"} {
			list = append(list, killer{name: "unit tests", dir: filepath.Join(root, pkg), of: pkg, limit: 2 * time.Minute,
				argv: append([]string{program, "-test.failfast", "-test.short", which, "Random"}, noFailFile(filepath.Join(root, pkg))...)})
		}
	}
	if units {
		return list, nil
	}
	program, err := compile("sim", "build", "./hack/sim")
	if err != nil {
		return nil, err
	}
	list = append(list, killer{name: "simulator", dir: root, limit: 10 * time.Minute,
		argv: []string{program, "--seed", "1", "--cpu", strconv.Itoa(cpu), "--brief"}})
	if program, err = compile("sim.test", "test", "-c", "./hack/sim"); err != nil {
		return nil, err
	}
	return append(list, killer{name: "exhaustive tests", dir: filepath.Join(root, "hack/sim"), limit: 4 * time.Minute,
		argv: []string{program, "-test.failfast", "-test.short", "-test.run", "TestEvery|TestSchedulesThatOnceBroke"}}), nil
}

// noFailFile keeps random tests from writing down what made them fail: that was the mutant.
func noFailFile(dir string) []string {
	tests, _ := filepath.Glob(filepath.Join(dir, "*_test.go")) // the pattern is right
	for _, path := range tests {
		if source, err := os.ReadFile(path); err == nil && strings.Contains(string(source), "pgregory.net/rapid") { // #nosec G304 -- a source file of the project
			return []string{"-rapid.nofailfile"}
		}
	}
	return nil
}

// notices runs a killer with a mutant active.
func (k *killer) notices(ctx context.Context, id int) (string, bool) {
	ctx, cancel := context.WithTimeout(ctx, k.limit)
	defer cancel()
	c := exec.CommandContext(ctx, k.argv[0], k.argv[1:]...) // #nosec G204 -- what build has made
	c.Dir = k.dir
	c.Env = append(os.Environ(), "EVENKEEL_MUTANT="+strconv.Itoa(id), "GOMAXPROCS=1")
	out, err := c.CombinedOutput()
	return string(out), err != nil
}

func hunt(ctx context.Context, mutants []*mutant, killers []killer, workers int) {
	var wg sync.WaitGroup
	next := make(chan *mutant)
	for range workers {
		wg.Go(func() {
			for m := range next {
				for _, k := range killers {
					if k.of != "" && k.of != filepath.Dir(m.file) {
						continue
					}
					if _, ok := k.notices(ctx, m.id); ok {
						m.killed = k.name
						break
					}
				}
				if m.killed == "" && ctx.Err() == nil {
					fmt.Printf("mutant %d lives: %s\n", m.id, m.key())
				}
			}
		})
	}
	for n, m := range mutants {
		if ctx.Err() != nil {
			break
		}
		if n%50 == 0 {
			fmt.Printf("%d of %d\n", n, len(mutants))
		}
		next <- m
	}
	close(next)
	wg.Wait()
}

// listed are the mutants of which a document says why they live: rows of a table, the mutant first, in backquotes.
func listed(path string) (map[string]bool, error) {
	doc, err := os.ReadFile(path) // #nosec G304 -- named by a developer
	if err != nil {
		return nil, err
	}
	list := map[string]bool{}
	for line := range strings.Lines(string(doc)) {
		if _, rest, ok := strings.Cut(line, "| `"); ok {
			if key, why, ok := strings.Cut(rest, "` |"); ok && strings.Trim(why, " |\n") != "" {
				list[strings.ReplaceAll(key, `\|`, "|")] = true
			}
		}
	}
	return list, nil
}

// report prints what became of them, and fails where one lives for no reason that is written down, and where one is written
// down that does not live.
func report(root string, files []string, mutants []*mutant, killers []killer, all bool, took time.Duration) error {
	reasoned, err := listed(filepath.Join(root, reasons))
	if err != nil {
		return err
	}
	var names []string
	for _, k := range killers {
		if !slices.Contains(names, k.name) {
			names = append(names, k.name)
		}
	}
	names = append(names, "")
	count := map[[2]string]int{}
	unexplained, asked := 0, map[string]bool{}
	for _, m := range mutants {
		asked[m.file] = true
		count[[2]string{m.file, m.killed}]++
		if m.killed != "" {
			continue
		}
		why := ""
		if !reasoned[m.key()] {
			why = "no reason is given: "
			unexplained++
		}
		delete(reasoned, m.key())
		fmt.Printf("lives: %s| `%s` | (line %d, mutant %d)\n", why, strings.ReplaceAll(m.key(), "|", `\|`), m.line, m.id)
	}
	stale := 0
	for key := range reasoned {
		if file, _, _ := strings.Cut(key, " "); all && asked[file] || !slices.Contains(files, file) {
			fmt.Printf("listed, and is not alive: `%s`\n", key)
			stale++
		}
	}
	head := append([]string{"file", "mutants"}, names...)
	head[len(head)-1] = "live"
	fmt.Printf("\n| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat(" --- |", len(head)))
	for _, file := range append(slices.Clone(files), "all") {
		row, sum := "", 0
		for _, name := range names {
			n := 0
			for key, c := range count {
				if (key[0] == file || file == "all") && key[1] == name {
					n += c
				}
			}
			row, sum = row+fmt.Sprintf(" %d |", n), sum+n
		}
		if sum > 0 {
			fmt.Printf("| %s | %d |%s\n", file, sum, row)
		}
	}
	fmt.Printf("\n%d mutants in %s\n", len(mutants), took.Round(time.Second))
	if unexplained+stale > 0 {
		return fmt.Errorf("%d mutants live of which %s says nothing, and %d are listed there that do not live", unexplained, reasons, stale)
	}
	return nil
}
