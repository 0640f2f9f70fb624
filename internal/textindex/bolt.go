package textindex

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"

	"github.com/RoaringBitmap/roaring/v2"
)

// boltFile is the file in which Bleve lists its segments, a database of bbolt's.
// Only its two meta pages carry a checksum, and bbolt believes all others: a
// flipped bit sends it beyond the end of the mapped file, and its own check ends
// the process in a goroutine where nobody can catch it. So the pages are walked
// here first, over the bytes.
//
//	page     id u64 | flags u16 | count u16 | overflow u32 | elements
//	branch   pos u32 | key size u32 | page u64
//	leaf     flags u32 | pos u32 | key size u32 | value size u32
//	bucket   page u64, 0 for one that follows inline | sequence u64
//	freelist page u64 ...; a count of 0xffff says that the first is the count
//
// Numbers are little-endian, positions count from the element. Page 0 and 1 are
// metas: magic, version, page size, flags u32; root page, sequence, freelist
// page, end page, transaction, checksum u64.
type boltFile struct {
	b        []byte
	pageSize uint64
	end      uint64 // pages from here on are not in use
	used     map[uint64]bool
	named    map[string]bool // the segments' files
	depth    int
}

const (
	boltMagic    = 0xED0CDAED
	boltVersion  = 2
	pageHead     = 16
	branchPage   = 1
	leafPage     = 2
	freelistPage = 16
	bucketLeaf   = 1
	maxBoltDepth = 64
)

func boltDamage(format string, args ...any) error {
	return fmt.Errorf("%w: root.bolt: "+format, append([]any{ErrDamaged}, args...)...)
}

// checkBolt returns the names of the segments that the file lists.
func checkBolt(b []byte) (map[string]bool, error) {
	f := &boltFile{b: b, used: map[uint64]bool{}, named: map[string]bool{}}
	meta, err := f.meta()
	if err != nil {
		return nil, err
	}
	root, freelist := binary.LittleEndian.Uint64(meta[16:]), binary.LittleEndian.Uint64(meta[32:])
	if f.end = binary.LittleEndian.Uint64(meta[40:]); f.end > uint64(len(b))/f.pageSize {
		return nil, boltDamage("it is cut off")
	}
	if err := f.freelist(freelist); err != nil {
		return nil, err
	}
	return f.named, f.walk(root, "")
}

// meta returns the newest meta page that is whole.
func (f *boltFile) meta() (newest []byte, err error) {
	const size = 64
	for _, pageSize := range []uint64{4096, 8192, 16384, 32768, 65536} {
		for i := range uint64(2) {
			at := i*pageSize + pageHead
			if uint64(len(f.b)) < at+size {
				continue
			}
			m := f.b[at : at+size]
			sum := fnv.New64a()
			sum.Write(m[:56])
			if binary.LittleEndian.Uint32(m) != boltMagic || binary.LittleEndian.Uint32(m[4:]) != boltVersion ||
				uint64(binary.LittleEndian.Uint32(m[8:])) != pageSize || binary.LittleEndian.Uint64(m[56:]) != sum.Sum64() {
				continue
			}
			if newest == nil || binary.LittleEndian.Uint64(m[48:]) > binary.LittleEndian.Uint64(newest[48:]) {
				newest, f.pageSize = m, pageSize
			}
		}
	}
	if newest == nil {
		return nil, boltDamage("neither of its meta pages is whole")
	}
	return newest, nil
}

// page returns the bytes of a page with what overflows it, and marks it as used.
func (f *boltFile) page(id uint64, kinds uint16) (p []byte, err error) {
	if id < 2 || id >= f.end {
		return nil, boltDamage("there is no page %d", id)
	}
	p = f.b[id*f.pageSize:]
	flags, overflow := binary.LittleEndian.Uint16(p[8:]), uint64(binary.LittleEndian.Uint32(p[12:]))
	if binary.LittleEndian.Uint64(p) != id || flags&kinds != flags || flags == 0 || overflow >= f.end-id {
		return nil, boltDamage("page %d is something else", id)
	}
	for i := range overflow + 1 {
		if f.used[id+i] {
			return nil, boltDamage("page %d is used twice", id+i)
		}
		f.used[id+i] = true
	}
	return p[:(overflow+1)*f.pageSize], nil
}

func (f *boltFile) freelist(id uint64) error {
	p, err := f.page(id, freelistPage)
	if err != nil {
		return err
	}
	count, ids := uint64(binary.LittleEndian.Uint16(p[10:])), p[pageHead:]
	if count == 0xffff {
		count, ids = binary.LittleEndian.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids))/8 {
		return boltDamage("its list of free pages is too long")
	}
	for i := range count {
		id := binary.LittleEndian.Uint64(ids[8*i:])
		if id < 2 || id >= f.end || f.used[id] {
			return boltDamage("page %d cannot be free", id)
		}
		f.used[id] = true
	}
	return nil
}

// walk checks a page of a bucket and everything below it.
func (f *boltFile) walk(id uint64, bucket string) error {
	p, err := f.page(id, branchPage|leafPage)
	if err != nil {
		return err
	}
	return f.elements(p, bucket)
}

// elements checks what stands on a page, which may be an inline one.
func (f *boltFile) elements(p []byte, bucket string) error {
	if f.depth++; f.depth > maxBoltDepth {
		return boltDamage("its pages form a ring")
	}
	defer func() { f.depth-- }()
	if len(p) < pageHead {
		return boltDamage("a page is cut off")
	}
	var last []byte
	flags, count := binary.LittleEndian.Uint16(p[8:]), uint64(binary.LittleEndian.Uint16(p[10:]))
	if pageHead+count*16 > uint64(len(p)) {
		return boltDamage("a page has %d elements", count)
	}
	for i := range count {
		e := p[pageHead+16*i:]
		var key []byte
		var err error
		if flags == branchPage {
			if key, err = cut(e, binary.LittleEndian.Uint32(e), 0, binary.LittleEndian.Uint32(e[4:])); err == nil {
				err = f.walk(binary.LittleEndian.Uint64(e[8:]), bucket)
			}
		} else {
			key, err = f.leaf(e, bucket)
		}
		if err != nil {
			return err
		}
		if i > 0 && bytes.Compare(last, key) >= 0 {
			return boltDamage("its keys do not ascend")
		}
		last = key
	}
	return nil
}

// cut returns the size bytes that begin skip bytes after pos.
func cut(e []byte, pos, skip, size uint32) ([]byte, error) {
	from := uint64(pos) + uint64(skip)
	if from+uint64(size) > uint64(len(e)) {
		return nil, boltDamage("an element leads beyond its page")
	}
	return e[from : from+uint64(size)], nil
}

func (f *boltFile) leaf(e []byte, bucket string) (key []byte, err error) {
	flags, pos := binary.LittleEndian.Uint32(e), binary.LittleEndian.Uint32(e[4:])
	keySize, size := binary.LittleEndian.Uint32(e[8:]), binary.LittleEndian.Uint32(e[12:])
	if key, err = cut(e, pos, 0, keySize); err != nil {
		return nil, err
	}
	value, err := cut(e, pos, keySize, size)
	switch {
	case err != nil:
		return nil, err
	case flags == bucketLeaf && size < 16, flags > bucketLeaf:
		return nil, boltDamage("an element is of an unknown kind")
	case flags == bucketLeaf:
		if root := binary.LittleEndian.Uint64(value); root != 0 {
			return key, f.walk(root, string(key))
		}
		return key, f.elements(value[16:], string(key))
	}
	return key, f.value(string(key), value)
}

// value looks at what Bleve stores of a segment: its kind and file, and the
// documents that count no more. A bitmap of wrong bytes does not fail, it corrupts memory.
func (f *boltFile) value(key string, value []byte) error {
	switch key {
	case "type":
		if string(value) != "zap" {
			return boltDamage("segments of type %q", value) // of which Bleve would print a line
		}
	case "p":
		f.named[string(value)] = true
	case "d":
		b := roaring.New()
		if err := b.UnmarshalBinary(bytes.Clone(value)); err != nil {
			return boltDamage("deleted documents: %v", err)
		}
		if err := b.Validate(); err != nil {
			return boltDamage("deleted documents: %v", err)
		}
	}
	return nil
}
