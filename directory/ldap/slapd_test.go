package ldap_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ldapv3 "github.com/go-ldap/ldap/v3"

	"github.com/rosterdb/roster/directory"
	"github.com/rosterdb/roster/directory/directorytest"
	"github.com/rosterdb/roster/directory/ldap"
	"github.com/rosterdb/roster/directory/ldap/slapdtest"
	"github.com/rosterdb/roster/internal/dn"
)

const suffix = "dc=example"

// start runs a slapd until the test ends.
func start(t testing.TB, o slapdtest.Options) *slapdtest.Server {
	t.Helper()
	if o.Suffix == "" {
		o.Suffix = suffix
	}
	s, err := slapdtest.Start(context.Background(), t.TempDir(), o)
	if errors.Is(err, slapdtest.ErrMissing) && !strings.Contains(os.Getenv("ROSTER_TESTS_NEED"), "slapd") {
		t.Skip("there is no server to ask: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

// config is that of a reader of a server over StartTLS.
func config(t testing.TB, s *slapdtest.Server) ldap.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(slapdtest.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, base, _ := strings.Cut(s.Reader, ",")
	return ldap.Config{URL: s.URL, TLSCAFile: s.CAFile, BaseDN: base, BindDN: s.Reader, PasswordFile: file, Schema: ldap.OpenLDAP(), PageSize: 5, Timeout: 10 * time.Second}
}

func source(t testing.TB, c ldap.Config) *ldap.Source {
	t.Helper()
	src, err := ldap.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// admin is a connection that may change everything.
func admin(t testing.TB, s *slapdtest.Server) *ldapv3.Conn {
	t.Helper()
	conn, err := ldapv3.DialURL(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.Bind(s.Manager, slapdtest.Password); err != nil {
		t.Fatal(err)
	}
	return conn
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// shape is a way to write groups in a directory.
type shape struct {
	class, attribute string
	names            bool // members are usernames
	options          directorytest.Options
}

var shapes = []shape{
	{"groupOfNames", "member", false, directorytest.Options{NoEmpty: true}},
	{"groupOfUniqueNames", "uniqueMember", false, directorytest.Options{NoEmpty: true}},
	{"posixGroup", "memberUid", true, directorytest.Options{NoNesting: true, PlainNames: true}},
}

// TestSuite holds the source to the interface, over ldaps and StartTLS, with each
// of the classes of groups.
func TestSuite(t *testing.T) {
	for _, sh := range shapes {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %v", sh.class, secure), func(t *testing.T) {
				directorytest.Run(t, sh.options, func(t *testing.T, w directorytest.World) directory.Source {
					s := start(t, slapdtest.Options{})
					sh.fill(t, admin(t, s), w)
					c := config(t, s)
					if secure {
						c.URL = s.TLSURL
					}
					if sh.names {
						c.Schema = ldap.RFC2307()
					}
					return source(t, c)
				})
			})
		}
	}
}

func userDN(name string) string  { return "uid=" + dn.Escape(name) + "," + suffix }
func groupDN(name string) string { return "cn=" + dn.Escape(name) + "," + suffix }

// fill writes a world.
func (sh shape) fill(t testing.TB, conn *ldapv3.Conn, w directorytest.World) {
	for i, p := range w.Users {
		add := ldapv3.NewAddRequest(userDN(p.Name), nil)
		add.Attribute("objectClass", []string{"inetOrgPerson", "posixAccount"})
		add.Attribute("uid", []string{p.Name})
		add.Attribute("cn", []string{p.FullName})
		add.Attribute("sn", []string{p.Name})
		add.Attribute("uidNumber", []string{fmt.Sprint(1000 + i)})
		add.Attribute("gidNumber", []string{"100"})
		add.Attribute("homeDirectory", []string{"/"})
		if p.Email != "" {
			add.Attribute("mail", []string{p.Email})
		}
		if p.Password != "" {
			add.Attribute("userPassword", []string{p.Password})
		}
		must(t, conn.Add(add))
	}
	for i, g := range w.Groups {
		add := ldapv3.NewAddRequest(groupDN(g.Name), nil)
		add.Attribute("objectClass", []string{sh.class})
		add.Attribute("cn", []string{g.Name})
		var members []string
		for _, m := range g.Members {
			if sh.names {
				members = append(members, m)
			} else {
				members = append(members, userDN(m))
			}
		}
		for _, m := range g.Nested {
			members = append(members, groupDN(m))
		}
		for n := range g.Strange {
			members = append(members, []string{"cn=nobody,dc=elsewhere", "nobody"}[min(n, 1)])
			if !sh.names {
				members[len(members)-1] = fmt.Sprintf("cn=nobody-%d,dc=elsewhere", n)
			}
		}
		if sh.class == "posixGroup" {
			add.Attribute("gidNumber", []string{fmt.Sprint(2000 + i)})
		}
		if len(members) > 0 {
			add.Attribute(sh.attribute, members)
		}
		must(t, conn.Add(add))
	}
}
