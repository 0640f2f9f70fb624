package roster

import (
	"context"
	"iter"
	"time"
)

// ChangeKind says what a Change did. Its text form is the one that programs may
// rely on.
type ChangeKind string

// The kinds of change.
const (
	DirectoryPut     ChangeKind = "directory.put"
	DirectoryDeleted ChangeKind = "directory.delete"
	UserPut          ChangeKind = "user.put"
	UserDeleted      ChangeKind = "user.delete"
	GroupPut         ChangeKind = "group.put"
	GroupDeleted     ChangeKind = "group.delete"
	MembersAdded     ChangeKind = "members.add"
	MembersRemoved   ChangeKind = "members.remove"
	GroupsNested     ChangeKind = "groups.nest"
	GroupsUnnested   ChangeKind = "groups.unnest"
)

// Change is one operation of the log, and effective: members that were added
// had not been there. Several changes share a revision, in the order in which
// they were made.
type Change struct {
	Revision Revision
	Time     time.Time
	Kind     ChangeKind

	Directory *Directory  // of DirectoryPut: the new record
	User      *User       // of UserPut: the new record
	Group     *Group      // of GroupPut: the new record
	DirID     DirectoryID // the directory put or deleted
	UserID    UserID      // the user put or deleted
	GroupID   GroupID     // the group put or deleted, or whose members changed
	Members   []UserID    // of MembersAdded and MembersRemoved
	Subgroups []GroupID   // of GroupsNested and GroupsUnnested
}

// Changes yields the log from a revision on, up to the newest one at the time
// of the call. It yields ErrTrimmed, once, if the log no longer reaches back to
// from; the error of ctx; or a *CorruptError. Follow the log by waiting for the
// next revision with Wait and asking again.
func (e *Engine) Changes(ctx context.Context, from Revision) iter.Seq2[Change, error] {
	until := e.Revision()
	return func(yield func(Change, error) bool) {
		if from > until {
			return
		}
		for rec, err := range e.store.Replay(uint64(max(from, 1))) {
			if err == nil {
				err = ctx.Err()
			}
			var t time.Time
			var ops []op
			if err == nil {
				if Revision(rec.Revision) > until {
					return
				}
				t, ops, err = decodeRecord(rec.Data)
			}
			if err != nil {
				yield(Change{}, err)
				return
			}
			for i := range ops {
				c, err := ops[i].change()
				c.Revision, c.Time = Revision(rec.Revision), t
				if !yield(c, err) || err != nil {
					return
				}
			}
		}
	}
}

// change returns an op in the public form.
func (o *op) change() (c Change, err error) {
	switch o.kind {
	case opPutDirectory, opDeleteDirectory:
		c.Kind, c.DirID = DirectoryDeleted, DirectoryID(o.num)
		if o.kind == opPutDirectory {
			var d Directory
			d, _, err = decodeDirectory(o.rec)
			c.Kind, c.Directory = DirectoryPut, &d
		}
	case opPutUser, opDeleteUser:
		c.Kind, c.UserID = UserDeleted, UserID(o.num)
		if o.kind == opPutUser {
			var u User
			u, err = decodeUser(c.UserID, o.rec)
			c.Kind, c.User = UserPut, &u
		}
	case opPutGroup, opDeleteGroup:
		c.Kind, c.GroupID = GroupDeleted, GroupID(o.num)
		if o.kind == opPutGroup {
			var g Group
			g, err = decodeGroup(c.GroupID, o.rec)
			c.Kind, c.Group = GroupPut, &g
		}
	case opAdd, opRemove:
		c.Kind, c.GroupID = MembersAdded, GroupID(o.num)
		if o.kind == opRemove {
			c.Kind = MembersRemoved
		}
		c.Members = make([]UserID, len(o.ids))
		for i, u := range o.ids {
			c.Members[i] = UserID(u)
		}
	case opNest, opUnnest:
		c.Kind, c.GroupID = GroupsNested, GroupID(o.num)
		if o.kind == opUnnest {
			c.Kind = GroupsUnnested
		}
		c.Subgroups = make([]GroupID, len(o.ids))
		for i, g := range o.ids {
			c.Subgroups[i] = GroupID(g)
		}
	}
	return c, err
}
