package textindex

import "github.com/RoaringBitmap/roaring/v2"

// docs are documents of a segment: one, or a bitmap, which may be Bleve's and is
// never changed.
type docs struct {
	one uint32
	all *roaring.Bitmap // nil for at most one
	n   int
}

func oneDoc(doc uint32) docs { return docs{one: doc, n: 1} }

func docsOf(b *roaring.Bitmap) docs {
	if b == nil {
		return docs{}
	}
	return docs{all: b, n: int(b.GetCardinality())}
}

func (d docs) contains(doc uint32) bool {
	if d.all != nil {
		return d.all.Contains(doc)
	}
	return d.n == 1 && d.one == doc
}

// and returns the documents of both.
func (d docs) and(e docs) docs {
	switch {
	case d.n == 0 || e.n == 0:
		return docs{}
	case d.all == nil && e.contains(d.one):
		return d
	case e.all == nil && d.contains(e.one):
		return e
	case d.all == nil || e.all == nil:
		return docs{}
	}
	return docsOf(roaring.And(d.all, e.all))
}

// or returns the documents of either.
func (d docs) or(e docs) docs {
	switch {
	case d.n == 0:
		return e
	case e.n == 0:
		return d
	}
	return docsOf(roaring.Or(d.bitmap(), e.bitmap()))
}

// without returns the documents of d that are not in e, which may be nil.
func (d docs) without(e *roaring.Bitmap) docs {
	switch {
	case d.n == 0 || e == nil || e.IsEmpty():
		return d
	case d.all == nil && e.Contains(d.one):
		return docs{}
	case d.all == nil:
		return d
	}
	return docsOf(roaring.AndNot(d.all, e))
}

// bitmap returns the documents as a bitmap, not to be changed.
func (d docs) bitmap() *roaring.Bitmap {
	switch {
	case d.all != nil:
		return d.all
	case d.n == 1:
		return roaring.BitmapOf(d.one)
	}
	return roaring.New()
}

// each calls fn for the documents, ascending.
func (d docs) each(fn func(doc uint32)) {
	if d.all == nil {
		if d.n == 1 {
			fn(d.one)
		}
		return
	}
	it := d.all.ManyIterator()
	buf := make([]uint32, min(d.n, 512))
	for n := it.NextMany(buf); n > 0; n = it.NextMany(buf) {
		for _, doc := range buf[:n] {
			fn(doc)
		}
	}
}

// numbers tells the numbers of the documents of a segment. With nil they are
// their own numbers.
type numbers []uint32

// each calls fn for the numbers of documents, in no order: Bleve has shuffled
// what was put into it at once.
func (m numbers) each(d docs, fn func(number uint32)) {
	if m == nil {
		d.each(fn)
		return
	}
	d.each(func(doc uint32) { fn(m[doc]) })
}

// set sets the bits of the numbers of documents.
func (m numbers) set(d docs, bits []uint64) {
	if m == nil || d.all == nil {
		m.each(d, func(n uint32) { set(bits, n) })
		return
	}
	it := d.all.ManyIterator()
	buf := make([]uint32, min(d.n, 1024))
	for n := it.NextMany(buf); n > 0; n = it.NextMany(buf) {
		for _, doc := range buf[:n] {
			set(bits, m[doc])
		}
	}
}

func set(bits []uint64, n uint32) {
	if int(n>>6) < len(bits) {
		bits[n>>6] |= 1 << (n & 63)
	}
}

// add is set, and reports whether the bit was not set before.
func add(bits []uint64, n uint32) bool {
	was := int(n>>6) < len(bits) && bits[n>>6]>>(n&63)&1 != 0
	set(bits, n)
	return !was
}
