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
	l := loader{st: st, labels: make([]uint32, st.nextUser), children: map[uint32][]uint32{}}
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
	st     *state
	labels []uint32 // by user; each page of users writes its own part

	mu       sync.Mutex // guards what follows, and st
	users    filing
	groups   filing
	children map[uint32][]uint32
}

// value decodes outside the lock and stores inside it.
func (l *loader) value(key, value []byte) error {
	kind, n, hi, isShard, err := parseKey(key)
	if err == nil {
		switch kind {
		case keyDirectories:
			err = l.directory(value)
		case keyUsers:
			err = l.page(&l.st.users, &l.users, n, value, l.label)
		case keyGroups:
			err = l.page(&l.st.group, &l.groups, n, value, nil)
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

// page takes a page of records into a roll.
func (l *loader) page(r *roll, to *filing, page uint32, value []byte, label func(n, label uint32) error) error {
	var found [recordPageSize]card
	var refs [recordPageSize]*card
	first := page * recordPageSize
	err := eachRecord(string(value), label != nil, func(k, lab uint32, rec string) (err error) {
		if found[k], err = cardOf(rec); err != nil {
			return err
		}
		refs[k] = &found[k]
		if label != nil {
			err = label(first+k, lab)
		}
		return err
	})
	if err != nil {
		return err
	}
	var f filing
	cards := r.encode(first, &refs, &f)
	l.mu.Lock()
	defer l.mu.Unlock()
	r.pages.Set(l.st.own, page, cards)
	to.names = append(to.names, f.names...)
	to.ids = append(to.ids, f.ids...)
	to.uids = append(to.uids, f.uids...)
	return nil
}

// label notes a user's place in the order of names.
func (l *loader) label(n, label uint32) error {
	if n >= l.st.nextUser {
		return fmt.Errorf("user %d has a number that was never given: %w", n, errMalformed)
	}
	l.labels[n] = label
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
	st.users.adopt(st.own, &l.users)
	st.group.adopt(st.own, &l.groups)
	for n := range st.group.all() {
		ref := st.sets.Ref(st.own, n)
		if ref.flags&slotLive == 0 {
			return fmt.Errorf("group %d has no set: %w", n, errMalformed)
		}
		ref.flags |= slotListed
	}
	if err := st.checkShards(); err != nil {
		return err
	}
	var wg sync.WaitGroup
	var named error
	wg.Go(func() { named = st.names.load(st.own, l.labels) })
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
