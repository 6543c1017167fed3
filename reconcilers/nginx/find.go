package nginx

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// usualFiles are the usual places of Nginx's main file: Debian's and most others', the source's own, BSD's, OpenResty's.
var usualFiles = []string{
	"/etc/nginx/nginx.conf", "/usr/local/nginx/conf/nginx.conf", "/usr/local/etc/nginx/nginx.conf",
	"/usr/local/openresty/nginx/conf/nginx.conf", "/opt/nginx/conf/nginx.conf",
}

// Files are the main files that running masters were told to take; where one was not told, or none is seen, also those in the
// usual places. optional says that not each of them has to be there.
func Files(fs procfs.FS) (files []string, optional bool) {
	files, usual := running(fs)
	if usual {
		files = append(files, usualFiles...)
	}
	return files, usual
}

// running are the main files that running masters were told to take; usual says that one was not told, or none is seen.
func running(fs procfs.FS) (files []string, usual bool) {
	all, err := fs.Processes()
	if err != nil {
		return nil, true
	}
	masters := 0
	for i := range all {
		p := &all[i]
		if p.Comm != "nginx" || !p.Alive() {
			continue
		}
		args, err := fs.Cmdline(p.Identity)
		if err != nil {
			continue
		}
		file, master := mainFile(strings.Join(args, " "))
		switch {
		case !master:
			continue
		case file == "":
			usual = true
		case !slices.Contains(files, file):
			files = append(files, file)
		}
		masters++
	}
	return files, usual || masters == 0
}

// mainFile reads `nginx: master process /usr/sbin/nginx -p PREFIX -c FILE`; file is empty where none is named.
func mainFile(title string) (file string, master bool) {
	_, command, master := strings.Cut(title, "nginx: master process ")
	prefix := ""
	words := strings.Fields(command)
	for i, w := range words[:max(len(words)-1, 0)] {
		switch w {
		case "-c":
			file = words[i+1]
		case "-p":
			prefix = words[i+1]
		}
	}
	switch {
	case file != "" && !filepath.IsAbs(file) && prefix != "":
		file = filepath.Join(prefix, file)
	case file == "" && prefix != "":
		file = filepath.Join(prefix, "conf", "nginx.conf")
	}
	if !filepath.IsAbs(file) {
		file = ""
	}
	return file, master
}
