package state

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// ErrEdited says that the state file holds something that was not looked at yet: TakeOrder comes first.
var ErrEdited = errors.New("the state file was edited meanwhile")

// Options of a Store. The zero value is good.
type Options struct {
	// FS is the file system. Default OS().
	FS FS
	// Settle waits a moment before a file that somebody is perhaps still writing is looked at again. Default 50 ms.
	Settle func()
	// Now is the clock on the wall. Default time.Now.
	Now func() time.Time
}

// Store keeps the state file of one App. The caller holds the App's lock. It may be used by several goroutines.
//
// The file is replaced in one instant, with the state before it kept as `<app>.previous.yaml`: at every instant at least
// one good copy is on disk. Where the file system can, the new file and the old one change places, and the old one is
// looked at once more before it is let go, so that an edit saved at the last moment is not lost: it is put back, and where
// evenkeel is killed before it is, Load does so.
type Store struct {
	dir, app string
	fs       FS
	settle   func()
	now      func() time.Time

	mu sync.Mutex
	// meta is written into the file; resourceVersion is that of the last write.
	meta    metav1.ObjectMeta
	version int64
	// written is what was last written, byte for byte, and writtenSum its sum; nil when that is not known.
	written    []byte
	writtenSum sum
	// key is the sum of the state that was last written; two equal states need not be rendered to be compared.
	key sum
	// tried is the sum of what a failed write may have left.
	tried sum
	// taken is the file that TakeOrder or Load has last dealt with, and that the next write may replace.
	taken *save
	// ordered is the file in which the last order stood that was given out; nil where there was none, or it was refused.
	ordered []byte
	// incomplete says that the last write failed on its way: the next one writes even if nothing has changed.
	incomplete bool
	encoder    encoder
}

// sum identifies contents.
type sum [sha256.Size]byte

// save identifies one save of a file.
type save struct {
	sum   sum
	stamp Stamp
}

// NewStore makes the store of an App in a state folder. Load comes first.
func NewStore(dir, app string, o Options) (*Store, error) {
	if err := CheckName(app); err != nil {
		return nil, err
	}
	s := &Store{dir: dir, app: app, fs: o.FS, settle: o.Settle, now: o.Now}
	if s.fs == nil {
		s.fs = OS()
	}
	if s.settle == nil {
		s.settle = func() { time.Sleep(50 * time.Millisecond) }
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.adopt(metav1.ObjectMeta{})
	return s, nil
}

// Path is the state file, for watching.
func (s *Store) Path() string { return s.path(".yaml") }

// Meta is the metadata of the state: the uid is there from the beginning and never changes while there is a good copy.
func (s *Store) Meta() metav1.ObjectMeta {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.meta.DeepCopy()
}

func (s *Store) path(suffix string) string { return filepath.Join(s.dir, s.app+suffix) }

// adopt takes over the metadata of a state that was read, and makes up what is missing.
func (s *Store) adopt(meta metav1.ObjectMeta) {
	s.version, _ = strconv.ParseInt(meta.ResourceVersion, 10, 64)
	s.version = max(s.version, 0)
	s.meta = metav1.ObjectMeta{Name: s.app, UID: meta.UID, Generation: meta.Generation, CreationTimestamp: meta.CreationTimestamp}
	if name, ok := meta.Annotations[answered]; ok {
		s.meta.Annotations = map[string]string{answered: name}
	}
	if s.meta.UID == "" {
		s.meta.UID = newUID()
	}
	if s.meta.CreationTimestamp.IsZero() {
		s.meta.CreationTimestamp = metav1.NewTime(s.now().UTC().Truncate(time.Second))
	}
	s.meta.ResourceVersion = strconv.FormatInt(s.version, 10)
}

// answered is the annotation of a state that has taken the place of a file that was not evenkeel's own, and names that file:
// what it ordered is in the state. It stands until the next write.
const answered = v1alpha1.Group + "/answered"

// note notes in what is to be written whose place it takes.
func (s *Store) note(found sum) {
	s.meta.Annotations = nil
	if s.taken != nil && found == s.taken.sum {
		s.meta.Annotations = map[string]string{answered: found.String()}
	}
}

// newUID is a random UUID.
func newUID() types.UID {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return types.UID(fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16]))
}

// Write brings the state to disk, durably, unless it is there already. observedPhase becomes phase, force is dropped, and
// the last pass is left out. What the state has to tell (Telling) goes with it; where it alone is new, nothing is written. When the file holds something that nobody has looked at, it stays untouched and the error is
// ErrEdited. After any error the caller goes on in memory, and the next Write tries again.
func (s *Store) Write(status v1alpha1.AppStatus, generation int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	status.ObservedPhase = status.Phase
	status.Force = false
	status.LastPass = nil

	found, missing, err := s.onDisk()
	if err != nil {
		return err
	}
	record, telling, key, err := recordOf(status, generation)
	if err != nil {
		return fmt.Errorf("writing the state of %s: %w", s.app, err)
	}
	if !missing && !s.incomplete && key == s.key && s.isWritten(found) {
		return nil
	}
	s.note(found)
	data, err := s.render(generation, s.version+1, record, telling)
	if err != nil {
		return err
	}
	s.incomplete = true
	if err := s.put(data, found, missing); err != nil {
		if errors.Is(err, ErrEdited) {
			return err
		}
		return fmt.Errorf("writing the state of %s: %w", s.app, err)
	}
	s.incomplete = false
	s.key = key
	return nil
}

// recordOf gives a state as JSON, apart from it what it has to tell, and the sum of the state, which is much cheaper than
// rendering it. What is to be told makes no state another one.
func recordOf(status v1alpha1.AppStatus, generation int64) (record, telling []byte, key sum, err error) {
	if status.Telling != nil {
		telling, err = json.Marshal(v1alpha1.AppStatus{Telling: status.Telling})
		status.Telling = nil
	}
	if err == nil {
		record, err = json.Marshal(status)
	}
	if err != nil {
		return nil, nil, sum{}, err
	}
	return record, telling, sumOf(strconv.AppendInt(slices.Clip(record), generation, 10)), nil
}

// isWritten tells whether contents are those that were last written.
func (s *Store) isWritten(found sum) bool { return s.written != nil && found == s.writtenSum }

// render gives the document of a state, given as JSON in one or several parts.
func (s *Store) render(generation, version int64, parts ...[]byte) ([]byte, error) {
	meta := s.meta.DeepCopy()
	meta.Generation = generation
	meta.ResourceVersion = strconv.FormatInt(version, 10)
	return s.encoder.encode(meta, parts...)
}

// onDisk looks at the file, and refuses what is neither ours nor was looked at.
func (s *Store) onDisk() (found sum, missing bool, err error) {
	data, stamp, err := s.fs.Read(s.Path())
	var odd *NotAFileError
	switch {
	case errors.Is(err, os.ErrNotExist):
		return sum{}, true, nil
	case errors.As(err, &odd):
		return sum{}, false, fmt.Errorf("%w: %w", ErrEdited, err)
	case err != nil:
		// It cannot be read, so nobody can say what would be lost. A disk that cannot read does not write either.
		return sum{}, false, fmt.Errorf("reading the state of %s before writing it: %w", s.app, err)
	}
	found = sumOf(data)
	if found == s.tried || s.isWritten(found) {
		return found, false, nil
	}
	if s.taken != nil && found == s.taken.sum && stamp == s.taken.stamp {
		return found, false, nil
	}
	return found, false, ErrEdited
}

// put replaces the file, which holds what onDisk has found.
func (s *Store) put(data []byte, found sum, missing bool) error {
	path := s.Path()
	tmp := temporary(path)
	if err := prepare(s.fs, path, data, true); err != nil {
		return err
	}
	tried := s.tried
	s.tried = sumOf(data)
	if missing {
		if err := s.fs.Rename(tmp, path); err != nil {
			_ = s.fs.Remove(tmp)
			return err
		}
		s.accept(data)
		return s.fs.SyncDir(s.dir)
	}
	switch err := s.fs.Exchange(tmp, path); {
	case errors.Is(err, errors.ErrUnsupported):
		s.tried = tried // it may be what is there
		return s.putPlainly(data, found)
	case err != nil:
		_ = s.fs.Remove(tmp)
		return err
	}
	// tmp is now what was there until this instant. Killed from here on, Load finds it: see putBack.
	old, _, err := s.fs.Read(tmp)
	if err != nil || sumOf(old) != found {
		if back := s.fs.Exchange(tmp, path); back != nil {
			s.accept(data)
			return fmt.Errorf("putting back what was saved at the last moment: %w", back)
		}
		_ = s.fs.Remove(tmp)
		return ErrEdited
	}
	ours, before := s.isWritten(found), s.written
	s.accept(data)
	if ours {
		err = s.fs.Rename(tmp, s.path(".previous.yaml"))
	} else {
		// An operator's version, or one of which nobody knows how complete it is. The copy is of what we had written before it: it
		// would be two changes old otherwise.
		if before != nil {
			if err := replace(s.fs, s.path(".previous.yaml"), before, true); err != nil {
				return err
			}
		}
		err = s.fs.Remove(tmp)
	}
	if err != nil {
		return err
	}
	return s.fs.SyncDir(s.dir)
}

// putPlainly is put on a file system that cannot exchange: the copy is made first, and an edit saved between the look
// and the rename is lost, which takes microseconds.
func (s *Store) putPlainly(data []byte, found sum) error {
	tmp := temporary(s.Path())
	if s.written != nil {
		if err := replace(s.fs, s.path(".previous.yaml"), s.written, true); err != nil {
			_ = s.fs.Remove(tmp)
			return err
		}
	}
	if now, _, err := s.onDisk(); err != nil || now != found {
		_ = s.fs.Remove(tmp)
		if err == nil {
			err = ErrEdited
		}
		return err
	}
	s.tried = sumOf(data)
	if err := s.fs.Rename(tmp, s.Path()); err != nil {
		_ = s.fs.Remove(tmp)
		return err
	}
	s.accept(data)
	return s.fs.SyncDir(s.dir)
}

// accept notes that the file now holds data.
func (s *Store) accept(data []byte) {
	s.written, s.writtenSum = data, sumOf(data)
	s.taken = nil
	s.version++
	s.meta.ResourceVersion = strconv.FormatInt(s.version, 10)
}

// String is the sum in as many digits as tell contents apart.
func (s sum) String() string { return hex.EncodeToString(s[:16]) }

func sumOf(data []byte) sum { return sha256.Sum256(data) }
