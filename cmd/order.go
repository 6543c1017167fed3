package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state"
)

const (
	// orderWait is how long an order waits for the supervisor to take it.
	orderWait = 5 * time.Second
	// orderTries is how often an order is written anew because the supervisor has written at the same instant.
	orderTries = 10
)

// order gives an order as an operator would, by the phase line of the state file, and says what became of it.
func (g *globals) order(ctx context.Context, args []string, phase v1alpha1.Phase, force bool) error {
	found, err := g.find()
	if err != nil {
		return err
	}
	name, err := one(found, args)
	if err != nil {
		return err
	}
	before := readView(found.Dir, name)
	if text, err := needless(&before, phase); text != "" || err != nil {
		if err == nil {
			_, err = fmt.Fprintln(g.Stdout, text)
		}
		return err
	}
	at := g.clock().Wall.Truncate(time.Microsecond)
	path := stateFile(&before)
	if err := writeOrder(path, phase, force); err != nil {
		return fmt.Errorf("ordering phase %s for %s: %w", phase, name, err)
	}
	if before.Holder == nil {
		if before.Status.Phase == phase {
			return noSupervisorf("no supervisor runs for %s; the order that stood in %s is taken back", name, path)
		}
		return noSupervisorf("no supervisor runs for %s; the order stands in %s (phase: %s) and counts when evenkeel starts", name, path, phase)
	}
	journal, err := state.NewJournal(found.Dir, name)
	if err != nil {
		return err
	}
	var text string
	var refused error
	done := g.await(ctx, orderWait, []string{path, journalPath(found.Dir, name)}, func() bool {
		events, _ := journal.Read(state.Query{Since: at}) // what the state file says will do
		after := readView(found.Dir, name)
		text, refused = outcome(phase, &before, &after, events)
		return text != "" || refused != nil
	})
	switch {
	case refused != nil:
		return refused
	case done:
	default:
		after := readView(found.Dir, name)
		if text, err = undecided(phase, &before, &after); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(g.Stdout, text)
	return err
}

func journalPath(dir, app string) string { return filepath.Join(dir, app+".journal.jsonl") }

// needless says why an order need not be given, or cannot be.
func needless(v *view, phase v1alpha1.Phase) (string, error) {
	st := &v.Status
	switch {
	case st.Phase == "":
		return "", fmt.Errorf("nothing is known of %s yet: %s holds no state that could be changed", v.Name, v.Dir)
	case st.Phase != phase || v.Ordered != "":
		return "", nil
	case phase == v1alpha1.PhaseRecovering:
		return "", fmt.Errorf("%s: refused: a recovery is under way already; follow it: evenkeel events %s --follow", v.Name, v.Name)
	}
	text := v.Name + " is Healthy already; there is nothing to reset"
	if n := v.spent(); n > 0 {
		text += fmt.Sprintf(" (%d of %d attempts are spent; they are forgotten when it has proven itself)", n, v.maxAttempts())
	}
	return text, nil
}

// outcome says what has become of an order; with neither a text nor an error it is not decided yet.
func outcome(phase v1alpha1.Phase, before, after *view, events []v1alpha1.Event) (string, error) {
	moved := ""
	for _, e := range events {
		switch e.Reason {
		case v1alpha1.ReasonOrderRefused, v1alpha1.ReasonStateRejected:
			return "", fmt.Errorf("%s: refused: %s", after.Name, strings.TrimPrefix(plain(e.Message), "order refused: "))
		case v1alpha1.ReasonPhaseChanged:
			if e.From == before.Status.Phase && e.Phase == phase {
				moved = string(e.Phase)
			}
		}
	}
	if after.Ordered != "" || after.Meta.ResourceVersion == before.Meta.ResourceVersion {
		return "", nil
	}
	st := &after.Status
	if phase == v1alpha1.PhaseRecovering {
		r := st.Recovery
		if r == nil || r.Trigger != v1alpha1.TriggerOperator || before.Status.Recovery != nil && r.StartedAt == before.Status.Recovery.StartedAt {
			return "", nil
		}
		text := fmt.Sprintf("%s: %s → Recovering: recovery %s (plan %s)", after.Name, before.Status.Phase, r.ID, r.Plan)
		if r.Open() {
			return text + " is under way; follow it: evenkeel events " + after.Name + " --follow", nil
		}
		return text + " took " + human(r.FinishedAt.Since(r.StartedAt)) + ": " + plain(r.Message), nil
	}
	if st.Phase != phase && moved == "" {
		return "", nil
	}
	text := fmt.Sprintf("%s: %s → %s, %s available", after.Name, before.Status.Phase, phase, count(int(after.maxAttempts()-after.spent()), "attempt"))
	if st.Phase != phase {
		text += fmt.Sprintf("; it is %s again: %s", st.Phase, plain(st.Message))
	}
	return text, nil
}

// undecided says how an order stands that nobody has decided in time.
func undecided(phase v1alpha1.Phase, before, after *view) (string, error) {
	switch {
	case after.Holder == nil:
		return "", noSupervisorf("the supervisor of %s has just ended; the order stands in its state file and counts when evenkeel starts", after.Name)
	case phase == v1alpha1.PhaseRecovering && after.Status.Demand != nil:
		return after.Name + ": the order is taken; the recovery begins after the next look, which may take as long as the checks' timeouts; " +
			"follow it: evenkeel events " + after.Name + " --follow", nil
	}
	return "", fmt.Errorf("%s: the supervisor (process %d) has not taken the order within %s; it stays %s; see %s",
		after.Name, after.Holder.PID, human(orderWait), before.Status.Phase, monitorLog(after.Dir))
}

var (
	phaseValue = regexp.MustCompile(`(?m)^(phase:[ \t]*)("[^"\n]*"|'[^'\n]*'|[^\s#]*)`)
	forceLine  = regexp.MustCompile(`(?m)^force:.*\n?`)
)

// spliceOrder puts an order into a state file, and changes nothing but the value of phase, and force beside it.
func spliceOrder(data []byte, phase v1alpha1.Phase, force bool) ([]byte, error) {
	data = forceLine.ReplaceAll(data, nil)
	at := phaseValue.FindAllSubmatchIndex(data, 2)
	if len(at) != 1 {
		return nil, fmt.Errorf("the state file has %d lines that begin with \"phase:\", not one; a running supervisor writes it anew", len(at))
	}
	head, value, rest := data[:at[0][3]], []byte(phase), data[at[0][5]:]
	if bytes.HasSuffix(head, []byte(":")) {
		value = append([]byte(" "), value...)
	}
	if force {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		rest = append(append(bytes.Clone(line), "\nforce: true\n"...), after...)
	}
	return append(append(bytes.Clone(head), value...), rest...), nil
}

// errMoved says that the state file was written at the same instant.
var errMoved = errors.New("the state file is being written all the time")

// writeOrder puts an order into a state file in one step. Its mode and owner stay as they are.
func writeOrder(path string, phase v1alpha1.Phase, force bool) error {
	for range orderTries {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		result, err := spliceOrder(data, phase, force)
		if err != nil {
			return err
		}
		if err := replaceOrder(path, data, result); !errors.Is(err, errMoved) {
			return err
		}
	}
	return errMoved
}

// replaceOrder puts content in the place of a file that still holds what was read.
func replaceOrder(path string, read, content []byte) (err error) {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", path)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.order") // not a name that is taken for a state file
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = tmp.Close()
			_ = os.Remove(tmp.Name())
		}
	}()
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() != int(owner.Uid) {
		if err := tmp.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
			return fmt.Errorf("keeping its owner: %w", err)
		}
	}
	if err := tmp.Chmod(info.Mode().Perm()); err != nil {
		return err
	}
	if _, err := tmp.Write(content); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, read) {
		return errors.Join(errMoved, err)
	}
	return os.Rename(tmp.Name(), path)
}
