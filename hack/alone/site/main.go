// Site is the web application of the tests in hack/alone and hack/load: it answers on $PORT, writes a line now and then, and
// ends when it is asked to. The file $FAULT, if there is one, makes it fail: crash (soon after each start), hang or error.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "site:", err)
		os.Exit(1)
	}
}

func run() error {
	switch os.Getenv("PART") {
	case "detached": // a program whose listener is a child in a session of its own
		return detached()
	case "leaving": // a child that loses its parent, and ends
		return exec.CommandContext(context.Background(), "/bin/sh", "-c", "sleep 0.2 & exec true").Run()
	}
	asked, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	listener, err := new(net.ListenConfig).Listen(asked, "tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		return err
	}
	if os.Getenv("ORPHANS") != "" {
		child := exec.CommandContext(asked, os.Args[0]) // #nosec G204,G702 -- it is this program
		child.Env = append(os.Environ(), "PART=leaving")
		if err := child.Run(); err != nil {
			return fmt.Errorf("making an orphan: %w", err)
		}
	}
	fmt.Println("began", os.Getpid())
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch fault() {
		case "hang":
			<-r.Context().Done()
			return
		case "error":
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = fmt.Fprintln(w, os.Getpid())
	})}
	go func() {
		pulse := 20 * time.Millisecond
		if os.Getenv("FAULT") != "" { // one of many
			pulse = 500 * time.Millisecond
		}
		for tick := time.NewTicker(pulse); ; <-tick.C {
			fmt.Println("alive", os.Getpid())
			if fault() == "crash" {
				os.Exit(1)
			}
		}
	}()
	go func() {
		<-asked.Done()
		fmt.Println("asked to end", os.Getpid())
		_ = server.Shutdown(context.Background())
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	fmt.Println("ended", os.Getpid())
	return nil
}

// fault is how it has to fail; empty where it is to be well.
func fault() string {
	how, _ := os.ReadFile(os.Getenv("FAULT")) // #nosec G304,G703 -- the test's own
	return string(bytes.TrimSpace(how))
}

func detached() error {
	asked, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	child := exec.CommandContext(asked, os.Args[0]) // #nosec G204,G702 -- it is this program
	child.Cancel = func() error { return child.Process.Signal(syscall.SIGTERM) }
	child.Env = append(os.Environ(), "PART=")
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return child.Run()
}
