package roster

import (
	"sync/atomic"

	"github.com/rosterdb/roster/store"
)

// WithFS returns o with the engine's own files in files. Badger's stay with the
// operating system.
func WithFS(o Options, files store.FS) Options {
	o.fs = files
	return o
}

// WithIndexAbove returns o with a search index from n users on.
func WithIndexAbove(o Options, n int) Options {
	o.indexAbove = n
	return o
}

// WithIndexAlways returns o with a search index that is asked about any number of
// users.
func WithIndexAlways(o Options) Options {
	o.indexAbove, o.indexAlways = 1, true
	return o
}

// SearchedTo returns the revision that the search index is of, and whether there
// is one.
func SearchedTo(e *Engine) (Revision, bool) {
	x := e.search.acquire()
	if x == nil {
		return 0, false
	}
	defer x.release()
	return x.rev, true
}

// SetRecordPlaces makes room for n records that are kept once they were read.
func SetRecordPlaces(e *Engine, n int) { e.folded.slots = make([]atomic.Pointer[keptRecord], n) }

// KeptFolds returns of how many folds records are kept.
func KeptFolds(e *Engine) int {
	bases := map[uint64]bool{}
	for i := range e.folded.slots {
		if kept := e.folded.slots[i].Load(); kept != nil {
			bases[kept.base] = true
		}
	}
	return len(bases)
}
