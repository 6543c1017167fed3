package survey

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/evenkeel/evenkeel/reconcilers/checks"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/nginx"
)

// proxies is what Nginx's configuration says of every port.
type proxies struct {
	files, notes []string
	sites        []nginx.Site
	local        func(host string) bool
}

// proxies reads the configuration of each Nginx that runs, and where none says which that is, those in the usual places.
func (s *Surveyor) proxies() *proxies {
	own := localHosts()
	p := &proxies{local: func(host string) bool { return nginx.Loopback(host) || own(host) }}
	files, optional := s.Nginx, false
	if files == nil {
		files, optional = nginx.Files(s.FS)
	}
	for _, file := range files {
		c, err := nginx.Load(file)
		if err != nil {
			if !optional || !errors.Is(err, fs.ErrNotExist) {
				p.notes = append(p.notes, err.Error())
			}
			continue
		}
		p.files = append(p.files, file)
		p.notes = append(p.notes, c.Notes...)
		p.sites = append(p.sites, c.Sites()...)
	}
	return p
}

// leadsTo tells whether any server block leads to a port of this machine.
func (p *proxies) leadsTo(port int) bool { return len(p.to(port)) > 0 }

func (p *proxies) to(port int) (list []Site) {
	for _, s := range p.sites {
		if by, ok := s.LeadsTo(port, p.local); ok {
			list = append(list, Site{Site: s, By: by})
		}
	}
	return list
}

func (p *proxies) facts(port int) Proxy {
	f := Proxy{Files: p.files, Notes: p.notes, Sites: p.to(port)}
	for _, s := range p.sites {
		for _, by := range s.Proxies {
			if by.Why != "" && len(f.Unclear) < 20 {
				f.Unclear = append(f.Unclear, fmt.Sprintf("%s:%d (%s): %s", by.File, by.Line, strings.Join(s.Names, " "), by.Why))
			}
		}
	}
	return f
}

// maxAddresses bounds how many public addresses are asked.
const maxAddresses = 8

// addresses are those that a site is known by to the world, with its surest scheme. What is no name of one host (a
// wildcard, an expression, "_") is left out; a number is taken only where there is no name.
func addresses(s *Site) (list []string) {
	if len(s.Listens) == 0 {
		return nil
	}
	l := s.Listens[0]
	for _, other := range s.Listens {
		if other.TLS && (!l.TLS || other.Port == 443) {
			l = other
		}
	}
	scheme, port := "http", ""
	if l.TLS {
		scheme = "https"
	}
	if l.TLS && l.Port != 443 || !l.TLS && l.Port != 80 {
		port = ":" + strconv.Itoa(l.Port)
	}
	var numbers []string
	for _, name := range s.Names {
		name = strings.ToLower(strings.TrimPrefix(name, "."))
		address := scheme + "://" + name + port + s.By.Path()
		switch {
		case net.ParseIP(name) != nil:
			numbers = append(numbers, address)
		case isHost(name):
			list = append(list, address)
		}
	}
	if len(list) == 0 {
		return numbers
	}
	return list
}

// isHost tells whether a server name is the name of one host that the world can ask for.
func isHost(name string) bool {
	if !strings.Contains(name, ".") || strings.Contains(name, "..") || strings.HasSuffix(name, ".local") {
		return false // "_", "localhost", ""
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '-' {
			return false
		}
	}
	return true
}

// askPublic asks every public address that leads to the application.
func (s *Surveyor) askPublic(ctx context.Context, sites []Site) (list []Answer) {
	for i := range sites {
		for _, address := range addresses(&sites[i]) {
			if len(list) < maxAddresses && !slices.ContainsFunc(list, func(a Answer) bool { return a.URL == address }) {
				list = append(list, Answer{URL: address, Site: fmt.Sprintf("%s:%d", sites[i].File, sites[i].Line)})
			}
		}
	}
	var asking sync.WaitGroup
	for i := range list {
		a := &list[i]
		asking.Go(func() {
			q := checks.Question{URL: a.URL, Follow: true, Dial: s.Dial, Roots: s.Roots, Timeout: askTimeout}
			a.Answer, a.Hops = checks.Ask(ctx, q)
			if a.Answer.Class != facts.Answered && s.Dial == nil {
				q.Dial = checks.DialHere
				here, _ := checks.Ask(ctx, q)
				a.Here = &here
			}
		})
	}
	asking.Wait()
	return list
}
