package roster

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/rosterdb/roster/store"
)

// A backup is one state in the form of format.go, as a stream:
//
//	"rosterbk" | version u32 | revision u64 | meta length u32 | meta
//	entries: key length u8 (not 0) | key | value length u32 | value
//	0 | number of entries u64 | CRC-32C u32 of everything before it
//
// All numbers are little-endian.
const (
	backupMagic   = "rosterbk"
	backupVersion = 1
	backupMaxMeta = 1 << 16
	backupMaxItem = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Backup writes everything that the engine holds at its newest revision to w,
// and returns that revision. Updates go on meanwhile. What it wrote is complete
// only if it returned no error; Restore checks that.
func (e *Engine) Backup(ctx context.Context, w io.Writer) (Revision, error) {
	st, err := e.views.open(&e.now)
	if err != nil {
		return 0, err
	}
	defer e.views.done(st)
	b := backupWriter{w: bufio.NewWriterSize(w, 1<<20), sum: crc32.New(castagnoli)}
	meta := st.encodeMeta()
	b.bytes([]byte(backupMagic))
	b.u32(backupVersion)
	b.u64(uint64(st.rev))
	b.u32(uint32(len(meta)))
	b.bytes(meta)
	vw := valueWriter{st: st, s: e.store, put: func(key, value []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		b.bytes([]byte{byte(len(key))})
		b.bytes(key)
		b.u32(uint32(len(value)))
		b.bytes(value)
		b.n++
		return b.err
	}}
	if err := vw.write(st.everything()); err != nil {
		return 0, fmt.Errorf("backup: %w", err)
	}
	b.bytes([]byte{0})
	b.u64(b.n)
	b.u32(b.sum.Sum32())
	if b.err == nil {
		b.err = b.w.Flush()
	}
	if b.err != nil {
		return 0, fmt.Errorf("backup: %w", b.err)
	}
	return st.rev, nil
}

type backupWriter struct {
	w   *bufio.Writer
	sum hash.Hash32
	n   uint64
	err error // the first; nothing is written after it
}

func (b *backupWriter) bytes(p []byte) {
	if b.err == nil {
		b.sum.Write(p)
		_, b.err = b.w.Write(p)
	}
}

func (b *backupWriter) u32(v uint32) { b.bytes(binary.LittleEndian.AppendUint32(nil, v)) }
func (b *backupWriter) u64(v uint64) { b.bytes(binary.LittleEndian.AppendUint64(nil, v)) }

// Restore makes the engine that a backup was taken of in the folder dir, which
// must be missing or empty (ErrNotStore). The backup is checked before the
// folder counts as an engine: a damaged or cut off one is a *CorruptError and
// leaves nothing that Open would take for one. The log of the restored engine
// begins after the revision of the backup.
func Restore(ctx context.Context, dir string, r io.Reader, o Options) error {
	b := backupReader{r: bufio.NewReaderSize(r, 1<<20), sum: crc32.New(castagnoli)}
	magic := b.bytes(uint64(len(backupMagic)))
	if b.err != nil || string(magic) != backupMagic {
		return &CorruptError{Path: "backup", What: "it does not begin like one", Err: b.err}
	}
	if v := b.u32(); b.err == nil && v != backupVersion {
		return fmt.Errorf("backup of version %d: %w", v, ErrNewerFormat)
	}
	rev := b.u64()
	n := b.u32()
	if n > backupMaxMeta {
		return b.damage("its header is too long")
	}
	meta := bytes.Clone(b.bytes(uint64(n)))
	if b.err != nil {
		return b.damage("its header is cut off")
	}
	if err := new(state).decodeMeta(meta); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	err := store.Restore(dir, o.withDefaults().store(), rev, meta, func(put func(key, value []byte) error) error {
		return b.entries(ctx, put)
	})
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}

type backupReader struct {
	r   *bufio.Reader
	sum hash.Hash32
	err error
	buf []byte
}

// bytes returns the next n bytes, valid until the next call. A length that the
// stream does not keep costs no more memory than what is there.
func (b *backupReader) bytes(n uint64) []byte {
	const chunk = 1 << 20
	b.buf = b.buf[:0]
	for n > 0 && b.err == nil {
		m := min(n, chunk)
		start := len(b.buf)
		b.buf = append(b.buf, make([]byte, m)...)
		_, b.err = io.ReadFull(b.r, b.buf[start:])
		n -= m
	}
	if b.err != nil {
		return make([]byte, 8)
	}
	b.sum.Write(b.buf)
	return b.buf
}

func (b *backupReader) u32() uint32 { return binary.LittleEndian.Uint32(b.bytes(4)) }
func (b *backupReader) u64() uint64 { return binary.LittleEndian.Uint64(b.bytes(8)) }

func (b *backupReader) damage(what string) error {
	return &CorruptError{Path: "backup", What: what, Err: b.err}
}

// entries puts all entries and checks the end.
func (b *backupReader) entries(ctx context.Context, put func(key, value []byte) error) error {
	for n := uint64(0); ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		size := b.bytes(1)[0]
		if b.err == nil && size == 0 {
			return b.end(n)
		}
		key := append([]byte(nil), b.bytes(uint64(size))...)
		length := b.u32()
		if b.err == nil && length > backupMaxItem {
			return b.damage("an entry is too long")
		}
		value := b.bytes(uint64(length))
		if b.err != nil {
			return b.damage("it is cut off")
		}
		if _, err := parseKey(key); err != nil {
			return b.damage(err.Error())
		}
		if err := put(key, value); err != nil {
			return err
		}
	}
}

func (b *backupReader) end(n uint64) error {
	if b.u64() != n && b.err == nil {
		return b.damage("entries are missing")
	}
	want := b.sum.Sum32()
	switch got := b.u32(); {
	case b.err != nil:
		return b.damage("it is cut off")
	case got != want:
		return b.damage("its checksum does not match")
	}
	if _, err := b.r.ReadByte(); !errors.Is(err, io.EOF) {
		return &CorruptError{Path: "backup", What: "something follows its end"}
	}
	return nil
}
