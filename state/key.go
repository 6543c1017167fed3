package state

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// keyFile is in the state folder, and keySize how many bytes the key has.
const (
	keyFile = "marks.key"
	keySize = 32
)

// ReadKey reads the key of a state folder, with which it is marked what may not stand in a state file. Where there is none yet
// the error is os.ErrNotExist.
func ReadKey(dir string) ([]byte, error) {
	path := filepath.Join(dir, keyFile)
	data, _, err := OS().Read(path)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(data)))
	if err != nil || len(key) != keySize {
		return nil, fmt.Errorf("%s holds no key of %d bytes", path, keySize) // what it holds is nobody's affair
	}
	return key, nil
}

// KeepKey is ReadKey, and makes a key where there is none, or none that is any good. With an error it gives a key all the same,
// which does not outlive the process.
func KeepKey(dir string) ([]byte, error) {
	key, err := ReadKey(dir)
	if err == nil {
		return key, nil
	}
	key = make([]byte, keySize)
	_, _ = rand.Read(key) // it never fails
	if aFile := new(NotAFileError); !errors.Is(err, os.ErrNotExist) && errors.As(err, &aFile) {
		return key, err // somebody has put it there
	}
	if err := replace(OS(), filepath.Join(dir, keyFile), []byte(hex.EncodeToString(key)+"\n"), true); err != nil {
		return key, fmt.Errorf("keep the key for marks in %s: %w", dir, err)
	}
	return key, nil
}
