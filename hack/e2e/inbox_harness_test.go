//go:build e2e

package e2e

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// inbox receives alerts: by a program that writes each into a file of its own, and by a webhook on the stack's loopback.
type inbox struct {
	w      *world
	folder string
	url    string
	mu     sync.Mutex
	hooked []v1alpha1.Alert
}

// inbox makes a receiver and names it in the document, which tells it of everything.
func (w *world) inbox(d *desired) *inbox {
	w.Helper()
	in := &inbox{w: w, folder: filepath.Join(w.dir, "alerts")}
	w.inboxes = append(w.inboxes, in)
	w.mkdir(in.folder)
	script := filepath.Join(w.dir, "tell")
	w.write(script, "#!/bin/sh\nset -e\nf=$(mktemp "+in.folder+"/.XXXXXX)\ncat >$f\nmv $f "+in.folder+"/$(date +%s%N).json\n", 0o755)
	d.Set("spec.recovery.tell", string(v1alpha1.TellAlways))
	d.Alert(map[string]any{"exec": []any{script}})
	l, err := w.listen(0)
	if err != nil {
		w.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var a v1alpha1.Alert
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		in.mu.Lock()
		defer in.mu.Unlock()
		in.hooked = append(in.hooked, a)
	})}
	go func() { _ = server.Serve(l) }()
	w.Cleanup(func() { _ = server.Close() })
	token := rand.Text()
	w.plant("the token in the webhook's address", token)
	in.url = fmt.Sprintf("http://127.0.0.1:%d/%s", l.Addr().(*net.TCPAddr).Port, token)
	d.Alert(map[string]any{"webhook": in.url})
	return in
}

// byProgram are the alerts that the program was given, in the order of their coming.
func (in *inbox) byProgram() (list []v1alpha1.Alert) {
	in.w.Helper()
	files, _ := filepath.Glob(filepath.Join(in.folder, "*.json"))
	slices.Sort(files)
	for _, f := range files {
		var a v1alpha1.Alert
		if err := json.Unmarshal([]byte(in.w.read(f)), &a); err != nil {
			in.w.Errorf("alert in %s: %v", f, err)
		}
		list = append(list, a)
	}
	return list
}

// byWebhook are those that the webhook was given.
func (in *inbox) byWebhook() []v1alpha1.Alert {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.hooked)
}

// words says an alert in a few words.
func words(list []v1alpha1.Alert) (out []string) {
	for _, a := range list {
		out = append(out, strings.TrimSpace(string(a.Kind)+" "+string(a.Blame)))
	}
	return out
}
