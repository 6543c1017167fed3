package mask

import (
	"strings"
	"testing"
)

func TestKnownValuesAreMaskedHoweverTheyAreWritten(t *testing.T) {
	var m Masker
	m.Add("DATABASE_URL", "postgresql://shop:p@ss/w0rd!@db.example.com:5432/shop?sslcert=x&api_key=q9q9")
	m.Add("NEXTAUTH_SECRET", "q2+/x7Zz\"\\t=")
	m.Add("SIGNING", "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\\n-----END PRIVATE KEY-----")
	m.Add("WORD", "swordfish")
	m.Add("API_TOKEN", "abcd")
	for name, text := range map[string]string{
		"itself":          "the word is swordfish.",
		"the whole URL":   "connecting to postgresql://shop:p@ss/w0rd!@db.example.com:5432/shop?sslcert=x&api_key=q9q9",
		"its password":    "password authentication failed: p@ss/w0rd!",
		"encoded":         "p%40ss%2Fw0rd%21",
		"a parameter":     "sent q9q9 to it",
		"JSON":            `{"a":"q2+/x7Zz\"\\t="}`,
		"base64":          "c3dvcmRmaXNo",
		"a line of a key": "it read MIIEvQIBADANBgkqhkiG9w0BAQEFAASC, and failed",
		"short but named": "sent abcd",
		"twice":           "swordfishswordfish",
	} {
		got := m.Text(text)
		for _, secret := range []string{"swordfish", "w0rd", "q9q9", "x7Zz", "c3dvcmRm", "MIIEvQ", "abcd"} {
			if strings.Contains(got, secret) {
				t.Errorf("%s: %q still holds %q", name, got, secret)
			}
		}
		if !strings.Contains(got, Mask) {
			t.Errorf("%s: nothing is masked in %q", name, got)
		}
	}
}

func TestOverlappingValuesLeaveNothing(t *testing.T) {
	var m Masker
	m.Add("A", "abcdefgh")
	m.Add("B", "xyzabcde")
	if got := m.Text("- xyzabcdefgh -"); got != "- "+Mask+" -" {
		t.Errorf("%q", got)
	}
}

func TestWhatACutLeavesOfASecretIsMasked(t *testing.T) {
	var m Masker
	m.Add("A", "correct-horse-battery")
	if got := m.Part("horse-battery staple corre", true, true); got != Mask+" staple "+Mask {
		t.Errorf("%q", got)
	}
	if got := m.Part("horse-battery staple corre", false, false); got != "horse-battery staple corre" {
		t.Errorf("not cut: %q", got)
	}
	if got := m.Part("AAAABBBB\nCCCC==\n-----END RSA PRIVATE KEY-----\nnext", true, false); got != Mask+"\nnext" {
		t.Errorf("the end of a key: %q", got)
	}
	if got := m.Part("before\n-----BEGIN RSA PRIVATE KEY-----\nAAAABBBB", false, true); got != "before\n"+Mask {
		t.Errorf("the beginning of a key: %q", got)
	}
}

func TestWhatLooksLikeASecretIsMasked(t *testing.T) {
	var m Masker
	for _, text := range []string{
		"mysql://root:hunter2@db/shop", "redis://:hunter2@cache:6379", "amqps://u:hun/ter2@mq/x", "https://hunter2@git.example.com/a",
		"Authorization: Bearer hunter2hunter2", "authorization: 'Basic hunter2==',", `"cookie":"a=hunter2; b=1","host":"x"`,
		"Set-Cookie: sid=hunter2; Path=/", "set-cookie: [ 'sid=hunter2' ]", "password=hunter2", "DB_PASSWORD: hunter2", `"password": "hunter2"`,
		`{\"password\":\"hunter2\"}`, "{ password: 'hunter2' }", `secret="hunter2 hunter2"`, "--password hunter2", "--api-key=hunter2",
		"GET /reset?token=hunter2&x=1", "GET /cb?code=hunter2", "/a?X-Amz-Signature=hunter2", "/a?blob=hunter2hunter2hunter2hunter2",
		"eyJhbGciOiJIUzI1NiJ9.hunter2hunter2.hunter2", "sk_live_hunter2hunter2", "ghp_hunter2hunter2hunter2", "bearer hunter2hunter2",
		"AWS_SECRET_ACCESS_KEY=hunter2", "-----BEGIN EC PRIVATE KEY-----\nhunter2\n-----END EC PRIVATE KEY-----",
		"ACCESS_TOKEN => hunter2", "clientSecret: hunter2",
	} {
		if got := m.Text(text); strings.Contains(got, "hunter2") || !strings.Contains(got, Mask) {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestEvidenceStaysReadable(t *testing.T) {
	var m Masker
	for name, value := range map[string]string{
		"NODE_ENV": "production", "PORT": "3003", "PATH": "/usr/bin:/bin", "APP_DIR": "/srv/site", "BASE_URL": "http://localhost:3003",
		"LEVEL": "debug", "WORKERS": "100000", "ENTRY": "./server.js", "DATABASE_TOKEN_SET": "true", "name": "bbyatch", "HOME": "/home/deploy",
	} {
		m.Add(name, value)
	}
	for _, text := range []string{
		"NODE_ENV is production, in /srv/site, at http://localhost:3003/", "Error: connect ECONNREFUSED 127.0.0.1:5432",
		"    at Server.listen (node:net:1940:12)", "HTTP/1.1 502 Bad Gateway", "Content-Type: text/html; charset=utf-8",
		"  pid 100000 ./server.js true debug bbyatch /usr/bin:/bin /home/deploy", "see https://nextjs.org/docs/messages/sharp-missing",
		"GET /yachts/42?page=2&sort=price 200 in 12ms", "https://registry.npmjs.org/@types/node",
	} {
		if got := m.Text(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// FuzzMask: whatever the text, no value that is known is left in it, nor, at a cut, enough of one to be told; and it neither
// panics nor breaks UTF-8.
func FuzzMask(f *testing.F) {
	f.Add("swordfish", "correct-horse", "the swordfish of the correct-horse-", uint8(3))
	f.Add("a\"b\\c\nd", "xxxxxxxx", "a\"b\\c\nd xxxxxxxxx", uint8(0))
	f.Add("pass@word/1", "masked", "[masked] postgres://u:pass@word/1@h", uint8(9))
	f.Fuzz(func(t *testing.T, a, b, text string, at uint8) {
		var m Masker
		m.Add("A_SECRET", a)
		m.Add("B_SECRET", b)
		cut := min(int(at), len(text))
		for _, got := range []string{m.Text(text), m.Part(text[cut:], true, false), m.Part(text[:cut], false, true), m.Text(a + text + b)} {
			// What stands between two masks is all that is left of the text.
			for _, left := range strings.Split(got, Mask) {
				for _, v := range []string{a, b} {
					long := len(strings.TrimSpace(v)) >= least // before bytes that are no text become three each
					v = strings.TrimSpace(strings.ToValidUTF8(v, "\uFFFD"))
					if long && !trivial(v) && !strings.Contains(Mask, v) && strings.Contains(left, v) {
						t.Fatalf("%q still holds %q", got, v)
					}
				}
			}
			if strings.ToValidUTF8(got, "") != got {
				t.Fatalf("%q is no text", got)
			}
		}
	})
}
