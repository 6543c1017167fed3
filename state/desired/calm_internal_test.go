package desired

import (
	"errors"
	"os"
	"testing"
)

// TestAFileThatChangesWhileItIsReadIsReadAgain gives contents that are others at every look until they rest.
func TestAFileThatChangesWhileItIsReadIsReadAgain(t *testing.T) {
	for name, test := range map[string]struct {
		looks []string
		want  string
		err   error
	}{
		"at rest":             {[]string{"new"}, "new", nil},
		"replaced between":    {[]string{"old", "new"}, "new", nil},
		"written by piece":    {[]string{"old", "", "ne", "new"}, "new", nil},
		"gone in between":     {[]string{"old", "gone"}, "", os.ErrNotExist},
		"never at rest":       {[]string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m"}, "", errUnsettled},
		"gone from the start": {[]string{"gone"}, "", os.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			looks := 0
			data, err := readCalm(func() ([]byte, error) {
				look := test.looks[min(looks, len(test.looks)-1)]
				looks++
				if look == "gone" {
					return nil, os.ErrNotExist
				}
				return []byte(look), nil
			})
			if string(data) != test.want || !errors.Is(err, test.err) {
				t.Errorf("got %q, %v after %d looks", data, err, looks)
			}
		})
	}
}
