package arcgis

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/internal/text"
)

// The attributes of a user in which createUser keeps what the engine has no other
// field for.
const (
	RoleAttribute    = "arcgisRole"
	LicenseAttribute = "arcgisUserLicenseType"
)

// roleAdmin is the role of administrators: its holders get access.PrivilegeSecurity.
const roleAdmin = "org_admin"

var (
	roles    = []string{"org_user", "org_publisher", roleAdmin, "iBBBBBBBBBBBBBBB", "iAAAAAAAAAAAAAAA"}
	licenses = []string{"creatorUT", "editorUT", "GISProfessionalBasicUT", "GISProfessionalStdUT", "GISProfessionalAdvUT", "viewerUT", "fieldWorkerUT"}
)

var createFields = []field{
	{name: "provider", label: "Provider", kind: "choice", choices: []string{"arcgis", "enterprise"}, value: "arcgis", hint: "“arcgis” is an account with a password of its own, “enterprise” one of the identity store."},
	{name: "username", label: "Username", required: true, complete: "off", hint: "At least 6 letters, digits and @ _ , -"},
	{name: "password", label: "Password", kind: "password", complete: "new-password", hint: "For “arcgis”: at least 8 characters, with a letter and a digit."},
	{name: "idpUsername", label: "Identity store username", hint: `For “enterprise”: domain\name`},
	{name: "firstname", label: "First name"},
	{name: "lastname", label: "Last name"},
	{name: "email", label: "Email", kind: "email"},
	{name: "role", label: "Role", kind: "choice", choices: roles, value: roles[0]},
	{name: "userLicenseTypeId", label: "User type", kind: "choice", choices: append([]string{""}, licenses...)},
	{name: "description", label: "Description"},
}

// newUser is what createUser is asked for.
type newUser struct {
	username, password, idpUsername string
	enterprise                      bool
	fullName, email, description    string
	role, license                   string
}

// createUser makes a user, or takes one of an identity store into an organisation
// of the engine.
func (c *call) createUser() (*result, error) {
	u, err := c.newUser()
	if err != nil {
		return nil, err
	}
	var hash access.Hash
	if !u.enterprise {
		if c.o.Access == nil {
			return nil, badRequest("Users with a password cannot be made here.")
		}
		// Hashing is expensive: not for somebody who may not do this anyway.
		if err := c.view(func(*roster.Txn) error { return nil }); err != nil {
			return nil, err
		}
		if hash, err = c.o.Access.Hasher().Hash(c.r.Context(), u.password); err != nil {
			if errors.Is(err, access.ErrInvalid) {
				err = badRequest("The password is too long.")
			}
			return nil, err
		}
	}
	var shown string
	err = c.update(func(tx *roster.Txn) error {
		org, err := c.engineOrganization(tx)
		if err != nil {
			return err
		}
		n := c.names(tx)
		id, err := c.makeUser(n, u, org)
		if err != nil {
			return err
		}
		rec, err := tx.UserHead(id)
		if err != nil {
			return err
		}
		shown = c.names(tx).show(rec.Directory, rec.Username)
		if err := giveAccount(tx, id, hash, u.role, c); err != nil || org == "" {
			return err
		}
		_, err = tx.PutOrgMembership(roster.OrgMembership{Organization: org, User: id})
		return err
	})
	if isAny(err, roster.ErrExists, roster.ErrInvalid) {
		err = badRequest(fmt.Sprintf("User '%s' cannot be made: the name is taken or of no use.", u.username))
	}
	if err != nil {
		return nil, err
	}
	return &result{body: succeeded, note: "The user was made.", facts: []fact{{"Username", shown}}}, nil
}

// newUser reads and checks what is asked for.
func (c *call) newUser() (*newUser, error) {
	u := &newUser{}
	var provider, first, last string
	for _, p := range []struct {
		name string
		to   *string
	}{
		{"username", &u.username}, {"idpUsername", &u.idpUsername}, {"provider", &provider}, {"firstname", &first}, {"lastname", &last},
		{"email", &u.email}, {"description", &u.description}, {"role", &u.role}, {"userLicenseTypeId", &u.license},
	} {
		var err error
		if *p.to, err = c.p.text(p.name); err != nil {
			return nil, err
		}
	}
	// A password must not be in an address, which is logged.
	var err error
	if u.password, err = (&params{body: c.p.body}).one("password"); err != nil {
		return nil, err
	}
	if u.role == "" {
		u.role = roles[0]
	}
	u.enterprise = strings.EqualFold(provider, "enterprise")
	u.fullName = strings.TrimSpace(first + " " + last)
	return u, u.check(provider)
}

func (u *newUser) check(provider string) error {
	switch {
	case u.username == "":
		return badRequest("Parameter 'username' not specified.")
	case len(u.username) < 6 || strings.ContainsFunc(u.username, func(r rune) bool { return !isAlnum(r) && !strings.ContainsRune("@_,-", r) }):
		return badRequest("The username must have at least 6 characters: letters, digits and @ _ , - only.")
	case provider != "" && !u.enterprise && !strings.EqualFold(provider, "arcgis"):
		return badRequest("Parameter 'provider' must be arcgis or enterprise.")
	case u.enterprise && u.idpUsername == "":
		return badRequest("Parameter 'idpUsername' not specified.")
	case u.enterprise && u.password != "":
		return badRequest("An enterprise user has the password of the identity store.")
	case !u.enterprise && (len([]rune(u.password)) < 8 || !strings.ContainsFunc(u.password, isLetter) || !strings.ContainsFunc(u.password, isDigit)):
		return badRequest("The password must have at least 8 characters, with a letter and a digit.")
	case !slices.Contains(roles, u.role):
		return badRequest("Parameter 'role' must be one of " + strings.Join(roles, ", ") + ".")
	case u.license != "" && !slices.Contains(licenses, u.license):
		return badRequest("Parameter 'userLicenseTypeId' must be one of " + strings.Join(licenses, ", ") + ".")
	}
	return nil
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
func isDigit(r rune) bool  { return r >= '0' && r <= '9' }
func isAlnum(r rune) bool  { return isLetter(r) || isDigit(r) }

// makeUser returns the user of an account, which it creates unless it is one of
// the identity store that the organisation does not have yet.
func (c *call) makeUser(n *names, u *newUser, org string) (roster.UserID, error) {
	dir, name, err := c.home(n, u)
	if err != nil {
		return 0, err
	}
	attributes := map[string][]string{RoleAttribute: {u.role}}
	if u.license != "" {
		attributes[LicenseAttribute] = []string{u.license}
	}
	taken := badRequest(fmt.Sprintf("User '%s' already exists.", u.username))
	if !u.enterprise {
		// Two accounts of one name in different directories could not be told apart
		// by whoever logs in with that name alone, for which capital letters do not
		// count.
		if found, _ := lookup(n, name, n.tx.UserByName); len(found) > 0 {
			return 0, taken
		}
	}
	id, exists := n.tx.UserByName(dir, name)
	if !exists {
		return n.tx.CreateUser(roster.User{
			Directory: dir, Username: name, FullName: u.fullName, Email: u.email, Description: u.description,
			Active: true, Attributes: attributes,
		})
	}
	if org == "" {
		return 0, taken
	}
	if _, err := n.tx.OrgMembership(org, id); !errors.Is(err, roster.ErrNotFound) {
		if err == nil {
			err = taken
		}
		return 0, err
	}
	rec, err := n.tx.User(id)
	if err != nil {
		return 0, err
	}
	if rec.Attributes == nil {
		rec.Attributes = map[string][]string{}
	}
	for k, v := range attributes {
		rec.Attributes[k] = v
	}
	_, err = n.tx.PutUser(rec)
	return id, err
}

// home returns the directory and the name that a new account belongs under.
func (c *call) home(n *names, u *newUser) (roster.DirectoryID, string, error) {
	if u.enterprise {
		for i := range n.dirs {
			d := &n.dirs[i]
			name, ok := d.local(u.idpUsername)
			if !ok || d.isCalled(text.Fold(c.o.BuiltIn)) {
				continue
			}
			as, ok := d.local(u.username)
			if text.Fold(name) != text.Fold(u.username) && (!ok || text.Fold(as) != text.Fold(name)) {
				return 0, "", badRequest(fmt.Sprintf("A user has one name here: 'username' must be %s or %s@%s.", name, name, d.domain))
			}
			return d.id, text.Normal(name), nil
		}
		return 0, "", badRequest(fmt.Sprintf(`Parameter 'idpUsername' must be domain\name with a domain of the identity store, not '%s'.`, clip(u.idpUsername)))
	}
	d, err := n.tx.DirectoryByName(c.o.BuiltIn)
	if errors.Is(err, roster.ErrNotFound) {
		d = roster.Directory{ID: 1, Name: c.o.BuiltIn}
		for _, other := range n.tx.Directories() {
			d.ID = max(d.ID, other.ID+1)
		}
		_, err = n.tx.PutDirectory(d)
	}
	return d.ID, u.username, err
}

// giveAccount gives a new user a password and what its role brings.
func giveAccount(tx *roster.Txn, id roster.UserID, hash access.Hash, role string, c *call) error {
	if hash.IsZero() && role != roleAdmin {
		return nil
	}
	a, err := access.GetAccount(tx, id)
	if errors.Is(err, roster.ErrNotFound) {
		a, err = access.Account{User: id}, nil
	}
	if err != nil {
		return err
	}
	if !hash.IsZero() {
		a.Password = hash
	}
	if role == roleAdmin && !slices.Contains(a.Privileges, access.PrivilegeSecurity) {
		a.Privileges = append(a.Privileges, access.PrivilegeSecurity)
	}
	_, err = access.PutAccount(tx, a, c.o.Now())
	return err
}
