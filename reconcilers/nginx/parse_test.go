package nginx

import (
	"fmt"
	"strings"
	"testing"
)

// text writes directives down in one line, arguments quoted where they hold blanks.
func text(list []Directive) string {
	var words []string
	for _, d := range list {
		word := d.Name
		for _, a := range d.Args {
			if a == "" || strings.ContainsAny(a, " \n") {
				a = fmt.Sprintf("%q", a)
			}
			word += " " + a
		}
		if d.Block != nil {
			word += " {" + text(d.Block) + "}"
		}
		words = append(words, word)
	}
	return strings.Join(words, "; ")
}

func TestParse(t *testing.T) {
	for name, test := range map[string]struct{ in, want, err string }{
		"nothing":             {"", "", ""},
		"directives":          {"a b c;\nd;", "a b c; d", ""},
		"blocks":              {"http { server { listen 80; } }", "http {server {listen 80}}", ""},
		"comments":            {"a b#c; # d;\n# e\nf;#", "a b#c; f", ""},
		"quotes":              {`a "b ; { } # c" 'd "e"';`, `a "b ; { } # c" "d \"e\""`, ""},
		"quotes in a word":    {`a b"c d";`, `a b"c d"`, ""},
		"escapes":             {`a "b\"c" d\ e f\;g \.php$;`, `a b"c "d\\ e" f\;g \.php$`, ""},
		"variables":           {"proxy_pass http://${host}_x:80/;", "proxy_pass http://${host}_x:80/", ""},
		"regular expressions": {`location ~ "^/\d{4}/" { return 200; }`, `location ~ ^/\d{4}/ {return 200}`, ""},
		"no blank before {":   {"http{a;}", "http {a}", ""},
		"} ends no word":      {"a b};", "a b}", ""},
		"windows":             {"a b;\r\nc;\r\n", "a b; c", ""},
		"lua":                 {"x_by_lua_block { if a then -- }\n b = '}' end local t = {} }\nc;", "x_by_lua_block {}; c", ""},
		"lua without an end":  {"x_by_lua_block { {} ", "x_by_lua_block {}", "f:1: " + errEnd.Error()},
		"no end":              {"a {\n b c;\n d", "a {b c; d}", "f:3: " + errEnd.Error()},
		"} too many":          {"a;\n}\nb;", "a", "f:2: " + errBrace.Error()},
		"; without anything":  {"a;;b;", "a", "f:1: " + errNoName.Error()},
		"} before ;":          {"a { b }", "a {b}", "f:1: " + errBrace.Error()},
		"a quote left open":   {"a 'b;\nc;", `a "b;\nc;"`, "f:2: " + errEnd.Error()},
		"a backslash at last": {`a b\`, `a b\`, "f:1: " + errEnd.Error()},
		"too deep":            {strings.Repeat("a{", 3000), strings.Repeat("a {", MaxDepth+1) + strings.Repeat("}", MaxDepth+1), "f:1: " + errDeep.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := Parse("f", []byte(test.in))
			if got := text(list); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if got := fmt.Sprint(err); err != nil && got != test.err || err == nil && test.err != "" {
				t.Errorf("error %v, want %q", err, test.err)
			}
		})
	}
	if list, err := Parse("f", []byte(strings.Repeat("a;", MaxDirectives+5))); len(list) != MaxDirectives || err == nil {
		t.Errorf("%d directives, %v", len(list), err)
	}
}

func TestLines(t *testing.T) {
	list, err := Parse("f", []byte("# one\n\nhttp {\n  a 'x\ny';\n  # z\n  b;\n}\nc;\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		d    Directive
		line int
	}{{list[0], 3}, {list[0].Block[0], 4}, {list[0].Block[1], 7}, {list[1], 9}} {
		if want.d.Line != want.line {
			t.Errorf("%s stands in line %d, want %d", want.d.Name, want.d.Line, want.line)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		reference, "a b;", "http{server{listen [::]:443 ssl;server_name ~^(a|b)$;location @x{proxy_pass http://u;}}}",
		"x_by_lua_block { '", "a '\\", "include ${x};", "upstream u { server 127.0.0.1; server unix:/x; }",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		list, err := Parse("f", in)
		if list == nil {
			t.Fatalf("no list, %v", err)
		}
		lines := strings.Count(string(in), "\n") + 1
		count, deepest := 0, 0
		var walk func([]Directive, int)
		walk = func(list []Directive, depth int) {
			deepest = max(deepest, depth)
			for _, d := range list {
				count++
				if d.Line < 1 || d.Line > lines {
					t.Fatalf("%s stands in line %d of %d", d.Name, d.Line, lines)
				}
				walk(d.Block, depth+1)
			}
		}
		walk(list, 0)
		if count > MaxDirectives || deepest > MaxDepth+2 {
			t.Fatalf("%d directives, %d deep", count, deepest)
		}
		c := Config{Directives: list}
		for _, s := range c.Sites() {
			p, ok := s.LeadsTo(3003, Loopback)
			if path := p.Path(); ok && !strings.HasPrefix(path, "/") {
				t.Fatalf("path %q", path)
			}
			for _, l := range s.Listens {
				if !validPort(l.Port) {
					t.Fatalf("port %d", l.Port)
				}
			}
		}
	})
}
