package crowd

import (
	"errors"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// everything reports whether somebody may do everything.
func everything(who access.Principal) bool { return who.Has(access.AllPrivileges) }

// assignable returns the users whom somebody may assign to some group.
func assignable(tx *roster.Txn, who access.Principal) (roster.Set, error) {
	if everything(who) {
		return tx.Users()
	}
	return tx.Assignable(who.User)
}

// manages reports whether somebody administers a group of a directory. It returns
// errNoDirectory if there is none.
func manages(tx *roster.Txn, who access.Principal, d roster.DirectoryID) (bool, error) {
	users, err := tx.DirectoryUsers(d)
	if errors.Is(err, roster.ErrNotFound) {
		return false, errNoDirectory
	}
	if err != nil || everything(who) {
		return err == nil, err
	}
	may, err := tx.Assignable(who.User)
	if err != nil {
		return false, err
	}
	for u := range users.All() {
		return may.Contains(u), nil // all users of a directory are assignable, or none
	}
	groups, err := tx.Administered(who.User) // nobody is in the directory to tell it by
	for _, g := range groups {
		if head, err := tx.GroupHead(g); err != nil || head.Directory == d {
			return err == nil, err
		}
	}
	return false, err
}

// pathGroup returns the group that the path names, which who asks must administer.
// Where somebody administers nothing nobody learns which groups there are.
func (c *call) pathGroup(tx *roster.Txn, who access.Principal) (g roster.GroupID, d roster.DirectoryID, err error) {
	d, name, ok := parseID(c.args[0])
	if !ok {
		return 0, 0, badRequest("The ID of the group is not valid.")
	}
	g, ok = tx.GroupByName(d, name)
	if ok && who.Administers(tx, g) {
		return g, d, nil
	}
	may, err := manages(tx, who, d)
	switch {
	case err != nil:
		return 0, 0, err
	case may && !ok:
		return 0, 0, errNoGroup
	}
	return 0, 0, errForbidden
}

// ofGroup is what is read or changed of a group and its directory.
type ofGroup func(tx *roster.Txn, who access.Principal, g roster.GroupID, d roster.DirectoryID) error

// viewInGroup reads one revision, of the group of the path.
func (c *call) viewInGroup(fn ofGroup) error { return c.view(c.inGroup(fn)) }

// changeInGroup makes what a request changes in the group of the path one record.
func (c *call) changeInGroup(fn ofGroup) error { return c.change(c.inGroup(fn)) }

func (c *call) inGroup(fn ofGroup) func(*roster.Txn, access.Principal) error {
	return func(tx *roster.Txn, who access.Principal) error {
		g, d, err := c.pathGroup(tx, who)
		if err != nil {
			return err
		}
		return fn(tx, who, g, d)
	}
}

// pathUser returns the user that the path names, of a directory in which who asks
// administers something.
func (c *call) pathUser(tx *roster.Txn, who access.Principal) (u roster.UserID, d roster.DirectoryID, err error) {
	d, name, ok := parseID(c.args[0])
	if !ok {
		return 0, 0, badRequest("The ID of the user is not valid.")
	}
	may, err := manages(tx, who, d)
	if err != nil {
		return 0, 0, err
	}
	if !may {
		return 0, 0, errForbidden
	}
	if u, ok = tx.UserByName(d, name); !ok {
		return 0, 0, errNoUser
	}
	return u, d, nil
}

// managedDirectories lists the directories in which who asks administers a group,
// by number.
func (c *call) managedDirectories() (any, error) {
	out := []directory{}
	err := c.view(func(tx *roster.Txn, who access.Principal) error {
		manages, err := c.managed(tx, who)
		if err != nil {
			return err
		}
		for _, d := range tx.Directories() {
			if manages(d.ID) {
				out = append(out, showDirectory(d))
			}
		}
		return nil
	})
	return out, err
}

// managed is manages for all directories at once.
func (c *call) managed(tx *roster.Txn, who access.Principal) (func(roster.DirectoryID) bool, error) {
	if everything(who) {
		return func(roster.DirectoryID) bool { return true }, nil
	}
	groups, err := tx.Administered(who.User)
	if err != nil {
		return nil, err
	}
	is := map[roster.DirectoryID]bool{}
	r := c.reader(tx)
	for _, id := range groups {
		if err := r.step(); err != nil {
			return nil, err
		}
		g, err := tx.GroupHead(id)
		if err != nil {
			return nil, err
		}
		is[g.Directory] = true
	}
	return func(d roster.DirectoryID) bool { return is[d] }, nil
}
