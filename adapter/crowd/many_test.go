package crowd_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
)

// TestManyDirectories: however many directories there are, and a request names, each
// group is looked at once.
func TestManyDirectories(t *testing.T) {
	const directories, groups = 400, 4000
	w := newWorld(t)
	var few, many []string
	w.update(func(tx *roster.Txn) error {
		for i := range directories {
			d := roster.Directory{ID: roster.DirectoryID(5000 + i), Name: fmt.Sprint("dir", i)}
			if _, err := tx.PutDirectory(d); err != nil {
				return err
			}
			many = append(many, d.ID.String())
		}
		few = many[:2]
		for i := range groups {
			g, err := tx.CreateGroup(roster.Group{Directory: 1900, Name: fmt.Sprint("group", i)})
			if err == nil {
				_, err = tx.AddAdmins(g, w.user(tx, 1900, "boss"))
			}
			if err != nil {
				return err
			}
		}
		g, err := tx.CreateGroup(roster.Group{Directory: 5000, Name: "alone"})
		if err == nil {
			_, err = tx.AddAdmins(g, w.user(tx, 1900, "boss"))
		}
		return err
	})
	fastest := func(method, path, body, want string) time.Duration {
		best := time.Hour
		for range 5 {
			begin := time.Now()
			w.expect(method, base+path, "boss", body, 200, want)
			best = min(best, time.Since(begin))
		}
		return best
	}
	in := func(ids []string) string { return `{"directoryIds":[` + strings.Join(ids, ",") + `]}` }
	slow := fastest("POST", "groups/query", in(many), `"name":"alone"`)
	if quick := fastest("POST", "groups/query", in(few), `"name":"alone"`); slow > 20*quick+20*time.Millisecond {
		t.Errorf("groups of 2 directories: %v, of %d: %v", quick, directories, slow)
	}
	slow = fastest("GET", "directory/managed", "", `[{"id":1900,"displayName":"Internal","directoryType":"INTERNAL"},{"id":5000,"displayName":"dir0","directoryType":"INTERNAL"}]`)
	if quick := fastest("POST", "groups/query", in(few), `"name":"alone"`); slow > 20*quick+20*time.Millisecond {
		t.Errorf("a query took %v, the list of directories %v", quick, slow)
	}
}

// TestSuggestionsInPages: pages of possible administrators, one by one, are the
// list; the groups behind a page are not looked at.
func TestSuggestionsInPages(t *testing.T) {
	w := newWorld(t)
	type list struct {
		Values []struct{ Entity struct{ ID, Type string } }
		Last   bool `json:"isLastPage"`
	}
	ask := func(start, limit int) (out list) {
		t.Helper()
		_, body := w.ask("GET", fmt.Sprintf("%sgroup-level-admin/%s/admins/suggestions?start=%d&limit=%d", base, bad, start, limit), "root", "")
		if err := json.Unmarshal([]byte(body), &out); err != nil {
			t.Fatal(err, body)
		}
		return out
	}
	whole := ask(0, 1000)
	if n := len(whole.Values); n != len(groups[1900])+len(people[1900])-1 || !whole.Last || whole.Values[4].Entity.Type != "GROUP" || whole.Values[5].Entity.Type != "USER" {
		t.Fatalf("%+v", whole)
	}
	for start := range len(whole.Values) + 2 {
		for limit := range len(whole.Values) + 2 {
			page := ask(start, limit)
			from := min(start, len(whole.Values))
			to := min(start+limit, len(whole.Values))
			if fmt.Sprint(page.Values) != fmt.Sprint(whole.Values[from:max(from, to)]) || page.Last != (start+limit >= len(whole.Values)) {
				t.Errorf("%d from %d: %+v", limit, start, page)
			}
		}
	}
	suggest := func() time.Duration {
		best := time.Hour
		for range 5 {
			begin := time.Now()
			w.expect("GET", base+"group-level-admin/"+bad+"/admins/suggestions?limit=4", "root", "", 200, `"size":4`)
			best = min(best, time.Since(begin))
		}
		return best
	}
	few := suggest()
	w.update(func(tx *roster.Txn) error {
		for i := range 40_000 {
			if _, err := tx.CreateGroup(roster.Group{Directory: 1900, Name: fmt.Sprint("group", i)}); err != nil {
				return err
			}
		}
		return nil
	})
	if many := suggest(); many > 3*few+time.Millisecond {
		t.Errorf("four of few groups: %v, of many: %v", few, many)
	}
}

// TestTooManyEntities: a list that would keep all others from changing anything.
func TestTooManyEntities(t *testing.T) {
	w := newWorld(t)
	w.expect("POST", base+"groups/"+bad+"/users", "boss", `{"ids":["x"`+strings.Repeat(`,"x"`, 200_000)+`]}`, 413, "REQUEST_TOO_LARGE")
	w.expect("POST", base+"groups/"+bad+"/users", "boss", `{"ids":["x"`+strings.Repeat(`,"x"`, 199_999)+`]}`, 200, `"failures":[{"entity":"x"`)
	w.expect("POST", base+"group-level-admin/"+bad+"/admins", "root", `[{}`+strings.Repeat(`,{}`, 200_000)+`]`, 413, "REQUEST_TOO_LARGE")
}
