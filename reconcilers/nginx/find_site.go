package nginx

import (
	"path/filepath"
	"slices"
	"strings"
)

// certificate is the file of the certificate of a server block, its own or that of the part around it.
func (c *Config) certificate(server, around []Directive) string {
	for _, block := range [][]Directive{server, around} {
		for _, d := range block {
			if d.Name != "ssl_certificate" {
				continue
			}
			file := d.arg(0)
			switch {
			case file == "" || strings.Contains(file, "$") || strings.HasPrefix(file, "data:") || strings.HasPrefix(file, "engine:"):
				return ""
			case !filepath.IsAbs(file):
				if c.base == "" {
					return ""
				}
				return filepath.Join(c.base, file)
			}
			return file
		}
	}
	return ""
}

// For is the block that answers for a host on a port, as Nginx chooses it: by its exact name, then by the longest wildcard,
// else the port's default. named says that it claims the host; a block that claims it by a regular expression is not found.
func For(sites []Site, host string, port int) (s Site, named, ok bool) {
	host = strings.ToLower(host)
	best := 0
	for i := range sites {
		at := slices.IndexFunc(sites[i].Listens, func(l Listen) bool { return l.Port == port })
		if at < 0 {
			continue
		}
		rank := 1 // the first one of the port is its default, unless another says so
		if sites[i].Listens[at].Default {
			rank = 2
		}
		for _, name := range sites[i].Names {
			rank = max(rank, claims(strings.ToLower(name), host))
		}
		if rank > best {
			best, s = rank, sites[i]
		}
	}
	return s, best > 2, best > 0
}

// claims says how surely a server name claims a host; 0 where it does not.
func claims(name, host string) int {
	const exact, before, after = 4000, 2000, 1000
	switch {
	case name == host && host != "":
		return exact
	case strings.HasPrefix(name, "*.") && strings.HasSuffix(host, name[1:]):
		return before + len(name)
	case strings.HasPrefix(name, ".") && (host == name[1:] || strings.HasSuffix(host, name)):
		if host == name[1:] {
			return exact
		}
		return before + len(name)
	case strings.HasSuffix(name, ".*") && strings.HasPrefix(host, name[:len(name)-1]):
		return after + len(name)
	}
	return 0
}
