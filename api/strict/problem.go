// Package strict reads YAML into Go types as strictly as an API server would, and reports every mistake of a file at
// once, each with its line, its column, its field and what would be right. It knows no particular type: what is allowed
// follows from the json tags of the type that is read into.
package strict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake in a file.
type Problem struct {
	// File is the file's name, as it was given.
	File string `json:"file"`
	// Line and Column begin at 1; 0 says that the mistake has no place of its own.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Field is the path of the field, such as spec.checks.local.timeout. It is empty where no field is at fault.
	Field string `json:"field,omitempty"`
	// Message says what is wrong.
	Message string `json:"message"`
	// Remedy says what would be right.
	Remedy string `json:"remedy,omitempty"`

	// meant is the field that was probably meant by a key that is not known.
	meant string
}

// Error is one line: file:line:column: field: what is wrong, what would be right.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, max(p.Column, 1))
	}
	b.WriteString(": ")
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Message)
	if p.Remedy != "" {
		b.WriteString(", " + p.Remedy)
	}
	return b.String()
}

// Problems are the mistakes of one or more files.
type Problems []Problem

// Error is one line for each mistake.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Err is nil where there is no mistake.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// Sort puts the mistakes in the order of their places; files stay together, in the order of their names.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// covers tells whether a mistake that was already found explains one at the given field.
func (ps Problems) covers(field string) bool {
	return slices.ContainsFunc(ps, func(p Problem) bool {
		return p.Field != "" && (within(field, p.Field) || within(p.Field, field)) || p.meant != "" && within(field, p.meant)
	})
}

// within tells whether a field is the other one or lies in it.
func within(field, outer string) bool {
	rest, ok := strings.CutPrefix(field, outer)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
