//go:build linux

package dotenv

import "strings"

// expandDeep and expandMost bound how deep variables refer to others, and how often.
const (
	expandDeep = 8
	expandMost = 100
)

// Expand puts in for $NAME and ${NAME}, ${NAME:-otherwise} what they stand for, as Next.js does with every value of a file;
// \$ is a dollar sign. The result is as secret as what went in.
func Expand(value string, lookUp func(name string) string) string {
	left := expandMost
	return expand(value, lookUp, expandDeep, &left)
}

func expand(value string, lookUp func(string) string, deep int, left *int) string {
	var b strings.Builder
	for n := 0; n < len(value); n++ {
		switch {
		case value[n] == '\\' && n+1 < len(value) && value[n+1] == '$':
			b.WriteByte('$')
			n++
		case value[n] == '$':
			name, otherwise, length := reference(value[n+1:])
			if length == 0 || *left == 0 {
				b.WriteByte('$')
				continue
			}
			n += length
			*left--
			found := lookUp(name)
			if found == "" {
				found = otherwise
			}
			if deep > 0 {
				found = expand(found, lookUp, deep-1, left)
			}
			b.WriteString(found)
		default:
			b.WriteByte(value[n])
		}
	}
	return b.String()
}

// reference reads what follows a dollar sign; the length is 0 where it is no reference.
func reference(s string) (name, otherwise string, length int) {
	if strings.HasPrefix(s, "{") {
		end := strings.IndexByte(s, '}')
		if end < 0 {
			return "", "", 0
		}
		name, otherwise, _ = strings.Cut(s[1:end], "-")
		name = strings.TrimSuffix(name, ":")
		if nameLength(name) != len(name) || name == "" {
			return "", "", 0
		}
		return name, otherwise, end + 1
	}
	length = nameLength(s)
	return s[:length], "", length
}

func nameLength(s string) int {
	n := 0
	for n < len(s) && (s[n] == '_' || s[n] >= 'a' && s[n] <= 'z' || s[n] >= 'A' && s[n] <= 'Z' || n > 0 && s[n] >= '0' && s[n] <= '9') {
		n++
	}
	return n
}
