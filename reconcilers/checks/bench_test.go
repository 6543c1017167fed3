package checks

import (
	"bytes"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// BenchmarkAsk is one question over a kept connection, with what is wanted of its answer. The CPU time holds the answering
// side too, which is as small as can be. The budget is 65 CPU us.
func BenchmarkAsk(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	body := bytes.Repeat([]byte("a page of a site\n"), 600)
	answer := append([]byte("HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: 10200\r\n\r\n"), body...)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				request := make([]byte, 4096)
				for {
					if _, err := c.Read(request); err != nil {
						return
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	client := newLocalClient()
	defer client.CloseIdleConnections()
	q := question{url: "http://" + l.Addr().String() + "/", limit: time.Second, follow: true, want: &v1alpha1.Expectations{ExpectBody: "site"}}
	var before, after unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &before)
	b.ResetTimer()
	for b.Loop() {
		if f := ask(b.Context(), client, q); f.Class != facts.Answered || f.Unmet != "" {
			b.Fatalf("%+v", f)
		}
	}
	_ = unix.Getrusage(unix.RUSAGE_SELF, &after)
	cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(cpu)/1000/float64(b.N), "cpu-us/op")
}

// BenchmarkDeploy is the look for a deploy on a machine where none is at work: a hundred and twenty processes, of which
// fourteen are Node programs, three of these the application's.
func BenchmarkDeploy(b *testing.B) {
	dir := b.TempDir()
	list := []proc{{pid: 50, parent: 1, comm: "PM2 v7.0.4: God", args: []string{"PM2 v7.0.4: God Daemon (" + pm2Home + ")"}, cwd: dir}}
	main := proc{pid: 60, parent: 50, comm: "npm start", args: []string{"npm start"}, cwd: dir}
	other := proc{pid: 61, parent: 50, comm: "node", args: []string{"node", "webhook.js"}, cwd: dir}
	list = append(list, main, other)
	for n := range 12 {
		p := proc{pid: 100 + n, parent: 50, comm: "node", args: []string{"node", "/srv/other/server.js"}, cwd: "/"}
		switch {
		case n < 3:
			p.parent, p.args, p.cwd = 60, []string{"node", dir + "/server.js"}, dir
		case n < 6:
			p.parent = 61
		}
		list = append(list, p)
	}
	for n := range 105 {
		list = append(list, proc{pid: 200 + n, parent: 1, comm: "postgres", args: []string{"postgres: idle"}, cwd: "/"})
	}
	app := site("site")
	app.Spec.Directory = dir
	p := &Prober{FS: machine(b, list...), Runtime: &fakeRuntime{snapshot: runtime.Snapshot{
		Processes: []runtime.Process{row("site", "m", main)}, Others: []runtime.Process{row("webhook", "w", other)},
	}}}
	l := &look{app: app, now: moment(time.Minute)}
	p.lookAround(b.Context(), l)
	l.answered, l.holders = true, []facts.Listener{{PID: 100, Whose: facts.Ours}}
	for b.Loop() {
		if r := p.deployResult(l); r.Status != yes {
			b.Fatalf("%s: %s", r.Status, r.Message)
		}
	}
}
