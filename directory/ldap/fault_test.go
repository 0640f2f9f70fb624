package ldap_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	ldapv3 "github.com/go-ldap/ldap/v3"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/directory"
	"github.com/rosterdb/roster/directory/ldap"
	"github.com/rosterdb/roster/directory/ldap/slapdtest"
)

// small is a slapd of two users and a group, with an engine that has synced it.
type small struct {
	s   *slapdtest.Server
	c   ldap.Config
	e   *roster.Engine
	log *bytes.Buffer
}

func newSmall(t *testing.T) *small {
	s := start(t, slapdtest.Options{})
	x := &small{s: s, c: config(t, s), log: &bytes.Buffer{}}
	var err error
	x.e, err = roster.Open("", roster.Options{InMemory: true})
	must(t, err)
	t.Cleanup(func() { x.e.Close() })
	must(t, s.Tool("ldapadd", people))
	_, err = x.link(t, nil).Sync(t.Context(), directory.Run{Actor: "root"})
	must(t, err)
	t.Cleanup(func() {
		if strings.Contains(x.log.String(), slapdtest.Password) {
			t.Errorf("the password is in the log:\n%s", x.log)
		}
	})
	return x
}

const people = `dn: uid=alice,dc=example
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: A
userPassword: rabbit hole

dn: uid=bob,dc=example
objectClass: inetOrgPerson
uid: bob
cn: Bob
sn: B

dn: cn=staff,dc=example
objectClass: groupOfNames
cn: staff
member: uid=alice,dc=example
member: uid=bob,dc=example
`

func (x *small) link(t *testing.T, adapt func(*ldap.Config)) *directory.Link {
	c := x.c
	if adapt != nil {
		adapt(&c)
	}
	return x.over(t, source(t, c))
}

func (x *small) over(t *testing.T, src directory.Source) *directory.Link {
	l, err := directory.New(x.e, src, directory.Options{Directory: "corp", Logger: slog.New(slog.NewTextHandler(x.log, nil))})
	must(t, err)
	return l
}

// refused checks that every kind of run fails with an error and changes nothing.
func (x *small) refused(t *testing.T, l *directory.Link, want error) {
	t.Helper()
	before := x.e.Revision()
	_, err := l.Sync(t.Context(), directory.Run{Force: true})
	_, err2 := l.Refresh(t.Context(), directory.Run{Force: true}, "alice", "bob", "*)(uid=*")
	_, err3 := l.RefreshGroups(t.Context(), directory.Run{Force: true}, "staff")
	_, err4 := l.Login(t.Context(), "alice", "rabbit hole")
	for i, err := range []error{err, err2, err3, err4} {
		switch {
		case !errors.Is(err, want) && (i < 3 || want != directory.ErrCredentials || !errors.Is(err, directory.ErrConfig)):
			t.Errorf("run %d: %v, want %v", i, err, want)
		case strings.Contains(err.Error(), slapdtest.Password) || strings.Contains(err.Error(), "rabbit hole"):
			t.Errorf("run %d tells a password: %v", i, err)
		}
	}
	if x.e.Revision() != before {
		t.Error("something was changed")
	}
}

// healed checks that a sync finds nothing different.
func (x *small) healed(t *testing.T, l *directory.Link) {
	t.Helper()
	if report, err := l.Sync(t.Context(), directory.Run{}); err != nil || !report.Diff.Empty() {
		t.Errorf("afterwards: %+v, %v", report, err)
	}
}

func TestServerDown(t *testing.T) {
	x := newSmall(t)
	l := x.link(t, func(c *ldap.Config) { c.Retries = -1 })
	x.healed(t, l) // with connections that it keeps
	x.s.Kill()
	x.refused(t, l, directory.ErrUnreachable)
	must(t, x.s.Run())
	x.healed(t, x.link(t, nil))
	x.healed(t, l)
}

// TestStaleConnections: connections that died while idle are replaced.
func TestStaleConnections(t *testing.T) {
	x := newSmall(t)
	l := x.link(t, nil)
	x.healed(t, l)
	x.s.Kill()
	must(t, x.s.Run())
	x.healed(t, l)
}

func TestSilentServer(t *testing.T) {
	x := newSmall(t)
	l := x.link(t, func(c *ldap.Config) {
		c.Timeout, c.DialTimeout, c.Retries = 300*time.Millisecond, 300*time.Millisecond, -1
	})
	must(t, x.s.Pause())
	x.refused(t, l, directory.ErrUnreachable)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, err := x.link(t, nil).Sync(ctx, directory.Run{}); err == nil || time.Since(begin) > 5*time.Second {
		t.Errorf("a context that ends: %v after %v", err, time.Since(begin))
	}
	must(t, x.s.Resume())
	x.healed(t, l)
}

// cutting is a source that does something once in the middle of the groups.
type cutting struct {
	*ldap.Source
	cut func()
}

func (c *cutting) Groups(ctx context.Context) iter.Seq2[directory.Group, error] {
	return func(yield func(directory.Group, error) bool) {
		n := 0
		for g, err := range c.Source.Groups(ctx) {
			if n++; n == 40 {
				c.cut()
			}
			if !yield(g, err) {
				return
			}
		}
	}
}

// TestKilledInMidSync: what was read before the server died is not applied.
func TestKilledInMidSync(t *testing.T) {
	file, base := organisation(t)
	s := start(t, slapdtest.Options{Suffix: base, LDIF: file})
	x := &small{s: s, c: config(t, s), log: &bytes.Buffer{}}
	x.c.PageSize, x.c.UserBase = 50, "ou=people,"+base
	var err error
	x.e, err = roster.Open("", roster.Options{InMemory: true})
	must(t, err)
	defer x.e.Close()
	l := x.over(t, &cutting{source(t, x.c), s.Kill})
	if _, err := l.Sync(t.Context(), directory.Run{}); !errors.Is(err, directory.ErrUnreachable) {
		t.Errorf("%v", err)
	}
	if x.e.Revision() != 0 {
		t.Error("something was changed")
	}
	must(t, s.Run())
	if report, err := x.link(t, nil).Sync(t.Context(), directory.Run{}); err != nil || report.Groups < 100 {
		t.Errorf("afterwards: %+v, %v", report, err)
	}
	x.healed(t, x.link(t, nil))
}

// TestRenamedInMidSync: a user that is renamed after the users were read, and before
// the groups are, loses nothing.
func TestRenamedInMidSync(t *testing.T) {
	x := newSmall(t)
	conn := admin(t, x.s)
	src := &renaming{source(t, x.c), func() {
		must(t, conn.ModifyDN(ldapv3.NewModifyDNRequest("uid=alice,dc=example", "uid=alicia", true, "")))
		mod := ldapv3.NewModifyRequest("cn=staff,dc=example", nil)
		mod.Replace("member", []string{"uid=alicia,dc=example", "uid=bob,dc=example"})
		must(t, conn.Modify(mod))
	}}
	report, err := x.over(t, src).Sync(t.Context(), directory.Run{})
	if err != nil || len(report.Diff.Removed) > 0 || report.Unresolved > 0 {
		t.Errorf("%+v, %v", report, err)
	}
	report, err = x.link(t, nil).Sync(t.Context(), directory.Run{})
	if err != nil || len(report.Diff.Users) != 1 || report.Diff.Users[0].Was != "alice" || len(report.Diff.Added)+len(report.Diff.Removed) > 0 {
		t.Errorf("the next sync: %+v, %v", report, err)
	}
}

// renaming is a source that does something before the groups are read.
type renaming struct {
	*ldap.Source
	before func()
}

func (r *renaming) Groups(ctx context.Context) iter.Seq2[directory.Group, error] {
	r.before()
	return r.Source.Groups(ctx)
}

func TestWrongPassword(t *testing.T) {
	x := newSmall(t)
	write := func(text string) {
		must(t, os.WriteFile(x.c.PasswordFile, []byte(text), 0o600))
	}
	write("wrong")
	x.refused(t, x.link(t, nil), directory.ErrCredentials)
	write("")
	x.refused(t, x.link(t, nil), directory.ErrConfig)
	must(t, os.Remove(x.c.PasswordFile))
	x.refused(t, x.link(t, nil), directory.ErrConfig)
	t.Setenv("ROSTER_TEST_PASSWORD", slapdtest.Password)
	x.healed(t, x.link(t, func(c *ldap.Config) { c.PasswordFile, c.PasswordEnv = "", "ROSTER_TEST_PASSWORD" }))
}

// TestUntrusted: a server whose certificate is not right is told nothing.
func TestUntrusted(t *testing.T) {
	x := newSmall(t)
	other := start(t, slapdtest.Options{}) // of another authority
	for name, o := range map[string]slapdtest.Options{"expired": {Expired: true}, "another name": {OtherName: true}, "unknown authority": {}} {
		t.Run(name, func(t *testing.T) {
			bad := start(t, o)
			must(t, bad.Tool("ldapadd", people))
			ca := bad.CAFile
			if name == "unknown authority" {
				ca = other.CAFile
			}
			for _, url := range []string{bad.URL, bad.TLSURL} {
				x.refused(t, x.link(t, func(c *ldap.Config) { c.URL, c.TLSCAFile, c.Retries = url, ca, -1 }), directory.ErrUntrusted)
			}
		})
	}
	x.healed(t, x.link(t, func(c *ldap.Config) { c.URL = x.s.TLSURL }))
	// The first of two servers is not trusted: the second one is asked.
	bad := start(t, slapdtest.Options{Expired: true})
	x.healed(t, x.link(t, func(c *ldap.Config) { c.URL, c.More = bad.URL, []string{x.s.URL} }))
}

// TestNoStartTLS: a server that cannot encrypt gets no password, and one that is
// not this machine is not asked in the clear.
func TestNoStartTLS(t *testing.T) {
	s, _ := forest(t)
	src := source(t, ldap.Config{URL: s.url(), BaseDN: adBase, Schema: ldap.ActiveDirectory(), StartTLS: true, Retries: -1, Timeout: time.Second, DialTimeout: time.Second})
	if _, _, err := src.Test(t.Context()); !errors.Is(err, directory.ErrUntrusted) && !errors.Is(err, directory.ErrUnreachable) {
		t.Error(err)
	}
	if s.search.Load() > 0 {
		t.Error("it was asked")
	}
}

func TestSizeLimit(t *testing.T) {
	file, base := organisation(t)
	s := start(t, slapdtest.Options{Suffix: base, LDIF: file, SizeLimit: 60})
	x := &small{s: s, c: config(t, s), log: &bytes.Buffer{}}
	x.c.UserBase = "ou=people," + base
	var err error
	x.e, err = roster.Open("", roster.Options{InMemory: true})
	must(t, err)
	defer x.e.Close()
	if _, err := x.link(t, nil).Sync(t.Context(), directory.Run{}); !errors.Is(err, directory.ErrLimit) {
		t.Errorf("%v", err)
	}
	if x.e.Revision() != 0 {
		t.Error("something was changed")
	}
}

func TestWrongBase(t *testing.T) {
	x := newSmall(t)
	x.refusedSync(t, x.link(t, func(c *ldap.Config) { c.BaseDN = "ou=no such,dc=example" }), directory.ErrConfig)
	x.refusedSync(t, x.link(t, func(c *ldap.Config) { c.BaseDN = "dc=elsewhere" }), directory.ErrConfig)
	x.refusedSync(t, x.link(t, func(c *ldap.Config) { c.Schema.UserFilter = "(objectClass=device)" }), directory.ErrTooMuch)
	x.healed(t, x.link(t, nil))
}

func (x *small) refusedSync(t *testing.T, l *directory.Link, want error) {
	t.Helper()
	before := x.e.Revision()
	if _, err := l.Sync(t.Context(), directory.Run{}); !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
	}
	if x.e.Revision() != before {
		t.Error("something was changed")
	}
}

// TestInjection: what stands in a name is never taken for a filter or a DN.
func TestInjection(t *testing.T) {
	x := newSmall(t)
	l := x.link(t, nil)
	before := x.e.Revision()
	names := []string{"*)(uid=*", "*", "alice)(cn=*", "a\x00b", "\\2a", "(|(uid=*))", "uid=alice,dc=example", strings.Repeat("a", 5000), "\xff\xfe", "al*"}
	report, err := l.Refresh(t.Context(), directory.Run{}, names...)
	must(t, err)
	if len(report.Unknown) != len(names) || !report.Diff.Empty() {
		t.Errorf("%+v", report)
	}
	report, err = l.RefreshGroups(t.Context(), directory.Run{}, names...)
	must(t, err)
	if len(report.Unknown) != len(names) || !report.Diff.Empty() {
		t.Errorf("%+v", report)
	}
	for _, name := range names {
		if _, err := l.Login(t.Context(), name, "rabbit hole"); !errors.Is(err, directory.ErrCredentials) {
			t.Errorf("login of %q: %v", name, err)
		}
	}
	if x.e.Revision() != before {
		t.Error("something was changed")
	}
}

// TestLogin: a login by bind, which refreshes who logs in.
func TestLogin(t *testing.T) {
	x := newSmall(t)
	l := x.link(t, nil)
	conn := admin(t, x.s)
	mod := ldapv3.NewModifyRequest("cn=staff,dc=example", nil)
	mod.Delete("member", []string{"uid=alice,dc=example"})
	must(t, conn.Modify(mod))
	for _, name := range []string{"alice", "ALICE", "alice@corp", `corp\alice`} {
		id, err := l.Login(t.Context(), name, "rabbit hole")
		must(t, err)
		must(t, x.e.View(t.Context(), func(tx *roster.Txn) error {
			groups, err := tx.Groups(id)
			if tx.Username(id) != "alice" || len(groups) > 0 {
				t.Errorf("%q is %q in %v", name, tx.Username(id), groups)
			}
			return err
		}))
	}
	for _, password := range []string{"", "wrong", "RABBIT HOLE", "rabbit hole\x00"} {
		if _, err := l.Login(t.Context(), "alice", password); !errors.Is(err, directory.ErrCredentials) {
			t.Errorf("%q: %v", password, err)
		}
	}
	if _, err := l.Login(t.Context(), "bob", "anything"); !errors.Is(err, directory.ErrCredentials) {
		t.Errorf("a user without a password: %v", err)
	}
}

// TestConfig: settings that cannot be right are refused before anything is asked.
func TestConfig(t *testing.T) {
	good := ldap.Config{URL: "ldaps://host", BaseDN: "dc=x", Schema: ldap.OpenLDAP()}
	for name, change := range map[string]func(*ldap.Config){
		"no URL":                func(c *ldap.Config) { c.URL = "" },
		"http":                  func(c *ldap.Config) { c.URL = "http://host" },
		"a password in the URL": func(c *ldap.Config) { c.URL = "ldaps://cn=a:secret@host" },
		"no base":               func(c *ldap.Config) { c.BaseDN = "" },
		"a base that is no DN":  func(c *ldap.Config) { c.BaseDN = "nonsense" },
		"no password":           func(c *ldap.Config) { c.BindDN = "cn=a" },
		"a filter":              func(c *ldap.Config) { c.Schema.UserFilter = "(uid=*" },
		"no schema":             func(c *ldap.Config) { c.Schema = ldap.Schema{} },
		"negative":              func(c *ldap.Config) { c.PageSize = -1 },
	} {
		c := good
		change(&c)
		if _, err := ldap.New(c); !errors.Is(err, directory.ErrConfig) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ldap.New(good); err != nil {
		t.Error(err)
	}
}

// TestLoginTellsNothing: a wrong password reads like a name that nobody has.
func TestLoginTellsNothing(t *testing.T) {
	x := newSmall(t)
	l := x.link(t, nil)
	var texts []string
	for _, name := range []string{"alice", "nobody"} {
		_, err := l.Login(t.Context(), name, "wrong")
		if !errors.Is(err, directory.ErrCredentials) {
			t.Errorf("%q: %v", name, err)
			continue
		}
		texts = append(texts, strings.ReplaceAll(err.Error(), name, "NAME"))
	}
	if len(texts) == 2 && texts[0] != texts[1] {
		t.Errorf("%q", texts)
	}
}
