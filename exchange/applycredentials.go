package exchange

import (
	"errors"
	"runtime"
	"sync"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/internal/text"
)

// What an import has to know of accounts and API keys before it writes, and how
// it writes them.

// hash hashes the passwords and secrets of the plan, outside of any Update: that
// takes some ten milliseconds each. One that the store has already keeps the hash
// that it has there, so that importing it again changes nothing. A nil e is a
// store that holds nothing.
func (a *applier) hash(e *roster.Engine) (err error) {
	if a.plan.secrets == 0 {
		return nil
	}
	h := a.plan.opts.Hasher
	if h == nil {
		if h, err = access.NewHasher(access.HashOptions{}); err != nil {
			return err
		}
	}
	stored, way, err := a.storedHashes(e, h)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	begun := int64(0)
	err = a.plan.eachCredential(a.ctx, func(c *credential) error {
		if c.secret == nil {
			return nil
		}
		plain, err := a.plan.sealer.open(c.secret)
		if err != nil {
			return err
		}
		slots <- struct{}{}
		if begun++; a.plan.opts.Progress != nil {
			a.plan.opts.Progress(Hashing, begun, a.plan.secrets)
		}
		wg.Go(func() {
			defer func() { <-slots }()
			hash, err := a.hashOf(h, way, c, plain, stored[c.at])
			mu.Lock()
			defer mu.Unlock()
			a.hashes[c.at] = hash
			failed = errors.Join(failed, a.plan.fail(c.at, err))
		})
		return nil
	})
	wg.Wait()
	return errors.Join(err, failed)
}

// hashOf returns the hash of a password or secret: that of the store, if it is
// that of the same.
func (a *applier) hashOf(h *access.Hasher, way access.Stretching, c *credential, plain string, old access.Hash) (access.Hash, error) {
	if !old.IsZero() {
		if same, err := h.Verify(a.ctx, old, plain); err != nil || same {
			return old, err
		}
	}
	if c.kind == kindAccount {
		return h.Hash(a.ctx, plain)
	}
	return way.Hash(a.ctx, plain)
}

// storedHashes returns what the store has in the place of each password and
// secret of the plan, and how it stretches secrets.
func (a *applier) storedHashes(e *roster.Engine, h *access.Hasher) (stored map[position]access.Hash, way access.Stretching, err error) {
	stored = map[position]access.Hash{}
	if e == nil {
		way, err = h.Stretching(nil)
		return stored, way, err
	}
	err = e.View(a.ctx, func(tx *roster.Txn) (err error) {
		if way, err = h.Stretching(tx); err != nil {
			return err
		}
		return a.plan.eachCredential(a.ctx, func(c *credential) error {
			old, err := storedHash(tx, c)
			if errors.Is(err, roster.ErrNotFound) {
				return nil
			}
			if !old.IsZero() && c.secret != nil {
				stored[c.at] = old
			}
			return err
		})
	})
	return stored, way, err
}

func storedHash(tx *roster.Txn, c *credential) (access.Hash, error) {
	if c.kind == kindKey {
		k, err := access.GetKey(tx, c.id)
		return k.Secret, err
	}
	u, ok := tx.UserByName(c.directory, c.username)
	if !ok {
		return access.Hash{}, roster.ErrNotFound
	}
	acc, err := access.GetAccount(tx, u)
	return acc.Password, err
}

// checkCredentials finds the users of accounts and API keys. A nil tx is a store
// that holds nothing.
func (a *applier) checkCredentials(tx *roster.Txn) error {
	if err := a.findAnyone(tx); err != nil {
		return err
	}
	return a.plan.eachCredential(a.ctx, func(c *credential) error {
		if _, err := a.userOf(c); err != nil {
			return err
		}
		if c.kind == kindAccount || c.has&hasSecret != 0 {
			return nil
		}
		if tx != nil {
			if _, err := access.GetKey(tx, c.id); !errors.Is(err, roster.ErrNotFound) {
				return err
			}
		}
		return problemf(ErrMalformed, `the API key %q is new: it needs "secret" or "secretHash"`, c.id)
	})
}

// findAnyone finds who is meant by names without a directory, among the users of
// the input and of the store.
func (a *applier) findAnyone(tx *roster.Txn) error {
	wanted := map[string]bool{}
	err := a.plan.eachCredential(a.ctx, func(c *credential) error {
		if c.byName {
			wanted[text.Fold(c.username)] = true
		}
		return nil
	})
	if err != nil || len(wanted) == 0 {
		return err
	}
	err = a.plan.eachRecord(a.ctx, func(rec *record) error {
		if name := text.Fold(rec.name); rec.kind == kindUser && wanted[name] {
			a.anyone[name] = append(a.anyone[name], target{kindUser, rec.slot})
		}
		return nil
	})
	if err != nil || tx == nil {
		return err
	}
	return a.findStored(tx, wanted)
}

// findStored adds those users of the store that the input does not hold. A name
// that is nobody's may still be a reference that the store knows, name@directory
// for example.
func (a *applier) findStored(tx *roster.Txn, wanted map[string]bool) error {
	for _, d := range tx.Directories() {
		for name := range wanted {
			u, ok := tx.UserByName(d.ID, name)
			if !ok {
				continue
			}
			inInput := false
			for _, t := range a.anyone[name] {
				inInput = inInput || t.kind == kindUser && a.ids[t.id] == uint32(u)
			}
			if !inInput {
				a.anyone[name] = append(a.anyone[name], target{0, uint32(u)}) // 0: by handle, not by slot
			}
		}
	}
	for name := range wanted {
		if u, err := tx.FindUser(name); err == nil && len(a.anyone[name]) == 0 {
			a.anyone[name] = []target{{0, uint32(u)}}
		}
	}
	return nil
}

// userOf returns the user of an account or an API key: a handle, or absent for
// one that is yet to be created.
func (a *applier) userOf(c *credential) (uint32, error) {
	if !c.byName {
		t, ok := a.resolve(c.user)
		if !ok {
			return 0, problemf(ErrUnresolved, "the user %q of directory %s is neither in the input nor in the store", c.username, c.directory)
		}
		return t.id, nil
	}
	switch all := a.anyone[text.Fold(c.username)]; {
	case len(all) == 0:
		return 0, problemf(ErrUnresolved, "the user %q is neither in the input nor in the store", c.username)
	case len(all) > 1:
		return 0, problemf(roster.ErrAmbiguous, `%d users are called %q: say which with "directory"`, len(all), c.username)
	case all[0].kind == kindUser:
		return a.ids[all[0].id], nil
	default:
		return all[0].id, nil
	}
}

// writeCredentials writes accounts and API keys.
func (a *applier) writeCredentials() error {
	b := batch[credential]{applier: a, put: func(w writer, c *credential) error {
		return a.plan.fail(c.at, a.putCredential(w, c))
	}}
	err := a.plan.eachCredential(a.ctx, func(c *credential) error { return b.add(*c, c.size) })
	if err != nil {
		return err
	}
	return b.flush()
}

// putCredential creates an account or an API key, or changes what differs.
func (a *applier) putCredential(w writer, c *credential) error {
	id, err := a.userOf(c)
	if err != nil {
		return err
	}
	hash := c.hash
	if c.secret != nil {
		hash = a.hashes[c.at]
	}
	to := valuesOf(w)
	if c.kind == kindAccount {
		old, err := access.GetAccount(to, roster.UserID(id))
		if err != nil && !errors.Is(err, roster.ErrNotFound) {
			return err
		}
		acc := c.toAccount(old, hash)
		acc.User = roster.UserID(id)
		_, err = access.PutAccount(to, acc, a.now)
		return err
	}
	old, err := access.GetKey(to, c.id)
	if err != nil && !errors.Is(err, roster.ErrNotFound) {
		return err
	}
	k := c.toKey(old, hash)
	k.User = roster.UserID(id)
	_, err = access.PutKey(to, k, a.now)
	return err
}

// valuesOf returns a writer as package access knows it.
func valuesOf(w writer) access.Values {
	if tx, ok := w.(txnWriter); ok {
		return tx.Txn
	}
	return builderValues{w.(*roster.Builder)}
}

// builderValues is a Builder, in which nothing is deleted.
type builderValues struct{ *roster.Builder }

func (b builderValues) PutData(space, key string, value []byte) (bool, error) {
	return true, b.Builder.PutData(space, key, value)
}

func (b builderValues) DeleteData(_, key string) error {
	return problemf(ErrDuplicate, "record %q is written twice", key) // never: the plan has each once
}
