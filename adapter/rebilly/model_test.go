package rebilly_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"pgregory.net/rapid"
)

// model is what the memberships of two organisations should be.
type model struct {
	members map[[2]string]*modelMember // by organisation and user
	joined  map[string][]string        // by user, the oldest first
	chosen  map[string]string          // by user, the default
	roles   map[[2]string]bool
}

type modelMember struct {
	owner       bool
	roles       []string
	permissions []string
	allowed     []string
}

func newModel(w *world) *model {
	m := &model{members: map[[2]string]*modelMember{}, joined: map[string][]string{}, chosen: map[string]string{}, roles: map[[2]string]bool{{"org_1", "role_a"}: true}}
	for _, name := range []string{"clerk", "gone", "remote"} {
		w.want(204, "root", "DELETE", "/memberships/org_1/usr_"+name, "")
	}
	m.put("org_1", "owner", &modelMember{owner: true})
	m.put("org_1", "plain", &modelMember{})
	m.put("org_2", "stranger", &modelMember{owner: true})
	return m
}

func (m *model) put(org, user string, new *modelMember) (status int) {
	old := m.members[[2]string{org, user}]
	if old != nil && old.owner && !new.owner && m.owners(org) == 1 {
		return 409
	}
	m.members[[2]string{org, user}] = new
	if old != nil {
		return 200
	}
	if m.joined[user] = append(m.joined[user], org); m.chosen[user] == "" {
		m.chosen[user] = org
	}
	return 201
}

func (m *model) remove(org, user string) (status int) {
	old := m.members[[2]string{org, user}]
	switch {
	case old == nil:
		return 404
	case old.owner && m.owners(org) == 1:
		return 409
	}
	delete(m.members, [2]string{org, user})
	m.joined[user] = slices.DeleteFunc(m.joined[user], func(o string) bool { return o == org })
	if m.chosen[user] == org {
		m.chosen[user] = strings.Join(m.joined[user][:min(1, len(m.joined[user]))], "")
	}
	return 204
}

func (m *model) owners(org string) (n int) {
	for key, mem := range m.members {
		if key[0] == org && mem.owner {
			n++
		}
	}
	return n
}

func (m *model) owns(as, org string) bool {
	mem := m.members[[2]string{org, as}]
	return as == "root" || mem != nil && mem.owner
}

// check holds what the API answers and what the engine holds to the model.
func (m *model) check(t *rapid.T, w *world) {
	for _, org := range []string{"org_1", "org_2"} {
		rec := w.do("root", "GET", "/memberships?limit=1000&filter=organization.id:"+org, "")
		got := map[string]membership{}
		for _, one := range decode[[]membership](w, rec) {
			got[strings.TrimPrefix(one.User.ID, "usr_")] = one
		}
		n := 0
		for key, want := range m.members {
			if key[0] != org {
				continue
			}
			n++
			one, ok := got[key[1]]
			if !ok || one.IsOwner != want.owner || one.IsDefault != (m.chosen[key[1]] == org) ||
				!slices.Equal(one.RoleIds, want.roles) || !slices.Equal(one.Permissions, want.permissions) || !slices.Equal(one.AllowedIps, want.allowed) {
				t.Fatalf("%v: %+v, not %+v", key, one, want)
			}
		}
		if n != len(got) {
			t.Fatalf("%s: %d members, not %d", org, len(got), n)
		}
		w.view(func(tx *roster.Txn) error {
			set, err := tx.OrgMembers(org)
			if err != nil || set.Len() != n {
				t.Fatalf("%s: the engine has %d members, not %d: %v", org, set.Len(), n, err)
			}
			for u := range set.All() {
				rec, err := tx.OrgMembership(org, u)
				want := m.members[[2]string{org, tx.Username(u)}]
				if err != nil || rec.Owner != want.owner || !slices.Equal(rec.Roles, want.roles) {
					t.Fatalf("%s: the engine has %+v, not %+v: %v", org, rec, want, err)
				}
			}
			return nil
		})
	}
}

// TestOperationsAgree: random requests of several callers, mixed with what the host
// does itself, leave what the model says, and are answered as it says.
func TestOperationsAgree(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		m := newModel(w)
		org := rapid.SampledFrom([]string{"org_1", "org_2"})
		user := rapid.SampledFrom([]string{"owner", "plain", "stranger", "ada"})
		caller := rapid.SampledFrom([]string{"root", "root", "owner", "plain", "stranger"})
		w.update(func(tx *roster.Txn) error { // so that the id follows from the name
			u, err := tx.User(w.users["ada"])
			if u.UID = "usr_ada"; err == nil {
				_, err = tx.PutUser(u)
			}
			return err
		})
		draw := func(r *rapid.T, o string) (*modelMember, string) {
			mem := &modelMember{owner: rapid.Bool().Draw(r, "owner")}
			if m.roles[[2]string{o, "role_a"}] && rapid.Bool().Draw(r, "role") {
				mem.roles = []string{"role_a"}
			}
			if rapid.Bool().Draw(r, "permission") {
				mem.permissions = []string{"GetOrder"}
			}
			if rapid.Bool().Draw(r, "allowed") {
				mem.allowed = []string{"203.0.113.0/24", "8.8.8.8"}
			}
			body, _ := json.Marshal(map[string]any{"isOwner": mem.owner, "roleIds": mem.roles, "permissions": mem.permissions, "allowedIps": mem.allowed})
			return mem, string(body)
		}
		expect := func(r *rapid.T, as, method, path, body string, want int) {
			if rec := w.do(as, method, path, body); rec.Code != want {
				r.Fatalf("%s %s %s by %s: %d, not %d: %s", method, path, body, as, rec.Code, want, rec.Body)
			}
		}
		r.Repeat(map[string]func(*rapid.T){
			"put": func(r *rapid.T) {
				o, u, as := org.Draw(r, "org"), user.Draw(r, "user"), caller.Draw(r, "as")
				mem, body := draw(r, o)
				want := 403
				if m.owns(as, o) {
					want = m.put(o, u, mem)
				}
				w.Pass(time.Second)
				expect(r, as, "PUT", "/memberships/"+o+"/usr_"+u, body, want)
			},
			"delete": func(r *rapid.T) {
				o, u, as := org.Draw(r, "org"), user.Draw(r, "user"), caller.Draw(r, "as")
				want := 403
				if m.owns(as, o) {
					want = m.remove(o, u)
				}
				expect(r, as, "DELETE", "/organizations/"+o+"/memberships/"+o+"/usr_"+u, "", want)
			},
			"get": func(r *rapid.T) {
				o, u, as := org.Draw(r, "org"), user.Draw(r, "user"), caller.Draw(r, "as")
				want := 403
				switch mem := m.members[[2]string{o, u}]; {
				case mem != nil && (as == u || m.owns(as, o)):
					want = 200
				case m.owns(as, o):
					want = 404
				}
				expect(r, as, "GET", "/memberships/"+o+"/usr_"+u, "", want)
			},
			"host": func(r *rapid.T) {
				o, u := org.Draw(r, "org"), user.Draw(r, "user")
				want := m.remove(o, u)
				_, err := w.e.Update(ctx, func(tx *roster.Txn) error { return tx.DeleteOrgMembership(o, w.users[u]) })
				if (err == nil) != (want == 204) || want == 409 && !errors.Is(err, roster.ErrLastOwner) {
					r.Fatalf("the host: %v, not %d", err, want)
				}
			},
			"role": func(r *rapid.T) {
				o := org.Draw(r, "org")
				path, key := "/organizations/"+o+"/roles/role_a", [2]string{o, "role_a"}
				held := false
				for k, mem := range m.members {
					held = held || k[0] == o && len(mem.roles) > 0
				}
				switch {
				case !m.roles[key]:
					expect(r, "root", "PUT", path, `{"name":"A"}`, 201)
					m.roles[key] = true
				case held:
					expect(r, "root", "DELETE", path, "", 409)
				default:
					expect(r, "root", "DELETE", path, "", 204)
					m.roles[key] = false
				}
			},
			"": func(r *rapid.T) { m.check(r, w) },
		})
	})
}

// TestConcurrent: of many who create or end the same membership at once, exactly one
// does, and each change is one revision.
func TestConcurrent(t *testing.T) {
	w := newWorld(t)
	const path = "/memberships/org_1/usr_1"
	for range 20 {
		before := w.e.Revision()
		for _, step := range []struct {
			method, body    string
			once, otherwise int
		}{{"PUT", `{}`, 201, 200}, {"DELETE", "", 204, 404}} {
			codes := map[int]int{}
			var mu sync.Mutex
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					rec := w.do("owner", step.method, path, step.body)
					mu.Lock()
					defer mu.Unlock()
					codes[rec.Code]++
				})
			}
			wg.Wait()
			if codes[step.once] != 1 || codes[step.otherwise] != 15 {
				t.Fatalf("%s: %v", step.method, codes)
			}
		}
		if n := w.e.Revision() - before; n != 2 {
			t.Fatalf("%d revisions for two changes", n)
		}
	}
}

// TestConcurrentOwners: two owners that end each other's membership at once leave
// one.
func TestConcurrentOwners(t *testing.T) {
	for range 20 {
		w := newWorld(t)
		w.want(201, "owner", "PUT", "/memberships/org_1/usr_1", `{"isOwner":true}`)
		var wg sync.WaitGroup
		codes := make([]int, 2)
		for i, step := range [][2]string{{"owner", "usr_1"}, {"ada", "usr_owner"}} {
			wg.Go(func() { codes[i] = w.do(step[0], "DELETE", "/memberships/org_1/"+step[1], "").Code })
		}
		wg.Go(func() {
			for range 10 {
				if pairs, total := w.list("root", "/memberships?filter=organization.id:org_1;isOwner:true"); len(pairs) == 0 || total == "0" {
					t.Error("nobody owns the organisation")
				}
			}
		})
		wg.Wait()
		slices.Sort(codes)
		if codes[0] != 204 || codes[1] != 403 && codes[1] != 404 {
			t.Fatalf("%v", codes)
		}
	}
}
