package cmd

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra/doc"
)

var manDir = flag.String("man", "", "folder to write the man pages to")

// TestManPages writes the man pages of the package, one for each command. They are made here so that what makes them weighs
// nothing in the program.
func TestManPages(t *testing.T) {
	dir := *manDir
	if dir == "" {
		dir = t.TempDir()
	}
	root := newRootCommand(&globals{Stdout: io.Discard, Stderr: io.Discard})
	root.DisableAutoGenTag = true
	if err := doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "evenkeel", Manual: "evenkeel"}, dir); err != nil {
		t.Fatal(err)
	}
	for _, c := range root.Commands() {
		page, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"))
		if !c.IsAvailableCommand() || c.Name() == "help" {
			continue
		}
		if err != nil || !strings.Contains(string(page), ".SH SYNOPSIS") && c.Runnable() {
			t.Errorf("%s: %v: %.200s", c.CommandPath(), err, page)
		}
	}
}
