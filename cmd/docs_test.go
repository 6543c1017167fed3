package cmd

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const cliHead = `# Every command

This page is made from the commands themselves by ` + "`hack/generate`" + `; ` + "`evenkeel COMMAND --help`" + ` prints the same.

`

// TestDocumentationHoldsEveryCommand keeps docs/cli.md the same as the commands.
func TestDocumentationHoldsEveryCommand(t *testing.T) {
	const path = "../docs/cli.md"
	root := newRootCommand(&globals{Stdout: io.Discard, Stderr: io.Discard})
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	var b strings.Builder
	b.WriteString(cliHead)
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			fmt.Fprintf(&b, "- [%s](#%s): %s\n", c.CommandPath(), anchor(c.CommandPath()), c.Short)
		}
	}
	describe(&b, root)
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != b.String() {
		t.Fatalf("%s is not what the commands say; run: hack/generate", path)
	}
}

func anchor(title string) string { return strings.ReplaceAll(title, " ", "-") }

// describe writes a command and those below it.
func describe(b *strings.Builder, c *cobra.Command) {
	c.InitDefaultHelpFlag()
	fmt.Fprintf(b, "\n## %s\n\n", c.CommandPath())
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	fmt.Fprintf(b, "%s\n", indented(text))
	if c.Runnable() {
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", c.UseLine())
	}
	if c.Example != "" {
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(c.Example, "  "), "\n  ", "\n"))
	}
	flags(b, c.NonInheritedFlags())
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			describe(b, sub)
		}
	}
}

// indented keeps what the help text indents, such as a command to type, as it stands.
func indented(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for n, line := range lines {
		if strings.HasPrefix(line, "\t") {
			lines[n] = "    " + strings.TrimPrefix(line, "\t")
		}
	}
	return strings.Join(lines, "\n")
}

func flags(b *strings.Builder, set *pflag.FlagSet) {
	first := true
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		if first {
			b.WriteString("\n| flag | type | default | what it does |\n| --- | --- | --- | --- |\n")
			first = false
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		standard := f.DefValue
		if standard == "[]" || standard == "false" || standard == "0s" {
			standard = ""
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", name, strings.Replace(f.Value.Type(), "stringArray", "string, several", 1), standard, strings.ReplaceAll(f.Usage, "|", "\\|"))
	})
}
