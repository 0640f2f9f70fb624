package roster

import (
	"fmt"
	"iter"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/rosterdb/roster/internal/idlist"
	"github.com/rosterdb/roster/internal/text"
)

// An organisation is three kinds of sets and a record: its members, its owners
// and the holders of each role are sets like any other; what belongs to one
// membership alone stands in a record of the membership.

// Organization is a set of users with owners and roles.
type Organization struct {
	ID      string // unique, under identity folding; chosen by whoever creates it
	Name    string // for reading
	Created time.Time
	Updated time.Time

	// Revision is the one that changed this record last; see User.Revision.
	Revision Revision
}

// Role is what some members of an organisation may do.
type Role struct {
	Organization string // the ID of the organisation
	ID           string // unique in the organisation, under identity folding
	Name         string // for reading
	Permissions  []string
	Created      time.Time
	Updated      time.Time

	// Revision is the one that changed this record last; see User.Revision.
	Revision Revision
}

// OrgMembership is one user's membership of an organisation.
type OrgMembership struct {
	Organization string // the ID of the organisation
	User         UserID
	Owner        bool           // may do everything; an organisation that has owners keeps at least one
	Default      bool           // the one of the user's organisations that is meant when none is named
	Roles        []string       // IDs, by name
	Permissions  []string       // beside those of the roles; "*" is all of them
	AllowedIPs   []netip.Prefix // where the user may come from; none: from anywhere
	Created      time.Time
	Updated      time.Time

	// Revision is the one that changed this record last; see User.Revision.
	Revision Revision
}

// AllPermissions stands among permissions for all of them.
const AllPermissions = "*"

// PutOrganization creates the organisation of that ID, or changes it, and
// reports whether anything changed. It returns ErrConflict if o.Revision is
// neither 0 nor that of the record. Zero Created keeps what is there; Updated
// becomes now unless o says another time than before.
func (tx *Txn) PutOrganization(o Organization) (changed bool, err error) {
	if err := tx.writable(); err != nil {
		return false, err
	}
	o.ID = text.Normal(o.ID)
	if err := firstInvalid("organisation", o.ID, labelled{"name", o.Name}); err != nil {
		return false, err
	}
	change := op{kind: opPutOrganization}
	num, known := tx.st.organization(o.ID)
	if !known {
		if num, err = tx.freeSets(2); err != nil {
			return false, err
		}
		o.Created, o.Updated = timeOr(o.Created, tx.now()), timeOr(o.Updated, tx.now())
	} else {
		old, rec, err := tx.organizationRecord(num)
		if err != nil {
			return false, err
		}
		if err := checkRevision(o.Revision, old.Revision); err != nil {
			return false, fmt.Errorf("organisation %q: %w", old.ID, err)
		}
		o.ID, change.old = old.ID, rec
		if !tx.stamp(&o.Created, &o.Updated, old.Created, old.Updated, o.Name == old.Name) {
			return false, nil
		}
	}
	o.Revision = tx.st.rev + 1
	change.num, change.rec = num, encodeOrganization(&o)
	return true, tx.do(change)
}

// stamp fills in the times of a record that is put over another, and reports
// whether anything differs.
func (tx *Txn) stamp(created, updated *time.Time, oldCreated, oldUpdated time.Time, same bool) bool {
	*created = timeOr(*created, oldCreated)
	if timeOr(*updated, oldUpdated).Equal(oldUpdated) {
		if same && created.Equal(oldCreated) {
			return false
		}
		*updated = tx.now()
	}
	return true
}

// freeSets returns the first of n set numbers that were never given.
func (tx *Txn) freeSets(n uint32) (uint32, error) {
	if tx.st.nextSet > math.MaxUint32-n {
		return 0, fmt.Errorf("set numbers are used up: %w", ErrLimit)
	}
	return tx.st.nextSet, nil
}

// DeleteOrganization deletes an organisation with its roles and memberships, or
// returns ErrNotFound. It takes time in proportion to the members.
func (tx *Txn) DeleteOrganization(id string) error {
	if err := tx.writable(); err != nil {
		return err
	}
	num, err := tx.findOrganization(id)
	if err != nil {
		return err
	}
	_, rec, err := tx.organizationRecord(num)
	if err != nil {
		return err
	}
	members := tx.st.direct(num)
	for _, u := range members.appendTo(nil) {
		if err := tx.endMembership(num, u, true); err != nil {
			return err
		}
	}
	for role := range idlist.All(tx.st.rolesOf.Get(num)) {
		if err := tx.dropRole(role); err != nil {
			return err
		}
	}
	c, _ := tx.st.orgs.get(num)
	return tx.do(op{kind: opDeleteOrganization, num: num, rec: strings.Clone(c.name), old: rec})
}

// Organization returns an organisation's record, or ErrNotFound.
func (tx *Txn) Organization(id string) (Organization, error) {
	num, err := tx.findOrganization(id)
	if err != nil {
		return Organization{}, err
	}
	o, _, err := tx.organizationRecord(num)
	return o, err
}

// Organizations yields the IDs of all organisations behind after, "" being the
// beginning, in the order of folded IDs. After need not exist.
func (tx *Txn) Organizations(after string) iter.Seq[string] {
	return func(yield func(string) bool) {
		st, err := tx.snapshot()
		if err != nil {
			return
		}
		var from place
		if after != "" {
			from = st.orgs.behind(fold(after), 0)
		}
		for n := range st.orgs.byName.walk(from) {
			if !yield(st.orgs.name(n)) {
				return
			}
		}
	}
}

// OrganizationsOf returns the IDs of the organisations that a user is a member
// of, the oldest membership first, or ErrNotFound if there is no such user.
func (tx *Txn) OrganizationsOf(u UserID) ([]string, error) {
	if err := tx.ready(); err != nil {
		return nil, err
	}
	if !tx.st.contains(uint32(u), setAll) {
		return nil, fmt.Errorf("%v: %w", u, ErrNotFound)
	}
	var out []string
	for j := range tx.st.joined(uint32(u)).all() {
		out = append(out, tx.st.orgs.name(j.org))
	}
	slices.Reverse(out)
	return out, nil
}

// DefaultOrganization returns the ID of the user's default organisation, "" if
// it is a member of none, or ErrNotFound if there is no such user.
func (tx *Txn) DefaultOrganization(u UserID) (string, error) {
	if err := tx.ready(); err != nil {
		return "", err
	}
	if !tx.st.contains(uint32(u), setAll) {
		return "", fmt.Errorf("%v: %w", u, ErrNotFound)
	}
	if j := tx.st.joined(uint32(u)); j != "" {
		return tx.st.orgs.name(j.standard()), nil
	}
	return "", nil
}

// OrgMembers returns the members of an organisation, or ErrNotFound.
func (tx *Txn) OrgMembers(id string) (Set, error) {
	num, err := tx.findOrganization(id)
	if err != nil {
		return Set{}, err
	}
	st, err := tx.snapshot()
	if err != nil {
		return Set{}, err
	}
	return Set{numbers: tx.e.cache.get(&st.index, &st.users.byName, num, true), st: st}, nil
}

// OrgOwners returns the owners of an organisation, or ErrNotFound.
func (tx *Txn) OrgOwners(id string) (Set, error) {
	num, err := tx.findOrganization(id)
	if err != nil {
		return Set{}, err
	}
	return tx.own(ownersOf(num))
}

// findOrganization returns the number of an organisation.
func (tx *Txn) findOrganization(id string) (uint32, error) {
	if err := tx.ready(); err != nil {
		return 0, err
	}
	num, ok := tx.st.organization(id)
	if !ok {
		return 0, fmt.Errorf("organisation %q: %w", clip(id), ErrNotFound)
	}
	return num, nil
}

func (tx *Txn) organizationRecord(num uint32) (o Organization, rec string, err error) {
	if rec, err = tx.st.record(&tx.e.folded, keyOrganizations, num); err == nil {
		rec = strings.Clone(rec)
		o, err = decodeOrganization(rec)
	}
	if err != nil {
		err = fmt.Errorf("organisation %q: %w", tx.st.orgs.name(num), err)
	}
	return o, rec, err
}

// PutRole creates the role of that ID in its organisation, or changes it, and
// reports whether anything changed. It returns ErrNotFound if there is no such
// organisation, and ErrConflict if r.Revision is neither 0 nor that of the
// record; for the times see PutOrganization.
func (tx *Txn) PutRole(r Role) (changed bool, err error) {
	if err := tx.writable(); err != nil {
		return false, err
	}
	org, err := tx.findOrganization(r.Organization)
	if err != nil {
		return false, err
	}
	r.Organization = tx.st.orgs.name(org)
	if err := checkRole(&r); err != nil {
		return false, err
	}
	change := op{kind: opPutRole}
	num, known := tx.st.role(org, r.ID)
	if !known {
		if n := idlist.Len(tx.st.rolesOf.Get(org)); n >= maxRoles {
			return false, fmt.Errorf("organisation %q has %d roles: %w", r.Organization, n, ErrLimit)
		}
		if num, err = tx.freeSets(1); err != nil {
			return false, err
		}
		r.Created, r.Updated = timeOr(r.Created, tx.now()), timeOr(r.Updated, tx.now())
	} else {
		old, rec, err := tx.roleRecord(num)
		if err != nil {
			return false, err
		}
		if err := checkRevision(r.Revision, old.Revision); err != nil {
			return false, fmt.Errorf("role %q: %w", old.ID, err)
		}
		r.ID, change.old = old.ID, rec
		same := r.Name == old.Name && slices.Equal(r.Permissions, old.Permissions)
		if !tx.stamp(&r.Created, &r.Updated, old.Created, old.Updated, same) {
			return false, nil
		}
	}
	r.Revision = tx.st.rev + 1
	change.num, change.rec = num, encodeRole(&r, org)
	return true, tx.do(change)
}

func checkRole(r *Role) (err error) {
	r.ID = text.Normal(r.ID)
	if err := firstInvalid("role", r.ID, labelled{"name", r.Name}); err != nil {
		return err
	}
	if r.Permissions, err = checkPermissions(r.Permissions); err != nil {
		return fmt.Errorf("role %q: %w", r.ID, err)
	}
	if n := len(encodeRole(r, 0)); n > maxRecord {
		return fmt.Errorf("role %q: record of more than %d bytes: %w", r.ID, maxRecord, ErrInvalid)
	}
	return nil
}

// checkPermissions returns a copy of the list in which each permission stands
// once.
func checkPermissions(list []string) ([]string, error) {
	var out []string
	for _, p := range list {
		if p == "" {
			return nil, fmt.Errorf("empty permission: %w", ErrInvalid)
		}
		if err := invalidText(p); err != nil {
			return nil, fmt.Errorf("permission: %w", err)
		}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
		if len(out) > maxListed {
			return nil, fmt.Errorf("more than %d permissions: %w", maxListed, ErrInvalid)
		}
	}
	return out, nil
}

// DeleteRole deletes a role, which its holders lose with that, or returns
// ErrNotFound. It takes time in proportion to the holders.
func (tx *Txn) DeleteRole(organization, id string) error {
	if err := tx.writable(); err != nil {
		return err
	}
	num, err := tx.findRole(organization, id)
	if err != nil {
		return err
	}
	c, _ := tx.st.roles.get(num)
	org, name := c.dir, strings.Clone(c.name)
	holders := tx.st.direct(num)
	for _, u := range holders.appendTo(nil) {
		m, rec, err := tx.membershipRecord(org, u)
		if err != nil {
			return err
		}
		m.Roles = slices.DeleteFunc(m.Roles, func(r string) bool { return r == name })
		m.Updated = tx.now()
		if err := tx.putMembership(org, &m, rec); err != nil {
			return err
		}
	}
	return tx.dropRole(num)
}

// dropRole deletes a role that nobody holds.
func (tx *Txn) dropRole(num uint32) error {
	r, rec, err := tx.roleRecord(num)
	if err != nil {
		return err
	}
	name := string(appendStrings(nil, []string{r.Organization, r.ID}))
	return tx.do(op{kind: opDeleteRole, num: num, rec: name, old: rec})
}

// Role returns a role's record, or ErrNotFound.
func (tx *Txn) Role(organization, id string) (Role, error) {
	num, err := tx.findRole(organization, id)
	if err != nil {
		return Role{}, err
	}
	r, _, err := tx.roleRecord(num)
	return r, err
}

// Roles returns the IDs of an organisation's roles, by folded ID, or
// ErrNotFound.
func (tx *Txn) Roles(organization string) ([]string, error) {
	org, err := tx.findOrganization(organization)
	if err != nil {
		return nil, err
	}
	nums := idlist.Decode(nil, tx.st.rolesOf.Get(org))
	slices.SortFunc(nums, tx.st.roles.compare)
	out := make([]string, len(nums))
	for i, n := range nums {
		out[i] = tx.st.roles.name(n)
	}
	return out, nil
}

// RoleHolders returns the members of an organisation that hold a role, or
// ErrNotFound.
func (tx *Txn) RoleHolders(organization, id string) (Set, error) {
	num, err := tx.findRole(organization, id)
	if err != nil {
		return Set{}, err
	}
	return tx.own(num)
}

func (tx *Txn) findRole(organization, id string) (uint32, error) {
	org, err := tx.findOrganization(organization)
	if err != nil {
		return 0, err
	}
	num, ok := tx.st.role(org, id)
	if !ok {
		return 0, fmt.Errorf("role %q of organisation %q: %w", clip(id), clip(organization), ErrNotFound)
	}
	return num, nil
}

func (tx *Txn) roleRecord(num uint32) (r Role, rec string, err error) {
	if rec, err = tx.st.record(&tx.e.folded, keyRoles, num); err == nil {
		rec = strings.Clone(rec)
		r, err = decodeRole(rec)
	}
	if err != nil {
		err = fmt.Errorf("role %q: %w", tx.st.roles.name(num), err)
	}
	return r, rec, err
}
