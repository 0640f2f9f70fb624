// Package idlist codes ascending lists of uint32 numbers as delta varints: the
// form in which small sets stand in memory and on disk.
//
// The first number is written as it is, each further one as the difference from
// the one before it, all as unsigned LEB128 varints. [3 5 300] is
//
//	03 02 a7 02        3, +2, +295
//
// Lists are strings: they are immutable, take no capacity word, and parts of
// one allocation can serve as many lists.
package idlist

import (
	"errors"
	"iter"
	"unsafe"
)

// ErrMalformed is returned by Check for bytes that no list encodes to.
var ErrMalformed = errors.New("idlist: malformed list")

// maxVarint is the longest varint of a uint32.
const maxVarint = 5

// AppendUvarint appends one varint to dst.
func AppendUvarint(dst []byte, v uint32) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

// UvarintLen is the number of bytes that AppendUvarint writes for v.
func UvarintLen(v uint32) int {
	n := 1
	for v >= 0x80 {
		v >>= 7
		n++
	}
	return n
}

// next decodes the varint at l[i:] and returns it with the offset behind it.
// The caller knows that i < len(l); lists from outside have passed Check.
func next(l string, i int) (uint32, int) {
	b := l[i]
	i++
	if b < 0x80 {
		return uint32(b), i
	}
	v := uint32(b & 0x7f)
	for shift := 7; i < len(l); shift += 7 {
		b = l[i]
		i++
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			break
		}
	}
	return v, i
}

// Append encodes ids, which must ascend strictly, to the end of dst.
func Append(dst []byte, ids []uint32) []byte {
	var prev uint32
	for _, id := range ids {
		dst = AppendUvarint(dst, id-prev)
		prev = id
	}
	return dst
}

// Make encodes ids, which must ascend strictly, as a list of its own.
func Make(ids []uint32) string {
	if len(ids) == 0 {
		return ""
	}
	n, prev := 0, uint32(0)
	for _, id := range ids {
		n += UvarintLen(id - prev)
		prev = id
	}
	return text(Append(make([]byte, 0, n), ids))
}

// text turns bytes that nobody will write to again into a string.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Decode appends the numbers of l to dst.
func Decode(dst []uint32, l string) []uint32 {
	var id uint32
	for i := 0; i < len(l); {
		var d uint32
		d, i = next(l, i)
		id += d
		dst = append(dst, id)
	}
	return dst
}

// All yields the numbers of l in ascending order.
func All(l string) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		var id uint32
		for i := 0; i < len(l); {
			var d uint32
			d, i = next(l, i)
			id += d
			if !yield(id) {
				return
			}
		}
	}
}

// Len returns how many ids a list holds.
func Len(l string) (n int) {
	for i := range len(l) {
		if l[i] < 0x80 { // the last byte of an id
			n++
		}
	}
	return n
}

// Contains reports whether x is in l. It costs about a nanosecond a number.
func Contains(l string, x uint32) bool {
	var id uint32
	for i := 0; i < len(l); {
		b := l[i]
		i++
		if b < 0x80 {
			id += uint32(b)
		} else if i < len(l) && l[i] < 0x80 {
			id += uint32(b&0x7f) | uint32(l[i])<<7
			i++
		} else {
			var d uint32
			d, i = next(l, i-1)
			id += d
		}
		if id >= x {
			return id == x
		}
	}
	return false
}

// A Splice is the change of a list by one number: the new list is the old one
// with the bytes from From to To replaced by Mid. It lets a caller that keeps
// many lists in one allocation edit one of them in a single copy.
type Splice struct {
	From, To int
	n        int
	buf      [2 * maxVarint]byte
}

// Mid holds the bytes that replace l[From:To].
func (s *Splice) Mid() []byte { return s.buf[:s.n] }

// Grow is the difference in length that the splice makes.
func (s *Splice) Grow() int { return s.n - (s.To - s.From) }

// Insert returns the change that puts x into l, or false if l holds x already.
func Insert(l string, x uint32) (s Splice, ok bool) {
	var prev uint32
	for i := 0; i < len(l); {
		d, j := next(l, i)
		id := prev + d
		if id == x {
			return Splice{}, false
		}
		if id > x {
			mid := AppendUvarint(s.buf[:0], x-prev)
			mid = AppendUvarint(mid, id-x)
			s.From, s.To, s.n = i, j, len(mid)
			return s, true
		}
		prev, i = id, j
	}
	s.From, s.To = len(l), len(l)
	s.n = len(AppendUvarint(s.buf[:0], x-prev))
	return s, true
}

// Remove returns the change that takes x out of l, or false if l lacks x.
func Remove(l string, x uint32) (s Splice, ok bool) {
	var prev uint32
	for i := 0; i < len(l); {
		d, j := next(l, i)
		id := prev + d
		if id > x {
			break
		}
		if id < x {
			prev, i = id, j
			continue
		}
		s.From, s.To = i, j
		if j < len(l) {
			d2, k := next(l, j)
			s.To = k
			s.n = len(AppendUvarint(s.buf[:0], id+d2-prev))
		}
		return s, true
	}
	return Splice{}, false
}

// Apply returns l changed by s.
func (s *Splice) Apply(l string) string {
	if len(l)+s.Grow() == 0 {
		return ""
	}
	b := make([]byte, 0, len(l)+s.Grow())
	b = append(b, l[:s.From]...)
	b = append(b, s.Mid()...)
	return text(append(b, l[s.To:]...))
}

// Check returns how many numbers l holds, or ErrMalformed unless l is exactly
// what Append writes: every varint complete, in its shortest form and within 32
// bits, and the numbers strictly ascending.
func Check(l string) (int, error) {
	n, id := 0, uint64(0)
	for i := 0; i < len(l); n++ {
		v, shift, start := uint64(0), 0, i
		for {
			if i == len(l) || i-start == maxVarint {
				return 0, ErrMalformed
			}
			b := l[i]
			i++
			v |= uint64(b&0x7f) << shift
			shift += 7
			if b < 0x80 {
				if b == 0 && i-start > 1 {
					return 0, ErrMalformed
				}
				break
			}
		}
		if v == 0 && n > 0 {
			return 0, ErrMalformed
		}
		if id += v; id > 1<<32-1 {
			return 0, ErrMalformed
		}
	}
	return n, nil
}
