package draft

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/survey"
)

// Draft is a desired-state file, and what is to be said beside it.
type Draft struct {
	// Name is the App's, and File the usual name of its file.
	Name, File string
	// Text is the file's.
	Text string
	// Unknown is what could not be found out, with what to do about it.
	Unknown []string
	// Watchdogs are others at work on the same application, with what to do about them.
	Watchdogs []string
	// Noticed is what else the owner should know.
	Noticed []string
}

// ErrImpossible says that no right file can be written of these facts.
var ErrImpossible = errors.New("no desired state can be written")

// Write writes the file, which speaks of itself as file; empty stands for its usual name, see [Draft]. The error matches
// [ErrImpossible].
func Write(f survey.Facts, file string) (Draft, error) {
	if err := possible(f); err != nil {
		return Draft{}, err
	}
	d := &drafter{f: f, file: file, draft: Draft{Name: Name(f.Process())}}
	d.draft.File = d.draft.Name + ".yaml"
	if file == "" {
		d.file = d.draft.File
	}
	d.head()
	d.runtime()
	d.port()
	d.line(2, "interval: 60s", "between two passes of the checks; a failure is asked again sooner")
	d.line(2, "checks:", "")
	d.local()
	d.public()
	d.memory()
	d.database()
	d.recovery()
	d.alerts()
	d.watchdogs()
	d.draft.Text = d.text.String()
	return d.draft, nil
}

// possible refuses what cannot be written down rightly.
func possible(f survey.Facts) error {
	app := v1alpha1.NewApp()
	app.Name, app.Spec.Directory = Name(f.Process()), f.Directory
	who, name, folder := "PM2", "give it a name: pm2 delete, and pm2 start … --name NAME", "let PM2 start it in its own folder: pm2 delete, and pm2 start … --cwd FOLDER"
	if u := f.Systemd; u != nil {
		app.Spec.Runtime.Systemd = &v1alpha1.SystemdRuntime{Unit: u.Unit, User: u.User}
		who, name, folder = "systemd", "give the unit another name", "name its folder in the unit: WorkingDirectory="
	} else {
		app.Spec.Runtime.PM2 = &v1alpha1.PM2Runtime{Process: f.PM2.Process, Home: f.PM2.Home}
	}
	wrong := v1alpha1.Validate(app)
	if len(wrong) == 0 {
		return nil
	}
	remedy := name
	if wrong[0].Field == "spec.directory" {
		remedy = folder
	}
	return fmt.Errorf("%w of what %s says of %q: %w; %s", ErrImpossible, who, f.Process(), wrong.ToAggregate(), remedy)
}

// Name makes a name for an App of the name of a PM2 process, or of a service's unit.
func Name(process string) string {
	process = strings.TrimSuffix(process, ".service")
	name := strings.Map(func(r rune) rune {
		switch r = unicode.ToLower(r); {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, process)
	const most = 63
	name = strings.Trim(name, "-")
	if name = strings.TrimRight(name[:min(len(name), most)], "-"); name == "" {
		return "app"
	}
	return name
}

// drafter writes line by line.
type drafter struct {
	f     survey.Facts
	file  string
	draft Draft
	text  strings.Builder
}

// column is where comments behind a setting begin, and width where comments of their own end.
const (
	column = 34
	width  = 118
)

// line writes a setting, with a comment behind it, or above it where that would be too long.
func (d *drafter) line(indent int, setting, comment string) {
	text := strings.Repeat(" ", indent) + setting
	comment = clean(comment)
	switch {
	case comment == "":
	case max(len([]rune(text))+2, column)+len([]rune(comment))+2 <= width:
		text += strings.Repeat(" ", max(column-len([]rune(text)), 2)) + "# " + comment
	default:
		d.comment(indent, comment)
	}
	d.text.WriteString(text + "\n")
}

// comment writes a comment of its own, broken into lines.
func (d *drafter) comment(indent int, text string) {
	begin := strings.Repeat(" ", indent) + "#"
	line := begin
	for _, word := range strings.Fields(clean(text)) {
		if line != begin && len([]rune(line))+1+len([]rune(word)) > width {
			d.text.WriteString(line + "\n")
			line = begin
		}
		line += " " + word
	}
	d.text.WriteString(line + "\n")
}

// verbatim writes a comment whose blanks count.
func (d *drafter) verbatim(indent int, text string) {
	d.text.WriteString(strings.Repeat(" ", indent) + "# " + clean(text) + "\n")
}

func (d *drafter) unknown(format string, args ...any) {
	d.draft.Unknown = append(d.draft.Unknown, clean(fmt.Sprintf(format, args...)))
}

func (d *drafter) noticed(format string, args ...any) {
	d.draft.Noticed = append(d.draft.Noticed, clean(fmt.Sprintf(format, args...)))
}

func (d *drafter) head() {
	f, name := &d.f, d.draft.Name
	file := d.file
	if file != clean(file) || strings.ContainsAny(file, " ") {
		file = "FILE"
	}
	d.comment(0, fmt.Sprintf("Written by `evenkeel init` on %s, from what %s could see on this machine. Nothing of it is sacred: read it, "+
		"change what is not so, and save.", f.At.Format("2006-01-02"), f.User))
	d.comment(0, "")
	as := "as the user who runs PM2 (" + f.User + ")"
	switch {
	case f.Systemd != nil && f.Systemd.User:
		as = "as the user of whose service manager it is a unit (" + f.User + ")"
	case f.Systemd != nil:
		as = "in the foreground"
	}
	for _, row := range [][2]string{
		{"validate", "is the file right, and what does it mean?"},
		{"check", "one look; nothing is changed"},
		{"run", "supervise, " + as},
	} {
		d.verbatim(0, fmt.Sprintf("  evenkeel %-8s -f %s   %s", row[0], file, row[1]))
	}
	d.comment(0, "")
	d.comment(0, "Every field is explained in docs/desired-state.md. A running evenkeel takes a saved change within a second.")
	d.line(0, "apiVersion: "+v1alpha1.GroupVersion, "")
	d.line(0, "kind: "+v1alpha1.KindApp, "")
	d.line(0, "metadata: {name: "+quote(name)+"}", "")
	d.line(0, "spec:", "")
	d.line(2, "paused: false", "true: look, record and alert, but do nothing")
	d.line(2, "directory: "+quote(f.Directory), "")
}

// clean makes one line of a text that came from elsewhere, of nothing but what can be seen.
func clean(text string) string {
	return strings.TrimRight(strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t', r == '\r':
			return ' '
		case !unicode.IsPrint(r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, text), " ")
}

// list joins words as people do.
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// watchdogs says who else is at work, in the file too: it is the one thing that must be done before evenkeel is started.
func (d *drafter) watchdogs() {
	var sure, maybe []string
	for _, w := range d.f.Watchdogs {
		text := w.What + " (" + w.Where + ")"
		if w.Sure {
			sure = append(sure, text)
		} else {
			maybe = append(maybe, text)
		}
	}
	slices.Sort(sure)
	slices.Sort(maybe)
	for _, text := range sure {
		d.draft.Watchdogs = append(d.draft.Watchdogs,
			clean(text+" seems to restart "+d.f.Process()+" too; switch it off before you start evenkeel"))
	}
	for _, text := range maybe {
		d.draft.Watchdogs = append(d.draft.Watchdogs,
			clean(text+" restarts something, perhaps this application too; if so, switch it off before you start evenkeel"))
	}
	if len(d.draft.Watchdogs) > 0 {
		d.text.WriteString("\n")
		d.comment(0, "Another watchdog seems to be at work. Two on one application restart each other's restarts:")
		for _, text := range slices.Concat(sure, maybe) {
			d.comment(0, "  - "+text)
		}
	}
	if len(d.f.Unread) > 0 {
		d.unknown("whether another watchdog restarts the application from where %s may not look: %s", d.f.User, strings.Join(d.f.Unread, ", "))
	}
}
