package exchange

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/rosterdb/roster"
)

// writer is what a plan is written with: a transaction, or a Builder.
type writer interface {
	PutDirectory(d roster.Directory) error
	CreateUser(u roster.User) (roster.UserID, error)
	CreateGroup(g roster.Group) (roster.GroupID, error)
	AddMembers(g roster.GroupID, users []roster.UserID) error
	Nest(parent roster.GroupID, children ...roster.GroupID) error
	AddAdmins(g roster.GroupID, users ...roster.UserID) error
	AddAdminGroups(g roster.GroupID, admins ...roster.GroupID) error
	PutOrganization(o roster.Organization) error
	PutRole(r roster.Role) error
	PutOrgMembership(m roster.OrgMembership) error
	Data(space, key string) ([]byte, error)
}

// txnWriter is a transaction as a writer: what it changed is not asked for.
type txnWriter struct{ *roster.Txn }

func (w txnWriter) PutDirectory(d roster.Directory) error {
	_, err := w.Txn.PutDirectory(d)
	return err
}

func (w txnWriter) AddMembers(g roster.GroupID, users []roster.UserID) error {
	_, err := w.Add(g, users...)
	return err
}

func (w txnWriter) Nest(parent roster.GroupID, children ...roster.GroupID) error {
	_, err := w.Txn.Nest(parent, children...)
	return err
}

func (w txnWriter) AddAdmins(g roster.GroupID, users ...roster.UserID) error {
	_, err := w.Txn.AddAdmins(g, users...)
	return err
}

func (w txnWriter) AddAdminGroups(g roster.GroupID, admins ...roster.GroupID) error {
	_, err := w.Txn.AddAdminGroups(g, admins...)
	return err
}

func (w txnWriter) PutOrganization(o roster.Organization) error {
	_, err := w.Txn.PutOrganization(o)
	return err
}

func (w txnWriter) PutRole(r roster.Role) error {
	_, err := w.Txn.PutRole(r)
	return err
}

func (w txnWriter) PutOrgMembership(m roster.OrgMembership) error {
	_, err := w.Txn.PutOrgMembership(m)
	return err
}

// stored returns what get finds in the store behind a writer, or otherwise. A
// Builder holds nothing that an import would change.
func stored[T any](w writer, get func(*roster.Txn) (T, error), otherwise T) (T, error) {
	tx, ok := w.(txnWriter)
	if !ok {
		return otherwise, nil
	}
	v, err := get(tx.Txn)
	if errors.Is(err, roster.ErrNotFound) {
		return otherwise, nil
	}
	return v, err
}

// batch gathers records until there are enough for an Update.
type batch[T any] struct {
	*applier
	put   func(w writer, item *T) error
	items []T
	size  int
}

// add puts a record of some bytes into the batch.
func (b *batch[T]) add(item T, size int) error {
	b.items = append(b.items, item)
	b.size += size
	if len(b.items) < batchRecords && b.size < batchBytes {
		return nil
	}
	return b.flush()
}

// flush writes what is in the batch.
func (b *batch[T]) flush() error {
	if len(b.items) == 0 {
		return nil
	}
	err := b.update(func(w writer) error {
		for i := range b.items {
			if err := b.put(w, &b.items[i]); err != nil {
				return err
			}
		}
		return nil
	})
	b.progress(len(b.items))
	clear(b.items)
	b.items, b.size = b.items[:0], 0
	return err
}

// write writes directories and what is in them, then organisations and what is
// in them, each before what refers to it.
func (a *applier) write() error {
	for _, step := range []func() error{a.writeDirectories, a.writeRecords, a.writeLinks, a.writeOrganizations, a.writeCredentials} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) writeDirectories() error {
	return a.update(func(w writer) error {
		if a.newHome {
			if err := w.PutDirectory(*a.home); err != nil {
				return err
			}
		}
		for i := range a.plan.directories {
			rec := &a.plan.directories[i]
			if err := a.plan.fail(rec.at, rec.put(w)); err != nil {
				return err
			}
			a.progress(1)
		}
		return nil
	})
}

func (a *applier) progress(n int) {
	a.done += int64(n)
	if a.plan.opts.Progress != nil {
		a.plan.opts.Progress(Storing, a.done, a.plan.Len())
	}
}

// writeRecords writes users and groups. Those that bring their id or uid go
// first: one assigned before them might be theirs.
func (a *applier) writeRecords() error {
	b := batch[record]{applier: a, put: func(w writer, rec *record) error { return a.plan.fail(rec.at, a.put(w, rec)) }}
	for _, own := range []bool{true, false} {
		err := a.plan.eachRecord(a.ctx, func(rec *record) error {
			if own != (rec.has&(hasNumber|hasUID) != 0) {
				return nil
			}
			return b.add(*rec, rec.size)
		})
		if err == nil {
			err = b.flush()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// put creates a record or changes what differs.
func (a *applier) put(w writer, rec *record) (err error) {
	if tx, ok := w.(txnWriter); ok && a.ids[rec.slot] != absent {
		if rec.has&onlyNew != 0 {
			return nil
		}
		return rec.change(tx.Txn, a.ids[rec.slot])
	}
	a.ids[rec.slot], err = rec.create(w, a.directory(rec.directory))
	return err
}

// edge is a link both ends of which are in the store.
type edge struct {
	relation relation
	group    roster.GroupID
	member   target
}

// writeLinks writes the members and administrators of groups that resolve.
func (a *applier) writeLinks() error {
	var edges []edge
	err := a.plan.eachLink(a.ctx, func(l link) error {
		group, ok := a.resolve(l.group)
		member, found := a.resolve(l.member)
		if ok && found && group.kind == kindGroup && (l.relation == adminOf || l.group != l.member) {
			edges = append(edges, edge{l.relation, roster.GroupID(group.id), member})
		}
		a.progress(1)
		if len(edges) < batchLinks {
			return nil
		}
		err := a.writeEdges(edges)
		edges = edges[:0]
		return err
	})
	if err != nil || len(edges) == 0 {
		return err
	}
	return a.writeEdges(edges)
}

// writeEdges writes edges in one Update, those of each group together.
func (a *applier) writeEdges(edges []edge) error {
	slices.SortFunc(edges, func(x, y edge) int {
		return cmp.Or(cmp.Compare(x.relation, y.relation), cmp.Compare(x.group, y.group), cmp.Compare(x.member.id, y.member.id))
	})
	var users []roster.UserID
	var groups []roster.GroupID
	return a.update(func(w writer) error {
		for i := 0; i < len(edges); {
			first := edges[i]
			users, groups = users[:0], groups[:0]
			for ; i < len(edges) && edges[i].group == first.group && edges[i].relation == first.relation; i++ {
				if m := edges[i].member; m.kind == kindUser {
					users = append(users, roster.UserID(m.id))
				} else {
					groups = append(groups, roster.GroupID(m.id))
				}
			}
			if err := first.relation.write(w, first.group, users, groups); err != nil {
				return err
			}
		}
		return nil
	})
}

// write makes users and groups members or administrators of a group.
func (r relation) write(w writer, g roster.GroupID, users []roster.UserID, groups []roster.GroupID) (err error) {
	what := "members"
	if r == adminOf {
		what = "administrators"
	}
	switch {
	case len(users) == 0:
	case r == adminOf:
		err = w.AddAdmins(g, users...)
	default:
		err = w.AddMembers(g, users)
	}
	switch {
	case err != nil || len(groups) == 0:
	case r == adminOf:
		err = w.AddAdminGroups(g, groups...)
	default:
		err = w.Nest(g, groups...)
	}
	if err != nil {
		return fmt.Errorf("%s of a group: %w", what, err)
	}
	return nil
}
