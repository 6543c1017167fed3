package dotenv

import (
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	vars := map[string]string{"USER": "me", "PASS": "p$w", "A": "$B", "B": "$A$A", "HOST": "$NAME.example"}
	lookUp := func(name string) string { return vars[name] }
	for in, want := range map[string]string{
		"plain": "plain", "$USER": "me", "${USER}x": "mex", "$USERx": "", `\$USER`: "$USER", "a$": "a$", "$$": "$$", "$1": "$1",
		"${NONE:-otherwise}": "otherwise", "${NONE-$USER}": "me", "${": "${", "${not a name}": "${not a name}", "$HOST": ".example",
		"postgres://$USER@h": "postgres://me@h",
	} {
		if got := Expand(in, lookUp); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := Expand(strings.Repeat("$A", 1000), lookUp); len(got) > 1<<16 {
		t.Errorf("what refers to itself becomes %d bytes", len(got))
	}
}
