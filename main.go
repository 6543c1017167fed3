// Evenkeel keeps the web applications of one machine online.
package main

import (
	"os"

	"github.com/evenkeel/evenkeel/cmd"
)

func main() { os.Exit(cmd.Execute()) }
