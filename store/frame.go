package store

// The journal's bytes. All numbers are little-endian, all checksums CRC-32C.
//
// A segment is a file of a fixed size, a multiple of 32. Its first 512 bytes are the header:
//
//	  0  8  "ROSTERJL"
//	  8  4  format, 1
//	 12  4  0
//	 16 16  uuid of the store
//	 32  8  number of the segment, one more than that of the segment before
//	 40  8  revision of the first record
//	 48  8  size of the file
//	 56  4  crc of the last frame before the seal of the segment before; 0 in the first segment of a journal
//	 60     0
//	508  4  checksum of bytes 0 to 507; "crc" of the segment
//
// Frames follow without gaps, each at a multiple of 32, and then zeros up to the end. A frame is
//
//	 0  4  kind: "RECS" records, "SEAL" the journal goes on in the next segment, "DONE" it was closed in order
//	 4  4  length of the body
//	 8  8  revision of the first record in it; for the other kinds, of the next record to come
//	16  4  number of records, whose revisions are consecutive; 0 for the other kinds
//	20  4  crc of the frame before, of the segment for its first frame
//	24  4  checksum of the body as it stands in the file
//	28  4  checksum of the crc of the segment continued with bytes 0 to 27; "crc" of the frame
//	32     body
//	       1 to 32 bytes A5, up to a multiple of 32
//
// The body of a RECS frame holds for each record its length as a uvarint and its bytes, that of a SEAL the number (8)
// and the crc (4) of the next segment, that of a DONE nothing. The body is whitened, see the method whiten.
//
// Example: the header of segment 1 of the store 000102030405060708090a0b0c0d0e0f, a file of 4096 bytes, and the frame
// that holds revision 1, "hello", and revision 2, "you":
//
//	000  52 4f 53 54 45 52 4a 4c  01 00 00 00 00 00 00 00  ROSTERJL
//	010  00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f
//	020  01 00 00 00 00 00 00 00  01 00 00 00 00 00 00 00
//	030  00 10 00 00 00 00 00 00  00 00 00 00 00 00 00 00
//	     …
//	1f0  00 00 00 00 00 00 00 00  00 00 00 00 69 4d 04 84
//	200  52 45 43 53 0a 00 00 00  01 00 00 00 00 00 00 00  RECS
//	210  02 00 00 00 69 4d 04 84  c4 27 27 98 87 1f 9e 8c
//	220  d7 c9 7a ea 0c 28 31 51  6c 30 a5 a5 a5 a5 a5 a5  05 h e l l o 03 y o u, whitened
//	230  a5 a5 a5 a5 a5 a5 a5 a5  a5 a5 a5 a5 a5 a5 a5 a5
//
// # Torn or damaged
//
// The space of a frame was zeroed and flushed before the frame was written, and a frame is written only after the one
// before it was flushed. So a crash can leave one incomplete frame, the last one. We assume of a disk that a
// write which was cut short leaves each 512-byte sector as it was or as it should be, in any choice of
// sectors, or the first bytes as they should be and the rest as it was. No sector of a frame is all zero: a header
// begins with letters, the end marks are not zero, and a body is whitened. Therefore, where no whole frame is found:
//
//   - All zero from there on: that is the end of the frames.
//   - A valid header and another body than it announces: the frame is torn if its last byte, or all that it has of
//     some sector, is zero, and nothing but zeros follow it.
//   - No valid header, and zeros after where it would have ended: the header itself is torn.
//   - Zeros up to the end of the sector in which the header would begin: that sector was not written. The frame is
//     torn if no valid frame header follows anywhere; with one following, more than the last frame is gone.
//   - Everything else is damage.
//
// A torn frame held nothing that was acknowledged. What cannot be told from one, and is dropped like it: an
// acknowledged last frame of which whole sectors, or the last bytes, turned into zeros; with it go the frames that lie
// in the same zeroed sector. Changed bits in the last frame, and anything at all in the frames before it, are noticed.
// So is the loss of a file: the file `oldest` names the first segment, and each one names, or is, the end.

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
)

// MaxFrameBytes is the largest body of a journal frame: the records of one Append, each with its length before it.
const MaxFrameBytes = 256 << 20

const (
	journalFormat   = 1
	journalMagic    = "ROSTERJL"
	sectorSize      = 512 // what a disk writes whole or not at all
	frameAlign      = 32  // divides sectorSize and is the size of a frame header, which so lies in one sector
	frameHeaderSize = 32
	endMark         = 0xA5 // any value that no single flipped bit turns into zero
)

// A frameKind says what the body of a frame holds: four letters, so that a hex dump can be read.
type frameKind uint32

const (
	kindRecords frameKind = 'R' | 'E'<<8 | 'C'<<16 | 'S'<<24 // records of consecutive revisions
	kindSeal    frameKind = 'S' | 'E'<<8 | 'A'<<16 | 'L'<<24 // the journal goes on in another segment
	kindClose   frameKind = 'D' | 'O'<<8 | 'N'<<16 | 'E'<<24 // the journal was closed in order; nothing was in flight
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// segmentHeader is the first sector of a segment file.
type segmentHeader struct {
	uuid   [16]byte
	number uint64 // of the segment, from 1
	first  uint64 // the revision of its first record, or of the one that will be
	size   int64  // of the file in bytes
	chain  uint32 // checksum of the last frame before the seal of the segment before, or 0
	crc    uint32 // of this header; set by encode and parseSegmentHeader
}

// encode returns the sector and sets h.crc.
func (h *segmentHeader) encode() []byte { return h.encodeFormat(journalFormat) }

func (h *segmentHeader) encodeFormat(format uint32) []byte {
	b := make([]byte, sectorSize)
	copy(b, journalMagic)
	binary.LittleEndian.PutUint32(b[8:], format)
	copy(b[16:], h.uuid[:])
	binary.LittleEndian.PutUint64(b[32:], h.number)
	binary.LittleEndian.PutUint64(b[40:], h.first)
	binary.LittleEndian.PutUint64(b[48:], uint64(h.size))
	binary.LittleEndian.PutUint32(b[56:], h.chain)
	h.crc = crc32.Checksum(b[:sectorSize-4], castagnoli)
	binary.LittleEndian.PutUint32(b[sectorSize-4:], h.crc)
	return b
}

// parseSegmentHeader reads the first sector of a segment. The magic, the format and the checksum stay where
// they are in every format, so that a newer one (ErrNewerFormat) is told from damage (any other error).
func parseSegmentHeader(b []byte) (segmentHeader, error) {
	var h segmentHeader
	if len(b) < sectorSize || string(b[:8]) != journalMagic {
		return h, errors.New("not a journal segment")
	}
	h.crc = binary.LittleEndian.Uint32(b[sectorSize-4:])
	if h.crc != crc32.Checksum(b[:sectorSize-4], castagnoli) {
		return h, errors.New("checksum of the segment header does not match")
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v > journalFormat {
		return h, fmt.Errorf("%w: journal format %d, this one knows up to %d", ErrNewerFormat, v, journalFormat)
	}
	copy(h.uuid[:], b[16:])
	h.number = binary.LittleEndian.Uint64(b[32:])
	h.first = binary.LittleEndian.Uint64(b[40:])
	h.size = int64(binary.LittleEndian.Uint64(b[48:]))
	h.chain = binary.LittleEndian.Uint32(b[56:])
	if h.first == 0 || h.size < sectorSize+markSize || h.size%frameAlign != 0 {
		return h, errors.New("impossible values in the segment header")
	}
	return h, nil
}

// frameHeader is what stands before the body of a frame.
type frameHeader struct {
	kind   frameKind
	length uint32 // of the body in bytes
	first  uint64 // revision of the first record; of the next one to come in a seal and a close mark
	count  uint32 // of records
	prev   uint32 // crc of the frame before, of the segment's header for the first frame
	body   uint32 // checksum of the body as it is on disk
	crc    uint32 // of this header, continuing the checksum of the segment's header
}

// frameSize returns the bytes that a frame with a body of n bytes takes in its segment.
func frameSize(n int64) int64 {
	return (frameHeaderSize + n + 1 + frameAlign - 1) / frameAlign * frameAlign
}

// markSize is the space of a seal, and more than a close mark takes.
const markSize = 64

// finishFrame makes a frame to be written at offset at out of b, which holds frameHeaderSize bytes of any value and
// the body in clear. It sets what of h depends on the body, and returns b grown to the size of the frame.
func (s *segmentHeader) finishFrame(b []byte, at int64, h *frameHeader) []byte {
	body := b[frameHeaderSize:]
	s.whiten(body, at+frameHeaderSize)
	h.length = uint32(len(body))
	h.body = crc32.Checksum(body, castagnoli)
	binary.LittleEndian.PutUint32(b[0:], uint32(h.kind))
	binary.LittleEndian.PutUint32(b[4:], h.length)
	binary.LittleEndian.PutUint64(b[8:], h.first)
	binary.LittleEndian.PutUint32(b[16:], h.count)
	binary.LittleEndian.PutUint32(b[20:], h.prev)
	binary.LittleEndian.PutUint32(b[24:], h.body)
	h.crc = crc32.Update(s.crc, castagnoli, b[:28])
	binary.LittleEndian.PutUint32(b[28:], h.crc)

	n := len(b)
	b = slices.Grow(b, frameAlign)[:frameSize(int64(len(body)))]
	for i := n; i < len(b); i++ {
		b[i] = endMark
	}
	return b
}

// parseFrameHeader reads the header of a frame of this segment; false if b does not begin with one.
func (s *segmentHeader) parseFrameHeader(b []byte) (frameHeader, bool) {
	h := frameHeader{
		kind:   frameKind(binary.LittleEndian.Uint32(b[0:])),
		length: binary.LittleEndian.Uint32(b[4:]),
		first:  binary.LittleEndian.Uint64(b[8:]),
		count:  binary.LittleEndian.Uint32(b[16:]),
		prev:   binary.LittleEndian.Uint32(b[20:]),
		body:   binary.LittleEndian.Uint32(b[24:]),
		crc:    binary.LittleEndian.Uint32(b[28:]),
	}
	switch h.kind {
	case kindRecords, kindSeal, kindClose:
	default: // the usual case, found before the checksum is computed
		return h, false
	}
	return h, h.length <= MaxFrameBytes && h.crc == crc32.Update(s.crc, castagnoli, b[:28])
}

// checkBody reports whether b, a whole frame, holds the body that its header announces and the end marks after it.
func (h *frameHeader) checkBody(b []byte) bool {
	end := frameHeaderSize + int(h.length)
	for _, c := range b[end:] {
		if c != endMark {
			return false
		}
	}
	return h.body == crc32.Checksum(b[frameHeaderSize:end], castagnoli)
}

// whiten changes b, the body of a frame from offset at of the segment on, between clear and disk form: it is
// XORed with numbers that the segment and the offset determine. What is on disk then looks random whatever the
// records hold, so that no sector of it is all zero and nothing in it passes for a frame header.
func (s *segmentHeader) whiten(b []byte, at int64) {
	const step = 0x9E3779B97F4A7C15 // splitmix64
	x := mix64(binary.LittleEndian.Uint64(s.uuid[:8]))
	x = mix64(x ^ binary.LittleEndian.Uint64(s.uuid[8:]))
	x = mix64(x^s.number) + uint64(at)/8*step
	for ; len(b) >= 8; b = b[8:] {
		x += step
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^mix64(x))
	}
	x = mix64(x + step)
	for i := range b {
		b[i] ^= byte(x >> (8 * i))
	}
}

// mix64 is the output function of splitmix64.
func mix64(x uint64) uint64 {
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// recordsSize returns the size of the body that appendRecords makes.
func recordsSize(records [][]byte) int64 {
	var n int64
	for _, r := range records {
		n += int64(len(r)) + 1
		for l := uint64(len(r)); l >= 0x80; l >>= 7 {
			n++
		}
	}
	return n
}

// appendRecords appends the body of a frame of records, in clear.
func appendRecords(dst []byte, records [][]byte) []byte {
	for _, r := range records {
		dst = binary.AppendUvarint(dst, uint64(len(r)))
		dst = append(dst, r...)
	}
	return dst
}

// cutRecord takes the first record off a body in clear; false if there is no whole one.
func cutRecord(body []byte) (record, rest []byte, ok bool) {
	n, w := binary.Uvarint(body)
	if w <= 0 || n > uint64(len(body)-w) {
		return nil, nil, false
	}
	end := w + int(n)
	return body[w:end:end], body[end:], true
}

// appendSeal appends the body of the frame that ends a segment: number and header checksum of the one after it.
func appendSeal(dst []byte, next *segmentHeader) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, next.number)
	return binary.LittleEndian.AppendUint32(dst, next.crc)
}

// allZero reports whether b holds nothing but zeros.
func allZero(b []byte) bool {
	for ; len(b) >= 8; b = b[8:] {
		if binary.LittleEndian.Uint64(b) != 0 {
			return false
		}
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
