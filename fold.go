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
	for _, kind := range paged {
		now := r.of(kind)
		for n, rec := range old.of(kind).All() {
			if *rec != "" && now.Get(n) == "" {
				now.Set(st.own, n, *rec)
			}
		}
	}
	for t := range old.memberships.all() {
		if r.memberships.get(t.a, t.b) == "" {
			r.memberships.set(st.own, t.a, t.b, t.text)
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
	if err := each(d.admins, w.admins); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(d.dirs)) {
		if err := w.directory(id); err != nil {
			return err
		}
	}
	if err := w.pages(d, keyGroups, keyData); err != nil {
		return err
	}
	pages := slices.SortedFunc(maps.Keys(d.memberships), func(a, b pageOf) int {
		return cmp.Or(cmp.Compare(a.org, b.org), cmp.Compare(a.page, b.page))
	})
	for _, p := range pages {
		if err := w.memberships(p); err != nil {
			return err
		}
	}
	if err := each(d.nests, w.nest); err != nil {
		return err
	}
	if err := w.pages(d, keyOrganizations, keyRoles); err != nil {
		return err
	}
	w.shards = slices.SortedFunc(maps.Keys(d.shards), func(a, b shardKey) int {
		return cmp.Or(cmp.Compare(a.set, b.set), cmp.Compare(a.hi, b.hi))
	})
	if err := each(d.sets, w.set); err != nil {
		return err
	}
	return w.pages(d, keyUsers)
}

// each calls put for every number of a bitmap.
func each(of *roaring.Bitmap, put func(uint32) error) error {
	for it := of.Iterator(); it.HasNext(); {
		if err := put(it.Next()); err != nil {
			return err
		}
	}
	return nil
}

func (w *valueWriter) admins(group uint32) error {
	w.buf = w.buf[:0]
	if set := w.st.adminSet.Get(group); set != 0 {
		w.buf = idlist.AppendUvarint(w.buf, set)
	}
	return w.put(pageKey(keyAdmins, group), w.buf)
}

func (w *valueWriter) directory(id DirectoryID) error {
	var rec string
	if e := w.st.dir(id); e != nil {
		rec = encodeDirectory(&e.Directory, e.set)
	}
	return w.put(pageKey(keyDirectories, uint32(id)), []byte(rec))
}

// pages puts the pages of records that d marks.
func (w *valueWriter) pages(d *dirty, kinds ...byte) error {
	for _, kind := range kinds {
		reg, fresh, aged := w.st.register(kind), w.st.fresh.of(kind), w.st.aged.of(kind)
		p := recordPage{
			has:   reg.has,
			label: reg.byName.label,
			fresh: func(n uint32) string { return firstOf(fresh.Get(n), aged.Get(n)) },
		}
		err := each(d.records[kind], func(page uint32) error {
			p.key, p.first = pageKey(kind, page), page*recordPageSize
			return w.page(&p)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// memberships puts a page of the records of an organisation's memberships.
func (w *valueWriter) memberships(p pageOf) error {
	st := w.st
	return w.page(&recordPage{
		key: p.key(), first: p.page * recordPageSize,
		// The number of an organisation that was undone may be a group's by now.
		has:   func(u uint32) bool { return st.orgs.has(p.org) && st.contains(u, p.org) },
		label: func(uint32) uint32 { return 0 },
		fresh: func(u uint32) string {
			return firstOf(st.fresh.memberships.get(p.org, u), st.aged.memberships.get(p.org, u))
		},
	})
}

// recordPage says what goes into a page of records.
type recordPage struct {
	key   []byte
	first uint32                    // the number of the first record
	has   func(uint32) bool         // whether there is a record of that number
	label func(uint32) uint32       // its label in an order
	fresh func(uint32) (rec string) // the record if it changed since the fold before, else ""
}

// page puts a page of records: those that changed from memory, the others as
// they were at the fold before.
func (w *valueWriter) page(p *recordPage) error {
	var recs [recordPageSize]string
	missing := false
	for k := range recs {
		if n := p.first + uint32(k); p.has(n) {
			recs[k] = p.fresh(n)
			missing = missing || recs[k] == ""
		}
	}
	if missing {
		if err := w.fill(p, &recs); err != nil {
			return err
		}
	}
	w.buf = w.buf[:0]
	for k, rec := range recs {
		if rec != "" {
			w.buf = appendRecord(w.buf, uint32(k), p.label(p.first+uint32(k)), rec)
		}
	}
	return w.put(p.key, w.buf)
}

// fill reads from Badger the records of a page that are not in memory.
func (w *valueWriter) fill(p *recordPage, recs *[recordPageSize]string) error {
	err := w.s.Get(w.st.base, p.key, func(value []byte) error {
		return eachRecord(string(value), func(k, _ uint32, rec string) error {
			if recs[k] == "" && p.has(p.first+k) {
				recs[k] = rec
			}
			return nil
		})
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	for k, rec := range recs {
		if n := p.first + uint32(k); rec == "" && p.has(n) {
			return &CorruptError{Path: "state", What: fmt.Sprintf("record %d of key %x is missing at revision %d", n, p.key, w.st.base)}
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
	for _, kind := range paged {
		for n := range st.register(kind).all() {
			d.record(kind, n)
		}
	}
	for org := range st.orgs.all() {
		members := st.direct(org)
		for u := range members.all() {
			d.memberships[pageOf{org, u / recordPageSize}] = struct{}{}
		}
	}
	for set := range st.adminOf.All() {
		if g := st.adminOf.Get(set); g.group != 0 {
			d.admins.Add(g.group)
		}
	}
	for set, s := range st.sets.All() {
		if s.flags&slotLive == 0 {
			continue
		}
		d.sets.Add(set)
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
