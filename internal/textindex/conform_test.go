package textindex

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/blevesearch/bleve/v2"
	stockquery "github.com/blevesearch/bleve/v2/search/query"
)

// TestAgainstBleve holds Find to Bleve's own Search, on the same folder.
func TestAgainstBleve(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "index")
	build(t, dir)
	stock, err := bleve.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(7, 8))
	var asked [][]Clause
	var found [][]uint32
	hits := 0
	for range 300 {
		var clauses []Clause
		var all []stockquery.Query
		for range 1 + r.IntN(3) {
			var c Clause
			var anyOf []stockquery.Query
			for range 1 + r.IntN(2) {
				a := randomAlternative(r)
				c, anyOf = append(c, a), append(anyOf, stockQuery(a)...)
			}
			clauses, all = append(clauses, c), append(all, bleve.NewDisjunctionQuery(anyOf...))
		}
		res, err := stock.Search(bleve.NewSearchRequestOptions(bleve.NewConjunctionQuery(all...), 1000, 0, false))
		if err != nil {
			t.Fatal(err)
		}
		var numbers []uint32
		for _, hit := range res.Hits {
			n, err := numberOf([]byte(hit.ID))
			if err != nil {
				t.Fatal(err)
			}
			numbers = append(numbers, n)
		}
		slices.Sort(numbers)
		asked, found, hits = append(asked, clauses), append(found, numbers), hits+len(numbers)
	}
	if err := stock.Close(); err != nil {
		t.Fatal(err)
	}
	if hits == 0 {
		t.Fatal("Bleve finds nothing at all")
	}
	x, _, err := Open(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	s := snapshot(t, x)
	defer s.Release()
	for _, careful := range []bool{false, true} {
		x.careful.Store(careful)
		for i, clauses := range asked {
			bits := make([]uint64, 8)
			err := s.find(clauses, 0, func(h *Hits) {
				h.SetSure(bits)
				h.SetUnsure(bits)
			})
			if got := listed(bits); err != nil || !slices.Equal(got, found[i]) {
				t.Fatalf("%+v: %v, %v, Bleve finds %v", clauses, got, err, found[i])
			}
			checkFew(t, s, clauses, found[i])
		}
	}
}

// checkFew has a search content itself with few documents: it still finds all.
func checkFew(t *testing.T, s *Snapshot, clauses []Clause, found []uint32) {
	t.Helper()
	err := s.Find(clauses, func(h *Hits) {
		may := make([]uint64, 8)
		h.SetSure(may)
		h.SetUnsure(may)
		for _, n := range found {
			if may[n>>6]>>(n&63)&1 == 0 {
				t.Fatalf("%+v: %d is not found, Bleve finds %v", clauses, n, found)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// stockQuery is an alternative as Bleve's queries.
func stockQuery(a Alternative) []stockquery.Query {
	var grams []stockquery.Query
	for _, g := range a.All {
		q := bleve.NewTermQuery(g)
		q.SetField(gramField)
		grams = append(grams, q)
	}
	out := []stockquery.Query{bleve.NewConjunctionQuery(grams...)}
	if a.Near != "" {
		q := bleve.NewFuzzyQuery(a.Near)
		q.SetField(wordField)
		q.SetFuzziness(1)
		out = append(out, q)
	}
	return out
}
