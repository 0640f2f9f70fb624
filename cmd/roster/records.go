package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/exchange"
)

func (p *program) userCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "Create, change, remove or show one user", Args: cobra.NoArgs, RunE: needsVerb}
	cmd.AddCommand(p.userPutCommand(), p.rmCommand("user", removeUser), &cobra.Command{
		Use:   "show NAME",
		Short: "Show a user with its groups",
		Args:  cobra.ExactArgs(1),
		RunE:  func(cmd *cobra.Command, args []string) error { return p.read(cmd.Context(), p.showUser(args[0])) },
	})
	return cmd
}

func (p *program) groupCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "group", Short: "Create, change, remove or show one group", Args: cobra.NoArgs, RunE: needsVerb}
	cmd.AddCommand(p.groupPutCommand(), p.rmCommand("group", removeGroup), &cobra.Command{
		Use:   "show NAME",
		Short: "Show a group and how many members it has",
		Args:  cobra.ExactArgs(1),
		RunE:  func(cmd *cobra.Command, args []string) error { return p.read(cmd.Context(), p.showGroup(args[0])) },
	})
	return cmd
}

func needsVerb(cmd *cobra.Command, _ []string) error {
	return fmt.Errorf("%s needs one of put, rm and show (%s --help)", cmd.Name(), cmd.CommandPath())
}

// putFlags are the fields that can be given on the command line. Only those
// that are given change.
type putFlags struct {
	cmd         *cobra.Command
	directory   string
	number      uint64
	uid         string
	description string
}

func (f *putFlags) register(cmd *cobra.Command) {
	f.cmd = cmd
	cmd.Flags().StringVar(&f.directory, "directory", "", "name or number of the `DIRECTORY` of a new record (default: the only one, or \"default\")")
	cmd.Flags().Uint64Var(&f.number, "number", 0, "the `id` in APIs that speak integers")
	cmd.Flags().StringVar(&f.uid, "uid", "", "the `id` in APIs that speak strings")
	cmd.Flags().StringVar(&f.description, "description", "", "`text`")
}

// set gives *to a value if its flag was given.
func set[T any](f *putFlags, flag string, to *T, value T) {
	if f.cmd.Flags().Changed(flag) {
		*to = value
	}
}

func (p *program) userPutCommand() *cobra.Command {
	var f putFlags
	var fullName, email string
	var active bool
	var attributes []string
	cmd := &cobra.Command{
		Use:   "put NAME",
		Short: "Create a user, or change the fields that are given",
		Args:  cobra.ExactArgs(1),
	}
	f.register(cmd)
	cmd.Flags().StringVar(&fullName, "full-name", "", "`name`")
	cmd.Flags().StringVar(&email, "email", "", "`address`")
	cmd.Flags().BoolVar(&active, "active", true, "--active=false keeps the user and its groups, out of the set active")
	cmd.Flags().StringArrayVar(&attributes, "attribute", nil, "`NAME=VALUE`, repeated for several; replaces the values of that name, NAME= removes them")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		fill := func(u *roster.User) error {
			set(&f, "number", &u.Number, f.number)
			set(&f, "uid", &u.UID, f.uid)
			set(&f, "description", &u.Description, f.description)
			set(&f, "full-name", &u.FullName, fullName)
			set(&f, "email", &u.Email, email)
			set(&f, "active", &u.Active, active)
			return setAttributes(u, attributes)
		}
		return p.put(cmd, args[0], func(tx *roster.Txn) (created, changed bool, err error) {
			id, name, d, err := f.find(tx, args[0], findUserID)
			if err != nil {
				return false, false, err
			}
			if id == nil {
				u := roster.User{Directory: d, Username: name, Active: true}
				if err = fill(&u); err == nil {
					_, err = tx.CreateUser(u)
				}
				return true, true, err
			}
			u, err := tx.User(roster.UserID(*id))
			if err == nil {
				err = fill(&u)
			}
			if err == nil {
				changed, err = tx.PutUser(u)
			}
			return false, changed, err
		})
	}
	return cmd
}

func setAttributes(u *roster.User, pairs []string) error {
	given := map[string]bool{}
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return fmt.Errorf("--attribute %q must read NAME=VALUE", pair)
		}
		if u.Attributes == nil {
			u.Attributes = map[string][]string{}
		}
		if !given[name] {
			given[name] = true
			delete(u.Attributes, name)
		}
		if value != "" {
			u.Attributes[name] = append(u.Attributes[name], value)
		}
	}
	return nil
}

func (p *program) groupPutCommand() *cobra.Command {
	var f putFlags
	var enterprise bool
	var abilities []string
	cmd := &cobra.Command{
		Use:   "put NAME",
		Short: "Create a group, or change the fields that are given",
		Args:  cobra.ExactArgs(1),
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&enterprise, "enterprise", false, "its members come from an identity source")
	cmd.Flags().StringArrayVar(&abilities, "ability", nil, "`ability` that it grants its members, repeated for several; replaces those it had, one that is empty removes all")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		fill := func(g *roster.Group) {
			set(&f, "number", &g.Number, f.number)
			set(&f, "uid", &g.UID, f.uid)
			set(&f, "description", &g.Description, f.description)
			set(&f, "enterprise", &g.Enterprise, enterprise)
			if cmd.Flags().Changed("ability") {
				g.Abilities = nil
				for _, a := range abilities {
					if a != "" {
						g.Abilities = append(g.Abilities, a)
					}
				}
			}
		}
		return p.put(cmd, args[0], func(tx *roster.Txn) (created, changed bool, err error) {
			id, name, d, err := f.find(tx, args[0], findGroupID)
			if err != nil {
				return false, false, err
			}
			if id == nil {
				g := roster.Group{Directory: d, Name: name}
				fill(&g)
				_, err = tx.CreateGroup(g)
				return true, true, err
			}
			g, err := tx.Group(roster.GroupID(*id))
			if err == nil {
				fill(&g)
				changed, err = tx.PutGroup(g)
			}
			return false, changed, err
		})
	}
	return cmd
}

// finder looks a user or group up, by reference and by name in a directory.
type finder struct {
	byRef  func(tx *roster.Txn, ref string) (uint32, error)
	byName func(tx *roster.Txn, d roster.DirectoryID, name string) (uint32, bool)
}

var findUserID = finder{
	byRef: func(tx *roster.Txn, ref string) (uint32, error) { id, err := tx.FindUser(ref); return uint32(id), err },
	byName: func(tx *roster.Txn, d roster.DirectoryID, name string) (uint32, bool) {
		id, ok := tx.UserByName(d, name)
		return uint32(id), ok
	},
}

var findGroupID = finder{
	byRef: func(tx *roster.Txn, ref string) (uint32, error) { id, err := tx.FindGroup(ref); return uint32(id), err },
	byName: func(tx *roster.Txn, d roster.DirectoryID, name string) (uint32, bool) {
		id, ok := tx.GroupByName(d, name)
		return uint32(id), ok
	},
}

// find returns the record that a put means, nil for one to be created, and the
// name and directory of that. With --directory the argument is a name there,
// otherwise a reference, and a name if nothing has it.
func (f *putFlags) find(tx *roster.Txn, ref string, find finder) (id *uint32, name string, d roster.DirectoryID, err error) {
	if f.directory != "" {
		if d, err = findDirectory(tx, f.directory); err != nil {
			return nil, "", 0, err
		}
		if found, ok := find.byName(tx, d, ref); ok {
			return &found, ref, d, nil
		}
		return nil, ref, d, nil
	}
	found, err := find.byRef(tx, ref)
	switch {
	case err == nil:
		return &found, ref, 0, nil
	case !errors.Is(err, roster.ErrNotFound):
		return nil, "", 0, err
	case strings.HasPrefix(ref, "#"):
		return nil, "", 0, err
	}
	d, err = defaultDirectory(tx)
	return nil, ref, d, err
}

// findDirectory finds a directory by name or number, or creates it by name.
func findDirectory(tx *roster.Txn, ref string) (roster.DirectoryID, error) {
	if d, err := tx.DirectoryByName(ref); err == nil {
		return d.ID, nil
	}
	if n, err := strconv.ParseUint(ref, 10, 32); err == nil {
		d, err := tx.Directory(roster.DirectoryID(n))
		return d.ID, err
	}
	return newDirectory(tx, ref)
}

// defaultDirectory is the only directory, or else the one called default.
func defaultDirectory(tx *roster.Txn) (roster.DirectoryID, error) {
	all := tx.Directories()
	if len(all) == 1 {
		return all[0].ID, nil
	}
	if d, err := tx.DirectoryByName("default"); err == nil {
		return d.ID, nil
	}
	if len(all) > 0 {
		return 0, fmt.Errorf("there are %d directories: say in which to create it with --directory", len(all))
	}
	return newDirectory(tx, "default")
}

// newDirectory creates a directory under the lowest free number from 1 on.
func newDirectory(tx *roster.Txn, name string) (roster.DirectoryID, error) {
	id := roster.DirectoryID(1)
	for _, d := range tx.Directories() {
		if d.ID == id {
			id++
		}
	}
	_, err := tx.PutDirectory(roster.Directory{ID: id, Name: name})
	return id, err
}

// put runs an Update that creates or changes a record, and says what it did.
func (p *program) put(cmd *cobra.Command, name string, fn func(tx *roster.Txn) (created, changed bool, err error)) error {
	return p.open(roster.Options{}, func(e *roster.Engine) error {
		var created, changed bool
		revision, err := e.Update(cmd.Context(), func(tx *roster.Txn) (err error) {
			created, changed, err = fn(tx)
			return err
		})
		if err != nil {
			return err
		}
		what := "unchanged"
		switch {
		case created:
			what = "created"
		case changed:
			what = "changed"
		}
		return p.answer(what+" "+name, object("created", created, "changed", changed, "revision", uint64(revision)))
	})
}

func (p *program) rmCommand(what string, remove func(tx *roster.Txn, ref string) error) *cobra.Command {
	return &cobra.Command{
		Use:   "rm NAME",
		Short: "Remove a " + what + " with its memberships",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.open(roster.Options{}, func(e *roster.Engine) error {
				revision, err := e.Update(cmd.Context(), func(tx *roster.Txn) error { return remove(tx, args[0]) })
				if err != nil {
					return err
				}
				return p.answer("removed "+args[0], object("removed", true, "revision", uint64(revision)))
			})
		},
	}
}

func removeUser(tx *roster.Txn, ref string) error {
	id, err := tx.FindUser(ref)
	if err != nil {
		return err
	}
	return tx.DeleteUser(id)
}

func removeGroup(tx *roster.Txn, ref string) error {
	id, err := tx.FindGroup(ref)
	if err != nil {
		return err
	}
	return tx.DeleteGroup(id)
}

// showUser prints a user: with --json as an export writes it, otherwise for
// reading.
func (p *program) showUser(ref string) func(tx *roster.Txn) error {
	return func(tx *roster.Txn) error {
		id, err := tx.FindUser(ref)
		if err != nil {
			return err
		}
		u, err := tx.User(id)
		if err != nil {
			return err
		}
		if p.json {
			_, err := p.stdout.Write(exchange.AppendUser(nil, u))
			return err
		}
		groups, err := tx.Groups(id)
		if err != nil {
			return err
		}
		direct, err := tx.DirectGroups(id)
		if err != nil {
			return err
		}
		s := sheet{}
		s.row("username", u.Username)
		s.row("directory", directoryName(tx, u.Directory))
		s.row("number", strconv.FormatUint(u.Number, 10))
		s.row("uid", u.UID)
		s.row("full name", u.FullName)
		s.row("email", u.Email)
		s.row("description", u.Description)
		s.row("active", yesNo(u.Active))
		s.attributes(u.Attributes)
		s.row("groups", fmt.Sprintf("%d, %d of them directly", len(groups), len(direct)))
		s.times(u.Created, u.Updated)
		return s.print(p.stdout)
	}
}

// showGroup is showUser for a group.
func (p *program) showGroup(ref string) func(tx *roster.Txn) error {
	return func(tx *roster.Txn) error {
		id, err := tx.FindGroup(ref)
		if err != nil {
			return err
		}
		g, err := tx.Group(id)
		if err != nil {
			return err
		}
		if p.json {
			_, err := p.stdout.Write(exchange.AppendGroup(nil, g))
			return err
		}
		direct, err := tx.DirectMembers(id)
		if err != nil {
			return err
		}
		all, err := tx.Members(id)
		if err != nil {
			return err
		}
		subgroups, err := tx.Subgroups(id)
		if err != nil {
			return err
		}
		s := sheet{}
		s.row("name", g.Name)
		s.row("directory", directoryName(tx, g.Directory))
		s.row("number", strconv.FormatUint(g.Number, 10))
		s.row("uid", g.UID)
		s.row("description", g.Description)
		s.row("enterprise", yesNo(g.Enterprise))
		s.row("abilities", strings.Join(g.Abilities, ", "))
		s.row("members", fmt.Sprintf("%d, %d of them directly", all.Len(), direct.Len()))
		names := make([]string, len(subgroups))
		for i, sub := range subgroups {
			names[i] = tx.GroupName(sub)
		}
		s.row("groups in it", strings.Join(names, ", "))
		s.times(g.Created, g.Updated)
		return s.print(p.stdout)
	}
}

func directoryName(tx *roster.Txn, id roster.DirectoryID) string {
	d, err := tx.Directory(id)
	if err != nil {
		return id.String()
	}
	return fmt.Sprintf("%s (%d)", d.Name, d.ID)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (s *sheet) times(created, updated time.Time) {
	s.row("created", created.UTC().Format(time.RFC3339))
	s.row("updated", updated.UTC().Format(time.RFC3339))
}
