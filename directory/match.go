package directory

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/text"
)

// linkOf returns the key that a record is linked by, "" if it is not.
func linkOf(u *roster.User) string {
	if v := u.Attributes[KeyAttribute]; len(v) == 1 {
		return v[0]
	}
	return ""
}

// matchUsers finds out which users of the engine are which of the source: by key,
// then by name.
func (p *plan) matchUsers(tx *roster.Txn, find func(*roster.Txn, roster.DirectoryID, string) (roster.UserID, bool)) error {
	if p.newDir {
		return nil
	}
	candidates, err := p.candidates(tx, find)
	if err != nil {
		return err
	}
	var rest []roster.UserID
	for u := range candidates {
		rec, err := tx.User(u)
		if err != nil {
			return err
		}
		if rec.Directory != p.dir.ID {
			continue
		}
		key := linkOf(&rec)
		if key != "" && p.all {
			p.managed[u] = true
			if rec.Active {
				p.activeUsers++
			}
		}
		i, ok := p.byKey[hash(key)]
		if key == "" || !ok || p.ids[i] != absent {
			rest = append(rest, u)
			continue
		}
		p.matched(i, &rec)
	}
	for _, u := range rest {
		if err := p.matchName(tx, u); err != nil {
			return err
		}
	}
	return nil
}

// candidates yields the users of the engine that may be users of the source.
func (p *plan) candidates(tx *roster.Txn, find func(*roster.Txn, roster.DirectoryID, string) (roster.UserID, bool)) (func(func(roster.UserID) bool), error) {
	if p.all {
		set, err := tx.DirectoryUsers(p.dir.ID)
		return set.All(), err
	}
	ids := map[roster.UserID]bool{}
	for _, u := range p.asked {
		if tx.Username(u) != "" {
			ids[u] = true
		}
	}
	for i := range p.users.len() {
		u := p.users.get(i)
		if id, ok := find(tx, p.dir.ID, keyOf(u.Key, u.Name)); ok {
			ids[id] = true
		}
		if id, ok := tx.UserByName(p.dir.ID, u.Name); ok {
			ids[id] = true
		}
	}
	sorted := make([]roster.UserID, 0, len(ids))
	for id := range ids {
		sorted = append(sorted, id)
	}
	slices.Sort(sorted)
	return slices.Values(sorted), nil
}

// matchName decides about a user that no entry has the key of.
func (p *plan) matchName(tx *roster.Txn, u roster.UserID) error {
	rec, err := tx.User(u)
	if err != nil {
		return err
	}
	key := linkOf(&rec)
	known := key == "" || p.all || p.queried[key] // what became of it
	i, ok := p.byName[hash(text.Fold(rec.Username))]
	switch {
	case ok && key == "" && p.o.Adopt != nil && !p.o.Adopt(tx, rec): // keeps its name: settle reports the entry
	case ok && p.ids[i] == absent && known && (key == "" || strings.HasPrefix(key, byName) || p.o.Reused == SameUser):
		p.matched(i, &rec)
	case key != "" && known:
		if _, dup := p.byKey[hash(key)]; dup {
			p.problems = append(p.problems, &EntryError{rec.Username, errors.New("another user of the engine has the same key")})
			return nil
		}
		return p.lost(tx, &rec)
	}
	return nil
}

// lost notes a user that is gone. One that was activated again by hand after that
// was noted stays so. The last owner of an organisation cannot be deleted and is
// deactivated.
func (p *plan) lost(tx *roster.Txn, rec *roster.User) error {
	p.managed[rec.ID] = true
	p.lostUsers[uint32(rec.ID)] = true
	remove := p.o.Vanished == Delete
	if remove {
		org, err := p.lastOwned(tx, rec.ID)
		if err != nil {
			return err
		}
		if org != "" {
			remove = false
			err := fmt.Errorf("deactivated instead of deleted: organisation %q: %w: make another member one", org, roster.ErrLastOwner)
			p.problems = append(p.problems, &EntryError{rec.Username, err})
		}
	}
	write := remove || len(rec.Attributes[GoneAttribute]) == 0
	if write || !p.all {
		p.gone = append(p.gone, userGone{rec.ID, linkOf(rec), rec.Username, rec.Active, write, remove})
	}
	if write && (rec.Active || remove) {
		p.off++
	}
	return nil
}

// lastOwned returns an organisation that would have no owner without a user. If
// there is none it returns "" and counts the user out of those that it owns.
func (p *plan) lastOwned(tx *roster.Txn, u roster.UserID) (string, error) {
	orgs, err := tx.OrganizationsOf(u)
	if err != nil {
		return "", err
	}
	var owned []string
	for _, org := range orgs {
		owners, err := tx.OrgOwners(org)
		if err != nil {
			return "", err
		}
		if !owners.Contains(u) {
			continue
		}
		if owners.Len()-p.ownersLost[org] <= 1 {
			return org, nil
		}
		owned = append(owned, org)
	}
	for _, org := range owned {
		p.ownersLost[org]++
	}
	return "", nil
}

// matched says that a record is that of user i.
func (p *plan) matched(i int, rec *roster.User) {
	p.ids[i] = rec.ID
	if p.unusable[i] {
		p.managed[rec.ID] = false // it keeps what it has
		return
	}
	p.managed[rec.ID] = true
	if p.all && rec.Active && linkOf(rec) == "" {
		p.activeUsers++ // one that was made by hand is the link's from now on
	}
	src := p.users.get(i)
	want := desired(*rec, &src)
	what := difference(rec, &want)
	if what&Deactivated != 0 {
		p.off++
	}
	if what != 0 {
		p.putUsers = append(p.putUsers, userPut{i, rec.ID, rec.Username, want.Username, what})
	}
}

// matchGroups finds out which groups of the engine are which of the source.
func (p *plan) matchGroups(tx *roster.Txn) error {
	if p.newDir {
		return nil
	}
	var rest []roster.GroupID
	byUID := map[hashed]int{}
	for i := range p.groups {
		if p.groups[i].key != "" {
			byUID[hash(p.groupUID(&p.groups[i]))] = i
		}
	}
	var byHand []roster.Group
	for g := range p.candidateGroups(tx) {
		rec, err := tx.Group(g)
		if err != nil {
			return err
		}
		if rec.Directory == p.dir.ID && rec.Enterprise {
			p.enterprise++
		}
		i, ok := byUID[hash(rec.UID)]
		if ok && (rec.Directory != p.dir.ID || !rec.Enterprise) {
			p.groups[i].key = "" // somebody has taken the group over, and the uid with it
		}
		switch {
		case rec.Directory != p.dir.ID:
		case !rec.Enterprise:
			byHand = append(byHand, rec)
		case ok && p.groupIDs[i] == absent:
			p.matchedGroup(i, &rec)
		default:
			p.managedGroup[g] = true
			rest = append(rest, g)
		}
	}
	for _, rec := range byHand { // once it is known who has a name already
		p.foreign(&rec)
	}
	for _, g := range rest {
		rec, err := tx.Group(g)
		if err != nil {
			return err
		}
		if i, ok := p.groupNam[hash(text.Fold(rec.Name))]; ok && p.groupIDs[i] == absent {
			p.matchedGroup(i, &rec)
		} else if p.all || slices.Contains(p.askedGroup, g) {
			p.goneGroup = append(p.goneGroup, groupGone{g, groupLink(&rec), rec.Name})
			p.lostGroups[uint32(g)] = true
		}
	}
	return nil
}

func (p *plan) candidateGroups(tx *roster.Txn) func(func(roster.GroupID) bool) {
	if p.all {
		return tx.GroupsByName()
	}
	ids := slices.Clone(p.askedGroup)
	for i := range p.groups {
		if id, ok := tx.GroupByUID(p.groupUID(&p.groups[i])); ok {
			ids = append(ids, id)
		}
		if id, ok := tx.GroupByName(p.dir.ID, p.groups[i].name); ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	return slices.Values(slices.DeleteFunc(ids, func(g roster.GroupID) bool { return tx.GroupName(g) == "" }))
}

// foreign notes a group that was made by hand. One of the source that has its
// name is left out.
func (p *plan) foreign(rec *roster.Group) {
	i, ok := p.groupNam[hash(text.Fold(rec.Name))]
	if !ok || p.groupIDs[i] != absent || p.groups[i].bad {
		return
	}
	p.groups[i].bad = true
	p.problems = append(p.problems, &EntryError{rec.Name, fmt.Errorf("directory %q has a group of that name that is no enterprise group: rename it, or make it one", p.dir.Name)})
}

func (p *plan) matchedGroup(i int, rec *roster.Group) {
	p.groupIDs[i] = rec.ID
	if p.groups[i].bad {
		p.managedGroup[rec.ID] = false // it keeps its place in others
		return
	}
	p.managedGroup[rec.ID] = true
	want := p.desiredGroup(*rec, &p.groups[i])
	var what What
	if want.Name != rec.Name {
		what |= Renamed
	}
	if want.Description != rec.Description || want.UID != rec.UID {
		what |= Changed
	}
	if what != 0 {
		p.putGroups = append(p.putGroups, groupPut{i, rec.ID, rec.Name, want.Name, what})
	}
}
