package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/exchange"
)

func (p *program) userCommand() *cobra.Command {
	return noun("user", "Create, change, remove or show one user",
		p.userPutCommand(), p.rmCommand("user", example("roster user rm bob"), userNames, removeUser), &cobra.Command{
			Use:               "show NAME",
			Short:             "Show a user with its groups",
			Example:           example("roster user show alice", "roster user show alice --json"),
			Args:              cobra.ExactArgs(1),
			ValidArgsFunction: p.complete(userNames),
			RunE:              func(cmd *cobra.Command, args []string) error { return p.read(cmd.Context(), p.showUser(args[0])) },
		})
}

func (p *program) userPutCommand() *cobra.Command {
	var f putFlags
	var fullName, email string
	var active bool
	var attributes []string
	cmd := &cobra.Command{
		Use:   "put NAME",
		Short: "Create a user, or change the fields that are given",
		Example: example(
			"roster user put carol --full-name 'Carol Jones' --email carol@example.org",
			"roster user put carol --attribute title=Dr --active=false    # the rest stays",
		),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.complete(userNames),
	}
	f.register(p, cmd)
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

func removeUser(tx *roster.Txn, ref string) error {
	id, err := tx.FindUser(ref)
	if err != nil {
		return err
	}
	if err := tx.DeleteUser(id); err != nil {
		return err
	}
	return access.Forget(tx, id)
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
		if err := s.roles(tx, id); err != nil {
			return err
		}
		s.times(u.Created, u.Updated)
		return s.print(p.stdout)
	}
}

// roles adds what a user administers and the organisations that it belongs to.
func (s *sheet) roles(tx *roster.Txn, id roster.UserID) error {
	administered, err := tx.Administered(id)
	if err != nil {
		return err
	}
	if n := len(administered); n > 0 {
		s.row("administers", plural(n, "group"))
	}
	orgs, err := tx.OrganizationsOf(id)
	if err != nil {
		return err
	}
	standard, err := tx.DefaultOrganization(id)
	if err != nil {
		return err
	}
	for i, org := range orgs {
		if org == standard && len(orgs) > 1 {
			orgs[i] += " (default)"
		}
	}
	s.row("organisations", strings.Join(orgs, ", "))
	return nil
}
