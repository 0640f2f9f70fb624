// Package radix is a persistent array: a tree with leaves of 16 values and 64-way
// branches above them, indexed by a uint32, in which copies are free and writes copy only what they touch.
//
// A Tree is a small value. Copying it takes a snapshot: the two share every
// node, and a write to either copies the nodes on its path first. Which nodes a
// writer may change in place is decided by an [Owner]: nodes that this owner
// created are its own until it is replaced by a new one. A writer that makes
// many changes between two snapshots therefore copies each node once, not once
// a change.
//
// # Concurrency
//
// Reading a snapshot needs no lock. A tree that is written to must not be read
// at the same time; give readers a copy, then go on with a new Owner.
package radix

import (
	"iter"
	"unsafe"
)

// Leaves are smaller than branches because they hold values of some dozen bytes:
// a writer that changes one value in each of many leaves copies all of each.
const (
	leafBits  = 4
	leafWidth = 1 << leafBits
	leafMask  = leafWidth - 1

	bits  = 6
	width = 1 << bits
	mask  = width - 1
)

// An Owner marks the nodes that one writer may change in place. The zero-sized
// allocation trap is why it holds a byte: two owners must differ in address.
type Owner struct{ _ byte }

// leaf holds the values of 16 neighbouring indexes.
type leaf[T any] struct {
	own *Owner
	val [leafWidth]T
}

// branch holds 64 children, each a *branch or, at the lowest level, a *leaf[T].
// The level of a node is known from the walk, so the pointers carry no type.
type branch struct {
	own *Owner
	kid [width]unsafe.Pointer
}

// Tree maps uint32 indexes to values of T. Indexes never written read as the
// zero T. The zero Tree is empty and ready to use.
type Tree[T any] struct {
	root  unsafe.Pointer // nil, *leaf[T] when depth is 0, else *branch
	depth uint8          // number of branch levels above the leaves
}

// IsEmpty reports whether nothing was ever written to the tree.
func (t *Tree[T]) IsEmpty() bool { return t.root == nil }

// covers reports whether index i lies below the present root.
func (t *Tree[T]) covers(i uint32) bool {
	shift := leafBits + bits*uint(t.depth)
	return shift >= 32 || i>>shift == 0
}

// top returns how far an index is shifted to choose a child of the root; less
// than leafBits when the root is a leaf.
func (t *Tree[T]) top() int { return leafBits + bits*(int(t.depth)-1) }

// leafOf returns the leaf that holds i, or nil.
func (t *Tree[T]) leafOf(i uint32) *leaf[T] {
	if t.root == nil || !t.covers(i) {
		return nil
	}
	p := t.root
	for shift := t.top(); shift >= leafBits; shift -= bits {
		p = (*branch)(p).kid[i>>uint(shift)&mask]
		if p == nil {
			return nil
		}
	}
	return (*leaf[T])(p)
}

// Get returns the value at i, or the zero T.
func (t *Tree[T]) Get(i uint32) T {
	if l := t.leafOf(i); l != nil {
		return l.val[i&leafMask]
	}
	var zero T
	return zero
}

// At returns the place of index i for reading, or nil where nothing near i was
// ever written. It saves copying a large T; the caller must not write to it.
func (t *Tree[T]) At(i uint32) *T {
	if l := t.leafOf(i); l != nil {
		return &l.val[i&leafMask]
	}
	return nil
}

// Ref returns the place of index i for writing, valid until the next Owner.
// Nodes on the way that own did not create are copied first.
func (t *Tree[T]) Ref(own *Owner, i uint32) *T {
	if t.root == nil {
		t.root = unsafe.Pointer(&leaf[T]{own: own})
	}
	for !t.covers(i) {
		b := &branch{own: own}
		b.kid[0] = t.root
		t.root = unsafe.Pointer(b)
		t.depth++
	}
	p := &t.root
	for shift := t.top(); shift >= leafBits; shift -= bits {
		b := (*branch)(*p)
		switch {
		case b == nil:
			b = &branch{own: own}
			*p = unsafe.Pointer(b)
		case b.own != own:
			c := *b
			c.own = own
			b = &c
			*p = unsafe.Pointer(b)
		}
		p = &b.kid[i>>uint(shift)&mask]
	}
	l := (*leaf[T])(*p)
	switch {
	case l == nil:
		l = &leaf[T]{own: own}
		*p = unsafe.Pointer(l)
	case l.own != own:
		c := *l
		c.own = own
		l = &c
		*p = unsafe.Pointer(l)
	}
	return &l.val[i&leafMask]
}

// Set stores v at i.
func (t *Tree[T]) Set(own *Owner, i uint32, v T) { *t.Ref(own, i) = v }

// All yields the place of every index in every leaf that exists, in ascending
// order, zero values included: a leaf holds 16 places, and the caller knows
// which of them mean something. The places are for reading.
func (t *Tree[T]) All() iter.Seq2[uint32, *T] { return t.From(0) }

// From is All starting at index first.
func (t *Tree[T]) From(first uint32) iter.Seq2[uint32, *T] {
	root, depth := t.root, uint(t.depth)
	return func(yield func(uint32, *T) bool) {
		if root != nil {
			walk(root, depth, 0, first, yield)
		}
	}
}

func walk[T any](p unsafe.Pointer, level uint, base, first uint32, yield func(uint32, *T) bool) bool {
	if level == 0 {
		l := (*leaf[T])(p)
		for k := range uint32(leafWidth) {
			if i := base | k; i >= first && !yield(i, &l.val[k]) {
				return false
			}
		}
		return true
	}
	shift := leafBits + bits*(level-1)
	for k, kid := range (*branch)(p).kid {
		start := base | uint32(k)<<shift
		last := uint64(start) | (1<<shift - 1)
		if kid == nil || last < uint64(first) {
			continue
		}
		if !walk(kid, level-1, start, first, yield) {
			return false
		}
	}
	return true
}
