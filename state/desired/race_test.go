package desired_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/state/desired"
)

// TestTwoOperatorsSaveAtOnce lets two operators edit Apps of one file at the same time, over and over, while a third reads it.
// No edit is lost, and the file is right whenever it is read. RACE_ROUNDS is how often; hack/prove wants 1000.
func TestTwoOperatorsSaveAtOnce(t *testing.T) {
	rounds := 100
	if n, err := strconv.Atoi(os.Getenv("RACE_ROUNDS")); err == nil {
		rounds = n
	}
	file := filepath.Join(t.TempDir(), "f.yaml")
	write(t, file, named("a")+"---\n"+named("b")+"---\n"+named("c"))
	stop := make(chan struct{})
	var operators, reader sync.WaitGroup
	reads := 0
	reader.Go(func() {
		for ; ; reads++ {
			select {
			case <-stop:
				return
			default:
			}
			if set := desired.Load([]string{file}); set.Err() != nil || len(set.Apps) != 3 {
				t.Errorf("read while it was edited: %d Apps, %v", len(set.Apps), set.Err())
				return
			}
		}
	})
	for _, name := range []string{"a", "b"} {
		operators.Go(func() {
			for round := range rounds {
				if err := desired.Pause(file, name, fmt.Sprint(round), time.Time{}); err != nil {
					t.Error(err)
					return
				}
				if got := desired.Load([]string{file}).App(name).App.Spec; !got.Paused || got.PauseReason != fmt.Sprint(round) {
					t.Errorf("%s: the pause %d was lost: %+v", name, round, got.PauseReason)
					return
				}
				if err := desired.Resume(file, name); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	operators.Wait()
	close(stop)
	reader.Wait()
	for _, e := range desired.Load([]string{file}).Apps {
		if e.App.Spec.Paused || e.App.Spec.PauseReason != "" {
			t.Errorf("%s is still paused", e.App.Name)
		}
	}
	names, err := os.ReadDir(filepath.Dir(file))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if strings.HasSuffix(n.Name(), ".tmp") {
			t.Errorf("%s was left behind", n.Name())
		}
	}
	t.Logf("%d edits by two operators, %d reads meanwhile", 4*rounds, reads)
}
