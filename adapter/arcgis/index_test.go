package arcgis_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/arcgis"
)

// TestFiltersByIndex compares filters with the definition of what they fit in a
// store that is large enough to have a search index.
func TestFiltersByIndex(t *testing.T) {
	w := newWorld(t)
	e, err := roster.Open(t.TempDir(), roster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	w.e = e
	s := &system{w, &model{users: map[string]string{}}}
	all := map[string]bool{}
	w.update(func(tx *roster.Txn) error {
		if err := w.fill(tx); err != nil {
			return err
		}
		for i := range 3000 {
			name := fmt.Sprintf("%s%d", modelNames[i%len(modelNames)], i)
			if i%2 == 1 {
				name = fmt.Sprintf("u%d.%s", i, modelNames[i/2%len(modelNames)])
			}
			full := fmt.Sprintf("%s %d", fullNames[i/3%len(fullNames)], i%50)
			if _, err := tx.CreateUser(roster.User{Directory: 2, Username: name, FullName: full, Active: true}); err != nil {
				return err
			}
			s.m.users[`domain\`+name] = full
			all[`domain\`+name] = true
		}
		return nil
	})
	s.m.users[`domain\aturing`], s.m.users[`domain\jdoe`] = "Alan Turing", "John Doe"
	all[`domain\aturing`], all[`domain\jdoe`] = true, true
	p := access.Principal{User: w.admin, Username: "admin1", By: access.ByHost, Privileges: []string{access.AllPrivileges}}
	w.h = arcgis.New(e, arcgis.Options{Authenticator: host{p}})
	for end := time.Now().Add(time.Minute); e.Stats().SearchUsers < 3000; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("there is no index: %+v", e.Stats())
		}
	}
	// Everybody of the directory ArcGIS is left out by a filter that names the other.
	for _, filter := range append(filters, "u1", "ab1", "star", "neil", "def-", "abc 4", "*é*", "*u2*", "b-", "*[a]*", "smithson*", "*neil, a*") {
		for _, most := range []int{1, 10, 5000} {
			names, more := w.list(users+"/searchEnterpriseUsers", "filter", `domain\`+filter, "maxCount", fmt.Sprint(most))
			if got, want := fmt.Sprint(names, " ", more), s.m.page(all, `domain\`+filter, most); got != want {
				t.Errorf("%q, %d:\n got %.300s\nwant %.300s", filter, most, got, want)
			}
			if filter == "" || filter == "*" || filter == "**" {
				continue
			}
			names, more = w.list(users+"/searchEnterpriseUsers", "filter", filter, "maxCount", fmt.Sprint(most))
			if got, want := fmt.Sprint(names, " ", more), s.m.page(everybody(all), filter, most); got != want {
				t.Errorf("%q, %d:\n got %.300s\nwant %.300s", filter, most, got, want)
			}
		}
	}
}

func everybody(in map[string]bool) map[string]bool {
	out := map[string]bool{`ArcGIS\admin1`: true, `ArcGIS\helper`: true, `ArcGIS\nobody1`: true}
	for u := range in {
		out[u] = true
	}
	return out
}
