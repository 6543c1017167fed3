//go:build e2e

package e2e

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// testCase is one end-to-end test. Files register theirs in init.
type testCase struct {
	// Name is that of the subtest: TestE2E/<Name>.
	Name string
	// Seconds is how long it takes, the reset of the stack included.
	Seconds int
	// Always says that it is run whatever the seed draws.
	Always bool
	Run    func(w *world)
}

var cases []testCase

func register(c testCase) { cases = append(cases, c) }

// usualBudget is what a run without E2E_FULL may take, as far as the cases' own expectations go.
const usualBudget = 12 * time.Minute

// chosen are the cases of this run, in the order of their names.
func chosen() []testCase {
	all := slices.Clone(cases)
	slices.SortFunc(all, byName)
	pattern := flag.Lookup("test.run").Value.String()
	if strings.Contains(pattern, "/") {
		return all
	}
	var picked, rest []testCase
	for _, c := range all {
		if c.Always || os.Getenv("E2E_FULL") == "1" {
			picked = append(picked, c)
		} else {
			rest = append(rest, c)
		}
	}
	random := rand.New(rand.NewPCG(seed(), 0))
	random.Shuffle(len(rest), func(a, b int) { rest[a], rest[b] = rest[b], rest[a] })
	budget := usualBudget
	if limit, err := time.ParseDuration(flag.Lookup("test.timeout").Value.String()); err == nil && limit > 0 {
		budget = min(budget, limit*3/4)
	}
	left := int(budget.Seconds()) - int(pairsDrawn())*pairSeconds
	for _, c := range picked {
		left -= c.Seconds
	}
	for _, c := range rest {
		if c.Seconds <= left {
			picked = append(picked, c)
			left -= c.Seconds
		}
	}
	slices.SortFunc(picked, byName)
	fmt.Printf("e2e: %d of %d tests, drawn with E2E_SEED=%d (budget %s; E2E_FULL=1 runs all)\n", len(picked), len(all), seed(), budget)
	return picked
}

func byName(a, b testCase) int { return strings.Compare(a.Name, b.Name) }

// seed is what everything is drawn with that is drawn.
var seed = sync.OnceValue(func() uint64 { return number("E2E_SEED", uint64(time.Now().UnixNano())) })

// number is a whole number of the environment.
func number(name string, otherwise uint64) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		panic(fmt.Sprintf("%s=%s: %v", name, text, err))
	}
	return n
}

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "e2e: the stack wants root")
		os.Exit(1)
	}
	if err := theStack.prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	code := m.Run()
	printTable(os.Stdout)
	if out, err := theStack.command("reset").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "e2e: the stack could not be put back: %v\n%s", err, out)
	}
	os.Exit(code)
}

// TestE2E runs what was chosen, one after the other: there is one stack.
func TestE2E(t *testing.T) { runAll(t, chosen()) }

func runAll(t *testing.T, list []testCase) {
	for _, c := range list {
		t.Run(c.Name, func(t *testing.T) {
			w := newWorld(t)
			start := time.Now()
			c.Run(w)
			if left := w.unjudged(c.Name); len(left) > 0 {
				w.Errorf("the rows %q of the table say what must follow, and this test did not ask for it", left)
			}
			w.note("test took %.0f s (%d s were expected)", time.Since(start).Seconds(), c.Seconds)
		})
	}
}
