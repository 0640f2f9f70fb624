package rebilly

import (
	"errors"
	"maps"
	"net/http"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// userFields are what users can be filtered by.
var userFields = map[string]kind{"id": aText, "email": aText, "name": aText, "status": aText}

// listUsers answers GET /users: those of the organisations in which the caller may
// list users, and the caller. They come by username.
func (c *call) listUsers() (a answer, err error) {
	page, err := c.page()
	if err != nil {
		return a, err
	}
	filters, err := parseFilter(c.query["filter"], userFields)
	if err != nil {
		return a, err
	}
	keys, err := c.query.sorting("username")
	if err != nil {
		return a, err
	}
	if len(keys) > 0 && keys[0].down {
		return a, invalid("sort", "Users come by username, ascending.")
	}
	err = c.view(func(tx *roster.Txn) error {
		set, err := c.usersToList(tx)
		if err != nil {
			return err
		}
		for i := range filters {
			matching, err := c.matching(tx, &set, &filters[i])
			if err != nil {
				return err
			}
			set = narrow(set, matching, filters[i].not)
		}
		w, skip := c.h.writer(tx, false), page.offset
		var items []any
		for u := range set.ByName("") {
			if skip > 0 {
				skip--
				continue
			}
			if len(items) == page.limit {
				break
			}
			out, err := w.user(u)
			if err != nil {
				return err
			}
			items = append(items, out)
		}
		a = page.list(set.Len(), items)
		return nil
	})
	return a, err
}

func (c *call) usersToList(tx *roster.Txn) (out roster.Set, err error) {
	if c.scope != "" {
		org, err := c.organization(tx, c.scope)
		if err == nil {
			err = c.must(tx, org.ID, "GetUserCollection")
		}
		if err != nil {
			return out, err
		}
		return tx.OrgMembers(org.ID)
	}
	if c.all() {
		return tx.Users()
	}
	if out, err = tx.SetOf(c.p.User); isNotFound(err) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	orgs, err := tx.OrganizationsOf(c.p.User)
	for _, org := range orgs {
		may, err := c.p.MayIn(tx, org, "GetUserCollection")
		if err != nil {
			return out, err
		}
		if !may {
			continue
		}
		members, err := tx.OrgMembers(org)
		if err != nil {
			return out, err
		}
		out = out.Or(members)
	}
	return out, err
}

// getUser answers GET /users/{user}.
func (c *call) getUser() (a answer, err error) {
	err = c.view(func(tx *roster.Txn) error {
		u, orgs, err := c.userInPath(tx, "GetUser")
		if err != nil {
			return err
		}
		if may, err := c.maySee(tx, u, orgs); err != nil {
			return err
		} else if !may {
			return forbidden("You may not see this user: it takes the permission GetUser in one of its organizations.")
		}
		out, err := c.h.writer(tx, false).user(u)
		a = answer{status: http.StatusOK, body: out}
		return err
	})
	return a, err
}

// userInPath returns the user of the path, and its organisations, or the one that
// the path is within, in which it must be. There only who has a permission is told who
// is in it, but for itself.
func (c *call) userInPath(tx *roster.Txn, permission string) (u roster.UserID, orgs []string, err error) {
	u, exists := tx.UserByUID(c.ids[0])
	if c.scope == "" {
		if !exists {
			return u, nil, notFound("user", c.ids[0])
		}
		orgs, err = tx.OrganizationsOf(u)
		return u, orgs, err
	}
	org, err := c.organization(tx, c.scope)
	if err != nil {
		return u, nil, err
	}
	self, err := c.mayBeIn(tx, org.ID)
	if err == nil && (!self || !exists || u != c.p.User) {
		err = c.must(tx, org.ID, permission)
	}
	if err != nil {
		return u, nil, err
	}
	if _, err = tx.OrgMembership(org.ID, u); !exists || isNotFound(err) {
		err = notFound("user", c.ids[0])
	}
	return u, []string{org.ID}, err
}

func (c *call) maySee(tx *roster.Txn, u roster.UserID, orgs []string) (bool, error) {
	if u == c.p.User || c.all() {
		return true, nil
	}
	for _, org := range orgs {
		if may, err := c.p.MayIn(tx, org, "GetUser"); err != nil || may {
			return may, err
		}
	}
	return false, nil
}

// userInput is what a POST or PUT of a user says.
type userInput struct {
	id, username, email, status string
	first, last, name           string
	parted                      bool // the name was given in parts
}

func decodeUser(body object) (in userInput, err error) {
	o := reader{object: body}
	in.id, in.username = o.text("id", maxID), o.text("username", maxItem)
	in.email, in.status = o.text("email", maxEmail), o.text("status", maxItem)
	in.name = o.text("name", maxItem)
	in.first, in.last = strings.TrimSpace(o.text("firstName", maxItem)), strings.TrimSpace(o.text("lastName", maxItem))
	if in.parted = o.has("firstName") || o.has("lastName"); in.parted {
		in.name = joinName(in.first, in.last)
	}
	if in.email != "" && (!strings.Contains(in.email, "@") || strings.ContainsAny(in.email, " ,;<>\"")) {
		o.fail("email", "Must be an email address.")
	}
	if in.id != "" && !isSegment(in.id) {
		o.fail("id", "Must not hold a slash, and not be of dots alone.")
	}
	if in.status != "" && in.status != "active" && in.status != "inactive" {
		o.fail("status", "Must be active or inactive.")
	}
	return in, o.err()
}

// postUser answers POST /users.
func (c *call) postUser() (answer, error) {
	in, err := decodeUser(c.body)
	if err != nil {
		return answer{}, err
	}
	return c.storeUser(func(tx *roster.Txn) (roster.UserID, bool, error) {
		u, err := c.createUser(tx, &in, "PostUser")
		return u, true, err
	})
}

// putUser answers PUT /users/{user}.
func (c *call) putUser() (answer, error) {
	in, err := decodeUser(c.body)
	if err != nil {
		return answer{}, err
	}
	in.id = c.ids[0]
	return c.storeUser(func(tx *roster.Txn) (roster.UserID, bool, error) {
		if _, exists := tx.UserByUID(in.id); exists {
			u, err := c.changeUser(tx, &in)
			return u, false, err
		}
		if err := tooLong("id", in.id, nil); err != nil {
			return 0, false, err
		}
		u, err := c.createUser(tx, &in, "PutUser")
		return u, true, err
	})
}

func (c *call) storeUser(store func(*roster.Txn) (u roster.UserID, created bool, err error)) (a answer, err error) {
	err = c.update(func(tx *roster.Txn) error {
		u, created, err := store(tx)
		if err != nil {
			return err
		}
		out, err := c.h.writer(tx, false).user(u)
		a = answer{status: http.StatusOK, body: out}
		if created {
			a.status = http.StatusCreated
			a.set("Location", out.Links[0].Href)
		}
		return err
	})
	return a, err
}

func (c *call) createUser(tx *roster.Txn, in *userInput, permission string) (u roster.UserID, err error) {
	if err := c.mayCreateUsers(tx, permission); err != nil {
		return u, err
	}
	rec := roster.User{UID: in.id, Active: in.status != "inactive"}
	if !rec.Active && !c.all() { // a source that takes the user over would leave it locked
		return u, forbidden("You may not create a user that is not active.")
	}
	if rec.Directory, err = c.directory(tx); err != nil {
		return u, err
	}
	in.fill(&rec)
	if rec.Username = in.username; rec.Username == "" {
		rec.Username = in.email
	}
	if rec.Username == "" {
		return u, invalid("email", "Is needed, or a username.")
	}
	u, err = tx.CreateUser(rec)
	return u, userError(err)
}

// userError says which field the engine does not take: what other fields may hold
// was checked before.
func userError(err error) error {
	switch {
	case errors.Is(err, roster.ErrExists):
		return problemf(http.StatusConflict, "The id or the username is that of another user.")
	case errors.Is(err, roster.ErrInvalid):
		return invalid("username", "Cannot be stored: %v.", err)
	}
	return err
}

// mayCreateUsers returns a 403 unless the caller has a permission in the
// organisation that the path is within, or in one of its own.
func (c *call) mayCreateUsers(tx *roster.Txn, permission string) error {
	if c.scope != "" {
		org, err := c.organization(tx, c.scope)
		if err != nil {
			return err
		}
		return c.must(tx, org.ID, permission)
	}
	if c.all() {
		return nil
	}
	orgs, err := tx.OrganizationsOf(c.p.User)
	if err != nil && !isNotFound(err) {
		return err
	}
	for _, org := range orgs {
		if may, err := c.p.MayIn(tx, org, permission); err != nil || may {
			return err
		}
	}
	return forbidden("You may not create users: it takes the permission %s in an organization.", permission)
}

// directory returns where new users are made.
func (c *call) directory(tx *roster.Txn) (roster.DirectoryID, error) {
	if _, err := tx.Directory(c.h.o.Directory); err == nil {
		return c.h.o.Directory, nil
	}
	all := tx.Directories()
	if len(all) == 0 {
		return 0, problemf(http.StatusConflict, "There is no directory to make users in.")
	}
	return all[0].ID, nil
}

// changeUser changes what an existing user is called. Whoever has the permission in
// one of the user's organisations alone may not: the others would see it too.
func (c *call) changeUser(tx *roster.Txn, in *userInput) (u roster.UserID, err error) {
	u, _, err = c.userInPath(tx, "PutUser")
	if err != nil {
		return u, err
	}
	if err := c.mayChangeUser(tx, u); err != nil {
		return u, err
	}
	rec, err := tx.User(u)
	if err != nil {
		return u, err
	}
	old := rec
	in.fill(&rec)
	if in.username != "" {
		rec.Username = in.username
	}
	if in.status != "" {
		rec.Active = in.status == "active"
	}
	if (rec.Username != old.Username || rec.Active != old.Active) && !c.all() {
		return u, forbidden("You may not change the username or the status of a user.")
	}
	_, err = tx.PutUser(rec)
	return u, userError(err)
}

// mayChangeUser returns a 403 unless the caller may change what a user is called. Any
// owner can make anybody a member: that must not be a way to what administrators are
// called, and to where they get their mail.
func (c *call) mayChangeUser(tx *roster.Txn, u roster.UserID) error {
	if u == c.p.User || c.all() {
		return nil
	}
	orgs, err := tx.OrganizationsOf(u)
	if err != nil {
		return err
	}
	a, err := access.GetAccount(tx, u)
	if err != nil && !isNotFound(err) {
		return err
	}
	administered, err := tx.Administered(u)
	if err != nil {
		return err
	}
	may := len(orgs) > 0 && len(a.Privileges) == 0 && len(administered) == 0
	for _, org := range orgs {
		if !may {
			break
		}
		if may, err = c.p.MayIn(tx, org, "PutUser"); err != nil {
			return err
		}
	}
	if !may {
		return forbidden("You may not change this user: it takes the permission PutUser in all of its organizations, and all privileges if it has some or administers a group.")
	}
	return nil
}

// fill puts what a user is called into its record.
func (in *userInput) fill(rec *roster.User) {
	rec.Email, rec.FullName = in.email, in.name
	rec.Attributes = maps.Clone(rec.Attributes)
	delete(rec.Attributes, firstNameAttribute)
	delete(rec.Attributes, lastNameAttribute)
	if in.parted && in.first != "" && in.last != "" {
		if rec.Attributes == nil {
			rec.Attributes = map[string][]string{}
		}
		rec.Attributes[firstNameAttribute], rec.Attributes[lastNameAttribute] = []string{in.first}, []string{in.last}
	}
}
