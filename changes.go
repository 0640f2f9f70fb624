package roster

import (
	"context"
	"iter"
	"time"
)

// The kinds of Change. Programs may rely on the texts.
const (
	DirectoryPut     = "directory.put"
	DirectoryDeleted = "directory.delete"
	UserPut          = "user.put"
	UserDeleted      = "user.delete"
	GroupPut         = "group.put"
	GroupDeleted     = "group.delete"
	MembersAdded     = "members.add"
	MembersRemoved   = "members.remove"
	GroupsNested     = "groups.nest"
	GroupsUnnested   = "groups.unnest"

	OrganizationPut      = "organization.put"
	OrganizationDeleted  = "organization.delete"
	RolePut              = "role.put"
	RoleDeleted          = "role.delete"
	OrgMembershipPut     = "orgMembership.put"
	OrgMembershipDeleted = "orgMembership.delete"
	AdminsAdded          = "admins.add"
	AdminsRemoved        = "admins.remove"
	AdminGroupsAdded     = "adminGroups.add"
	AdminGroupsRemoved   = "adminGroups.remove"

	DataPut     = "data.put"
	DataDeleted = "data.delete"
)

// Change is one operation of the log, and effective: members that were added
// had not been there. Several changes share a revision, in the order in which
// they were made.
type Change struct {
	Revision Revision
	Time     time.Time
	Kind     string

	Directory *Directory  // of DirectoryPut: the new record
	User      *User       // of UserPut: the new record
	Group     *Group      // of GroupPut: the new record
	DirID     DirectoryID // the directory put or deleted
	UserID    UserID      // the user put or deleted, or whose membership was
	GroupID   GroupID     // the group put or deleted, or whose members or administrators changed
	Members   []UserID    // of MembersAdded, MembersRemoved, AdminsAdded and AdminsRemoved
	Subgroups []GroupID   // of GroupsNested, GroupsUnnested, AdminGroupsAdded and AdminGroupsRemoved

	Organization  *Organization  // of OrganizationPut: the new record
	Role          *Role          // of RolePut: the new record
	OrgMembership *OrgMembership // of OrgMembershipPut: the new record
	OrgID         string         // the organisation of which that is, or which was put or deleted
	RoleID        string         // the role put or deleted

	// Of DataPut and DataDeleted: what was put or deleted. The value is not told,
	// it may be a secret.
	DataSpace, DataKey string
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
				if err == nil && c.Kind == "" {
					continue
				}
				c.Revision, c.Time = Revision(rec.Revision), t
				if !yield(c, err) || err != nil {
					return
				}
			}
		}
	}
}

// change returns an op in the public form; one that only prepares another has
// no Kind there.
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
	case opPutOrganization, opDeleteOrganization:
		c.Kind, c.OrgID = OrganizationDeleted, o.rec
		if o.kind == opPutOrganization {
			var org Organization
			org, err = decodeOrganization(o.rec)
			c.Kind, c.OrgID, c.Organization = OrganizationPut, org.ID, &org
		}
	case opPutRole:
		var r Role
		r, err = decodeRole(o.rec)
		c.Kind, c.OrgID, c.RoleID, c.Role = RolePut, r.Organization, r.ID, &r
	case opDeleteRole:
		var names []string
		if names, err = splitStrings(o.rec); err == nil && len(names) == 2 {
			c.Kind, c.OrgID, c.RoleID = RoleDeleted, names[0], names[1]
		} else {
			err = errMalformed
		}
	case opPutMembership, opDeleteMembership:
		c.Kind, c.UserID, c.OrgID = OrgMembershipDeleted, UserID(o.user), o.rec
		if o.kind == opPutMembership {
			var m OrgMembership
			m, err = decodeMembership(c.UserID, o.rec)
			c.Kind, c.OrgID, c.OrgMembership = OrgMembershipPut, m.Organization, &m
		}
	case opPutData, opDeleteData:
		c.Kind, c.DataSpace, c.DataKey, err = o.dataChange()
	case opAdd, opRemove, opAddAdmins, opRemoveAdmins:
		c.Kind, c.GroupID = listKinds[o.kind], GroupID(o.num)
		c.Members = make([]UserID, len(o.ids))
		for i, u := range o.ids {
			c.Members[i] = UserID(u)
		}
	case opNest, opUnnest, opAddAdminGroups, opRemoveAdminGroups:
		c.Kind, c.GroupID = listKinds[o.kind], GroupID(o.num)
		c.Subgroups = make([]GroupID, len(o.ids))
		for i, g := range o.ids {
			c.Subgroups[i] = GroupID(g)
		}
	}
	return c, err
}

// listKinds are the kinds of change that ops with a list make.
var listKinds = map[opKind]string{
	opAdd: MembersAdded, opRemove: MembersRemoved, opNest: GroupsNested, opUnnest: GroupsUnnested,
	opAddAdmins: AdminsAdded, opRemoveAdmins: AdminsRemoved,
	opAddAdminGroups: AdminGroupsAdded, opRemoveAdminGroups: AdminGroupsRemoved,
}
