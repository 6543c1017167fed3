package strict

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// remedyFor says what to do about a key that the struct at the given field does not have, and which field was meant.
func (d *decoder) remedyFor(key, at string, known *members) (remedy, meant string) {
	names := known.names()
	for _, name := range names {
		if strings.EqualFold(name, key) {
			return fmt.Sprintf("did you mean %q? Upper and lower case matter", name), join(at, name)
		}
	}
	for _, name := range names {
		if fold(name) == fold(key) {
			return fmt.Sprintf("did you mean %q?", name), join(at, name)
		}
	}
	if places, related := d.placesOf(key, at); related {
		return "it belongs under " + places.String(), ""
	} else if len(places) > 0 && len(names) <= 16 {
		return "it belongs under " + places.String() + "; known here: " + strings.Join(names, ", "), ""
	} else if len(places) > 0 {
		return "it belongs under " + places.String(), ""
	}
	best, distance := "", max(1, len(key)/3)+1
	for _, name := range names {
		if n := editDistance(strings.ToLower(name), strings.ToLower(key)); n < distance && n < len(name) {
			best, distance = name, n
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best), join(at, best)
	}
	if len(names) > 16 {
		return "want it removed", ""
	}
	return "known here: " + strings.Join(names, ", "), ""
}

// places are fields below which a key is known.
type places []string

func (p places) String() string {
	switch n := len(p); {
	case n == 1:
		return p[0]
	case n <= 3:
		return strings.Join(p[:n-1], ", ") + " or " + p[n-1]
	}
	return strings.Join(p[:3], ", ") + " or another one like them"
}

// placesOf are the fields of the document's type below which a key is known, nearest first: those below the field where
// the key stands, then those that lie least deep. They are related where one of them lies below or above that field.
func (d *decoder) placesOf(key, at string) (found places, related bool) {
	var search func(t reflect.Type, path string, above []reflect.Type)
	search = func(t reflect.Type, path string, above []reflect.Type) {
		if slices.Contains(above, t) || d.ignored(path) {
			return
		}
		above = append(slices.Clone(above), t)
		for _, m := range structMembers(t).list {
			if m.name == key && path != "" && !d.ignored(join(path, key)) {
				found = append(found, path)
			}
			if inner, suffix, ok := structBehind(m.typ); ok {
				search(inner, join(path, m.name)+suffix, above)
			}
		}
	}
	search(d.root, "", nil)
	distance := func(path string) int {
		far := strings.Count(path, ".") + 2*strings.Count(path, "[")
		if at == "" || !within(path, at) {
			far += 100
		}
		return far
	}
	slices.SortStableFunc(found, func(a, b string) int { return cmp.Compare(distance(a), distance(b)) })
	for i, path := range found {
		related = related || at == "" || within(path, at) || within(at, path)
		found[i] = join(d.doc.field, path)
	}
	return found, related
}

// fold is a key without what people write differently: case, '-' and '_'.
func fold(key string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(key))
}

// editDistance counts the letters to insert, leave out, change or swap with their neighbour to make b of a.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}

// join is the path of a key below a field.
func join(field, key string) string {
	switch {
	case field == "":
		return key
	case key == "":
		return field
	}
	return field + "." + key
}
