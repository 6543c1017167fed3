package desired

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/evenkeel/evenkeel/api/strict"
	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// Errors of editing, to be found with errors.Is.
var (
	// ErrNoApp says that the file holds no App of that name.
	ErrNoApp = errors.New("no such App")
	// ErrChanged says that somebody else kept writing the file at the same time.
	ErrChanged = errors.New("the file is being changed by somebody else")
	// ErrRefused says that the change would not have had exactly the effect that is meant; nothing was written.
	ErrRefused = errors.New("refused")
)

// Change is one change of one field of an App.
type Change struct {
	path   []string
	value  any
	remove bool
}

// SetField gives the field at a path, such as spec, checks, local, timeout, a value: text, true or false, a whole number,
// a time or a duration.
func SetField(path []string, value any) Change { return Change{path: path, value: value} }

// RemoveField takes the field at a path away. Where a comment stands beside it, the field is set to null instead, which
// means the same, so that the comment stays.
func RemoveField(path []string) Change { return Change{path: path, remove: true} }

// Edit changes fields of an App in its file and leaves every other byte as it is. The file stays as it was unless the
// result is right and differs in exactly those fields.
func Edit(file, app string, changes ...Change) error {
	return rewrite(file, func(data []byte) ([]byte, error) { return Splice(data, file, app, changes...) })
}

// Pause sets paused, and the reason and the end of the pause, or takes those away where they are empty.
func Pause(file, app, reason string, until time.Time) error {
	changes := []Change{SetField([]string{"spec", "paused"}, true)}
	if reason == "" {
		changes = append(changes, RemoveField([]string{"spec", "pauseReason"}))
	} else {
		changes = append(changes, SetField([]string{"spec", "pauseReason"}, reason))
	}
	if until.IsZero() {
		changes = append(changes, RemoveField([]string{"spec", "pausedUntil"}))
	} else {
		changes = append(changes, SetField([]string{"spec", "pausedUntil"}, until))
	}
	return Edit(file, app, changes...)
}

// Resume ends a pause: paused becomes false where it is there, and the reason and the end of the pause are taken away.
func Resume(file, app string) error {
	return rewrite(file, func(data []byte) ([]byte, error) {
		target, err := find(data, file, app)
		if err != nil {
			return nil, err
		}
		changes := []Change{RemoveField([]string{"spec", "pauseReason"}), RemoveField([]string{"spec", "pausedUntil"})}
		if _, value := target.doc.Find("spec.paused"); value != nil {
			changes = append(changes, SetField([]string{"spec", "paused"}, false))
		}
		return Splice(data, file, app, changes...)
	})
}

// target is an App in a file that is to be edited.
type target struct {
	doc *strict.Document
	// trees are the file's documents as plain data, and at is the path to the App in one of them.
	trees []any
	tree  int
	at    []string
}

// find looks for the App in the file's documents. Another document that is wrong is no hindrance.
func find(data []byte, file, app string) (*target, error) {
	docs, problems := strict.Parse(data, file)
	var found []*target
	var trees []any
	for i, doc := range docs {
		tree, _ := doc.Plain()
		trees = append(trees, tree)
		units, paths := []*strict.Document{doc}, [][]string{nil}
		if kind := doc.Text("kind"); kind == v1alpha1.KindAppList || kind == kindList {
			units, paths = doc.Items("items"), nil
			for j := range units {
				paths = append(paths, []string{"items", strconv.Itoa(j)})
			}
		}
		for j, unit := range units {
			if unit.Text("metadata.name") == app && unit.Text("kind") == v1alpha1.KindApp {
				found = append(found, &target{doc: unit, tree: i, at: paths[j]})
			}
		}
	}
	switch {
	case len(found) == 0 && len(problems) > 0:
		return nil, fmt.Errorf("%w %q in %s, which cannot be read whole: %w", ErrNoApp, app, file, problems)
	case len(found) == 0:
		return nil, fmt.Errorf("%w %q in %s", ErrNoApp, app, file)
	case len(found) > 1:
		return nil, fmt.Errorf("%w: %s has %q in line %d and in line %d; want a name of its own for each App", ErrRefused, file, app,
			found[0].doc.Line("metadata.name"), found[1].doc.Line("metadata.name"))
	}
	found[0].trees = trees
	return found[0], nil
}

// Splice is Edit on bytes at hand; file is the name that problems bear.
func Splice(data []byte, file, app string, changes ...Change) ([]byte, error) {
	before, err := find(data, file, app)
	if err != nil {
		return nil, err
	}
	if _, problems := decodeApp(before.doc); len(problems) > 0 {
		return nil, fmt.Errorf("%w: %q is not in force as it stands; mend it first: %w", ErrRefused, app, problems)
	}
	changes = slices.Clone(changes)
	result, current := data, before
	var previous []string
	for i, change := range changes {
		if changes[i], err = change.normal(); err != nil {
			return nil, err
		}
		s := &splicer{data: result, doc: current.doc}
		if result, err = s.apply(changes[i], previous); err != nil {
			return nil, fmt.Errorf("%w: %s in %s: %w; want it edited by hand", ErrRefused, changes[i], file, err)
		}
		previous = change.path
		if current, err = find(result, file, app); err != nil {
			return nil, fmt.Errorf("%w: %s in %s cannot be changed without touching more: %w; want it edited by hand",
				ErrRefused, changes[i], file, err)
		}
	}
	if bytes.Equal(result, data) {
		return data, nil
	}
	if _, problems := decodeApp(current.doc); len(problems) > 0 {
		return nil, fmt.Errorf("%w: the change would not be in force: %w", ErrRefused, problems)
	}
	for _, change := range changes {
		before.trees[before.tree] = change.applied(before.trees[before.tree], append(append([]string(nil), before.at...), change.path...))
	}
	if !reflect.DeepEqual(before.trees, current.trees) {
		return nil, fmt.Errorf("%w: the change would have changed more than its fields, as where an alias repeats them: "+
			"want %s edited by hand", ErrRefused, file)
	}
	return result, nil
}

// applied is plain data with the change made at a path.
func (c Change) applied(tree any, path []string) any {
	if len(path) == 0 {
		return c.value
	}
	if list, ok := tree.([]any); ok {
		if i, err := strconv.Atoi(path[0]); err == nil && i < len(list) {
			list[i] = c.applied(list[i], path[1:])
		}
		return list
	}
	m, ok := tree.(map[string]any)
	switch {
	case !ok && c.remove:
		return tree
	case !ok:
		m = map[string]any{}
	}
	if c.remove && len(path) == 1 {
		delete(m, path[0])
		return m
	}
	if inner := c.applied(m[path[0]], path[1:]); inner != nil {
		m[path[0]] = inner
	}
	return m
}

// own is the key and value of a name in a mapping itself, whatever it merges.
func own(mapping *yaml.Node, name string) (key, value *yaml.Node) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if k := mapping.Content[i]; k.Kind == yaml.ScalarNode && k.Value == name {
			return k, mapping.Content[i+1]
		}
	}
	return nil, nil
}
