package directory

import "github.com/rosterdb/roster"

// What may go from any link, however small.
const (
	freeUsers       = 2
	freeGroups      = 2
	freeMemberships = 5
)

// guard returns a *GuardError as refused if the plan removes more than it may.
func (p *plan) guard(tx *roster.Txn) (refused, err error) {
	if p.void || p.all && p.users.len() == 0 {
		gone := 0
		for _, g := range p.gone {
			if g.write {
				gone++
			}
		}
		switch {
		case gone > 0:
			return &GuardError{"users", gone, gone, p.o.MaxRemoved}, nil
		case len(p.leave) > 0:
			return &GuardError{"memberships", len(p.leave), len(p.leave), p.o.MaxRemoved}, nil
		}
	}
	deleted := 0 // groups, with what was made by hand
	if p.o.VanishedGroups == Delete {
		deleted = len(p.goneGroup)
	}
	if p.off <= freeUsers && len(p.leave) <= freeMemberships && deleted <= freeGroups || p.o.MaxRemoved == 1 {
		return nil, nil
	}
	if !p.all {
		if err := p.count(tx); err != nil {
			return nil, err
		}
	}
	for _, x := range []struct {
		GuardError
		free int
	}{
		{GuardError{"users", p.off, p.activeUsers, p.o.MaxRemoved}, freeUsers},
		{GuardError{"memberships", len(p.leave), p.memberships, p.o.MaxRemoved}, freeMemberships},
		{GuardError{"groups", deleted, p.enterprise, p.o.MaxRemoved}, freeGroups},
	} {
		if x.Removed > x.free && float64(x.Removed) > x.Share*float64(x.Of) {
			return &x.GuardError, nil
		}
	}
	return nil, nil
}

// count counts what the link owns, of which a part has seen only a part. Users
// and groups of the directory that were made by hand count too: to tell them
// apart would mean to read each.
func (p *plan) count(tx *roster.Txn) error {
	if p.newDir {
		return nil
	}
	users, err := tx.DirectoryUsers(p.dir.ID)
	if err != nil {
		return err
	}
	active, err := tx.Active()
	if err != nil {
		return err
	}
	p.activeUsers, p.memberships, p.enterprise = users.And(active).Len(), 0, 0
	for g := range tx.GroupsByName() {
		rec, err := tx.GroupHead(g)
		if err != nil {
			return err
		}
		if rec.Directory != p.dir.ID || !rec.Enterprise {
			continue
		}
		p.enterprise++
		members, err := tx.DirectMembers(g)
		if err != nil {
			return err
		}
		subs, err := tx.Subgroups(g)
		if err != nil {
			return err
		}
		p.memberships += members.Len() + len(subs)
	}
	return nil
}
