package main

import (
	"bufio"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/exchange"
)

func (p *program) roleCommand() *cobra.Command {
	return noun("role", "Create, change, remove or show the roles of an organisation",
		p.rolePutCommand(), p.roleRmCommand(), p.roleShowCommand(), p.roleListCommand())
}

func (p *program) rolePutCommand() *cobra.Command {
	var name string
	var permissions []string
	cmd := &cobra.Command{
		Use:               "put ORG ID",
		Short:             "Create a role of an organisation, or change the fields that are given",
		Example:           example("roster role put acme manager --name Manager --permission orders.read --permission orders.cancel"),
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: p.complete(orgNames, roleNames),
	}
	cmd.Flags().StringVar(&name, "name", "", "`name` for reading")
	cmd.Flags().StringArrayVar(&permissions, "permission", nil, "`permission` that it gives its holders, repeated for several; * is all of them; replaces those it had, one that is empty removes all")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.put(cmd, args[1], func(tx *roster.Txn) (created, changed bool, err error) {
			r, err := tx.Role(args[0], args[1])
			switch {
			case errors.Is(err, roster.ErrNotFound):
				r, created = roster.Role{Organization: args[0], ID: args[1]}, true
			case err != nil:
				return false, false, err
			}
			if cmd.Flags().Changed("name") {
				r.Name = name
			}
			if cmd.Flags().Changed("permission") {
				r.Permissions = given(permissions)
			}
			changed, err = tx.PutRole(r)
			return created, changed, err
		})
	}
	return cmd
}

func (p *program) roleRmCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "rm ORG ID",
		Short:             "Remove a role, which its holders lose with that",
		Example:           example("roster role rm acme clerk"),
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: p.complete(orgNames, roleNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.remove(cmd, args[1], func(tx *roster.Txn) error {
				return tx.DeleteRole(args[0], args[1])
			})
		},
	}
}

func (p *program) roleShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "show ORG ID",
		Short:             "Show a role and how many hold it",
		Example:           example("roster role show acme clerk", "roster members role:acme/clerk    # who holds it"),
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: p.complete(orgNames, roleNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.read(cmd.Context(), func(tx *roster.Txn) error { return p.showRole(tx, args[0], args[1]) })
		},
	}
}

func (p *program) showRole(tx *roster.Txn, org, id string) error {
	r, holders, err := readRole(tx, org, id)
	if err != nil {
		return err
	}
	if p.json {
		_, err := p.stdout.Write(roleObject(r, holders))
		return err
	}
	s := sheet{}
	s.row("organisation", r.Organization)
	s.row("id", r.ID)
	s.row("name", r.Name)
	s.row("permissions", strings.Join(r.Permissions, ", "))
	s.row("holders", count(holders.Len()))
	s.times(r.Created, r.Updated)
	return s.print(p.stdout)
}

// readRole returns all that a list shows of a role.
func readRole(tx *roster.Txn, org, id string) (r roster.Role, holders roster.Set, err error) {
	if r, err = tx.Role(org, id); err == nil {
		holders, err = tx.RoleHolders(org, id)
	}
	return r, holders, err
}

// roleObject returns the line of a role: that of an export, with its holders.
func roleObject(r roster.Role, holders roster.Set) []byte {
	return extend(exchange.AppendRole(nil, r), "holders", uint64(holders.Len()))
}

func (p *program) roleListCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "list ORG",
		Short:             "List the roles of an organisation by id",
		Example:           example("roster role list acme"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.complete(orgNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.read(cmd.Context(), func(tx *roster.Txn) error { return p.listRoles(tx, args[0]) })
		},
	}
}

func (p *program) listRoles(tx *roster.Txn, org string) error {
	roles, err := tx.Roles(org)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(p.stdout)
	t := newTable(out, "ID", "NAME", "HOLDERS", "PERMISSIONS")
	for _, id := range roles {
		r, holders, err := readRole(tx, org, id)
		if err != nil {
			return err
		}
		if p.json {
			_, err = out.Write(roleObject(r, holders))
		} else {
			t.row(r.ID, r.Name, holders.Len(), strings.Join(r.Permissions, ", "))
		}
		if err != nil {
			return err
		}
	}
	if err := t.print(); err != nil {
		return err
	}
	return out.Flush()
}
