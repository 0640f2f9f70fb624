package access_test

import (
	"net/netip"
	"testing"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// TestRights: what follows from the data, as of the transaction that asks.
func TestRights(t *testing.T) {
	w := newWorld(t)
	var sales, leads, others roster.GroupID
	w.update(func(tx *roster.Txn) (err error) {
		for _, g := range []struct {
			to   *roster.GroupID
			name string
		}{{&sales, "sales"}, {&leads, "leads"}, {&others, "others"}} {
			if *g.to, err = tx.CreateGroup(roster.Group{Directory: 1, Name: g.name}); err != nil {
				return err
			}
		}
		_, err1 := tx.AddAdmins(sales, w.alice)
		_, err2 := tx.AddAdminGroups(sales, leads)
		_, err3 := tx.Add(leads, w.bob)
		_, err4 := tx.PutOrganization(roster.Organization{ID: "acme"})
		_, err5 := tx.PutOrganization(roster.Organization{ID: "none"})
		_, err6 := tx.PutRole(roster.Role{Organization: "acme", ID: "clerk", Permissions: []string{"GetOrder"}})
		_, err7 := tx.PutOrgMembership(roster.OrgMembership{Organization: "acme", User: w.alice, Owner: true, AllowedIPs: prefixes(t, "192.0.2.0/24")})
		_, err8 := tx.PutOrgMembership(roster.OrgMembership{Organization: "acme", User: w.bob, Roles: []string{"clerk"}, Permissions: []string{"GetCustomer"}})
		_, err9 := tx.PutOrgMembership(roster.OrgMembership{Organization: "acme", User: w.twin, Permissions: []string{"*"}})
		for _, e := range []error{err1, err2, err3, err4, err5, err6, err7, err8, err9} {
			if e != nil {
				return e
			}
		}
		return nil
	})
	as := func(u roster.UserID, from netip.Addr, privileges ...string) (p access.Principal) {
		w.view(func(tx *roster.Txn) {
			p = access.Principal{User: u, Username: tx.Username(u), By: access.ByHost, Client: from, Privileges: privileges}
		})
		return p
	}
	nobody := access.Principal{User: w.alice, Client: office, Privileges: []string{"*"}}
	for _, c := range []struct {
		what                      string
		p                         access.Principal
		administers, owns, orders bool
		deletes                   bool
	}{
		{"alice", as(w.alice, office), true, true, true, true},
		{"alice from elsewhere", as(w.alice, other), true, false, false, false},
		{"alice from nowhere", as(w.alice, netip.Addr{}), true, false, false, false},
		{"bob", as(w.bob, other), true, false, true, false},
		{"twin", as(w.twin, other), false, false, true, true},
		{"dora", as(w.dora, other), false, false, false, false},
		{"dora with another privilege", as(w.dora, other, "x"), false, false, false, false},
		{"dora with all privileges", as(w.dora, other, "*"), true, true, true, true},
		{"carl with all privileges", as(w.carl, other, "*"), false, false, false, false},
		{"deleted", as(1<<20, other, "*"), false, false, false, false},
		{"nobody", nobody, false, false, false, false},
		{"the zero principal", access.Principal{}, false, false, false, false},
	} {
		w.view(func(tx *roster.Txn) {
			equal(t, c.what+" administers", c.p.Administers(tx, sales), c.administers)
			owns, err := c.p.Owns(tx, "ACME")
			is(t, c.what, err, nil)
			equal(t, c.what+" owns", owns, c.owns)
			orders, err := c.p.MayIn(tx, "acme", "GetOrder")
			is(t, c.what, err, nil)
			equal(t, c.what+" may order", orders, c.orders)
			deletes, err := c.p.MayIn(tx, "acme", "DeleteOrder")
			is(t, c.what, err, nil)
			equal(t, c.what+" may delete", deletes, c.deletes)
			_, err = c.p.Owns(tx, "nothing")
			is(t, c.what, err, roster.ErrNotFound)
			all := len(c.p.Privileges) == 1 && c.p.Privileges[0] == "*" && c.p.By != 0
			equal(t, c.what+" has a privilege", c.p.Has(access.PrivilegeSecurity), all)
			if c.p.Has("*") != all || c.p.Administers(tx, others) && c.p.User != w.dora || c.p.Administers(tx, 1<<20) && c.p.User != w.dora {
				t.Errorf("%s may too much", c.what)
			}
		})
	}
	p := as(w.dora, other, "Security and Infrastructure")
	equal(t, "capital letters", p.Has(access.PrivilegeSecurity, access.PrivilegeGroupLinks), true)
	equal(t, "another one", p.Has(access.PrivilegeGroupLinks), false)
	equal(t, "no privilege", p.Has(), false)
	equal(t, "all of them, with no question", as(w.dora, other, "*").Has(), true)
	w.update(func(tx *roster.Txn) error { _, err := tx.Remove(leads, w.bob); return err })
	w.view(func(tx *roster.Txn) {
		equal(t, "bob is no lead any more", as(w.bob, other).Administers(tx, sales), false)
	})
}
