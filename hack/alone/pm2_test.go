package alone

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// TestPM2RestartsItUnderRecoveries lets a real PM2 restart the application, by its command or because it was killed, at random
// instants of recoveries of ours. In the end there is one copy, which PM2 runs and which answers; each recovery has ended; and
// PM2 itself and what else it runs were not touched. RACE_ROUNDS is ten times how often.
func TestPM2RestartsItUnderRecoveries(t *testing.T) {
	t.Parallel()
	for rounds := races(3); rounds > 0; rounds -= batch {
		restartUnderRecoveries(t, min(rounds, batch))
	}
}

const webJS = `require('http').createServer((q, r) => r.end(process.pid + '\n')).listen(process.env.PORT, '127.0.0.1');
process.on('SIGINT', () => setTimeout(() => process.exit(0), 100));`

func restartUnderRecoveries(t *testing.T, rounds int) {
	t.Helper()
	p := newPM2(t)
	p.run()
	p.well()
	neighbour, daemon := p.copies("neighbour"), p.daemons()
	if len(neighbour) != 1 || len(daemon) != 1 {
		t.Fatalf("%d neighbours and %d daemons at the beginning", len(neighbour), len(daemon))
	}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 4))
	restarts, killed, twice := 0, 0, 0
	for round := range rounds {
		before := p.told(v1alpha1.ReasonRecoveryStarted)
		p.until("an order is saved", p.order)
		head := time.Duration(random.Int64N(int64(1500 * time.Millisecond)))
		pause(head)
		if round%8 == 5 { // seldom, or it is a crash loop
			if all := p.copies("web"); len(all) > 0 {
				_ = syscall.Kill(all[0].PID, syscall.SIGKILL)
				killed++
			}
		} else {
			p.pm2([]string{"restart", "reload"}[random.IntN(2)], "web")
			restarts++
		}
		p.until("the recovery has begun and ended", func() bool {
			if len(p.copies("web")) > 1 {
				twice++
			}
			return p.told(v1alpha1.ReasonRecoveryStarted) > before &&
				p.told(v1alpha1.ReasonRecoveryFinished) >= p.told(v1alpha1.ReasonRecoveryStarted)
		})
		p.well()
		answers := p.answers()
		if all := p.copies("web"); len(all) != 1 || all[0].PID != answers {
			t.Fatalf("seed %d, round %d: copies %v, and %d answers", seed, round, all, answers)
		}
		if now := p.copies("neighbour"); len(now) != 1 || now[0] != neighbour[0] {
			t.Fatalf("seed %d, round %d: what else PM2 runs was %v, is %v", seed, round, neighbour, now)
		}
		if now := p.daemons(); len(now) != 1 || now[0] != daemon[0] {
			t.Fatalf("seed %d, round %d: PM2 was %v, is %v", seed, round, daemon, now)
		}
	}
	p.attemptsAreWhole(seed)
	t.Logf("%d recoveries while PM2 restarted the application %d times by its command and %d times because it was killed: one copy in the end, each ended, and the neighbour was left alone (two at once were seen %d times)",
		rounds, restarts, killed, twice)
}

// underPM2 is one App under a real PM2 of its own home, which runs another one too.
type underPM2 struct {
	*machine
	program, home string
}

func newPM2(t *testing.T) *underPM2 {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "../lib/pm2").Output()
	if err != nil {
		t.Fatalf("hack/lib/pm2: %v", err)
	}
	home, err := os.MkdirTemp("", "ek-pm2-") // PM2 shows it in the title of its process, where there is little room
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	p := &underPM2{machine: newMachine(t, nil), program: strings.TrimSpace(string(out)), home: home}
	t.Cleanup(p.clearAway)
	other, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	theirs := other.Addr().(*net.TCPAddr).Port
	other.Close()
	for name, text := range map[string]string{"web.js": webJS, "ecosystem.config.js": fmt.Sprintf(`module.exports = {apps: [
 {name: 'web', script: 'web.js', env: {PORT: %d}}, {name: 'neighbour', script: 'web.js', env: {PORT: %d}}]}`, p.port, theirs)} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.runtime = fmt.Sprintf("{pm2: {process: web, start: ecosystem.config.js, home: %s, command: [%s]}}", p.home, p.program)
	p.desire()
	p.pm2("start", "ecosystem.config.js")
	return p
}

// pm2 runs a command as an operator does.
func (p *underPM2) pm2(args ...string) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.program, args...) // #nosec G204 -- a test's own program
	cmd.Dir = p.dir
	cmd.Env = []string{"HOME=" + p.dir, "PM2_HOME=" + p.home, "PATH=" + os.Getenv("PATH"), "PM2_DISABLE_VERSION_CHECK=true", "PORT=" + strconv.Itoa(p.port)}
	if out, err := cmd.CombinedOutput(); err != nil {
		p.Fatalf("pm2 %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// copies are the living processes that this PM2 runs under a name.
func (p *underPM2) copies(name string) []procfs.Identity {
	return p.having(func(id procfs.Identity) bool {
		env, err := procfs.Default().Environ(id, "PM2_HOME", "name", "pm_exec_path")
		return err == nil && env["PM2_HOME"] == p.home && env["name"] == name && env["pm_exec_path"] != ""
	})
}

// daemons are the PM2 daemons of this home, by what they write on themselves.
func (p *underPM2) daemons() []procfs.Identity {
	return p.having(func(id procfs.Identity) bool {
		args, _ := procfs.Default().Cmdline(id)
		return strings.Contains(strings.Join(args, " "), "God Daemon ("+p.home+")")
	})
}

func (p *underPM2) having(is func(procfs.Identity) bool) []procfs.Identity {
	all, err := procfs.Default().Processes()
	if err != nil {
		p.Fatal(err)
	}
	var found []procfs.Identity
	for _, process := range all {
		if process.Alive() && is(process.Identity) {
			found = append(found, process.Identity)
		}
	}
	return found
}

// clearAway ends all that this PM2 is and runs, by id: evenkeel first, which would bring PM2 back, then PM2.
func (p *underPM2) clearAway() {
	if p.running != nil {
		p.machine.kill()
	}
	p.until("PM2 is cleared away", func() bool {
		left := append(p.daemons(), append(p.copies("web"), p.copies("neighbour")...)...)
		for _, id := range left {
			_ = syscall.Kill(id.PID, syscall.SIGKILL)
		}
		return len(left) == 0
	})
}
