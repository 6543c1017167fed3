package state

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// lastPass is the file: the last pass, and those before it where they help to understand it.
type lastPass struct {
	*v1alpha1.Observation
	Before []v1alpha1.Observation `json:"before,omitempty"`
}

// WriteLastPass puts the last finished pass where other commands find it: `<app>.pass.json`, with those before it, oldest
// first, where they are given. It is written on every pass and not forced to disk: after a loss of power it may be old, or
// empty.
func WriteLastPass(dir, app string, o *v1alpha1.Observation, before ...v1alpha1.Observation) error {
	return writeLastPass(OS(), dir, app, o, before...)
}

func writeLastPass(fs FS, dir, app string, o *v1alpha1.Observation, before ...v1alpha1.Observation) error {
	if err := CheckName(app); err != nil {
		return err
	}
	data, err := json.Marshal(lastPass{o, before})
	if err == nil {
		err = replace(fs, passPath(dir, app), append(data, '\n'), false)
	}
	if err != nil {
		return fmt.Errorf("writing the last pass of %s: %w", app, err)
	}
	return nil
}

// ReadLastPass reads the last finished pass. Where there is none yet the error is os.ErrNotExist.
func ReadLastPass(dir, app string) (*v1alpha1.Observation, error) {
	list, err := ReadPasses(dir, app)
	if err != nil {
		return nil, err
	}
	return &list[len(list)-1], nil
}

// ReadPasses reads the last finished pass and those before it that were kept with it, oldest first. There is at least one,
// or an error; where there is none yet it is os.ErrNotExist.
func ReadPasses(dir, app string) ([]v1alpha1.Observation, error) {
	if err := CheckName(app); err != nil {
		return nil, err
	}
	data, _, err := OS().Read(passPath(dir, app))
	if err != nil {
		return nil, fmt.Errorf("reading the last pass of %s: %w", app, err)
	}
	last := lastPass{Observation: &v1alpha1.Observation{}}
	if err := json.Unmarshal(data, &last); err != nil {
		return nil, fmt.Errorf("reading the last pass of %s: %w", app, err)
	}
	return append(last.Before, *last.Observation), nil
}

func passPath(dir, app string) string { return filepath.Join(dir, app+".pass.json") }

// DesiredCopy is the last good desired document of an App, kept for a start at which the operator's own file is broken.
type DesiredCopy struct {
	// Source is where it came from, as a path or in the caller's own words.
	Source string `json:"source"`
	// Taken is when it was taken over.
	Taken time.Time `json:"taken"`
	// Generation is the generation that it had.
	Generation int64 `json:"generation,omitempty"`
	// Document is the document, byte for byte.
	Document []byte `json:"-"`
}

// desiredHeader is the third line of a copy, as JSON in a comment: the copy is YAML itself.
type desiredHeader struct {
	DesiredCopy
	SHA256 string `json:"sha256"`
}

const desiredPreamble = "# The last good copy of what is desired, kept by evenkeel. Do not edit this one, but the file it was copied from:\n# evenkeel-copy: "

// maxDesiredHeader is room for the header of a copy, so that what was written can be read.
const maxDesiredHeader = 16 << 10

// ErrDamaged says that a copy is not what was written.
var ErrDamaged = errors.New("the copy is damaged or was edited")

// WriteDesired keeps the last good desired document of an App: `<app>.desired.yaml`, durably. A copy of the same document
// that is there already is left as it is.
func WriteDesired(dir, app string, d DesiredCopy) error { return writeDesired(OS(), dir, app, d) }

func writeDesired(fs FS, dir, app string, d DesiredCopy) error {
	if err := CheckName(app); err != nil {
		return err
	}
	if len(d.Document) > MaxSize-maxDesiredHeader {
		return fmt.Errorf("keeping the desired state of %s: it is larger than %d KiB", app, (MaxSize-maxDesiredHeader)>>10)
	}
	if kept, err := readDesired(fs, dir, app); err == nil && bytes.Equal(kept.Document, d.Document) &&
		kept.Source == d.Source && kept.Generation == d.Generation {
		return nil
	}
	digest := sumOf(d.Document)
	header, err := json.Marshal(desiredHeader{DesiredCopy: d, SHA256: hex.EncodeToString(digest[:])})
	if err == nil {
		err = replace(fs, desiredPath(dir, app), fmt.Appendf(nil, "%s%s\n%s", desiredPreamble, header, d.Document), true)
	}
	if err != nil {
		return fmt.Errorf("keeping the desired state of %s: %w", app, err)
	}
	return nil
}

// ReadDesired reads the last good desired document. Where there is none the error is os.ErrNotExist; a copy that is not
// what was written gives ErrDamaged.
func ReadDesired(dir, app string) (DesiredCopy, error) {
	if err := CheckName(app); err != nil {
		return DesiredCopy{}, err
	}
	return readDesired(OS(), dir, app)
}

func readDesired(fs FS, dir, app string) (DesiredCopy, error) {
	data, _, err := fs.Read(desiredPath(dir, app))
	if err != nil {
		return DesiredCopy{}, fmt.Errorf("reading the last good desired state of %s: %w", app, err)
	}
	damaged := fmt.Errorf("reading the last good desired state of %s: %w", app, ErrDamaged)
	rest, ok := strings.CutPrefix(string(data), desiredPreamble)
	if !ok {
		return DesiredCopy{}, damaged
	}
	header, document, ok := strings.Cut(rest, "\n")
	var h desiredHeader
	if !ok || json.Unmarshal([]byte(header), &h) != nil {
		return DesiredCopy{}, damaged
	}
	if digest := sumOf([]byte(document)); hex.EncodeToString(digest[:]) != h.SHA256 {
		return DesiredCopy{}, damaged
	}
	h.Document = []byte(document)
	return h.DesiredCopy, nil
}

// RemoveDesired removes the copy of an App that is not desired any more. That there is none is no error.
func RemoveDesired(dir, app string) error {
	if err := CheckName(app); err != nil {
		return err
	}
	if err := os.Remove(desiredPath(dir, app)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the copy of what was desired of %s: %w", app, err)
	}
	return nil
}

func desiredPath(dir, app string) string { return filepath.Join(dir, app+".desired.yaml") }
