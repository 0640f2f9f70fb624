package exchange_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/exchange"
)

// directoryLDIF has what OpenLDAP, ldapsearch and Active Directory write.
const directoryLDIF = `version: 1

# a comment
 that goes on
dn: dc=example
objectClass: dcObject

dn: uid=alice,ou=People,dc=example
changetype: add
objectclass: top
objectClass: inetOrgPerson
uid: alice
cn: Alice
  Liddell
sn:: TGlkZGVsbMOp
displayName: Alice P. Liddell
mail: alice@example.org
mail: second@example.org
userPassword:: e1NTSEF9eHh4
carLicense: {SSHA}c2VjcmV0
krbPrincipalKey: secret
description: likes tea
jpegPhoto:: /9j/4AAQ
entryUUID: 1-2-3
title;lang-en: Dr
seeAlso:

dn: CN=Bob\, Jr.,OU=Staff,DC=example
objectClass: top
objectClass: person
objectClass: organizationalPerson
objectClass: user
cn: Bob, Jr.
sAMAccountName: bob
userAccountControl: 514
objectGUID:: //79/A==
whenChanged: 20260101000000.0Z
memberOf: cn=staff,dc=example

dn: uid=carol,ou=people,dc=example
objectClass: posixAccount
uid: carol

dn: cn=staff,dc=example
objectClass: groupOfNames
cn: staff
description: everybody
member: UID=ALICE , OU=people,  dc=example
member: cn=bob\2c jr.,ou=staff,dc=EXAMPLE
member: cn="bob, jr.",ou=staff;dc=example
member: cn=unix,dc=example
member: uid=gone,dc=example
member: not a name
member: dc=example

dn: cn=unix,dc=example
memberUid: carol
memberUid: nobody
objectClass: posixGroup
cn: unix

dn: cn=unique,dc=example
uniqueMember: uid=alice,ou=people,dc=example#'0101'B
uniqueMember: cn=staff,dc=example
objectClass: groupOfUniqueNames
cn: unique

dn: CN=Domain Users,DC=example
objectClass: group
cn: Domain Users
member;range=0-*: CN=Bob\, Jr.,OU=Staff,DC=example

# search reference
ref: ldap://other/dc=example

dn: cn=printer,dc=example
objectClass: device
member: uid=alice,ou=people,dc=example

dn: cn=empty,dc=example

# search result
search: 2
result: 0 Success
`

func TestLDIF(t *testing.T) {
	e := open(t)
	var warnings []string
	sum := mustLoad(t, e, exchange.Options{Directory: "corp", Warn: func(s string) { warnings = append(warnings, s) }}, directoryLDIF)
	want := exchange.Summary{Users: 3, Groups: 4, Memberships: 8, Unresolved: 4, Revision: 1}
	if sum != want {
		t.Errorf("summary is %+v, want %+v", sum, want)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], `"uid=gone,dc=example" (input, line 52)`) {
		t.Errorf("warnings are %q", warnings)
	}
	got := withoutTimes(export(t, e, exchange.JSONLines))
	if lines := `{"kind":"directory","id":1,"name":"corp","type":"INTERNAL","domain":"corp"
{"kind":"user","directory":1,"username":"alice","id":1,"uid":"usr_1","fullName":"Alice P. Liddell","email":"alice@example.org","description":"uid=alice,ou=People,dc=example","active":true,"attributes":{"cn":["Alice Liddell"],"description":["likes tea"],"mail":["second@example.org"],"seeAlso":[""],"sn":["Liddellé"],"title;lang-en":["Dr"]}
{"kind":"user","directory":1,"username":"bob","id":2,"uid":"usr_2","fullName":"Bob, Jr.","email":"","description":"CN=Bob\\, Jr.,OU=Staff,DC=example","active":false,"attributes":{}
{"kind":"user","directory":1,"username":"carol","id":3,"uid":"usr_3","fullName":"","email":"","description":"uid=carol,ou=people,dc=example","active":true,"attributes":{}
`; !strings.HasPrefix(got, lines) {
		t.Errorf("the export is\n%s\nwant\n%s", got, lines)
	}
	for _, secret := range []string{"SSHA", "secret", "userPassword"} {
		if strings.Contains(got, secret) {
			t.Errorf("the store holds %q", secret)
		}
	}
	err := e.View(context.Background(), func(tx *roster.Txn) error {
		for group, want := range map[string][]string{
			"staff": {"alice", "bob", "carol"}, "unix": {"carol"}, "unique": {"alice", "bob", "carol"}, "domain users": {"bob"},
		} {
			id, err := tx.FindGroup(group)
			if err != nil {
				return err
			}
			set, err := tx.Members(id)
			if err != nil {
				return err
			}
			if got := names(t, tx, set); !slices.Equal(got, want) {
				t.Errorf("members of %s are %q, want %q", group, got, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	crlf := strings.ReplaceAll("\ufeff"+directoryLDIF, "\n", "\r\n")
	if again := mustLoad(t, e, exchange.Options{Directory: "CORP"}, crlf); again.Revision != sum.Revision {
		t.Errorf("the same with other line ends made revision %d", again.Revision)
	}
}

func TestLDIFRefused(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("top secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	const person = "dn: uid=a,dc=x\nobjectClass: person\nuid: a\n"
	for name, c := range map[string]struct {
		text string
		line int64
		kind error
		says string
	}{
		"file URL":           {person + "title:< file://" + secret + "\n", 4, exchange.ErrUnsupported, "given by URL"},
		"file URL of a dn":   {"dn:< file://" + secret + "\nuid: a\n", 1, exchange.ErrUnsupported, "given by URL"},
		"folded file URL":    {person + "title:\n < file://" + secret + "\n", 4, exchange.ErrUnsupported, "given by URL"},
		"no dn":              {person + "\nuid: b\n", 5, exchange.ErrMalformed, "begin with dn:"},
		"no colon":           {person + "title\n", 4, exchange.ErrMalformed, "name: value"},
		"bad base64":         {person + "cn: x\ntitle:: ***\nsn: x\n", 5, exchange.ErrMalformed, "base64"},
		"bad attribute":      {person + "ti_tle: x\nsn: x\n", 4, exchange.ErrMalformed, "attribute name"},
		"stray continuation": {" x\n" + person, 1, exchange.ErrMalformed, "continuation"},
		"second dn":          {person + "dn: uid=b,dc=x\n", 4, exchange.ErrMalformed, "second dn"},
		"bad dn":             {"\n\ndn: nonsense\nuid: a\n", 3, exchange.ErrMalformed, "not a distinguished name"},
		"bad version":        {"version: 2\n" + person, 1, exchange.ErrUnsupported, "version"},
		"delete":             {person + "\ndn: uid=b,dc=x\nchangetype: delete\n", 6, exchange.ErrUnsupported, "change record"},
		"modify":             {"dn: uid=b,dc=x\nchangetype: modify\nadd: x\nx: y\n-\n", 2, exchange.ErrUnsupported, "change record"},
		"control":            {"dn: uid=b,dc=x\ncontrol: 1.2 true: <file://" + secret + "\nuid: a\n", 2, exchange.ErrUnsupported, "change record"},
		"size limit":         {person + "\nsearch: 2\nresult: 4 Size limit exceeded\n", 6, exchange.ErrMalformed, "incomplete"},
		"range":              {"dn: cn=g\nobjectClass: group\nmember;range=0-1499: x\n", 3, exchange.ErrUnsupported, "only a part"},
		"invalid UTF-8":      {person + "title: \xff\n", 4, exchange.ErrMalformed, "UTF-8"},
		"UTF-16":             {"\xff\xfed\x00n\x00", 1, exchange.ErrUnsupported, "UTF-16"},
		"no name":            {"dn: ou=a,dc=x\nobjectClass: person\nsn: a\n", 1, exchange.ErrMalformed, "to be its name"},
		"group without cn":   {"dn: ou=a,dc=x\nobjectClass: group\n", 1, exchange.ErrMalformed, "to be its name"},
		"DN twice":           {person + "\ndn: UID=A, DC=X\nobjectClass: device\n", 5, exchange.ErrDuplicate, "first in line 1"},
		"user twice":         {person + "\ndn: uid=a,dc=y\nobjectClass: person\nuid: A\n", 5, exchange.ErrDuplicate, "first in line 1"},
		"long line":          {person + "title: " + strings.Repeat("x", exchange.MaxLine) + "\n", 4, exchange.ErrTooLong, "longer than"},
		"long value":         {person + "title: " + strings.Repeat(strings.Repeat("x", 999)+"\n ", exchange.MaxRecord/1000+100), 4, exchange.ErrTooLong, "longer than"},
		"long entry":         {person + strings.Repeat("title: "+strings.Repeat("x", exchange.MaxLine/2)+"\n", 33), 1, exchange.ErrTooLong, "longer than"},
		"unresolved":         {"dn: cn=g,dc=x\nobjectClass: group\ncn: g\nmember: cn=a\nmember: cn=b\n", 4, exchange.ErrUnresolved, "cn=a"},
	} {
		t.Run(name, func(t *testing.T) {
			refuse(t, exchange.Options{Format: exchange.LDIF, Strict: true}, c.text, c.line, c.kind, c.says)
		})
	}
}

// groupReader is an LDIF of users and one group that has all of them, made as
// it is read.
type groupReader struct {
	users, next int
	buf         []byte
}

func (r *groupReader) Read(p []byte) (int, error) {
	for len(r.buf) == 0 {
		switch n := r.next; {
		case n < r.users:
			r.buf = fmt.Appendf(r.buf, "dn: uid=user%07d,ou=people,dc=example,dc=org\nobjectClass: person\nuid: user%07d\n\n", n, n)
		case n == r.users:
			r.buf = append(r.buf, "dn: cn=all,dc=example\ncn: all\n"...)
		case n <= 2*r.users:
			r.buf = fmt.Appendf(r.buf, "member: uid=user%07d,ou=people,dc=example,dc=org\n", n-r.users-1)
		case n == 2*r.users+1:
			r.buf = append(r.buf, "objectClass: groupOfNames\n"...)
		default:
			return 0, io.EOF
		}
		r.next++
	}
	n := copy(p, r.buf)
	r.buf = r.buf[n:]
	return n, nil
}

// TestLargeGroup reads a group of many pieces whose class comes last, and looks
// at the memory that this takes.
func TestLargeGroup(t *testing.T) {
	const users = 60_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	in := &groupReader{users: users}
	plan, err := exchange.Read(context.Background(), exchange.Options{}, exchange.Input{Name: "input", Reader: in})
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if perUser := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / users; perUser > 200 {
		t.Errorf("the plan takes %d bytes of memory a user, want at most 200", perUser)
	}
	dir := filepath.Join(t.TempDir(), "data")
	sum, err := plan.Build(context.Background(), dir, roster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := (exchange.Summary{Users: users, Groups: 1, Memberships: users, Revision: 1}); sum != want {
		t.Errorf("summary is %+v, want %+v", sum, want)
	}
	built, err := roster.Open(dir, roster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer built.Close()
	again, err := plan.Apply(context.Background(), built)
	if err != nil || again != sum {
		t.Errorf("the plan applied to what was built of it gives %+v, %v; want no change", again, err)
	}
	applied := open(t)
	if _, err := plan.Apply(context.Background(), applied); err != nil {
		t.Fatal(err)
	}
	if withoutTimes(export(t, applied, exchange.JSONLines)) != withoutTimes(export(t, built, exchange.JSONLines)) {
		t.Error("a plan that was built and one that was applied in batches differ")
	}
}
