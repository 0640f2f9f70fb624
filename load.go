package roster

import (
	"errors"
	"fmt"
	"hash/maphash"
	"runtime"
	"slices"
	"strings"
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
	mu       sync.Mutex
	st       *state
	users    []loadedPage // by page
	groups   []loadedPage
	children map[uint32][]uint32
}

type loadedPage struct {
	page  uint32
	cards []loadedCard
}

type loadedCard struct {
	n, label uint32
	card
}

// value decodes outside the lock and stores inside it.
func (l *loader) value(key, value []byte) error {
	kind, n, hi, isShard, err := parseKey(key)
	if err == nil {
		switch kind {
		case keyDirectories:
			err = l.directory(value)
		case keyUsers:
			err = l.page(&l.users, n, value, true)
		case keyGroups:
			err = l.page(&l.groups, n, value, false)
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

func (l *loader) page(to *[]loadedPage, page uint32, value []byte, labelled bool) error {
	p := loadedPage{page: page}
	err := eachRecord(string(value), labelled, func(k, label uint32, rec string) error {
		c, err := cardOf(rec)
		c.name, c.folded, c.uid = strings.Clone(c.name), strings.Clone(c.folded), strings.Clone(c.uid)
		p.cards = append(p.cards, loadedCard{page*recordPageSize + k, label, c})
		return err
	})
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	*to = append(*to, p)
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
	for _, p := range l.users {
		if c := p.cards; len(c) > 0 && c[len(c)-1].n >= st.nextUser {
			return fmt.Errorf("user %d has a number that was never given: %w", c[len(c)-1].n, errMalformed)
		}
	}
	byPage := func(a, b loadedPage) int { return int(int64(a.page) - int64(b.page)) }
	slices.SortFunc(l.users, byPage)
	slices.SortFunc(l.groups, byPage)
	st.users.load(st.own, cardsIn(l.users))
	st.group.load(st.own, cardsIn(l.groups))
	for _, p := range l.groups {
		for _, c := range p.cards {
			ref := st.sets.Ref(st.own, c.n)
			if ref.flags&slotLive == 0 {
				return fmt.Errorf("group %d has no set: %w", c.n, errMalformed)
			}
			ref.flags |= slotListed
		}
	}
	if err := st.checkShards(); err != nil {
		return err
	}
	var wg sync.WaitGroup
	var named error
	wg.Go(func() { named = st.names.load(st.own, l.labels()) })
	wg.Go(func() { st.derive(st.own, st.nextUser) })
	wg.Wait()
	if named != nil {
		return named
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

// labels returns the order label of every user, by number.
func (l *loader) labels() []uint32 {
	labels := make([]uint32, l.st.nextUser)
	for _, p := range l.users {
		for _, c := range p.cards {
			labels[c.n] = c.label
		}
	}
	return labels
}

func cardsIn(pages []loadedPage) func(yield func(uint32, card) bool) {
	return func(yield func(uint32, card) bool) {
		for _, p := range pages {
			for i := range p.cards {
				if !yield(p.cards[i].n, p.cards[i].card) {
					return
				}
			}
		}
	}
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
