package facts

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

const markPrefix = "sha256:"

// URLMark is what is remembered of a URL, to know it again: not the URL itself, which may hold a password. It is empty for
// an empty one.
func URLMark(url string) string {
	if url == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(url))
	return markPrefix + hex.EncodeToString(sum[:])
}

// IsURLMark tells a mark from a URL.
func IsURLMark(text string) bool { return strings.HasPrefix(text, markPrefix) }
