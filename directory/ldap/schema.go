package ldap

import (
	"fmt"

	ldapv3 "github.com/go-ldap/ldap/v3"

	"github.com/rosterdb/roster/directory"
)

// Schema says what a server calls things. Names of attributes count in any case.
type Schema struct {
	UserFilter  string // which entries are users
	GroupFilter string // which entries are groups

	UserName  []string // the first of these attributes that an entry has is its name
	GroupName []string

	// Key is the attribute that never changes. KeyIsGUID: it holds 16 bytes as
	// Active Directory writes a GUID. "" if there is none.
	Key       string
	KeyIsGUID bool

	FullName         []string // the first that there is
	Email            string
	Description      string // of a user; "" takes the DN
	GroupDescription string
	Attributes       []string // others to keep with a user

	Members     []string // attributes of groups that hold DNs
	MemberNames []string // attributes of groups that hold usernames

	// PrimaryGroup is an attribute of users, and PrimaryGroupID the one of groups
	// that has the same value: gidNumber. Where PrimaryGroupID is objectSid, the
	// value is the last part of that. "" if there is no such thing.
	PrimaryGroup   string
	PrimaryGroupID string

	// Disabled is an attribute of users who may not log in: with DisabledBit, if
	// that bit is set; without, if it is there and not FALSE. "" where the server
	// does not say who may.
	Disabled    string
	DisabledBit int64

	// Of Active Directory: values of large groups come in ranges, a matching rule
	// finds groups at any depth (used where the server says that it is one),
	// and a control keeps referrals out of answers.
	Ranges      bool
	InChain     bool
	MemberOf    string // needed for InChain: the groups that an entry is in
	DomainScope bool
}

// OpenLDAP is the schema of OpenLDAP and 389 Directory Server with inetOrgPerson
// or posixAccount, and groupOfNames, groupOfUniqueNames or posixGroup.
func OpenLDAP() Schema {
	return Schema{
		UserFilter:  "(|(objectClass=person)(objectClass=inetOrgPerson)(objectClass=posixAccount))",
		GroupFilter: "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup))",
		UserName:    []string{"uid", "cn"}, GroupName: []string{"cn"},
		Key:      "entryUUID",
		FullName: []string{"displayName", "cn"}, Email: "mail", GroupDescription: "description",
		Members: []string{"member", "uniqueMember"}, MemberNames: []string{"memberUid"},
	}
}

// RFC2307 is the schema of accounts of Unix: posixAccount, and posixGroup with
// usernames as members. A user's gidNumber does not make it a member: that is
// PrimaryGroup and PrimaryGroupID "gidNumber".
func RFC2307() Schema {
	s := OpenLDAP()
	s.UserFilter, s.GroupFilter = "(objectClass=posixAccount)", "(objectClass=posixGroup)"
	s.UserName = []string{"uid"}
	return s
}

// ActiveDirectory is the schema of Active Directory.
func ActiveDirectory() Schema {
	return Schema{
		UserFilter:  "(&(objectCategory=person)(objectClass=user))",
		GroupFilter: "(objectClass=group)",
		UserName:    []string{"sAMAccountName"}, GroupName: []string{"sAMAccountName", "cn"},
		Key: "objectGUID", KeyIsGUID: true,
		FullName: []string{"displayName", "cn"}, Email: "mail", GroupDescription: "description",
		Members:      []string{"member"},
		PrimaryGroup: "primaryGroupID", PrimaryGroupID: "objectSid",
		Disabled: "userAccountControl", DisabledBit: 2,
		Ranges: true, InChain: true, MemberOf: "memberOf", DomainScope: true,
	}
}

// Preset returns the schema of a name: openldap, rfc2307 or ad; "" is openldap.
// ErrConfig for any other.
func Preset(name string) (Schema, error) {
	switch name {
	case "", "openldap":
		return OpenLDAP(), nil
	case "rfc2307":
		return RFC2307(), nil
	case "ad":
		return ActiveDirectory(), nil
	}
	return Schema{}, fmt.Errorf("%w: schema %q is unknown (openldap, rfc2307, ad)", directory.ErrConfig, name)
}

// check returns ErrConfig for a schema that cannot be used.
func (s *Schema) check() error {
	for _, f := range []string{s.UserFilter, s.GroupFilter} {
		if _, err := ldapv3.CompileFilter(f); err != nil {
			return fmt.Errorf("%w: filter %q: %w", directory.ErrConfig, f, err)
		}
	}
	switch {
	case len(s.UserName) == 0 || len(s.GroupName) == 0:
		return fmt.Errorf("%w: the schema does not say which attribute is a name", directory.ErrConfig)
	case len(s.Members)+len(s.MemberNames) == 0:
		return fmt.Errorf("%w: the schema does not say which attribute holds members", directory.ErrConfig)
	}
	return nil
}

// userAttributes are those to ask for of users.
func (s *Schema) userAttributes() []string {
	list := append([]string{s.Key, s.Email, s.Description, s.PrimaryGroup, s.Disabled}, s.UserName...)
	list = append(append(list, s.FullName...), s.Attributes...)
	if s.sids() {
		list = append(list, "objectSid")
	}
	return asked(list)
}

// groupAttributes are those to ask for of groups.
func (s *Schema) groupAttributes(members bool) []string {
	list := append([]string{s.Key, s.GroupDescription, s.PrimaryGroupID}, s.GroupName...)
	if members {
		list = append(append(list, s.Members...), s.MemberNames...)
	}
	return asked(list)
}

// sids reports whether primary groups are told by security identifiers.
func (s *Schema) sids() bool { return s.PrimaryGroup != "" && s.PrimaryGroupID == "objectSid" }

// asked takes out what is not there. An empty list would ask for everything.
func asked(list []string) []string {
	out := []string{"1.1"}[:0]
	for _, name := range list {
		if name != "" {
			out = append(out, name)
		}
	}
	return out
}
