// Package house keeps the arrows of the design: who may import whom, who may make a logger, and what the brain must not
// touch. It has no code but its test.
package house

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	module  = "github.com/evenkeel/evenkeel"
	logrus  = "github.com/sirupsen/logrus"
	backoff = "github.com/cenkalti/backoff/v4"
)

// rule says what the packages at or below a path of ours may import of ours. The first rule that fits counts.
type rule struct {
	from string
	may  []string // paths at or below which everything may be imported; "" is everything but cmd
}

// arrows is the design's "imports point down only".
var arrows = []rule{
	{"main", []string{"cmd"}},
	{"cmd", []string{""}},
	{"hack", []string{""}},
	{"api/v1alpha1", nil},
	{"api/strict", nil},
	{"api/alert", []string{"api/v1alpha1", "controller/pace"}},
	{"api", []string{"api/v1alpha1", "api/strict"}},
	{"controller/pass", []string{"api/v1alpha1"}},
	{"controller/pace", nil},
	{"controller", []string{"api/v1alpha1", "controller/pass", "controller/pace", "state"}},
	{"reconcilers", []string{"api/v1alpha1", "controller/pass", "controller/pace", "state/watch", "reconcilers"}},
	{"state/machine", []string{"api/v1alpha1"}},
	{"state/watch", nil},
	{"state/desired", []string{"api/v1alpha1", "api/strict", "state/watch"}},
	{"state", []string{"api/v1alpha1", "state"}},
}

// soleImporters are the libraries that stand behind one package of ours each.
var soleImporters = map[string]string{
	"github.com/looplab/fsm":       "state/machine",
	"github.com/fsnotify/fsnotify": "state/watch",
	backoff:                        "controller/pace",
}

// loggers may make a logger, or use logrus' own; everybody else takes a FieldLogger.
var loggers = []string{"cmd", "api/monitor"}

// loggerMakers are the names in logrus that make a logger or use its standard one.
var loggerMakers = func() []string {
	names := []string{
		"New", "StandardLogger", "SetOutput", "SetLevel", "GetLevel", "SetFormatter", "SetReportCaller", "SetBufferPool",
		"AddHook", "WithField", "WithFields", "WithError", "WithContext", "WithTime",
	}
	for _, level := range []string{"Trace", "Debug", "Info", "Print", "Warn", "Warning", "Error", "Fatal", "Panic"} {
		names = append(names, level, level+"f", level+"ln", level+"Fn")
	}
	return names
}()

// pkg is a package as go list tells it.
type pkg struct {
	Dir, ImportPath, Name                        string
	GoFiles, CgoFiles, TestGoFiles, XTestGoFiles []string
}

// own is the package's path within the module; "main" for the module's root.
func (p *pkg) own() string {
	if p.ImportPath == module {
		return "main"
	}
	return strings.TrimPrefix(p.ImportPath, module+"/")
}

// file is a parsed file, with what it imports by the name under which it does.
type file struct {
	pkg  *pkg
	test bool
	ast  *ast.File
	set  *token.FileSet
}

// at says where something is, from the module's root.
func (f *file) at(n ast.Node) string {
	pos := f.set.Position(n.Pos())
	return fmt.Sprintf("%s:%d", filepath.Join(".", strings.TrimPrefix(strings.TrimPrefix(f.pkg.ImportPath, module), "/"), filepath.Base(pos.Filename)), pos.Line)
}

// imports gives the paths that the file imports, and where. A blank import binds nothing and is left out.
func (f *file) imports() map[string]*ast.ImportSpec {
	all := map[string]*ast.ImportSpec{}
	for _, spec := range f.ast.Imports {
		if spec.Name != nil && spec.Name.Name == "_" {
			continue
		}
		if path, err := strconv.Unquote(spec.Path.Value); err == nil {
			all[path] = spec
		}
	}
	return all
}

// nameOf is the name under which the file knows a package; "" if it does not.
func (f *file) nameOf(path string) string {
	spec := f.imports()[path]
	switch {
	case spec == nil:
		return ""
	case spec.Name != nil:
		return spec.Name.Name
	}
	base := filepath.Base(path)
	if strings.HasPrefix(base, "v") && strings.Trim(base[1:], "0123456789") == "" {
		base = filepath.Base(filepath.Dir(path))
	}
	return base
}

// eachUse calls found for every use of a name of the package at path.
func (f *file) eachUse(path string, found func(at ast.Node, name string)) {
	known := f.nameOf(path)
	if known == "" {
		return
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			if left, ok := selector.X.(*ast.Ident); ok && left.Name == known {
				found(selector, selector.Sel.Name)
			}
		}
		return true
	})
}

// load gives every file of the module that go list knows, parsed.
func load(t *testing.T) []*file {
	t.Helper()
	files, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("go list gave only %d files", len(files))
	}
	return files
}

var parsed = sync.OnceValues(func() ([]*file, error) {
	root := filepath.Join("..", "..")
	// go test takes an earlier result unless a file or folder that the test itself has opened is another one now. What go
	// list opens does not count, so that a new file would not be seen.
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != root && (entry.Name()[0] == '.' || entry.Name() == "node_modules") {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.Background(), "go", "list", "-e", "-json=Dir,ImportPath,Name,GoFiles,CgoFiles,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, stderr.Bytes())
	}
	var files []*file
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		p := &pkg{}
		if err := decoder.Decode(p); errors.Is(err, io.EOF) {
			return files, nil
		} else if err != nil {
			return nil, err
		}
		plain := slices.Concat(p.GoFiles, p.CgoFiles)
		for i, name := range slices.Concat(plain, p.TestGoFiles, p.XTestGoFiles) {
			set := token.NewFileSet()
			parsed, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			files = append(files, &file{pkg: p, test: i >= len(plain), ast: parsed, set: set})
		}
	}
})

func within(path, under string) bool {
	return under == "" || path == under || strings.HasPrefix(path, under+"/")
}

func TestImportsPointDown(t *testing.T) {
	for _, f := range load(t) {
		from := f.pkg.own()
		index := slices.IndexFunc(arrows, func(r rule) bool { return within(from, r.from) })
		if index < 0 {
			t.Errorf("%s: there is no rule for this package: say in hack/house what it may import", from)
			continue
		}
		r := arrows[index]
		for path, spec := range f.imports() {
			to, ours := strings.CutPrefix(path, module+"/")
			if !ours || path == f.pkg.ImportPath {
				continue
			}
			if within(to, "cmd") && from != "main" && from != "cmd" { // cmd may keep parts of itself below it
				t.Errorf("%s imports %s: nobody imports cmd but main", f.at(spec), to)
			}
			allowed := slices.ContainsFunc(r.may, func(may string) bool { return within(to, may) })
			if !allowed && !f.test { // a test may reach further, as it ships nowhere
				t.Errorf("%s imports %s: %s may import of ours only %s", f.at(spec), to, r.from, orNothing(r.may))
			}
		}
	}
}

func TestALibraryStandsBehindOnePackage(t *testing.T) {
	for _, f := range load(t) {
		for path, spec := range f.imports() {
			if sole, ok := soleImporters[path]; ok && f.pkg.own() != sole {
				t.Errorf("%s imports %s: only %s does", f.at(spec), path, sole)
			}
		}
	}
}

func TestOnlyTheCompositionRootMakesLoggers(t *testing.T) {
	for _, f := range load(t) {
		if f.test || slices.ContainsFunc(loggers, func(l string) bool { return within(f.pkg.own(), l) }) {
			continue
		}
		f.eachUse(logrus, func(at ast.Node, name string) {
			if slices.Contains(loggerMakers, name) {
				t.Errorf("%s uses logrus.%s: only %s make loggers, others take a FieldLogger", f.at(at), name, orNothing(loggers))
			}
		})
	}
}

func TestTheEngineKnowsNoHTTPAndStartsNoPrograms(t *testing.T) {
	for _, f := range load(t) {
		if f.test || !within(f.pkg.own(), "controller") {
			continue
		}
		for path, spec := range f.imports() {
			if within(path, "net") || path == "os/exec" || path == "syscall" || within(path, "golang.org/x/sys") {
				t.Errorf("%s imports %s: the engine does no I/O of its own", f.at(spec), path)
			}
		}
	}
}

// brain is where Step and Decide live: no goroutine, no clock, no randomness, no I/O.
var brain = []string{"step.go", "decide.go", "recovery.go", "incident.go", "schedule.go", "conditions.go"}

// notInTheBrain are packages, and the names in them, that the brain must not use; no names means all of them.
var notInTheBrain = map[string][]string{
	"time":         {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"},
	"math/rand":    nil,
	"math/rand/v2": nil,
	"crypto/rand":  nil,
	"os":           nil,
	"io":           nil,
	"sync":         nil,
	"sync/atomic":  nil,
	"context":      nil,
	"runtime":      nil,
	logrus:         nil,
}

func TestTheBrainIsPure(t *testing.T) {
	met := map[string]bool{}
	for _, f := range load(t) {
		name := filepath.Base(f.set.Position(f.ast.Pos()).Filename)
		if f.pkg.own() != "controller" || !slices.Contains(brain, name) {
			continue
		}
		met[name] = true
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n.(type) {
			case *ast.GoStmt, *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
				t.Errorf("%s: no goroutines and no channels in the brain; the loop owns concurrency", f.at(n))
			}
			return true
		})
		for path, names := range notInTheBrain {
			f.eachUse(path, func(at ast.Node, used string) {
				if names == nil || slices.Contains(names, used) {
					t.Errorf("%s uses %s.%s: the brain has no clock, no randomness and no I/O; it is handed what it needs", f.at(at), path, used)
				}
			})
		}
	}
	for _, name := range brain {
		if !met[name] {
			t.Errorf("controller/%s is gone: name the files of the brain in hack/house anew", name)
		}
	}
}

func TestMainCallsCmdExecuteAndNothingElse(t *testing.T) {
	for _, f := range load(t) {
		if f.pkg.own() != "main" || f.test {
			continue
		}
		var calls []string
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				name := "?"
				if selector, ok := call.Fun.(*ast.SelectorExpr); ok {
					if left, ok := selector.X.(*ast.Ident); ok {
						name = left.Name + "." + selector.Sel.Name
					}
				}
				calls = append(calls, name)
			}
			return true
		})
		calls = slices.DeleteFunc(calls, func(c string) bool { return c == "os.Exit" }) // with what Execute returns
		_, imports := f.imports()[module+"/cmd"]
		if !slices.Equal(calls, []string{"cmd.Execute"}) || !imports || len(f.ast.Decls) != 2 {
			t.Errorf("%s: it calls %v and has %d declarations: main calls cmd.Execute and nothing else", f.at(f.ast), calls, len(f.ast.Decls))
		}
	}
}

func orNothing(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}
