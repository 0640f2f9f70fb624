// Package textindex keeps, in a Bleve index, which documents hold which terms.
// A document is a number and two lists of terms, its grams and its words; what
// they mean is for the caller to know.
//
// The index is a cache. It is damaged, or not there, more easily than what it is
// made of, and whoever uses it must be able to answer without it and to make it
// anew. So Bleve is kept at arm's length: its files are checked before it opens
// them, it may panic, fault or hang in a call and the caller gets an error, and
// after the first error that Failed tells of nothing more is expected of it.
//
// # Files
//
// A folder of this package is an ordinary Bleve index, which bleve.Open reads:
//
//	index_meta.json          which kind of index it is
//	store/root.bolt          the list of segments, and the caller's note
//	store/*.zap              the segments
//
// # Concurrency
//
// One goroutine may call Apply at a time; everything else may be called by any
// number of goroutines.
package textindex

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/blevesearch/bleve/v2/index/scorch"
	index "github.com/blevesearch/bleve_index_api"
	bolt "go.etcd.io/bbolt/errors"
)

// The fields of a document.
const (
	gramField = "g"
	wordField = "w"
)

// noteKey is where the caller's note stands in the index.
const noteKey = "roster"

const metaJSON = `{"storage":"","index_type":"scorch"}`

// Errors of this package. Whatever else it returns comes from Bleve or, where a
// folder is opened, from the operating system: later that may be over.
var (
	ErrMissing = errors.New("textindex: there is no index")
	ErrDamaged = errors.New("textindex: the index is damaged")
	ErrStuck   = errors.New("textindex: Bleve does not answer")
	ErrInUse   = errors.New("textindex: something else has the index open")
)

// Document is what the index holds under a number. It may have no terms: it is
// in the index all the same, until one that is Gone takes it out.
type Document struct {
	Number uint32
	Gone   bool
	Grams  []string // without repeats
	Words  []string // likewise
}

// Index is an open index.
type Index struct {
	dir     string
	bleve   index.Index
	stats   *scorch.Stats
	queue   *index.AnalysisQueue
	arrays  arrays
	careful atomic.Bool // read through Bleve's stable interface only
	closed  chan struct{}
	merging atomic.Bool

	mu     sync.Mutex
	failed error         // guarded by mu: the first thing that went wrong
	saved  chan struct{} // guarded by mu: closed when the newest batch is in files; nil before the first
}

// Create makes an empty index in the folder dir, in place of what is there.
func Create(dir string) (x *Index, err error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(storeDir(dir), 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "index_meta.json"), []byte(metaJSON), 0o600); err != nil {
		return nil, err
	}
	return open(dir, false)
}

// Open opens the index in the folder dir, with its note. It returns ErrMissing
// or ErrDamaged for one that has to be created anew, and ErrInUse for one whose
// files somebody has open, an Index perhaps whose Close was ErrStuck: creating
// another one in that folder would have both write the same files. With readOnly no byte of
// the folder is changed.
func Open(dir string, readOnly bool) (x *Index, note []byte, err error) {
	if err := guard(func() error { return verify(storeDir(dir)) }); err != nil {
		return nil, nil, err
	}
	if x, err = open(dir, readOnly); err != nil {
		return nil, nil, err
	}
	note, err = x.check()
	if err != nil {
		return nil, nil, errors.Join(err, x.Close())
	}
	return x, note, nil
}

// Exists reports whether there is an index in the folder dir, whatever its state.
func Exists(dir string) bool {
	_, err := os.Stat(dir)
	return !errors.Is(err, fs.ErrNotExist)
}

func storeDir(dir string) string { return filepath.Join(dir, "store") }

// napMillis is how long Bleve gathers changes in memory before it writes them to
// files: with less, every change in a small batch makes a file.
const napMillis = 200

func open(dir string, readOnly bool) (*Index, error) {
	x := &Index{dir: dir, queue: index.NewAnalysisQueue(1), closed: make(chan struct{})}
	x.arrays.init()
	config := map[string]any{
		"path":                   storeDir(dir),
		"unsafe_batch":           true, // what is lost in a crash is made good from the log
		"bolt_timeout":           "1s",
		"read_only":              readOnly,
		"scorchMergePlanOptions": mergeOptions(),
		"scorchPersisterOptions": map[string]any{
			"PersisterNapTimeMSec": napMillis, "PersisterNapUnderNumFiles": 1000,
		},
	}
	err := guard(func() (err error) {
		if x.bleve, err = scorch.NewScorch(scorch.Name, config, x.queue); err != nil {
			return err
		}
		return x.bleve.Open()
	})
	if err != nil {
		x.queue.Close()
		var system syscall.Errno
		switch {
		case errors.Is(err, bolt.ErrTimeout):
			err = ErrInUse
		case !errors.As(err, &system):
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return nil, err
	}
	x.stats = x.bleve.(*scorch.Scorch).Stats().(*scorch.Stats)
	return x, nil
}

// check reads the note of an index that was just opened, and compares the two
// ways of reading terms.
func (x *Index) check() ([]byte, error) {
	s, err := x.Snapshot()
	if err != nil {
		return nil, err
	}
	defer s.Release()
	note, err := s.Note()
	if err != nil {
		return nil, err
	}
	if err := s.compare(); err != nil {
		x.careful.Store(true)
	}
	return note, nil
}

// Careful reports whether the index is read through Bleve's stable interface
// only, which is slower: the other way did not give the same answers.
func (x *Index) Careful() bool { return x.careful.Load() }

// Apply puts documents into the index in place of those of the same numbers,
// together with a note. Once it has returned, a Snapshot sees all of it. After a
// crash either all of it is there or none, unless Settle has been called: then
// it is there.
func (x *Index) Apply(docs []Document, note []byte) error {
	if err := x.Failed(); err != nil {
		return err
	}
	b := index.NewBatch()
	for i := range docs {
		d := newDocument(&docs[i])
		if docs[i].Gone {
			b.Delete(d.ID())
		} else {
			b.Update(d)
		}
	}
	b.SetInternal([]byte(noteKey), sealNote(note))
	b.SetInternal([]byte("_mapping"), []byte("{}")) // for bleve.Open
	saved := make(chan struct{})
	b.SetPersistedCallback(func(err error) {
		if err == nil {
			close(saved)
		}
	})
	x.mu.Lock()
	x.saved = saved
	x.mu.Unlock()
	return x.fail(deadline(applyPatience, func() error { return x.bleve.Batch(b) }))
}

// applyPatience is how long a batch may take. One that takes longer waits for a
// goroutine of Bleve's that has ended.
const applyPatience = time.Minute

// Failed returns what has gone wrong with the index, in a call or in Bleve's own
// goroutines. The index is of no use after that.
func (x *Index) Failed() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.failed == nil && atomic.LoadUint64(&x.stats.TotOnErrors) > 0 {
		x.failed = fmt.Errorf("%w: Bleve met an error in the background", ErrDamaged)
	}
	return x.failed
}

// fail notes an error for Failed.
func (x *Index) fail(err error) error {
	if err != nil {
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.failed == nil {
			x.failed = err
		}
	}
	return err
}

// Settle waits until everything is in files. After so long it gives up, with
// ErrStuck.
func (x *Index) Settle(ctx context.Context, patience time.Duration) error {
	x.mu.Lock()
	saved := x.saved
	x.mu.Unlock()
	if saved == nil {
		return nil
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-saved:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return ErrStuck
	}
}

// closePatience is how long Close waits for Bleve.
const closePatience = 5 * time.Second

// Close releases the folder. Snapshots stay readable. ErrStuck says that Bleve
// goes on with it; see Closed.
func (x *Index) Close() error {
	return deadline(closePatience, func() error {
		defer close(x.closed)
		err := x.bleve.Close()
		x.queue.Close()
		return err
	})
}

// Closed returns a channel that is closed when the folder has been released.
func (x *Index) Closed() <-chan struct{} { return x.closed }

// Bytes returns how many bytes the files of the index in the folder dir have.
func Bytes(dir string) (n int64) {
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // what cannot be read is not counted
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}

// guard calls fn and makes an error of a panic, and of a fault in a mapped file.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: panic: %v", ErrDamaged, r)
		}
	}()
	return fn()
}

// deadline is guard for calls that may never return.
func deadline(patience time.Duration, fn func() error) error {
	done := make(chan error, 1)
	go func() { done <- guard(fn) }()
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case err := <-done:
		return err
	case <-t.C:
		return ErrStuck
	}
}

// A note is stored with its checksum: Bleve's list of segments has none.
func sealNote(note []byte) []byte {
	return binary.BigEndian.AppendUint32(append([]byte(nil), note...), crc32.Checksum(note, castagnoli))
}

func openNote(b []byte) ([]byte, error) {
	if len(b) < 4 {
		return nil, fmt.Errorf("%w: it has no note", ErrDamaged)
	}
	note, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	if crc32.Checksum(note, castagnoli) != sum {
		return nil, fmt.Errorf("%w: its note does not match its checksum", ErrDamaged)
	}
	return note, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
