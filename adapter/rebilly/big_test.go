package rebilly_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/adapter/rebilly"
)

// crowd makes n users members of org_1, every seventh holds role_a, and every
// ten-thousandth is an owner.
func (w *world) crowd(n int) {
	w.Helper()
	const batch = 50_000
	for from := 0; from < n; from += batch {
		w.update(func(tx *roster.Txn) error {
			for i := from; i < min(n, from+batch); i++ {
				u, err := tx.CreateUser(roster.User{
					Directory: 1, Username: fmt.Sprintf("m%07d", i*7919%n), UID: fmt.Sprintf("big_%d", i), Email: fmt.Sprintf("m%d@example.com", i), Active: true,
				})
				if err != nil {
					return err
				}
				m := roster.OrgMembership{Organization: "org_1", User: u, Owner: i%10_000 == 0}
				if i%7 == 0 {
					m.Roles = []string{"role_a"}
				}
				if _, err := tx.PutOrgMembership(m); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// pages are what a page of ten is asked for by.
var pages = []string{
	"", "?offset=1000", "?filter=isOwner:true", "?filter=isOwner:false", "?filter=roleIds:role_a", "?filter=roleIds:!role_a;isOwner:true",
	"?filter=user.id:big_77", "?filter=user.id:!big_77", "?sort=-isOwner", "?sort=user.id&filter=isOwner:true",
}

func ten(query string) string {
	return "/organizations/org_1/memberships?limit=10" + strings.Replace(query, "?", "&", 1)
}

// TestPagesStayCheap: a page of ten costs no more work when there are sixteen times
// as many memberships: what it does is counted by what it allocates.
func TestPagesStayCheap(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 34,000 users")
	}
	allocated := map[string][2]float64{}
	for i, n := range []int{2_000, 32_000} {
		w := newWorld(t, func(o *rebilly.Options) { o.Rate, o.MaxScan = -1, 100 })
		w.crowd(n)
		for _, query := range pages {
			path := ten(query)
			if _, total := w.list("owner", path); total == "0" {
				t.Fatalf("%s: nobody", query)
			}
			both := allocated[query]
			both[i] = testing.AllocsPerRun(5, func() { w.do("owner", "GET", path, "") })
			allocated[query] = both
		}
	}
	for query, both := range allocated {
		if both[1] > 1.5*both[0]+200 {
			t.Errorf("%s: %v allocations of 2,000, %v of 32,000", query, both[0], both[1])
		}
	}
}

// BenchmarkPageOfTen is a page of ten out of a million memberships.
func BenchmarkPageOfTen(b *testing.B) {
	w := newWorld(b, func(o *rebilly.Options) { o.Rate = -1 })
	w.crowd(1_000_000)
	h, _ := w.mux.Handler(httptest.NewRequest("GET", "/rebilly/x", nil))
	for _, query := range pages {
		b.Run(query, func(b *testing.B) {
			for b.Loop() {
				r := httptest.NewRequest("GET", "/rebilly"+ten(query), nil)
				r.Header.Set("REB-APIKEY", w.secrets["owner"])
				r.RemoteAddr = w.from
				rec := httptest.NewRecorder()
				if h.ServeHTTP(rec, r); rec.Code != 200 {
					b.Fatal(rec.Code, rec.Body)
				}
			}
		})
	}
}
