package unit

import (
	_ "embed"
	"fmt"
	"strings"
	"text/template"
	"unicode"
)

// The names of the helper's units. The socket is what is switched on; it begins the service.
const (
	SwapService = "evenkeel-swap.service"
	SwapSocket  = "evenkeel-swap.socket"
)

// SwapCommand is the hidden command that the helper is.
const SwapCommand = "swap-helper"

// Swap is what the units of the helper that clears swap are made of.
type Swap struct {
	// Program is evenkeel's own path, User the one user who may ask, Socket where.
	Program, User, Socket string
}

var (
	//go:embed evenkeel-swap.service.tmpl
	swapService string
	//go:embed evenkeel-swap.socket.tmpl
	swapSocket string

	swapServicePage = parsed("swap service", swapService)
	swapSocketPage  = parsed("swap socket", swapSocket)
)

// Command is what the program is told.
func (s *Swap) Command() string { return SwapCommand }

// Texts are the files of the service and of the socket. It fails where a path or a name holds a control character.
func (s *Swap) Texts() (service, socket string, err error) {
	for _, word := range []string{s.Program, s.User, s.Socket} {
		if strings.ContainsFunc(word, unicode.IsControl) {
			return "", "", fmt.Errorf("%q holds a control character, and cannot stand in a unit", word)
		}
	}
	if service, err = filled(swapServicePage, s); err != nil {
		return "", "", err
	}
	socket, err = filled(swapSocketPage, s)
	return service, socket, err
}

// Ours tells whether a unit's text was written by this package.
func Ours(text string) bool { return strings.HasPrefix(text, Mark) }

func filled(page *template.Template, with any) (string, error) {
	var b strings.Builder
	err := page.Execute(&b, with)
	return b.String(), err
}
