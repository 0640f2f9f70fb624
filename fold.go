package roster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/rosterdb/roster/internal/idlist"
	"github.com/rosterdb/roster/internal/radix"
	"github.com/rosterdb/roster/store"
)

// folder writes the state into Badger from time to time, so that the log can be
// cut and opening stays quick. It has one goroutine.
type folder struct {
	work   chan struct{} // a token: there is enough log to fold
	stopit context.CancelFunc
	gone   chan struct{} // closed when the goroutine has ended
	busy   chan struct{} // a token held while folding: folds run one at a time
}

func (f *folder) start(e *Engine) {
	ctx, cancel := context.WithCancel(context.Background())
	f.work, f.gone = make(chan struct{}, 1), make(chan struct{})
	f.busy = make(chan struct{}, 1)
	f.stopit = cancel
	go f.loop(ctx, e)
}

func (f *folder) stop() {
	if f.stopit != nil {
		f.stopit()
		<-f.gone
		f.busy <- struct{}{} // a Fold that somebody else called has ended
		<-f.busy
	}
}

// wake asks for a fold soon.
func (f *folder) wake() {
	select {
	case f.work <- struct{}{}:
	default:
	}
}

func (f *folder) loop(ctx context.Context, e *Engine) {
	defer close(f.gone)
	var tick <-chan time.Time
	if e.opts.FoldEvery > 0 {
		t := time.NewTicker(e.opts.FoldEvery)
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.work:
		case <-tick:
		}
		// What fails here fails again at the next fold, and for good when the
		// log finds no more room: nothing is lost, and writers get the error.
		if err := e.Fold(ctx); err != nil && ctx.Err() == nil && e.opts.Logger != nil {
			e.opts.Logger.Error("roster: folding the log failed", "error", err)
		}
	}
}

// Fold writes everything that the log holds and Badger does not into Badger,
// and cuts the log. The engine does so by itself; see Options.FoldBytes. It
// waits for no view, and views and updates do not wait for it.
func (e *Engine) Fold(ctx context.Context) error {
	if e.opts.ReadOnly {
		return ErrReadOnly
	}
	select {
	case e.folder.busy <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-e.folder.busy }()
	if err := e.take(ctx); err != nil {
		return err
	}
	err := e.commit.failure() // the head then has what may not be durable
	if e.views.isClosed() {
		err = ErrClosed
	}
	if err != nil {
		e.release()
		return err
	}
	job := e.beginFold()
	b, lead := e.commit.join()
	e.release()
	if lead {
		e.flush(b)
	} else if b != nil {
		select {
		case <-b.done:
		case <-b.lead:
			e.flush(b)
		}
	}
	if b != nil {
		err = b.err
	}
	if err == nil && !job.empty() {
		err = job.write(e)
	}
	e.turn <- struct{}{}
	e.endFold(job, err == nil && !job.empty())
	e.release()
	return err
}

// foldHead is Fold for Close, which is alone by then.
func (e *Engine) foldHead(ctx context.Context) error {
	job := e.beginFold()
	if job.empty() {
		return nil
	}
	return job.write(e)
}

// foldJob is what one fold writes: a state, and what of it has changed since
// the fold before.
type foldJob struct {
	st    *state
	dirty *dirty
}

// empty reports whether Badger has all of it. Something may be marked as dirty
// all the same, by a closure that was undone.
func (job foldJob) empty() bool { return job.st.rev == Revision(job.st.base) }

// beginFold takes the head as it is, and starts to gather anew what changes.
// The records to be folded stay readable as aged ones.
func (e *Engine) beginFold() foldJob {
	head := e.head
	job := foldJob{dirty: head.dirty}
	head.arrange() // before dirty is taken: it may change labels
	head.dirty = newDirty()
	head.aged, head.fresh = head.fresh, records{}
	job.st = head.freeze()
	return job
}

// endFold drops the records that are in Badger now, or takes the job back.
func (e *Engine) endFold(job foldJob, written bool) {
	head := e.head
	if written {
		head.base = uint64(job.st.rev)
	} else {
		head.dirty.merge(job.dirty)
		head.fresh.under(head, head.aged)
	}
	head.aged = records{}
	if e.commit.settled() {
		e.now.Store(head.freeze())
	}
}

// under puts back records that are not in r.
func (r *records) under(st *state, old records) {
	for n, rec := range old.users.All() {
		if *rec != "" && r.users.Get(n) == "" {
			r.users.Set(st.own, n, *rec)
		}
	}
	for n, rec := range old.groups.All() {
		if *rec != "" && r.groups.Get(n) == "" {
			r.groups.Set(st.own, n, *rec)
		}
	}
}

// settled reports whether everything in the head is durable.
func (c *committer) settled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.batch.recs) == 0 && c.inflight == nil && c.failed == nil
}

func (job foldJob) write(e *Engine) error {
	st := job.st
	retain := uint64(st.rev)
	if keep := e.opts.RetainRevisions; keep < retain {
		retain -= keep
	} else {
		retain = 0
	}
	return e.store.Fold(uint64(st.rev), st.encodeMeta(), e.views.oldest(&e.now), retain, func(put func(key, value []byte) error) error {
		w := valueWriter{st: st, s: e.store, put: put}
		return w.write(job.dirty)
	})
}

// valueWriter turns a state into the keys and values of format.go.
type valueWriter struct {
	st  *state
	s   *store.Store // where unchanged records of a page are read
	put func(key, value []byte) error

	shards []shardKey // still to be put, ascending
	buf    []byte
}

// write puts everything that d marks, in ascending order of the keys: an empty
// store is filled with sorted tables that way, past Badger's own log.
func (w *valueWriter) write(d *dirty) error {
	for _, id := range slices.Sorted(maps.Keys(d.dirs)) {
		if err := w.directory(id); err != nil {
			return err
		}
	}
	w.shards = slices.SortedFunc(maps.Keys(d.shards), func(a, b shardKey) int {
		return cmp.Or(cmp.Compare(a.set, b.set), cmp.Compare(a.hi, b.hi))
	})
	for _, step := range []struct {
		of  *roaring.Bitmap
		put func(uint32) error
	}{{d.groups, w.groupPage}, {d.nests, w.nest}, {d.sets, w.set}, {d.users, w.userPage}} {
		for it := step.of.Iterator(); it.HasNext(); {
			if err := step.put(it.Next()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *valueWriter) directory(id DirectoryID) error {
	var rec string
	if e := w.st.dir(id); e != nil {
		rec = encodeDirectory(&e.Directory, e.set)
	}
	return w.put(pageKey(keyDirectories, uint32(id)), []byte(rec))
}

func (w *valueWriter) userPage(page uint32) error {
	return w.page(keyUsers, page, &w.st.users, &w.st.fresh.users, &w.st.aged.users)
}

func (w *valueWriter) groupPage(page uint32) error {
	return w.page(keyGroups, page, &w.st.groups, &w.st.fresh.groups, &w.st.aged.groups)
}

// page puts a page of records: those that changed from memory, the others as
// they were at the fold before.
func (w *valueWriter) page(kind byte, page uint32, g *register, fresh, aged *radix.Tree[string]) error {
	var recs [recordPageSize]string
	missing := false
	for k := range uint32(recordPageSize) {
		n := page*recordPageSize + k
		if g.has(n) {
			recs[k] = firstOf(fresh.Get(n), aged.Get(n))
			missing = missing || recs[k] == ""
		}
	}
	if missing {
		if err := w.fill(kind, page, &recs, g); err != nil {
			return err
		}
	}
	w.buf = w.buf[:0]
	for k, rec := range recs {
		if rec != "" {
			w.buf = appendRecord(w.buf, uint32(k), g.byName.label(page*recordPageSize+uint32(k)), rec)
		}
	}
	return w.put(pageKey(kind, page), w.buf)
}

// fill reads from Badger the records of a page that are not in memory.
func (w *valueWriter) fill(kind byte, page uint32, recs *[recordPageSize]string, g *register) error {
	err := w.s.Get(w.st.base, pageKey(kind, page), func(value []byte) error {
		return eachRecord(string(value), func(k, _ uint32, rec string) error {
			if recs[k] == "" && g.has(page*recordPageSize+k) {
				recs[k] = rec
			}
			return nil
		})
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	for k := range uint32(recordPageSize) {
		if n := page*recordPageSize + k; recs[k] == "" && g.has(n) {
			return &CorruptError{Path: "state", What: fmt.Sprintf("record %c%d is missing at revision %d", kind, n, w.st.base)}
		}
	}
	return nil
}

// set puts the head of a set and those of its shards that are marked. A shard is
// never marked without its set.
func (w *valueWriter) set(set uint32) error {
	if err := w.put(pageKey(keySets, set), encodeHead(w.st.sets.At(set))); err != nil {
		return err
	}
	for len(w.shards) > 0 && w.shards[0].set == set {
		if err := w.shard(w.shards[0]); err != nil {
			return err
		}
		w.shards = w.shards[1:]
	}
	return nil
}

func (w *valueWriter) nest(set uint32) error {
	w.buf = idlist.Append(w.buf[:0], w.st.nest.at(set).children)
	return w.put(pageKey(keyNests, set), w.buf)
}

func (w *valueWriter) shard(k shardKey) error {
	var b *roaring.Bitmap
	if s := w.st.sets.At(k.set); s != nil && s.flags&slotLarge != 0 {
		b = s.big.Get(k.hi)
	}
	value, err := encodeShard(b)
	if err != nil {
		return err
	}
	return w.put(k.key(), value)
}

// everything marks all that a state holds, for a backup or a first fold.
func (st *state) everything() *dirty {
	d := newDirty()
	for i := range st.dirs {
		d.dirs[st.dirs[i].ID] = struct{}{}
	}
	all := st.direct(setAll)
	for u := range all.all() {
		d.users.Add(u / recordPageSize)
	}
	for set, s := range st.sets.All() {
		if s.flags&slotLive == 0 {
			continue
		}
		d.sets.Add(set)
		if s.flags&slotListed != 0 {
			d.groups.Add(set / recordPageSize)
		}
		for hi, b := range s.big.All() {
			if *b != nil {
				d.shards[shardKey{set, hi}] = struct{}{}
			}
		}
		if len(st.nest.at(set).children) > 0 {
			d.nests.Add(set)
		}
	}
	return d
}
