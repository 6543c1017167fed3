// Package mask takes secrets out of texts that are kept as evidence: the values that are known (of .env files, of the
// environment of a process), however they are written down, and what looks like one (passwords in URLs, headers, tokens, keys).
// Where it is in doubt it masks. It knows no file and no process: whoever has the values hands them over.
package mask

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// Mask stands in the place of a secret.
const Mask = "[masked]"

const (
	// least is the length in bytes from which on a value is masked wherever it stands; leastNamed that of one whose name, or
	// place in a URL, says that it is a secret.
	least      = 6
	leastNamed = 4
	// leastLine is the length from which on one line of a value of several lines is masked by itself.
	leastLine = 12
	// leastPart is the length from which on a part of a value that a cut has left at the edge of a text is masked.
	leastPart = 4
)

// Masker masks texts. The zero value knows no values, and masks what looks like a secret. It is not for use by several
// goroutines while values are added.
type Masker struct {
	values map[string]bool
	sorted []string // the longest first; nil where it has to be made anew
}

// Add makes a variable's value known, with its parts that are secrets of their own: the password and the parameters of a
// URL, the lines of a key. Values that say nothing (short ones, common words, numbers, paths of the system) are left out,
// unless the variable's name says that they are secret.
func (m *Masker) Add(name, value string) {
	value = strings.TrimSpace(value)
	named := secretName(name)
	if !named && harmlessName(name) {
		return
	}
	m.addURL(value)
	if named && len(value) >= leastNamed && !trivial(value) || len(value) >= least && !harmless(value) {
		m.add(value)
	}
	if strings.ContainsAny(value, "\n\\") {
		for _, line := range strings.Split(strings.ReplaceAll(value, `\n`, "\n"), "\n") {
			if line = strings.TrimSpace(line); len(line) >= leastLine {
				m.add(line)
			}
		}
	}
}

// addURL makes the secrets in a URL known.
func (m *Masker) addURL(value string) {
	scheme, rest, ok := strings.Cut(value, "://")
	if !ok || scheme == "" {
		return
	}
	// By hand first: passwords are often not encoded as they should be.
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if _, password, ok := strings.Cut(rest[:at], ":"); ok && len(password) >= leastNamed {
			m.add(password)
		}
	}
	u, err := url.Parse(value)
	if err != nil {
		return
	}
	if password, ok := u.User.Password(); ok && len(password) >= leastNamed {
		m.add(password)
	}
	for name, values := range u.Query() {
		for _, v := range values {
			if secretName(name) && len(v) >= leastNamed || len(v) >= 2*least && !harmless(v) {
				m.add(v)
			}
		}
	}
}

// add makes a value known in the forms in which it may be written down.
func (m *Masker) add(value string) {
	if m.values == nil {
		m.values = map[string]bool{}
	}
	m.sorted = nil
	m.values[value] = true
	m.values[url.QueryEscape(value)] = true
	m.values[url.PathEscape(value)] = true
	for _, escape := range []bool{true, false} {
		var text strings.Builder
		enc := json.NewEncoder(&text)
		enc.SetEscapeHTML(escape)
		if enc.Encode(value) == nil {
			m.values[strings.Trim(strings.TrimSpace(text.String()), `"`)] = true
		}
	}
	if len(value) >= least {
		m.values[strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(value)), "=")] = true
		m.values[strings.TrimRight(base64.URLEncoding.EncodeToString([]byte(value)), "=")] = true
	}
	delete(m.values, "")
}

// Text masks a whole text.
func (m *Masker) Text(text string) string { return m.Part(text, false, false) }

// Part masks a text that was cut out of a longer one: at its beginning (head), at its end (tail), or both. What a cut may have
// left of a secret there is masked too.
func (m *Masker) Part(text string, head, tail bool) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = m.known(text, head, tail)
	return patterns(text, head)
}

// span is a stretch of a text that is to be masked: from one byte up to another.
type span struct{ from, to int }

// known masks the values that are known. Those that overlap are masked as one, so that nothing of either is left.
func (m *Masker) known(text string, head, tail bool) string {
	if m.sorted == nil {
		for v := range m.values {
			m.sorted = append(m.sorted, strings.ToValidUTF8(v, "\uFFFD"))
		}
		slices.SortFunc(m.sorted, func(a, b string) int {
			if d := len(b) - len(a); d != 0 {
				return d
			}
			return strings.Compare(a, b)
		})
	}
	var spans []span
	for _, v := range m.sorted {
		for at := 0; at < len(text); {
			n := strings.Index(text[at:], v)
			if n < 0 {
				break
			}
			spans = append(spans, span{at + n, at + n + len(v)})
			at += n + 1
		}
		if head {
			for n := min(len(v)-1, len(text)); n >= leastPart; n-- {
				if text[:n] == v[len(v)-n:] {
					spans = append(spans, span{0, n})
					break
				}
			}
		}
		if tail {
			for n := min(len(v)-1, len(text)); n >= leastPart; n-- {
				if text[len(text)-n:] == v[:n] {
					spans = append(spans, span{len(text) - n, len(text)})
					break
				}
			}
		}
	}
	return cover(text, spans)
}

// cover puts the mask in the place of each stretch.
func cover(text string, spans []span) string {
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	var b strings.Builder
	done := 0
	for n := 0; n < len(spans); {
		from, to := spans[n].from, spans[n].to
		for n++; n < len(spans) && spans[n].from <= to; n++ {
			to = max(to, spans[n].to)
		}
		b.WriteString(text[done:from])
		b.WriteString(Mask)
		done = to
	}
	b.WriteString(text[done:])
	return b.String()
}
