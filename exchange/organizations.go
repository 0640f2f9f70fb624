package exchange

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/text"
)

// Organisations, their roles and memberships are a spool of their own beside
// that of users and groups. They need no symbols: the engine finds them by ID.

// Limits of the engine; see maxText.
const (
	maxListed = 1024   // permissions, networks or roles of one record
	maxRoles  = 10_000 // of one organisation
)

// orgRecord is one organisation, role or organisation membership of an input.
type orgRecord struct {
	header
	organization string
	role         string // the ID of a role
	name         string
	user         symbol // of a membership: stands for a uid
	owner        bool
	standard     bool // the user's default
	permissions  []string
	roles        []string // of a membership
	networks     []netip.Prefix

	size int // its bytes in the spool; set by decode
}

func (r *orgRecord) encode(dst []byte) []byte {
	dst = r.header.encode(dst)
	for _, s := range []string{r.organization, r.role, r.name} {
		dst = appendString(dst, s)
	}
	dst = binary.AppendUvarint(dst, uint64(r.user))
	dst = appendBool(appendBool(dst, r.owner), r.standard)
	dst = appendStrings(appendStrings(dst, r.permissions), r.roles)
	networks := make([]string, len(r.networks))
	for i, p := range r.networks {
		networks[i] = p.String()
	}
	return appendStrings(dst, networks)
}

// decode reads what encode wrote.
func (r *orgRecord) decode(src []byte) error {
	d := decoder{src: src}
	*r = orgRecord{header: d.header(), size: len(src)}
	r.organization, r.role, r.name = d.string(), d.string(), d.string()
	r.user = symbol(d.uvarint())
	r.owner, r.standard = d.bool(), d.bool()
	r.permissions, r.roles = d.strings(), d.strings()
	for _, s := range d.strings() {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return errSpool
		}
		r.networks = append(r.networks, p)
	}
	return d.end()
}

// addOrganization adds an organisation or role, or a membership of the user
// with that uid.
func (p *Plan) addOrganization(rec *orgRecord, uid string) error {
	if err := rec.check(); err != nil {
		return err
	}
	claim, what := organizationKey(rec.organization), fmt.Sprintf("organisation %q", rec.organization)
	switch rec.kind {
	case kindRole:
		claim, what = roleKey(rec.organization, rec.role), fmt.Sprintf("role %q of organisation %q", rec.role, rec.organization)
	case kindOrgMembership:
		claim = "membership " + text.Fold(rec.organization) + "\x00" + uid
		what = fmt.Sprintf("membership of the user %q in organisation %q", uid, rec.organization)
	}
	if old, ok := p.symbols.claim(claim, rec.at); !ok {
		return problemf(ErrDuplicate, "the %s is in the input twice, first in %s", what, p.place(old, rec.at))
	}
	if rec.standard {
		if old, ok := p.symbols.claim("default of "+uid, rec.at); !ok {
			return problemf(ErrDuplicate, "the user %q has another default organisation in %s: it can have one", uid, p.place(old, rec.at))
		}
	}
	p.count[rec.kind]++
	p.buf = rec.encode(p.buf[:0])
	return p.organizations.writeFramed(p.buf)
}

// eachOrganization calls fn for every record of a kind in the order of the
// input. An error of fn is returned with the record's line.
func (p *Plan) eachOrganization(ctx context.Context, k kind, fn func(rec *orgRecord) error) error {
	if p.count[k] == 0 {
		return nil
	}
	return p.organizations.eachFrame(ctx, func(frame []byte) error {
		if kind(frame[0]) != k {
			return nil
		}
		var rec orgRecord
		if err := rec.decode(frame); err != nil {
			return err
		}
		return p.fail(rec.at, fn(&rec))
	})
}

// check returns ErrMalformed for a record that the engine would refuse. It
// makes of the permissions what the engine would store.
func (r *orgRecord) check() error {
	if err := text.ValidName(r.organization); err != nil {
		return problemf(ErrMalformed, "the ID of an organisation %v", err)
	}
	roles := r.roles
	if r.kind == kindRole {
		roles = []string{r.role}
	}
	for _, id := range roles {
		if err := text.ValidName(id); err != nil {
			return problemf(ErrMalformed, "the ID of a role %v", err)
		}
	}
	var once []string
	for _, p := range r.permissions {
		switch {
		case p == "":
			return problemf(ErrMalformed, "there is an empty permission")
		case len(p) > maxText:
			return problemf(ErrMalformed, "a permission is longer than %d bytes", maxText)
		case !slices.Contains(once, p):
			once = append(once, p)
		}
		if len(once) > maxListed {
			break
		}
	}
	r.permissions = once
	switch {
	case len(r.name) > maxText:
		return problemf(ErrMalformed, "the name is longer than %d bytes", maxText)
	case len(r.permissions) > maxListed:
		return problemf(ErrMalformed, "there are more than %d permissions", maxListed)
	case len(r.roles) > maxListed:
		return problemf(ErrMalformed, "there are more than %d roles", maxListed)
	case len(r.networks) > maxListed:
		return problemf(ErrMalformed, "there are more than %d allowed networks", maxListed)
	}
	return r.checkSize(roster.Role{}, roster.OrgMembership{})
}

// checkSize returns ErrMalformed if the record, put over one of the store, is
// larger than what the engine stores. An organisation's never is.
func (r *orgRecord) checkSize(role roster.Role, membership roster.OrgMembership) error {
	size := 0
	switch r.kind {
	case kindRole:
		size = roleBytes(r.toRole(role))
	case kindOrgMembership:
		size = membershipBytes(r.toMembership(membership))
	}
	if size > maxStored {
		return problemf(ErrMalformed, "the record is larger than %d bytes", maxStored)
	}
	return nil
}

// roleBytes is how many bytes the engine counts of a role's record, see
// encodeRole there: a version and fields, each a tag, its length and its bytes.
func roleBytes(r roster.Role) int {
	id := text.Normal(r.ID)
	n := 1 + fieldBytes(id) + fieldBytes(r.Name) + fieldBytes(text.Normal(r.Organization)) + timeBytes(r.Created) + timeBytes(r.Updated)
	if !text.IsASCII(id) {
		n += fieldBytes(text.Fold(id))
	}
	for _, p := range r.Permissions {
		n += fieldBytes(p)
	}
	return n
}

// membershipBytes is the most that the engine counts of a membership's record.
// The numbers that stand beside the roles there are not known before these are
// in the store, and have at most five bytes.
func membershipBytes(m roster.OrgMembership) int {
	const flags, number = 3, 5
	n := 1 + flags + fieldBytes(text.Normal(m.Organization)) + timeBytes(m.Created) + timeBytes(m.Updated)
	for _, p := range m.Permissions {
		n += fieldBytes(p)
	}
	for _, id := range m.Roles {
		n += fieldBytes(text.Normal(id)) + number
	}
	for _, p := range m.AllowedIPs {
		n += fieldBytes(p.String())
	}
	return n
}

func fieldBytes(s string) int {
	if s == "" {
		return 0
	}
	return 1 + len(binary.AppendUvarint(nil, uint64(len(s)))) + len(s)
}

// timeBytes is the size of a time's field, the largest of any if it is not known.
func timeBytes(t time.Time) int {
	if t.IsZero() {
		return 2 + 11
	}
	return 2 + len(binary.AppendVarint(nil, t.Unix())) + len(binary.AppendUvarint(nil, uint64(t.Nanosecond())))
}

// toOrganization returns old with the fields of the record.
func (r *orgRecord) toOrganization(old roster.Organization) roster.Organization {
	old.ID, old.Revision = r.organization, 0
	set(&r.header, hasName, &old.Name, r.name)
	set(&r.header, hasCreated, &old.Created, r.created)
	r.later(&old.Updated)
	return old
}

// toRole returns old with the fields of the record.
func (r *orgRecord) toRole(old roster.Role) roster.Role {
	old.Organization, old.ID, old.Revision = r.organization, r.role, 0
	set(&r.header, hasName, &old.Name, r.name)
	set(&r.header, hasPermissions, &old.Permissions, r.permissions)
	set(&r.header, hasCreated, &old.Created, r.created)
	r.later(&old.Updated)
	return old
}

// toMembership returns old with the fields of the record. A default that the
// record does not claim stays where it is, for the engine as well.
func (r *orgRecord) toMembership(old roster.OrgMembership) roster.OrgMembership {
	old.Organization, old.Revision = r.organization, 0
	old.Default = r.standard
	set(&r.header, hasOwner, &old.Owner, r.owner)
	set(&r.header, hasRoles, &old.Roles, r.roles)
	set(&r.header, hasPermissions, &old.Permissions, r.permissions)
	set(&r.header, hasNetworks, &old.AllowedIPs, r.networks)
	set(&r.header, hasCreated, &old.Created, r.created)
	r.later(&old.Updated)
	return old
}

// demotes reports whether the record takes an owner's rights away.
func (r *orgRecord) demotes(old roster.OrgMembership) bool {
	return old.Owner && r.has&hasOwner != 0 && !r.owner
}
