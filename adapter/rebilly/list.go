package rebilly

import (
	"cmp"
	"slices"
	"strings"

	"github.com/rosterdb/roster"
)

// membershipFields are what memberships can be filtered by.
var membershipFields = map[string]kind{
	"organization.id": aText, "organization.name": aText, "organization.createdTime": aTime, "organization.updatedTime": aTime,
	"user.id": aText, "user.email": aText, "user.name": aText,
	"isOwner": aBool, "isDefault": aBool, "roleIds": aText, "permissions": aText,
}

// membershipSorts are what they can be sorted by.
var membershipSorts = []string{
	"organization.id", "organization.name", "organization.createdTime", "organization.updatedTime", "isOwner",
	"isDefault", "user.id", "user.name", "user.email",
}

// part is the memberships of some users in one organisation, all owners or none
// if the list is sorted by that. A list is parts one after the other, and in each
// the users by name: how many there are and which are on a page is known without
// reading a record.
type part struct {
	org   roster.Organization
	owner bool
	users roster.Set
}

// lister makes the list of memberships of one request.
type lister struct {
	*call
	tx      *roster.Txn
	w       *writer
	filters []clause
	sort    []sortKey
	users   []roster.Set // who matches the condition of that number, if it is one on users
	parts   []part
}

func (c *call) listMemberships() (a answer, err error) {
	page, err := c.page()
	if err != nil {
		return a, err
	}
	l := lister{call: c}
	if l.filters, err = parseFilter(c.query["filter"], membershipFields); err != nil {
		return a, err
	}
	if l.sort, err = c.query.sorting(membershipSorts...); err != nil {
		return a, err
	}
	roles, err := c.query.expansion()
	if err != nil {
		return a, err
	}
	err = c.view(func(tx *roster.Txn) error {
		l.tx, l.w = tx, c.h.writer(tx, roles)
		if err := l.collect(); err != nil {
			return err
		}
		if field := l.needsRecords(); field != "" {
			a, err = l.fromRecords(page, field)
		} else {
			a, err = l.fromSets(page)
		}
		return err
	})
	return a, err
}

// collect finds the parts of the list, in its order.
func (l *lister) collect() error {
	orgs, err := l.organizations()
	if err != nil {
		return err
	}
	if err := l.findUsers(orgs); err != nil {
		return err
	}
	for i, id := range orgs {
		if i%256 == 0 {
			if err := l.ctx.Err(); err != nil {
				return err
			}
		}
		if err := l.add(id); err != nil {
			return err
		}
	}
	slices.SortStableFunc(l.parts, l.compareParts)
	return nil
}

// organizations returns the IDs of the organisations that the list may come from,
// each once, by ID: the fewest that are known to be enough.
func (l *lister) organizations() (ids []string, err error) {
	switch orgs, users := l.asked("organization.id"), l.asked("user.id"); {
	case l.scope != "":
		ids = []string{l.scope}
	case orgs != nil:
		ids = orgs
	case users != nil:
		found, err := l.usersByID(l.tx, users, func() (roster.Set, error) { return l.neighbours(l.tx) })
		if err != nil {
			return nil, err
		}
		if ids, err = l.organizationsOf(found); err != nil {
			return nil, err
		}
	default:
		if ids, err = l.reachable(l.tx, "organization.id"); err != nil {
			return nil, err
		}
	}
	out := make([]string, 0, len(ids))
	for _, id := range ids {
		o, err := l.w.organization(id)
		switch {
		case err == nil:
			out = append(out, o.ID)
		case !isNotFound(err):
			return nil, err
		case l.scope != "":
			return nil, notFound("organization", id)
		}
	}
	slices.SortFunc(out, compareText)
	return slices.Compact(out), nil
}

// organizationsOf returns the IDs of the organisations that some users are in, each
// once, of those that the caller has to do with: of others nothing is told, not even
// that they are too many. Those of one user are its own affair; of several there must not
// be too many.
func (l *lister) organizationsOf(users []roster.UserID) (ids []string, err error) {
	known := map[string]bool{}
	own := map[string]bool{}
	if !l.all() {
		of, err := l.reachable(l.tx, "user.id")
		if err != nil {
			return nil, err
		}
		for _, id := range of {
			own[id] = true
		}
	}
	for _, u := range users {
		if err := l.ctx.Err(); err != nil {
			return nil, err
		}
		of, err := l.tx.OrganizationsOf(u)
		if err != nil {
			return nil, err
		}
		for _, id := range of {
			if !known[id] && (own[id] || l.all()) {
				known[id] = true
				ids = append(ids, id)
			}
		}
		if len(users) > 1 && len(ids) > l.h.o.MaxScan {
			return nil, tooMany("user.id", l.h.o.MaxScan)
		}
	}
	return ids, nil
}

// reachable returns the IDs of the organisations that the caller has to do with.
func (c *call) reachable(tx *roster.Txn, field string) (ids []string, err error) {
	if !c.all() {
		if ids, err = tx.OrganizationsOf(c.p.User); isNotFound(err) {
			return nil, nil // the host lets in somebody whom the engine does not know
		}
		return ids, err
	}
	for id := range tx.Organizations("") {
		if len(ids) == c.h.o.MaxScan {
			return nil, tooMany(field, c.h.o.MaxScan)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// asked returns the values of a condition on a field that is not negated, nil if
// there is none.
func (l *lister) asked(field string) []string {
	for i := range l.filters {
		if f := &l.filters[i]; f.field == field && !f.not {
			return f.texts
		}
	}
	return nil
}

// add adds the memberships of one organisation that the caller may see and the
// filter lets pass.
func (l *lister) add(id string) error {
	may, err := l.p.MayIn(l.tx, id, "GetMembershipCollection")
	if err != nil {
		return err
	}
	if !may && l.scope != "" {
		return forbidden("You may not list the memberships of this organization.")
	}
	org, err := l.w.organization(id)
	if err != nil || !l.holdsFor(&org) {
		return err
	}
	p := part{org: org}
	if p.users, err = l.seen(org.ID, may); err != nil {
		return err
	}
	owners, err := l.tx.OrgOwners(org.ID)
	if err != nil {
		return err
	}
	for i := range l.filters {
		f := &l.filters[i]
		switch {
		case f.field == "isOwner":
			p.users = pick(p.users, owners, f)
		case f.field == "roleIds":
			holders, err := l.holders(org.ID, f.texts)
			if err != nil {
				return err
			}
			p.users = narrow(p.users, holders, f.not)
		case strings.HasPrefix(f.field, "user."):
			p.users = narrow(p.users, l.users[i], f.not)
		}
	}
	l.split(p, owners)
	return nil
}

// split adds a part, or one of its owners and one of the others if the list is
// sorted by that.
func (l *lister) split(p part, owners roster.Set) {
	if !slices.ContainsFunc(l.sort, func(k sortKey) bool { return k.field == "isOwner" }) {
		if p.users.Len() > 0 {
			l.parts = append(l.parts, p)
		}
		return
	}
	for _, q := range []part{{p.org, true, p.users.And(owners)}, {p.org, false, p.users.AndNot(owners)}} {
		if q.users.Len() > 0 {
			l.parts = append(l.parts, q)
		}
	}
}

// seen returns the members of an organisation whose memberships the caller sees: all
// if it may list them, or itself if it may act there from where it is.
func (l *lister) seen(org string, all bool) (roster.Set, error) {
	if all {
		return l.tx.OrgMembers(org)
	}
	if may, err := l.mayBeIn(l.tx, org); err != nil || !may {
		return roster.Set{}, err
	}
	return l.tx.SetOf(l.p.User)
}

// pick leaves those in a set for whom a yes or no is as a condition wants it.
func pick(set, yes roster.Set, f *clause) roster.Set {
	switch wantYes, wantNo := f.holdsBool(true), f.holdsBool(false); {
	case wantYes && wantNo:
		return set
	case wantYes:
		return set.And(yes)
	case wantNo:
		return set.AndNot(yes)
	}
	return roster.Set{}
}

func (l *lister) holders(org string, roles []string) (out roster.Set, err error) {
	for _, id := range roles {
		set, err := l.tx.RoleHolders(org, id)
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return out, err
		}
		out = out.Or(set)
	}
	return out, nil
}

// holdsFor reports whether the conditions on organisations hold.
func (l *lister) holdsFor(o *roster.Organization) bool {
	for i := range l.filters {
		f := &l.filters[i]
		ok := true
		switch f.field {
		case "organization.id":
			ok = f.holdsText(o.ID)
		case "organization.name":
			ok = f.holdsText(o.Name)
		case "organization.createdTime":
			ok = f.holdsTime(o.Created)
		case "organization.updatedTime":
			ok = f.holdsTime(o.Updated)
		}
		if !ok {
			return false
		}
	}
	return true
}

// compareParts orders parts by what sort says of them.
func (l *lister) compareParts(a, b part) int {
	for _, k := range l.sort {
		if c := k.turn(compareOrganizations(k.field, &a, &b)); c != 0 {
			return c
		}
	}
	return 0
}

func compareOrganizations(field string, a, b *part) int {
	switch field {
	case "organization.id":
		return compareText(a.org.ID, b.org.ID)
	case "organization.name":
		return compareText(a.org.Name, b.org.Name)
	case "organization.createdTime":
		return a.org.Created.Compare(b.org.Created)
	case "organization.updatedTime":
		return a.org.Updated.Compare(b.org.Updated)
	case "isOwner":
		return compareBool(a.owner, b.owner)
	}
	return 0
}

func (k sortKey) turn(c int) int {
	if k.down {
		return -c
	}
	return c
}

// compareText orders texts without regard to capital letters, and by them where
// nothing else differs.
func compareText(a, b string) int {
	return cmp.Or(strings.Compare(strings.ToLower(a), strings.ToLower(b)), strings.Compare(a, b))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// fromSets answers the page without looking at more memberships than it shows.
func (l *lister) fromSets(at page) (answer, error) {
	total, skip := 0, at.offset
	var items []any
	for i := range l.parts {
		p := &l.parts[i]
		n := p.users.Len()
		total += n
		if skip >= n || len(items) == at.limit {
			skip = max(0, skip-n)
			continue
		}
		for u := range p.users.ByName("") {
			if skip > 0 {
				skip--
				continue
			}
			if len(items) == at.limit {
				break
			}
			m, err := l.w.membership(p.org.ID, u)
			if err != nil {
				return answer{}, err
			}
			items = append(items, m)
			if err := l.ctx.Err(); err != nil {
				return answer{}, err
			}
		}
	}
	return at.list(total, items), nil
}
