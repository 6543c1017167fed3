package v1alpha1

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestWithoutSecrets(t *testing.T) {
	const secret = "s3cr3t"
	app := &App{}
	app.Spec.Directory = "/srv/site"
	app.Spec.Runtime.Exec = &ExecRuntime{Command: []string{"node"}, Env: map[string]string{"DATABASE_URL": secret, "EMPTY": ""}}
	app.Spec.Alerts = []AlertSpec{{Exec: []string{"/bin/tell", secret}}, {Webhook: "https://h/" + secret}, {Shoutrrr: "ntfy://h/" + secret}}
	app.Spec.Heartbeat = &HeartbeatSpec{URL: "https://h/" + secret}
	app.Spec.Checks.Public.URL = "https://me:" + secret + "@example.test:8443/shop?key=" + secret + "#" + secret
	before, _ := json.Marshal(app)

	data, err := json.Marshal(app.WithoutSecrets())
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	if strings.Contains(text, secret) || strings.Contains(text, "/bin/tell") {
		t.Errorf("a secret is left: %s", text)
	}
	for _, want := range []string{"/srv/site", `"DATABASE_URL":"(hidden)"`, `"exec":["(hidden)","(hidden)"]`, `"webhook":"(hidden)"`, `"shoutrrr":"(hidden)"`,
		`"https://(hidden)@example.test:8443/shop?(hidden)"`} {
		if !strings.Contains(text, want) {
			t.Errorf("want %s in it: %s", want, text)
		}
	}
	if after, _ := json.Marshal(app); !bytes.Equal(after, before) {
		t.Error("the App itself was changed")
	}
	if (*App)(nil).WithoutSecrets() != nil {
		t.Error("no App became one")
	}
	plain := &App{}
	plain.Spec.Checks.Public.URL = "https://example.test/shop"
	if got := plain.WithoutSecrets(); !reflect.DeepEqual(got, plain) {
		t.Errorf("an App without secrets became %+v", got.Spec)
	}
	for in, want := range map[string]string{"": "", "https://example.test": "https://example.test", "me:x@host": Hidden, "http://%zz" + secret: Hidden} {
		if got := shownAddress(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
}

// TestNoSecretOfAKindThatIsLeftWhole: a tagged field of a new type is hidden too.
func TestNoSecretOfAKindThatIsLeftWhole(t *testing.T) {
	type inner struct{ A string }
	type outer struct {
		Struct  inner   `evenkeel:"secret"`
		Pointer *inner  `evenkeel:"secret"`
		Number  int     `evenkeel:"secret"`
		List    []inner `evenkeel:"secret"`
		Below   []*struct {
			Key string `evenkeel:"secret"`
		}
	}
	v := outer{Struct: inner{"a"}, Pointer: &inner{"a"}, Number: 7, List: []inner{{"a"}}}
	v.Below = append(v.Below, &struct {
		Key string `evenkeel:"secret"`
	}{"a"})
	hideIn(reflect.ValueOf(&v).Elem())
	if v.Struct.A != "" || v.Pointer != nil || v.Number != 0 || v.List != nil || v.Below[0].Key != Hidden {
		t.Errorf("%+v", v)
	}
}
