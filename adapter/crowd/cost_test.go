package crowd_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/crowd"
)

// large is an engine with n users in a directory, all in group 1 of as many groups
// as there are hundreds of users; the first one administers all groups.
func large(t testing.TB, n int) (*roster.Engine, access.Principal) {
	e, err := roster.Open("", roster.Options{InMemory: true, NoSearchIndex: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	p := access.Principal{By: access.ByHost}
	_, err = e.Update(ctx, func(tx *roster.Txn) error {
		if _, err := tx.PutDirectory(roster.Directory{ID: 1, Name: "corp"}); err != nil {
			return err
		}
		var all []roster.UserID
		for i := range n {
			u, err := tx.CreateUser(roster.User{Directory: 1, Username: fmt.Sprintf("u%07d", i*7919%n), Active: true})
			if err != nil {
				return err
			}
			all = append(all, u)
		}
		p.User, p.Username = all[0], tx.Username(all[0])
		for i := range n / 100 {
			g, err := tx.CreateGroup(roster.Group{Directory: 1, Name: fmt.Sprintf("g%07d", i)})
			if err != nil {
				return err
			}
			if _, err := tx.AddAdmins(g, all[0]); err != nil {
				return err
			}
			if i == 1 {
				if _, err := tx.Add(g, all...); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return e, p
}

// pages are requests for ten of many.
var pages = []struct{ method, path, body string }{
	{"POST", "users/search?limit=10", `{}`},
	{"POST", "users/search?limit=10", `{"active":true,"directoryIds":[1]}`},
	{"GET", "groups/" + id(1, "g0000001") + "/users?limit=10", ``},
	{"GET", "groups/" + id(1, "g0000000") + "/users/suggestions?limit=10", ``},
}

// TestPagesCostNoMore counts allocations of pages of ten: they do not grow with
// the number of users.
func TestPagesCostNoMore(t *testing.T) {
	measure := func(n int) (out []float64) {
		e, p := large(t, n)
		api := crowd.New(e, crowd.Options{Authenticator: host{p: p}})
		for _, page := range pages {
			out = append(out, testing.AllocsPerRun(20, func() {
				a := httptest.NewRecorder()
				if api.ServeHTTP(a, request(page.method, base+page.path, "", page.body)); a.Code != 200 || !strings.Contains(a.Body.String(), `"size":10`) {
					t.Fatal(a.Code, a.Body)
				}
			}))
		}
		return out
	}
	few, many := measure(2_000), measure(40_000)
	for i := range pages {
		if many[i] > few[i]+40 {
			t.Errorf("%s %s: %v allocations of 2000 users, %v of 40,000", pages[i].method, pages[i].path, few[i], many[i])
		}
	}
}

func BenchmarkPages(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		e, p := large(b, n)
		api := crowd.New(e, crowd.Options{Authenticator: host{p: p}})
		for _, page := range pages {
			name, _, _ := strings.Cut(page.path, "?")
			b.Run(fmt.Sprintf("users_%d/%s/body_%d", n, strings.ReplaceAll(name, "/", "_"), len(page.body)), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					api.ServeHTTP(httptest.NewRecorder(), request(page.method, base+page.path, "", page.body))
				}
			})
		}
	}
}
