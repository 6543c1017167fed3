package facts

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// The prefixes of marks: with a key, and as older versions made them, without one.
const (
	markPrefix    = "hmac-sha256:"
	oldMarkPrefix = "sha256:"
)

// Marker makes marks of URLs, by which they are known again: what is remembered is not the URL, which may hold a password.
type Marker struct {
	// Key lies elsewhere than the marks do, so that nobody can try out on them which URL they are of. Without one a mark is a
	// mere hash.
	Key []byte
}

// Mark is what is remembered of a URL. It is empty for an empty one.
func (m Marker) Mark(url string) string {
	if url == "" {
		return ""
	}
	mac := hmac.New(sha256.New, m.Key)
	mac.Write([]byte(url))
	return markPrefix + hex.EncodeToString(mac.Sum(nil))
}

// Is tells whether what was remembered is of a URL. Older versions remembered a hash without a key, or the URL itself.
func (m Marker) Is(kept, url string) bool {
	if kept == "" || url == "" {
		return false
	}
	sum := sha256.Sum256([]byte(url))
	return kept == m.Mark(url) || kept == oldMarkPrefix+hex.EncodeToString(sum[:]) || kept == url
}

// IsMark tells a mark of this version from what older ones remembered.
func IsMark(kept string) bool { return strings.HasPrefix(kept, markPrefix) }
