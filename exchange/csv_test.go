package exchange_test

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/exchange"
	"github.com/rosterdb/roster/internal/text"
)

// people is what CSV can hold of a store: of each user the fields and, sorted,
// the groups, as a row.
func people(t testing.TB, e *roster.Engine) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := e.View(context.Background(), func(tx *roster.Txn) error {
		all, err := tx.Users()
		if err != nil {
			return err
		}
		for id := range all.All() {
			u, err := tx.User(id)
			if err != nil {
				return err
			}
			groups, err := tx.DirectGroups(id)
			if err != nil {
				return err
			}
			held := map[string]bool{}
			for _, g := range groups {
				if name := tx.GroupName(g); !strings.Contains(name, ";") && strings.TrimSpace(name) == name {
					held[text.Fold(name)] = true
				}
			}
			row := fmt.Sprintf("%q %q %q %v %q", u.FullName, u.Email, u.Description, u.Active, slices.Sorted(maps.Keys(held)))
			out[u.Username] = strings.ReplaceAll(row, `\r\n`, `\n`)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCSVUsers(t *testing.T) {
	e := open(t)
	mustLoad(t, e, exchange.Options{}, directory+`{"kind":"user","directory":1,"username":"Alice","fullName":"Old","email":"old@x","active":false}
{"kind":"group","directory":1,"name":"Sales","description":"kept"}
{"kind":"group","directory":1,"name":"all"}
{"kind":"member","directory":1,"group":"all","subgroup":"Sales"}
{"kind":"member","directory":1,"group":"all","user":"Alice"}`)
	file := "\ufeff groups ,USERNAME,\"email\",description,active\r\n" +
		"\r\n" +
		"sales; ;new,alice,,\"says \"\"hi\"\",\r\nand more\",\r\n" +
		" ,\" b,o\nb \",=1+1,,NO\r\n" +
		"Sales;NEW;\u00a0,carol,c@x,,Yes\r\n" +
		",dave,,,0"
	o := exchange.Options{Directory: "open ldap", Strict: true}
	sum := mustLoad(t, e, o, strings.ReplaceAll(file, "b,o\nb", "b,o;b"))
	if want := (exchange.Summary{Users: 4, Groups: 2, Memberships: 4, Revision: 2}); sum != want {
		t.Errorf("summary is %+v, want %+v", sum, want)
	}
	want := map[string]string{
		"alice":   `"Old" "" "says \"hi\",\nand more" false ["all" "new" "sales"]`,
		" b,o;b ": `"" "=1+1" "" false []`,
		"carol":   `"" "c@x" "" true ["new" "sales"]`,
		"dave":    `"" "" "" false []`,
	}
	if got := people(t, e); !maps.Equal(got, want) {
		t.Errorf("the store holds %q, want %q", got, want)
	}
	if got := export(t, e, exchange.JSONLines); !strings.Contains(got, `"name":"Sales","id":4,"uid":"grp_4","description":"kept"`) || !strings.Contains(got, `"name":"new"`) {
		t.Errorf("a group that a row names has changed:\n%s", got)
	}
	if again := mustLoad(t, e, o, strings.ReplaceAll(file, "b,o\nb", "b,o;b")); again.Revision != sum.Revision {
		t.Errorf("a second import made revision %d of %d", again.Revision, sum.Revision)
	}
	refuse(t, o, file, 5, exchange.ErrMalformed, "control characters")

	other := open(t)
	mustLoad(t, other, exchange.Options{}, "username\nalice\n")
	if got := withoutTimes(export(t, other, exchange.JSONLines)); got != `{"kind":"directory","id":1,"name":"default","type":"INTERNAL","domain":"default"
{"kind":"user","directory":1,"username":"alice","id":1,"uid":"usr_1","fullName":"","email":"","description":"","active":true,"attributes":{}
` {
		t.Errorf("the export is\n%s", got)
	}
}

func TestCSVEdges(t *testing.T) {
	e := open(t)
	mustLoad(t, e, exchange.Options{}, "username\nalice\nbob\ngroup:x\n")
	file := "member,group\nalice,Sales\nBOB,sales\ngroup:inside,sales\ngroup:sales,sales\ngone,\"sa\"\"les\"\ngroup:x,x\n"
	var warnings []string
	sum := mustLoad(t, e, exchange.Options{Warn: func(s string) { warnings = append(warnings, s) }}, file)
	if want := (exchange.Summary{Groups: 4, Memberships: 3, Unresolved: 1, Revision: 2}); sum != want {
		t.Errorf("summary is %+v, want %+v", sum, want)
	}
	if len(warnings) != 2 || !strings.Contains(warnings[0], `the first is "gone" (input, line 6)`) || !strings.Contains(warnings[1], "members of themselves") {
		t.Errorf("warnings are %q", warnings)
	}
	if again := mustLoad(t, e, exchange.Options{}, file); again.Revision != sum.Revision {
		t.Errorf("a second import made revision %d of %d", again.Revision, sum.Revision)
	}
	got := export(t, e, exchange.JSONLines)
	if i := strings.Index(got, `{"kind":"member"`); i < 0 || got[i:] != `{"kind":"member","directory":1,"group":"Sales","user":"alice"}
{"kind":"member","directory":1,"group":"Sales","user":"bob"}
{"kind":"member","directory":1,"group":"Sales","subgroup":"inside"}
` {
		t.Errorf("the export is\n%s", got)
	}
	refuse(t, exchange.Options{Strict: true}, file, 2, exchange.ErrUnresolved, `the first is "alice"`)

	// Both forms in one import, the references before what they name.
	both := open(t)
	in := func(text string) exchange.Input {
		return exchange.Input{Name: "input.csv", Reader: strings.NewReader(text)}
	}
	sum, err := exchange.Import(context.Background(), both, exchange.Options{Strict: true}, in("group,member\ng,alice\n"), in("username,groups\nalice,h\n"))
	if want := (exchange.Summary{Users: 1, Groups: 2, Memberships: 2, Revision: 1}); err != nil || sum != want {
		t.Errorf("%+v, %v; want %+v", sum, err, want)
	}
}

func TestCSVRefused(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		line int64
		kind error
		says string
	}{
		"empty":                  {"", 1, exchange.ErrMalformed, "header row is missing"},
		"nothing but lines":      {"\n\r\n\n", 1, exchange.ErrMalformed, "header row is missing"},
		"unknown column":         {"username,phone\na,b\n", 1, exchange.ErrMalformed, `column "phone" is unknown (username, fullName`},
		"unknown column below":   {"\n\n username , phone \n", 3, exchange.ErrMalformed, `column " phone " is unknown`},
		"semicolons":             {"username;email\na;b\n", 1, exchange.ErrMalformed, "a comma must stand between"},
		"tabs":                   {"group\tmember\n", 1, exchange.ErrMalformed, "a comma must stand between"},
		"column twice":           {"username,email,Email\n", 1, exchange.ErrMalformed, `"email" is there twice`},
		"no username":            {"fullName,email\n", 1, exchange.ErrMalformed, `"username" is missing`},
		"no member":              {"group\n", 1, exchange.ErrMalformed, `"member" is missing`},
		"no group":               {"member\n", 1, exchange.ErrMalformed, `"group" is missing`},
		"both forms":             {"group,member,email\n", 1, exchange.ErrMalformed, "go with no others"},
		"empty header field":     {"username,\n", 1, exchange.ErrMalformed, `column "" is unknown`},
		"too few fields":         {"username,email\na,b\nc\n", 3, exchange.ErrMalformed, "fewer fields"},
		"too many fields":        {"username,email\na,b\nc,d,e\n", 3, exchange.ErrMalformed, "more fields"},
		"bare quote":             {"username,email\na,b\nc,d\"e\n", 3, exchange.ErrMalformed, "without quotes"},
		"behind a quote":         {"username,email\n\"a\nb\"c,d\n", 2, exchange.ErrMalformed, "something stands behind"},
		"quote without end":      {"username,email\na,b\nc,\"d\ne,f\n\ng,h\n", 3, exchange.ErrMalformed, "does not end"},
		"behind quoted lines":    {"username,email\na,\"1\n2\n\n3\"\n\n,b\n", 7, exchange.ErrMalformed, "name of a user"},
		"empty username":         {"username,email\n,b\n", 2, exchange.ErrMalformed, "name of a user"},
		"long username":          {"username\n" + strings.Repeat("a", 257) + "\n", 2, exchange.ErrMalformed, "256 bytes"},
		"long text":              {"username,email\na," + strings.Repeat("a", 63_001) + "\n", 2, exchange.ErrMalformed, "longer than"},
		"bad group":              {"username,groups\na,b;\"c\n", 2, exchange.ErrMalformed, "without quotes"},
		"control in a group":     {"username,groups\na,b\nb,\"b;c\x01\"\n", 3, exchange.ErrMalformed, "name of a group"},
		"active":                 {"username,active\na,maybe\n", 2, exchange.ErrMalformed, `not "maybe"`},
		"user twice":             {"username,email\nStraße,\n\"b\",\nSTRASSE,\n", 4, exchange.ErrDuplicate, "first in line 2"},
		"empty group":            {"group,member\n,a\n", 2, exchange.ErrMalformed, "a group and a member"},
		"empty member":           {"group,member\na,\n", 2, exchange.ErrMalformed, "a group and a member"},
		"nested without a name":  {"group,member\na,group:\n", 2, exchange.ErrMalformed, "name of a group"},
		"invalid UTF-8":          {"username,email\na,b\nc,\"\xff\"\n", 3, exchange.ErrMalformed, "UTF-8"},
		"invalid UTF-8 in names": {"username,\xff\n", 1, exchange.ErrMalformed, "UTF-8"},
		"UTF-16":                 {"\xff\xfeu\x00s\x00", 1, exchange.ErrUnsupported, "UTF-16"},
		"long row":               {"username\na\n\n\"" + strings.Repeat("b\n", exchange.MaxRecord/2), 4, exchange.ErrTooLong, "longer than"},
		"long header":            {strings.Repeat("b", exchange.MaxRecord+1), 1, exchange.ErrTooLong, "longer than"},
		"strict":                 {"group,member\na,group:b\na,b\na,c\n", 3, exchange.ErrUnresolved, `name nobody: 2, the first is "b"`},
	} {
		t.Run(name, func(t *testing.T) {
			refuse(t, exchange.Options{Format: exchange.CSV, Strict: true}, c.text, c.line, c.kind, c.says)
		})
	}
}

// TestCSVDetected: by the name, and by the header.
func TestCSVDetected(t *testing.T) {
	for name, c := range map[string]struct{ file, text, says string }{
		"name":            {"people.CSV", "username,phone\n", "column"},
		"header":          {"people", "\ufeff\"username\",email\na,b\n", ""},
		"header alone":    {"-", "group,member", ""},
		"not the header":  {"people", "username,phone\na,b\n", "`name: value`"},
		"JSON lines":      {"people", `{"kind":"directory","id":1,"name":"username"}`, ""},
		"another format":  {"people.csv", "dn: x\n", "column"},
		"a single column": {"people", "username\na\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := exchange.Import(context.Background(), open(t), exchange.Options{}, exchange.Input{Name: c.file, Reader: strings.NewReader(c.text)})
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("error is %v, want %q", err, c.says)
			}
		})
	}
}

// endless is a row without end, of which an import must not read much.
type endless struct{ read int }

func (r *endless) Read(p []byte) (int, error) {
	if r.read > 64*exchange.MaxRecord {
		return 0, io.EOF
	}
	n := copy(p, strings.Repeat("a", len(p)))
	if r.read == 0 {
		n = copy(p, "username\n\"")
	}
	r.read += n
	return n, nil
}

func TestCSVEndlessRow(t *testing.T) {
	r := &endless{}
	_, err := exchange.Import(context.Background(), open(t), exchange.Options{Format: exchange.CSV}, exchange.Input{Name: "input", Reader: r})
	if err == nil || !strings.HasPrefix(err.Error(), "input: line 2: the row is longer than") || r.read > 2*exchange.MaxRecord {
		t.Errorf("%d bytes were read, error is %v", r.read, err)
	}
}

// TestRoundTripCSV: what CSV holds comes back, and importing it twice changes
// nothing.
func TestRoundTripCSV(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		e := randomEngine(rt)
		file := exportRapid(rt, e, exchange.CSV)
		other := emptyEngine(rt)
		o := exchange.Options{Strict: true}
		sum, err := load(other, o, file)
		if clash := sameUsers(e); clash != (err != nil) {
			rt.Fatalf("a user is in two directories: %v, and the import says %v", clash, err)
		} else if clash {
			return
		}
		want := people(t, e)
		for name, rest := range want { // a line that ends with CR LF comes back with LF
			want[name] = strings.ReplaceAll(rest, `\r\n`, `\n`)
		}
		if a, b := want, people(t, other); !maps.Equal(a, b) {
			rt.Fatalf("the CSV\n%s\nholds\n%q\nnot\n%q", file, b, a)
		}
		if again, err := load(other, o, file); err != nil || again.Revision != sum.Revision {
			rt.Fatalf("importing twice: %+v, %v; want revision %d", again, err, sum.Revision)
		}
	})
}

// sameUsers reports whether two directories have users of the same name.
func sameUsers(e *roster.Engine) (clash bool) {
	seen := map[string]bool{}
	_ = e.View(context.Background(), func(tx *roster.Txn) error {
		all, _ := tx.Users()
		for id := range all.All() {
			name := text.Fold(tx.Username(id))
			clash = clash || seen[name]
			seen[name] = true
		}
		return nil
	})
	return clash
}

// TestKubernetesCSV: a real directory comes back with its users and who is
// directly in which group.
func TestKubernetesCSV(t *testing.T) {
	file, err := os.ReadFile("../../shared/data/kubernetes.ldif")
	if err != nil {
		t.Skip("the data of the Kubernetes project is not here: ", err)
	}
	e, other := open(t), open(t)
	mustLoad(t, e, exchange.Options{Strict: true}, string(file))
	table := export(t, e, exchange.CSV)
	rows, err := csv.NewReader(strings.NewReader(table)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	sum := mustLoad(t, other, exchange.Options{Strict: true}, table)
	want := people(t, e)
	if len(want) != len(rows)-1 || sum.Users != int64(len(want)) {
		t.Errorf("%d users, %d rows, %+v", len(want), len(rows)-1, sum)
	}
	if !maps.Equal(people(t, other), want) {
		t.Error("an export as CSV gives other users or memberships")
	}
	if export(t, other, exchange.CSV) != table {
		t.Error("an export as CSV, imported and exported, differs")
	}
}

// TestLeftOut: a format says what it does not hold.
func TestLeftOut(t *testing.T) {
	e := open(t)
	mustLoad(t, e, exchange.Options{}, company+`{"kind":"admin","directory":1,"group":"sales","user":"bob"}
{"kind":"admin","directory":1,"group":"sales","byGroup":"leads"}
{"kind":"group","directory":1,"name":"a;b","description":"x"}
{"kind":"group","directory":1,"name":" c"}
{"kind":"group","directory":1,"name":"all"}
{"kind":"directory","id":2,"name":"two"}
{"kind":"user","directory":2,"username":"carol","attributes":{"x":["y"]},"description":"a\r\nb"}
{"kind":"member","directory":1,"group":"all","subgroup":"sales"}
{"kind":"member","directory":1,"group":"all","user":"bob"}
{"kind":"member","directory":1,"group":"a;b","user":"bob"}
{"kind":"member","directory":1,"group":" c","user":"bob"}`)
	shared := []string{"1 organisations: left out", "1 roles of organisations: left out", "1 memberships of organisations: left out", "2 administrators of groups: left out"}
	for format, want := range map[exchange.Format][]string{
		exchange.JSONLines: nil,
		exchange.LDIF:      append(shared, "LDIF holds no ids, uids and times: left out", "LDIF holds no directories"),
		exchange.CSV: append(shared, "CSV holds no ids, uids and times: left out", "CSV holds no directories", "1 memberships are of groups in groups",
			"2 memberships of groups whose name holds a semicolon", "2 groups have no users of their own", "1 groups have a description",
			"1 users have attributes", "1 texts have lines that end with CR LF"),
	} {
		var got []string
		o := exchange.ExportOptions{Format: format, Warn: func(s string) { got = append(got, s) }}
		if err := exchange.Export(context.Background(), e, io.Discard, o); err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, w) }) {
				t.Errorf("%s does not say %q: %q", format, w, got)
			}
		}
		if len(want) == 0 && len(got) > 0 {
			t.Errorf("%s says %q", format, got)
		}
	}
	if got, want := export(t, e, exchange.CSV), "username,fullName,email,description,active,groups\nalice,,,,true,\nbob,,,,true,all\ncarol,,,\"a\r\nb\",true,\n"; got != want {
		t.Errorf("the CSV is %q, want %q", got, want)
	}
}
