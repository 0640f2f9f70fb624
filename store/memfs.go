package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// MemFS is a file system in memory. It holds nothing for the parts of a file that were only ever
// written with zeros, so the zeroed segments of a journal cost no memory until they are used.
type MemFS struct {
	mu    sync.Mutex
	nodes map[string]*memNode // guarded by mu; by cleaned path
	locks map[string]int      // guarded by mu; by cleaned path: how many share the lock, -1 when it is held alone
}

var _ FS = (*MemFS)(nil)

// NewMemFS returns an empty file system. Its roots, "." and "/", exist.
func NewMemFS() *MemFS {
	return &MemFS{nodes: make(map[string]*memNode), locks: make(map[string]int)}
}

// memChunk is the unit in which a file in memory is allocated.
const memChunk = 16 << 10

// memNode is a folder or the contents of a file; it outlives its name while it is open.
type memNode struct {
	dir bool

	mu     sync.RWMutex
	size   int64    // guarded by mu
	chunks [][]byte // guarded by mu; memChunk bytes each, nil for one that reads as zero; bytes after size are zero
}

func pathError(op, path string, err error) error {
	return &fs.PathError{Op: op, Path: path, Err: err}
}

// lookup returns the node with that path, or nil.
func (m *MemFS) lookup(path string) *memNode {
	if n := m.nodes[path]; n != nil {
		return n
	}
	if path == "." || filepath.Dir(path) == path {
		return &memNode{dir: true}
	}
	return nil
}

// OpenFile implements FS.
func (m *MemFS) OpenFile(path string, flag int, perm fs.FileMode) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	clean := filepath.Clean(path)
	n := m.lookup(clean)
	switch {
	case n == nil && flag&os.O_CREATE == 0:
		return nil, pathError("open", path, fs.ErrNotExist)
	case n == nil:
		if up := m.lookup(filepath.Dir(clean)); up == nil || !up.dir {
			return nil, pathError("open", path, fs.ErrNotExist)
		}
		n = &memNode{}
		m.nodes[clean] = n
	case flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		return nil, pathError("open", path, fs.ErrExist)
	case n.dir:
		return nil, pathError("open", path, errors.New("is a folder"))
	case flag&os.O_TRUNC != 0:
		n.truncate(0)
	}
	return &memFile{node: n, path: path, readOnly: flag&(os.O_WRONLY|os.O_RDWR) == 0}, nil
}

// Rename implements FS, for files.
func (m *MemFS) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, t := filepath.Clean(from), filepath.Clean(to)
	n, old, up := m.lookup(f), m.lookup(t), m.lookup(filepath.Dir(t))
	switch {
	case n == nil, up == nil, !up.dir:
		return pathError("rename", from, fs.ErrNotExist)
	case n.dir, old != nil && old.dir:
		return pathError("rename", from, errors.ErrUnsupported)
	}
	delete(m.nodes, f)
	m.nodes[t] = n
	return nil
}

// Remove implements FS.
func (m *MemFS) Remove(path string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	clean := filepath.Clean(path)
	n := m.nodes[clean]
	if n == nil {
		return pathError("remove", path, fs.ErrNotExist)
	}
	if n.dir && len(m.children(clean)) > 0 {
		return pathError("remove", path, errors.New("folder is not empty"))
	}
	delete(m.nodes, clean)
	return nil
}

// children returns the paths directly in a folder, sorted.
func (m *MemFS) children(dir string) []string {
	var paths []string
	for p := range m.nodes {
		if filepath.Dir(p) == dir && p != dir {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return paths
}

// ReadDir implements FS.
func (m *MemFS) ReadDir(path string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	clean := filepath.Clean(path)
	if n := m.lookup(clean); n == nil || !n.dir {
		return nil, pathError("readdir", path, fs.ErrNotExist)
	}
	var entries []fs.DirEntry
	for _, p := range m.children(clean) {
		entries = append(entries, fs.FileInfoToDirEntry(m.nodes[p].info(p)))
	}
	return entries, nil
}

// MkdirAll implements FS.
func (m *MemFS) MkdirAll(path string, perm fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p := filepath.Clean(path); ; p = filepath.Dir(p) {
		n := m.lookup(p)
		if n != nil && !n.dir {
			return pathError("mkdir", p, fs.ErrExist)
		}
		if n != nil {
			return nil
		}
		m.nodes[p] = &memNode{dir: true}
	}
}

// Stat implements FS.
func (m *MemFS) Stat(path string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.lookup(filepath.Clean(path))
	if n == nil {
		return nil, pathError("stat", path, fs.ErrNotExist)
	}
	return n.info(path), nil
}

// SyncDir implements FS; there is nothing to do.
func (m *MemFS) SyncDir(path string) error {
	_, err := m.ReadDir(path)
	return err
}

// Free implements FS.
func (m *MemFS) Free(dir string) (int64, error) { return math.MaxInt64, nil }

// Lock implements FS.
func (m *MemFS) Lock(dir string, shared bool) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	clean := filepath.Clean(dir)
	held := m.locks[clean]
	if held < 0 || held > 0 && !shared {
		return nil, fmt.Errorf("%w: %s", ErrLocked, dir)
	}
	if shared {
		m.locks[clean]++
	} else {
		m.locks[clean] = -1
	}
	return &memLock{fs: m, dir: clean}, nil
}

// memLock is one hold of a lock.
type memLock struct {
	fs   *MemFS
	dir  string
	once sync.Once
}

func (l *memLock) Close() error {
	l.once.Do(func() {
		l.fs.mu.Lock()
		defer l.fs.mu.Unlock()
		if l.fs.locks[l.dir]--; l.fs.locks[l.dir] <= 0 {
			delete(l.fs.locks, l.dir)
		}
	})
	return nil
}

// memFile is one opening of a node.
type memFile struct {
	node     *memNode
	path     string
	readOnly bool

	mu     sync.RWMutex
	closed bool // guarded by mu
}

// check returns the error of using the file for op, if any.
func (f *memFile) check(op string, writes bool) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	switch {
	case f.closed:
		return pathError(op, f.path, fs.ErrClosed)
	case writes && f.readOnly:
		return pathError(op, f.path, fs.ErrPermission)
	}
	return nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.check("read", false); err != nil {
		return 0, err
	}
	return f.node.readAt(p, off)
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.check("write", true); err != nil {
		return 0, err
	}
	f.node.writeAt(p, off)
	return len(p), nil
}

func (f *memFile) Truncate(size int64) error {
	if err := f.check("truncate", true); err != nil {
		return err
	}
	f.node.truncate(size)
	return nil
}

func (f *memFile) Sync() error { return f.check("sync", false) }

func (f *memFile) Size() (int64, error) {
	if err := f.check("stat", false); err != nil {
		return 0, err
	}
	f.node.mu.RLock()
	defer f.node.mu.RUnlock()
	return f.node.size, nil
}

func (f *memFile) Close() error {
	if err := f.check("close", false); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

func (n *memNode) readAt(p []byte, off int64) (int, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if off >= n.size {
		return 0, io.EOF
	}
	var err error
	if left := n.size - off; int64(len(p)) > left {
		p, err = p[:left], io.EOF
	}
	for done := 0; done < len(p); {
		i, at := (off+int64(done))/memChunk, (off+int64(done))%memChunk
		part := p[done:min(len(p), done+int(memChunk-at))]
		if c := n.chunks[i]; c != nil {
			copy(part, c[at:])
		} else {
			clear(part)
		}
		done += len(part)
	}
	return len(p), err
}

func (n *memNode) writeAt(p []byte, off int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.grow(off + int64(len(p)))
	for done := 0; done < len(p); {
		i, at := (off+int64(done))/memChunk, (off+int64(done))%memChunk
		part := p[done:min(len(p), done+int(memChunk-at))]
		if n.chunks[i] == nil && !allZero(part) {
			n.chunks[i] = make([]byte, memChunk)
		}
		if n.chunks[i] != nil {
			copy(n.chunks[i][at:], part)
		}
		done += len(part)
	}
}

// grow makes the file at least size bytes long. The caller holds n.mu.
func (n *memNode) grow(size int64) {
	if size <= n.size {
		return
	}
	n.size = size
	if more := int((size+memChunk-1)/memChunk) - len(n.chunks); more > 0 {
		n.chunks = append(n.chunks, make([][]byte, more)...)
	}
}

func (n *memNode) truncate(size int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.grow(size)
	n.size = size
	n.chunks = slices.Delete(n.chunks, int((size+memChunk-1)/memChunk), len(n.chunks))
	if at := size % memChunk; at > 0 && n.chunks[len(n.chunks)-1] != nil {
		clear(n.chunks[len(n.chunks)-1][at:])
	}
}

// info describes the node under the name that path ends with.
func (n *memNode) info(path string) fs.FileInfo {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return memInfo{name: filepath.Base(path), size: n.size, dir: n.dir}
}

// memInfo is the fs.FileInfo of a node. It knows no times.
type memInfo struct {
	name string
	size int64
	dir  bool
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) IsDir() bool        { return i.dir }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) Sys() any           { return nil }

func (i memInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o777
	}
	return 0o666
}
