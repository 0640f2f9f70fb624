package directory

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/rosterdb/roster"
)

// apply writes a plan in a transaction of the revision that it was made of.
func (p *plan) apply(tx *roster.Txn) error {
	if p.newDir {
		if _, err := tx.PutDirectory(p.dir); err != nil {
			return err
		}
	}
	for _, step := range []func(*roster.Txn) error{
		p.leaveGroups, p.applyGone, p.stepAside, p.applyUsers, p.applyGroups, p.joinGroups, p.dropGroups,
	} {
		if err := step(tx); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) leaveGroups(tx *roster.Txn) error {
	users := map[roster.GroupID][]roster.UserID{}
	subs := map[roster.GroupID][]roster.GroupID{}
	for _, l := range p.leave {
		if l.isSub {
			subs[l.group] = append(subs[l.group], l.sub)
		} else {
			users[l.group] = append(users[l.group], l.user)
		}
	}
	for _, g := range slices.Sorted(maps.Keys(users)) {
		if _, err := tx.Remove(g, users[g]...); err != nil {
			return err
		}
	}
	for _, g := range slices.Sorted(maps.Keys(subs)) {
		if _, err := tx.Unnest(g, subs[g]...); err != nil {
			return err
		}
	}
	return nil
}

// applyGone deletes or deactivates the users that are gone.
func (p *plan) applyGone(tx *roster.Txn) error {
	for _, g := range p.gone {
		if !g.write {
			continue
		}
		if g.delete {
			if err := tx.DeleteUser(g.id); err != nil {
				return err
			}
			continue
		}
		rec, err := tx.User(g.id)
		if err != nil {
			return err
		}
		gone := "true"
		if !rec.Active {
			gone = wasInactive
		}
		attributes := map[string][]string{GoneAttribute: {gone}}
		maps.Copy(attributes, rec.Attributes)
		rec.Active, rec.Revision, rec.Attributes = false, 0, attributes
		if _, err := tx.PutUser(rec); err != nil {
			return err
		}
	}
	return nil
}

// stepAside renames those that are gone and whose names others have.
func (p *plan) stepAside(tx *roster.Txn) error {
	for _, a := range p.aside {
		rec, err := tx.User(roster.UserID(a.id))
		if err != nil {
			return err
		}
		rec.Username, rec.Revision = a.now, 0
		if _, err := tx.PutUser(rec); err != nil {
			return err
		}
	}
	for _, a := range p.asideG {
		rec, err := tx.Group(roster.GroupID(a.id))
		if err != nil {
			return err
		}
		rec.Name, rec.Revision = a.now, 0
		if _, err := tx.PutGroup(rec); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) applyUsers(tx *roster.Txn) error {
	var renames []rename
	for n := range p.putUsers {
		put := &p.putUsers[n]
		if put.what&Created != 0 {
			continue
		}
		write := func(name string) error { return p.writeUser(tx, put, name) }
		if put.what&Renamed != 0 {
			renames = append(renames, rename{put.name, uint32(put.id), write})
			continue
		}
		if err := p.tolerate(put.name, write(put.name)); err != nil {
			return err
		}
	}
	if err := p.renameAll(renames); err != nil {
		return err
	}
	for n := range p.putUsers {
		put := &p.putUsers[n]
		if put.what&Created == 0 {
			continue
		}
		src := p.users.get(put.index)
		rec := desired(roster.User{Directory: p.dir.ID, Active: true}, &src)
		id, err := tx.CreateUser(rec)
		if err == nil {
			p.ids[put.index] = id
		} else if err := p.tolerate(put.name, err); err != nil {
			return err
		}
	}
	return nil
}

// writeUser gives an existing user's record what the source says, under a name.
func (p *plan) writeUser(tx *roster.Txn, put *userPut, name string) error {
	rec, err := tx.User(put.id)
	if err != nil {
		return err
	}
	src := p.users.get(put.index)
	rec = desired(rec, &src)
	rec.Username = name
	_, err = tx.PutUser(rec)
	return err
}

// tolerate takes a record that the engine does not take for a problem of that
// record: with attributes that were added by hand it may be too large.
func (p *plan) tolerate(name string, err error) error {
	if errors.Is(err, roster.ErrInvalid) {
		p.problems = append(p.problems, &EntryError{name, err})
		return nil
	}
	return err
}

// rename is a record that gets another name.
type rename struct {
	to    string
	id    uint32
	write func(name string) error
}

// renameAll renames records, each when its name is free. Those that wait for each
// other, two that swap names say, are given a name in between.
func (p *plan) renameAll(pending []rename) error {
	for spare := 0; len(pending) > 0; {
		var rest []rename
		for _, r := range pending {
			err := r.write(r.to)
			if errors.Is(err, roster.ErrExists) {
				rest = append(rest, r)
			} else if err := p.tolerate(r.to, err); err != nil {
				return err
			}
		}
		if len(rest) == len(pending) {
			if spare++; spare > 2*len(rest)+2 {
				return fmt.Errorf("rename to %q: %w", rest[0].to, roster.ErrExists) // settle has seen that it cannot be
			}
			first := rest[0]
			err := first.write(fmt.Sprintf("renamed-%d-%d", first.id, spare))
			if err == nil {
				rest = append(rest[1:], first)
			} else if !errors.Is(err, roster.ErrExists) {
				return err
			}
		}
		pending = rest
	}
	return nil
}

func (p *plan) applyGroups(tx *roster.Txn) error {
	var renames []rename
	for n := range p.putGroups {
		put := &p.putGroups[n]
		if put.what&Created != 0 {
			continue
		}
		write := func(name string) error {
			rec, err := tx.Group(put.id)
			if err != nil {
				return err
			}
			rec = p.desiredGroup(rec, &p.groups[put.index])
			rec.Name = name
			_, err = tx.PutGroup(rec)
			return err
		}
		if put.what&Renamed != 0 {
			renames = append(renames, rename{put.name, uint32(put.id), write})
			continue
		}
		if err := p.tolerate(put.name, write(put.name)); err != nil {
			return err
		}
	}
	if err := p.renameAll(renames); err != nil {
		return err
	}
	for n := range p.putGroups {
		put := &p.putGroups[n]
		if put.what&Created == 0 {
			continue
		}
		rec := p.desiredGroup(roster.Group{Directory: p.dir.ID}, &p.groups[put.index])
		id, err := tx.CreateGroup(rec)
		if err != nil {
			return err
		}
		p.groupIDs[put.index] = id
	}
	return nil
}

// joinGroups makes the memberships that are new, group by group.
func (p *plan) joinGroups(tx *roster.Txn) error {
	slices.SortFunc(p.join, edge.compare)
	var users []roster.UserID
	var subs []roster.GroupID
	for i := 0; i < len(p.join); {
		group := p.join[i].group
		users, subs = users[:0], subs[:0]
		for ; i < len(p.join) && p.join[i].group == group; i++ {
			switch m := p.join[i].member; {
			case p.handle(m) == absent: // could not be created
			case m >= 0:
				users = append(users, p.ids[m])
			default:
				subs = append(subs, p.groupIDs[^m])
			}
		}
		id := p.groupIDs[group]
		if id == absent {
			continue
		}
		if _, err := tx.Add(id, users...); err != nil {
			return err
		}
		if _, err := tx.Nest(id, subs...); err != nil {
			return err
		}
	}
	return nil
}

// dropGroups deletes the groups that are gone, if that is the policy.
func (p *plan) dropGroups(tx *roster.Txn) error {
	if p.o.VanishedGroups != Delete {
		return nil
	}
	for _, g := range p.goneGroup {
		if err := tx.DeleteGroup(g.id); err != nil {
			return err
		}
	}
	return nil
}
