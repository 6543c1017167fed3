package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/cmd/demo"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/signals"
	"github.com/evenkeel/evenkeel/state"
)

// What most scenes come to.
var (
	toMended    = []v1alpha1.Phase{v1alpha1.PhaseDegraded, v1alpha1.PhaseRecovering, v1alpha1.PhaseCooldown, v1alpha1.PhaseHealthy}
	toHeld      = []v1alpha1.Phase{v1alpha1.PhaseDegraded, v1alpha1.PhaseHealthy}
	toldAndOver = []v1alpha1.AlertKind{v1alpha1.AlertDegraded, v1alpha1.AlertResolved}
)

// heldLooks is how many looks a scene waits to see that nothing is done.
const heldLooks = 3

// scenes are the tour's, in order. The deploy is the last: for half a minute after one evenkeel takes what else goes wrong
// for a part of it.
func scenes() []scene {
	plain := func(blame v1alpha1.Blame, reason string) wanted {
		return wanted{phases: toMended, blame: blame, reason: reason, recoveries: 1, alerts: toldAndOver, plans: []string{"Plain"}}
	}
	held := func(blame v1alpha1.Blame, reason string) wanted {
		return wanted{phases: toHeld, blame: blame, reason: reason, kept: true, alerts: toldAndOver}
	}
	return []scene{
		{"crash", "the site is killed: its runtime starts it again, and that costs nothing", playCrash, wanted{}},
		{"hang", "the site is stopped, and answers nobody any more", playHang, plain(v1alpha1.BlameApp, "Hung")},
		{"errors", "the site answers with errors", playErrors, plain(v1alpha1.BlameApp, "ServerError")},
		{"stranger", "another program takes the site's port: it is named, and left alone", playStranger, held(v1alpha1.BlamePort, "StrangerOnPort")},
		{"orphan", "a process of the site's own keeps the port, and is nobody's child any more", playOrphan, plain(v1alpha1.BlamePort, "OrphanOnPort")},
		{"proxy", "the proxy before the site is down: the site is not to blame", playProxy, held(v1alpha1.BlameProxy, "ProxyFails")},
		{"cache", "what the site keeps in its cache is spoilt, and it does not come up any more", playCache, wanted{
			phases: toMended, blame: v1alpha1.BlameApp, reason: "CrashLoop", recoveries: 1, alerts: toldAndOver,
			plans: []string{"Plain", "Clean"}, cacheCleared: true,
		}},
		{"release", "a release that no restart can help: three attempts, one alert, and then silence", playRelease, wanted{
			phases: []v1alpha1.Phase{
				v1alpha1.PhaseDegraded, v1alpha1.PhaseRecovering, v1alpha1.PhaseCooldown,
				v1alpha1.PhaseDegraded, v1alpha1.PhaseRecovering, v1alpha1.PhaseCooldown,
				v1alpha1.PhaseDegraded, v1alpha1.PhaseRecovering, v1alpha1.PhaseCooldown, v1alpha1.PhaseFailed,
			},
			blame: v1alpha1.BlameApp, reason: "ServerError", recoveries: 3, spent: 3, cacheCleared: true,
			plans:  []string{"Plain", "Clean", "Plain", "Clean", "Plain", "Clean"},
			alerts: []v1alpha1.AlertKind{v1alpha1.AlertDegraded, v1alpha1.AlertFailed},
		}},
		{"reset", "the release is taken back, and the state file is edited: phase: Healthy", playReset, wanted{
			phases: append([]v1alpha1.Phase{v1alpha1.PhaseHealthy}, toMended...), blame: v1alpha1.BlameApp,
			recoveries: 1, alerts: toldAndOver, plans: []string{"Plain"},
		}},
		{"pause", "the desired file is edited: paused: true. The site hangs: that is seen, and nothing is done", playPause, plain(v1alpha1.BlameApp, "Hung")},
		{"deploy", "a build is at work in the site's folder, and there is no finished one", playDeploy, held(v1alpha1.BlameDeploy, "DeployAtWork")},
	}
}

func playCrash(ctx context.Context, t *tour) error {
	id, err := t.signal(ctx, unix.SIGKILL)
	if err != nil {
		return err
	}
	t.breaks("kill -9 %d", id.PID)
	if err := t.until(ctx, "waited for another process of the site to be well", func() bool {
		last, _ := t.watch.pass()
		now, ok := t.watch.site()
		return ok && now != id && last.Holds()
	}); err != nil {
		return err
	}
	return t.looks(ctx, heldLooks)
}

func playHang(ctx context.Context, t *tour) error {
	id, err := t.signal(ctx, unix.SIGSTOP)
	if err != nil {
		return err
	}
	t.breaks("kill -STOP %d", id.PID)
	return t.quiet(ctx)
}

func playErrors(ctx context.Context, t *tour) error {
	return errors.Join(t.curl(ctx, "/break/500"), t.quiet(ctx))
}

func playOrphan(ctx context.Context, t *tour) error {
	return errors.Join(t.curl(ctx, "/break/orphan"), t.quiet(ctx))
}

func playCache(ctx context.Context, t *tour) error {
	return errors.Join(t.curl(ctx, "/break/cache"), t.quiet(ctx))
}

func playStranger(ctx context.Context, t *tour) error {
	stranger, err := t.begin(ctx, demo.PartStranger, "--port", fmt.Sprint(t.port))
	if err != nil {
		return err
	}
	defer stranger.end()
	if err := t.curl(ctx, "/break/port"); err != nil {
		return err
	}
	if err := t.reached(ctx, v1alpha1.PhaseDegraded); err != nil {
		return err
	}
	if err := t.looks(ctx, heldLooks); err != nil {
		return err
	}
	named := fmt.Sprintf("pid %d ", stranger.pid())
	if !t.has(func(e *v1alpha1.Event) bool {
		return e.Reason == v1alpha1.ReasonVerdict && strings.Contains(e.Message, named)
	}) {
		return fmt.Errorf("the stranger (process %d) was not named", stranger.pid())
	}
	if !stranger.alive() {
		return errors.New("the stranger was ended, and it was not the tour that ended it")
	}
	t.mends("the stranger (process %d) leaves by itself", stranger.pid())
	stranger.end()
	return t.quiet(ctx)
}

func playProxy(ctx context.Context, t *tour) error {
	t.breaks("the proxy goes away")
	t.proxy.Down()
	if err := t.reached(ctx, v1alpha1.PhaseDegraded); err != nil {
		return err
	}
	if err := t.looks(ctx, heldLooks); err != nil {
		return err
	}
	t.mends("the proxy is back")
	return errors.Join(t.proxy.Up(), t.quiet(ctx))
}

func playRelease(ctx context.Context, t *tour) error {
	if err := t.curl(ctx, "/break/release"); err != nil {
		return err
	}
	if err := t.reached(ctx, v1alpha1.PhaseFailed); err != nil {
		return err
	}
	return t.looks(ctx, heldLooks)
}

func playReset(ctx context.Context, t *tour) error {
	if err := demo.SetBadRelease(t.folder.Site(), false); err != nil {
		return fmt.Errorf("taking the release back: %w", err)
	}
	t.mends("the release is taken back; until a reset nobody does anything about it")
	t.broken, t.left = time.Now(), time.Now()
	t.edits(t.stateFile(), "phase: Healthy")
	if err := saveAs(t.stateFile(), func(text string) string {
		return regexp.MustCompile(`(?m)^phase: .*$`).ReplaceAllString(text, "phase: Healthy")
	}); err != nil {
		return err
	}
	return t.quiet(ctx)
}

func playPause(ctx context.Context, t *tour) error {
	if err := t.setPaused(ctx, true); err != nil {
		return err
	}
	id, err := t.signal(ctx, unix.SIGSTOP)
	if err != nil {
		return err
	}
	t.breaks("kill -STOP %d", id.PID)
	if err := t.reached(ctx, v1alpha1.PhaseDegraded); err != nil {
		return err
	}
	if err := t.looks(ctx, heldLooks); err != nil {
		return err
	}
	if now, ok := t.watch.site(); !ok || now != id {
		return fmt.Errorf("something was done while evenkeel was paused: process %d is not the site's any more", id.PID)
	}
	if t.has(hasReason(v1alpha1.ReasonRecoveryStarted)) {
		return errors.New("a recovery was begun while evenkeel was paused")
	}
	if err := t.setPaused(ctx, false); err != nil {
		return err
	}
	return t.quiet(ctx)
}

func playDeploy(ctx context.Context, t *tour) error {
	t.breaks("a build begins, and holds .next/lock")
	build, err := t.begin(ctx, demo.PartDeploy)
	if err != nil {
		return err
	}
	defer build.end()
	if err := t.reached(ctx, v1alpha1.PhaseDegraded); err != nil {
		return err
	}
	if err := t.looks(ctx, heldLooks); err != nil {
		return err
	}
	t.mends("the build is finished")
	build.end()
	return t.quiet(ctx)
}

// signal sends a signal to the site's process, and to no other.
func (t *tour) signal(ctx context.Context, sig unix.Signal) (procfs.Identity, error) {
	id, ok := t.watch.site()
	if !ok {
		return id, errors.New("it is not known which process is the site's")
	}
	t.broken = time.Now()
	return id, signals.Send(ctx, id, sig)
}

// curl asks the site to break itself.
func (t *tour) curl(ctx context.Context, path string) error {
	t.breaks("curl -s %s", t.siteURL(path))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.siteURL(path), nil)
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: sceneLimit, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("asking the site to break itself: %w", err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("asking the site to break itself: %w", err)
	}
	return nil
}

// setPaused edits the desired file as somebody with an editor would, and waits until it is in force.
func (t *tour) setPaused(ctx context.Context, paused bool) error {
	from, to := pausedText(!paused), pausedText(paused)
	t.edits(t.folder.Desired(), to)
	if !paused {
		t.left = time.Now()
	}
	if err := saveAs(t.folder.Desired(), func(text string) string { return strings.Replace(text, from, to, 1) }); err != nil {
		return err
	}
	return t.until(ctx, "waited for the desired state to be in force", func() bool {
		st, err := state.ReadState(t.folder.State(), demoApp)
		return err == nil && meta.IsStatusConditionTrue(st.Conditions, v1alpha1.ConditionPaused) == paused
	})
}

// pausedText is how the demo's desired state says whether it is paused.
func pausedText(paused bool) string { return fmt.Sprintf("paused: %t ", paused) }

// edits says that a file is edited.
func (t *tour) edits(path, to string) { t.voice.say(time.Now(), tagEdit.say("%s: %s", path, to)) }

// saveAs changes a file as editors do: a new one is written beside it and takes its place.
func saveAs(path string, change func(string) string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("editing %s: %w", path, err)
	}
	text := change(string(data))
	if text == string(data) {
		return fmt.Errorf("editing %s: there was nothing to change", path)
	}
	beside := path + "~"
	if err := os.WriteFile(beside, []byte(text), 0o600); err != nil {
		return fmt.Errorf("editing %s: %w", path, err)
	}
	if err := os.Rename(beside, path); err != nil {
		return fmt.Errorf("editing %s: %w", path, err)
	}
	return nil
}

// part is a process of the tour's own.
type part struct {
	cmd  *exec.Cmd
	over chan struct{}
}

// begin starts a part of the demo, and waits until it is ready.
func (t *tour) begin(ctx context.Context, name string, args ...string) (*part, error) {
	cmd := exec.Command(t.self, append([]string{name, demo.FolderFlag, t.folder.Path()}, args...)...) //nolint:noctx // it is ended by end
	cmd.Dir = t.folder.Path()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is ours to pass on
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p := &part{cmd: cmd, over: make(chan struct{})}
	ready := make(chan struct{})
	go func() {
		defer close(p.over)
		if n, _ := out.Read(make([]byte, 1)); n > 0 { // its first word says that it is ready
			close(ready)
		}
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
	}()
	select {
	case <-ready:
		return p, nil
	case <-p.over:
		return nil, fmt.Errorf("%s ended at once: %s", name, cmd.ProcessState)
	case <-ctx.Done():
		p.end()
		return nil, errInterrupted
	}
}

func (p *part) pid() int { return p.cmd.Process.Pid }

func (p *part) alive() bool { return !isClosed(p.over) }

// end asks it to end, and waits for that.
func (p *part) end() {
	if !p.alive() {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.over:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.over
	}
}
