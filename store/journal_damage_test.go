package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/rosterdb/roster/store"
	"github.com/rosterdb/roster/store/storetest"
)

// victim is a small journal of several segments to do harm to.
type victim struct {
	fs    *store.MemFS
	all   [][]byte
	files map[string][]byte
}

func newVictim(t *testing.T, clean bool, sizes ...int) *victim {
	return newVictimOf(t, 4096, clean, sizes...)
}

func newVictimOf(t *testing.T, segment int64, clean bool, sizes ...int) *victim {
	v := &victim{fs: store.NewMemFS(), files: make(map[string][]byte)}
	j := newJournal(t, v.fs, journalDir, segment)
	for _, size := range sizes {
		mustAppend(t, j, &v.all, size, 3)
	}
	j.Settle()
	if clean {
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	} else {
		j.Abandon()
	}
	entries, err := v.fs.ReadDir(journalDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "spare" {
			path := filepath.Join(journalDir, e.Name())
			v.files[path] = storetest.ReadFile(v.fs, path)
		}
	}
	return v
}

// check opens the journal, read-only unless writable is set: it has to hold what it held or to name the file in a
// *CorruptError. It reports which of the two it was.
func (v *victim) check(t *testing.T, what, path string, writable bool) (noticed bool) {
	t.Helper()
	j, err := store.OpenJournal(v.fs, journalDir, testUUID, !writable, 4096)
	if corrupt, ok := errors.AsType[*store.CorruptError](err); ok {
		if corrupt.Path != path {
			t.Fatalf("%s: the error names another file: %v", what, err)
		}
		return true
	}
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer j.Abandon()
	got, err := collect(j, 1)
	if err == nil {
		err = sameRecords(got, v.all)
	}
	if err != nil || j.Head() != uint64(len(v.all)) {
		t.Fatalf("%s is not noticed: head %d, %v", what, j.Head(), err)
	}
	return false
}

// victims are journals that were closed and killed at different fillings of the last segment.
func victims(t *testing.T) map[string]*victim {
	sizes := []int{700, 20, 1, 1500, 300, 2500, 40, 800, 460, 30, 900, 2100, 17}
	return map[string]*victim{
		"closed":             newVictim(t, true, sizes...),
		"killed":             newVictim(t, false, sizes...),
		"killed after short": newVictim(t, false, append(sizes[:len(sizes):len(sizes)], 1, 2, 3)...),
		"killed after long":  newVictim(t, false, append(sizes[:len(sizes):len(sizes)], 1100)...),
	}
}

func TestDamageBits(t *testing.T) {
	for name, v := range victims(t) {
		t.Run(name, func(t *testing.T) {
			step, flips := 1, 0
			switch { // every bit of two of the journals, one in so many of the others
			case testing.Short():
				step = 29
			case len(name) > len("killed"):
				step = 7
			}
			for path, b := range v.files {
				f, err := v.fs.OpenFile(path, os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				for bit := 0; bit < 8*len(b); bit += step {
					if b[bit/8] == 0 {
						continue
					}
					f.WriteAt([]byte{b[bit/8] ^ 1<<(bit%8)}, int64(bit/8))
					what := fmt.Sprintf("bit %d of byte %d of %s", bit%8, bit/8, path)
					if !v.check(t, what, path, false) {
						t.Fatalf("%s: opens as if nothing were wrong", what)
					}
					if flips++; flips%101 == 0 && !v.check(t, what, path, true) {
						t.Fatalf("%s: opens for writing as if nothing were wrong", what)
					}
					f.WriteAt(b[bit/8:bit/8+1], int64(bit/8))
				}
				f.Close()
			}
			if len(v.files) < 4 || flips*step < 50_000 {
				t.Fatalf("%d files, %d bits: too small a journal", len(v.files), flips)
			}
			v.check(t, "nothing", "", false)
		})
	}
}

// Segments that are not read in one piece; a sample of the bits.
func TestDamageLarge(t *testing.T) {
	v := newVictimOf(t, 1<<20, false, 300_000, 50, 400_000, 70_000, 290_000, 3, 600_000, 200_000, 100_000, 20, 500_000, 9, 30_000)
	r := rand.New(rand.NewPCG(8, 8))
	for path, b := range v.files {
		f, err := v.fs.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		for range 60 {
			i, bit := r.IntN(len(b)), r.IntN(8)
			f.WriteAt([]byte{b[i] ^ 1<<bit}, int64(i))
			what := fmt.Sprintf("bit %d of byte %d of %s", bit, i, path)
			if !v.check(t, what, path, false) && b[i] != 0 {
				t.Fatalf("%s: opens as if nothing were wrong", what)
			}
			f.WriteAt(b[i:i+1], int64(i))
		}
		f.Close()
	}
	v.check(t, "nothing", "", true)
	if len(v.files) < 4 {
		t.Fatalf("%d files", len(v.files))
	}
}

// Bits that were zero: in the padding of headers, and after the last frame.
func TestDamageZeros(t *testing.T) {
	for name, v := range victims(t) {
		for path, b := range v.files {
			f, err := v.fs.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			for i := range b {
				if b[i] != 0 {
					continue
				}
				f.WriteAt([]byte{0x10}, int64(i))
				v.check(t, fmt.Sprintf("%s: byte %d of %s set", name, i, path), path, false)
				f.WriteAt([]byte{0}, int64(i))
			}
			f.Close()
		}
	}
}

func TestDamageTruncation(t *testing.T) {
	for name, v := range victims(t) {
		for path, b := range v.files {
			for n := range b {
				storetest.WriteFile(v.fs, path, b[:n])
				if what := fmt.Sprintf("%s: %s cut to %d bytes", name, path, n); !v.check(t, what, path, n%500 == 0) {
					t.Fatalf("%s: opens as if nothing were wrong", what)
				}
			}
			storetest.WriteFile(v.fs, path, append(bytes.Clone(b), 0))
			if !v.check(t, "a byte too many in "+path, path, true) {
				t.Fatalf("a byte too many in %s is not noticed", path)
			}
			storetest.WriteFile(v.fs, path, b)
		}
	}
}

func TestDamageDeletion(t *testing.T) {
	for name, v := range victims(t) {
		for path, b := range v.files {
			if err := v.fs.Remove(path); err != nil {
				t.Fatal(err)
			}
			for _, writable := range []bool{false, true} {
				if !v.check(t, path+" deleted", path, writable) {
					t.Fatalf("%s: the loss of %s is not noticed", name, path)
				}
			}
			storetest.WriteFile(v.fs, path, b)
		}
	}
}

// A file of the right form that is not the one that belongs there.
func TestDamageExchange(t *testing.T) {
	v := newVictim(t, true, 700, 1500, 300, 2500, 40, 800, 460, 30, 900, 2100, 17)
	other := newVictim(t, true, 701, 1500, 300, 2500, 40, 800, 460, 30, 900, 2100, 17)
	for path, b := range v.files {
		for from, wrong := range v.files {
			if from != path {
				storetest.WriteFile(v.fs, path, wrong)
				v.mustNotice(t, from+" in the place of "+path)
			}
		}
		if wrong := other.files[path]; !bytes.Equal(wrong, b) {
			storetest.WriteFile(v.fs, path, wrong)
			v.mustNotice(t, path+" of a similar journal")
		}
		storetest.WriteFile(v.fs, path, b)
	}
	for path := range v.files {
		for m := range v.files {
			storetest.WriteFile(v.fs, m, v.files[m])
		}
		b := bytes.Clone(v.files[path])
		b[20] ^= 1 // of the uuid; the checksum says so, too
		storetest.WriteFile(v.fs, path, b)
		v.mustNotice(t, path+" of another store")
	}
}

func (v *victim) mustNotice(t *testing.T, what string) {
	t.Helper()
	j, err := store.OpenJournal(v.fs, journalDir, testUUID, true, 4096)
	if err == nil {
		j.Abandon()
	}
	if !errors.Is(err, store.ErrCorrupt) {
		t.Fatalf("%s: %v", what, err)
	}
}

// No mix of damage that writes whole sectors of zeros loses a record that has another one after that sector.
func TestDamageSectors(t *testing.T) {
	for name, v := range victims(t) {
		for path, b := range v.files {
			for at := 0; at < len(b); at += 512 {
				if bytes.Count(b[at:min(at+512, len(b))], []byte{0}) == len(b[at:min(at+512, len(b))]) {
					continue
				}
				last := len(bytes.TrimRight(b, "\x00")) <= at+512 && path == lastSegment(v)
				image := bytes.Clone(b)
				clear(image[at:min(at+512, len(b))])
				storetest.WriteFile(v.fs, path, image)
				j, err := store.OpenJournal(v.fs, journalDir, testUUID, true, 4096)
				if err == nil {
					got, replayErr := collect(j, 1)
					if replayErr != nil || sameRecords(got, v.all[:len(got)]) != nil {
						t.Fatalf("%s: sector %d of %s zeroed: wrong records", name, at/512, path)
					}
					j.Abandon()
				}
				if err == nil && !last && !inLastFrame(v, path, at) {
					t.Fatalf("%s: sector %d of %s zeroed: not noticed", name, at/512, path)
				}
				storetest.WriteFile(v.fs, path, b)
			}
		}
	}
}

func lastSegment(v *victim) string {
	last := ""
	for path := range v.files {
		if filepath.Ext(path) == ".log" {
			last = max(last, path)
		}
	}
	return last
}

// inLastFrame reports whether the journal ends with a frame that has a part of it in that sector: the case
// that cannot be told from a write that the crash interrupted.
func inLastFrame(v *victim, path string, at int) bool {
	size := 32 + len(v.all[len(v.all)-1]) + len(v.all[len(v.all)-2]) + 3
	return path == lastSegment(v) && at+512 > len(bytes.TrimRight(v.files[path], "\x00"))-size
}

func TestNewerFormat(t *testing.T) {
	v := newVictim(t, true, 700, 1500, 300, 2500, 40)
	for _, n := range []int{1, 2} {
		b := bytes.Clone(v.files[segmentFile(n)])
		copy(b, store.NewerFormat(b[:512]))
		storetest.WriteFile(v.fs, segmentFile(n), b)
		_, err := store.OpenJournal(v.fs, journalDir, testUUID, false, 4096)
		if !errors.Is(err, store.ErrNewerFormat) || errors.Is(err, store.ErrCorrupt) {
			t.Fatal(err)
		}
		if !bytes.Equal(b, storetest.ReadFile(v.fs, segmentFile(n))) {
			t.Fatal("the file was changed")
		}
		storetest.WriteFile(v.fs, segmentFile(n), v.files[segmentFile(n)])
	}
}

func TestMissingJournal(t *testing.T) {
	m := store.NewMemFS()
	if _, err := store.OpenJournal(m, journalDir, testUUID, false, 0); !errors.Is(err, store.ErrCorrupt) {
		t.Fatal(err)
	}
	m.MkdirAll(journalDir, 0o700)
	if _, err := store.OpenJournal(m, journalDir, testUUID, false, 0); !errors.Is(err, store.ErrCorrupt) {
		t.Fatal(err)
	}
	newJournal(t, m, journalDir, 4096).Close()
	if _, err := store.OpenJournal(m, journalDir, [16]byte{1}, false, 0); !errors.Is(err, store.ErrCorrupt) {
		t.Fatal(err)
	}
}
