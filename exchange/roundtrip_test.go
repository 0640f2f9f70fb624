package exchange_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/exchange"
	"github.com/rosterdb/roster/internal/text"
)

// anyName draws a name that can be stored.
var anyName = rapid.Custom(func(t *rapid.T) string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"alice", "Bob", " c ", "d,e+f=\\g;\"h\"<i>#", "#1", "a@b", `x\y`, "group:z", "Straße", "é", "日本", "a  b", "-"}),
		rapid.StringN(1, 12, 60),
	).Filter(func(s string) bool { return text.ValidName(s) == nil }).Draw(t, "name")
})

// anyText draws a text, also one that LDIF and JSON have to escape.
var anyText = rapid.OneOf(
	rapid.SampledFrom([]string{"", " x", "x ", ":x", "<x", "\x00", "line\nline\r\n", `"\u`, "\u2028", "\ufeffx", strings.Repeat("long ", 40)}),
	rapid.String(),
)

var anyTime = rapid.Custom(func(t *rapid.T) time.Time {
	return time.Unix(rapid.Int64Range(-62135596799, 253402300799).Draw(t, "seconds"), rapid.Int64Range(0, 999999999).Draw(t, "nanoseconds"))
})

// fill puts a random roster into an engine.
func fill(t *rapid.T, tx *roster.Txn) {
	var users []roster.UserID
	var groups []roster.GroupID
	numbers, seen := map[uint64]bool{}, map[string]bool{}
	fresh := func(kind string, d roster.DirectoryID, name string) bool {
		key := fmt.Sprint(kind, d, text.Fold(name))
		defer func() { seen[key] = true }()
		return !seen[key]
	}
	for d := range rapid.IntRange(1, 3).Draw(t, "directories") {
		id := roster.DirectoryID(d)
		name := fmt.Sprint("dir ", d)
		must(t, second(tx.PutDirectory(roster.Directory{ID: id, Name: name, Type: anyText.Draw(t, "type"), Domain: anyText.Draw(t, "domain"), Created: anyTime.Draw(t, "created")})))
		for range rapid.IntRange(0, 8).Draw(t, "users") {
			u := roster.User{
				Directory: id, Username: anyName.Draw(t, "username"), FullName: anyText.Draw(t, "full name"), Email: anyText.Draw(t, "email"),
				Description: anyText.Draw(t, "description"), Active: rapid.Bool().Draw(t, "active"), Created: anyTime.Draw(t, "created"), Updated: anyTime.Draw(t, "updated"),
				Attributes: rapid.MapOfN(rapid.OneOf(anyText, rapid.SampledFrom([]string{"title", "cn", "sn", "userPassword"})), rapid.SliceOfN(anyText, 0, 3), 0, 3).Draw(t, "attributes"),
			}
			if n := rapid.Uint64Range(1000, math.MaxUint64).Draw(t, "number"); rapid.Bool().Draw(t, "numbered") && !numbers[n] {
				u.Number, numbers[n] = n, true
				u.UID = fmt.Sprint("uid ", n)
			}
			if fresh("user", id, u.Username) {
				id, err := tx.CreateUser(u)
				must(t, err)
				users = append(users, id)
			}
		}
		for range rapid.IntRange(0, 5).Draw(t, "groups") {
			g := roster.Group{
				Directory: id, Name: anyName.Draw(t, "name"), Description: anyText.Draw(t, "description"), Enterprise: rapid.Bool().Draw(t, "enterprise"),
				Abilities: rapid.SliceOfN(rapid.StringN(1, 5, 20), 0, 3).Draw(t, "abilities"), Created: anyTime.Draw(t, "created"), Updated: anyTime.Draw(t, "updated"),
			}
			if fresh("group", id, g.Name) {
				id, err := tx.CreateGroup(g)
				must(t, err)
				groups = append(groups, id)
			}
		}
	}
	for i, g := range groups {
		for range rapid.IntRange(0, 5).Draw(t, "members") {
			if len(users) > 0 {
				must(t, second(tx.Add(g, rapid.SampledFrom(users).Draw(t, "user"))))
			}
			if sub := rapid.IntRange(0, len(groups)-1).Draw(t, "subgroup"); sub != i {
				must(t, second(tx.Nest(g, groups[sub])))
			}
		}
		if len(users) > 0 && rapid.Bool().Draw(t, "administered") {
			must(t, second(tx.AddAdmins(g, rapid.SampledFrom(users).Draw(t, "administrator"))))
			must(t, second(tx.AddAdminGroups(g, rapid.SampledFrom(groups).Draw(t, "administrators"))))
		}
	}
	fillOrganizations(t, tx, users)
	fillCredentials(t, tx, users)
}

// someHashes are hashes of nothing in particular.
var someHashes = []string{
	"$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$" + strings.Repeat("A", 43), "$argon2id$v=19$m=16,t=2,p=2$c29tZXNhbHRz$" + strings.Repeat("B", 42) + "A",
	"$sha256$" + strings.Repeat("C", 42) + "A",
}

// fillCredentials gives some users accounts and API keys, some of one secret.
func fillCredentials(t *rapid.T, tx *roster.Txn, users []roster.UserID) {
	if len(users) == 0 {
		return
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	hashes := make([]access.Hash, len(someHashes)+1) // the last one is none
	for i, s := range someHashes {
		h, err := access.ParseHash(s)
		must(t, err)
		hashes[i] = h
	}
	list := func(name string, of ...string) []string {
		return rapid.SliceOfN(rapid.SampledFrom(of), 0, 3).Draw(t, name)
	}
	for range rapid.IntRange(0, 4).Draw(t, "accounts") {
		a := access.Account{User: rapid.SampledFrom(users).Draw(t, "user"), Privileges: list("privileges", "*", "b", "a", "Ü\"\\")}
		a.Password = rapid.SampledFrom([]access.Hash{hashes[0], hashes[1], hashes[3]}).Draw(t, "hash")
		if rapid.Bool().Draw(t, "dated") {
			a.Created, a.Updated = anyTime.Draw(t, "created").UTC(), anyTime.Draw(t, "updated").UTC()
		}
		must(t, second(access.PutAccount(tx, a, at)))
		if rapid.IntRange(0, 4).Draw(t, "what becomes of it") == 0 {
			must(t, access.DeleteAccount(tx, a.User, at))
		}
	}
	for range rapid.IntRange(0, 4).Draw(t, "keys") {
		k := access.Key{
			ID: rapid.SampledFrom([]string{"1", "2", "a b", "Ü"}).Draw(t, "id"), User: rapid.SampledFrom(users).Draw(t, "user"),
			Secret: rapid.SampledFrom(hashes[:3]).Draw(t, "hash"), Endpoints: list("endpoints", "/a", "/a/*", "*"),
		}
		var err error
		k.Addresses, err = access.ParseAddresses(list("addresses", "10.0.0.1", "192.0.2.0/24", "::/0"))
		must(t, err)
		if rapid.Bool().Draw(t, "expires") {
			k.Expires = anyTime.Draw(t, "expires")
		}
		must(t, second(access.PutKey(tx, k, at)))
	}
}

func second[T any](_ T, err error) error { return err }

func must(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func randomEngine(t *rapid.T) *roster.Engine {
	e := emptyEngine(t)
	_, err := e.Update(context.Background(), func(tx *roster.Txn) error {
		fill(t, tx)
		return nil
	})
	must(t, err)
	return e
}

func emptyEngine(t *rapid.T) *roster.Engine {
	e, err := roster.Open("", roster.Options{InMemory: true})
	must(t, err)
	t.Cleanup(func() { e.Close() })
	return e
}

func exportRapid(t *rapid.T, e *roster.Engine, f exchange.Format) string {
	var out strings.Builder
	must(t, exchange.Export(context.Background(), e, &out, exchange.ExportOptions{Format: f}))
	return out.String()
}

// TestRoundTrip: JSON lines hold everything, in whatever order they come, and
// importing them twice changes nothing.
func TestRoundTrip(outer *testing.T) {
	rapid.Check(outer, func(t *rapid.T) {
		e := randomEngine(t)
		first := exportRapid(t, e, exchange.JSONLines)
		if sum, err := load(e, exchange.Options{Strict: true}, first); err != nil || sum.Revision != 1 {
			t.Fatalf("importing an export into its own store: %+v, %v; want revision 1", sum, err)
		}
		lines := rapid.Permutation(strings.SplitAfter(first, "\n")).Draw(t, "order")
		other := emptyEngine(t)
		_, err := load(other, exchange.Options{Strict: true}, strings.Join(lines, ""))
		must(t, err)
		if second := exportRapid(t, other, exchange.JSONLines); second != first {
			t.Fatalf("the export of an import of\n%s\nis\n%s", first, second)
		}
		if rapid.IntRange(0, 9).Draw(t, "built") == 0 { // it writes to disk
			if second := exportRapid(t, buildRapid(t, outer.TempDir(), lines), exchange.JSONLines); second != first {
				t.Fatalf("the export of what was built of\n%s\nis\n%s", first, second)
			}
		}
	})
}

// buildRapid builds a store of JSON lines in a folder and opens it.
func buildRapid(t *rapid.T, dir string, lines []string) *roster.Engine {
	in := exchange.Input{Name: "input", Reader: strings.NewReader(strings.Join(lines, ""))}
	plan, err := exchange.Read(context.Background(), exchange.Options{Strict: true}, in)
	must(t, err)
	defer plan.Close()
	_, err = plan.Build(context.Background(), dir, roster.Options{})
	must(t, err)
	e, err := roster.Open(dir, roster.Options{})
	must(t, err)
	t.Cleanup(func() { e.Close() })
	return e
}

// TestRoundTripLDIF: what LDIF holds comes back: names, mails, who is active
// and who is in which group, and after that nothing more is lost.
func TestRoundTripLDIF(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := randomEngine(t)
		file := exportRapid(t, e, exchange.LDIF)
		if i := slices.IndexFunc([]byte(file), func(c byte) bool { return c >= 0x7f || c < ' ' && c != '\n' }); i >= 0 {
			t.Fatalf("byte %d of the LDIF is not printable ASCII", i)
		}
		other := emptyEngine(t)
		_, err := load(other, exchange.Options{Strict: true}, file)
		if clash := sameNames(e); clash != "" {
			if err == nil {
				t.Fatalf("%s is in two directories, and the import did not refuse it", clash)
			}
			return
		}
		must(t, err)
		if a, b := outline(e), outline(other); a != b {
			t.Fatalf("the LDIF\n%s\nholds\n%s\nnot\n%s", file, difference(b, a), difference(a, b))
		}
		third := emptyEngine(t)
		_, err = load(third, exchange.Options{Strict: true}, exportRapid(t, other, exchange.LDIF))
		must(t, err)
		if a, b := withoutIDs(exportRapid(t, other, exchange.JSONLines)), withoutIDs(exportRapid(t, third, exchange.JSONLines)); a != b {
			t.Fatalf("a second time through LDIF changes\n%s\ninto\n%s", a, b)
		}
	})
}

var assignedIDs = regexp.MustCompile(`"id":\d+,"uid":"[a-z]+_\d+",`)

// withoutIDs takes out of JSON lines what an LDIF does not hold and the engine
// assigned.
func withoutIDs(lines string) string {
	return assignedIDs.ReplaceAllString(withoutTimes(lines), "")
}

// difference returns what is different in a, with nothing that comes before.
func difference(a, b string) string {
	for len(a) > 0 && len(b) > 0 {
		x, restA, _ := strings.Cut(a, "\n")
		y, restB, _ := strings.Cut(b, "\n")
		if x != y {
			break
		}
		a, b = restA, restB
	}
	return a
}

// sameNames returns a name that two directories have.
func sameNames(e *roster.Engine) (clash string) {
	seen := map[string]bool{}
	see := func(name string) {
		if seen[text.Fold(name)] {
			clash = name
		}
		seen[text.Fold(name)] = true
	}
	_ = e.View(context.Background(), func(tx *roster.Txn) error {
		all, _ := tx.Users()
		for id := range all.All() {
			see("user " + tx.Username(id))
		}
		for id := range tx.GroupsByName() {
			see("group " + tx.GroupName(id))
		}
		return nil
	})
	return clash
}

// outline is what an LDIF can hold of a store.
func outline(e *roster.Engine) string {
	var out strings.Builder
	_ = e.View(context.Background(), func(tx *roster.Txn) error {
		all, _ := tx.Users()
		for id := range all.ByName("") {
			u, _ := tx.User(id)
			fmt.Fprintf(&out, "user %q %q %q %v\n", u.Username, cmp.Or(u.FullName, u.Username), u.Email, u.Active)
		}
		for id := range tx.GroupsByName() {
			g, _ := tx.Group(id)
			fmt.Fprintf(&out, "group %q %q\n", g.Name, g.Description)
			members, _ := tx.DirectMembers(id)
			for u := range members.ByName("") {
				fmt.Fprintf(&out, "  %q\n", tx.Username(u))
			}
			subgroups, _ := tx.Subgroups(id)
			for _, s := range subgroups {
				fmt.Fprintf(&out, "  group %q\n", tx.GroupName(s))
			}
		}
		return nil
	})
	return out.String()
}
