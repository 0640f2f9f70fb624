package rebilly

import (
	"slices"

	"github.com/rosterdb/roster"
)

// Lists that need the record of each membership, or of each user.

// row is a membership with what it is filtered and sorted by.
type row struct {
	part *part
	id   roster.UserID
	m    roster.OrgMembership
	user roster.User
}

// needsRecords returns the first field of the filter or the order that only
// records tell, "" if there is none.
func (l *lister) needsRecords() string {
	for i := range l.filters {
		if f := l.filters[i].field; f == "isDefault" || f == "permissions" {
			return f
		}
	}
	for _, k := range l.sort {
		switch k.field {
		case "isDefault", "user.id", "user.name", "user.email":
			return k.field
		}
	}
	return ""
}

// fromRecords answers the page from all memberships that the sets have left, if
// they are not too many. Field is what needs that.
func (l *lister) fromRecords(at page, field string) (answer, error) {
	n := 0
	for i := range l.parts {
		n += l.parts[i].users.Len()
	}
	if n > l.h.o.MaxScan {
		return answer{}, tooMany(field, l.h.o.MaxScan)
	}
	var rows []row
	for i := range l.parts {
		p := &l.parts[i]
		for u := range p.users.ByName("") {
			if err := l.ctx.Err(); err != nil {
				return answer{}, err
			}
			r, err := l.row(p, u)
			if err != nil {
				return answer{}, err
			}
			if l.passes(&r) {
				rows = append(rows, r)
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return l.compareRows(&a, &b) })
	var items []any
	for _, r := range cut(at, rows) {
		m, err := l.w.membership(r.part.org.ID, r.id)
		if err != nil {
			return answer{}, err
		}
		items = append(items, m)
	}
	return at.list(len(rows), items), nil
}

func (l *lister) row(p *part, u roster.UserID) (r row, err error) {
	r = row{part: p, id: u}
	if r.m, err = l.tx.OrgMembership(p.org.ID, u); err != nil {
		return r, err
	}
	if len(l.sort) > 0 {
		r.user, err = l.tx.User(u)
	}
	return r, err
}

func (l *lister) passes(r *row) bool {
	for i := range l.filters {
		f := &l.filters[i]
		if f.field == "isDefault" && !f.holdsBool(r.m.Default) || f.field == "permissions" && !f.holdsText(r.m.Permissions...) {
			return false
		}
	}
	return true
}

func (l *lister) compareRows(a, b *row) int {
	for _, k := range l.sort {
		var c int
		switch k.field {
		case "isDefault":
			c = compareBool(a.m.Default, b.m.Default)
		case "user.id":
			c = compareText(a.user.UID, b.user.UID)
		case "user.name":
			c = compareText(nameOf(&a.user), nameOf(&b.user))
		case "user.email":
			c = compareText(a.user.Email, b.user.Email)
		default:
			c = compareOrganizations(k.field, a.part, b.part)
		}
		if c != 0 {
			return k.turn(c)
		}
	}
	return 0
}
