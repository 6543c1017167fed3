//go:build linux

package dotenv

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// cases were all run through dotenv's own parser as well, see TestAgainstDotenv.
var cases = map[string]struct {
	in   string
	want map[string]string
}{
	"plain":                      {"A=1\nB = 2\n", map[string]string{"A": "1", "B": "2"}},
	"empty":                      {"", map[string]string{}},
	"empty values":               {"A=\nB=''\nC=\"\"\nD=``\nE= \n", map[string]string{"A": "", "B": "", "C": "", "D": "", "E": ""}},
	"value not taken from below": {"A=\nB=2", map[string]string{"A": "", "B": "2"}},
	"blank in quotes":            {"A='  '", map[string]string{"A": "  "}},
	"export":                     {"export A=1\n  export\tB=2", map[string]string{"A": "1", "B": "2"}},
	"colon":                      {"A: 1\nB:2", map[string]string{"A": "1"}},
	"comments":                   {"# A=1\nB=2 # two\nC=a#b\n  # D=4\nE='#e' # e", map[string]string{"B": "2", "C": "a", "E": "#e"}},
	"quotes":                     {"A='a b'\nB=\"a b\"\nC=`a 'b' \"c\"`", map[string]string{"A": "a b", "B": "a b", "C": "a 'b' \"c\""}},
	"escapes":                    {`A="a\nb"` + "\n" + `B='a\nb'` + "\n" + `C=a\nb`, map[string]string{"A": "a\nb", "B": `a\nb`, "C": `a\nb`}},
	"escaped quote":              {`A="a\"b"` + "\nB=2", map[string]string{"A": `a\"b`, "B": "2"}},
	"several lines":              {"KEY=\"-----BEGIN\nabc=\n-----END\"\nB='x\ny'\nC=`1\n2`", map[string]string{"KEY": "-----BEGIN\nabc=\n-----END", "B": "x\ny", "C": "1\n2"}},
	"windows":                    {"A=1\r\nB=\"x\r\ny\"\r\n\r\nC=3\r\n", map[string]string{"A": "1", "B": "x\ny", "C": "3"}},
	"old mac":                    {"A=1\rB=2", map[string]string{"A": "1", "B": "2"}},
	"byte order mark":            {"\ufeffA=1\nB=2", map[string]string{"A": "1", "B": "2"}},
	"no-break space":             {"\u00a0A=\u00a01\u00a0", map[string]string{"A": "1"}},
	"equals in value":            {"DATABASE_URL=postgres://u:p@h/db?a=b&c=d", map[string]string{"DATABASE_URL": "postgres://u:p@h/db?a=b&c=d"}},
	"not closed":                 {"A=\"abc\nB=2", map[string]string{"A": "\"abc", "B": "2"}},
	"not closed, escapes go on":  {`A="a\nb` + "\nB=2", map[string]string{"A": "\"a\nb", "B": "2"}},
	"closed by a later line":     {"A=\"abc\nB=\"x\"\n", map[string]string{"A": "\"abc", "B": "x"}},
	"text after quotes":          {"A=\"a\" b\nB='x'y'", map[string]string{"A": "\"a\" b", "B": "x'y"}},
	"no name":                    {"=1\nA=2", map[string]string{"A": "2"}},
	"just a name":                {"A\nB=2", map[string]string{"B": "2"}},
	"odd names":                  {"a.b-c=1\n1X=2\nÄ=3\n-=4", map[string]string{"a.b-c": "1", "1X": "2", "-": "4"}},
	"last one counts":            {"A=1\nA=2\nA=", map[string]string{"A": ""}},
	"line separator":             {"A=1\u2028B=2", map[string]string{"A": "1\u2028B=2"}},
	"not utf-8":                  {"A=\xff\xfe\nB=2", map[string]string{"A": "\xff\xfe", "B": "2"}},
	"NUL":                        {"A=\x00\nB=2", map[string]string{"A": "\x00", "B": "2"}},
	"single quotation mark":      {"A='\nB=\"", map[string]string{"A": "'", "B": "\""}},
	"references":                 {"A=$B\nC=${D:-x}", map[string]string{"A": "$B", "C": "${D:-x}"}},
	"export alone":               {"export\nA=1", map[string]string{"A": "1"}},
	"export as a name":           {"export=1", map[string]string{"export": "1"}},
	"value a line below":         {"A=\n'b'\nC=3", map[string]string{"A": "b", "C": "3"}},
}

func values(content string) map[string]string {
	entries, _ := parse([]byte(content))
	all := map[string]string{}
	for _, e := range entries {
		all[e.name] = e.value
	}
	return all
}

func TestParseLikeDotenv(t *testing.T) {
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := values(c.in); !maps.Equal(got, c.want) {
				t.Errorf("%q:\ngot  %q\nwant %q", c.in, got, c.want)
			}
		})
	}
}

// The heart of dotenv 16.3 (BSD-2-Clause), as @next/env carries it.
const dotenvJS = "const LINE=/(?:^|^)\\s*(?:export\\s+)?([\\w.-]+)(?:\\s*=\\s*?|:\\s+?)(\\s*'(?:\\\\'|[^'])*'|\\s*\"(?:\\\\\"|[^\"])*\"|\\s*`(?:\\\\`|[^`])*`|[^#\\r\\n]+)?\\s*(?:#.*)?(?:$|$)/mg;" + `
function parse(src){const obj={};let lines=src.toString().replace(/\r\n?/mg,'\n');let m;
while((m=LINE.exec(lines))!=null){const key=m[1];let v=(m[2]||'').trim();const q=v[0];
v=v.replace(/^(['"` + "`" + `])([\s\S]*)\1$/mg,'$2');if(q==='"'){v=v.replace(/\\n/g,'\n').replace(/\\r/g,'\r')}obj[key]=v}return obj}
const all=JSON.parse(require('fs').readFileSync(0,'utf8'));
console.log(JSON.stringify(all.map(parse)))`

func TestAgainstDotenv(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("needs node")
	}
	inputs := []string{}
	for _, c := range cases {
		if strings.ToValidUTF8(c.in, "") == c.in {
			inputs = append(inputs, c.in)
		}
	}
	inputs = append(inputs, mutations(inputs, 3000)...)
	in, err := json.Marshal(inputs)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "-e", dotenvJS)
	cmd.Stdin, cmd.Stderr = strings.NewReader(string(in)), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []map[string]string
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	differ := 0
	for i, content := range inputs {
		if got := values(content); !maps.Equal(got, want[i]) {
			if differ++; differ < 10 {
				t.Errorf("%q:\ngot    %q\ndotenv %q", content, got, want[i])
			}
		}
	}
}

// mutations are the inputs cut into pieces and put together again, the same ones each time.
func mutations(inputs []string, n int) []string {
	pieces := []string{"A", "B", "=", "\n", "'", "\"", "`", "#", " ", "\\", "\\n", "export ", ": ", "\r\n", "x", "\u00a0", "\ufeff", "$", "\t", "-"}
	state := uint64(42)
	next := func(below int) int {
		state = state*6364136223846793005 + 1442695040888963407
		return int(state>>33) % below
	}
	var all []string
	for range n {
		var s strings.Builder
		for range 3 + next(25) {
			s.WriteString(pieces[next(len(pieces))])
		}
		all = append(all, s.String())
	}
	return all
}

func TestProblems(t *testing.T) {
	f := Parse(".env", []byte("A=s3cret\n\nthis is not it s3cret\n# fine\nB=\"s3cret\n\nA=s3cret\nC='x\ny'\nD='s3cret' tail\n????"))
	var got []string
	for _, p := range f.Problems {
		got = append(got, p.String())
	}
	want := []string{
		".env:3: is not NAME=value; Next.js ignores this line",
		".env:11: is not NAME=value; Next.js ignores this line",
		`.env:5: the value of B begins with ", which is not closed where the value ends`,
		".env:7: A is defined in line 1 already; this one counts",
		".env:10: the value of D begins with ', which is not closed where the value ends",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if many := Parse(".env", []byte(strings.Repeat("nonsense\n", 1000))); len(many.Problems) > 20 {
		t.Errorf("%d problems", len(many.Problems))
	}
}

// What is no .env file at all takes no longer than its length accounts for.
func TestOddFilesTakeLinearTime(t *testing.T) {
	for _, line := range []string{"nonsense\n", "A=\"\n", "A='x\n", "\n", "=", "\"", "A=\\\"", "A\n\n"} {
		begun := time.Now()
		Parse(".env", []byte(strings.Repeat(line, 16<<10/len(line))))
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%q: %v", line, took)
		}
	}
}

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoadInNextOrder(t *testing.T) {
	dir := folder(t, map[string]string{
		".env":                  "A=1\nB=1\nC=1\nD=1\n",
		".env.production":       "B=2\nC=2\n",
		".env.local":            "C=\n",
		".env.production.local": "E=' '\n",
		".env.development":      "F=1\n",
	})
	set, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]bool{"A": true, "B": true, "C": false, "D": true, "E": false}; !maps.Equal(set.Vars, want) {
		t.Errorf("%v", set.Vars)
	}
	want := map[string]string{"A": ".env", "B": ".env.production", "C": ".env.local", "D": ".env", "E": ".env.production.local"}
	if !maps.Equal(set.Source, want) {
		t.Errorf("%v", set.Source)
	}
	if len(set.Files) != 4 || set.Files[0].Name != ".env.production.local" || set.Problems() != nil {
		t.Errorf("%+v", set.Files)
	}

	value, file, ok, err := Lookup(dir, "B")
	if value.Reveal() != "2" || file != ".env.production" || !ok || err != nil {
		t.Errorf("%q, %q, %v, %v", value.Reveal(), file, ok, err)
	}
	if value, file, ok, err := Lookup(dir, "C"); value.Reveal() != "" || file != ".env.local" || !ok || err != nil {
		t.Errorf("%q, %q, %v, %v", value.Reveal(), file, ok, err)
	}
	if _, _, ok, err := Lookup(dir, "F"); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	if value, _, ok, err := Lookup("/nowhere", "F", filepath.Join(dir, ".env.development")); value.Reveal() != "1" || !ok || err != nil {
		t.Errorf("absolute name: %v, %v", ok, err)
	}
}

func TestLoadWithoutFiles(t *testing.T) {
	for _, dir := range []string{t.TempDir(), "/nowhere"} {
		set, err := Load(dir)
		if err != nil || len(set.Vars) != 0 || len(set.Files) != 0 {
			t.Errorf("%+v, %v", set, err)
		}
	}
}

func TestLoadFailures(t *testing.T) {
	dir := folder(t, map[string]string{".env": "A=1\n", "large": "B=" + strings.Repeat("x", MaxSize), "just": "B=" + strings.Repeat("x", MaxSize-2)})
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "folder"), 0o755), unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600),
		os.Symlink(".env", filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"large", "folder", "pipe"} {
		set, err := Load(dir, name, ".env")
		if err == nil || !strings.Contains(err.Error(), name) || !set.Vars["A"] {
			t.Errorf("%s: %v, %v", name, set.Vars, err)
		}
		if errors.Is(err, ErrTooLarge) != (name == "large") {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, ok, err := Lookup(dir, "A", name, ".env"); ok || err == nil {
			t.Errorf("%s: what cannot be read may have decided: %v, %v", name, ok, err)
		}
	}
	if set, err := Load(dir, "just", "link"); err != nil || !set.Vars["A"] || !set.Vars["B"] {
		t.Errorf("%v, %v", set.Vars, err)
	}
}

func TestSecretShowsNothing(t *testing.T) {
	s := Secret{"s3cret"}
	holder := struct {
		Value  Secret
		Values []Secret
	}{s, []Secret{s}}
	marshalled, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	all := string(marshalled) + fmt.Errorf("wrapped: %v", s).Error()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
		all += fmt.Sprintf(verb, s) + fmt.Sprintf(verb, &s) + fmt.Sprintf(verb, holder)
	}
	if strings.Contains(all, "s3cret") || strings.Contains(all, "733363726574") {
		t.Error(all)
	}
	if s.Reveal() != "s3cret" {
		t.Error("lost")
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range cases {
		f.Add([]byte(c.in))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := string(b)
		file := Parse(".env", b)
		if string(b) != before {
			t.Fatal("input changed")
		}
		lines := 1 + strings.Count(before, "\n") + strings.Count(before, "\r")
		for _, p := range file.Problems {
			if p.Line < 1 || p.Line > lines {
				t.Fatalf("line %d of %d", p.Line, lines)
			}
		}
		for name := range file.Vars {
			if name == "" || strings.ContainsAny(name, "= \n\"'") {
				t.Fatalf("name %q", name)
			}
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	dir := b.TempDir()
	content := strings.Repeat("DATABASE_URL=\"postgres://user:password@127.0.0.1:5432/app\" # main\nNEXT_PUBLIC_X=1\n", 20)
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(content), 0o600); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if set, err := Load(dir); err != nil || len(set.Vars) != 2 {
			b.Fatal(set, err)
		}
	}
}
