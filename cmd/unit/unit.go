// Package unit writes the systemd unit that "evenkeel install" installs. It is pure: what is known in, a text out.
package unit

import (
	_ "embed"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"unicode"
)

// Name is the unit's name.
const Name = "evenkeel.service"

// Mark opens every unit that this package has written; what does not bear it is somebody else's.
const Mark = "# Written by evenkeel install; "

// Unit is what a unit is made of.
type Unit struct {
	// User and Group are whom the service runs as. Both are empty in a unit of a user's own service manager.
	User, Group string
	// Program is evenkeel's own path, and Files the desired files that it supervises; all are absolute.
	Program string
	Files   []string
	// Path are the folders in which programs are looked for: those of the operator's pm2 and node first.
	Path []string
	// After are units that are started before, such as the one that brings PM2 back when the machine boots.
	After []string
	// Keeps says that evenkeel itself starts applications (spec.runtime.exec). They are its children and inherit its sandbox,
	// so that there is none then.
	Keeps bool
}

//go:embed evenkeel.service.tmpl
var text string

var page = parsed("unit", text)

func parsed(name, text string) *template.Template {
	return template.Must(template.New(name).Funcs(template.FuncMap{
		"word": word, "value": value, "setting": setting, "join": strings.Join, "mark": func() string { return Mark },
	}).Parse(text))
}

// Text is the unit's file. It fails where a path or a name holds a control character, which no unit can say.
func (u *Unit) Text() (string, error) {
	for _, s := range slices.Concat([]string{u.User, u.Group, u.Program}, u.Files, u.Path, u.After) {
		if strings.ContainsFunc(s, unicode.IsControl) {
			return "", fmt.Errorf("%q holds a control character, and cannot stand in a unit", s)
		}
	}
	return filled(page, u)
}

// System says that it is a unit of the machine's service manager, and not of a user's own.
func (u *Unit) System() bool { return u.User != "" }

// SearchPath is the value of PATH.
func (u *Unit) SearchPath() string { return strings.Join(u.Path, ":") }

// value writes a text so that systemd takes it as it stands: % begins its own words.
func value(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// plainWord needs no quotes.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@,=+-]+$`)

// word writes a word of a command line: in quotes where it has to be, and with nothing in it that systemd would replace.
func word(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`, `$`, `$$`).Replace(s) + `"`
}

// setting writes a setting of a list, in which systemd takes $ as it stands.
func setting(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`).Replace(s) + `"`
}

// Files are the desired files that a unit's text names, and whether it was written by this package. It reads what Text
// writes, and no more.
func Files(text string) (files []string, ours bool) {
	if !Ours(text) {
		return nil, false
	}
	for line := range strings.Lines(text) {
		if command, is := strings.CutPrefix(strings.TrimSpace(line), "ExecStart="); is {
			words := split(command)
			for i, w := range words {
				if w == "-f" && i+1 < len(words) {
					files = append(files, path.Clean(words[i+1]))
				}
			}
		}
	}
	return files, true
}

// split takes a command line apart that was put together of word's.
func split(s string) (words []string) {
	var b strings.Builder
	quoted, begun := false, false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '"':
			quoted, begun = !quoted, true
		case quoted && c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case quoted && (c == '%' || c == '$') && i+1 < len(s) && s[i+1] == c:
			i++
			b.WriteByte(c)
		case c == ' ' && !quoted:
			if begun {
				words = append(words, b.String())
			}
			b.Reset()
			begun = false
		default:
			b.WriteByte(c)
			begun = true
		}
	}
	if begun {
		words = append(words, b.String())
	}
	return words
}
