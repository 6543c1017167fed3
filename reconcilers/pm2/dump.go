//go:build linux

package pm2

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"golang.org/x/sys/unix"
	"sigs.k8s.io/json"
)

// dumpLimit bounds what is read of a list that was saved; an application takes 5 to 20 kB of it.
const dumpLimit = 16 << 20

// dump is the list that `pm2 save` kept. It is read and never written.
type dump struct {
	file string
	apps []saved
}

// saved is what is read of an application that was saved. The rest is its environment, secrets included.
type saved struct {
	Name     looseText `json:"name"`
	Status   looseText `json:"status"`
	UniqueID looseText `json:"unique_id"`
	Script   looseText `json:"pm_exec_path"`
	Env      struct {
		Path looseText `json:"PATH"`
	} `json:"env"`
}

// readDump reads what PM2 would bring back: its dump, or the backup where that is broken or not there. Saving on a full disk
// leaves both empty.
func readDump(home string) (dump, error) {
	var errs []error
	for _, name := range []string{"dump.pm2", "dump.pm2.bak"} {
		d, err := readSaved(filepath.Join(home, name))
		if err == nil {
			return d, nil
		}
		errs = append(errs, err)
	}
	if errors.Is(errs[0], os.ErrNotExist) && errors.Is(errs[1], os.ErrNotExist) {
		return dump{}, errors.New("PM2's list was never saved")
	}
	if errors.Is(errs[1], os.ErrNotExist) {
		return dump{}, errs[0]
	}
	return dump{}, fmt.Errorf("%w; %w", errs[0], errs[1])
}

func readSaved(file string) (dump, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NONBLOCK, 0) // a fifo in its place must not hold us up
	if err != nil {
		return dump{}, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() || st.Size() > dumpLimit {
		return dump{}, fmt.Errorf("%s is no list of PM2's: no regular file of at most %d MiB", file, dumpLimit>>20)
	}
	b, err := io.ReadAll(io.LimitReader(f, dumpLimit+1))
	defer clear(b)
	if err != nil {
		return dump{}, fmt.Errorf("reading %s: %w", file, err)
	}
	d := dump{file: file}
	if err := json.UnmarshalCaseSensitivePreserveInts(b, &d.apps); err != nil { // it may quote the contents
		return dump{}, fmt.Errorf("%s is broken (%d bytes): %w", file, len(b), runtime.ErrNotUnderstood)
	}
	return d, nil
}

// of are the applications of a name.
func (d *dump) of(name string) []saved {
	var list []saved
	for _, a := range d.apps {
		if string(a.Name) == name {
			list = append(list, a)
		}
	}
	return list
}
