package roster

import (
	"errors"
	"fmt"
	"hash/maphash"
	"runtime"
	"slices"
	"sync"

	"github.com/rosterdb/roster/internal/idlist"
	"github.com/rosterdb/roster/store"
)

// load makes the head of what a store holds: the state as it was folded, then
// everything that the log has since.
func load(s *store.Store, maxNesting int) (*state, error) {
	st := newHead(maphash.MakeSeed(), noLimit)
	st.rev = Revision(s.Applied())
	st.base = s.Applied()
	if err := st.decodeMeta(s.Meta()); err != nil {
		return nil, err
	}
	l := loader{st: st, children: map[uint32][]uint32{}}
	l.users.given, l.groups.given = st.nextUser, st.nextSet
	if err := s.Load(runtime.GOMAXPROCS(0), l.value); err != nil {
		return nil, err
	}
	if err := l.finish(); err != nil {
		return nil, err
	}
	for rec, err := range s.Replay(s.Applied() + 1) {
		if err != nil {
			return nil, err
		}
		if err := st.replay(Revision(rec.Revision), rec.Data); err != nil {
			return nil, err
		}
	}
	// The limit binds those who nest. What is stored stays readable when the
	// option is lowered.
	if err := st.settle(); err != nil {
		return nil, err
	}
	st.limit = max(maxNesting, st.nest.pairs)
	return st, nil
}

const noLimit = 1 << 60

// loader takes folded values in any order, from several goroutines.
type loader struct {
	st *state

	mu       sync.Mutex // guards what follows, and st
	users    gathered
	groups   gathered
	children map[uint32][]uint32
}

// gathered is what is gathered of a register beside its cards.
type gathered struct {
	filing
	given  uint32 // numbers from here on were never given
	labels []labelPage
}

type labelPage struct {
	page   uint32
	labels [recordPageSize]uint32
}

// byNumber returns the label of every number up to the highest that has one.
func (g *gathered) byNumber() []uint32 {
	pages := uint32(0)
	for _, p := range g.labels {
		pages = max(pages, p.page+1)
	}
	labels := make([]uint32, uint64(pages)*recordPageSize)
	for _, p := range g.labels {
		copy(labels[uint64(p.page)*recordPageSize:], p.labels[:])
	}
	return labels
}

// value decodes outside the lock and stores inside it.
func (l *loader) value(key, value []byte) error {
	kind, n, hi, isShard, err := parseKey(key)
	if err == nil {
		switch kind {
		case keyDirectories:
			err = l.directory(value)
		case keyUsers:
			err = l.page(&l.st.users, &l.users, n, value)
		case keyGroups:
			err = l.page(&l.st.groups, &l.groups, n, value)
		case keySets:
			if isShard {
				err = l.shard(shardKey{n, hi}, value)
			} else {
				err = l.head(n, value)
			}
		case keyNests:
			err = l.nest(n, value)
		default:
			err = ErrNewerFormat
		}
	}
	if err != nil {
		return fmt.Errorf("value of key %x: %w", key, err)
	}
	return nil
}

func (l *loader) directory(value []byte) error {
	if len(value) == 0 {
		return nil
	}
	d, set, err := decodeDirectory(string(value))
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.st.dirs = append(l.st.dirs, dirEntry{Directory: d, folded: fold(d.Name), set: set})
	return nil
}

// page takes a page of records into a register.
func (l *loader) page(g *register, to *gathered, page uint32, value []byte) error {
	var found [recordPageSize]card
	var refs [recordPageSize]*card
	if len(value) == 0 {
		return nil // all of them are gone, or were never more than tried
	}
	if page > to.given/recordPageSize {
		return fmt.Errorf("page %d of numbers that were never given: %w", page, errMalformed)
	}
	first := page * recordPageSize
	at := labelPage{page: page}
	err := eachRecord(string(value), func(k, label uint32, rec string) (err error) {
		if first+k >= to.given {
			return fmt.Errorf("record of number %d, which was never given: %w", first+k, errMalformed)
		}
		refs[k] = &found[k]
		at.labels[k] = label
		found[k], err = cardOf(rec)
		return err
	})
	if err != nil {
		return err
	}
	var f filing
	cards := g.encode(first, &refs, &f)
	l.mu.Lock()
	defer l.mu.Unlock()
	g.pages.Set(l.st.own, page, cards)
	to.labels = append(to.labels, at)
	to.names = append(to.names, f.names...)
	to.ids = append(to.ids, f.ids...)
	to.uids = append(to.uids, f.uids...)
	return nil
}

func (l *loader) head(set uint32, value []byte) error {
	s, err := decodeHead(string(value))
	if err != nil || s.flags == 0 {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	ref := l.st.sets.Ref(l.st.own, set)
	s.big = ref.big // shards that came before the head
	*ref = s
	return nil
}

func (l *loader) shard(k shardKey, value []byte) error {
	b, err := decodeShard(value)
	if err != nil || b == nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.st.sets.Ref(l.st.own, k.set).big.Set(l.st.own, k.hi, b)
	return nil
}

func (l *loader) nest(set uint32, value []byte) error {
	if _, err := idlist.Check(string(value)); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.children[set] = idlist.Decode(nil, string(value))
	return nil
}

// finish derives what is not stored.
func (l *loader) finish() error {
	st := l.st
	slices.SortFunc(st.dirs, func(a, b dirEntry) int { return int(int64(a.ID) - int64(b.ID)) })
	st.users.adopt(st.own, &l.users.filing)
	st.groups.adopt(st.own, &l.groups.filing)
	for n := range st.groups.all() {
		ref := st.sets.Ref(st.own, n)
		if ref.flags&slotLive == 0 {
			return fmt.Errorf("group %d has no set: %w", n, errMalformed)
		}
		ref.flags |= slotListed
	}
	if err := st.checkShards(); err != nil {
		return err
	}
	users := l.users.byNumber()
	var wg sync.WaitGroup
	var ordered, derived error
	wg.Go(func() {
		ordered = errors.Join(st.users.byName.load(st.own, users), st.groups.byName.load(st.own, l.groups.byNumber()))
	})
	wg.Go(func() { derived = st.derive(st.own, uint32(len(users))) })
	wg.Wait()
	if err := errors.Join(ordered, derived); err != nil {
		return err
	}
	for parent, children := range l.children {
		for _, child := range children {
			st.link(st.own, parent, child)
		}
	}
	st.recent = recent{} // loading is no change
	if n := st.len(setAll); n != st.users.len() {
		return fmt.Errorf("%d users and %d records of users: %w", n, st.users.len(), errMalformed)
	}
	return nil
}

// checkShards holds the shards of each large set to the count in its head, and
// makes sure that no other set has any.
func (st *state) checkShards() error {
	var errs []error
	for set, s := range st.sets.All() {
		n := shardsOf(s.big).n
		switch {
		case s.flags&slotLarge != 0 && n != int(s.n):
			errs = append(errs, fmt.Errorf("set %d has %d members in its shards, not %d: %w", set, n, s.n, errMalformed))
		case s.flags&slotLarge == 0 && n > 0:
			errs = append(errs, fmt.Errorf("set %d is small and has shards: %w", set, errMalformed))
		}
	}
	return errors.Join(errs...)
}
