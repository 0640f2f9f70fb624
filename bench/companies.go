package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/rosterdb/roster"
)

// companies are organisations on users of their own: many small ones and, after
// them, one that everybody is a member of; and groups with their administrators.
type companies struct {
	users []roster.UserID
	orgs  []string // the last one is the large one, if there is one

	groups    []roster.GroupID // administered
	delegate  roster.UserID    // an administrator of all groups, itself
	deputy    roster.UserID    // likewise, as a member of one group that administers them
	allowedIP []netip.Prefix
}

// companyShape says how many of what.
type companyShape struct {
	users, orgs, members int // each organisation has that many
	everybody            bool
	groups, directories  int
}

func (s companyShape) build(ctx context.Context, dir string, seed uint64) (*companies, error) {
	c := &companies{allowedIP: []netip.Prefix{netip.MustParsePrefix("201.54.122.0/24")}}
	rnd := rand.New(rand.NewPCG(seed, 3))
	err := roster.Build(ctx, dir, roster.Options{}, func(b *roster.Builder) error {
		for d := range s.directories {
			if err := b.PutDirectory(roster.Directory{ID: roster.DirectoryID(d), Name: fmt.Sprint("directory", d)}); err != nil {
				return err
			}
		}
		for i := range s.users {
			u, err := b.CreateUser(roster.User{Directory: roster.DirectoryID(i % s.directories), Username: fmt.Sprintf("%s%d", word(rnd), i), Active: true})
			if err != nil {
				return err
			}
			c.users = append(c.users, u)
		}
		for i := range s.orgs {
			members := make([]roster.UserID, s.members)
			for k := range members {
				members[k] = c.users[(i*s.members+k)%len(c.users)]
			}
			if err := c.found(b, fmt.Sprintf("org_%d", i), members); err != nil {
				return err
			}
		}
		if s.everybody {
			if err := c.found(b, "everybody", c.users); err != nil {
				return err
			}
		}
		return c.delegateGroups(b, s)
	})
	return c, err
}

// found makes an organisation with two roles; the first member owns it.
func (c *companies) found(b *roster.Builder, id string, members []roster.UserID) error {
	c.orgs = append(c.orgs, id)
	if err := b.PutOrganization(roster.Organization{ID: id, Name: id}); err != nil {
		return err
	}
	for _, role := range []string{"clerk", "auditor"} {
		if err := b.PutRole(roster.Role{Organization: id, ID: role, Permissions: []string{"Get" + role}}); err != nil {
			return err
		}
	}
	for i, u := range members {
		m := roster.OrgMembership{Organization: id, User: u, Owner: i == 0, Permissions: []string{"GetCustomer"}}
		if i%2 == 1 {
			m.Roles = []string{"clerk"}
		}
		if err := b.PutOrgMembership(m); err != nil {
			return err
		}
	}
	return nil
}

// delegateGroups makes the groups that two users administer.
func (c *companies) delegateGroups(b *roster.Builder, s companyShape) error {
	if s.groups == 0 {
		return nil
	}
	c.delegate, c.deputy = c.users[0], c.users[1]
	leads, err := b.CreateGroup(roster.Group{Directory: 0, Name: "leads"})
	if err == nil {
		err = b.AddMembers(leads, []roster.UserID{c.deputy})
	}
	for i := 0; i < s.groups && err == nil; i++ {
		var g roster.GroupID
		// The groups are of half the directories.
		d := roster.DirectoryID(i % max(1, s.directories/2))
		if g, err = b.CreateGroup(roster.Group{Directory: d, Name: fmt.Sprint("group", i)}); err == nil {
			c.groups = append(c.groups, g)
			err = errors.Join(b.AddAdmins(g, c.delegate), b.AddAdminGroups(g, leads), b.AddMembers(g, c.users[i%len(c.users):][:min(20, len(c.users)-i%len(c.users))]))
		}
	}
	return err
}

// organisations measures organisations and administrators on an engine of their
// own.
func (b *bench) organisations(ctx context.Context) error {
	users := b.o.users
	s := companyShape{users: users, orgs: max(1, users/10), members: 10, everybody: true, groups: min(5000, users), directories: 10}
	dir := filepath.Join(b.tmp, "companies")
	start := time.Now()
	c, err := s.build(ctx, dir, b.seed)
	if err != nil {
		return err
	}
	b.t.text("organisations", fmt.Sprintf("%d of %d members, one of %d; made in %.1f s", s.orgs, s.members, users, time.Since(start).Seconds()))
	start = time.Now()
	e, err := roster.Open(dir, roster.Options{NoSearchIndex: true})
	if err != nil {
		return err
	}
	defer e.Close()
	b.t.row("open with organisations", time.Since(start), fmt.Sprintf("%d memberships of organisations", e.Stats().OrgMemberships))
	if err := c.verbs(ctx, b, e); err != nil {
		return err
	}
	return c.delegates(ctx, b, e)
}

// verbs measures each verb in small organisations and in the one of everybody.
// Many are done in one Update, so that the flush of each is no part of it.
func (c *companies) verbs(ctx context.Context, b *bench, e *roster.Engine) error {
	rnd := b.random()
	small, big := c.orgs[:len(c.orgs)-1], c.orgs[len(c.orgs)-1]
	for _, verb := range []struct {
		name string
		do   func(tx *roster.Txn, org, other string, u roster.UserID) error
	}{
		{"join or change", func(tx *roster.Txn, org, other string, u roster.UserID) error {
			_, err := tx.PutOrgMembership(roster.OrgMembership{Organization: org, User: u, Owner: true, Roles: []string{"auditor"}, AllowedIPs: c.allowedIP})
			return err
		}},
		{"read", func(tx *roster.Txn, org, other string, u roster.UserID) error {
			_, err := tx.OrgMembership(org, u)
			return err
		}},
		{"permissions", func(tx *roster.Txn, org, other string, u roster.UserID) error {
			_, err := tx.Permissions(org, u)
			return err
		}},
		{"default here and back", func(tx *roster.Txn, org, other string, u roster.UserID) error {
			for _, id := range []string{org, other} {
				m, err := tx.OrgMembership(id, u)
				if err != nil {
					return err
				}
				m.Default = true
				if _, err = tx.PutOrgMembership(m); err != nil {
					return err
				}
			}
			return nil
		}},
		{"leave", func(tx *roster.Txn, org, other string, u roster.UserID) error {
			err := tx.DeleteOrgMembership(org, u)
			if errors.Is(err, roster.ErrLastOwner) {
				return nil
			}
			return err
		}},
		{"change the organisation", func(tx *roster.Txn, org, other string, u roster.UserID) error {
			_, err := tx.PutOrganization(roster.Organization{ID: org, Name: fmt.Sprint(rnd.Uint32())})
			return err
		}},
		{"change a role", func(tx *roster.Txn, org, other string, u roster.UserID) error {
			_, err := tx.PutRole(roster.Role{Organization: org, ID: "clerk", Permissions: []string{fmt.Sprint(rnd.Uint32())}})
			return err
		}},
	} {
		const n = 1000
		cost := map[bool]time.Duration{}
		for _, large := range []bool{false, true} {
			var rounds []time.Duration
			for range 5 {
				orgs, others, users := make([]string, n), make([]string, n), make([]roster.UserID, n)
				for i := range orgs {
					k := rnd.IntN(len(small))
					users[i] = c.users[(k*10+rnd.IntN(10))%len(c.users)]
					orgs[i], others[i] = small[k], big
					if large {
						orgs[i], others[i] = big, small[k]
					}
				}
				_, err := e.Update(ctx, func(tx *roster.Txn) error {
					start := time.Now()
					for i, org := range orgs {
						if err := verb.do(tx, org, others[i], users[i]); err != nil && !errors.Is(err, roster.ErrNotFound) {
							return err
						}
					}
					rounds = append(rounds, time.Since(start)/n)
					return nil
				})
				if err != nil {
					return fmt.Errorf("%s: %w", verb.name, err)
				}
			}
			cost[large] = median(rounds)
		}
		b.t.row("organisation: "+verb.name, cost[false], fmt.Sprintf("in that of everybody %s, %.2f ×", show(cost[true]), float64(cost[true])/float64(cost[false])))
	}
	return nil
}

// delegates measures what administrators of thousands of groups ask for.
func (c *companies) delegates(ctx context.Context, b *bench, e *roster.Engine) error {
	return e.View(ctx, func(tx *roster.Txn) error {
		rnd := b.random()
		page := func(s roster.Set, err error) error {
			n := 0
			// Any page: the engine has the records of one that was just read in memory.
			for u := range s.ByName(s.CursorAfter(c.users[rnd.IntN(len(c.users))])) {
				if err != nil || n == 100 {
					break
				}
				_, err = tx.User(u)
				n++
			}
			if n+s.Len() == 0 {
				return errors.New("nobody may be assigned")
			}
			return err
		}
		for _, row := range []struct {
			name string
			of   func() (roster.Set, error)
		}{
			{"a page of 100 records from disk, of all users", tx.Users},
			{fmt.Sprintf("the same of those assignable, %d groups", len(c.groups)), func() (roster.Set, error) { return tx.Assignable(c.delegate) }},
			{"the same, administering through a group", func() (roster.Set, error) { return tx.Assignable(c.deputy) }},
		} {
			d, err := times(500, func(int) error { return page(row.of()) })
			if err != nil {
				return err
			}
			b.t.row(row.name, percentile(d, 50), "p99 "+show(percentile(d, 99)))
		}
		for _, row := range []struct {
			name string
			of   func() (roster.Set, error)
		}{
			{"a page of 100 names, of all users", tx.Users},
			{fmt.Sprintf("a page of 100 names, of those assignable, %d groups", len(c.groups)), func() (roster.Set, error) { return tx.Assignable(c.delegate) }},
		} {
			d, err := times(500, func(int) error {
				s, err := row.of()
				n, size := 0, s.Len()
				for u := range s.ByName("") {
					if size += len(tx.Username(u)); n == 99 {
						break
					}
					n++
				}
				return err
			})
			if err != nil {
				return err
			}
			b.t.row(row.name, percentile(d, 50), "p99 "+show(percentile(d, 99)))
		}
		return nil
	})
}
