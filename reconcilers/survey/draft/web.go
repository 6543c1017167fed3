package draft

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/survey"
)

func (d *drafter) public() {
	for n, note := range d.f.Proxy.Notes {
		const most = 5
		if n == most {
			d.unknown("what %d more places of Nginx's configuration say", len(d.f.Proxy.Notes)-most)
			break
		}
		d.unknown("a part of Nginx's configuration: %s", note)
	}
	c, ok := canonical(d.f.Public, d.f.Local)
	if !ok {
		d.noPublic()
		return
	}
	d.line(4, "public:", "")
	d.line(6, "url: "+quote(c.url), fmt.Sprintf("%s leads to the application; %s", c.from.Site, c.said()))
	expect := "[200]"
	if c.good() {
		expect = fmt.Sprintf("[%d]", c.answer.Status)
	}
	comment := ""
	if expect != "[200]" {
		comment = "what it answered; if that is not what the world should see, ask for another path"
		d.noticed("%s answers %d, and the file expects that; ask for a page that answers 200 if there is one", c.url, c.answer.Status)
	}
	d.line(6, "expectStatus: "+expect, comment)
	if !c.good() {
		d.unknown("whether the site is right in public: %s %s", c.url, c.said())
	}
	if c.elsewhere != "" {
		d.noticed("%s sends its visitors on to %s, which is not one of the names that Nginx leads to the application", c.url, c.elsewhere)
	}
	var others []string
	for _, a := range d.f.Public {
		if origin(a.URL) != origin(c.url) {
			others = append(others, a.URL)
		}
	}
	if len(others) > 0 {
		d.comment(6, "Also known as "+list(others)+"; this one does not send its visitors on to another name.")
	}
}

// noPublic says why there is no public check.
func (d *drafter) noPublic() {
	p := &d.f.Proxy
	why := ""
	switch {
	case len(p.Sites) > 0:
		s := p.Sites[0]
		why = fmt.Sprintf("%s:%d leads to the application, but names no host that could be asked for (server_name %s)",
			s.File, s.Line, orNone(strings.Join(s.Names, " ")))
	case len(p.Unclear) > 0:
		why = "no server block of Nginx surely leads to the application; " + p.Unclear[0]
	case len(p.Files) > 0:
		why = fmt.Sprintf("no server block in %s leads to port %d of this machine", list(p.Files), d.f.Port.Number)
	case len(p.Notes) > 0:
		why = "Nginx's configuration could not be read"
	case len(p.Listening) > 0:
		why = "no configuration of Nginx was found, but somebody listens on port 80 or 443; other proxies are not asked"
	default:
		why = "no configuration of Nginx was found"
	}
	d.comment(4, "NOT FOUND OUT: the public address; "+why+". Without it there is no public check.")
	d.verbatim(4, "public: {url: https://www.example.com/, expectStatus: [200]}")
	d.unknown("the public address: %s; set spec.checks.public.url", why)
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// choice is the address that is taken for the site's own.
type choice struct {
	url    string
	from   survey.Answer
	answer facts.HTTP
	// local is what the application itself answers; nil where that is not known.
	local *facts.HTTP
	// elsewhere is where it leads, if that is none of the application's own addresses.
	elsewhere string
}

// canonical takes the address that does not send its visitors on to another one: what answers with 200 under its own name,
// else where such redirects lead, else what answers at all, else the first.
func canonical(answers []survey.Answer, local *facts.HTTP) (choice, bool) {
	best, rank := choice{}, 0
	for _, a := range answers {
		c, r := weigh(choice{url: a.URL, from: a, answer: a.Answer, local: local}, answers)
		if r > rank {
			best, rank = c, r
		}
	}
	return best, rank > 0
}

func weigh(c choice, all []survey.Answer) (choice, int) {
	a := c.from
	if a.Answer.Class != facts.Answered {
		if a.Here != nil && a.Here.Class == facts.Answered {
			return c, 2 // the proxy knows it, and from here the world does not
		}
		return c, 1
	}
	rank := 3 // it answers
	if c.good() {
		rank = 4
	}
	if a.Answer.Status == 200 {
		rank = 6
	}
	final := origin(a.Answer.Final)
	switch {
	case a.Answer.Final == "" || final == origin(a.URL):
		return c, rank + 3
	case slices.ContainsFunc(all, func(o survey.Answer) bool { return origin(o.URL) == final }):
		return c, rank // its own entry will do better
	case sameSite(a.URL, a.Answer.Final):
		c.url = final + "/" // https for http, or www for the bare name, in a block that does not lead to the application
		return c, rank + 2
	}
	c.elsewhere = final
	return c, rank
}

// good tells whether the answer is one that a site may rightly give. "Not found" is, where the application says so itself: it
// may have nothing at that path.
func (c *choice) good() bool {
	switch status := c.answer.Status; {
	case c.answer.Class != facts.Answered:
		return false
	case status == 404:
		return c.local != nil && c.local.Status == 404
	default:
		return status >= 200 && status < 500
	}
}

// said is what came back.
func (c *choice) said() string {
	a := c.answer
	if a.Class != facts.Answered {
		text := "did not answer from here: " + a.Error
		if h := c.from.Here; h != nil && h.Class == facts.Answered {
			text += fmt.Sprintf("; the proxy on this machine answers %d for it", h.Status)
		}
		return text
	}
	text := fmt.Sprintf("answered %d", a.Status)
	if a.Final != "" {
		text += " at " + a.Final
	}
	return text
}

// origin is an address without its path.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// sameSite tells whether two addresses differ in their scheme, in www. or in their port only.
func sameSite(a, b string) bool {
	name := func(address string) string {
		u, err := url.Parse(address)
		if err != nil {
			return address
		}
		return strings.TrimPrefix(u.Hostname(), "www.")
	}
	return name(a) == name(b)
}
