package cmd

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAlertTestSaysOfEachReceiverWhatBecameOfIt(t *testing.T) {
	got := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/s3cr3tgone" {
			http.NotFound(w, r)
			return
		}
		got <- r.Header.Get("Idempotency-Key")
	}))
	defer server.Close()
	b := newBench(t)
	file := b.desire(strings.Replace(siteYAML, "{exec: [/usr/local/bin/tell-me]}", "{webhook: '"+server.URL+"/s3cr3tpath'}", 1))
	b.keep(healthy(t))
	b.wants(b.run(nil, "alert", "test"), exitWell, "webhook "+server.URL+"/…: taken in ")
	if id := <-got; len(id) != 16 {
		t.Errorf("ID %q", id)
	}
	b.wants(b.run(nil, "alert", "test", "bbyatch", "-f", file), exitWell, "taken in ")
	<-got
	file = b.desire(strings.Replace(siteYAML, "{exec: [/usr/local/bin/tell-me]}", "{webhook: '"+server.URL+"/s3cr3tgone'}, {exec: [/does/not/exist, s3cr3t]}", 1))
	b.wants(b.run(nil, "alert", "test", "-f", file), exitNotWell, "webhook "+server.URL+"/…: the answer was 404", "program /does/not/exist: it cannot be run")
	if said := b.out.String() + b.err.String(); strings.Contains(said, "s3cr3t") {
		t.Error(said)
	}
	file = b.desire(strings.Replace(siteYAML, "{exec: [/usr/local/bin/tell-me]}", "", 1))
	b.wants(b.run(nil, "alert", "test", "-f", file), exitNotWell, "nobody would be told")
	b.wants(b.run(nil, "alert", "test", "other", "-f", file), exitUsage, "other")
}

func TestValidateSaysWhatIsWrongWithAnAddressByShoutrrrAndShowsNoneOfIt(t *testing.T) {
	b := newBench(t)
	with := func(address string) string {
		return b.desire(strings.Replace(siteYAML, "{exec: [/usr/local/bin/tell-me]}", "{shoutrrr: '"+address+"'}", 1))
	}
	for _, tc := range []struct {
		address string
		code    int
		want    []string
	}{
		{"telegram://123456789:s3cr3tABCDEFGHIJKLMNOPQRSTUVWXYZ1234@telegram?chats=@ops", exitWell, []string{"shoutrrr telegram://…"}},
		{"smtp://me:s3cr3t@mail.example.com/", exitWell, []string{"spec.alerts[0].shoutrrr: nobody would be told this way"}},
		{"carrier://s3cr3t@pigeon", exitUsage, []string{":10:", "spec.alerts[0].shoutrrr", "want one of shoutrrr's services: bark, discord"}},
		{"https://example.com/s3cr3t", exitUsage, []string{"take webhook:"}},
		{"s3cr3t", exitUsage, []string{"spec.alerts[0].shoutrrr"}},
		{"smtp://me:s3cr3t%zz@x/", exitUsage, []string{"%40 for @"}},
	} {
		b.wants(b.run(nil, "validate", "-f", with(tc.address)), tc.code, tc.want...)
		if said := b.out.String() + b.err.String(); strings.Contains(said, "s3cr3t") {
			t.Errorf("%s: %s", tc.address, said)
		}
	}
}
