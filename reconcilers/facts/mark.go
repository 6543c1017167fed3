package facts

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
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

// Expectations is what is remembered of what the local check asks for and expects beside an answer below 500: not the words
// themselves, which may be nobody's affair. It is empty where nothing more is expected.
func (m Marker) Expectations(c *v1alpha1.LocalCheck) string {
	if len(c.ExpectStatus) == 0 && c.ExpectBody == "" && len(c.ExpectHeader) == 0 {
		return ""
	}
	status := slices.Compact(slices.Sorted(slices.Values(c.ExpectStatus)))
	text, err := json.Marshal([]any{c.Path, status, c.ExpectBody, c.ExpectHeader}) // maps in the order of their keys
	if err != nil {                                                                // they are data
		return ""
	}
	return m.Mark(string(text))
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
