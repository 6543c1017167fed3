package nginx

import (
	"net"
	"slices"
	"strconv"
	"strings"
)

// Site is a server block of the HTTP part.
type Site struct {
	File string `json:"file"`
	Line int    `json:"line"`
	// Names are its server_name as written: wildcards, regular expressions and "_" included.
	Names []string `json:"names,omitempty"`
	// Listens are the TCP ports that it is reached at.
	Listens []Listen `json:"listens,omitempty"`
	// Proxies are its proxy_pass directives, in their order.
	Proxies []Proxy `json:"proxies,omitempty"`
	// Certificate is the file of the certificate that it shows: the first one where there are several. It is empty where there
	// is none, or where only a request can tell.
	Certificate string `json:"certificate,omitempty"`
}

// Listen is one port.
type Listen struct {
	Port int  `json:"port"`
	TLS  bool `json:"tls,omitempty"`
	// Default says that the block also answers for names that no block claims.
	Default bool `json:"default,omitempty"`
}

// Proxy is one proxy_pass.
type Proxy struct {
	File string `json:"file"`
	Line int    `json:"line"`
	// Location is what the location that it stands in says, such as "/" or "~ ^/x"; empty outside a location.
	Location string `json:"location,omitempty"`
	// Targets are where requests may go; several for an upstream with several servers.
	Targets []Target `json:"targets,omitempty"`
	// Why says why the targets cannot be told; empty where they can.
	Why string `json:"why,omitempty"`
}

// Target is a TCP address as it is written. Unix sockets are none.
type Target struct {
	Host string `json:"host"`
	Port int    `json:"port"`
}

// Sites are the server blocks of the HTTP part, in their order.
func (c *Config) Sites() []Site {
	upstreams := map[string][]Target{}
	var sites []Site
	// A file that was read without its main file, such as one of conf.d, begins inside http already.
	contexts := [][]Directive{c.Directives}
	for _, d := range c.Directives {
		if d.Name == "http" {
			contexts = append(contexts, d.Block)
		}
	}
	for _, context := range contexts {
		for _, d := range context {
			if d.Name == "upstream" && len(d.Args) == 1 {
				upstreams[d.Args[0]] = upstreamTargets(d.Block)
			}
		}
	}
	for _, context := range contexts {
		for _, d := range context {
			if d.Name == "server" && d.Block != nil {
				s := site(&d, upstreams)
				s.Certificate = c.certificate(d.Block, context)
				sites = append(sites, s)
			}
		}
	}
	return sites
}

func upstreamTargets(block []Directive) (targets []Target) {
	for _, d := range block {
		if d.Name == "server" && !strings.HasPrefix(d.arg(0), "unix:") {
			if t, ok := target(d.arg(0), 80); ok {
				targets = append(targets, t)
			}
		}
	}
	return targets
}

func site(server *Directive, upstreams map[string][]Target) Site {
	s := Site{File: server.File, Line: server.Line}
	ssl := false
	for _, d := range server.Block {
		switch d.Name {
		case "server_name":
			s.Names = append(s.Names, d.Args...)
		case "listen":
			if l, ok := listen(&d); ok && !slices.Contains(s.Listens, l) {
				s.Listens = append(s.Listens, l)
			}
		case "ssl": // before `listen … ssl` there was this
			ssl = d.arg(0) == "on"
		}
	}
	if len(s.Listens) == 0 && !has(server.Block, "listen") {
		s.Listens = []Listen{{Port: 80}}
	}
	for i := range s.Listens {
		s.Listens[i].TLS = s.Listens[i].TLS || ssl
	}
	s.proxies(server.Block, "", upstreams)
	return s
}

func has(block []Directive, name string) bool {
	return slices.ContainsFunc(block, func(d Directive) bool { return d.Name == name })
}

// listen reads a listen directive; ok is false for what is no TCP port, such as a Unix socket or QUIC.
func listen(d *Directive) (l Listen, ok bool) {
	address := d.arg(0)
	if strings.HasPrefix(address, "unix:") || len(d.Args) == 0 {
		return l, false
	}
	for _, flag := range d.Args[1:] {
		switch flag {
		case "ssl":
			l.TLS = true
		case "default_server", "default":
			l.Default = true
		case "quic":
			return l, false
		}
	}
	if port, err := strconv.Atoi(address); err == nil {
		l.Port = port
		return l, validPort(port)
	}
	t, ok := target(address, 80)
	l.Port = t.Port
	return l, ok
}

func validPort(port int) bool { return port > 0 && port < 1<<16 }

// target reads an address with or without a port.
func target(address string, otherwise int) (t Target, ok bool) {
	host, port := address, strconv.Itoa(otherwise)
	switch at := strings.LastIndexByte(address, ':'); {
	case at < 0, strings.HasSuffix(address, "]"):
	default:
		host, port = address[:at], address[at+1:]
	}
	n, err := strconv.Atoi(port)
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return Target{Host: host, Port: n}, err == nil && validPort(n) && host != ""
}

// proxies gathers the proxy_pass of a block and of the locations and conditions in it.
func (s *Site) proxies(block []Directive, location string, upstreams map[string][]Target) {
	for _, d := range block {
		switch d.Name {
		case "location":
			s.proxies(d.Block, locationOf(&d), upstreams)
		case "if", "limit_except":
			s.proxies(d.Block, location, upstreams)
		case "proxy_pass":
			p := Proxy{File: d.File, Line: d.Line, Location: location}
			p.Targets, p.Why = passTargets(d.arg(0), upstreams)
			if len(p.Targets) > 0 || p.Why != "" {
				s.Proxies = append(s.Proxies, p)
			}
		}
	}
}

// locationOf is what a location says, with a blank behind its modifier, which Nginx does not need.
func locationOf(d *Directive) string {
	if len(d.Args) == 1 {
		for _, modifier := range []string{"=", "^~", "~*", "~"} {
			if rest, ok := strings.CutPrefix(d.Args[0], modifier); ok && rest != "" {
				return modifier + " " + rest
			}
		}
	}
	return strings.Join(d.Args, " ")
}

// passTargets says where a proxy_pass leads. Both results are empty for a Unix socket.
func passTargets(address string, upstreams map[string][]Target) (targets []Target, why string) {
	scheme, rest, found := strings.Cut(address, "://")
	if !found {
		scheme, rest = "", address
	}
	rest, _, _ = strings.Cut(rest, "/")
	switch {
	case strings.Contains(scheme+rest, "$"):
		return nil, "it leads to a variable"
	case strings.HasPrefix(rest, "unix:"):
		return nil, ""
	case !found:
		return nil, "its address is not understood"
	}
	if list, ok := upstreams[rest]; ok {
		return list, ""
	}
	port := 80
	if scheme == "https" {
		port = 443
	}
	t, ok := target(rest, port)
	if !ok {
		return nil, "its address is not understood"
	}
	return []Target{t}, ""
}

// Loopback tells whether a host of a proxy_pass is this machine by its own name for itself.
func Loopback(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback() || ip.IsUnspecified()
	}
	return strings.EqualFold(host, "localhost")
}

// LeadsTo is the site's proxy_pass that leads to a port of this machine, as local tells hosts apart; of several the one
// whose location takes the most requests.
func (s *Site) LeadsTo(port int, local func(host string) bool) (Proxy, bool) {
	best, rank := Proxy{}, 0
	for _, p := range s.Proxies {
		if !slices.ContainsFunc(p.Targets, func(t Target) bool { return t.Port == port && local(t.Host) }) {
			continue
		}
		if r := p.breadth(); r > rank {
			best, rank = p, r
		}
	}
	return best, rank > 0
}

// breadth orders locations by how much of a site they are.
func (p *Proxy) breadth() int {
	const all, named, prefix, other = 4000, 3000, 2000, 1
	switch kind, path := p.split(); {
	case path == "/" && (kind == "" || kind == "^~"), p.Location == "":
		return all
	case strings.HasPrefix(path, "@"):
		return named
	case kind == "" || kind == "^~":
		return max(prefix-len(path), other+1)
	}
	return other
}

// split takes a location apart into its modifier and its path.
func (p *Proxy) split() (kind, path string) {
	kind, path, found := strings.Cut(p.Location, " ")
	if !found {
		return "", p.Location
	}
	return kind, path
}

// Path is a path that the location takes: the prefix or the exact path that it names, else "/".
func (p *Proxy) Path() string {
	kind, path := p.split()
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(kind, "~") {
		return "/"
	}
	return path
}
