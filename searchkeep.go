package roster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/rosterdb/roster/internal/match"
	"github.com/rosterdb/roster/internal/radix"
	"github.com/rosterdb/roster/internal/textindex"
	"github.com/rosterdb/roster/store"
)

// keeper has the search index open.
type keeper struct {
	s     *searcher
	index *textindex.Index
	rev   Revision // the index has all edits up to it
	from  *edit    // not newer than rev
	also  []uint32 // users edited before from that the index has not
	noted Revision // the revision that the index was last given to store
	texts textKeeper

	sweep   int // how often the note is to be written again, for Bleve to remove what it has merged
	unsaved int // users put into it since it last wrote everything
}

// settlePatience is how long closing waits for Bleve to write what it has in
// memory. The log has it too, but a process that is short-lived every time would
// never get an index.
const settlePatience = 500 * time.Millisecond

func (k *keeper) close() error {
	k.index.Settle(context.Background(), settlePatience)
	return k.shut()
}

func (k *keeper) shut() error {
	err := k.index.Close()
	if errors.Is(err, textindex.ErrStuck) {
		k.s.stuck = k.index
	}
	return err
}

// noteVersion is that of what is put into the index. With another one, an index
// is built anew.
const noteVersion = 1

// complete is what next is once everybody is in the index.
const complete = 1<<32 - 1

// noteOf returns what is stored with the index: of which store it is, made how,
// the revision up to which it has all edits, and, while it is being built, the
// first user who is not in it.
func (s *searcher) noteOf(rev Revision, next uint32) []byte {
	b := s.identity()
	b = binary.BigEndian.AppendUint64(b, uint64(rev))
	return binary.BigEndian.AppendUint32(b, next)
}

func (s *searcher) identity() []byte {
	uuid := s.e.store.UUID()
	attributes := slices.Clone(s.e.opts.SearchAttributes)
	for i := range attributes {
		attributes[i] = strings.ToLower(attributes[i])
	}
	slices.Sort(attributes)
	b := append([]byte{noteVersion}, uuid[:]...)
	made := append(attributes, unicode.Version, norm.Version, cases.UnicodeVersion) // what folding depends on
	return binary.BigEndian.AppendUint64(b, xxhash.Sum64String(strings.Join(made, "\x00")))
}

// readNote is the reverse of noteOf. It is false for an index of something else.
func (s *searcher) readNote(note []byte) (rev Revision, next uint32, ok bool) {
	id := s.identity()
	if len(note) != len(id)+12 || string(note[:len(id)]) != string(id) {
		return 0, 0, false
	}
	rev = Revision(binary.BigEndian.Uint64(note[len(id):]))
	return rev, binary.BigEndian.Uint32(note[len(id)+8:]), rev <= s.e.Revision()
}

// open opens the index, goes on with one that was being built, or creates one in
// the place of one that is of no use. It leaves alone what it may not read, and
// what is in use.
func (s *searcher) open(ctx context.Context) (*keeper, error) {
	k := &keeper{s: s, from: s.at.Load(), texts: textKeeper{own: new(radix.Owner), limit: s.e.opts.SearchTextBytes}}
	if s.stuck != nil {
		select {
		case <-s.stuck.Closed():
			s.stuck = nil
		default:
			return nil, textindex.ErrStuck
		}
	}
	next, err := k.openOld()
	if err == nil || useless(err) {
		s.odd = 0
	} else if s.odd++; s.odd <= oddTries {
		return nil, err
	}
	if s.e.opts.ReadOnly || errors.Is(err, fs.ErrPermission) || errors.Is(err, textindex.ErrStuck) || errors.Is(err, textindex.ErrInUse) {
		if err == nil && next != complete {
			err = errors.Join(fmt.Errorf("search index: %w", textindex.ErrMissing), k.shut())
		}
		return k, err
	}
	if err != nil {
		if s.e.opts.Logger != nil && !errors.Is(err, textindex.ErrMissing) {
			s.e.opts.Logger.Warn("roster: the search index is built anew", "error", err)
		}
		if k.index, err = textindex.Create(s.dir); err != nil {
			return nil, err
		}
		next, k.also = 0, nil
	}
	if next != complete {
		if err := k.build(ctx, next); err != nil {
			return nil, errors.Join(err, k.close())
		}
	}
	return k, nil
}

// oddTries is how often an index is tried again that cannot be opened for a reason
// that may pass, too many open files perhaps, before it is built anew.
const oddTries = 3

// useless reports whether an error says that an index is of no use.
func useless(err error) bool {
	return errors.Is(err, textindex.ErrMissing) || errors.Is(err, textindex.ErrDamaged) || errors.Is(err, ErrTrimmed)
}

// openOld opens an index that is there, and returns the first user who is not in
// it.
func (k *keeper) openOld() (next uint32, err error) {
	index, note, err := textindex.Open(k.s.dir, k.s.e.opts.ReadOnly)
	if err != nil {
		return 0, err
	}
	k.index = index
	var ok bool
	if k.rev, next, ok = k.s.readNote(note); !ok {
		err = fmt.Errorf("it is not of this store: %w", textindex.ErrDamaged)
	}
	if err == nil {
		k.noted = k.rev
		k.also, err = k.s.editedBefore(k.from.rev, k.rev)
	}
	if err == nil {
		err = k.compare(next)
	}
	if err != nil {
		return 0, errors.Join(err, k.shut())
	}
	return next, nil
}

// editedBefore returns from the log the users who were edited after one revision
// and up to another.
func (s *searcher) editedBefore(until, after Revision) (users []uint32, err error) {
	if after >= until {
		return nil, nil
	}
	for rec, err := range s.e.store.Replay(uint64(after) + 1) {
		if err != nil {
			return nil, err
		}
		if Revision(rec.Revision) > until {
			break
		}
		_, ops, err := decodeRecord(rec.Data)
		if err != nil {
			return nil, err
		}
		users = editedBy(users, ops)
	}
	return ascending(users), nil
}

// compare holds the users in the index, below next, to those that there are. So
// damage is found to what no checksum covers, the lists of documents that count
// no more.
func (k *keeper) compare(next uint32) error {
	st, err := k.s.e.views.open(&k.s.e.now)
	if err != nil {
		return err
	}
	defer k.s.e.views.done(st)
	s, err := k.index.Snapshot()
	if err != nil {
		return err
	}
	defer s.Release()
	n := int(st.nextUser>>16+1) << 10
	all := st.direct(setAll)
	want, have := all.fillBits(n), emptyBits(n)
	defer bitArrays.Put(want)
	defer bitArrays.Put(have)
	if err := s.Live(*have); err != nil {
		return err
	}
	edited, _ := k.from.usersUntil(st.rev)
	for _, u := range slices.Concat(edited, k.also) {
		if int(u>>6) < n {
			(*have)[u>>6] &^= 1 << (u & 63)
			(*want)[u>>6] &^= 1 << (u & 63)
		}
	}
	for i, w := range *want {
		if uint32(i) == next>>6 {
			w &= 1<<(next&63) - 1
		} else if uint32(i) > next>>6 {
			w = 0
		}
		if (*have)[i] != w {
			return fmt.Errorf("it has other users than there are: %w", textindex.ErrDamaged)
		}
	}
	return nil
}

// Sizes of what is put into the index at once.
const (
	buildBatch = 4000 // while it is built; Close waits for one
	editBatch  = 1000
)

// build puts all users from next on into the index.
func (k *keeper) build(ctx context.Context, next uint32) error {
	s := k.s
	for begun := next > 0; ; begun = true {
		st, err := s.e.views.open(&s.e.now)
		if err != nil {
			return err
		}
		if !begun {
			_, k.from = k.from.usersUntil(st.rev)
			k.rev = st.rev
		}
		var users []uint32
		for ; next < st.nextUser && len(users) < buildBatch; next++ {
			if st.users.has(next) {
				users = append(users, next)
			}
		}
		if next == st.nextUser {
			next = complete
		}
		docs, err := k.documents(ctx, st, users)
		s.e.views.done(st)
		if err == nil {
			err = k.apply(ctx, docs, k.rev, next)
		}
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.stats = searchStats{users: s.stats.users + len(docs), busy: true}
		s.mu.Unlock()
		if next == complete {
			return nil
		}
	}
}

// maxUnsaved is how many users are put into the index before it is waited until
// Bleve has written them: what is not in files is in memory.
const maxUnsaved = 2 * buildBatch

// apply puts documents into the index, with the revision up to which it has all
// edits then.
func (k *keeper) apply(ctx context.Context, docs []textindex.Document, rev Revision, next uint32) error {
	if k.unsaved > maxUnsaved {
		if err := k.index.Settle(ctx, time.Minute); err != nil {
			return err
		}
		k.unsaved = 0
	}
	if err := k.index.Apply(docs, k.s.noteOf(rev, next)); err != nil {
		return err
	}
	k.unsaved += len(docs)
	k.noted = rev
	return nil
}

// documents returns what the index is to hold of users, ascending; those who do
// not exist are gone. It has their texts kept, too.
func (k *keeper) documents(ctx context.Context, st *state, users []uint32) ([]textindex.Document, error) {
	docs := make([]textindex.Document, len(users))
	kept := make([]userText, len(users))
	err := k.read(ctx, st, users, func(i int, user *match.User) {
		docs[i].Number, kept[i].user = users[i], users[i]
		if docs[i].Gone = user == nil; !docs[i].Gone {
			docs[i].Grams, docs[i].Words = distinct(user.Grams), distinct(user.Words)
			kept[i] = textOf(users[i], user)
		}
	})
	if k.texts.begun && err == nil {
		k.texts.put(kept)
	}
	return docs, err
}

// read calls fn with what is searched of users, nil for those who do not exist.
func (k *keeper) read(ctx context.Context, st *state, users []uint32, fn func(i int, user *match.User)) error {
	r := recordReader{st: st, folded: &k.s.e.folded, attributes: k.s.e.opts.SearchAttributes}
	for i, u := range users {
		if !st.users.has(u) {
			fn(i, nil)
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		user, err := r.read(u)
		if err != nil {
			return fmt.Errorf("%v: %w", UserID(u), err)
		}
		fn(i, user)
	}
	return nil
}

// keepTexts puts the texts of some more users, as of the revision of the index.
func (k *keeper) keepTexts(ctx context.Context, st *state) error {
	if !k.texts.begun || k.texts.full || k.texts.whole {
		return nil
	}
	var users []uint32
	for ; k.texts.next < st.nextUser && len(users) < buildBatch; k.texts.next++ {
		if st.users.has(k.texts.next) {
			users = append(users, k.texts.next)
		}
	}
	kept := make([]userText, len(users))
	err := k.read(ctx, st, users, func(i int, user *match.User) { kept[i] = textOf(users[i], user) })
	if err != nil {
		return err
	}
	k.texts.put(kept)
	k.texts.whole = k.texts.next == st.nextUser // those who come now are edits
	return nil
}

// distinct gathers what a function yields, without repeats. The strings are
// copies: parts of a longer one would keep it alive.
func distinct(each func(yield func(string))) []string {
	var out []string
	seen := map[string]struct{}{}
	each(func(s string) {
		if _, ok := seen[s]; !ok {
			s = strings.Clone(s)
			seen[s] = struct{}{}
			out = append(out, s)
		}
	})
	return out
}

// advance brings the index up to the newest revision and publishes it.
func (k *keeper) advance(ctx context.Context) error {
	st, err := k.s.e.views.open(&k.s.e.now)
	if err != nil {
		return err
	}
	defer k.s.e.views.done(st)
	if !k.s.e.opts.ReadOnly {
		err = k.catchUp(ctx, st)
	}
	if err == nil {
		err = k.keepTexts(ctx, st)
	}
	if err != nil {
		return err
	}
	return k.publish()
}

// catchUp brings the index up to a state.
func (k *keeper) catchUp(ctx context.Context, st *state) error {
	users, last := k.from.usersUntil(st.rev)
	users = ascending(append(users, k.also...))
	for len(users) > 0 {
		n := min(len(users), editBatch)
		docs, err := k.documents(ctx, st, users[:n])
		if err != nil {
			return err
		}
		rev := k.rev
		if users = users[n:]; len(users) == 0 {
			rev = st.rev
		}
		if err := k.apply(ctx, docs, rev, complete); err != nil {
			return err
		}
	}
	k.rev, k.from, k.also = st.rev, last, nil
	return k.note(ctx, false)
}

// note stores anew of which revision the index is. That must not fall behind
// only because no user was edited: the log is cut behind folds.
func (k *keeper) note(ctx context.Context, always bool) error {
	if !always && Revision(k.s.e.store.Applied()) <= k.noted {
		return nil
	}
	return k.apply(ctx, nil, k.rev, complete)
}

// publish has searches use the index as it is now.
func (k *keeper) publish() error {
	snapshot, err := k.index.Snapshot()
	if err != nil {
		return err
	}
	if !k.s.e.opts.ReadOnly && snapshot.Segments() > mergeAbove && snapshot.Spread() >= snapshot.Len()/mergeShare && k.room() {
		k.index.Merge()
		k.sweep = 2 // Bleve removes files when it writes, and those that we have let go of by then
	}
	k.s.publish(&indexed{snapshot: snapshot, texts: k.texts.snapshot(), rev: k.rev, from: k.from, also: k.also}, k.texts.bytes, k.busy() || k.index.Merging())
	return nil
}

// room reports whether there is room on disk for everything to be written again,
// and for a fold at the same time: Badger maps what it writes, so the index must
// not take what a fold counts on.
func (k *keeper) room() bool {
	free, err := store.OS{}.Free(k.s.dir)
	return err == nil && free >= 2*textindex.Bytes(k.s.dir)+4*k.s.e.opts.FoldBytes
}

// All segments are merged into one when there are more than mergeAbove and one
// user in mergeShare stands outside of the largest: often enough for searches to
// look into few, seldom enough for an edit to cost the writing of no more than
// some users.
const (
	mergeAbove = 4
	mergeShare = 4
)

// busy reports whether there is work at hand that is not an edit.
func (k *keeper) busy() bool {
	if !k.texts.begun && k.s.asked.Load() && k.texts.limit > 0 {
		k.texts.begun = true
	}
	return k.texts.begun && !k.texts.full && !k.texts.whole
}

// tidy is called from time to time.
func (k *keeper) tidy(ctx context.Context) error {
	if err := k.index.Failed(); err != nil || k.s.e.opts.ReadOnly {
		return err
	}
	sweep := k.sweep > 0 && !k.index.Merging()
	if sweep {
		k.sweep--
	}
	if err := k.note(ctx, sweep); err != nil {
		return err
	}
	return k.publish() // Bleve may have merged segments, and keeps the old ones for us
}
