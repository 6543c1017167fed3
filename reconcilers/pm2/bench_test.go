//go:build linux

package pm2

import (
	"context"
	"testing"

	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// BenchmarkLook asks a real PM2 about one application, over the socket and by command.
func BenchmarkLook(b *testing.B) {
	w := newWorld(b)
	w.pm2("start", "web.js", "--name", "web")
	w.untilState("web", runtime.Running)
	b.Run("socket", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := w.m.Look(context.Background(), w.app("web")); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("new connection", func(b *testing.B) {
		for b.Loop() {
			w.m.Close()
			if _, err := w.m.Look(context.Background(), w.app("web")); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("command", func(b *testing.B) {
		h, spec, err := w.m.open(w.app("web"))
		if err != nil {
			b.Fatal(err)
		}
		cmd := &command{m: w.m, home: h, spec: spec, daemon: w.look("web").Daemon}
		for b.Loop() {
			if _, err := cmd.list(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
