package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/search/query"

	"github.com/rosterdb/roster"
)

// search measures searches of every kind, among all users and within sets of
// all sizes, beside what Bleve's own Search takes for the first ten on a copy of
// the same index, without an order by name and with its own count.
func (b *bench) search(ctx context.Context) error {
	sets, err := b.searchSets(ctx)
	if err != nil {
		return err
	}
	if err := b.indexing(ctx); err != nil {
		return err
	}
	stock, err := b.stockIndex()
	if err != nil {
		return err
	}
	defer stock.Close()
	for _, k := range searchKinds {
		for _, set := range sets {
			if err := b.searchRow(ctx, k, set); err != nil {
				return err
			}
		}
		if k.stock == nil {
			continue
		}
		if err := b.stockRow(stock, k); err != nil {
			return err
		}
	}
	if err := b.editing(ctx); err != nil {
		return err
	}
	return b.importing(ctx)
}

// searchSet is where to search.
type searchSet struct {
	name       string
	group      string // "" for everywhere
	complement bool
}

func (b *bench) searchSets(ctx context.Context) ([]searchSet, error) {
	sets := []searchSet{{name: "all"}}
	rnd := rand.New(rand.NewPCG(b.seed, 9))
	_, err := b.e.Update(ctx, func(tx *roster.Txn) error {
		for _, n := range []int{10, 200, 1000, 10_000, 100_000, 500_000} {
			if n > b.o.users/2 {
				continue
			}
			name := fmt.Sprintf("search %d", n)
			g, err := tx.FindGroup(name)
			if errors.Is(err, roster.ErrNotFound) {
				g, err = tx.CreateGroup(roster.Group{Directory: 1, Name: name})
			}
			if err != nil {
				return err
			}
			members := make([]roster.UserID, 0, n)
			for _, i := range rnd.Perm(len(b.o.userIDs))[:n] {
				members = append(members, b.o.userIDs[i])
			}
			if _, err := tx.Add(g, members...); err != nil {
				return err
			}
			sets = append(sets, searchSet{name: fmt.Sprintf("in %d", n), group: name})
			if n == 100_000 || n == 10_000 && b.o.users < 200_000 {
				sets = append(sets, searchSet{fmt.Sprintf("not in %d", n), name, true})
			}
		}
		return nil
	})
	return sets, err
}

// searchKind makes texts of one kind from a user.
type searchKind struct {
	name  string
	fuzzy bool
	names bool // only usernames that begin so
	text  func(username string, rnd *rand.Rand) string
	stock func(text string) query.Query // what it is for Bleve, if it is anything
}

func beginning(n int) func(string, *rand.Rand) string {
	return func(name string, _ *rand.Rand) string { return name[:min(n, len(name))] }
}

func gram(text string) query.Query {
	q := bleve.NewTermQuery(text)
	q.SetField("g")
	return q
}

// grams asks for every three neighbours.
func grams(text string) query.Query {
	var all []query.Query
	for i := 0; i+3 <= len(text); i++ {
		all = append(all, gram(text[i:i+3]))
	}
	return bleve.NewConjunctionQuery(all...)
}

var searchKinds = []searchKind{
	{"usernames by prefix 1", false, true, beginning(1), nil},
	{"usernames by prefix 3", false, true, beginning(3), nil},
	{"usernames by prefix 5", false, true, beginning(5), nil},
	{"exact", false, false, func(name string, _ *rand.Rand) string { return name }, grams},
	{"prefix 1", false, false, beginning(1), gram},
	{"prefix 2", false, false, beginning(2), gram},
	{"prefix 3", false, false, beginning(3), gram},
	{"prefix 5", false, false, beginning(5), gram},
	{"two words", false, false, func(name string, _ *rand.Rand) string {
		given, family, _ := strings.Cut(name, ".")
		return given[:min(3, len(given))] + " " + family[:3]
	}, func(text string) query.Query {
		given, family, _ := strings.Cut(text, " ")
		return bleve.NewConjunctionQuery(gram(given), gram(family))
	}},
	{"substring", false, false, func(name string, rnd *rand.Rand) string {
		i := 1 + rnd.IntN(len(name)-6)
		return name[i : i+5]
	}, grams},
	{"typo", true, false, func(name string, rnd *rand.Rand) string {
		w := []byte(title(name[:max(strings.IndexByte(name, '.'), 4)]))
		w[rnd.IntN(len(w)-1)+1] = 'q'
		return string(w)
	}, func(text string) query.Query {
		q := bleve.NewFuzzyQuery(strings.ToLower(text))
		q.SetField("w")
		q.SetFuzziness(1)
		return q
	}},
}

// The rounds of a row end after so many searches or so long.
const (
	searchRounds = 300
	searchTime   = 1500 * time.Millisecond
)

func (b *bench) searchRow(ctx context.Context, k searchKind, set searchSet) error {
	rnd := rand.New(rand.NewPCG(b.seed, 11))
	var times []time.Duration
	hits, lower := 0, 0
	err := b.e.View(ctx, func(tx *roster.Txn) error {
		q := roster.SearchQuery{Fuzzy: k.fuzzy, Limit: 10}
		if set.group != "" {
			g, err := tx.FindGroup(set.group)
			if err != nil {
				return err
			}
			members, err := tx.Members(g)
			if err != nil {
				return err
			}
			if set.complement {
				members = members.Not()
			}
			q.Within = &members
		}
		if k.names {
			q.Fields = roster.Username
		}
		for start := time.Now(); len(times) < searchRounds && time.Since(start) < searchTime; {
			q.Text = k.text(b.o.usernames[rnd.IntN(len(b.o.usernames))], rnd)
			begin := time.Now()
			res, err := tx.Search(q)
			if err != nil {
				return err
			}
			times = append(times, time.Since(begin))
			hits += res.Total
			if res.AtLeast {
				lower++
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	note := fmt.Sprintf("p99 %s, %d hits", show(percentile(times, 99)), hits/len(times))
	if lower > 0 {
		note += fmt.Sprintf(", %d of %d totals a lower bound", lower, len(times))
	}
	b.t.row("search "+k.name+", "+set.name, percentile(times, 50), note)
	return nil
}

// stockIndex opens a copy of the index with Bleve alone.
func (b *bench) stockIndex() (bleve.Index, error) {
	dir, err := b.stockCopy()
	if err != nil {
		return nil, err
	}
	return bleve.Open(dir)
}

func (b *bench) stockRow(stock bleve.Index, k searchKind) error {
	rnd := rand.New(rand.NewPCG(b.seed, 11))
	var times []time.Duration
	hits := 0
	for start := time.Now(); len(times) < searchRounds && time.Since(start) < searchTime; {
		req := bleve.NewSearchRequestOptions(k.stock(k.text(b.o.usernames[rnd.IntN(len(b.o.usernames))], rnd)), 10, 0, false)
		req.Score = "none"
		req.SortBy([]string{"_id"})
		begin := time.Now()
		res, err := stock.Search(req)
		if err != nil {
			return err
		}
		times = append(times, time.Since(begin))
		hits += int(res.Total)
	}
	b.t.row("  Bleve's Search: "+k.name+", all, by ID", percentile(times, 50), fmt.Sprintf("p99 %s, %d hits", show(percentile(times, 99)), hits/len(times)))
	return nil
}
