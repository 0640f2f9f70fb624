package directory

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/text"
)

// Attributes by which a Link knows its users.
const (
	// KeyAttribute holds the key by which the source knows a user. A user with
	// it belongs to the Link of its directory; taking it away makes the user one
	// that was made by hand, until an entry of its name is found again.
	KeyAttribute = "sourceKey"
	// GoneAttribute is there while the source does not have the user: "true", or
	// "inactive" if the user was not active before either.
	GoneAttribute = "sourceGone"
)

// wasInactive is the value of GoneAttribute that keeps a user inactive that comes
// back.
const wasInactive = "inactive"

// desired returns what a record is to be, given what the source says.
func desired(rec roster.User, src *User) roster.User {
	rec.Username, rec.Revision = text.Normal(src.Name), 0
	if src.Silent&FullName == 0 {
		rec.FullName = src.FullName
	}
	if src.Silent&Email == 0 {
		rec.Email = src.Email
	}
	if src.Silent&Description == 0 {
		rec.Description = src.Description
	}
	gone := rec.Attributes[GoneAttribute]
	switch {
	case src.Silent&Active == 0:
		rec.Active = src.Active
	case len(gone) > 0 && gone[0] != wasInactive:
		rec.Active = true
	}
	attributes := maps.Clone(rec.Attributes)
	if attributes == nil {
		attributes = map[string][]string{}
	}
	delete(attributes, GoneAttribute)
	for name, values := range src.Attributes {
		if len(values) == 0 {
			delete(attributes, name)
		} else {
			attributes[name] = values
		}
	}
	attributes[KeyAttribute] = []string{keyOf(src.Key, src.Name)}
	rec.Attributes = attributes
	return rec
}

// difference says what is different about two records of a user.
func difference(old, want *roster.User) What {
	var what What
	if old.Username != want.Username {
		what |= Renamed
	}
	switch {
	case old.Active && !want.Active:
		what |= Deactivated
	case !old.Active && want.Active:
		what |= Activated
	}
	if old.FullName != want.FullName || old.Email != want.Email || old.Description != want.Description ||
		!maps.EqualFunc(old.Attributes, want.Attributes, slices.Equal[[]string]) {
		what |= Changed
	}
	return what
}

// groupUID returns the uid that a group of the source gets.
func (p *plan) groupUID(g *grp) string {
	if g.key == "" {
		return ""
	}
	return uidPrefix(p.dir.ID) + g.key
}

func uidPrefix(d roster.DirectoryID) string { return fmt.Sprintf("dir%d_", d) }

// groupLink returns the key that a group is linked by, "" if it has none.
func groupLink(g *roster.Group) string {
	key, ok := strings.CutPrefix(g.UID, uidPrefix(g.Directory))
	if !ok {
		return ""
	}
	return key
}

// desiredGroup is desired for groups. A uid that somebody chose stays.
func (p *plan) desiredGroup(rec roster.Group, src *grp) roster.Group {
	rec.Name, rec.Enterprise, rec.Revision = text.Normal(src.name), true, 0
	if src.silent&Description == 0 {
		rec.Description = src.description
	}
	given := rec.UID != "" && rec.UID != "grp_"+strconv.FormatUint(rec.Number, 10)
	if uid := p.groupUID(src); uid != "" && (!given || groupLink(&rec) != "") {
		rec.UID = uid
	}
	return rec
}

// claim is a name that a record is to have.
type claim struct {
	name string
	id   uint32 // absent for a new one
}

// claims are the names that the puts of a plan, by their index, are to have.
type claims struct {
	what    string // users or groups, in the singular
	by      map[int]claim
	leaving map[uint32]bool // who gives its name up
	holder  func(name string) (uint32, bool)
	drop    func(n int)     // takes the name off a put
	lost    map[uint32]bool // who is gone
	aside   *[]aside        // and has to give its name up
}

// settleNames adds what is to be created, and drops new names that somebody
// keeps.
func (p *plan) settleNames(tx *roster.Txn) {
	users := claims{
		what: "user", by: map[int]claim{}, leaving: map[uint32]bool{},
		holder: func(name string) (uint32, bool) { id, ok := tx.UserByName(p.dir.ID, name); return uint32(id), ok },
		drop: func(n int) {
			put := &p.putUsers[n]
			if put.what&Created != 0 {
				p.nameless[put.index] = true
			}
			put.name, put.what = put.keep()
		},
		lost: p.lostUsers, aside: &p.aside,
	}
	for i := range p.users.len() {
		if p.ids[i] == absent && !p.unusable[i] {
			p.putUsers = append(p.putUsers, userPut{i, absent, "", text.Normal(p.users.name(i)), Created})
		}
	}
	for n := range p.putUsers {
		users.add(n, uint32(p.putUsers[n].id), p.putUsers[n].name, p.putUsers[n].what)
	}
	for _, g := range p.gone {
		if g.delete {
			users.leaving[uint32(g.id)] = true
		}
	}
	groups := claims{
		what: "group", by: map[int]claim{}, leaving: map[uint32]bool{},
		holder: func(name string) (uint32, bool) { id, ok := tx.GroupByName(p.dir.ID, name); return uint32(id), ok },
		drop: func(n int) {
			put := &p.putGroups[n]
			if put.what&Created != 0 {
				p.groups[put.index].bad = true
			}
			put.name, put.what = put.keep()
		},
		lost: p.lostGroups, aside: &p.asideG,
	}
	for i := range p.groups {
		if p.groupIDs[i] == absent && !p.groups[i].bad {
			p.putGroups = append(p.putGroups, groupPut{i, absent, "", text.Normal(p.groups[i].name), Created})
		}
	}
	for n := range p.putGroups {
		groups.add(n, uint32(p.putGroups[n].id), p.putGroups[n].name, p.putGroups[n].what)
	}
	if !p.newDir {
		p.settle(&users)
		p.settle(&groups)
	}
	p.putUsers = slices.DeleteFunc(p.putUsers, func(put userPut) bool { return put.what == 0 })
	p.putGroups = slices.DeleteFunc(p.putGroups, func(put groupPut) bool { return put.what == 0 })
}

func (c *claims) add(n int, id uint32, name string, what What) {
	if what&(Created|Renamed) == 0 {
		return
	}
	c.by[n] = claim{name, id}
	if id != absent {
		c.leaving[id] = true
	}
}

// keep returns what is left of a put that does not get its name: a new record
// nothing, an old one its old name.
func (put *userPut) keep() (string, What)  { return put.was, put.what &^ (Created | Renamed) }
func (put *groupPut) keep() (string, What) { return put.was, put.what &^ (Created | Renamed) }

// settle drops claims of names whose holders keep them, until none is left: who
// may not be renamed keeps its own name from others.
func (p *plan) settle(c *claims) {
	for dropped := true; dropped; {
		dropped = false
		for _, n := range slices.Sorted(maps.Keys(c.by)) {
			claim := c.by[n]
			h, held := c.holder(claim.name)
			if !held || h == claim.id || c.leaving[h] {
				continue
			}
			if c.lost[h] {
				c.stepAside(h, claim.name)
				continue
			}
			err := fmt.Errorf("directory %q has another %s of that name: rename or delete it", p.dir.Name, c.what)
			p.problems = append(p.problems, &EntryError{claim.name, err})
			c.drop(n)
			delete(c.by, n)
			delete(c.leaving, claim.id)
			dropped = true
		}
	}
}

// stepAside gives somebody who is gone another name: that of before with a tilde
// and a number.
func (c *claims) stepAside(h uint32, name string) {
	c.leaving[h] = true
	for n := 1; ; n++ {
		now := fmt.Sprintf("%s~%d", name[:min(len(name), 200)], n)
		now = strings.ToValidUTF8(now, "")
		_, taken := c.holder(now)
		for _, other := range c.by {
			taken = taken || text.Fold(other.name) == text.Fold(now)
		}
		for _, other := range *c.aside {
			taken = taken || text.Fold(other.now) == text.Fold(now)
		}
		if !taken {
			*c.aside = append(*c.aside, aside{h, name, now})
			return
		}
	}
}
