package store

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"strconv"
)

// This file reads a write-ahead file of Badger (00001.mem) as Badger will on opening: it stops without a word
// at the first entry that does not check, and everything behind is dropped. Doing the same before Badger does
// tells what Badger would make of the file while nothing has been changed yet. The format:
//
//	file   key id u64 = 0 (no encryption) | 12 random bytes | entry ... | zeros
//	entry  meta u8 | user meta u8 | key length, value length, expiry as uvarint | key | value | crc u32
//
// crc is CRC-32C of everything before it in the entry, big-endian. Entries of one transaction carry bitTxn in
// meta and the same timestamp at the end of their keys; one with bitFinTxn and that timestamp in decimal ends it.

const (
	walHeaderBytes = 20
	walMaxKey      = 1 << 16
	maxWALHeader   = 22 // of an entry, before its key
	bitTxn         = 1 << 6
	bitFinTxn      = 1 << 7
)

// walFacts is what checkWAL learns of a write-ahead file.
type walFacts struct {
	end    int64 // where the last whole transaction ends: Badger keeps what is before
	newest sighting
	maxTs  uint64
	drops  bool // there is something behind end
}

var errWALHeader = errors.New("its header is damaged")

// checkWAL reads a write-ahead file of the given size up to the end of its last whole transaction.
// A file too short for its header holds nothing and is no error.
func checkWAL(r io.ReaderAt, size int64) (walFacts, error) {
	facts := walFacts{end: min(size, walHeaderBytes)}
	if size < walHeaderBytes {
		return facts, nil
	}
	w, err := newWALReader(r, size)
	if err != nil {
		return facts, err
	}
	var (
		open uint64   // timestamp of the transaction being read, 0 between transactions
		held sighting // what it holds
	)
	for {
		meta, key, value, err := w.next()
		if err == errWALEnd {
			// Badger writes zeros for the header of the next entry together with each entry.
			rest, _ := w.r.Peek(int(min(w.left, maxWALHeader)))
			facts.drops = facts.end < size-w.left || len(bytes.Trim(rest, "\x00")) > 0
			return facts, nil
		}
		facts.drops = true // unless a later return says otherwise
		if err != nil {
			return facts, err
		}
		user, ts := splitKey(key)
		switch {
		case meta&bitTxn != 0:
			if open != 0 && open != ts {
				return facts, nil
			}
			open = ts
			if bytes.Equal(user, metaKey) && meta&bitDelete == 0 {
				held.offer(ts, value)
			}
			continue
		case meta&bitFinTxn != 0:
			if n, err := strconv.ParseUint(string(value), 10, 64); err != nil || n != open {
				return facts, nil
			}
			facts.newest.offer(held.ts, held.env)
			facts.maxTs = max(facts.maxTs, open)
			open = 0
		default: // this package writes nothing outside a transaction
			return facts, nil
		}
		facts.end = size - w.left
	}
}

// errWALEnd ends the reading of a write-ahead file where Badger would end it.
var errWALEnd = errors.New("no further entry")

// walReader reads entries. What it returns is valid until the next call.
type walReader struct {
	r    *bufio.Reader
	left int64 // bytes from the current position to the end of the file
	buf  []byte
}

// newWALReader returns a reader of the entries of a file that has a header.
func newWALReader(r io.ReaderAt, size int64) (*walReader, error) {
	var keyID [8]byte
	if _, err := r.ReadAt(keyID[:], 0); err != nil {
		return nil, err
	}
	if keyID != [8]byte{} {
		return nil, errWALHeader
	}
	left := size - walHeaderBytes
	return &walReader{r: bufio.NewReaderSize(io.NewSectionReader(r, walHeaderBytes, left), 1<<20), left: left}, nil
}

// next returns one entry, errWALEnd when there is no whole one, or the error of reading the file.
func (w *walReader) next() (meta byte, key, value []byte, err error) {
	// Peek stops at the end of the file; that is no error of its own.
	head, err := w.r.Peek(maxWALHeader)
	if err != nil && err != io.EOF {
		return 0, nil, nil, err
	}
	if len(head) < 2 {
		return 0, nil, nil, errWALEnd
	}
	var lengths [3]uint64
	n := 2
	for i := range lengths {
		v, m := binary.Uvarint(head[n:])
		if m <= 0 {
			return 0, nil, nil, errWALEnd
		}
		lengths[i] = v
		n += m
	}
	klen, vlen := lengths[0], lengths[1]
	if klen < tsBytes || klen > walMaxKey || vlen > uint64(w.left) || int64(klen+vlen)+int64(n)+4 > w.left {
		return 0, nil, nil, errWALEnd
	}
	total := n + int(klen+vlen) + 4
	if cap(w.buf) < total {
		w.buf = make([]byte, 2*total)
	}
	b := w.buf[:total]
	if _, err := io.ReadFull(w.r, b); err != nil {
		return 0, nil, nil, err
	}
	w.left -= int64(total)
	body := b[:total-4]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(b[total-4:]) {
		return 0, nil, nil, errWALEnd
	}
	return b[0], body[n : n+int(klen)], body[n+int(klen):], nil
}
