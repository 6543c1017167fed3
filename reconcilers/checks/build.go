package checks

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/bounded"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// built is a build as it was last looked into: as long as its files have the same stamps, it is the same.
type built struct {
	stamps string
	broken string
}

// manifests are what `next start` reads before it listens, in every version that builds to a folder of its own; the last one
// stands for the server's own files, which a build makes in one go. One that is not there, or cut short because the build was
// killed, keeps it from starting.
var manifests = []string{"routes-manifest.json", "build-manifest.json", "prerender-manifest.json", "server/pages-manifest.json"}

// maxManifest bounds what is read of one; a site with ten thousand pages has a few megabytes.
const maxManifest = 32 << 20

// kindNext is the kind of a build by Next.js, and usualDist where it goes unless its configuration says otherwise.
const kindNext, usualDist = "next", ".next"

// buildResult says whether a finished build is there, where it is known what one looks like.
func (p *Prober) buildResult(l *look) v1alpha1.CheckResult {
	r := v1alpha1.CheckResult{Status: metav1.ConditionTrue, Reason: "NotKnown", Message: "it is not known how this application is built"}
	var f facts.Build
	dir := l.app.Spec.Directory
	kind, stamp, needed := p.whatIsBuilt(l)
	if kind != "" {
		f.Kind = kind
		info, err := os.Stat(filepath.Join(dir, stamp))
		switch {
		case err == nil && info.Size() > 0:
			f.Present, f.Stamp = true, info.ModTime().UTC().Format(time.RFC3339)
			r.Reason, r.Message = "Present", "built "+f.Stamp
		case err == nil:
			f.Broken = stamp
		case os.IsNotExist(err):
			f.Missing = stamp
		default:
			r.Status, r.Reason, r.Message = metav1.ConditionUnknown, "CouldNotAsk", err.Error()
			f.Present = true // what cannot be seen is not taken to be missing
		}
		if f.Stamp != "" {
			f.Missing, f.Broken = p.incomplete(l.app.Name, dir, needed)
			f.Present = f.Missing == "" && f.Broken == ""
		}
		switch {
		case f.Missing != "":
			r.Status, r.Reason, r.Message = metav1.ConditionFalse, "Missing", f.Missing+" is missing"
		case f.Broken != "":
			r.Status, r.Reason, r.Message = metav1.ConditionFalse, "Broken", f.Broken+" was cut short"
		}
	}
	r.Facts = facts.Raw(f)
	return r
}

// whatIsBuilt says how the application is built, the file that a finished build ends with, and the others that it needs.
func (p *Prober) whatIsBuilt(l *look) (kind, stamp string, needed []string) {
	dir := l.app.Spec.Directory
	isNext := fileExists(filepath.Join(dir, "node_modules", "next", "package.json"))
	for n := range l.snapshot.Processes {
		script := l.snapshot.Processes[n].Script
		inside, err := filepath.Rel(dir, script)
		if err != nil || !filepath.IsLocal(inside) {
			inside = ""
		}
		before, standalone := strings.CutSuffix(inside, "/standalone/server.js")
		switch first, _, _ := strings.Cut(inside, "/"); {
		case standalone && strings.HasPrefix(filepath.Base(before), usualDist):
			in := filepath.Join(before, "standalone", usualDist)
			return kindNext, filepath.Join(in, "BUILD_ID"), append(below(in, manifests), inside)
		case strings.Contains(script, "/next/dist/bin/next"):
			isNext = true
		case first == ".output":
			return "nuxt", inside, nil
		case (first == "dist" || first == "build") && inside != first:
			return "output", inside, nil
		}
	}
	if !isNext {
		return "", "", nil
	}
	dist := distDir(dir)
	return kindNext, filepath.Join(dist, "BUILD_ID"), below(dist, manifests)
}

func below(dir string, names []string) []string {
	list := make([]string, len(names))
	for n, name := range names {
		list[n] = filepath.Join(dir, name)
	}
	return list
}

var distDirSaid = regexp.MustCompile(`(?m)^\s*distDir\s*:\s*['"]([A-Za-z0-9._/-]+)['"]`)

// distDir is where Next.js puts what it builds: .next, unless its configuration plainly says otherwise. What is worked out
// in there cannot be read from here.
func distDir(dir string) string {
	if fileExists(filepath.Join(dir, usualDist, "BUILD_ID")) {
		return usualDist // the usual case costs no reading
	}
	for _, name := range []string{"next.config.js", "next.config.mjs", "next.config.ts"} {
		text, err := bounded.Read(filepath.Join(dir, name), 1<<20)
		if err != nil {
			continue
		}
		if m := distDirSaid.FindSubmatch(text); m != nil && filepath.IsLocal(string(m[1])) {
			return filepath.Clean(string(m[1]))
		}
		return usualDist
	}
	return usualDist
}

// incomplete names the first file that is missing or was cut short. Files are read only when their stamps have changed.
func (p *Prober) incomplete(app, dir string, needed []string) (missing, broken string) {
	var stamps strings.Builder
	for _, name := range needed {
		info, err := os.Stat(filepath.Join(dir, name))
		switch {
		case os.IsNotExist(err):
			return name, ""
		case err != nil:
			return "", "" // what cannot be seen is not taken to be missing
		}
		fmt.Fprintf(&stamps, "%s %d %d;", name, info.ModTime().UnixNano(), info.Size())
	}
	p.mu.Lock()
	b, seen := p.builds[app]
	p.mu.Unlock()
	if seen && b.stamps == stamps.String() {
		return "", b.broken
	}
	b = built{stamps: stamps.String()}
	for _, name := range needed {
		if filepath.Ext(name) != ".json" {
			continue
		}
		text, err := bounded.Read(filepath.Join(dir, name), maxManifest)
		if err == nil && !json.Valid(text) {
			b.broken = name
			break
		}
	}
	p.mu.Lock()
	p.builds[app] = b
	p.mu.Unlock()
	return "", b.broken
}
