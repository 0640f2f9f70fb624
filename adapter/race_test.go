package adapter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rosterdb/roster"
)

// crew is a world in which everybody works at once: one user, one group and one
// organisation. It is on disk, where more than one change is under way at a time:
// the next one begins before the last one is durable and can be read.
func crew(t *testing.T) (w *world, u *user, g *group) {
	corp := &directory{local, "corp", "corp.example"}
	m := &model{dirs: []*directory{corp, {sourced, "lab <b>", "lab"}}}
	for i, name := range append([]string{"a@b"}, staff...) {
		m.users = append(m.users, &user{dir: corp, name: name, number: uint64(100 + i), uid: fmt.Sprintf("usr_%d", 100+i), active: true})
	}
	g = m.addGroup(&group{dir: corp, name: "two, three", number: 7, enterprise: true})
	m.addOrg("org_1", "One")
	w = newWorld(t, t.TempDir(), m)
	t.Cleanup(func() { w.e.Close() })
	return w, m.users[0], g
}

// door is a way to add a user to a group or to remove it, which reports whether
// just this call did it.
type door struct {
	name string
	do   func(t *testing.T, w *world, u *user, g *group, add bool) bool
}

var doors = []door{
	{"crowd, by group", func(t *testing.T, w *world, u *user, g *group, add bool) bool {
		return crowdDid(t, w, add, "groups/"+crowdID(g.dir.id, g.name)+"/users", crowdID(u.dir.id, u.name))
	}},
	{"crowd, by user", func(t *testing.T, w *world, u *user, g *group, add bool) bool {
		return crowdDid(t, w, add, "users/"+crowdID(u.dir.id, u.name)+"/groups", crowdID(g.dir.id, g.name))
	}},
	{"ingress", func(t *testing.T, w *world, u *user, g *group, add bool) bool {
		body := fmt.Sprintf(`{"users":"%d","groups":[%q]}`, u.number, g.name)
		return ingressDid(t, w, methodTo(add), memberPath, body)
	}},
	{"ingress, of all groups", func(t *testing.T, w *world, u *user, g *group, add bool) bool {
		if add {
			return ingressDid(t, w, "PUT", memberPath, fmt.Sprintf(`{"user_id":%d,"group_id":%d}`, u.number, g.number))
		}
		return ingressDid(t, w, "DELETE", memberPath+"/drop", fmt.Sprintf(`{"user_id":%d}`, u.number))
	}},
	{"the Go API", func(t *testing.T, w *world, u *user, g *group, add bool) bool {
		n := 0
		w.update(t, func(tx *roster.Txn) (err error) {
			id, _ := tx.UserByNumber(u.number)
			group, _ := tx.GroupByNumber(g.number)
			change := tx.Remove
			if add {
				change = tx.Add
			}
			n, err = change(group, id)
			return err
		})
		return n == 1
	}},
}

func crowdDid(t *testing.T, w *world, add bool, path, id string) bool {
	rec := w.do(request{method: methodTo(add), path: base + path, kind: typeJSON, body: marshal(map[string][]string{"ids": {id}}), basic: "root"})
	var of struct{ Successes, Failures []json.RawMessage }
	if err := json.Unmarshal(rec.Body.Bytes(), &of); err != nil || rec.Code != 200 || len(of.Successes)+len(of.Failures) != 1 {
		t.Errorf("crowd: %d %s", rec.Code, rec.Body)
	}
	return len(of.Successes) == 1
}

func ingressDid(t *testing.T, w *world, method, path, body string) bool {
	rec := w.do(request{method: method, path: path, kind: typeJSON, body: body, header: map[string]string{"tld-api-id": "root", "tld-api-key": w.secrets["root"]}})
	var of struct{ Added, Dropped, Removed int }
	if err := json.Unmarshal(rec.Body.Bytes(), &of); err != nil || rec.Code != 200 || of.Added+of.Dropped+of.Removed > 1 {
		t.Errorf("ingress: %s: %d %s", body, rec.Code, rec.Body)
	}
	return of.Added+of.Dropped+of.Removed == 1
}

// atOnce runs fn in n goroutines that begin together.
func atOnce(n int, fn func(i int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			fn(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}

// TestOneAdds: of many who add the same user to the same group at once, through any
// API, exactly one is told that it did, and makes a revision; so of those who remove
// it.
func TestOneAdds(t *testing.T) {
	w, u, g := crew(t)
	for round := range 20 {
		for _, add := range []bool{true, false} {
			var did atomic.Int64
			before := w.e.Revision()
			atOnce(4*len(doors), func(i int) {
				if doors[i%len(doors)].do(t, w, u, g, add) {
					did.Add(1)
				}
			})
			if did.Load() != 1 || w.e.Revision() != before+1 {
				t.Fatalf("round %d, add %v: %d did it, %d revisions", round, add, did.Load(), w.e.Revision()-before)
			}
			if crowdHas, arcgisHas := has(t, w, g); crowdHas != add || arcgisHas != add {
				t.Fatalf("round %d, add %v: crowd has it: %v, arcgis: %v", round, add, crowdHas, arcgisHas)
			}
		}
	}
}

// has reports whether two APIs show that the group has its one member.
func has(t *testing.T, w *world, g *group) (inCrowd, inArcGIS bool) {
	rec := w.do(request{method: "GET", path: base + "groups/" + crowdID(g.dir.id, g.name) + "/users", basic: "root"})
	page := decode[struct{ Size int }](t, "crowd", rec)
	form := "f=json&groupName=two%2C+three&token=" + w.tokens["root"]
	rec = w.do(request{
		method: "POST", path: "/arcgis/admin/orgs/" + whole + "/security/groups/getUsersWithinEnterpriseGroup",
		kind: typeForm, body: form, header: map[string]string{"Referer": "https://client.example"},
	})
	return page.Size == 1, strings.Contains(rec.Body.String(), `"username":"corp.example\\a@b"`)
}

// TestAddsAndRemovesTakeTurns: where some add a user and others remove it at once, it
// comes and goes in turn: those who were told that they added it and those who
// removed it differ by whether it is in the group at the end, and each of them made
// one revision.
func TestAddsAndRemovesTakeTurns(t *testing.T) {
	w, u, g := crew(t)
	for range 20 {
		var came, went atomic.Int64
		before := w.e.Revision()
		atOnce(4*len(doors), func(i int) {
			add := i/len(doors)%2 == 0
			for range 5 {
				switch did := doors[i%len(doors)].do(t, w, u, g, add); {
				case did && add:
					came.Add(1)
				case did:
					went.Add(1)
				}
			}
		})
		crowdHas, arcgisHas := has(t, w, g)
		in := int64(0)
		if crowdHas {
			in = 1
		}
		if came.Load()-went.Load() != in || crowdHas != arcgisHas || int64(w.e.Revision()-before) != came.Load()+went.Load() || came.Load() == 0 {
			t.Fatalf("%d came, %d went, in crowd %v, in arcgis %v, %d revisions", came.Load(), went.Load(), crowdHas, arcgisHas, w.e.Revision()-before)
		}
		doors[0].do(t, w, u, g, false)
	}
}

// TestOneMembershipIsCreated: of many who put the same membership of an organisation
// at once exactly one is answered 201, and of many who delete it one 204. Those who
// say the same make one revision together.
func TestOneMembershipIsCreated(t *testing.T) {
	w, u, _ := crew(t)
	rebilly := func(method, body string) int {
		kind := ""
		if body != "" {
			kind = typeJSON
		}
		rec := w.do(request{method: method, path: "/rebilly/memberships/org_1/" + u.uid, kind: kind, body: body, header: map[string]string{"REB-APIKEY": w.secrets["root"]}})
		return rec.Code
	}
	for range 20 {
		for _, c := range []struct {
			method, body string
			one, others  int
		}{{"PUT", `{"permissions":["GetUser"]}`, 201, 200}, {"DELETE", "", 204, 404}} {
			var did, not atomic.Int64
			before := w.e.Revision()
			atOnce(20, func(int) {
				switch code := rebilly(c.method, c.body); code {
				case c.one:
					did.Add(1)
				case c.others:
					not.Add(1)
				default:
					t.Errorf("%s: %d", c.method, code)
				}
			})
			if did.Load() != 1 || not.Load() != 19 || w.e.Revision() != before+1 {
				t.Fatalf("%s: %d times %d, %d times %d, %d revisions", c.method, did.Load(), c.one, not.Load(), c.others, w.e.Revision()-before)
			}
		}
	}
}

// TestOneOwnerStays: of the owners of an organisation whose memberships are all ended
// at once, through Rebilly's API and the engine's own, exactly one stays.
func TestOneOwnerStays(t *testing.T) {
	w, _, _ := crew(t)
	owners := []int{100, 102, 103, 104}
	for range 20 {
		w.update(t, func(tx *roster.Txn) (err error) {
			for _, n := range owners {
				id, _ := tx.UserByNumber(uint64(n))
				if _, err = tx.PutOrgMembership(roster.OrgMembership{Organization: "org_1", User: id, Owner: true}); err != nil {
					return err
				}
			}
			return nil
		})
		var ended, refused atomic.Int64
		before := w.e.Revision()
		atOnce(len(owners), func(i int) {
			err := error(nil)
			if i%2 == 0 {
				_, err = w.e.Update(ctx, func(tx *roster.Txn) error {
					id, _ := tx.UserByNumber(uint64(owners[i]))
					return tx.DeleteOrgMembership("org_1", id)
				})
			} else if rec := w.do(request{method: "DELETE", path: fmt.Sprintf("/rebilly/memberships/org_1/usr_%d", owners[i]), header: map[string]string{"REB-APIKEY": w.secrets["root"]}}); rec.Code == 409 {
				err = roster.ErrLastOwner
			} else if rec.Code != 204 {
				t.Errorf("%d %s", rec.Code, rec.Body)
			}
			switch {
			case err == nil:
				ended.Add(1)
			case errors.Is(err, roster.ErrLastOwner):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
		if ended.Load() != 3 || refused.Load() != 1 || w.e.Revision() != before+3 {
			t.Fatalf("%d ended, %d refused, %d revisions", ended.Load(), refused.Load(), w.e.Revision()-before)
		}
	}
}
