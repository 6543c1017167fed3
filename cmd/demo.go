package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/evenkeel/evenkeel/cmd/demo"
)

func newDemoCommand(g *globals) *cobra.Command {
	var tour bool
	var dir string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Watch evenkeel keep a small site online, and break it",
		Long: `Demo runs a small web application of its own on port 3003 (another one if that is taken), with a proxy before it, and the
real supervisor on it, with short times. It says what is seen, blamed, decided and done, and what to type in another
terminal to break the site. Ctrl-C ends it, and everything that belongs to it.

With --tour it breaks the site by itself, in every way it knows, and compares what evenkeel makes of it with what it
should; that takes about a minute. Its exit code is 0 only if everything was as it must be, and else 1.

Everything is kept in a temporary folder that is removed at the end, or in the one that --dir names, which stays.`,
		Example: examples("evenkeel demo", "evenkeel demo --tour", "evenkeel demo --dir /tmp/my-demo   # its files stay"),
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if g.StateDir != "" {
				return usagef("demo has a state folder of its own; --dir says where everything is kept")
			}
			if tour {
				return g.demoTour(c.Context(), dir)
			}
			return g.demo(c.Context(), dir)
		},
	}
	c.Flags().BoolVar(&tour, "tour", false, "break the site by itself, in every way, and check what is made of it")
	c.Flags().StringVar(&dir, "dir", "", "folder to keep everything in, empty or new (default: a temporary one)")
	_ = c.MarkFlagDirname("dir")
	return c
}

// newDemoParts are the hidden commands that play the parts of a demo.
func newDemoParts(g *globals) []*cobra.Command {
	part := func(use, short string, run func(ctx context.Context, folder string, port, socket int) error) *cobra.Command {
		var folder string
		var port, socket int
		c := &cobra.Command{
			Use: use, Short: short, Hidden: true, Args: cobra.NoArgs,
			Long:    short + ", for \"evenkeel demo\", which says how to call it. It ends with its demo, and on Ctrl-C.",
			Example: examples("evenkeel " + use + " " + demo.FolderFlag + " /tmp/evenkeel-demo-1 --port 3003"),
			RunE:    func(c *cobra.Command, _ []string) error { return run(c.Context(), folder, port, socket) },
		}
		c.Flags().StringVar(&folder, strings.TrimLeft(demo.FolderFlag, "-"), "", "the demo's folder")
		c.Flags().IntVar(&port, "port", 0, "the site's port (default: $PORT)")
		c.Flags().IntVar(&socket, "socket", 0, "open listening socket to use")
		_ = c.MarkFlagRequired(strings.TrimLeft(demo.FolderFlag, "-"))
		return c
	}
	return []*cobra.Command{
		part(demo.PartSite, "The web application of a demo", func(ctx context.Context, folder string, port, socket int) error {
			o := demo.SiteOptions{Folder: folder, Port: port, Log: g.Stdout}
			if socket > 0 {
				o.Socket = os.NewFile(uintptr(socket), "listener")
			} else if port == 0 {
				var err error
				if o.Port, err = strconv.Atoi(os.Getenv("PORT")); err != nil {
					return usagef("%s wants --port, or PORT", demo.PartSite)
				}
			}
			return demo.RunSite(ctx, o)
		}),
		part(demo.PartStranger, "Another program, on the port of a demo's site", func(ctx context.Context, folder string, port, _ int) error {
			return demo.RunStranger(ctx, folder, port, g.Stdout)
		}),
		part(demo.PartDeploy, "A build at work in the folder of a demo's site", func(ctx context.Context, folder string, _, _ int) error {
			return demo.RunDeploy(ctx, folder, g.Stdout)
		}),
	}
}

// demo runs until the context ends.
func (g *globals) demo(ctx context.Context, dir string) error {
	return g.inDemo(ctx, dir, func(ctx context.Context, w *demoWorld) error {
		w.introduce()
		w.speak()
		select {
		case <-ctx.Done():
			return nil
		case err := <-w.ended:
			w.ended <- err
			return errors.Join(errors.New("the supervisor ended by itself"), err)
		}
	})
}

// inDemo makes a demo's world, lets something happen in it, and takes it away again, whatever happened.
func (g *globals) inDemo(ctx context.Context, dir string, happen func(context.Context, *demoWorld) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// None of these may end us before what is ours has ended: a terminal that is closed, a reader that has gone, a second
	// Ctrl-C.
	hangUp := make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	defer signal.Stop(hangUp)
	ignored := make(chan os.Signal, 1)
	signal.Notify(ignored, syscall.SIGPIPE, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(ignored)
	go func() {
		select {
		case <-hangUp:
			cancel()
		case <-ctx.Done():
		}
	}()

	voice := newDemoVoice(g.Stdout, cancel)
	for _, path := range demo.Sweep(ctx) {
		voice.line("An earlier demo was ended by force; what it had left in %s is gone now.", path)
	}
	w, err := newDemoWorld(ctx, g, dir, voice)
	if err != nil {
		return err
	}
	err = happen(ctx, w)
	if ctx.Err() != nil {
		voice.line("")
		voice.line("  The demo ends, and its site with it.")
	}
	err = errors.Join(err, w.end())
	if w.folder.Kept() {
		voice.line("  Its files are in %s.", w.folder.Path())
	}
	return err
}

// introduce says what is there, how to break it, and where to look.
func (w *demoWorld) introduce() {
	s := w.voice.style
	line := w.voice.line
	site, _ := w.watch.site()
	self := shellWord(w.self)
	where := demo.FolderFlag + " " + shellWord(w.folder.Path())
	line("%s", s.bold("evenkeel keeps a small site online here."))
	line("")
	if w.port != demoPort {
		line("  Port %d is taken; the site uses %d instead.", demoPort, w.port)
	}
	line("  The site:   %s  (process %d)", s.good(w.siteURL("/")), site.PID)
	line("  In public:  %s  (through a proxy)", s.good(w.proxy.URL()))
	line("")
	line("  %s", s.bold("Break it from another terminal, and watch here:"))
	var rows [][]cell
	row := func(command, means string) { rows = append(rows, []cell{{command, nil}, {means, s.dim}}) }
	row(fmt.Sprintf("kill -9 %d", site.PID), "it is killed")
	row(fmt.Sprintf("kill -STOP %d", site.PID), "it is stopped, and hangs")
	for _, b := range demo.Breakages() {
		row("curl -s "+w.siteURL(b.Path), b.Means)
	}
	row("curl -s "+w.proxy.URL()+"break/proxy", "the proxy goes away for a while")
	w.block(table("    ", rows))
	line("    %s %s %s --port %d", self, demo.PartStranger, where, w.port)
	line("      %s", s.dim("another program waits for the port, and takes it at …/break/port or at a crash"))
	line("    %s %s %s", self, demo.PartDeploy, where)
	line("      %s", s.dim("a build is at work, and there is no finished one, until Ctrl-C"))
	line("")
	line("  %s", s.bold("Look, and overrule:"))
	line("    %s --state-dir %s status", self, shellWord(w.folder.State()))
	line("      %s", s.dim("or why, events, pause, resume, recover, reset in the place of status"))
	line("    $EDITOR %s", shellWord(w.folder.Desired()))
	line("      %s", s.dim("what is wanted: paused: true, for one"))
	line("    $EDITOR %s", shellWord(w.stateFile()))
	line("      %s", s.dim("what evenkeel knows: phase: Healthy resets"))
	line("")
	line("  Ctrl-C ends it, and everything that belongs to it.")
	line("")
}

// block writes lines that are at hand as a whole.
func (w *demoWorld) block(text string) {
	for line := range strings.Lines(text) {
		w.voice.line("%s", strings.TrimSuffix(line, "\n"))
	}
}

// speak begins to tell what is seen and done.
func (w *demoWorld) speak() {
	w.watch.speak(func(s fed) { w.voice.say(time.Now(), sayings(s)...) })
}
