package roster_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rosterdb/roster"
)

// person makes users of all kinds of names.
func person(r *rand.Rand, i int) roster.User {
	given := pickOne(r, "Alan", "Ada", "Åsa", "Zoë", "Jürgen", "Łukasz", "Øystein", "Seán", "Ольга", "Фёдор", "Αλέξανδρος", "太郎", "花子", "محمد", "فاطمة", "민준", "D’Arcy", "Ximena", "İpek")
	family := pickOne(r, "Turing", "Lovelace", "O'Brien", "O’Neill", "Müller", "Straße", "Strasser", "Þórsdóttir", "Достоевский", "Παπαδόπουλος", "田中", "山田", "علي", "김", "d'Angelo", "van der Berg", "Smith-Jones")
	login := fmt.Sprintf("%s.%s%d", strings.ToLower(given), strings.ToLower(strings.ReplaceAll(family, " ", "")), i)
	switch i % 7 {
	case 0:
		login = `corp\` + login
	case 1:
		login += "@corp.example"
	case 2:
		login = fmt.Sprintf("u%05d", i)
	}
	u := roster.User{Directory: roster.DirectoryID(1 + r.IntN(2)), Username: login, FullName: given + " " + family, Active: r.IntN(5) > 0}
	if r.IntN(3) > 0 {
		u.Email = fmt.Sprintf("%c.%d@%s", 'a'+rune(r.IntN(26)), i, pickOne(r, "example.org", "mail.example", "kings.example"))
	}
	if r.IntN(2) > 0 {
		u.Description = fmt.Sprintf("CN=%s %s,OU=%s,DC=corp,DC=example", given, family, pickOne(r, "Sales", "R&D", "Computing Machinery"))
	}
	if r.IntN(4) == 0 {
		u.Attributes = map[string][]string{"title": {pickOne(r, "Dr", "Professor", "Engineer")}, "secret": {"hidden"}}
	}
	return u
}

func pickOne[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// typed makes a text that somebody may type, mostly of what there is.
func typed(r *rand.Rand, users []*oracleUser) string {
	switch r.IntN(20) {
	case 0:
		return pickOne(r, "*", "a*", "?", "~", "^", `"`, `\`, ":", " ", ",", "", "\u200f", "nobody at all", "ss", "@", "ο", "#1")
	case 1:
		u := pickOne(r, users...)
		return pickOne(r, u.Username, `corp\`+u.Username, u.Username+"@two.example", `ONE\`+string([]rune(u.Username)[:1]))
	}
	var parts []string
	for range 1 + r.IntN(3) {
		u := pickOne(r, users...)
		fields := strings.Fields(pickOne(r, u.Username, u.FullName, u.Email, u.Description, u.FullName))
		if len(fields) == 0 {
			continue
		}
		word := []rune(pickOne(r, fields...))
		from := 0
		if r.IntN(3) == 0 {
			from = r.IntN(len(word))
		}
		word = word[from : from+1+r.IntN(len(word)-from)]
		if r.IntN(4) == 0 && len(word) > 2 {
			at := r.IntN(len(word) - 1)
			word[at], word[at+1] = word[at+1], word[at]
		}
		if r.IntN(3) == 0 {
			word = []rune(strings.ToUpper(string(word)))
		}
		parts = append(parts, string(word))
		if r.IntN(2) == 0 {
			break
		}
	}
	return strings.Join(parts, " ")
}

// oracle finds in the slow way what Search is to find, among all users of a
// transaction by name.
func oracle(tx *roster.Txn, q roster.SearchQuery, all []*oracleUser) []roster.UserID {
	var first, others []roster.UserID
	query := newOracleQuery(q)
	for _, u := range all {
		if q.Within != nil && !q.Within.Contains(u.ID) || q.Active && !u.Active ||
			len(q.Directories) > 0 && !slices.Contains(q.Directories, u.Directory) {
			continue
		}
		switch exact, matches := query.matches(tx, u); {
		case exact:
			first = append(first, u.ID)
		case matches:
			others = append(others, u.ID)
		}
	}
	return append(first, others...)
}

// everyone returns all users of a transaction by name, as Txn.User gives them.
func everyone(tx *roster.Txn) (out []*oracleUser, err error) {
	all, err := tx.Users()
	if err != nil {
		return nil, err
	}
	for u := range all.ByName("") {
		rec, err := tx.User(u)
		if err != nil {
			return nil, err
		}
		out = append(out, newOracleUser(rec))
	}
	return out, nil
}

// pages reads all pages of a search. Where the total is a lower bound, a page may
// be short and have a next one all the same.
func pages(tx *roster.Txn, q roster.SearchQuery) (users []roster.UserID, total int, atLeast bool, err error) {
	for {
		res, err := tx.Search(q)
		if err != nil {
			return nil, 0, false, err
		}
		if len(res.Users) > q.Limit || res.Next != "" && len(res.Users) != q.Limit && !res.AtLeast {
			return nil, 0, false, fmt.Errorf("a page of %d with limit %d, then %q", len(res.Users), q.Limit, res.Next)
		}
		if users = append(users, res.Users...); res.Next == "" {
			return users, res.Total, res.AtLeast, nil
		}
		if q.After = res.Next; len(users) > 5*q.Limit {
			q.Limit = 10_000 // the rest at once
		}
	}
}

// agree compares n random searches with the oracle.
func agree(r *rand.Rand, tx *roster.Txn, n int) error {
	all, err := everyone(tx)
	if err != nil || len(all) == 0 {
		return err
	}
	return agreeOn(r, tx, all, n)
}

func agreeOn(r *rand.Rand, tx *roster.Txn, all []*oracleUser, n int) error {
	for range n {
		q, err := query(r, tx, all)
		if err == nil {
			err = compareSearch(tx, q, all)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// compareSearch compares one search with the oracle.
func compareSearch(tx *roster.Txn, q roster.SearchQuery, all []*oracleUser) error {
	want := oracle(tx, q, all)
	got, total, atLeast, err := pages(tx, q)
	if err == nil && (!slices.Equal(got, want) || total > len(want) || total < len(want) && !atLeast) {
		err = errors.New("others are found")
	}
	if err != nil {
		return fmt.Errorf("%+v at %d: %w\n%d of %d: %v\nwant %d: %v", q, tx.Revision(), err, len(got), total, names(tx, got), len(want), names(tx, want))
	}
	return nil
}

func names(tx *roster.Txn, users []roster.UserID) (out []string) {
	for _, u := range users[:min(len(users), 20)] {
		out = append(out, tx.Username(u))
	}
	return out
}

// query makes a random query.
func query(r *rand.Rand, tx *roster.Txn, all []*oracleUser) (q roster.SearchQuery, err error) {
	q = roster.SearchQuery{Text: typed(r, all), Limit: pickOne(r, 1, 3, 10, 30, 100, 100), Fuzzy: r.IntN(4) == 0, Active: r.IntN(4) == 0, NoTotal: r.IntN(3) == 0}
	switch r.IntN(8) {
	case 0:
		q.Fields = uint8(1 + r.IntN(31))
	case 1:
		q.Fields = roster.Username
	case 2:
		q.Fields = roster.Username | roster.FullName | roster.Email // what clients show
	}
	if r.IntN(4) == 0 {
		q.Directories = []roster.DirectoryID{roster.DirectoryID(1 + r.IntN(2))}
	}
	if r.IntN(2) == 0 {
		var set roster.Set
		set, err = someSet(r, tx)
		q.Within = &set
	}
	return q, err
}

// someSet makes a set of some size.
func someSet(r *rand.Rand, tx *roster.Txn) (set roster.Set, err error) {
	groups := slices.Collect(tx.GroupsByName())
	for range 1 + r.IntN(2) {
		if len(groups) == 0 {
			break
		}
		m, err := tx.Members(pickOne(r, groups...))
		if err != nil {
			return set, err
		}
		set = set.Or(m)
	}
	if r.IntN(3) == 0 {
		set = set.Not()
	}
	return set, nil
}

// peopled makes an engine of n users in two directories and groups of all sizes.
func peopled(t testing.TB, dir string, o roster.Options, r *rand.Rand, n int) *roster.Engine {
	t.Helper()
	o.SearchAttributes = []string{"Title"}
	err := roster.Build(context.Background(), dir, o, func(b *roster.Builder) error {
		err := errors.Join(b.PutDirectory(roster.Directory{ID: 1, Name: "one", Domain: "corp"}), b.PutDirectory(roster.Directory{ID: 2, Name: "Two.example"}))
		var ids []roster.UserID
		for i := range n {
			id, err := b.CreateUser(person(r, i))
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		for i, size := range []int{3, 10, 40, n / 20, n / 4, n / 2} {
			g, err := b.CreateGroup(roster.Group{Directory: 1, Name: fmt.Sprint("group", i)})
			if err != nil {
				return err
			}
			from := r.IntN(n - size)
			if err := b.AddMembers(g, ids[from:from+size]); err != nil {
				return err
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err := roster.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// indexed waits until the search index has come up with the engine.
func indexed(t rapid.TB, e *roster.Engine) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if rev, ok := roster.SearchedTo(e); ok && rev == e.Revision() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("no search index: %+v", e.Stats())
		}
	}
}

// TestSearchOracle compares random queries within random sets with the oracle:
// hits, their order, all pages, totals.
func TestSearchOracle(t *testing.T) {
	users, queries := pick(3000, 100_000), pick(600, 10_000)
	e := peopled(t, t.TempDir(), roster.WithIndexAlways(roster.Options{}), rand.New(rand.NewPCG(7, 8)), users)
	indexed(t, e)
	var wg sync.WaitGroup
	view(t, e, func(tx *roster.Txn) error {
		all, err := everyone(tx)
		workers := runtime.GOMAXPROCS(0)
		for w := range workers {
			r := rand.New(rand.NewPCG(9, uint64(w)))
			wg.Go(func() {
				if err := e.View(context.Background(), func(tx *roster.Txn) error { return agreeOn(r, tx, all, queries/workers) }); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		return err
	})
}

// view calls fn with a view, and fails with its error.
func view(t testing.TB, e *roster.Engine, fn func(*roster.Txn) error) {
	t.Helper()
	if err := e.View(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

// searchWell compares n searches with the oracle.
func searchWell(t testing.TB, e *roster.Engine, r *rand.Rand, n int) {
	t.Helper()
	view(t, e, func(tx *roster.Txn) error { return agree(r, tx, n) })
}
