package cmd

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version and commit are set by the linker in a release: -ldflags "-X github.com/evenkeel/evenkeel/cmd.version=v1.2.3".
var version, commit string

// build says what this program was made from.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// buildVersion takes what the linker was given, and what Go itself notes for the rest.
func buildVersion() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = nil
	}
	return versionOf(version, commit, info)
}

func versionOf(version, commit string, info *debug.BuildInfo) build {
	b := build{Version: version, Commit: commit, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info != nil {
		if v := info.Main.Version; b.Version == "" && v != "(devel)" {
			b.Version = v
		}
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && b.Commit == "":
				b.Commit = s.Value
			case s.Key == "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	if b.Version == "" {
		b.Version = "devel"
	}
	return b
}

// String is the version on one line.
func (b build) String() string {
	text := "evenkeel " + b.Version
	if b.Commit != "" {
		text += " (commit " + b.Commit
		if b.Modified {
			text += ", modified"
		}
		text += ")"
	}
	return text + " " + b.Go + " " + b.Platform
}

func newVersionCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:     "version",
		Short:   "Say which version this is",
		Long:    "Version says which version this is, from which commit it was built, and with which Go.",
		Example: examples("evenkeel version", "evenkeel version -o json"),
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := buildVersion()
			if g.Output != "" {
				return g.printObjects(b)
			}
			_, err := fmt.Fprintln(g.Stdout, b)
			return err
		},
	}
	g.addOutput(c, "json", "yaml")
	return c
}
