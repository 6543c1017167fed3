//go:build linux

package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"

	"github.com/evenkeel/evenkeel/reconcilers/listeners"
)

// portsTried is how many ports are tried, from the one that is wanted on.
const portsTried = 100

// TakePort gives the first port from want on that nobody listens on and no other demo of this user has taken; its site may
// be down at this moment. The port stays taken until what is returned is closed, or this process ends.
func TakePort(ctx context.Context, want int) (int, io.Closer, error) {
	var last error
	for port := want; port < want+portsTried && port < 1<<16; port++ {
		// The name lives in the same network namespace as the port, leaves no file, and goes with its process.
		taken, err := (&net.ListenConfig{}).Listen(ctx, "unix", fmt.Sprintf("@evenkeel-demo-%d-%d", os.Getuid(), port))
		if err != nil {
			last = err
			continue
		}
		if last = isFree(ctx, port); last == nil {
			return port, taken, nil
		}
		_ = taken.Close()
	}
	return 0, nil, fmt.Errorf("finding a free port for the demo's site, from %d on: %w", want, last)
}

// isFree says what stands against listening on a port; nil where nothing does.
func isFree(ctx context.Context, port int) error {
	have, err := listeners.Listeners(ctx, uint16(port)) // #nosec G115 -- it is a port
	if err == nil && len(have) > 0 {
		return fmt.Errorf("somebody listens on port %d", port)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return l.Close()
}
