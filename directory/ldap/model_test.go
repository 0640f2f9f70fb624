package ldap_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ldapv3 "github.com/go-ldap/ldap/v3"

	"github.com/rosterdb/roster/internal/dn"
)

// entry is a user or group of the model. Its address is its identity.
type entry struct {
	dn, name string
	ou       string          // what it stands below
	group    bool            //
	members  map[*entry]bool // of a group
}

// model is what a server holds, kept beside it by means that have nothing in
// common with the source: pointers.
type model struct {
	users, groups []*entry
	base          string
	next          int
}

// nobody is a member of every group that the model has changed: the class wants
// one.
const nobody = "cn=nobody,dc=nowhere"

// readModel takes a model from an LDIF by cutting its lines.
func readModel(t testing.TB, file, base string) *model {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	m := &model{base: base}
	byDN := map[string]*entry{}
	members := map[*entry][]string{}
	var e *entry
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "dn":
			first, ou, _ := strings.Cut(value, ",")
			_, id, _ := strings.Cut(first, "=")
			e = &entry{dn: value, name: id, ou: ou}
			byDN[value] = e
		case "objectClass":
			switch value {
			case "inetOrgPerson":
				m.users = append(m.users, e)
			case "groupOfNames":
				e.group, e.members = true, map[*entry]bool{}
				m.groups = append(m.groups, e)
			}
		case "member":
			members[e] = append(members[e], value)
		}
	}
	for g, list := range members {
		for _, ref := range list {
			if byDN[ref] != nil {
				g.members[byDN[ref]] = true
			}
		}
	}
	return m
}

// organisation returns the LDIF of a real organisation, or of one that is made up
// where that is not at hand, and its base.
func organisation(t testing.TB) (file, base string) {
	t.Helper()
	real := "../../../shared/data/kubernetes.ldif"
	if _, err := os.Stat(real); err == nil {
		return real, "dc=k8s,dc=example,dc=org"
	}
	base = "dc=example"
	var out strings.Builder
	fmt.Fprintf(&out, "dn: %s\nobjectClass: dcObject\nobjectClass: organization\no: x\ndc: example\n\n", base)
	for _, ou := range []string{"people", "teams"} {
		fmt.Fprintf(&out, "dn: ou=%s,%s\nobjectClass: organizationalUnit\nou: %s\n\n", ou, base, ou)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 400 {
		fmt.Fprintf(&out, "dn: uid=u%d,ou=people,%s\nobjectClass: inetOrgPerson\nuid: u%d\ncn: u%d\nsn: u%d\n\n", i, base, i, i, i)
	}
	for i := range 100 {
		fmt.Fprintf(&out, "dn: cn=g%d,ou=teams,%s\nobjectClass: groupOfNames\ncn: g%d\nmember: %s\n", i, base, i, nobody)
		for _, u := range r.Perm(400)[:r.IntN(12)] {
			fmt.Fprintf(&out, "member: uid=u%d,ou=people,%s\n", u, base)
		}
		if i > 10 && i%3 == 0 {
			fmt.Fprintf(&out, "member: cn=g%d,ou=teams,%s\n", r.IntN(i), base)
		}
		out.WriteString("\n")
	}
	file = filepath.Join(t.TempDir(), "made.ldif")
	must(t, os.WriteFile(file, []byte(out.String()), 0o600))
	return file, base
}

// above returns the names of the groups above an entry, sorted.
func (m *model) above(e *entry) []string {
	seen := map[*entry]bool{}
	for next := []*entry{e}; len(next) > 0; next = next[1:] {
		for _, g := range m.groups {
			if g.members[next[0]] && !seen[g] {
				seen[g] = true
				next = append(next, g)
			}
		}
	}
	names := []string{}
	for g := range seen {
		names = append(names, g.name)
	}
	slices.Sort(names)
	return names
}

// below returns the users below an entry, itself included.
func (m *model) below(e *entry) []*entry {
	seen := map[*entry]bool{}
	var users []*entry
	for next := []*entry{e}; len(next) > 0; next = next[1:] {
		if seen[next[0]] {
			continue
		}
		seen[next[0]] = true
		if !next[0].group {
			users = append(users, next[0])
		}
		next = append(next, slices.Collect(maps.Keys(next[0].members))...)
	}
	return users
}

// change is a server and its model, which are changed together.
type change struct {
	*model
	t    testing.TB
	conn *ldapv3.Conn
	r    *rand.Rand
	// touched are the users that the last change is about, by all names they
	// have had.
	touched map[string]bool
}

func (c *change) touch(users ...*entry) {
	for _, u := range users {
		c.touched[u.name] = true
	}
}

func (c *change) do(err error) {
	c.t.Helper()
	must(c.t, err)
}

func (c *change) user() *entry  { return c.users[c.r.IntN(len(c.users))] }
func (c *change) group() *entry { return c.groups[c.r.IntN(len(c.groups))] }

// strangeNames are put into new names, to be escaped in DNs and filters.
var strangeNames = []string{"", "", `, comma`, `+plus`, ` "quoted"`, `<tag>; x=y`, `\back`, `*)(uid=*`, ` mit Ü`, `日本`, ` a  b`, `#`, `(x)`}

func (c *change) fresh(what string) string {
	c.next++
	return fmt.Sprintf("%s%d%s", what, c.next, strangeNames[c.r.IntN(len(strangeNames))])
}

// spelled writes a DN in another way.
func (c *change) spelled(name string) string {
	switch c.r.IntN(3) {
	case 0:
		return strings.ToUpper(name[:3]) + name[3:]
	case 1:
		return strings.ReplaceAll(name, ",ou=", " , OU=")
	}
	return name
}

func (c *change) addUser() {
	u := &entry{name: c.fresh("new"), ou: "ou=people," + c.base}
	u.dn = "uid=" + dn.Escape(u.name) + "," + u.ou
	add := ldapv3.NewAddRequest(u.dn, nil)
	add.Attribute("objectClass", []string{"inetOrgPerson"})
	for _, a := range []string{"uid", "cn", "sn"} {
		add.Attribute(a, []string{u.name})
	}
	c.do(c.conn.Add(add))
	c.users = append(c.users, u)
	c.touch(u)
}

func (c *change) addGroup(members ...*entry) *entry {
	g := &entry{name: c.fresh("team"), ou: "ou=teams," + c.base, group: true, members: map[*entry]bool{}}
	g.dn = "cn=" + dn.Escape(g.name) + "," + g.ou
	add := ldapv3.NewAddRequest(g.dn, nil)
	add.Attribute("objectClass", []string{"groupOfNames"})
	add.Attribute("cn", []string{g.name})
	refs := []string{nobody}
	for _, m := range members {
		if !g.members[m] {
			refs = append(refs, c.spelled(m.dn))
		}
		g.members[m] = true
	}
	add.Attribute("member", refs)
	c.do(c.conn.Add(add))
	c.groups = append(c.groups, g)
	c.touch(c.below(g)...)
	return g
}

// modify adds or takes away a member's DN.
func (c *change) modify(g *entry, add, remove string) {
	mod := ldapv3.NewModifyRequest(g.dn, nil)
	if add != "" {
		mod.Add("member", []string{add})
	}
	if remove != "" {
		mod.Delete("member", []string{remove})
	}
	c.do(c.conn.Modify(mod))
}

// hold makes sure that the last real member of a group can go.
func (c *change) hold(g *entry) {
	mod := ldapv3.NewModifyRequest(g.dn, nil)
	mod.Add("member", []string{nobody})
	err := c.conn.Modify(mod)
	if !ldapv3.IsErrorWithCode(err, ldapv3.LDAPResultAttributeOrValueExists) {
		c.do(err)
	}
}

func (c *change) addMember(g, m *entry) {
	if g.members[m] {
		return
	}
	c.modify(g, c.spelled(m.dn), "")
	g.members[m] = true
	c.touch(c.below(m)...)
}

func (c *change) removeMember(g, m *entry) {
	if !g.members[m] {
		return
	}
	c.hold(g)
	c.modify(g, "", m.dn)
	c.touch(c.below(m)...)
	delete(g.members, m)
}

// remove deletes an entry. Half of the time its DN stays behind in groups, as it
// does on a server without referential integrity.
func (c *change) remove(e *entry) {
	c.touch(c.below(e)...)
	c.do(c.conn.Del(ldapv3.NewDelRequest(e.dn, nil)))
	tidy := c.r.IntN(2) == 0
	for _, g := range c.groups {
		if g.members[e] && g != e {
			if tidy {
				c.hold(g)
				c.modify(g, "", e.dn)
			}
			delete(g.members, e)
		}
	}
	same := func(x *entry) bool { return x == e }
	c.users, c.groups = slices.DeleteFunc(c.users, same), slices.DeleteFunc(c.groups, same)
}

// rename gives an entry another name, and its new DN to the groups that hold it.
func (c *change) rename(e *entry, name string) {
	c.touch(c.below(e)...)
	attribute := "uid"
	if e.group {
		attribute = "cn"
	}
	rdn := attribute + "=" + dn.Escape(name)
	c.do(c.conn.ModifyDN(ldapv3.NewModifyDNRequest(e.dn, rdn, true, "")))
	old := e.dn
	e.name, e.dn = name, rdn+","+e.ou
	for _, g := range c.groups {
		if g.members[e] {
			c.modify(g, e.dn, old)
		}
	}
	c.touch(c.below(e)...)
}

// step makes one random change.
func (c *change) step() {
	c.touched = map[string]bool{}
	g := c.group()
	switch n := c.r.IntN(40); {
	case n < 4:
		c.addUser()
	case n < 6:
		c.addGroup(c.user(), c.user(), c.group())
	case n < 14:
		c.addMember(g, c.user())
	case n < 20:
		for m := range g.members {
			if !m.group {
				c.removeMember(g, m)
				break
			}
		}
	case n < 25:
		c.addMember(g, c.group())
	case n < 28:
		for _, g := range c.groups {
			for m := range g.members {
				if m.group {
					c.removeMember(g, m)
					return
				}
			}
		}
	case n < 29: // a loop of three
		a, b := c.group(), c.group()
		c.addMember(g, a)
		c.addMember(a, b)
		c.addMember(b, g)
	case n < 32:
		c.remove(c.user())
	case n < 33:
		c.remove(g)
	case n < 36:
		c.rename(c.user(), c.fresh("renamed"))
	case n < 37:
		c.rename(g, c.fresh("renamed-team"))
	case n < 38: // two swap names
		u, v := c.user(), c.user()
		if u != v {
			a, b := u.name, v.name
			c.rename(u, "between")
			c.rename(v, a)
			c.rename(u, b)
			delete(c.touched, "between")
		}
	default:
		u := c.user()
		mod := ldapv3.NewModifyRequest(u.dn, nil)
		mod.Replace("mail", []string{fmt.Sprintf("m%d@example.org", c.r.IntN(1000))})
		c.do(c.conn.Modify(mod))
		c.touch(u)
	}
}
