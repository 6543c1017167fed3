package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/evenkeel/evenkeel/reconcilers/pm2"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"github.com/evenkeel/evenkeel/reconcilers/survey"
	"github.com/evenkeel/evenkeel/reconcilers/survey/draft"
	"github.com/evenkeel/evenkeel/reconcilers/systemd"
	"github.com/evenkeel/evenkeel/state/desired"
)

// initLimit bounds the whole look. It takes a second where everybody answers.
const initLimit = time.Minute

// toStdout is the file name that stands for standard output.
const toStdout = "-"

func newInitCommand(g *globals) *cobra.Command {
	var file string
	var force bool
	c := &cobra.Command{
		Use:   "init [NAME]",
		Short: "Look at this machine, and write the first desired-state file",
		Long: `Init looks at this machine and writes a commented desired-state file of what it sees: PM2's list, or the unit of systemd's
that holds the port, and how the process is run, the port on which it listens, the Nginx server block that leads there, what
the public address answers, which variables the .env files name (never what they say), how much memory there is. It asks
nothing, changes nothing, and starts no PM2 daemon. What it could not find out it says, in the file too; and it warns of
other watchdogs at work.

NAME is one that "pm2 ls" shows, or a unit such as my-site.service. Without it, the only application of PM2's is taken, or
the only one that serves HTTP; where PM2 has none of either, the only service that does and whose unit was written on this
machine. Run it as the user who runs the application. A file that is there is not overwritten without --force.

It exits with 0 if a file was written, with 1 if not.`,
		Example: examples("evenkeel init", "evenkeel init my-site -o /etc/evenkeel/my-site.yaml", "evenkeel init my-site.service -o -   # print it"),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return g.init(c.Context(), strings.Join(args, ""), file, force)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	c.Flags().StringVarP(&file, "output", "o", "", `file to write; "-" prints it (default: the App's name, .yaml)`)
	c.Flags().BoolVar(&force, "force", false, "overwrite the file if it is there")
	_ = c.MarkFlagFilename("output", "yaml", "yml")
	return c
}

func (g *globals) init(ctx context.Context, process, file string, force bool) error {
	if file != "" && file != toStdout && !force {
		if _, err := os.Lstat(file); err == nil { // say so before the look, which takes a moment
			return thereAlready(file)
		}
	}
	look := g.survey
	if look == nil {
		manager, units := pm2.New(), systemd.New()
		defer manager.Close()
		defer units.Close()
		look = (&survey.Surveyor{PM2: manager, Systemd: units}).Survey
	}
	ctx, cancel := context.WithTimeout(ctx, initLimit)
	defer cancel()
	facts, err := look(ctx, process)
	if err != nil {
		return explainSurvey(err)
	}
	named := file
	if file == toStdout {
		named = ""
	}
	d, err := draft.Write(facts, named)
	if err != nil {
		return err
	}
	if named == "" {
		named = d.File
	}
	if err := desired.Parse([]byte(d.Text), named).Err(); err != nil {
		return fmt.Errorf("the file that would have been written is not right, which is a mistake of evenkeel's own; please report it: %v", err) //nolint:errorlint // no file of the operator's is wrong
	}
	if file == toStdout {
		if _, err := fmt.Fprint(g.Stdout, d.Text); err != nil {
			return err
		}
		fmt.Fprint(g.Stderr, initText(d, "", styleFor(g.Stderr)))
		return nil
	}
	if err := desired.Create(named, []byte(d.Text), force); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return thereAlready(named)
		}
		return err
	}
	_, err = fmt.Fprint(g.Stdout, initText(d, named, styleFor(g.Stdout)))
	return err
}

func thereAlready(file string) error {
	return fmt.Errorf("%s is there already, and was left as it is; name another file with -o, print with -o -, or overwrite it with --force", file)
}

// explainSurvey adds what to type.
func explainSurvey(err error) error {
	var choice *survey.ChoiceError
	switch {
	case errors.As(err, &choice) && len(choice.Apps) > 0:
		var commands []string
		for _, a := range choice.Apps {
			commands = append(commands, "evenkeel init "+shellWord(a.Name))
		}
		return fmt.Errorf("%w; say which: %s", err, strings.Join(commands, ", or "))
	case errors.As(err, &choice):
		return fmt.Errorf("%w; start the application first, name its unit (evenkeel init UNIT.service), or look as the user who runs it: sudo -iu USER evenkeel init", err)
	case errors.Is(err, runtime.ErrTimeout):
		return fmt.Errorf("%w; try it again when PM2 answers: pm2 ping", err)
	}
	return err
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,-]+$`)

// shellWord writes a word as a shell takes it.
func shellWord(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	if strings.ContainsFunc(word, unicode.IsControl) {
		return "NAME"
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// initText is what is said beside the file; file is empty where it was printed.
func initText(d draft.Draft, file string, s style) string {
	var b strings.Builder
	if file != "" {
		fmt.Fprintf(&b, "wrote %s\n", s.bold(plain(file)))
	}
	for _, part := range []struct {
		title string
		paint func(string) string
		lines []string
	}{
		{"another watchdog", s.bad, d.Watchdogs},
		{"not found out", s.warn, d.Unknown},
		{"note", s.dim, d.Noticed},
	} {
		for _, line := range part.lines {
			b.WriteString("  " + part.paint(part.title+":") + " " + plain(line) + "\n")
		}
	}
	if file != "" {
		f := shellWord(file)
		b.WriteString(table("  ", [][]cell{
			{{"evenkeel check -f " + f, nil}, {"one look; nothing is changed", s.dim}},
			{{"evenkeel run -f " + f, nil}, {"supervise, in the foreground", s.dim}},
			{{"sudo evenkeel install -f " + f, nil}, {"supervise as a service", s.dim}},
		}))
	}
	return b.String()
}
