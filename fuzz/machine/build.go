package machine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/fuzz/model"
)

// builder is what a world can be made with: a Builder on disk, an Update in
// memory.
type builder interface {
	PutDirectory(roster.Directory) error
	CreateUser(roster.User) (roster.UserID, error)
	CreateGroup(roster.Group) (roster.GroupID, error)
	AddMembers(roster.GroupID, []roster.UserID) error
	Nest(roster.GroupID, ...roster.GroupID) error
	AddAdmins(roster.GroupID, ...roster.UserID) error
	AddAdminGroups(roster.GroupID, ...roster.GroupID) error
	PutOrganization(roster.Organization) error
	PutRole(roster.Role) error
	PutOrgMembership(roster.OrgMembership) error
	PutData(space, key string, value []byte) error
}

// updater is a builder in a transaction.
type updater struct{ *roster.Txn }

func (u updater) PutDirectory(d roster.Directory) error { return errorOf(u.Txn.PutDirectory(d)) }

func (u updater) AddMembers(g roster.GroupID, users []roster.UserID) error {
	return errorOf(u.Add(g, users...))
}

func (u updater) Nest(parent roster.GroupID, children ...roster.GroupID) error {
	return errorOf(u.Txn.Nest(parent, children...))
}

func (u updater) AddAdmins(g roster.GroupID, users ...roster.UserID) error {
	return errorOf(u.Txn.AddAdmins(g, users...))
}

func (u updater) AddAdminGroups(g roster.GroupID, admins ...roster.GroupID) error {
	return errorOf(u.Txn.AddAdminGroups(g, admins...))
}

func (u updater) PutOrganization(o roster.Organization) error {
	return errorOf(u.Txn.PutOrganization(o))
}

func (u updater) PutRole(r roster.Role) error { return errorOf(u.Txn.PutRole(r)) }

func (u updater) PutOrgMembership(s roster.OrgMembership) error {
	return errorOf(u.Txn.PutOrgMembership(s))
}

func (u updater) PutData(space, key string, value []byte) error {
	return errorOf(u.Txn.PutData(space, key, value))
}

func errorOf[T any](_ T, err error) error { return err }

// begin opens the engine on the world that the mode begins with.
func (m *Machine) begin() error {
	if m.mode.Disk && m.mode.Built > 0 && m.mode.Ahead == 0 {
		return m.build()
	}
	if err := m.open(); err != nil {
		return err
	}
	if m.mode.Ahead > 0 {
		if err := m.inOne(m.goAhead); err != nil {
			return err
		}
		// The next Open need not do all that again.
		if err := m.e.Fold(context.Background()); err != nil {
			return err
		}
	}
	if m.mode.Built > 0 {
		return m.inOne(func(tx *roster.Txn, w *model.Model) error { return m.fill(updater{tx}, w) })
	}
	return nil
}

// build makes the world with Build.
func (m *Machine) build() error {
	w := m.now.Begin(m.clock)
	err := roster.Build(context.Background(), m.folder(), m.options, func(b *roster.Builder) error { return m.fill(b, w) })
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	w.Commit()
	m.now = w.Cut()
	return m.open()
}

// inOne makes a part of the world in one Update.
func (m *Machine) inOne(fn func(*roster.Txn, *model.Model) error) error {
	w := m.now.Begin(m.clock)
	_, err := m.e.Update(context.Background(), func(tx *roster.Txn) error { return fn(tx, w) })
	w.Commit()
	m.now = w
	return err
}

// fill makes a directory, users, and groups of sizes around the border of lists
// and shards, nested in short chains.
func (m *Machine) fill(b builder, w *model.Model) error {
	d := roster.Directory{ID: 1, Name: "corp"}
	if err := b.PutDirectory(d); err != nil {
		return err
	}
	if _, err := w.PutDirectory(d); err != nil {
		return err
	}
	for i := range m.mode.Built {
		u := roster.User{Directory: 1, Username: crowdName(i), Active: i%3 > 0, FullName: oneOf(m.src, texts...)}
		got, err := b.CreateUser(u)
		if err != nil {
			return err
		}
		if want := w.Enlist(u); got != want {
			return fmt.Errorf("built %v, not %v", got, want)
		}
	}
	var parent roster.GroupID
	for i, size := range []int{0, 1, 500, 511, 512, 513, 1000, 1023, 1024, 1025, 1500, m.mode.Built} {
		g, err := m.fillGroup(b, w, size)
		if err != nil {
			return err
		}
		if i%3 > 0 {
			if err := b.Nest(parent, g); err != nil {
				return err
			}
			if _, err := w.Nest(parent, g); err != nil {
				return err
			}
		}
		parent = g
	}
	return errors.Join(m.fillAdmins(b, w), m.fillOrganizations(b, w), m.fillData(b, w))
}

// fillData keeps more values than a page holds.
func (m *Machine) fillData(b builder, w *model.Model) (err error) {
	for i := range 40 {
		space, key, value := oneOf(m.src, dataSpaces...), oneOf(m.src, dataKeys...), fmt.Append(nil, i)
		err = errors.Join(err, b.PutData(space, key, value), errorOf(w.PutData(space, key, value)))
	}
	return err
}

// fillAdmins gives two groups administrators: many users, and a large group.
func (m *Machine) fillAdmins(b builder, w *model.Model) error {
	groups := w.LiveGroups
	few, large := groups[1], groups[len(groups)-2]
	many := w.Live[:1023+m.src.Intn(3)]
	return errors.Join(
		b.AddAdmins(few, many...), errorOf(w.AddAdmins(few, many...)),
		b.AddAdminGroups(large, large, few), errorOf(w.AddAdminGroups(large, large, few)),
	)
}

// fillOrganizations makes two organisations that have members in common, one
// with members and holders of a role around the border of lists and shards.
func (m *Machine) fillOrganizations(b builder, w *model.Model) error {
	var err error
	note := func(errs ...error) { err = errors.Join(append(errs, err)...) }
	for _, id := range []string{"acme", "Globex"} {
		o := roster.Organization{ID: id, Name: "built"}
		note(b.PutOrganization(o), errorOf(w.PutOrganization(o)))
		r := roster.Role{Organization: id, ID: "clerk", Permissions: []string{"read", "read", "write"}}
		note(b.PutRole(r), errorOf(w.PutRole(r)))
	}
	members := w.Live[len(w.Live)/2-600:][:1030]
	holders := 1023 + m.src.Intn(3)
	for i, u := range members {
		s := roster.OrgMembership{Organization: "ACME", User: u, Owner: i == 7}
		if i < holders {
			s.Roles = []string{"Clerk"}
		}
		note(b.PutOrgMembership(s), errorOf(w.PutOrgMembership(s)))
		if i%9 == 0 {
			s = roster.OrgMembership{Organization: "Globex", User: u, Default: i%2 == 0, Permissions: []string{"*"}}
			note(b.PutOrgMembership(s), errorOf(w.PutOrgMembership(s)))
		}
	}
	return err
}

func (m *Machine) fillGroup(b builder, w *model.Model, size int) (roster.GroupID, error) {
	g := roster.Group{Directory: 1, Name: fmt.Sprintf("size %d", size), Abilities: m.abilities()}
	g.Abilities = slices.DeleteFunc(g.Abilities, func(a string) bool { return a == "" || a == "\xff" })
	id, err := b.CreateGroup(g)
	if err != nil {
		return 0, err
	}
	if want, err := w.CreateGroup(g); err != nil || id != want {
		return 0, fmt.Errorf("built %v, not %v: %w", id, want, err)
	}
	from := m.src.Intn(m.mode.Built - size + 1)
	members := w.Live[from : from+size]
	if err := b.AddMembers(id, members); err != nil {
		return 0, err
	}
	_, err = w.Add(id, members...)
	return id, err
}

// goAhead uses up user numbers by creating users who are deleted at once.
func (m *Machine) goAhead(tx *roster.Txn, w *model.Model) error {
	const kept = 8
	x := update{Machine: m, tx: tx, want: w}
	d := roster.Directory{ID: 2, Name: "Lab"}
	if _, err := tx.PutDirectory(d); err != nil {
		return err
	}
	if _, err := w.PutDirectory(d); err != nil {
		return err
	}
	for i := range m.mode.Ahead {
		if err := x.comeAndGo(fmt.Sprint("early ", i), i < kept); err != nil {
			return err
		}
	}
	return nil
}

// comeAndGo creates a user and, unless it is to stay, deletes it.
func (x *update) comeAndGo(name string, stays bool) error {
	u := roster.User{Directory: 2, Username: name}
	got, err := x.tx.CreateUser(u)
	if err != nil {
		return err
	}
	want, err := x.want.CreateUser(u)
	if err != nil || got != want {
		return fmt.Errorf("created %v, not %v: %w", got, want, err)
	}
	if stays {
		return nil
	}
	if err := x.tx.DeleteUser(got); err != nil {
		return err
	}
	return x.want.DeleteUser(got)
}
