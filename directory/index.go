package directory

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/text"
)

// keyIndex finds the user of a key. It is derived from the attributes of all
// users of the directory when it is first needed, and then from the log. An
// answer is checked against the record, so what the index does not know yet is
// at worst not found.
type keyIndex struct {
	mu    sync.Mutex
	ready bool                     // guarded by mu
	dir   roster.DirectoryID       // guarded by mu
	rev   roster.Revision          // guarded by mu: what it is of
	at    map[hashed]roster.UserID // guarded by mu
}

// farBehind is the number of revisions that cost as much to follow as some tens of
// thousands of records to read.
const farBehind = 10_000

// catchUp brings the index to the newest revision.
func (x *keyIndex) catchUp(ctx context.Context, e *roster.Engine, directory string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	newest := e.Revision()
	if x.ready && newest == x.rev {
		return nil
	}
	if x.ready && newest-x.rev < farBehind {
		err := x.follow(ctx, e)
		if !errors.Is(err, roster.ErrTrimmed) {
			return err
		}
	}
	return e.View(ctx, func(tx *roster.Txn) error { return x.scan(tx, directory) })
}

func (x *keyIndex) follow(ctx context.Context, e *roster.Engine) error {
	newest := e.Revision()
	for c, err := range e.Changes(ctx, x.rev+1) {
		switch {
		case err != nil:
			return err
		case c.Kind == roster.DirectoryDeleted && c.DirID == x.dir:
			x.ready = false
			return nil
		case c.Kind == roster.UserPut && c.User.Directory == x.dir:
			if key := linkOf(c.User); key != "" {
				x.at[hash(key)] = c.UserID
			}
		}
	}
	x.rev = newest
	return nil
}

func (x *keyIndex) scan(tx *roster.Txn, directory string) error {
	d, err := tx.DirectoryByName(directory)
	if err != nil {
		x.ready = false
		return nil
	}
	users, err := tx.DirectoryUsers(d.ID)
	if err != nil {
		return err
	}
	x.at = make(map[hashed]roster.UserID, users.Len())
	for u := range users.All() {
		rec, err := tx.User(u)
		if err != nil {
			return err
		}
		if key := linkOf(&rec); key != "" {
			x.at[hash(key)] = u
		}
	}
	x.ready, x.dir, x.rev = true, d.ID, tx.Revision()
	return nil
}

// find returns the user of a directory that is linked by a key.
func (x *keyIndex) find(tx *roster.Txn, d roster.DirectoryID, key string) (roster.UserID, bool) {
	x.mu.Lock()
	u, ok := x.at[hash(key)]
	ok = ok && x.ready && x.dir == d
	x.mu.Unlock()
	if !ok {
		return 0, false
	}
	rec, err := tx.User(u)
	return u, err == nil && rec.Directory == d && linkOf(&rec) == key
}

// locks are held by name: what was read of a user first must not be written last.
type locks struct {
	mu   sync.Mutex
	held map[string]chan struct{} // guarded by mu: closed when released
}

// lock waits for all of some names and returns what releases them.
func (l *locks) lock(ctx context.Context, names []string) (unlock func(), err error) {
	folded := make([]string, len(names))
	for i, name := range names {
		folded[i] = text.Fold(name)
	}
	slices.Sort(folded) // everybody takes them in this order
	folded = slices.Compact(folded)
	for i, name := range folded {
		if err := l.take(ctx, name); err != nil {
			l.release(folded[:i])
			return nil, err
		}
	}
	return func() { l.release(folded) }, nil
}

func (l *locks) take(ctx context.Context, name string) error {
	for {
		l.mu.Lock()
		if l.held == nil {
			l.held = map[string]chan struct{}{}
		}
		wait := l.held[name]
		if wait == nil {
			l.held[name] = make(chan struct{})
		}
		l.mu.Unlock()
		if wait == nil {
			return nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *locks) release(names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range names {
		close(l.held[name])
		delete(l.held, name)
	}
}
