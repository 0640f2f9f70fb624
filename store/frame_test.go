package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func exampleHeader() *segmentHeader {
	h := &segmentHeader{number: 1, first: 1, size: 4096}
	for i := range h.uuid {
		h.uuid[i] = byte(i)
	}
	return h
}

// The example at the top of frame.go is what the code writes.
func TestFormatExample(t *testing.T) {
	source, err := os.ReadFile("frame.go")
	if err != nil {
		t.Fatal(err)
	}
	h := exampleHeader()
	image := h.encode()
	fr := frameHeader{kind: kindRecords, first: 1, count: 2, prev: h.crc}
	body := appendRecords(make([]byte, frameHeaderSize), [][]byte{[]byte("hello"), []byte("you")})
	image = append(image, h.finishFrame(body, sectorSize, &fr)...)

	line := regexp.MustCompile(`(?m)^//\t([0-9a-f]{3})  ((?:[0-9a-f]{2} +){15}[0-9a-f]{2})`)
	lines := line.FindAllStringSubmatch(string(source), -1)
	if len(lines) != 9 {
		t.Fatalf("%d lines of the example found", len(lines))
	}
	for _, m := range lines {
		at, _ := strconv.ParseInt(m[1], 16, 64)
		var want []byte
		for _, digits := range strings.Fields(m[2]) {
			b, _ := strconv.ParseUint(digits, 16, 8)
			want = append(want, byte(b))
		}
		if got := image[at : at+16]; !bytes.Equal(got, want) {
			t.Errorf("%s  % x\nis written as % x", m[1], want, got)
		}
	}
}

func TestFrameRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := segmentHeader{
			uuid:   [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "uuid")),
			number: rapid.Uint64().Draw(t, "number"),
			first:  rapid.Uint64Min(1).Draw(t, "first"),
			size:   rapid.Int64Range(18, 1<<40).Draw(t, "size") * frameAlign,
			chain:  rapid.Uint32().Draw(t, "chain"),
		}
		back, err := parseSegmentHeader(h.encode())
		if err != nil || back != h {
			t.Fatal(back, h, err)
		}
		records := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 600), 0, 9).Draw(t, "records")
		at := rapid.Int64Range(16, 1000).Draw(t, "at") * frameAlign
		fr := frameHeader{kind: kindRecords, first: h.first, count: uint32(len(records)), prev: h.crc}
		b := h.finishFrame(appendRecords(make([]byte, frameHeaderSize), records), at, &fr)
		if int64(len(b)) != frameSize(recordsSize(records)) || len(b)%frameAlign != 0 {
			t.Fatalf("%d bytes", len(b))
		}
		if hasZeroSector(b, at) || b[len(b)-1] == 0 {
			t.Fatal("a whole frame that looks torn")
		}
		got, ok := h.parseFrameHeader(b)
		if !ok || got != fr || !got.checkBody(b) {
			t.Fatal(got, fr, ok)
		}
		f := frame{frameHeader: got, at: at, raw: b}
		body := f.clear(&segment{segmentHeader: h})
		for _, want := range records {
			var one []byte
			if one, body, ok = cutRecord(body); !ok || !bytes.Equal(one, want) {
				t.Fatalf("%x instead of %x", one, want)
			}
		}
		if _, _, ok := cutRecord(body); ok || len(body) > 0 {
			t.Fatal("left over", body)
		}
	})
}

func TestCutRecordBad(t *testing.T) {
	for _, b := range [][]byte{nil, {5}, {5, 1, 2, 3, 4}, {0x80}, bytes.Repeat([]byte{0xFF}, 11), {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0}} {
		if r, _, ok := cutRecord(b); ok {
			t.Errorf("%x: took %x", b, r)
		}
	}
}

func TestSegmentNames(t *testing.T) {
	for name, want := range map[string]uint64{
		"0000000001.log": 1, "9999999999.log": 9999999999, "12345678901.log": 12345678901,
		"000000001.log": 0, "00000000001.log": 0, "0000000001": 0, "spare": 0, "+000000001.log": 0, "0000000001.log.log": 0,
	} {
		if n, ok := segmentNumber(name); ok != (want > 0) || ok && n != want {
			t.Errorf("%s: %d %v", name, n, ok)
		}
	}
}

func TestAppendAllocs(t *testing.T) {
	m := NewMemFS()
	if err := createJournal(m, "journal", [16]byte{}, 1); err != nil {
		t.Fatal(err)
	}
	j, err := openJournal(m, "journal", [16]byte{}, journalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	record := [][]byte{make([]byte, 32)}
	// What is left are the marks and the 16 KiB pieces of the file in memory: less than one in ten appends.
	if n := testing.AllocsPerRun(2000, func() {
		if err := j.append(j.head()+1, record); err != nil {
			t.Fatal(err)
		}
	}); n >= 1 {
		t.Errorf("%.2f allocations for an append", n)
	}
}

// FuzzSegment opens and reads a segment whose bytes after the header are data. Where forge is set every place
// that begins like a frame gets the right checksums first, so that the decoder is reached behind them.
func FuzzSegment(f *testing.F) {
	h := exampleHeader()
	h.encode()
	frames := func(batches ...[][]byte) []byte {
		s := newSegment("", *h)
		var all []byte
		for _, records := range batches {
			fr := frameHeader{kind: kindRecords, first: s.next, count: uint32(len(records)), prev: s.prev}
			all = append(all, s.finishFrame(appendRecords(make([]byte, frameHeaderSize), records), s.end, &fr)...)
			s.add(&fr)
		}
		fr := frameHeader{kind: kindClose, first: s.next, prev: s.prev}
		return append(all, s.finishFrame(make([]byte, frameHeaderSize), s.end, &fr)...)
	}
	three := frames([][]byte{[]byte("a")}, [][]byte{bytes.Repeat([]byte("b"), 1500), nil}, [][]byte{[]byte("c")})
	f.Add([]byte{}, false)
	f.Add(three, false)
	f.Add(three, true)
	f.Add(three[:900], false)
	f.Add(append(bytes.Clone(three), frames([][]byte{[]byte("d")})...), true)
	f.Fuzz(func(t *testing.T, data []byte, forge bool) {
		h := exampleHeader()
		h.size = int64(sectorSize+len(data)+frameAlign-1)/frameAlign*frameAlign + markSize
		image := append(h.encode(), data...)
		image = append(image, make([]byte, h.size-int64(len(image)))...)
		if forge {
			forgeFrames(h, image)
		}
		fuzzOpen(t, image)
	})
}

// forgeFrames makes frames of what looks like some: checksums, chain and end marks.
func forgeFrames(h *segmentHeader, image []byte) {
	prev, next := h.crc, h.first
	for at := sectorSize; at+frameHeaderSize <= len(image); {
		b := image[at:]
		kind, length, count := frameKind(binary.LittleEndian.Uint32(b)), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[16:])
		size := frameSize(int64(length))
		if kind != kindRecords && kind != kindSeal && kind != kindClose || size > int64(len(b)) {
			return
		}
		for i := frameHeaderSize + int(length); i < int(size); i++ {
			b[i] = endMark
		}
		binary.LittleEndian.PutUint64(b[8:], next)
		binary.LittleEndian.PutUint32(b[20:], prev)
		binary.LittleEndian.PutUint32(b[24:], crc32.Checksum(b[frameHeaderSize:frameHeaderSize+length], castagnoli))
		prev = crc32.Update(h.crc, castagnoli, b[:28])
		binary.LittleEndian.PutUint32(b[28:], prev)
		next += uint64(count)
		at += int(size)
	}
}

// fuzzOpen opens a journal of that one segment: what comes out is a *CorruptError or a journal that can be read
// and written, and that shows the same when it is opened once more.
func fuzzOpen(t *testing.T, image []byte) {
	uuid := exampleHeader().uuid
	m := NewMemFS()
	if err := errors.Join(m.MkdirAll("journal", 0), writeOldest(m, "journal", uuid, 1)); err != nil {
		t.Fatal(err)
	}
	f, err := m.OpenFile(segmentPath("journal", 1), os.O_CREATE|os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteAt(image, 0)
	j, err := openJournal(m, "journal", uuid, journalOptions{})
	if err != nil {
		if !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		return
	}
	read := func() (all [][]byte) {
		for r, err := range j.replay(1) {
			if errors.Is(err, ErrCorrupt) { // a forged frame may hold other than its number of records
				return append(all, nil, nil)
			} else if err != nil {
				t.Fatal(err)
			}
			all = append(all, r.Data)
		}
		return all
	}
	before, head := read(), j.head()
	if err := j.append(head+1, [][]byte{[]byte("more")}); err != nil {
		t.Fatal(err)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	if j, err = openJournal(m, "journal", uuid, journalOptions{readOnly: true}); err != nil {
		t.Fatal(err)
	}
	after := read()
	if j.head() != head+1 || len(after) < len(before) {
		t.Fatalf("head %d, then %d; %d records, then %d", head, j.head(), len(before), len(after))
	}
	for i := range before {
		if !bytes.Equal(before[i], after[i]) {
			t.Fatalf("record %d was %x, and is %x", i, before[i], after[i])
		}
	}
	j.close()
}
