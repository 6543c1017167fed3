package desired

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// plainText is text that YAML needs no quotes for, wherever it stands; whether it would be read as something else than
// text is looked at besides.
var plainText = regexp.MustCompile(`^[A-Za-z/]([A-Za-z0-9 _./-]*[A-Za-z0-9_./-])?$`)

// String is the change's field.
func (c Change) String() string { return strings.Join(c.path, ".") }

// normal is the change with its value as plain data.
func (c Change) normal() (Change, error) {
	if len(c.path) == 0 {
		return c, fmt.Errorf("%w: a change without a field", ErrRefused)
	}
	if c.remove {
		return c, nil
	}
	switch v := c.value.(type) {
	case bool:
	case string:
		if !utf8.ValidString(v) {
			return c, fmt.Errorf("%w: %s: %q is not UTF-8", ErrRefused, c, v)
		}
	case int:
		c.value = int64(v)
	case int32:
		c.value = int64(v)
	case int64:
	case time.Time:
		c.value = v.UTC().Format(time.RFC3339)
	case metav1.Time:
		c.value = v.UTC().Format(time.RFC3339)
	case time.Duration:
		c.value = v.String()
	case metav1.Duration:
		c.value = v.Duration.String()
	default:
		return c, fmt.Errorf("%w: %s: a %T is no value that can be set", ErrRefused, c, v)
	}
	return c, nil
}

// render writes a value below the given keys, as in {local: {timeout: 5s}}. In a file that is written as JSON, all text
// is quoted.
func render(path []string, value any, asJSON bool) string {
	if len(path) > 0 {
		return "{" + renderText(path[0], asJSON) + ": " + render(path[1:], value, asJSON) + "}"
	}
	if text, ok := value.(string); ok {
		return renderText(text, asJSON)
	}
	return fmt.Sprint(value)
}

func renderText(text string, asJSON bool) string {
	if !asJSON && plainText.MatchString(text) {
		var node yaml.Node
		if yaml.Unmarshal([]byte(text), &node) == nil && len(node.Content) == 1 && node.Content[0].Tag == "!!str" && !oldBool(text) {
			return text
		}
	}
	return strconv.Quote(text)
}

// oldBool tells of words that older readers of YAML take for true or false.
func oldBool(text string) bool {
	switch strings.ToLower(text) {
	case "y", "n", "yes", "no", "on", "off":
		return true
	}
	return false
}
