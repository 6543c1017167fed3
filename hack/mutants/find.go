package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"sort"
	"strings"
)

// mutant is one small change to the source.
type mutant struct {
	id         int
	file, fn   string
	line       int
	change     string // what is changed, in words and source
	killed     string // by what; empty while it lives
	occurrence int    // of the same change in the same function
}

// key names a mutant for as long as the source around it stays; line numbers move.
func (m *mutant) key() string {
	key := fmt.Sprintf("%s %s: %s", m.file, m.fn, m.change)
	if m.occurrence > 1 {
		key += fmt.Sprintf(" (%d)", m.occurrence)
	}
	return key
}

// edit puts text in the place of source[from:to].
type edit struct {
	from, to int
	text     string
	order    int
}

// finder finds the mutants of one file, and writes them all into it at once, each behind a switch.
type finder struct {
	file    string
	source  []byte
	set     *token.FileSet
	fn      string
	value   string // the package's variable that is being declared
	results []*ast.FuncType
	next    int
	edits   []edit
	mutants []*mutant
	done    map[ast.Expr]bool
}

// instrument gives a file with all its mutants, numbered from next on.
func instrument(root, file string, next int) ([]byte, []*mutant, error) {
	source, err := os.ReadFile(root + "/" + file) // #nosec G304 -- a source file of the project
	if err != nil {
		return nil, nil, err
	}
	f := &finder{file: file, source: source, set: token.NewFileSet(), next: next, done: map[ast.Expr]bool{}}
	parsed, err := parser.ParseFile(f.set, file, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, nil, err
	}
	for _, d := range parsed.Decls {
		f.fn = "(package)"
		if fn, ok := d.(*ast.FuncDecl); ok {
			f.fn = fn.Name.Name
		}
		f.inspect(d)
	}
	seen := map[string]int{}
	for _, m := range f.mutants {
		m.occurrence = 0
		seen[m.key()]++
		m.occurrence = seen[m.key()]
	}
	return f.apply(), f.mutants, nil
}

// inspect goes through a piece of source, and knows of which function what it meets is.
func (f *finder) inspect(root ast.Node) {
	var path []ast.Node
	ast.Inspect(root, func(n ast.Node) bool {
		if n == nil {
			if last := path[len(path)-1]; isFunction(last) {
				f.results = f.results[:len(f.results)-1]
			}
			path = path[:len(path)-1]
			return true
		}
		if !f.visit(n) {
			return false
		}
		switch n := n.(type) {
		case *ast.FuncDecl:
			f.results = append(f.results, n.Type)
		case *ast.FuncLit:
			f.results = append(f.results, n.Type)
		}
		path = append(path, n)
		return true
	})
}

func isFunction(n ast.Node) bool {
	switch n.(type) {
	case *ast.FuncDecl, *ast.FuncLit:
		return true
	}
	return false
}

func (f *finder) at(p token.Pos) int { return f.set.Position(p).Offset }

func (f *finder) text(n ast.Node) string {
	return strings.Join(strings.Fields(string(f.source[f.at(n.Pos()):f.at(n.End())])), " ")
}

// add notes a mutant; its number goes into the source.
func (f *finder) add(n ast.Node, change string) int {
	if r := []rune(change); len(r) > 110 {
		change = string(r[:110]) + "…"
	}
	m := &mutant{id: f.next, file: f.file, fn: f.fn, line: f.set.Position(n.Pos()).Line, change: change}
	f.next++
	f.mutants = append(f.mutants, m)
	return m.id
}

func (f *finder) insert(at int, text string) {
	f.edits = append(f.edits, edit{at, at, text, len(f.edits)})
}

// wrap puts a call around an expression.
func (f *finder) wrap(n ast.Node, call string, id int) {
	f.insert(f.at(n.Pos()), fmt.Sprintf("%s(%d, ", call, id))
	f.closing(n, ")")
}

// closing puts text after a node, inside of what encloses it and ends at the same place.
func (f *finder) closing(n ast.Node, text string) {
	f.edits = append(f.edits, edit{f.at(n.End()), f.at(n.End()), text, -1 - len(f.edits)})
}

func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GenDecl:
		return f.declaration(n)
	case *ast.ValueSpec:
		if f.fn == "(package)" {
			f.value = n.Names[0].Name
		}
	case *ast.IfStmt:
		f.condition(n.Cond)
	case *ast.ForStmt:
		if n.Cond != nil {
			f.condition(n.Cond)
		}
	case *ast.ReturnStmt:
		f.returned(n)
	case *ast.IndexExpr:
		if lit, ok := n.Index.(*ast.BasicLit); ok && lit.Kind == token.INT {
			f.wrap(lit, "mutantMore", f.add(n, "one more: "+f.text(n)))
		}
	case *ast.SwitchStmt:
		if n.Tag == nil {
			for _, c := range n.Body.List {
				for _, e := range c.(*ast.CaseClause).List {
					f.condition(e)
				}
			}
		}
	case *ast.BlockStmt:
		f.statements(n.List)
	case *ast.CaseClause:
		f.statements(n.Body)
	case *ast.BinaryExpr:
		f.binary(n)
	case *ast.Ident:
		if n.Name == "true" || n.Name == "false" {
			f.negate(n)
		}
	case *ast.CallExpr:
		if name, ok := n.Fun.(*ast.Ident); ok && len(n.Args) == 2 && (name.Name == "min" || name.Name == "max") {
			id := f.add(n, "the other end: "+f.text(n))
			f.edits = append(f.edits, edit{f.at(name.Pos()), f.at(n.Lparen) + 1, fmt.Sprintf("mutantEnd(%d, %q, ", id, name.Name), len(f.edits)})
		}
	case *ast.KeyValueExpr:
		if name, ok := n.Key.(*ast.Ident); ok && f.fn == "(package)" {
			switch name.Name {
			case "Limit", "Look", "Remedy", "Blame", "Plan":
				f.wrap(n.Value, "mutantZero", f.add(n, "without "+f.text(n)))
			case "When": // each condition of a rule; without it, it always holds
				var list []ast.Expr
				switch v := n.Value.(type) {
				case *ast.CompositeLit:
					list = v.Elts
				case *ast.CallExpr:
					list = v.Args
				}
				for _, e := range list {
					id := f.add(e, "without the condition "+f.text(e)+" of "+f.value)
					f.insert(f.at(e.Pos()), fmt.Sprintf("mutantElse(%d, ", id))
					// It keeps its words, of which other tests speak.
					f.closing(e, fmt.Sprintf(", func(c condition) condition { c.holds = func(*view) bool { return true }; return c }(%s))", f.source[f.at(e.Pos()):f.at(e.End())]))
				}
			}
		}
	}
	return true
}

// untyped are constants that are used as numbers of more than one type, which no variable could be.
var untyped = []string{"provenParts"}

// declaration makes variables of constants that are numbers, so that they can be changed.
func (f *finder) declaration(d *ast.GenDecl) bool {
	if d.Tok != token.CONST {
		return d.Tok == token.VAR
	}
	for _, s := range d.Specs {
		spec := s.(*ast.ValueSpec)
		if len(spec.Values) != 1 || spec.Type != nil || slices.Contains(untyped, spec.Names[0].Name) {
			return false
		}
		lit, isLit := spec.Values[0].(*ast.BasicLit)
		_, reckoned := spec.Values[0].(*ast.BinaryExpr) // from other numbers, which are variables, too
		switch text := f.text(spec.Values[0]); {
		case strings.Contains(text, `"`):
			return false
		case !strings.Contains(text, "time.") && !reckoned && (!isLit || lit.Kind != token.INT):
			return false
		}
	}
	f.edits = append(f.edits, edit{f.at(d.TokPos), f.at(d.TokPos) + len("const"), "var", len(f.edits)})
	for _, s := range d.Specs {
		v := s.(*ast.ValueSpec).Values[0]
		f.wrap(v, "mutantMore", f.add(v, "more: "+f.text(s)))
	}
	return false
}

// condition is what a branch is taken for: it is negated, and never holds, which leaves the branch's body out.
func (f *finder) condition(e ast.Expr) {
	f.wrap(e, "mutantBranch", f.add(e, "never: "+f.text(e)))
	f.negate(e)
}

// returned gives nothing for each value that is returned. Sentences for people are left alone.
func (f *finder) returned(n *ast.ReturnStmt) {
	if len(f.results) == 0 {
		return
	}
	var kinds []string
	if list := f.results[len(f.results)-1].Results; list != nil {
		for _, field := range list.List {
			for range max(len(field.Names), 1) {
				kinds = append(kinds, f.text(field.Type))
			}
		}
	}
	if len(kinds) != len(n.Results) {
		return
	}
	for at, e := range n.Results {
		switch text := f.text(e); {
		case kinds[at] == "string", text == "nil", text == "0", text == `""`, text == "true", text == "false", strings.HasSuffix(text, "{}"):
		case kinds[at] == "bool":
			f.negate(e)
		default:
			f.wrap(e, "mutantZero["+kinds[at]+"]", f.add(e, "nothing is returned of "+f.text(n)))
		}
	}
}

// number makes a number in an expression one more; like is what it stands beside, which has the type that it needs.
func (f *finder) number(n *ast.BinaryExpr, e, like ast.Expr) {
	lit, ok := e.(*ast.BasicLit)
	if _, both := like.(*ast.BasicLit); !ok || both || lit.Kind != token.INT {
		return
	}
	id := f.add(n, fmt.Sprintf("one more than %s: %s", lit.Value, f.text(n)))
	f.insert(f.at(e.Pos()), fmt.Sprintf("mutantNumber(%d, %s, ", id, f.source[f.at(like.Pos()):f.at(like.End())]))
	f.closing(e, ")")
}

func (f *finder) negate(e ast.Expr) {
	if f.done[e] {
		return
	}
	f.done[e] = true
	f.wrap(e, "mutantNot", f.add(e, "negated: "+f.text(e)))
}

func (f *finder) binary(n *ast.BinaryExpr) {
	call := ""
	switch n.Op {
	case token.EQL, token.NEQ:
		f.negate(n)
		f.number(n, n.Y, n.X)
		return
	case token.LAND:
		call = "mutantAnd"
	case token.LOR:
		call = "mutantOr"
	case token.LSS, token.LEQ, token.GTR, token.GEQ:
		call = "mutantEdge"
	case token.ADD, token.SUB, token.MUL, token.QUO:
		if strings.Contains(f.text(n), `"`) {
			return // words for people
		}
		call = "mutantLeft"
	default:
		return
	}
	op, from := n.Op.String(), f.at(n.Pos())
	opAt := f.at(n.OpPos)
	switch call {
	case "mutantAnd", "mutantOr":
		id := f.add(n, map[string]string{"mutantAnd": "or: ", "mutantOr": "and: "}[call]+f.text(n))
		left, right := f.add(n, "left alone: "+f.text(n)), f.add(n, "right alone: "+f.text(n))
		f.insert(from, fmt.Sprintf("%s(%d, %d, %d, ", call, id, left, right))
		f.edits = append(f.edits, edit{opAt, opAt + len(op), ", func() bool { return ", len(f.edits)})
		f.closing(n, " })")
	case "mutantEdge":
		id := f.add(n, "at the edge: "+f.text(n))
		f.insert(from, fmt.Sprintf("%s(%d, %q, ", call, id, op))
		f.edits = append(f.edits, edit{opAt, opAt + len(op), ", ", len(f.edits)})
		f.closing(n, ")")
	default:
		id := f.add(n, "the left side only: "+f.text(n))
		f.insert(from, fmt.Sprintf("mutantLeft(%d, %s, ", id, f.source[from:f.at(n.X.End())]))
		f.closing(n, ")")
	}
	f.number(n, n.X, n.Y)
	f.number(n, n.Y, n.X)
}

// statements are left out one by one, where that compiles.
func (f *finder) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt:
			if call, ok := s.X.(*ast.CallExpr); !ok || f.text(call.Fun) == "panic" {
				continue
			}
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE || f.words(s) {
				continue
			}
		case *ast.IncDecStmt:
		default:
			continue
		}
		id := f.add(s, "left out: "+f.text(s))
		f.insert(f.at(s.Pos()), fmt.Sprintf("if mutantKeeps(%d) { ", id))
		f.closing(s, " }")
	}
}

// words says that an assignment makes nothing but a sentence for people: no test says every word again.
func (f *finder) words(s *ast.AssignStmt) bool {
	for _, left := range s.Lhs {
		name := f.text(left)
		if dot := strings.LastIndex(name, "."); dot >= 0 {
			name = name[dot+1:]
		}
		if !slices.Contains([]string{"what", "why", "Why", "who", "hog", "line", "Message", "Next"}, name) {
			return false
		}
	}
	return true
}

// apply makes all edits. At one place, what closes comes first, the inner before the outer; what opens follows, the outer
// before the inner.
func (f *finder) apply() []byte {
	sort.SliceStable(f.edits, func(i, j int) bool {
		a, b := f.edits[i], f.edits[j]
		if a.from != b.from {
			return a.from < b.from
		}
		return a.order < b.order
	})
	var out []byte
	last := 0
	for _, e := range f.edits {
		out = append(append(out, f.source[last:e.from]...), e.text...)
		last = e.to
	}
	return append(out, f.source[last:]...)
}
