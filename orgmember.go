package roster

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// PutOrgMembership makes a user a member of an organisation, or changes what its
// membership says, every field of it, and reports whether anything changed. It
// returns ErrNotFound if the organisation, the user or a role does not exist,
// ErrInvalid for a network that is not public, ErrLastOwner if the last owner
// would be one no longer, and ErrConflict if m.Revision is neither 0 nor that of
// the record.
//
// The first membership of a user is its default. Default moves that to this one;
// without it the default stays where it is. For the times see PutOrganization.
func (tx *Txn) PutOrgMembership(m OrgMembership) (changed bool, err error) {
	if err := tx.writable(); err != nil {
		return false, err
	}
	org, err := tx.findOrganization(m.Organization)
	if err != nil {
		return false, err
	}
	m.Organization = tx.st.orgs.name(org)
	u := uint32(m.User)
	if !tx.st.contains(u, setAll) {
		return false, fmt.Errorf("%v: %w", m.User, ErrNotFound)
	}
	if err := tx.checkMembership(org, &m); err != nil {
		return false, fmt.Errorf("%s in organisation %q: %w", tx.called(m.User), m.Organization, err)
	}
	joined := tx.st.joined(u)
	if !tx.st.contains(u, org) {
		m.Created, m.Updated = timeOr(m.Created, tx.now()), timeOr(m.Updated, tx.now())
		if err := tx.moveDefault(&m, joined); err != nil {
			return false, err
		}
		return true, tx.putMembership(org, &m, "")
	}
	old, rec, err := tx.membershipRecord(org, u)
	if err != nil {
		return false, err
	}
	if err := checkRevision(m.Revision, old.Revision); err != nil {
		return false, fmt.Errorf("%s in organisation %q: %w", tx.called(m.User), m.Organization, err)
	}
	if old.Owner && !m.Owner {
		if err := tx.sparesOwner(org); err != nil {
			return false, err
		}
	}
	same := m.Owner == old.Owner && (old.Default || !m.Default) && slices.Equal(m.Roles, old.Roles) &&
		slices.Equal(m.Permissions, old.Permissions) && slices.Equal(m.AllowedIPs, old.AllowedIPs)
	if !tx.stamp(&m.Created, &m.Updated, old.Created, old.Updated, same) {
		return false, nil
	}
	if old.Default {
		m.Default = true
	} else if err := tx.moveDefault(&m, joined); err != nil {
		return false, err
	}
	return true, tx.putMembership(org, &m, rec)
}

// moveDefault makes m the default if it asks for that or is the first, and
// takes it from the one that has it.
func (tx *Txn) moveDefault(m *OrgMembership, joined joinedList) error {
	if joined == "" {
		m.Default = true
		return nil
	}
	if !m.Default {
		return nil
	}
	return tx.setDefault(joined.standard(), uint32(m.User), false)
}

// setDefault changes whether a membership is the default, and not when it was
// updated: what the membership says is the same.
func (tx *Txn) setDefault(org, u uint32, is bool) error {
	m, rec, err := tx.membershipRecord(org, u)
	if err != nil {
		return err
	}
	m.Default = is
	return tx.putMembership(org, &m, rec)
}

// putMembership stores a membership that was checked. Old is its record before.
func (tx *Txn) putMembership(org uint32, m *OrgMembership, old string) error {
	m.Revision = tx.st.rev + 1
	roles, err := tx.roleNumbers(org, m.Roles)
	if err != nil {
		return err
	}
	rec := encodeMembership(m, roles)
	return tx.do(op{kind: opPutMembership, num: org, user: uint32(m.User), rec: rec, old: old})
}

// checkMembership normalises a membership and returns why it cannot be stored.
func (tx *Txn) checkMembership(org uint32, m *OrgMembership) (err error) {
	if len(m.Roles) > maxListed {
		return fmt.Errorf("more than %d roles: %w", maxListed, ErrInvalid)
	}
	roles, err := tx.roleNumbers(org, m.Roles)
	if err != nil {
		return err
	}
	slices.SortFunc(roles, tx.st.roles.compare)
	roles = slices.Compact(roles)
	m.Roles = nil
	for _, r := range roles {
		m.Roles = append(m.Roles, tx.st.roles.name(r))
	}
	if m.Permissions, err = checkPermissions(m.Permissions); err != nil {
		return err
	}
	if m.AllowedIPs, err = checkNetworks(m.AllowedIPs); err != nil {
		return err
	}
	if len(encodeMembership(m, roles)) > maxRecord {
		return fmt.Errorf("record of more than %d bytes: %w", maxRecord, ErrInvalid)
	}
	return nil
}

func (tx *Txn) roleNumbers(org uint32, ids []string) ([]uint32, error) {
	out := make([]uint32, len(ids))
	for i, id := range ids {
		num, ok := tx.st.role(org, id)
		if !ok {
			return nil, fmt.Errorf("role %q: %w", clip(id), ErrNotFound)
		}
		out[i] = num
	}
	return out, nil
}

// checkNetworks returns the networks as PublicNetwork does, each once.
func checkNetworks(list []netip.Prefix) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, p := range list {
		p, err := PublicNetwork(p)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
		if len(out) > maxListed {
			return nil, fmt.Errorf("more than %d allowed networks: %w", maxListed, ErrInvalid)
		}
	}
	return out, nil
}

// PublicNetwork returns a network as OrgMembership.AllowedIPs keeps it: masked,
// one of IPv4 as such. It returns ErrInvalid for one from which nobody comes over
// the internet (private, shared, loopback, link-local, multicast and reserved
// addresses), and for one that holds such a network.
func PublicNetwork(p netip.Prefix) (netip.Prefix, error) {
	if !p.IsValid() {
		return p, fmt.Errorf("allowed network %v: %w", p, ErrInvalid)
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	p = p.Masked()
	for _, private := range privateNetworks {
		if p.Overlaps(private) {
			return p, fmt.Errorf("allowed network %v: %v is not public: %w", p, private, ErrInvalid)
		}
	}
	return p, nil
}

// privateNetworks are those that cannot be the source of a connection over the
// internet, by the IANA registries of special-purpose and multicast addresses.
var privateNetworks = func() (out []netip.Prefix) {
	for _, s := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
		"224.0.0.0/4", "240.0.0.0/4",
		"::/128", "::1/128", "::ffff:0:0/96", "fc00::/7", "fe80::/10", "ff00::/8",
	} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}()

// sparesOwner returns ErrLastOwner unless an organisation has more than one.
func (tx *Txn) sparesOwner(org uint32) error {
	if tx.st.len(ownersOf(org)) > 1 {
		return nil
	}
	return fmt.Errorf("organisation %q: %w", tx.st.orgs.name(org), ErrLastOwner)
}

// DeleteOrgMembership ends a user's membership of an organisation. It returns
// ErrNotFound if there is none, and ErrLastOwner for that of the last owner. If
// it was the user's default, the oldest of the others becomes that.
func (tx *Txn) DeleteOrgMembership(organization string, user UserID) error {
	if err := tx.writable(); err != nil {
		return err
	}
	org, err := tx.findMembership(organization, user)
	if err != nil {
		return err
	}
	return tx.endMembership(org, uint32(user), false)
}

// endMembership deletes a membership that exists; the last owner's only if its
// organisation is about to be deleted.
func (tx *Txn) endMembership(org, u uint32, deleting bool) error {
	m, rec, err := tx.membershipRecord(org, u)
	if err != nil {
		return err
	}
	if m.Owner && !deleting {
		if err := tx.sparesOwner(org); err != nil {
			return err
		}
	}
	if m.Default {
		if next, ok := tx.st.joined(u).oldestBut(org); ok {
			if err := tx.setDefault(next, u, true); err != nil {
				return err
			}
		}
	}
	return tx.do(op{kind: opDeleteMembership, num: org, user: u, rec: strings.Clone(m.Organization), old: rec})
}

// leaveAll ends all memberships of a user that is about to be deleted, or
// returns ErrLastOwner, having changed nothing.
func (tx *Txn) leaveAll(u uint32) error {
	var orgs []uint32
	for j := range tx.st.joined(u).all() {
		if tx.st.contains(u, ownersOf(j.org)) {
			if err := tx.sparesOwner(j.org); err != nil {
				return fmt.Errorf("%s: %w", tx.called(UserID(u)), err)
			}
		}
		orgs = append(orgs, j.org)
	}
	for _, org := range orgs { // the newest first: the default is the last to move
		m, rec, err := tx.membershipRecord(org, u)
		if err == nil {
			err = tx.do(op{kind: opDeleteMembership, num: org, user: u, rec: m.Organization, old: rec})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// OrgMembership returns a user's membership of an organisation, or ErrNotFound.
func (tx *Txn) OrgMembership(organization string, user UserID) (OrgMembership, error) {
	org, err := tx.findMembership(organization, user)
	if err != nil {
		return OrgMembership{}, err
	}
	m, _, err := tx.membershipRecord(org, uint32(user))
	return m, err
}

// Permissions returns what a member of an organisation may do there: the union
// of its own permissions and those of its roles, sorted. All of them, of an
// owner too, are AllPermissions alone. It returns ErrNotFound for who is no
// member.
func (tx *Txn) Permissions(organization string, user UserID) ([]string, error) {
	m, err := tx.OrgMembership(organization, user)
	if err != nil {
		return nil, err
	}
	all := m.Permissions
	for _, id := range m.Roles {
		r, err := tx.Role(organization, id)
		if err != nil {
			return nil, err
		}
		all = append(all, r.Permissions...)
	}
	if m.Owner || slices.Contains(all, AllPermissions) {
		return []string{AllPermissions}, nil
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// called returns what an error calls a user.
func (tx *Txn) called(u UserID) string {
	if name := tx.Username(u); name != "" {
		return fmt.Sprintf("user %q", name)
	}
	return u.String()
}

// findMembership returns the number of the organisation of a membership that
// exists.
func (tx *Txn) findMembership(organization string, user UserID) (uint32, error) {
	org, err := tx.findOrganization(organization)
	if err != nil {
		return 0, err
	}
	if !tx.st.contains(uint32(user), org) {
		return 0, fmt.Errorf("%s in organisation %q: %w", tx.called(user), clip(organization), ErrNotFound)
	}
	return org, nil
}

func (tx *Txn) membershipRecord(org, u uint32) (m OrgMembership, rec string, err error) {
	if rec, err = tx.st.membershipRecord(&tx.e.folded, org, u); err == nil {
		rec = strings.Clone(rec)
		m, err = decodeMembership(UserID(u), rec)
	}
	if err != nil {
		err = fmt.Errorf("%s in organisation %q: %w", tx.called(UserID(u)), tx.st.orgs.name(org), err)
	}
	return m, rec, err
}
