package roster

import (
	"context"
	"fmt"
	"hash/maphash"

	"github.com/rosterdb/roster/store"
)

// Builder fills a new engine in bulk: what is built becomes revision 1, written
// to disk once, without a log. It has the verbs of a Txn that create, under the
// same rules; no view reads it and nothing is durable before Build returns.
type Builder struct {
	tx *Txn
}

// Build makes an engine in the folder dir, which must be missing or empty
// (ErrNotStore), of what fn builds. If fn returns an error, or Build does,
// nothing is left that Open would take for an engine.
func Build(ctx context.Context, dir string, o Options, fn func(*Builder) error) error {
	o = o.withDefaults()
	head := newHead(maphash.MakeSeed(), o.MaxNesting)
	head.forwardOnly = true // what the users list is not stored
	tx := &Txn{e: &Engine{opts: o}, st: head, ctx: ctx, write: true}
	err := fn(&Builder{tx})
	tx.end()
	if err != nil {
		return err
	}
	if err := head.settle(); err != nil {
		return err
	}
	head.rev, head.time = 1, tx.now()
	st := head.freeze()
	err = store.Restore(dir, o.store(), 1, st.encodeMeta(), func(put func(key, value []byte) error) error {
		w := valueWriter{st: st, put: func(key, value []byte) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return put(key, value)
		}}
		return w.write(st.everything())
	})
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	return nil
}

// PutDirectory is Txn.PutDirectory.
func (b *Builder) PutDirectory(d Directory) error {
	_, err := b.tx.PutDirectory(d)
	return b.forget(err)
}

// CreateUser is Txn.CreateUser.
func (b *Builder) CreateUser(u User) (UserID, error) {
	id, err := b.tx.CreateUser(u)
	return id, b.forget(err)
}

// CreateGroup is Txn.CreateGroup.
func (b *Builder) CreateGroup(g Group) (GroupID, error) {
	id, err := b.tx.CreateGroup(g)
	return id, b.forget(err)
}

// Nest is Txn.Nest.
func (b *Builder) Nest(parent GroupID, children ...GroupID) error {
	_, err := b.tx.Nest(parent, children...)
	return b.forget(err)
}

// AddMembers makes users direct members of a group; it is fastest when they
// ascend and the group is new. It returns ErrNotFound if the group or one of
// the users does not exist. The slice stays the caller's.
func (b *Builder) AddMembers(g GroupID, users []UserID) error {
	_, err := b.tx.Add(g, users...)
	return b.forget(err)
}

// AddAdmins is Txn.AddAdmins.
func (b *Builder) AddAdmins(g GroupID, users ...UserID) error {
	_, err := b.tx.AddAdmins(g, users...)
	return b.forget(err)
}

// AddAdminGroups is Txn.AddAdminGroups.
func (b *Builder) AddAdminGroups(g GroupID, admins ...GroupID) error {
	_, err := b.tx.AddAdminGroups(g, admins...)
	return b.forget(err)
}

// PutOrganization is Txn.PutOrganization.
func (b *Builder) PutOrganization(o Organization) error {
	_, err := b.tx.PutOrganization(o)
	return b.forget(err)
}

// PutRole is Txn.PutRole.
func (b *Builder) PutRole(r Role) error {
	_, err := b.tx.PutRole(r)
	return b.forget(err)
}

// PutOrgMembership is Txn.PutOrgMembership.
func (b *Builder) PutOrgMembership(m OrgMembership) error {
	_, err := b.tx.PutOrgMembership(m)
	return b.forget(err)
}

// PutData is Txn.PutData.
func (b *Builder) PutData(space, key string, value []byte) error {
	_, err := b.tx.PutData(space, key, value)
	return b.forget(err)
}

// Data is Txn.Data.
func (b *Builder) Data(space, key string) ([]byte, error) { return b.tx.Data(space, key) }

// forget drops what a transaction keeps for its record and for undoing: nothing
// of a Builder is undone in part.
func (b *Builder) forget(err error) error {
	clear(b.tx.ops)
	b.tx.ops = b.tx.ops[:0]
	return err
}
