package rebilly

import (
	"net/url"
	"strings"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// link is an element of _links.
type link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

// self returns the link to a resource, of which Location is the target.
func (h *handler) self(segments ...string) []link {
	var b strings.Builder
	b.WriteString(h.o.BaseURL)
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return []link{{"self", b.String()}}
}

// stamp is a time as the API writes it.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

type membershipJSON struct {
	Organization memberOfJSON  `json:"organization"`
	User         memberJSON    `json:"user"`
	IsOwner      bool          `json:"isOwner"`
	IsDefault    bool          `json:"isDefault"`
	Permissions  []string      `json:"permissions"`
	RoleIDs      []string      `json:"roleIds"`
	AllowedIPs   []string      `json:"allowedIps"` // null for no restriction
	ACL          []scopeJSON   `json:"acl"`
	Links        []link        `json:"_links"`
	Embedded     embeddedRoles `json:"_embedded"`
}

type memberOfJSON struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Created string `json:"createdTime"`
	Updated string `json:"updatedTime"`
}

type memberJSON struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
}

// scopeJSON is an element of an acl: permissions in some organisations.
type scopeJSON struct {
	Scope       scopeOrganizations `json:"scope"`
	Permissions []string           `json:"permissions"`
}

type scopeOrganizations struct {
	OrganizationID []string `json:"organizationId"`
}

type embeddedRoles struct {
	Roles []roleJSON `json:"roles"`
}

type roleJSON struct {
	ID          string      `json:"id"`
	Name        string      `json:"name"`
	Permissions []string    `json:"permissions"`
	ACL         []scopeJSON `json:"acl"`
	UsersCount  int         `json:"usersCount"`
	Created     string      `json:"createdTime"`
	Updated     string      `json:"updatedTime"`
	Links       []link      `json:"_links"`
}

type userJSON struct {
	ID        string `json:"id"`
	Username  string `json:"username"`
	Email     string `json:"email"`
	Name      string `json:"name"`
	FirstName string `json:"firstName"`
	LastName  string `json:"lastName"`
	Status    string `json:"status"` // active or inactive
	Created   string `json:"createdTime"`
	Updated   string `json:"updatedTime"`
	Links     []link `json:"_links"`
}

type organizationJSON struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Created string `json:"createdTime"`
	Updated string `json:"updatedTime"`
	Links   []link `json:"_links"`
}

// writer makes JSON of records of one revision. It reads the record of each
// organisation and role once.
type writer struct {
	h     *handler
	tx    *roster.Txn
	roles bool // expand them
	orgs  map[string]roster.Organization
	known map[[2]string]roster.Role
}

func (h *handler) writer(tx *roster.Txn, expandRoles bool) *writer {
	return &writer{h: h, tx: tx, roles: expandRoles, orgs: map[string]roster.Organization{}, known: map[[2]string]roster.Role{}}
}

func (w *writer) organization(id string) (roster.Organization, error) {
	if o, ok := w.orgs[id]; ok {
		return o, nil
	}
	o, err := w.tx.Organization(id)
	if err == nil {
		w.orgs[id] = o
	}
	return o, err
}

func (w *writer) role(org, id string) (roster.Role, error) {
	key := [2]string{org, id}
	if r, ok := w.known[key]; ok {
		return r, nil
	}
	r, err := w.tx.Role(org, id)
	if err == nil {
		w.known[key] = r
	}
	return r, err
}

func (w *writer) membership(org string, u roster.UserID) (out membershipJSON, err error) {
	m, err := w.tx.OrgMembership(org, u)
	if err != nil {
		return out, err
	}
	o, err := w.organization(m.Organization)
	if err != nil {
		return out, err
	}
	user, err := w.tx.User(u)
	if err != nil {
		return out, err
	}
	may, err := w.tx.Permissions(m.Organization, u)
	if err != nil {
		return out, err
	}
	out = membershipJSON{
		Organization: memberOfJSON{o.ID, o.Name, stamp(o.Created), stamp(o.Updated)},
		User:         memberJSON{user.UID, nameOf(&user), user.Email},
		IsOwner:      m.Owner, IsDefault: m.Default,
		Permissions: listed(m.Permissions), RoleIDs: listed(m.Roles),
		ACL:      acl(o.ID, may),
		Links:    w.h.self("memberships", o.ID, user.UID),
		Embedded: embeddedRoles{[]roleJSON{}},
	}
	for _, p := range m.AllowedIPs {
		out.AllowedIPs = append(out.AllowedIPs, access.FormatAddress(p))
	}
	if w.roles {
		for _, id := range m.Roles {
			r, err := w.roleJSON(m.Organization, id)
			if err != nil {
				return out, err
			}
			out.Embedded.Roles = append(out.Embedded.Roles, r)
		}
	}
	return out, nil
}

func (w *writer) roleJSON(org, id string) (roleJSON, error) {
	r, err := w.role(org, id)
	if err != nil {
		return roleJSON{}, err
	}
	holders, err := w.tx.RoleHolders(r.Organization, r.ID)
	if err != nil {
		return roleJSON{}, err
	}
	return roleJSON{
		ID: r.ID, Name: r.Name, Permissions: listed(r.Permissions), ACL: acl(r.Organization, r.Permissions),
		UsersCount: holders.Len(), Created: stamp(r.Created), Updated: stamp(r.Updated),
		Links: w.h.self("organizations", r.Organization, "roles", r.ID),
	}, nil
}

func (w *writer) user(u roster.UserID) (userJSON, error) {
	rec, err := w.tx.User(u)
	if err != nil {
		return userJSON{}, err
	}
	first, last := splitName(&rec)
	status := "inactive"
	if rec.Active {
		status = "active"
	}
	return userJSON{
		ID: rec.UID, Username: rec.Username, Email: rec.Email, Name: nameOf(&rec), FirstName: first, LastName: last, Status: status,
		Created: stamp(rec.Created), Updated: stamp(rec.Updated), Links: w.h.self("users", rec.UID),
	}, nil
}

func (w *writer) organizationJSON(id string) (organizationJSON, error) {
	o, err := w.organization(id)
	return organizationJSON{o.ID, o.Name, stamp(o.Created), stamp(o.Updated), w.h.self("organizations", o.ID)}, err
}

func acl(org string, permissions []string) []scopeJSON {
	if len(permissions) == 0 {
		return []scopeJSON{}
	}
	return []scopeJSON{{scopeOrganizations{[]string{org}}, permissions}}
}

// listed makes no list an empty one.
func listed(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// nameOf is what a user is called for reading.
func nameOf(u *roster.User) string {
	if u.FullName != "" {
		return u.FullName
	}
	return u.Username
}

// Attributes that keep how a full name is parted. They count as long as the name
// is made of them: another API may have changed it.
const (
	firstNameAttribute = "firstName"
	lastNameAttribute  = "lastName"
)

// splitName parts a full name: as it was given, or else before its last word.
func splitName(u *roster.User) (first, last string) {
	if f, l := u.Attributes[firstNameAttribute], u.Attributes[lastNameAttribute]; len(f) == 1 && len(l) == 1 && joinName(f[0], l[0]) == u.FullName {
		return f[0], l[0]
	}
	i := strings.LastIndexByte(u.FullName, ' ')
	if i < 0 {
		return u.FullName, ""
	}
	return strings.TrimSpace(u.FullName[:i]), u.FullName[i+1:]
}

func joinName(first, last string) string { return strings.TrimSpace(first + " " + last) }
