//go:build load

package load

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// measure looks at evenkeel for a time: from outside, and at what its log says of the passes of those that are well.
func (c *crowd) measure(during time.Duration) *window {
	c.Helper()
	w := &window{apps: len(c.names)}
	from, used := time.Now(), c.cpu()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for time.Since(from) < during {
		<-tick.C
		w.pss = append(w.pss, c.pss())
		w.descriptors = append(w.descriptors, c.open())
		w.goroutines = append(w.goroutines, c.counted("go_goroutines"))
	}
	to := time.Now()
	w.cpu = float64(c.cpu()-used) / float64(to.Sub(from))
	delays := c.delays(from, to)
	if w.passes = len(delays); w.passes < len(c.healthy)*int(during/interval)/2 {
		c.Fatalf("the log tells of %d passes in %s", w.passes, during)
	}
	slices.Sort(delays)
	part := func(of int) time.Duration { return delays[min(len(delays)*of/100, len(delays)-1)] }
	w.p50, w.p99, w.most = part(50), part(99), part(100)
	return w
}

// delays are by how much later than it was due each pass of those that are well began, as far as the log tells: each is due an
// interval after the one before. One that somebody asked for sooner is not late.
func (c *crowd) delays(from, to time.Time) []time.Duration {
	c.Helper()
	var list []time.Duration
	last := map[string]time.Time{}
	for _, line := range c.logged() {
		if strings.Contains(line.Msg, "dropped") || strings.Contains(line.Msg, "lost") {
			c.Fatalf("the log is not whole: %s", line.Msg)
		}
		if line.Msg != "pass" || line.Time.Before(from) || line.Time.After(to) || !slices.Contains(c.healthy, line.App) {
			continue
		}
		if before, ok := last[line.App]; ok {
			list = append(list, max(line.Time.Sub(before)-interval, 0))
		}
		last[line.App] = line.Time
	}
	return list
}

type logLine struct {
	Time time.Time
	Msg  string
	App  string
}

// logged are all lines of the log, the older files first.
func (c *crowd) logged() []logLine {
	c.Helper()
	files, err := filepath.Glob(filepath.Join(c.dir, "monitor*.log"))
	if err != nil {
		c.Fatal(err)
	}
	slices.SortFunc(files, func(a, b string) int { // the one that is written bears no date
		return strings.Compare(strings.Replace(a, "monitor.log", "monitor-z.log", 1), strings.Replace(b, "monitor.log", "monitor-z.log", 1))
	})
	var list []logLine
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			c.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var line logLine
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				break // it is being written
			}
			list = append(list, line)
		}
	}
	return list
}

func (c *crowd) proc(file string) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", c.running.Process.Pid, file))
	if err != nil {
		c.Fatal(err)
	}
	return string(text)
}

// pss is evenkeel's share of the memory, in bytes.
func (c *crowd) pss() int64 {
	for line := range strings.Lines(c.proc("smaps_rollup")) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "Pss:" {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n << 10
		}
	}
	c.Fatal("the kernel tells no PSS")
	return 0
}

// open is how many files evenkeel has open.
func (c *crowd) open() int64 {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.running.Process.Pid))
	if err != nil {
		c.Fatal(err)
	}
	return int64(len(entries))
}

// cpu is the processor time that evenkeel has used, without that of its children.
func (c *crowd) cpu() time.Duration {
	p, err := procfs.Default().Process(c.running.Process.Pid)
	if err != nil {
		c.Fatal(err)
	}
	return p.CPU
}

// counted is one of evenkeel's own metrics.
func (c *crowd) counted(name string) int64 {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", c.socket())
	}}}
	answer, err := client.Get("http://evenkeel/metrics")
	if err != nil {
		c.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		c.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				c.Fatal(err)
			}
			return int64(n)
		}
	}
	c.Fatalf("evenkeel counts no %s", name)
	return 0
}
