package exchange_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/exchange"
	"github.com/rosterdb/roster/internal/text"
)

// fillOrganizations puts random organisations into an engine. Few times are
// drawn, so that memberships are often of the same.
func fillOrganizations(t *rapid.T, tx *roster.Txn, users []roster.UserID) {
	times := rapid.SliceOfN(anyTime, 1, 3).Draw(t, "times")
	at := func() time.Time { return rapid.SampledFrom(times).Draw(t, "time") }
	permissions := rapid.SliceOfN(rapid.OneOf(rapid.StringN(1, 5, 20), rapid.Just(roster.AllPermissions)), 0, 3)
	seen := map[string]bool{}
	for range rapid.IntRange(0, 4).Draw(t, "organizations") {
		o := roster.Organization{ID: anyName.Draw(t, "organization"), Name: anyText.Draw(t, "name"), Created: at(), Updated: at()}
		if seen[text.Fold(o.ID)] {
			continue
		}
		seen[text.Fold(o.ID)] = true
		must(t, second(tx.PutOrganization(o)))
		var roles []string
		for range rapid.IntRange(0, 3).Draw(t, "roles") {
			r := roster.Role{Organization: o.ID, ID: anyName.Draw(t, "role"), Name: anyText.Draw(t, "name"), Permissions: permissions.Draw(t, "permissions"), Created: at(), Updated: at()}
			must(t, second(tx.PutRole(r)))
			roles = append(roles, r.ID)
		}
		for _, u := range users {
			if rapid.Bool().Draw(t, "member") {
				m := roster.OrgMembership{
					Organization: o.ID, User: u, Owner: rapid.Bool().Draw(t, "owner"), Default: rapid.Bool().Draw(t, "default"),
					Permissions: permissions.Draw(t, "permissions"), Created: at(), Updated: at(),
					AllowedIPs: rapid.SliceOfN(rapid.SampledFrom(networks), 0, 3).Draw(t, "networks"),
				}
				if len(roles) > 0 {
					m.Roles = rapid.SliceOfN(rapid.SampledFrom(roles), 0, 3).Draw(t, "held")
				}
				must(t, second(tx.PutOrgMembership(m)))
			}
		}
	}
}

var networks = []netip.Prefix{
	netip.MustParsePrefix("153.12.32.33/32"), netip.MustParsePrefix("201.54.122.7/24"), netip.MustParsePrefix("76.0.0.0/8"),
	netip.MustParsePrefix("2a00::/16"), netip.MustParsePrefix("2a00:1::1/128"), netip.MustParsePrefix("::ffff:201.54.122.9/128"),
}

const company = directory + `{"kind":"user","directory":1,"username":"alice","id":1,"uid":"u_a"}
{"kind":"user","directory":1,"username":"bob","id":2}
{"kind":"group","directory":1,"name":"sales","id":10}
{"kind":"group","directory":1,"name":"leads","id":11}
{"kind":"organization","id":"org_1","name":"Acme"}
{"kind":"role","organization":"org_1","id":"role_a","name":"Admin","permissions":["*"]}
{"kind":"orgMembership","organization":"org_1","user":"u_a","isOwner":true,"isDefault":true,"roleIds":["role_a"],"permissions":[],"allowedIps":null}
`

func TestOrganizationsRefused(t *testing.T) {
	many := func(format string, n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(format, i))
		}
		return `["` + strings.Join(list, `","`) + `"]`
	}
	member := `{"kind":"orgMembership","organization":"org_1","user":"usr_2",`
	for name, c := range map[string]struct {
		line string // the ninth of the input
		kind error
		says string
	}{
		"organisation twice":       {`{"kind":"organization","id":"ORG_1"}`, exchange.ErrDuplicate, `organisation "ORG_1" is in the input twice, first in line 6`},
		"role twice":               {`{"kind":"role","organization":"Org_1","id":"Role_A"}`, exchange.ErrDuplicate, `first in line 7`},
		"membership twice":         {`{"kind":"orgMembership","organization":"ORG_1","user":"u_a"}`, exchange.ErrDuplicate, `"u_a" in organisation "ORG_1" is in the input twice, first in line 8`},
		"two defaults":             {`{"kind":"orgMembership","organization":"other","user":"u_a","isDefault":true}`, exchange.ErrDuplicate, "another default organisation in line 8"},
		"no id":                    {`{"kind":"organization","name":"x"}`, exchange.ErrMalformed, `an organization needs "id"`},
		"unknown field":            {`{"kind":"organization","id":"x","owner":"u_a"}`, exchange.ErrMalformed, `"owner" of an organization is unknown`},
		"control character":        {`{"kind":"organization","id":"a\u0000b"}`, exchange.ErrMalformed, "control characters"},
		"long name":                {`{"kind":"organization","id":"x","name":"` + strings.Repeat("x", 63_001) + `"}`, exchange.ErrMalformed, "longer than"},
		"role without id":          {`{"kind":"role","organization":"org_1"}`, exchange.ErrMalformed, `a role needs "organization" and "id"`},
		"role without its own":     {`{"kind":"role","id":"x"}`, exchange.ErrMalformed, `a role needs "organization" and "id"`},
		"control in a role":        {`{"kind":"role","organization":"org_1","id":"a\n"}`, exchange.ErrMalformed, "ID of a role must not hold control characters"},
		"role of nothing":          {`{"kind":"role","organization":"other","id":"x"}`, exchange.ErrUnresolved, `"other" is neither in the input nor in the store`},
		"empty permission":         {`{"kind":"role","organization":"org_1","id":"x","permissions":[""]}`, exchange.ErrMalformed, "empty permission"},
		"long permission":          {`{"kind":"role","organization":"org_1","id":"x","permissions":["` + strings.Repeat("x", 63_001) + `"]}`, exchange.ErrMalformed, "longer than"},
		"too many permissions":     {`{"kind":"role","organization":"org_1","id":"x","permissions":` + many("p%d", 1025) + `}`, exchange.ErrMalformed, "more than 1024 permissions"},
		"too large":                {`{"kind":"role","organization":"org_1","id":"x","permissions":` + many(strings.Repeat("x", 100)+"%d", 700) + `}`, exchange.ErrMalformed, "larger than 64000 bytes"},
		"member without user":      {`{"kind":"orgMembership","organization":"org_1"}`, exchange.ErrMalformed, "a uid"},
		"member of nothing":        {`{"kind":"orgMembership","organization":"other","user":"u_a"}`, exchange.ErrUnresolved, `"other" is neither`},
		"unknown member there":     {`{"kind":"orgMembership","organization":"other","user":"gone"}`, exchange.ErrUnresolved, `"other" is neither`},
		"unknown role":             {member + `"roleIds":["role_b"]}`, exchange.ErrUnresolved, `role "role_b" of organisation "org_1" is neither`},
		"empty role":               {member + `"roleIds":[""]}`, exchange.ErrMalformed, "ID of a role"},
		"too many roles":           {member + `"roleIds":` + many("role_a%.d", 1025) + `}`, exchange.ErrMalformed, "more than 1024 roles"},
		"too large a membership":   {member + `"permissions":` + many(strings.Repeat("x", 100)+"%d", 700) + `}`, exchange.ErrMalformed, "larger than 64000 bytes"},
		"owner as text":            {member + `"isOwner":"yes"}`, exchange.ErrMalformed, "true or false"},
		"default as null":          {member + `"isDefault":null}`, exchange.ErrMalformed, "true or false"},
		"no network":               {member + `"allowedIps":["home"]}`, exchange.ErrMalformed, `"home" is none`},
		"network of a zone":        {member + `"allowedIps":["2a00::1%eth0"]}`, exchange.ErrMalformed, "is none"},
		"stars in the middle":      {member + `"allowedIps":["76.*.1.*"]}`, exchange.ErrMalformed, "is none"},
		"too few stars":            {member + `"allowedIps":["76.*"]}`, exchange.ErrMalformed, "is none"},
		"too many stars":           {member + `"allowedIps":["1.2.3.4.5.*"]}`, exchange.ErrMalformed, "is none"},
		"stars behind IPv6":        {member + `"allowedIps":["2a00::1.*.*.*"]}`, exchange.ErrMalformed, "is none"},
		"only stars":               {member + `"allowedIps":["*.*.*.*"]}`, exchange.ErrMalformed, "is none"},
		"private network":          {member + `"allowedIps":["1.2.3.4","10.0.0.1"]}`, exchange.ErrMalformed, `"10.0.0.1" is not public`},
		"private stars":            {member + `"allowedIps":["192.*.*.*"]}`, exchange.ErrMalformed, "not public"},
		"too many networks":        {member + `"allowedIps":` + many("2a00::%x", 1025) + `}`, exchange.ErrMalformed, "more than 1024 allowed networks"},
		"networks as text":         {member + `"allowedIps":"1.2.3.4"}`, exchange.ErrMalformed, "a list of strings"},
		"bad time":                 {member + `"createdTime":"now"}`, exchange.ErrMalformed, "RFC 3339"},
		"admin of two kinds":       {`{"kind":"admin","directory":1,"group":"sales","user":"bob","byGroup":"leads"}`, exchange.ErrMalformed, `an admin needs "directory", "group" and one of "user" and "byGroup"`},
		"admin as subgroup":        {`{"kind":"admin","directory":1,"group":"sales","subgroup":"leads"}`, exchange.ErrMalformed, `"subgroup" of an admin is unknown`},
		"stray byGroupDirectory":   {`{"kind":"admin","directory":1,"group":"sales","user":"bob","byGroupDirectory":1}`, exchange.ErrMalformed, "goes with"},
		"bad time of an admin":     {`{"kind":"admin","directory":1,"group":"sales","user":"bob","updatedTime":7}`, exchange.ErrMalformed, `must be a string`},
		"strict administrator":     {`{"kind":"admin","directory":1,"group":"sales","user":"gone"}`, exchange.ErrUnresolved, `the first is "gone"`},
		"strict organisation user": {`{"kind":"orgMembership","organization":"org_1","user":"gone"}`, exchange.ErrUnresolved, `the first is "gone"`},
	} {
		t.Run(name, func(t *testing.T) {
			refuse(t, exchange.Options{Format: exchange.JSONLines, Strict: true}, company+c.line+"\n", 9, c.kind, c.says)
		})
	}
}

// TestOrganizations: lines in any order, networks in any form, and references
// to what only the store holds.
func TestOrganizations(t *testing.T) {
	e := open(t)
	lines := strings.SplitAfter(company, "\n")
	reversed := ""
	for _, line := range lines {
		reversed = line + reversed
	}
	first := mustLoad(t, e, exchange.Options{Strict: true}, reversed)
	if want := (exchange.Summary{Users: 2, Groups: 2, Organizations: 1, Roles: 1, OrgMemberships: 1, Revision: 1}); first != want {
		t.Errorf("summary is %+v, want %+v", first, want)
	}
	more := `{"kind":"admin","directory":1,"group":"sales","user":"bob"}
{"kind":"admin","directory":1,"group":"sales","byGroup":"leads"}
{"kind":"admin","directory":1,"group":"sales","byGroup":"sales"}
{"kind":"admin","directory":1,"group":"sales","user":"gone"}
{"kind":"orgMembership","organization":"ORG_1","user":"usr_2","roleIds":["ROLE_A","role_a"],"permissions":["b","a","b"],"allowedIps":["153.12.32.33","201.54.122.7/24","76.*.*.*","::ffff:1.2.3.4","2a00::1/128","201.54.122.0/24"]}
{"kind":"orgMembership","organization":"org_1","user":"gone"}
`
	sum := mustLoad(t, e, exchange.Options{}, more)
	if want := (exchange.Summary{Admins: 3, OrgMemberships: 1, Unresolved: 2, Revision: 2}); sum != want {
		t.Errorf("summary is %+v, want %+v", sum, want)
	}
	if again := mustLoad(t, e, exchange.Options{}, more); again.Revision != sum.Revision {
		t.Errorf("a second import made revision %d", again.Revision)
	}
	got := export(t, e, exchange.JSONLines)
	for _, want := range []string{
		`{"kind":"admin","directory":1,"group":"sales","user":"bob"}
{"kind":"admin","directory":1,"group":"sales","byGroup":"leads"}
{"kind":"admin","directory":1,"group":"sales","byGroup":"sales"}
{"kind":"organization","id":"org_1","name":"Acme","createdTime":"2026-`,
		`{"kind":"role","organization":"org_1","id":"role_a","name":"Admin","permissions":["*"],"createdTime":"`,
		`{"kind":"orgMembership","organization":"org_1","user":"u_a","isOwner":true,"isDefault":true,"roleIds":["role_a"],"permissions":[],"allowedIps":null,"createdTime":"`,
		`{"kind":"orgMembership","organization":"org_1","user":"usr_2","isOwner":false,"isDefault":true,"roleIds":["role_a"],"permissions":["b","a"],"allowedIps":["153.12.32.33","201.54.122.0/24","76.0.0.0/8","1.2.3.4","2a00::1"],"createdTime":"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the export lacks %s:\n%s", want, got)
		}
	}
	// A field that a line leaves out stays, and null takes away.
	mustLoad(t, e, exchange.Options{}, `{"kind":"orgMembership","organization":"org_1","user":"usr_2","allowedIps":null}
{"kind":"role","organization":"org_1","id":"role_a","name":"Boss"}
{"kind":"organization","id":"org_1"}`)
	got = export(t, e, exchange.JSONLines)
	for _, want := range []string{
		`"roleIds":["role_a"],"permissions":["b","a"],"allowedIps":null`, `"id":"role_a","name":"Boss","permissions":["*"]`, `"name":"Acme"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the export lacks %s:\n%s", want, got)
		}
	}
}

// TestOwnersAndDefaults: whoever is demoted is replaced first, and a default
// moves when a line says so.
func TestOwnersAndDefaults(t *testing.T) {
	e := open(t)
	mustLoad(t, e, exchange.Options{Strict: true}, company)
	swap := `{"kind":"orgMembership","organization":"org_1","user":"u_a","isOwner":false,"isDefault":false}
{"kind":"orgMembership","organization":"org_2","user":"usr_2"}
{"kind":"orgMembership","organization":"org_1","user":"usr_2","isOwner":true,"isDefault":true}
{"kind":"organization","id":"org_2"}
{"kind":"orgMembership","organization":"org_2","user":"u_a","isDefault":true}
`
	sum := mustLoad(t, e, exchange.Options{Strict: true}, swap)
	if again := mustLoad(t, e, exchange.Options{Strict: true}, swap); again.Revision != sum.Revision {
		t.Errorf("a second import made revision %d of %d", again.Revision, sum.Revision)
	}
	got := export(t, e, exchange.JSONLines)
	for _, want := range []string{
		`"organization":"org_1","user":"u_a","isOwner":false,"isDefault":false`, `"organization":"org_2","user":"u_a","isOwner":false,"isDefault":true`,
		`"organization":"org_1","user":"usr_2","isOwner":true,"isDefault":true`, `"organization":"org_2","user":"usr_2","isOwner":false,"isDefault":false`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the export lacks %s:\n%s", want, got)
		}
	}
	_, err := load(e, exchange.Options{}, `{"kind":"orgMembership","organization":"org_2","user":"usr_2","isOwner":false}
{"kind":"orgMembership","organization":"ORG_1","user":"usr_2","isOwner":false}`)
	if !errors.Is(err, roster.ErrLastOwner) || !strings.HasPrefix(err.Error(), `input: line 2: the organisation "ORG_1" would have no owner left`) {
		t.Errorf("error is %v", err)
	}
	if e.Revision() != sum.Revision {
		t.Error("a refused import changed the store")
	}
}

// TestUIDsThatChange: a uid means who has it when the import is done.
func TestUIDsThatChange(t *testing.T) {
	before := directory + `{"kind":"user","directory":1,"username":"alice","id":1}
{"kind":"user","directory":1,"username":"bob","id":2,"uid":"b"}
{"kind":"organization","id":"o"}
`
	for name, c := range map[string]struct {
		lines      string
		unresolved int64
		says       string
	}{
		"given up":          {`{"kind":"user","directory":1,"username":"alice","uid":"a"}` + "\n" + `{"kind":"orgMembership","organization":"o","user":"usr_1"}`, 1, ""},
		"taken up":          {`{"kind":"user","directory":1,"username":"alice","uid":"a"}` + "\n" + `{"kind":"orgMembership","organization":"o","user":"a"}`, 0, ""},
		"follows an id":     {`{"kind":"user","directory":1,"username":"alice","id":7}` + "\n" + `{"kind":"orgMembership","organization":"o","user":"usr_7"}`, 0, ""},
		"of an id given up": {`{"kind":"user","directory":1,"username":"alice","id":7}` + "\n" + `{"kind":"orgMembership","organization":"o","user":"usr_1"}`, 1, ""},
		"kept with an id":   {`{"kind":"user","directory":1,"username":"bob","id":2}` + "\n" + `{"kind":"orgMembership","organization":"o","user":"b"}`, 0, ""},
		"not made of an id": {`{"kind":"user","directory":1,"username":"bob","id":2}` + "\n" + `{"kind":"orgMembership","organization":"o","user":"usr_2"}`, 1, ""},
		"to be assigned":    {`{"kind":"user","directory":1,"username":"carol"}` + "\n" + `{"kind":"orgMembership","organization":"o","user":"usr_3"}`, 0, "give them ids"},
		"never assigned":    {`{"kind":"user","directory":1,"username":"carol"}` + "\n" + `{"kind":"orgMembership","organization":"o","user":"usr_03"}`, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := open(t)
			mustLoad(t, e, exchange.Options{}, before)
			sum, err := load(e, exchange.Options{}, c.lines)
			if c.says != "" {
				if !errors.Is(err, exchange.ErrUnresolved) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("error is %v, want one that says %q", err, c.says)
				}
				return
			}
			if err != nil || sum.Unresolved != c.unresolved || sum.OrgMemberships != 1-c.unresolved {
				t.Errorf("%+v, %v; want %d unresolved", sum, err, c.unresolved)
			}
			if again := mustLoad(t, e, exchange.Options{}, c.lines); again.Revision != sum.Revision {
				t.Errorf("a second import made revision %d of %d", again.Revision, sum.Revision)
			}
		})
	}
}

// TestNetworks: an import takes the networks that the engine takes.
func TestNetworks(t *testing.T) {
	e := open(t)
	mustLoad(t, e, exchange.Options{}, company)
	var edges []netip.Prefix
	for _, s := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
		"::/128", "::1/128", "::ffff:0:0/96", "fc00::/7", "fe80::/10", "ff00::/8", "8.8.8.8/32", "2a00::/16", "::ffff:8.8.8.8/128", "64:ff9b::/96",
	} {
		p := netip.MustParsePrefix(s)
		last := p.Addr().AsSlice()
		for bit := p.Bits(); bit < 8*len(last); bit++ {
			last[bit/8] |= 0x80 >> (bit % 8)
		}
		end, _ := netip.AddrFromSlice(last)
		for _, a := range []netip.Addr{p.Addr(), p.Addr().Prev(), end, end.Next()} {
			for _, bits := range []int{a.BitLen(), p.Bits(), p.Bits() - 1, p.Bits() + 1, 0, 95, 96, 97} {
				if q := netip.PrefixFrom(a, bits); q.IsValid() {
					edges = append(edges, q)
				}
			}
		}
	}
	for _, p := range edges {
		stored := ""
		_, want := e.Update(context.Background(), func(tx *roster.Txn) error {
			u, _ := tx.UserByUID("usr_2")
			_, err := tx.PutOrgMembership(roster.OrgMembership{Organization: "org_1", User: u, AllowedIPs: []netip.Prefix{p}})
			if err == nil {
				m, _ := tx.OrgMembership("org_1", u)
				stored = m.AllowedIPs[0].String()
			}
			return err
		})
		before := e.Revision()
		_, got := load(e, exchange.Options{}, fmt.Sprintf(`{"kind":"orgMembership","organization":"org_1","user":"usr_2","allowedIps":[%q]}`, p))
		if (got == nil) != (want == nil) {
			t.Errorf("%v: the import says %v, the engine %v", p, got, want)
		}
		if got == nil && e.Revision() != before {
			t.Errorf("%v: the import stores something else than %s", p, stored)
		}
	}
}

// TestLargeRecords: what fits a record by a byte comes back, and what does not
// is refused before anything is written.
func TestLargeRecords(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	put := func(n int) (*roster.Engine, error) {
		e := open(t)
		_, err := e.Update(context.Background(), func(tx *roster.Txn) error {
			_, err := tx.PutOrganization(roster.Organization{ID: "Straße"})
			if err != nil {
				return err
			}
			_, err = tx.PutRole(roster.Role{Organization: "STRASSE", ID: "Größe", Permissions: []string{strings.Repeat("a", 60_000), strings.Repeat("b", n)}, Created: at, Updated: at})
			return err
		})
		return e, err
	}
	most := 0
	for n := 3000; n < 4100; n++ {
		if _, err := put(n); err != nil {
			break
		}
		most = n
		if n < 3800 {
			n += 99
		}
	}
	e, err := put(most)
	if err != nil {
		t.Fatal(err)
	}
	first := export(t, e, exchange.JSONLines)
	mustLoad(t, open(t), exchange.Options{}, first)
	larger := strings.Replace(first, strings.Repeat("b", most), strings.Repeat("b", most+1), 1)
	refuse(t, exchange.Options{}, larger, 2, exchange.ErrMalformed, "larger than 64000 bytes")
	// A line that is small by itself, put over what the store has.
	_, err = load(e, exchange.Options{}, `{"kind":"role","organization":"straße","id":"größe","name":"x"}`)
	if !errors.Is(err, exchange.ErrMalformed) || !strings.HasPrefix(err.Error(), "input: line 1: ") {
		t.Errorf("error is %v", err)
	}
}

func TestTooManyRoles(t *testing.T) {
	lines := &strings.Builder{}
	lines.WriteString(`{"kind":"organization","id":"o"}` + "\n")
	for i := range 10_000 {
		fmt.Fprintf(lines, `{"kind":"role","organization":"o","id":"%d"}`+"\n", i)
	}
	refuse(t, exchange.Options{}, lines.String()+`{"kind":"role","organization":"o","id":"x"}`, 10_002, roster.ErrLimit, "more than 10000 roles")
	e := open(t)
	mustLoad(t, e, exchange.Options{}, lines.String())
	if _, err := load(e, exchange.Options{}, `{"kind":"role","organization":"o","id":"x"}`); !errors.Is(err, roster.ErrLimit) {
		t.Errorf("error is %v", err)
	}
	mustLoad(t, e, exchange.Options{}, `{"kind":"role","organization":"o","id":"7","name":"seven"}`)
}

// TestLargeOrganization is written in many Updates, and in one by Build.
func TestLargeOrganization(t *testing.T) {
	const users = 51_000
	in := &strings.Builder{}
	in.WriteString(directory + `{"kind":"organization","id":"o"}` + "\n" + `{"kind":"organization","id":"p"}` + "\n")
	in.WriteString(`{"kind":"user","directory":1,"username":"admin","id":100000}` + "\n")
	for i := range users {
		fmt.Fprintf(in, `{"kind":"user","directory":1,"username":"u%d","id":%d}`+"\n", i, i+1)
		fmt.Fprintf(in, `{"kind":"orgMembership","organization":"o","user":"usr_%d","isOwner":%v,"isDefault":%v}`+"\n", i+1, i == 0, i != 1)
	}
	in.WriteString(`{"kind":"orgMembership","organization":"p","user":"usr_2","isDefault":true}` + "\n")
	plan, err := exchange.Read(context.Background(), exchange.Options{Strict: true}, exchange.Input{Name: "input", Reader: strings.NewReader(in.String())})
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	if plan.Small() {
		t.Fatal("the plan is written in one Update")
	}
	applied := open(t)
	if _, err := plan.Apply(context.Background(), applied); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "data")
	sum, err := plan.Build(context.Background(), dir, roster.Options{})
	if want := (exchange.Summary{Users: users + 1, Organizations: 2, OrgMemberships: users + 1, Revision: 1}); err != nil || sum != want {
		t.Fatalf("%+v, %v; want %+v", sum, err, want)
	}
	built, err := roster.Open(dir, roster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer built.Close()
	if again, err := plan.Apply(context.Background(), built); err != nil || again != sum {
		t.Errorf("the plan applied to what was built of it gives %+v, %v; want no change", again, err)
	}
	want := export(t, built, exchange.JSONLines)
	if withoutTimes(export(t, applied, exchange.JSONLines)) != withoutTimes(want) {
		t.Error("a plan that was built and one that was applied in batches differ")
	}
	// The only owner goes in the first line, and the next one comes in the last
	// of another Update.
	swap := strings.Replace(in.String(), `"isOwner":true`, `"isOwner":false`, 1) + `{"kind":"orgMembership","organization":"o","user":"usr_100000","isOwner":true}`
	mustLoad(t, built, exchange.Options{Strict: true}, swap)
	got := export(t, built, exchange.JSONLines)
	if strings.Count(got, `"isOwner":true`) != 1 || !strings.Contains(got, `"user":"usr_100000","isOwner":true,"isDefault":true`) {
		t.Error("the owners are others than the input says")
	}
}
