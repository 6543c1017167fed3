package desired

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/strict"
	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

const kindList = "List"

// list is the envelope of an AppList or a List.
type list struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []any `json:"items"`
}

// add reads a file's documents.
func (s *Set) add(file *File) {
	s.Files = append(s.Files, file)
	if len(file.Problems) > 0 {
		s.Rejected = append(s.Rejected, &Rejected{File: file.Path, Problems: file.Problems})
		return
	}
	docs, problems := strict.Parse(file.Data, file.Path)
	if len(problems) == 0 && len(docs) == 0 {
		problems = strict.Problems{{File: file.Path, Line: 1, Column: 1, Message: "the file is empty",
			Remedy: "want a document with kind: App; remove the file to end supervision"}}
	}
	if len(problems) > 0 {
		s.reject(file, "", problems)
	}
	for _, doc := range docs {
		s.addDocument(file, doc)
	}
	file.Problems.Sort()
}

func (s *Set) addDocument(file *File, doc *strict.Document) {
	if !doc.HasKeys() {
		s.reject(file, "", strict.Problems{doc.Problem("", "the document is no App",
			"want \"apiVersion: "+v1alpha1.GroupVersion+"\" and \"kind: App\" in lines of their own")})
		return
	}
	if kind := doc.Text("kind"); kind != v1alpha1.KindAppList && kind != kindList {
		s.addApp(file, doc)
		return
	}
	var envelope list
	problems := doc.Decode(&envelope, strict.Ignore("items"))
	if doc.Text("kind") == v1alpha1.KindAppList {
		problems = append(problems, versionProblem(doc)...)
	}
	items := doc.Items("items")
	if len(items) == 0 {
		problems = append(problems, doc.Problem("items", "the list holds no App", "want items: with an App in each entry"))
	}
	if len(problems) > 0 {
		s.reject(file, "", problems)
	}
	for _, item := range items {
		s.addApp(file, item)
	}
}

func (s *Set) addApp(file *File, doc *strict.Document) {
	app, problems := decodeApp(doc)
	if len(problems) > 0 {
		s.reject(file, doc.Text("metadata.name"), problems)
		return
	}
	s.Apps = append(s.Apps, &Entry{App: app, File: file.Path, Line: doc.Line("metadata.name"),
		Start: doc.Start, End: doc.End, Raw: doc.Raw()})
}

func (s *Set) reject(file *File, name string, problems strict.Problems) {
	file.Problems = append(file.Problems, problems...)
	s.Rejected = append(s.Rejected, &Rejected{Name: name, File: file.Path, Problems: problems})
}

// decodeApp reads one App over the defaults and validates it.
func decodeApp(doc *strict.Document) (*v1alpha1.App, strict.Problems) {
	if problems := kindProblem(doc); problems != nil {
		return nil, problems
	}
	app := v1alpha1.NewApp()
	app.Spec.ConfirmInterval = metav1.Duration{}
	problems := append(versionProblem(doc), doc.Decode(app, strict.Ignore("status"))...)
	v1alpha1.CompleteDefaults(app)
	problems = append(problems, doc.Locate(v1alpha1.Validate(app), problems)...)
	problems.Sort()
	if len(problems) > 0 {
		return nil, problems
	}
	return app, nil
}

func kindProblem(doc *strict.Document) strict.Problems {
	if !doc.HasKeys() {
		return strict.Problems{doc.Problem("", "the entry is no App", "want kind: App and the rest of an App in it")}
	}
	switch kind := doc.Text("kind"); {
	case kind == v1alpha1.KindApp:
		return nil
	case kind == "" && isSpelt(doc, "kind"):
		return nil // Decode says that, and what else is wrong.
	case kind == "":
		return strict.Problems{doc.Problem("kind", "missing", "want kind: "+v1alpha1.KindApp)}
	default:
		return strict.Problems{doc.Problem("kind", fmt.Sprintf("got %q", kind), "want "+v1alpha1.KindApp)}
	}
}

func versionProblem(doc *strict.Document) strict.Problems {
	switch version := doc.Text("apiVersion"); {
	case version == v1alpha1.GroupVersion:
		return nil
	case version == "" && isSpelt(doc, "apiVersion"):
		return nil // Decode says that.
	case version == "":
		return strict.Problems{doc.Problem("apiVersion", "missing", "want apiVersion: "+v1alpha1.GroupVersion)}
	default:
		return strict.Problems{doc.Problem("apiVersion", fmt.Sprintf("got %q", version), "want "+v1alpha1.GroupVersion)}
	}
}

// isSpelt tells whether the document has a key that differs from the given one in letter case only.
func isSpelt(doc *strict.Document, key string) bool {
	return slices.ContainsFunc(doc.Keys(), func(got string) bool { return got != key && strings.EqualFold(got, key) })
}

// refuseDoubled takes out Apps that are in each other's way: of the same name, of the same process, or of the same port. Two
// supervisors of one process would restart each other's restarts, and which of the two is meant, nobody but their author
// can say.
func (s *Set) refuseDoubled() {
	for _, is := range []struct {
		field, what string
		key         func(app *v1alpha1.App) string
	}{
		{"metadata.name", "is called", func(app *v1alpha1.App) string { return app.Name }},
		{"spec.runtime.pm2.process", "supervises", processKey},
		{"spec.runtime.systemd.unit", "supervises", unitKey},
		{"spec.port", "has", func(app *v1alpha1.App) string { return strconv.Itoa(int(app.Spec.Port)) }},
	} {
		s.refuseSame(is.field, is.what, is.key)
	}
}

func processKey(app *v1alpha1.App) string {
	if pm2 := app.Spec.Runtime.PM2; pm2 != nil {
		return pm2.Process + "\x00" + pm2.Home
	}
	return app.Name
}

func unitKey(app *v1alpha1.App) string {
	if systemd := app.Spec.Runtime.Systemd; systemd != nil {
		return systemd.Unit + "\x00" + strconv.FormatBool(systemd.User)
	}
	return "\x00" + app.Name
}

func (s *Set) refuseSame(field, what string, key func(app *v1alpha1.App) string) {
	places := map[string][]*Entry{}
	for _, e := range s.Apps {
		places[key(e.App)] = append(places[key(e.App)], e)
	}
	kept := make([]*Entry, 0, len(s.Apps))
	for _, e := range s.Apps {
		same := places[key(e.App)]
		if len(same) == 1 {
			kept = append(kept, e)
			continue
		}
		other := same[0]
		if other == e {
			other = same[1]
		}
		value, _, _ := strings.Cut(key(e.App), "\x00")
		problem := strict.Problem{File: e.File, Line: e.Line, Column: 1, Field: field,
			Message: fmt.Sprintf("got %q, which %s:%d %s too", value, other.File, other.Line, what),
			Remedy:  "want one of its own for each App; none of them is in force like this"}
		for _, f := range s.Files {
			if f.Path == e.File {
				s.reject(f, e.App.Name, strict.Problems{problem})
				f.Problems.Sort()
			}
		}
	}
	s.Apps = kept
}
