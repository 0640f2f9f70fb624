package roster

import (
	"net/netip"
	"strings"

	"github.com/rosterdb/roster/internal/idlist"
)

// The stored records of organisations, their roles and memberships, in the form
// that entity.go describes. An organisation's or role's ID is its name there.

// Limits of one record.
const (
	maxListed = 1024   // permissions, networks or roles
	maxRoles  = 10_000 // of one organisation
)

const (
	flagOwner   = 1 << iota // of a membership
	flagDefault             // likewise
)

func encodeOrganization(o *Organization) string {
	b := appendText([]byte{recordVersion}, tagName, o.ID)
	b = appendText(b, tagFolded, foldedUnlessASCII(o.ID))
	b = appendText(b, tagFullName, o.Name)
	b = appendTime(b, tagCreated, o.Created)
	b = appendTime(b, tagUpdated, o.Updated)
	return string(appendNumber(b, tagRevision, uint64(o.Revision)))
}

func decodeOrganization(rec string) (o Organization, err error) {
	err = fields(rec, func(f field) (err error) {
		switch f.tag {
		case tagName:
			o.ID = f.val
		case tagFolded:
		case tagFullName:
			o.Name = f.val
		case tagCreated:
			o.Created, err = decodeTime(f.val)
		case tagUpdated:
			o.Updated, err = decodeTime(f.val)
		case tagRevision:
			o.Revision, err = f.revision()
		default:
			err = unknownField(f)
		}
		return err
	})
	return o, err
}

// encodeRole returns the record of a role of the organisation with that number.
func encodeRole(r *Role, org uint32) string {
	b := appendNumber([]byte{recordVersion}, tagDirectory, uint64(org))
	b = appendText(b, tagName, r.ID)
	b = appendText(b, tagFolded, foldedUnlessASCII(r.ID))
	b = appendText(b, tagFullName, r.Name)
	b = appendTime(b, tagCreated, r.Created)
	b = appendTime(b, tagUpdated, r.Updated)
	b = appendNumber(b, tagRevision, uint64(r.Revision))
	b = appendText(b, tagOrganization, r.Organization)
	for _, p := range r.Permissions {
		b = appendField(b, tagPermission, p)
	}
	return string(b)
}

func decodeRole(rec string) (r Role, err error) {
	err = fields(rec, func(f field) (err error) {
		switch f.tag {
		case tagDirectory, tagFolded:
		case tagName:
			r.ID = f.val
		case tagFullName:
			r.Name = f.val
		case tagCreated:
			r.Created, err = decodeTime(f.val)
		case tagUpdated:
			r.Updated, err = decodeTime(f.val)
		case tagRevision:
			r.Revision, err = f.revision()
		case tagOrganization:
			r.Organization = f.val
		case tagPermission:
			r.Permissions = append(r.Permissions, f.val)
		default:
			err = unknownField(f)
		}
		return err
	})
	return r, err
}

// encodeMembership returns the record of a membership; roles are the numbers of
// m.Roles. Names stand in it beside numbers, so that the log can be read by
// itself.
func encodeMembership(m *OrgMembership, roles []uint32) string {
	flags := uint64(0)
	if m.Owner {
		flags |= flagOwner
	}
	if m.Default {
		flags |= flagDefault
	}
	b := appendNumber([]byte{recordVersion}, tagFlags, flags)
	b = appendTime(b, tagCreated, m.Created)
	b = appendTime(b, tagUpdated, m.Updated)
	b = appendNumber(b, tagRevision, uint64(m.Revision))
	b = appendText(b, tagOrganization, m.Organization)
	for _, p := range m.Permissions {
		b = appendField(b, tagPermission, p)
	}
	for i, id := range m.Roles {
		b = appendField(b, tagRole, string(append(idlist.AppendUvarint(nil, roles[i]), id...)))
	}
	for _, p := range m.AllowedIPs {
		b = appendField(b, tagAllowed, p.String())
	}
	return string(b)
}

func decodeMembership(u UserID, rec string) (OrgMembership, error) {
	m := OrgMembership{User: u}
	err := fields(rec, func(f field) (err error) {
		switch f.tag {
		case tagFlags:
			var n uint64
			n, err = f.number()
			m.Owner, m.Default = n&flagOwner != 0, n&flagDefault != 0
		case tagCreated:
			m.Created, err = decodeTime(f.val)
		case tagUpdated:
			m.Updated, err = decodeTime(f.val)
		case tagRevision:
			m.Revision, err = f.revision()
		case tagOrganization:
			m.Organization = f.val
		case tagPermission:
			m.Permissions = append(m.Permissions, f.val)
		case tagRole:
			var id string
			_, id, err = f.role()
			m.Roles = append(m.Roles, id)
		case tagAllowed:
			var p netip.Prefix
			if p, err = netip.ParsePrefix(f.val); err != nil {
				err = errMalformed
			}
			m.AllowedIPs = append(m.AllowedIPs, p)
		default:
			err = unknownField(f)
		}
		return err
	})
	return m, err
}

// membershipFacts is what the index takes from the record of a membership.
type membershipFacts struct {
	owner, standard bool
	since           joinedEntry
	roles           []uint32
}

func factsOf(org uint32, rec string) (m membershipFacts, err error) {
	m.since.org = org
	err = fields(rec, func(f field) (err error) {
		switch f.tag {
		case tagFlags:
			var n uint64
			n, err = f.number()
			m.owner, m.standard = n&flagOwner != 0, n&flagDefault != 0
		case tagCreated:
			m.since.since, err = decodeTime(f.val)
		case tagRole:
			var n uint32
			n, _, err = f.role()
			m.roles = append(m.roles, n)
		}
		return err
	})
	return m, err
}

func (f field) revision() (Revision, error) {
	n, err := f.number()
	return Revision(n), err
}

// role returns the number and the ID of a role in a membership.
func (f field) role() (num uint32, id string, err error) {
	n, size := uvarint(f.val)
	if size <= 0 || n > 1<<32-1 || size == len(f.val) {
		return 0, "", errMalformed
	}
	return uint32(n), strings.Clone(f.val[size:]), nil
}
