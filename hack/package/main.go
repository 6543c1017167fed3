// Command package makes evenkeel's Debian package of what hack/package/build has put together. It is a module of its own, so
// that what it is made with weighs on nothing else.
//
//	go run . -version 1.2.3 -arch amd64 -root FOLDER -o evenkeel.deb
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // the only format that is made
)

func main() {
	version := flag.String("version", "", "version of the package")
	arch := flag.String("arch", "amd64", "architecture, as Go names it")
	root := flag.String("root", "", "folder with what goes into the package")
	out := flag.String("o", "evenkeel.deb", "file to write")
	flag.Parse()
	if err := write(*version, *arch, *root, *out); err != nil {
		fmt.Fprintln(os.Stderr, "package:", err)
		os.Exit(1)
	}
}

func write(version, arch, root, out string) (err error) {
	config, err := nfpm.ParseFileWithEnvMapping("nfpm.yaml", func(name string) string {
		return map[string]string{"VERSION": version, "ARCH": arch, "ROOT": root}[name]
	})
	if err != nil {
		return err
	}
	info, err := config.Get("deb")
	if err != nil {
		return err
	}
	info = nfpm.WithDefaults(info)
	if err := nfpm.PrepareForPackager(info, "deb"); err != nil {
		return err
	}
	packager, err := nfpm.Get("deb")
	if err != nil {
		return err
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(out)
		}
	}()
	if err := packager.Package(info, f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
