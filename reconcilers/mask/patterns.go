package mask

import (
	"regexp"
	"strings"
)

const named = `[\w.-]*(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|encryption[_-]?key|credentials?|signature|auth[_-]?key|jwt|otp|dsn)[\w-]*`

var (
	pem     = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*-----(?s:.*?)(-----END [A-Z0-9 ]*-----|\z)`)
	pemRest = regexp.MustCompile(`\A[A-Za-z0-9+/=\s\\]*-----END [A-Z0-9 ]*-----`)

	// headers that carry who somebody is: in their own form, in a dump of an object, in JSON.
	header = regexp.MustCompile(`(?i)\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key|x-auth-token|x-csrf-token|x-amz-security-token)(\\?["']?\s*[:=]\s*)(\\?"[^"\n]*"?|'[^'\n]*'?|\[[^\]]*\]?|[^\n]*)`)

	userinfo = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)([^\s"'<>` + "`" + `]*)@`)

	assigned = regexp.MustCompile(`(?i)(\b` + named + `)(\\?["']?\s*(?:=>|[:=])\s*)(\\?"(?:[^"\\\n]|\\.)*\\?"?|'[^'\n]*'?|[^\s,;&"'}\])]+)`)
	flagged  = regexp.MustCompile(`(?i)(--?` + named + `)([ \x00]+)([^\s\x00-][^\s\x00]*)`)
	query    = regexp.MustCompile(`(?i)([?&][\w.\[\]%-]*(?:key|sig|auth|code|session|sid|state|nonce|hash|jwt|pass|pwd|secret|token|credential)[\w.\[\]%-]*=)([^&\s"'<>#]+)`)
	long     = regexp.MustCompile(`([?&][\w.\[\]%-]+=)([^&\s"'<>#]{24,})`)

	scheme = regexp.MustCompile(`(?i)\b(bearer|basic|digest|negotiate)(\s+)([A-Za-z0-9._~+/=-]{6,}|username=[^\n]*)`)
	jwt    = regexp.MustCompile(`\beyJ[\w-]{6,}\.[\w-]{4,}(\.[\w-]*)?`)
	issued = regexp.MustCompile(`\b(?:(?:sk|pk|rk|whsec)_(?:(?:live|test)_)?\w{8,}|sk-[\w-]{16,}|gh[pousr]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{12,}|npm_[A-Za-z0-9]{24,}|xox[abeoprs]-[\w-]{8,}|AKIA[0-9A-Z]{12,}|ASIA[0-9A-Z]{12,}|SG\.[\w.-]{16,}|AIza[\w-]{20,})`)
)

// patterns masks what looks like a secret.
func patterns(text string, head bool) string {
	if head {
		text = pemRest.ReplaceAllString(text, Mask)
	}
	text = pem.ReplaceAllString(text, Mask)
	text = header.ReplaceAllString(text, "${1}${2}"+Mask)
	text = userinfo.ReplaceAllStringFunc(text, func(found string) string {
		at := strings.Index(found, "://") + 3
		who := found[at : len(found)-1]
		if !strings.Contains(who, ":") && strings.ContainsAny(who, "/?#") {
			return found // an @ in a path, of an address without a user
		}
		return found[:at] + Mask + "@"
	})
	text = assigned.ReplaceAllString(text, "${1}${2}"+Mask)
	text = flagged.ReplaceAllString(text, "${1}${2}"+Mask)
	text = query.ReplaceAllString(text, "${1}"+Mask)
	text = long.ReplaceAllString(text, "${1}"+Mask)
	text = scheme.ReplaceAllString(text, "${1}${2}"+Mask)
	text = jwt.ReplaceAllString(text, Mask)
	return issued.ReplaceAllString(text, Mask)
}
