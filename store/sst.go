package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/pb"
	"google.golang.org/protobuf/proto"
)

// This file checks a table file of Badger from its first byte to its last without Badger's help: Badger's
// own check ends the process (log.Fatal) when a length in the file leads beyond its end. The format:
//
//	file   block ... | index (flatbuffers) | its length u32 | checksum (protobuf) | its length u32
//	block  entry ... | offset of each entry, u32 little-endian | their number u32 | checksum | its length u32
//	entry  overlap u16 | difference u16, little-endian | key without the overlap | value struct
//
// The overlap is the number of leading bytes that a key shares with the first key of its block. Lengths and
// numbers are big-endian where not said otherwise. Keys end in eight bytes, the complement of the timestamp.

const (
	bitDelete = 1 << 0 // in the first byte of a value struct: the key was deleted
	tsBytes   = 8      // the timestamp at the end of a key
)

// sighting is the newest meta value seen in the files of the state so far, in its envelope.
type sighting struct {
	ts  uint64 // 0: none was seen
	env []byte
}

// offer keeps env, a meta value found at the timestamp ts, when it is the newest one.
func (s *sighting) offer(ts uint64, env []byte) {
	if ts > s.ts {
		s.ts, s.env = ts, bytes.Clone(env)
	}
}

// tableFacts is what checkTable learns on its way through a table.
type tableFacts struct {
	newest sighting
	maxTs  uint64
	splits [][]byte // every splitEvery-th block's first key
}

// splitEvery is the distance, in blocks of 4 KiB, of the keys kept to divide a Load into ranges.
const splitEvery = 64

// checkTable reads a whole table and verifies every checksum in it.
func checkTable(r io.ReaderAt, size int64) (facts tableFacts, err error) {
	index, err := readIndex(r, size)
	if err != nil {
		return facts, err
	}
	facts.maxTs = index.MaxVersion()
	var (
		blocks      = index.OffsetsLength()
		block, next fb.BlockOffset
		end         int64
		buf         []byte
	)
	if blocks == 0 || !index.Offsets(&block, 0) {
		return facts, errors.New("its index names no block")
	}
	for i := range blocks {
		last := i+1 == blocks || !index.Offsets(&next, i+1)
		if int64(block.Offset()) != end || block.KeyLength() < tsBytes {
			return facts, fmt.Errorf("its index is wrong about block %d", i)
		}
		if buf, err = readSection(r, buf, end, int64(block.Len()), size); err != nil {
			return facts, fmt.Errorf("block %d: %w", i, err)
		}
		entries, offsets, err := openBlock(buf)
		if err != nil {
			return facts, fmt.Errorf("block %d at offset %d: %w", i, end, err)
		}
		first := block.KeyBytes()
		if i%splitEvery == splitEvery-1 {
			facts.splits = append(facts.splits, bytes.Clone(first[:len(first)-tsBytes]))
		}
		// The meta key is the greatest of all, so it can only be in blocks near the end.
		if last || bytes.Compare(next.KeyBytes(), metaKey) >= 0 {
			if err := findMeta(entries, offsets, &facts.newest); err != nil {
				return facts, fmt.Errorf("block %d at offset %d: %w", i, end, err)
			}
		}
		end += int64(block.Len())
		block = next
	}
	return facts, nil
}

// readIndex reads the end of a table and the index that it leads to.
func readIndex(r io.ReaderAt, size int64) (*fb.TableIndex, error) {
	var word [4]byte
	length := func(end int64) (int64, error) {
		if end < 4 {
			return 0, fmt.Errorf("it is too short, at %d bytes", size)
		}
		_, err := r.ReadAt(word[:], end-4)
		return int64(binary.BigEndian.Uint32(word[:])), err
	}
	sumLen, err := length(size)
	if err != nil {
		return nil, err
	}
	sum, err := readSection(r, nil, size-4-sumLen, sumLen, size)
	if err != nil {
		return nil, fmt.Errorf("checksum of its index: %w", err)
	}
	indexEnd := size - 4 - sumLen
	indexLen, err := length(indexEnd)
	if err != nil {
		return nil, err
	}
	index, err := readSection(r, nil, indexEnd-4-indexLen, indexLen, size)
	if err != nil {
		return nil, fmt.Errorf("its index: %w", err)
	}
	if err := verifySum(index, sum); err != nil {
		return nil, fmt.Errorf("its index: %w", err)
	}
	if len(index) < 8 {
		return nil, errors.New("its index is too short")
	}
	return fb.GetRootAsTableIndex(index, 0), nil
}

// readSection reads n bytes at offset off of a file of the given size, into buf where that is large enough.
func readSection(r io.ReaderAt, buf []byte, off, n, size int64) ([]byte, error) {
	if off < 0 || n < 0 || n > size || off > size-n {
		return nil, fmt.Errorf("%d bytes at offset %d are not in a file of %d", n, off, size)
	}
	if int64(cap(buf)) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	_, err := r.ReadAt(buf, off)
	if err == io.EOF {
		err = nil // ReadAt may say so after the last byte
	}
	return buf, err
}

// openBlock verifies a block and returns its entries and the bytes of their offsets.
func openBlock(b []byte) (entries, offsets []byte, err error) {
	cut := func(n uint32) (tail []byte) {
		if err == nil && uint64(n) > uint64(len(b)) {
			err = errors.New("a length in it is out of range")
		}
		if err != nil {
			return make([]byte, 4)
		}
		tail = b[len(b)-int(n):]
		b = b[:len(b)-int(n)]
		return tail
	}
	sum := cut(binary.BigEndian.Uint32(cut(4)))
	if err != nil {
		return nil, nil, err
	}
	if err := verifySum(b, sum); err != nil {
		return nil, nil, err
	}
	n := binary.BigEndian.Uint32(cut(4))
	if n > uint32(len(b))/4 {
		return nil, nil, errors.New("its number of entries is out of range")
	}
	offsets = cut(4 * n)
	return b, offsets, err
}

// verifySum compares data with a marshalled pb.Checksum.
func verifySum(data, marshalled []byte) error {
	var sum pb.Checksum
	if err := proto.Unmarshal(marshalled, &sum); err != nil {
		return errors.New("its checksum is malformed")
	}
	if sum.Algo != pb.Checksum_CRC32C || sum.Sum != uint64(crc32.Checksum(data, castagnoli)) {
		return errors.New("it does not match its checksum")
	}
	return nil
}

// findMeta offers every meta value among the entries of a block to s.
func findMeta(entries, offsets []byte, s *sighting) error {
	errEntry := errors.New("an entry in it is malformed")
	var base []byte
	for i := 0; i < len(offsets); i += 4 {
		start, end := binary.LittleEndian.Uint32(offsets[i:]), uint32(len(entries))
		if i+4 < len(offsets) {
			end = binary.LittleEndian.Uint32(offsets[i+4:])
		}
		if start > end || end > uint32(len(entries)) || end-start < 4 {
			return errEntry
		}
		e := entries[start:end]
		overlap, diff := binary.LittleEndian.Uint16(e), binary.LittleEndian.Uint16(e[2:])
		if int(overlap) > len(base) || int(diff) > len(e)-4 {
			return errEntry
		}
		key := append(base[:overlap:overlap], e[4:4+diff]...)
		if base == nil {
			base = key
		}
		if len(key) < tsBytes {
			return errEntry
		}
		user, ts := splitKey(key)
		if !bytes.Equal(user, metaKey) {
			continue
		}
		value := e[4+diff:]
		if len(value) < 3 {
			return errEntry
		}
		_, n := binary.Uvarint(value[2:])
		if n <= 0 {
			return errEntry
		}
		if value[0]&bitDelete == 0 {
			s.offer(ts, value[2+n:])
		}
	}
	return nil
}

// splitKey takes a key of Badger, which has at least tsBytes, apart.
func splitKey(key []byte) (user []byte, ts uint64) {
	n := len(key) - tsBytes
	return key[:n], ^binary.BigEndian.Uint64(key[n:])
}
