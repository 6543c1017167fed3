//go:build linux

package dotenv

import "fmt"

const mask = "***"

// Secret is a value that shows itself to nobody who does not ask for it by [Secret.Reveal]: printed, logged or
// marshalled it is "***".
type Secret struct{ value string }

// Reveal returns the value. Whoever calls it must not let it reach a log, an error or a file.
func (s Secret) Reveal() string { return s.value }

// String is "***".
func (s Secret) String() string { return mask }

// Format prints "***", whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(mask)) }

// MarshalText makes it "***" in JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(mask), nil }

// Conceal makes a Secret of a value.
func Conceal(value string) Secret { return Secret{value} }
