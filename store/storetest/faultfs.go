// Package storetest is for testing what is built on package store: a file system that fails, tears and forgets.
package storetest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/rosterdb/roster/store"
)

// ErrKilled is for a Hook to return from the moment on when the process is taken to have died: the operation and
// those after it do not happen at all. What was written before is still in the cache of the system; open the same
// FaultFS again after it.
var ErrKilled = errors.New("storetest: the process was killed")

// OpKind says what an Op does.
type OpKind string

// The operations that change something on disk, or make a change durable.
const (
	OpCreate   OpKind = "create"
	OpWrite    OpKind = "write"
	OpTruncate OpKind = "truncate"
	OpSync     OpKind = "sync"
	OpRename   OpKind = "rename"
	OpRemove   OpKind = "remove"
	OpMkdir    OpKind = "mkdir"
	OpSyncDir  OpKind = "syncdir"
)

// Op is an operation that is about to happen.
type Op struct {
	N    int // how many came before it
	Kind OpKind
	Path string
}

// FaultFS is a store.MemFS that knows what of its contents is durable, that is, was followed by a successful Sync
// of the file or SyncDir of the folder. A test makes operations fail with Hook and FailNth, and asks
// with Crash what a disk could hold if the power failed now.
//
// What Crash assumes of a disk is what package store does: what was flushed stays; of what was not, any part
// of the names of a folder in the order they changed, and any 512-byte sectors of a file, or any of its first
// bytes in the order they were written. Folders themselves are durable at once; a Rename stays in its folder.
type FaultFS struct {
	live *store.MemFS

	mu    sync.Mutex
	ops   int                          // guarded by mu
	hook  func(Op) error               // guarded by mu
	free  int64                        // guarded by mu
	dirs  []string                     // guarded by mu; in order of creation
	names map[string]*inode            // guarded by mu; files by cleaned path, as they are
	safe  map[string]*inode            // guarded by mu; as they are durable
	moves map[string][]map[string]move // guarded by mu; per folder, the steps from safe to names
}

// move is what a step does to a name: it now means that file, or none.
type move struct{ to *inode }

// inode is a file apart from its name.
type inode struct {
	durable []byte
	pending []change // since the last Sync, in order
}

// change is a write, or a Truncate to off if data is nil.
type change struct {
	off  int64
	data []byte
	lost bool // a write or Sync failed: no later Sync makes this durable, as with the pages of a real cache
}

var _ store.FS = (*FaultFS)(nil)

// NewFaultFS returns an empty file system.
func NewFaultFS() *FaultFS {
	return &FaultFS{
		live:  store.NewMemFS(),
		free:  math.MaxInt64,
		names: make(map[string]*inode),
		safe:  make(map[string]*inode),
		moves: make(map[string][]map[string]move),
	}
}

// Hook has fn called before every operation that changes something or makes it durable. If fn returns an error the
// operation fails with it: names and lengths stay as they are, a write has happened but will never be durable for
// certain, a Sync makes nothing durable and neither does a later one of the same. fn may call Crash and Kill. Nil takes the hook away.
func (f *FaultFS) Hook(fn func(Op) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = fn
}

// FailNth has the nth operation of the given kinds from now on (0 is the next; no kinds means all) fail with err,
// and, if stuck is set, all that follow. It takes the place of a Hook.
func (f *FaultFS) FailNth(n int, err error, stuck bool, kinds ...OpKind) {
	var mu sync.Mutex
	f.Hook(func(op Op) error {
		hit := len(kinds) == 0
		for _, k := range kinds {
			hit = hit || k == op.Kind
		}
		mu.Lock()
		defer mu.Unlock()
		if !hit {
			return nil
		}
		n--
		if n == -1 || n < -1 && stuck {
			return err
		}
		return nil
	})
}

// Ops returns how many operations there were.
func (f *FaultFS) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops
}

// SetFree sets what Free answers. Writes do not look at it.
func (f *FaultFS) SetFree(bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.free = bytes
}

// Kill returns a copy of everything as it is: what is there after the process died and the machine did not.
func (f *FaultFS) Kill() *store.MemFS {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := store.NewMemFS()
	for _, dir := range f.dirs {
		check(m.MkdirAll(dir, 0o700))
	}
	for path := range f.names {
		WriteFile(m, path, ReadFile(f.live, path))
	}
	return m
}

// Reboot returns a FaultFS with the contents of m, all of it durable.
func Reboot(m *store.MemFS) *FaultFS {
	f := NewFaultFS()
	f.adopt(m, ".")
	f.adopt(m, string(filepath.Separator))
	return f
}

// adopt copies a folder of m with everything below it.
func (f *FaultFS) adopt(m *store.MemFS, dir string) {
	entries, err := m.ReadDir(dir)
	check(err)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() {
			check(f.live.MkdirAll(path, 0o700))
			f.dirs = append(f.dirs, path)
			f.adopt(m, path)
			continue
		}
		n := &inode{durable: ReadFile(m, path)}
		WriteFile(f.live, path, n.durable)
		f.names[path], f.safe[path] = n, n
	}
}

// Crash returns what could be on disk if the power failed now. What happens to each thing that was not flushed is chosen
// by the seed; seed 0 loses all of it.
func (f *FaultFS) Crash(seed uint64) *store.MemFS {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := rand.New(rand.NewPCG(seed, 0))
	names := make(map[string]*inode)
	for path, n := range f.safe {
		names[path] = n
	}
	for _, dir := range f.dirs {
		steps := f.moves[dir]
		if seed == 0 {
			steps = nil
		} else {
			steps = steps[:r.IntN(len(steps)+1)]
		}
		for _, step := range steps {
			for path, m := range step {
				if names[path] = m.to; m.to == nil {
					delete(names, path)
				}
			}
		}
	}
	return f.image(names, func(n *inode) []byte {
		if seed == 0 {
			return n.durable
		}
		return n.crash(r)
	})
}

// image builds a file system of the given files.
func (f *FaultFS) image(names map[string]*inode, contents func(*inode) []byte) *store.MemFS {
	m := store.NewMemFS()
	for _, dir := range f.dirs {
		check(m.MkdirAll(dir, 0o700))
	}
	for _, path := range slices.Sorted(maps.Keys(names)) { // in a fixed order: the seed has to lead to the same image every time
		WriteFile(m, path, contents(names[path]))
	}
	return m
}

// crash returns what could be in the file if what is pending was caught at some point on its way to the disk.
func (n *inode) crash(r *rand.Rand) []byte {
	switch r.IntN(4) {
	case 0:
		return n.durable
	case 1:
		return apply(slices.Clone(n.durable), n.pending)
	case 2: // in order, up to a byte
		total := 0
		for _, c := range n.pending {
			total += len(c.data) + 1
		}
		left := r.IntN(total + 1)
		var kept []change
		for _, c := range n.pending {
			if left == 0 {
				break
			}
			if cut := left - 1; c.data != nil && cut < len(c.data) {
				c.data = c.data[:cut]
			}
			left -= min(left, len(c.data)+1)
			kept = append(kept, c)
		}
		return apply(slices.Clone(n.durable), kept)
	default: // some of the sectors, out of order
		const sector = 512
		var kept []change
		odds := r.IntN(10)
		for _, c := range n.pending {
			if c.data == nil {
				kept = append(kept, c)
				continue
			}
			for data, off := c.data, c.off; len(data) > 0; {
				size := min(int64(len(data)), sector-off%sector)
				if r.IntN(10) > odds {
					kept = append(kept, change{off: off, data: data[:size]})
				}
				data, off = data[size:], off+size
			}
		}
		return apply(slices.Clone(n.durable), kept)
	}
}

// apply makes the changes to b.
func apply(b []byte, changes []change) []byte {
	for _, c := range changes {
		end := c.off + int64(len(c.data))
		if grow := end - int64(len(b)); grow > 0 {
			b = append(b, make([]byte, grow)...) // append leaves nothing of a longer past: it copies zeros
		}
		if c.data == nil {
			b = b[:end]
		}
		copy(b[c.off:], c.data)
	}
	return b
}

// begin announces an operation to the hook.
func (f *FaultFS) begin(kind OpKind, path string) error {
	f.mu.Lock()
	op := Op{N: f.ops, Kind: kind, Path: path}
	f.ops++
	hook := f.hook
	f.mu.Unlock()
	if hook == nil {
		return nil
	}
	if err := hook(op); err != nil {
		return &fs.PathError{Op: string(kind), Path: path, Err: err}
	}
	return nil
}

// step makes a change of names that Crash keeps or loses as a whole. The caller holds mu.
func (f *FaultFS) step(dir string, names map[string]move) {
	for path, m := range names {
		if f.names[path] = m.to; m.to == nil {
			delete(f.names, path)
		}
	}
	f.moves[dir] = append(f.moves[dir], names)
}

// OpenFile implements store.FS.
func (f *FaultFS) OpenFile(path string, flag int, perm fs.FileMode) (store.File, error) {
	clean := filepath.Clean(path)
	f.mu.Lock()
	n := f.names[clean]
	f.mu.Unlock()
	if n == nil && flag&os.O_CREATE != 0 {
		if err := f.begin(OpCreate, path); err != nil {
			return nil, err
		}
	}
	truncate := n != nil && flag&os.O_TRUNC != 0
	if truncate {
		if err := f.begin(OpTruncate, path); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	file, err := f.live.OpenFile(path, flag, perm)
	if err != nil {
		return nil, err
	}
	if n == nil {
		n = &inode{}
		f.step(filepath.Dir(clean), map[string]move{clean: {n}})
	}
	if truncate {
		n.pending = append(n.pending, change{})
	}
	return &faultFile{File: file, fs: f, node: n, path: path}, nil
}

// Rename implements store.FS.
func (f *FaultFS) Rename(from, to string) error {
	if err := f.begin(OpRename, to); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.live.Rename(from, to); err != nil {
		return err
	}
	from, to = filepath.Clean(from), filepath.Clean(to)
	if filepath.Dir(from) != filepath.Dir(to) {
		return fmt.Errorf("rename %s to another folder: not modelled", from)
	}
	f.step(filepath.Dir(to), map[string]move{from: {nil}, to: {f.names[from]}})
	return nil
}

// Remove implements store.FS.
func (f *FaultFS) Remove(path string) error {
	if err := f.begin(OpRemove, path); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.live.Remove(path); err != nil {
		return err
	}
	clean := filepath.Clean(path)
	if f.names[clean] != nil {
		f.step(filepath.Dir(clean), map[string]move{clean: {nil}})
		return nil
	}
	for i, dir := range f.dirs {
		if dir == clean {
			f.dirs = append(f.dirs[:i:i], f.dirs[i+1:]...)
			break
		}
	}
	return nil
}

// MkdirAll implements store.FS.
func (f *FaultFS) MkdirAll(path string, perm fs.FileMode) error {
	if err := f.begin(OpMkdir, path); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.live.MkdirAll(path, perm); err != nil {
		return err
	}
	clean := filepath.Clean(path)
	for _, dir := range f.dirs {
		if dir == clean {
			return nil
		}
	}
	f.dirs = append(f.dirs, clean)
	return nil
}

// SyncDir implements store.FS.
func (f *FaultFS) SyncDir(path string) error {
	if err := f.begin(OpSyncDir, path); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.live.SyncDir(path); err != nil {
		return err
	}
	clean := filepath.Clean(path)
	for _, step := range f.moves[clean] {
		for name, m := range step {
			if f.safe[name] = m.to; m.to == nil {
				delete(f.safe, name)
			}
		}
	}
	delete(f.moves, clean)
	return nil
}

// ReadDir implements store.FS.
func (f *FaultFS) ReadDir(path string) ([]fs.DirEntry, error) { return f.live.ReadDir(path) }

// Stat implements store.FS.
func (f *FaultFS) Stat(path string) (fs.FileInfo, error) { return f.live.Stat(path) }

// Free implements store.FS.
func (f *FaultFS) Free(dir string) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.free, nil
}

// Lock implements store.FS.
func (f *FaultFS) Lock(dir string, shared bool) (io.Closer, error) { return f.live.Lock(dir, shared) }

// faultFile is an open file of a FaultFS.
type faultFile struct {
	store.File
	fs   *FaultFS
	node *inode
	path string
}

func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	failed := f.fs.begin(OpWrite, f.path)
	if errors.Is(failed, ErrKilled) {
		return 0, failed
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	n, err := f.File.WriteAt(p, off)
	if err != nil {
		return n, err
	}
	f.node.pending = append(f.node.pending, change{off: off, data: append([]byte{}, p...), lost: failed != nil})
	if failed != nil {
		return 0, failed
	}
	return n, nil
}

func (f *faultFile) Truncate(size int64) error {
	if err := f.fs.begin(OpTruncate, f.path); err != nil {
		return err
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.File.Truncate(size); err != nil {
		return err
	}
	f.node.pending = append(f.node.pending, change{off: size})
	return nil
}

func (f *faultFile) Sync() error {
	failed := f.fs.begin(OpSync, f.path)
	if errors.Is(failed, ErrKilled) {
		return failed
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if failed != nil {
		for i := range f.node.pending {
			f.node.pending[i].lost = true
		}
		return failed
	}
	if err := f.File.Sync(); err != nil {
		return err
	}
	f.node.pending = slices.DeleteFunc(f.node.pending, func(c change) bool { return c.lost })
	f.node.durable = apply(f.node.durable, f.node.pending)
	f.node.pending = nil
	return nil
}
