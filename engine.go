package roster

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/rosterdb/roster/store"
)

// Engine is the whole program in one type. Everything that holds users is a
// set, every change is a record in a log, and everything else is derived from
// the log:
//
//	Update ─► the closure checks and edits the head, the newest state
//	       ─► what it changed becomes one record; everyone waiting shares one
//	          frame of the log: one write, one flush to disk
//	       ─► the head, frozen, is published: one atomic pointer
//	       ─► callers return
//	       … later, in the background: the log is folded into Badger
//
// A View reads the published state of the moment it began, without a lock and
// without waiting for anyone. Nothing is visible before it is durable, and what
// is durable is visible to the next View.
//
// An Engine is safe for use by any number of goroutines.
type Engine struct {
	opts  Options
	store *store.Store
	cache effectiveCache

	folded    folded
	delegates delegateCache

	// now is the newest durable state. Readers load it and are done.
	now atomic.Pointer[state]

	// turn is the right to edit the head: one closure, or one seal of a batch,
	// at a time, in the order of asking. It is a channel so that waiting for it
	// can be given up with a context.
	turn   chan struct{}
	head   *state // guarded by turn
	turns  atomic.Uint64
	commit committer
	folder folder
	search searcher
	views  views

	advanced broadcast // told after every publish
	closing  sync.Once
	closeErr error
}

// Open opens the engine in the folder dir, and makes an empty one if dir is
// missing or empty. It returns ErrLocked while another process has it open,
// ErrNotStore for a folder that holds something else, ErrNewerFormat for one
// that a later version wrote, and a *CorruptError when what it holds is not
// what was written and cannot be made good from the rest.
func Open(dir string, o Options) (*Engine, error) {
	o = o.withDefaults()
	s, err := store.Open(dir, o.store())
	if err != nil {
		return nil, err
	}
	head, folded, err := load(s, o.MaxNesting)
	if err != nil {
		s.Close()
		return nil, err
	}
	e := &Engine{opts: o, store: s, head: head, turn: make(chan struct{}, 1)}
	e.folded.init(s)
	e.cache.init(o.CacheBytes)
	e.views.init()
	e.now.Store(head.freeze())
	e.commit.init()
	if !o.ReadOnly {
		e.folder.start(e)
	}
	e.search.start(e, dir, folded)
	return e, nil
}

// Close waits for updates and views that have begun, folds the log if that is
// worth while, and closes the files. Afterwards every call that can fails with
// ErrClosed; Check and CheckMany go on answering from the last state. Close may
// be called more than once, but not from within a View or an Update. ErrDiskFull
// from it says that there was no room to tidy up: nothing is lost, the next Open
// needs that room instead.
func (e *Engine) Close() error {
	e.closing.Do(func() {
		e.views.close() // whoever gets the turn from now on finds the engine closed
		e.folder.stop()
		e.search.stop()
		e.turn <- struct{}{} // the last closure has ended
		e.release()
		e.commit.drain()
		e.views.wait()
		if !e.opts.ReadOnly && e.commit.failure() == nil && e.store.JournalBytes() > foldOnClose {
			e.closeErr = e.foldHead(context.Background())
		}
		if err := e.store.Close(); e.closeErr == nil {
			e.closeErr = err
		}
		e.advanced.tell()
	})
	return e.closeErr
}

// foldOnClose is the length of log, in bytes, above which Close folds: replaying
// less takes the next Open about as long as opening Badger does.
const foldOnClose = 4 << 20

// View calls fn with a transaction that reads one revision, the newest durable
// one, however long fn takes. It takes no lock and waits for no writer. The
// transaction must not be used after fn has returned; sets that it gave out
// may. View returns fn's error.
func (e *Engine) View(ctx context.Context, fn func(*Txn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	since := e.search.position() // before the state, so that it is not newer
	st, err := e.views.open(&e.now)
	if err != nil {
		return err
	}
	defer e.views.done(st)
	tx := &Txn{e: e, st: st, ctx: ctx, since: since}
	defer tx.end()
	return fn(tx)
}

// Revision returns the newest durable revision.
func (e *Engine) Revision() Revision { return e.now.Load().rev }

// Check reports whether user is a member of group, directly or through nested
// groups, as of the newest revision. It is false when either does not exist. It
// takes one atomic load, no lock, and allocates nothing.
func (e *Engine) Check(user UserID, group GroupID) bool {
	return e.now.Load().checkGroup(uint32(user), uint32(group))
}

// Membership names a user and a group.
type Membership struct {
	User  UserID
	Group GroupID
}

// CheckMany answers Check for each pair, all as of one revision: answers[i]
// belongs to pairs[i]. It panics if answers is shorter than pairs.
func (e *Engine) CheckMany(pairs []Membership, answers []bool) {
	st := e.now.Load()
	answers = answers[:len(pairs)]
	for i, p := range pairs {
		answers[i] = st.checkGroup(uint32(p.User), uint32(p.Group))
	}
}

// CheckName is Check for references as FindUser and FindGroup take them, with
// their errors.
func (e *Engine) CheckName(user, group string) (bool, error) {
	st := e.now.Load()
	if u, g, ok := st.pairNamed(user, group); ok {
		return st.checkGroup(u, g), nil
	}
	u, err := st.findUser(user)
	if err != nil {
		return false, err
	}
	g, err := st.findGroup(group)
	if err != nil {
		return false, err
	}
	return st.checkGroup(u, g), nil
}

// Wait returns when the engine has reached the revision, or with ctx's error or
// ErrClosed.
func (e *Engine) Wait(ctx context.Context, rev Revision) error {
	for {
		told := e.advanced.next()
		if e.Revision() >= rev {
			return nil
		}
		if e.views.isClosed() {
			return ErrClosed
		}
		select {
		case <-told:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// broadcast wakes everyone who waits for the next event.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{} // nil while nobody waits; closed by tell
}

func (b *broadcast) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *broadcast) tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}

// views counts the open views by the fold that they read from, so that Badger
// keeps what they need and Close can wait for them.
type views struct {
	mu     sync.Mutex
	idle   sync.Cond      // told when a view ends
	closed bool           // guarded by mu
	bases  map[uint64]int // guarded by mu: number of open views of each base
}

func (v *views) init() {
	v.idle.L = &v.mu
	v.bases = map[uint64]int{}
}

// open registers a view before it reads the pointer, so that nothing the state
// needs is discarded in between.
func (v *views) open(now *atomic.Pointer[state]) (*state, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, ErrClosed
	}
	st := now.Load()
	v.bases[st.base]++
	return st, nil
}

func (v *views) done(st *state) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.bases[st.base]--; v.bases[st.base] == 0 {
		delete(v.bases, st.base)
	}
	v.idle.Broadcast()
}

// oldest returns the lowest fold that an open view, or one that opens now, reads.
func (v *views) oldest(now *atomic.Pointer[state]) uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	base := now.Load().base
	for b := range v.bases {
		base = min(base, b)
	}
	return base
}

func (v *views) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
}

func (v *views) isClosed() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.closed
}

func (v *views) wait() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for len(v.bases) > 0 {
		v.idle.Wait()
	}
}
