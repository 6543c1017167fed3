//go:build linux

package pm2

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

const twoRows = `[{"pid":23116,"name":"web","pm_id":0,"monit":{"memory":117825536,"cpu":0.4},"pm2_env":{"status":"online","exec_mode":"fork_mode","restart_time":0,"unstable_restarts":0,"pm_uptime":1795435163841,"created_at":1795435163841,"pm_cwd":"/app","pm_exec_path":"/app/node_modules/next/dist/bin/next","args":["start","-p","3003"],"autorestart":true,"treekill":true,"kill_retry_time":100,"pm_pid_path":"/h/pids/web-0.pid","unique_id":"u","version":"16.4.6","DATABASE_URL":"postgres://[u]:p@h/d"}},{"name":"saved","pm_id":1,"pm2_env":{"status":"stopped"}}]`

// What pm2 jlist was seen to print, see docs and failure modes.
var jlistSamples = map[string]struct {
	out  string
	rows int
	err  error
}{
	"nothing else":     {twoRows + "\n", 2, nil},
	"without line end": {twoRows, 2, nil},
	"empty":            {"[]\n", 0, nil},
	"out of date": {"\n\x1b[31m\x1b[1m>>>> In-memory PM2 is out-of-date, do:\x1b[22m\x1b[39m\n\x1b[31m\x1b[1m>>>> $ pm2 update\x1b[22m\x1b[39m\n" +
		"In memory PM2 version: \x1b[34m\x1b[1m7.0.4\x1b[22m\x1b[39m\nLocal PM2 version: \x1b[34m\x1b[1m6.0.14\x1b[22m\x1b[39m\n\n" + twoRows + "\n", 2, nil},
	"banner of the first use": {strings.Repeat(`    __/\\\\\\\\\\\\\____/\\\\____________/\\\\____/\\\\\\\\\_____ [x]`+"\n", 40) + twoRows + "\n", 2, nil},
	"banner behind it":        {twoRows + "\n\n[PM2] Update [available]\n[\n", 2, nil},
	"carriage returns":        {"noise\r\n" + twoRows + "\r\n", 2, nil},
	"a daemon was born": {"\x1b[32m[PM2] \x1b[39mSpawning PM2 daemon with pm2_home=/h\n\x1b[32m[PM2] \x1b[39mPM2 Successfully daemonized\n[]\n",
		0, runtime.ErrNoDaemon},
	"nothing":        {"", 0, runtime.ErrNotUnderstood},
	"only noise":     {"\x1b[32m[PM2] \x1b[39mhello\n", 0, runtime.ErrNotUnderstood},
	"cut off":        {twoRows[:len(twoRows)-20], 0, runtime.ErrNotUnderstood},
	"another list":   {"[1,2]\n[\"a\"]\n", 0, runtime.ErrNotUnderstood},
	"rows of others": {`[{"pid":1}]` + "\n", 0, runtime.ErrNotUnderstood},
}

func TestParseList(t *testing.T) {
	for name, c := range jlistSamples {
		t.Run(name, func(t *testing.T) {
			rows, err := parseList([]byte(c.out))
			if len(rows) != c.rows || !errors.Is(err, c.err) {
				t.Errorf("%d rows, %v; want %d, %v", len(rows), err, c.rows, c.err)
			}
			if len(rows) == 2 {
				p, q := rows[0].process("/h"), rows[1].process("/h")
				if p.PID != 23116 || p.Memory != 117825536 || len(p.Args) != 3 || p.StartedAt.UnixMilli() != 1795435163841 || q.PID != 0 || q.State != runtime.Stopped {
					t.Errorf("%+v and %+v", p, q)
				}
			}
		})
	}
}

func TestParseListThatIsLarge(t *testing.T) {
	rows := make([]string, 200)
	for i := range rows {
		rows[i] = fmt.Sprintf(`{"pid":%d,"name":"a%d","pm_id":%d,"pm2_env":{"status":"online","X":%q}}`, i+1, i, i, strings.Repeat("[x", 10000))
	}
	got, err := parseList([]byte("noise\n[" + strings.Join(rows, ",") + "]\n"))
	if err != nil || len(got) != 200 {
		t.Errorf("%d rows, %v", len(got), err)
	}
}

func FuzzParseList(f *testing.F) {
	for _, c := range jlistSamples {
		f.Add([]byte(c.out))
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		rows, err := parseList(out)
		if err != nil && !errors.Is(err, runtime.ErrNotUnderstood) && !errors.Is(err, runtime.ErrNoDaemon) {
			t.Errorf("error of no kind: %v", err)
		}
		for i := range rows {
			p := rows[i].process("/h")
			if p.Name == "" || p.Raw == "" || p.ID == "" || p.State == "" || p.PID < 0 || p.StopTimeout <= 0 || p.BackoffNow < 0 || p.RestartDelay < 0 {
				t.Errorf("row %+v", p)
			}
		}
	})
}

func TestFrame(t *testing.T) {
	sent := appendFrame(nil, []byte(`j:{"type":"call","method":"ping","args":[{}]}`), []byte("s:fz:0"))
	if want := "\x12\x00\x00\x00\x2dj:{"; !strings.HasPrefix(string(sent), want) || sent[50] != 0 || sent[53] != 6 {
		t.Errorf("frame %q", sent)
	}
	var got frame
	for range 2 { // the second time into the same buffer
		if err := got.read(iotest.OneByteReader(bytes.NewReader(sent)), maxFrame); err != nil || got.n != 2 || string(got.arg(1)) != "s:fz:0" {
			t.Fatalf("%d arguments, %v", got.n, err)
		}
		if string(got.arg(0)) != `j:{"type":"call","method":"ping","args":[{}]}` {
			t.Errorf("argument %q", got.arg(0))
		}
	}
	kept := got.buf
	got.wipe()
	if got.n != 0 || bytes.ContainsFunc(kept, func(r rune) bool { return r != 0 }) {
		t.Error("something of it is left in memory")
	}
	for cut := range len(sent) {
		err := new(frame).read(bytes.NewReader(sent[:cut]), maxFrame)
		if want := io.ErrUnexpectedEOF; cut == 0 && err != io.EOF || cut > 0 && err != want {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
	// What is announced is not believed: nobody has 4 GiB for that.
	announced := []byte{0x11, 0xff, 0xff, 0xff, 0xff, 'x'}
	if err := got.read(bytes.NewReader(announced), maxFrame); !errors.Is(err, errFrame) {
		t.Errorf("error %v", err)
	}
	announced[1] = 1 // 16 MiB
	if err := got.read(bytes.NewReader(announced), maxFrame+1<<24); !errors.Is(err, io.ErrUnexpectedEOF) || cap(got.buf) > firstBuffer {
		t.Errorf("%d bytes were made ready, %v", cap(got.buf), err)
	}
	large := bytes.Repeat([]byte("x"), 5<<20)
	if err := got.read(bytes.NewReader(appendFrame(nil, large, large)), maxFrame); err != nil || !bytes.Equal(got.arg(0), large) || !bytes.Equal(got.arg(1), large) {
		t.Errorf("a large one: %v", err)
	}
	if got.wipe(); got.buf != nil {
		t.Errorf("%d bytes are kept", cap(got.buf))
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(appendFrame(nil, []byte("j:{}"), []byte("s:1")))
	f.Add([]byte{0x1f})
	f.Add([]byte{0x10})
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 1 << 16
		var got frame
		if err := got.read(bytes.NewReader(b), limit); err != nil {
			return
		}
		if len(got.buf) > limit || got.n > ampMaxArgs {
			t.Fatalf("%d bytes, %d arguments", len(got.buf), got.n)
		}
		args := make([][]byte, got.n)
		for i := range args {
			args[i] = got.arg(i)
		}
		if again := appendFrame(nil, args...); !bytes.HasPrefix(b, again) {
			t.Errorf("%q was read as %q", b, again)
		}
	})
}

func TestTail(t *testing.T) {
	for in, want := range map[string]string{
		"":                                  "",
		"\x1b[31m[PM2][ERROR] \x1b[39mno\n": "[PM2][ERROR] no",
		"a\n\n\tb\x00\x07c":                 "a bc",
		"\xff\xfe":                          "?",
		strings.Repeat("é", 1000):           "…" + strings.Repeat("é", tailSize/2),
	} {
		if got := tail([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
