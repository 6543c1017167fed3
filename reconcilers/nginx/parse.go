package nginx

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// The bounds of one file and of all of them together.
const (
	// MaxSize bounds a file, in bytes. Real ones have some kilobytes.
	MaxSize = 1 << 20
	// MaxDepth bounds how deep blocks and includes nest.
	MaxDepth = 40
	// MaxFiles bounds how many files are read.
	MaxFiles = 400
	// MaxDirectives bounds the directives of all files.
	MaxDirectives = 50_000
)

// Directive is one directive with what is in its block.
type Directive struct {
	Name string
	Args []string
	// File and Line are where it begins.
	File string
	Line int
	// Block holds what stands between its braces; nil where it has none. A block of Lua is not looked into.
	Block []Directive
}

// at says where the directive stands.
func (d *Directive) at() string { return fmt.Sprintf("%s:%d", d.File, d.Line) }

// arg is the n-th argument, empty where there is none.
func (d *Directive) arg(n int) string {
	if n >= len(d.Args) {
		return ""
	}
	return d.Args[n]
}

var (
	errEnd     = errors.New("the file ends in the middle of a directive or a block")
	errBrace   = errors.New("a } without a {")
	errNoName  = errors.New("a ; or a { without a directive before it")
	errDeep    = fmt.Errorf("blocks nest deeper than %d", MaxDepth)
	errTooMany = fmt.Errorf("more than %d directives", MaxDirectives)
)

// Parse reads the text of a file; the name is for saying where something stands. Beside an error it returns what was read
// up to there, with blocks closed.
func Parse(file string, text []byte) ([]Directive, error) {
	p := &parser{lexer: lexer{text: text, line: 1}, file: file, left: MaxDirectives}
	list, err := p.block(0)
	if err != nil {
		err = fmt.Errorf("%s:%d: %w", file, p.line, err)
	}
	return list, err
}

type parser struct {
	lexer
	file string
	left int
}

// block reads directives up to the } that closes it, or, at depth 0, to the end of the file.
func (p *parser) block(depth int) ([]Directive, error) {
	list := []Directive{}
	if depth > MaxDepth {
		return list, errDeep
	}
	for {
		word, kind := p.next()
		switch kind {
		case endOfText:
			if depth > 0 {
				return list, errEnd
			}
			return list, nil
		case closing:
			if depth == 0 {
				return list, errBrace
			}
			return list, nil
		case opening, semicolon:
			return list, errNoName
		}
		if p.left--; p.left < 0 {
			return list, errTooMany
		}
		d := Directive{Name: word, File: p.file, Line: p.line}
		err := p.rest(&d, depth)
		list = append(list, d)
		if err != nil {
			return list, err
		}
	}
}

// rest reads the arguments and the block of a directive.
func (p *parser) rest(d *Directive, depth int) (err error) {
	for {
		word, kind := p.next()
		switch kind {
		case plain:
			d.Args = append(d.Args, word)
		case semicolon:
			return nil
		case opening:
			if strings.HasSuffix(d.Name, "_by_lua_block") {
				d.Block = []Directive{}
				return p.skipLua()
			}
			d.Block, err = p.block(depth + 1)
			return err
		case closing:
			return errBrace
		case endOfText:
			return errEnd
		}
	}
}

// kind is what a token is.
type kind int

const (
	endOfText kind = iota
	plain
	semicolon
	opening
	closing
)

// lexer cuts a text into tokens as Nginx does (ngx_conf_read_token).
type lexer struct {
	text []byte
	pos  int
	line int
}

func (l *lexer) next() (string, kind) {
	l.skipBlanks()
	if l.pos == len(l.text) {
		return "", endOfText
	}
	switch c := l.text[l.pos]; c {
	case ';':
		l.pos++
		return "", semicolon
	case '{':
		l.pos++
		return "", opening
	case '}':
		l.pos++
		return "", closing
	case '"', '\'':
		return l.quoted(c), plain
	default:
		return l.bare(), plain
	}
}

// skipBlanks also skips comments, which begin only where a token could.
func (l *lexer) skipBlanks() {
	for ; l.pos < len(l.text); l.pos++ {
		switch l.text[l.pos] {
		case '\n':
			l.line++
		case ' ', '\t', '\r':
		case '#':
			end := bytes.IndexByte(l.text[l.pos:], '\n')
			if end < 0 {
				l.pos = len(l.text)
				return
			}
			l.pos += end - 1
		default:
			return
		}
	}
}

// quoted reads up to the same mark again; where that is missing, to the end.
func (l *lexer) quoted(mark byte) string {
	l.pos++
	var word []byte
	for l.pos < len(l.text) && l.text[l.pos] != mark {
		word = l.take(word)
	}
	l.pos = min(l.pos+1, len(l.text))
	return string(word)
}

// bare reads up to a blank, a ; or a {, but for the brace of ${name}.
func (l *lexer) bare() string {
	var word []byte
	for l.pos < len(l.text) {
		switch c := l.text[l.pos]; {
		case c == ' ', c == '\t', c == '\r', c == '\n', c == ';':
			return string(word)
		case c == '{' && (len(word) == 0 || word[len(word)-1] != '$'):
			return string(word)
		}
		word = l.take(word)
	}
	return string(word)
}

// take appends the next character, undoing what a backslash does.
func (l *lexer) take(word []byte) []byte {
	c := l.text[l.pos]
	l.pos++
	if c == '\n' {
		l.line++
	}
	if c != '\\' || l.pos == len(l.text) {
		return append(word, c)
	}
	escaped := l.text[l.pos]
	l.pos++
	switch escaped {
	case '"', '\'', '\\':
		return append(word, escaped)
	case 't':
		return append(word, '\t')
	case 'r':
		return append(word, '\r')
	case 'n':
		return append(word, '\n')
	case '\n':
		l.line++
	}
	return append(word, c, escaped)
}

// skipLua skips a block of Lua, whose text is not Nginx's, up to its closing brace.
func (l *lexer) skipLua() error {
	for depth := 1; l.pos < len(l.text); {
		c := l.text[l.pos]
		switch {
		case c == '"' || c == '\'':
			l.quoted(c)
			continue
		case c == '-' && bytes.HasPrefix(l.text[l.pos:], []byte("--")):
			end := bytes.IndexByte(l.text[l.pos:], '\n')
			if end < 0 {
				l.pos = len(l.text)
				return errEnd
			}
			l.pos += end
			continue
		case c == '\n':
			l.line++
		case c == '{':
			depth++
		case c == '}':
			depth--
		}
		l.pos++
		if depth == 0 {
			return nil
		}
	}
	return errEnd
}
