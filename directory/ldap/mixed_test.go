package ldap_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/directory"
	"github.com/rosterdb/roster/directory/ldap"
	"github.com/rosterdb/roster/directory/ldap/slapdtest"
)

// mixed is a directory in which every class of group is used, with what real ones
// hold besides: primary groups, DNs of several parts in another order, unique
// identifiers behind DNs, members in another case, out of base, of no existence.
const mixed = `dn: ou=people,dc=example
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example
objectClass: organizationalUnit
ou: groups

dn: ou=outside,dc=example
objectClass: organizationalUnit
ou: outside

dn: uid=anna,ou=people,dc=example
objectClass: inetOrgPerson
objectClass: posixAccount
uid: anna
uid: anna.second
cn: Anna
sn: A
uidNumber: 1
gidNumber: 500
homeDirectory: /
title: Dr
title: Prof

dn: uid=Bert+cn=Bert B,ou=people,dc=example
objectClass: inetOrgPerson
objectClass: posixAccount
uid: Bert
cn: Bert B
sn: B
uidNumber: 2
gidNumber: 501
homeDirectory: /

dn: cn=Carl\, the \"Third\"\3B \<c\>\=\+\\,ou=people,dc=example
objectClass: inetOrgPerson
cn: Carl, the "Third"; <c>=+\
sn: C

dn: uid=out,ou=outside,dc=example
objectClass: inetOrgPerson
uid: out
cn: Out
sn: O

dn: cn=unix,ou=groups,dc=example
objectClass: posixGroup
cn: unix
gidNumber: 500
memberUid: Bert
memberUid: ANNA
memberUid: nobody

dn: cn=primary,ou=groups,dc=example
objectClass: posixGroup
cn: primary
gidNumber: 501

dn: cn=unique,ou=groups,dc=example
objectClass: groupOfUniqueNames
cn: unique
uniqueMember: CN=bert b+UID=BERT,ou=people,dc=example
uniqueMember: uid=anna,ou=people,dc=example#'0101'B
uniqueMember: uid=out,ou=outside,dc=example
uniqueMember: cn=names,ou=groups,dc=example

dn: cn=names,ou=groups,dc=example
objectClass: groupOfNames
cn: names
description: Those with names
member: cn=carl\2c the \22third\22\3b \3cc\3e\3d\2b\5c,ou=people,dc=example
member: cn=unique,ou=groups,dc=example
member: cn=names,ou=groups,dc=example
`

// TestMixed: a sync gets it right, and refreshes of every user and every group
// find nothing left to do.
func TestMixed(t *testing.T) {
	s := start(t, slapdtest.Options{})
	must(t, s.Tool("ldapadd", mixed))
	c := config(t, s)
	c.UserBase, c.GroupBase = "ou=People,dc=EXAMPLE", "ou=groups,dc=example"
	c.Schema.PrimaryGroup, c.Schema.PrimaryGroupID = "gidNumber", "gidNumber"
	c.Schema.Attributes = []string{"title"}
	e, l := adLink(t, source(t, c))
	report, err := l.Sync(t.Context(), directory.Run{})
	must(t, err)
	if len(report.Problems) > 0 || report.Users != 3 || report.Groups != 4 || report.Unresolved != 4 {
		t.Errorf("%+v", report)
	}
	carl := `Carl, the "Third"; <c>=+\`
	want := map[string][]string{
		"anna": {"unix"},
		"Bert": {"names", "primary", "unique", "unix"},
		carl:   {"names", "unique"},
	}
	for name, groups := range want {
		must(t, e.View(t.Context(), func(tx *roster.Txn) error {
			d, err := tx.DirectoryByName("ad")
			must(t, err)
			id, ok := tx.UserByName(d.ID, name)
			if !ok {
				t.Fatalf("%q is missing", name)
			}
			all, err := tx.Groups(id)
			got := []string{}
			for _, g := range all {
				got = append(got, tx.GroupName(g))
			}
			slices.Sort(got)
			if !slices.Equal(got, groups) {
				t.Errorf("%q is in %q, want %q", name, got, groups)
			}
			if rec, err := tx.User(id); err != nil || name == "anna" && !slices.Equal(rec.Attributes["title"], []string{"Dr", "Prof"}) {
				t.Errorf("%+v, %v", rec, err)
			}
			return err
		}))
		report, err := l.Refresh(t.Context(), directory.Run{}, name)
		if err != nil || !report.Diff.Empty() || len(report.Unknown) > 0 {
			t.Errorf("refresh of %q: %+v, %v", name, report, err)
		}
	}
	for _, g := range []string{"unix", "primary", "UNIQUE", "names"} {
		if report, err := l.RefreshGroups(t.Context(), directory.Run{}, g); err != nil || !report.Diff.Empty() || len(report.Unknown) > 0 {
			t.Errorf("refresh of group %q: %+v, %v", g, report, err)
		}
	}
	if report, err := l.Refresh(t.Context(), directory.Run{}, "out", "anna.second"); err != nil || len(report.Unknown) != 2 {
		t.Errorf("out of base, and a second uid: %+v, %v", report, err)
	}
}

// TestNoKeys: without entryUUID and with RFC 2307's schema a rename is a new user.
func TestNoKeys(t *testing.T) {
	s := start(t, slapdtest.Options{})
	must(t, s.Tool("ldapadd", mixed))
	c := config(t, s)
	c.Schema = ldap.RFC2307()
	c.Schema.Key = ""
	e, l := adLink(t, source(t, c))
	_, err := l.Sync(t.Context(), directory.Run{})
	must(t, err)
	must(t, s.Tool("ldapmodify", strings.Join([]string{"dn: uid=anna,ou=people,dc=example", "changetype: modrdn", "newrdn: uid=anne", "deleteoldrdn: 1", ""}, "\n")))
	must(t, s.Tool("ldapmodify", "dn: uid=anne,ou=people,dc=example\nchangetype: modify\ndelete: uid\nuid: anna.second\n"))
	report, err := l.Sync(t.Context(), directory.Run{})
	if err != nil || directory.Count(report.Diff.Users, directory.Created) != 1 || directory.Count(report.Diff.Users, directory.Gone) != 1 {
		t.Errorf("%+v, %v", report, err)
	}
	if _, rec := adGroups(t, e, "anna"); rec.Active {
		t.Errorf("%+v", rec)
	}
}
