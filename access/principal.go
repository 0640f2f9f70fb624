package access

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/rosterdb/roster"
)

// By is how somebody showed who it is.
type By uint8

const (
	ByPassword By = iota + 1
	ByToken
	ByKey
	ByHost // an Authenticator of the host program
)

func (b By) String() string {
	switch b {
	case ByPassword:
		return "password"
	case ByToken:
		return "token"
	case ByKey:
		return "key"
	case ByHost:
		return "host"
	}
	return "nothing"
}

// Principal is somebody who was let in. The zero Principal is nobody, and may do
// nothing. It holds no secret. A Principal is good for one request, which asks for
// it again, with Current, in the transaction that needs its rights: that sees what has
// changed since.
//
// A host that says itself who somebody is makes one with ByHost, User and Username,
// which must be of the same user of the engine.
type Principal struct {
	User      roster.UserID
	Directory roster.DirectoryID
	Username  string
	By        By         // how it was shown; 0: not at all
	Key       string     // of ByKey: the ID of the API key
	Client    netip.Addr // where the request comes from; not valid if that is not known

	// Privileges are those of the account, for API keys those of their user, or
	// what the host says.
	Privileges []string

	// still returns who it is in a transaction, if what was shown still holds. Nil
	// of principals that the package has not made.
	still func(*roster.Txn) (Principal, error)
}

func (p Principal) String() string {
	if p.By == 0 {
		return "nobody"
	}
	return fmt.Sprintf("%s of directory %v by %v", p.Username, p.Directory, p.By)
}

// Names of privileges that the APIs document. Accounts may have others.
const (
	// PrivilegeSecurity is asked for by the operations on users and groups of the
	// ArcGIS Enterprise Administrator API.
	PrivilegeSecurity = "Security and infrastructure"
	// PrivilegeGroupLinks is enough for its operations on groups.
	PrivilegeGroupLinks = "Links to organization-specific group"
)

// Has reports whether a principal has one of some privileges, or all privileges.
// Capital letters do not count in their names.
func (p Principal) Has(privileges ...string) bool {
	if p.By == 0 {
		return false
	}
	return slices.ContainsFunc(p.Privileges, func(has string) bool {
		return has == AllPrivileges || slices.ContainsFunc(privileges, func(want string) bool { return strings.EqualFold(has, want) })
	})
}

// Current returns a principal as a transaction knows it: with the privileges that its
// account has there, or an error if it would not be let in there any more, because
// the user is locked or gone, the password another one, the token or the API key
// revoked or at its end. That is ErrDenied, or ErrForbidden for an API key that is
// no longer for the endpoint or the address. Of a principal that a host has made
// only the user is asked about; its privileges are the host's to say. A nil error
// means that somebody may act. It costs some reads of the transaction.
func (p Principal) Current(tx *roster.Txn) (Principal, error) {
	switch {
	case p.By == ByHost:
		users, err := tx.Active()
		if err != nil {
			return Principal{}, err
		}
		if users.Contains(p.User) && p.named(tx) {
			return p, nil
		}
	case p.By != 0 && p.still != nil:
		now, err := p.still(tx)
		if err != nil {
			return Principal{}, err
		}
		if now.User == p.User {
			return now, nil
		}
	}
	return Principal{}, ErrDenied
}

// named reports whether the user has the name of the principal. Zero is a handle
// as any other: a host that has left the user out must not be somebody by that.
func (p Principal) named(tx *roster.Txn) bool {
	return p.Username != "" && tx.Username(p.User) == p.Username
}

// active reports whether the principal's user can act now.
func (p Principal) active(tx *roster.Txn) bool {
	if p.By == 0 || p.By == ByHost && !p.named(tx) {
		return false
	}
	users, err := tx.Active()
	return err == nil && users.Contains(p.User)
}

// Administers reports whether a principal may change the members of a group: as
// its administrator, directly or through a group, or with all privileges.
func (p Principal) Administers(tx *roster.Txn, g roster.GroupID) bool {
	return p.active(tx) && (tx.CheckAdmin(p.User, g) || p.Has(AllPrivileges))
}

// Owns reports whether a principal is an owner of an organisation, from where it
// is now, or has all privileges. It returns roster.ErrNotFound if there is no
// such organisation.
func (p Principal) Owns(tx *roster.Txn, organization string) (bool, error) {
	return p.in(tx, organization, func(m *roster.OrgMembership) (bool, error) { return m.Owner, nil })
}

// MayIn reports whether a principal has a permission in an organisation: as an
// owner, by its membership or a role, or with all privileges. A membership that
// allows some networks only gives no right from elsewhere. It returns
// roster.ErrNotFound if there is no such organisation.
func (p Principal) MayIn(tx *roster.Txn, organization, permission string) (bool, error) {
	return p.in(tx, organization, func(m *roster.OrgMembership) (bool, error) {
		if m.Owner {
			return true, nil
		}
		has, err := tx.Permissions(organization, p.User)
		return slices.Contains(has, permission) || slices.Contains(has, roster.AllPermissions), err
	})
}

func (p Principal) in(tx *roster.Txn, organization string, may func(*roster.OrgMembership) (bool, error)) (bool, error) {
	if _, err := tx.Organization(organization); err != nil {
		return false, err
	}
	if !p.active(tx) {
		return false, nil
	}
	if p.Has(AllPrivileges) {
		return true, nil
	}
	m, err := tx.OrgMembership(organization, p.User)
	if errors.Is(err, roster.ErrNotFound) {
		return false, nil
	}
	if err != nil || len(m.AllowedIPs) > 0 && !comesFrom(p.Client, m.AllowedIPs) {
		return false, err
	}
	return may(&m)
}
