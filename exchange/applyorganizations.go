package exchange

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rosterdb/roster"
)

// What an import has to know of organisations before it writes, and how it
// writes them.

// orgFacts is what the check knows of one organisation.
type orgFacts struct {
	input   bool // a line defines it
	stored  bool
	roles   int      // as they will be; -1 as long as the store was not asked
	owners  int      // that come, less those that go
	demoted position // the last line that demotes an owner
	name    string   // when there is such a line
}

// uidChanges are uids that mean somebody else after the import than before it.
// An import must not depend on which of its lines come first.
type uidChanges struct {
	gone     map[uint32]bool   // by handle: users of the store that get another uid
	not      map[uint32]string // by record: a uid made of a user's id, which has another one
	assigned bool              // some users get a uid from the engine
}

// noteUID keeps in mind what becomes of a user's uid. A nil tx is a store that
// holds nothing.
func (a *applier) noteUID(tx *roster.Txn, rec *record) error {
	if rec.kind != kindUser || a.plan.count[kindOrgMembership] == 0 {
		return nil
	}
	id := a.ids[rec.slot]
	uid, own := rec.ownUID()
	switch {
	case id == absent:
		a.uids.assigned = a.uids.assigned || !own
		return nil
	case !own:
		return nil
	}
	if old, ok := tx.UserByUID(uid); ok && uint32(old) == id {
		return nil
	}
	if rec.has&hasUID == 0 {
		old, err := tx.User(roster.UserID(id))
		if err != nil {
			return err
		}
		if old.UID != assignedUID(old.Number) {
			a.uids.not[rec.slot] = uid // it has one of its own, which it keeps
			return nil
		}
	}
	a.uids.gone[id] = true
	return nil
}

// assignedUID is the uid of a user that brought none.
func assignedUID(number uint64) string { return "usr_" + strconv.FormatUint(number, 10) }

// resolveUser returns the user that a symbol of a uid stands for.
func (a *applier) resolveUser(sym symbol) (target, bool) {
	if a.uids.not[a.plan.symbols.stands[sym]] != "" {
		return target{}, false
	}
	return a.resolve(sym)
}

// checkOrganizations holds organisations, roles and memberships against each
// other and the store. A nil tx is a store that holds nothing.
func (a *applier) checkOrganizations(tx *roster.Txn) error {
	for _, step := range []struct {
		kind  kind
		check func(*roster.Txn, *orgRecord) error
	}{{kindRole, a.checkRole}, {kindOrgMembership, a.checkMembership}} {
		err := a.plan.eachOrganization(a.ctx, step.kind, func(rec *orgRecord) error { return step.check(tx, rec) })
		if err != nil {
			return err
		}
	}
	return a.checkOwners(tx)
}

// checkOwners names the first line that would take the last owner from an
// organisation.
func (a *applier) checkOwners(tx *roster.Txn) error {
	var first *orgFacts
	for _, o := range a.orgs {
		if o.demoted == 0 || first != nil && first.demoted < o.demoted {
			continue
		}
		owners, err := tx.OrgOwners(o.name)
		if err != nil {
			return err
		}
		if owners.Len()+o.owners < 1 {
			first = o
		}
	}
	if first == nil {
		return nil
	}
	return a.plan.fail(first.demoted, problemf(roster.ErrLastOwner, "the organisation %q would have no owner left: make another member one", first.name))
}

// organization returns what is known of an organisation, ErrUnresolved if
// nothing defines it.
func (a *applier) organization(tx *roster.Txn, id string) (*orgFacts, error) {
	k := a.plan.symbols.key(organizationKey(id))
	o := a.orgs[k]
	if o == nil {
		o = &orgFacts{input: a.plan.symbols.claimed(organizationKey(id)), roles: -1}
		if tx != nil {
			_, err := tx.Organization(id)
			if err != nil && !errors.Is(err, roster.ErrNotFound) {
				return nil, err
			}
			o.stored = err == nil
		}
		a.orgs[k] = o
	}
	if !o.input && !o.stored {
		return nil, problemf(ErrUnresolved, `the organisation %q is neither in the input nor in the store: add a line {"kind":"organization","id":%q}`, id, id)
	}
	return o, nil
}

func (a *applier) checkRole(tx *roster.Txn, rec *orgRecord) error {
	o, err := a.organization(tx, rec.organization)
	if err != nil {
		return err
	}
	if o.roles < 0 {
		o.roles = 0
		if o.stored {
			roles, err := tx.Roles(rec.organization)
			if err != nil {
				return err
			}
			o.roles = len(roles)
		}
	}
	if o.stored {
		old, err := tx.Role(rec.organization, rec.role)
		if err == nil {
			return rec.checkSize(old, roster.OrgMembership{})
		}
		if !errors.Is(err, roster.ErrNotFound) {
			return err
		}
	}
	if o.roles++; o.roles > maxRoles {
		return problemf(roster.ErrLimit, "the organisation %q would have more than %d roles", rec.organization, maxRoles)
	}
	return nil
}

func (a *applier) checkMembership(tx *roster.Txn, rec *orgRecord) error {
	o, err := a.organization(tx, rec.organization)
	if err != nil {
		return err
	}
	for _, id := range rec.roles {
		if a.plan.symbols.claimed(roleKey(rec.organization, id)) {
			continue
		}
		err := error(roster.ErrNotFound)
		if o.stored {
			_, err = tx.Role(rec.organization, id)
		}
		switch {
		case errors.Is(err, roster.ErrNotFound):
			return problemf(ErrUnresolved, "the role %q of organisation %q is neither in the input nor in the store", id, rec.organization)
		case err != nil:
			return err
		}
	}
	user, ok := a.resolveUser(rec.user)
	if !ok {
		return a.missingUser(rec)
	}
	a.sum.OrgMemberships++
	var old roster.OrgMembership
	if o.stored && user.id != absent {
		old, err = tx.OrgMembership(rec.organization, roster.UserID(user.id))
		if err != nil && !errors.Is(err, roster.ErrNotFound) {
			return err
		}
	}
	switch {
	case rec.demotes(old):
		o.owners--
		o.demoted, o.name = rec.at, rec.organization
		a.demotions[rec.at] = true
	case !old.Owner && rec.owner:
		o.owners++
	}
	return rec.checkSize(roster.Role{}, old)
}

// missingUser counts a user that nothing defines. One that this import might
// create, with a uid that the engine assigns, is an error: a second import of
// the same would find it.
func (a *applier) missingUser(rec *orgRecord) error {
	ref := a.plan.symbols.pending[rec.user]
	if ref == nil {
		ref = &reference{at: rec.at, name: a.uids.not[a.plan.symbols.stands[rec.user]]}
	}
	if a.uids.assigned {
		digits, ok := strings.CutPrefix(ref.name, "usr_")
		if n, err := strconv.ParseUint(digits, 10, 64); ok && err == nil && ref.name == assignedUID(n) {
			return problemf(ErrUnresolved, "the user %q is neither in the input nor in the store, and users of the input that bring no id may be given that uid: give them ids", ref.name)
		}
	}
	a.missing(ref)
	return nil
}

// writeOrganizations writes organisations, then roles, then memberships. Owners
// are demoted last, when those that come after them are there. Otherwise the
// order is the input's: a user's first membership becomes its default.
func (a *applier) writeOrganizations() error {
	b := batch[orgRecord]{applier: a, put: func(w writer, rec *orgRecord) error {
		return a.plan.fail(rec.at, a.putOrganization(w, rec))
	}}
	add := func(rec *orgRecord) error { return b.add(*rec, rec.size) }
	for _, k := range []kind{kindOrganization, kindRole} {
		err := a.plan.eachOrganization(a.ctx, k, add)
		if err == nil {
			err = b.flush()
		}
		if err != nil {
			return err
		}
	}
	return a.writeMemberships()
}

func (a *applier) writeMemberships() error {
	for _, demoting := range []bool{false, true} {
		b := batch[orgRecord]{applier: a, put: func(w writer, rec *orgRecord) error {
			return a.plan.fail(rec.at, a.putMembership(w, rec))
		}}
		if demoting && len(a.demotions) == 0 {
			break
		}
		err := a.plan.eachOrganization(a.ctx, kindOrgMembership, func(rec *orgRecord) error {
			if a.demotions[rec.at] != demoting {
				return nil
			}
			if _, ok := a.resolveUser(rec.user); !ok {
				a.progress(1)
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

// putOrganization creates an organisation or role, or changes what differs.
func (a *applier) putOrganization(w writer, rec *orgRecord) error {
	if rec.kind == kindOrganization {
		old, err := stored(w, func(tx *roster.Txn) (roster.Organization, error) {
			return tx.Organization(rec.organization)
		}, roster.Organization{})
		if err != nil {
			return err
		}
		return w.PutOrganization(rec.toOrganization(old))
	}
	old, err := stored(w, func(tx *roster.Txn) (roster.Role, error) {
		return tx.Role(rec.organization, rec.role)
	}, roster.Role{})
	if err != nil {
		return err
	}
	return w.PutRole(rec.toRole(old))
}

// putMembership creates a membership or changes what differs.
func (a *applier) putMembership(w writer, rec *orgRecord) error {
	user, _ := a.resolveUser(rec.user)
	id := roster.UserID(user.id)
	old, err := stored(w, func(tx *roster.Txn) (roster.OrgMembership, error) {
		return tx.OrgMembership(rec.organization, id)
	}, roster.OrgMembership{})
	if err != nil {
		return err
	}
	m := rec.toMembership(old)
	m.User = id
	if err := w.PutOrgMembership(m); err != nil {
		return fmt.Errorf("membership of %q: %w", rec.organization, err)
	}
	return nil
}
