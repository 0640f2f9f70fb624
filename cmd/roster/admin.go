package main

import (
	"bufio"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rosterdb/roster"
)

func (p *program) adminCommand() *cobra.Command {
	return noun("admin", "Say who may change the members of a group",
		p.adminAddCommand(), p.adminRemoveCommand(), p.adminListCommand(), p.adminGroupsCommand())
}

func (p *program) adminAddCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "add GROUP MEMBER...",
		Short:             "Make users, or all members of groups written group:NAME, administrators of a group",
		Example:           example("roster admin add sales bob", "roster admin add sales group:inside-sales    # whoever is in inside-sales"),
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: p.completeAll(memberNames, groupNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.edit(cmd, args, (*roster.Txn).AddAdmins, (*roster.Txn).AddAdminGroups)
		},
	}
}

func (p *program) adminRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "remove GROUP MEMBER...",
		Short:             "Make users, or groups written group:NAME, administrators of a group no longer",
		Example:           example("roster admin remove sales alice"),
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: p.completeAll(memberNames, groupNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.edit(cmd, args, (*roster.Txn).RemoveAdmins, (*roster.Txn).RemoveAdminGroups)
		},
	}
}

func (p *program) adminListCommand() *cobra.Command {
	var effective bool
	cmd := &cobra.Command{
		Use:               "list GROUP",
		Short:             "List the administrators of a group: users by name, then groups as group:NAME",
		Example:           example("roster admin list sales", "roster admin list sales --effective    # all users, those of the groups included"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.complete(groupNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.read(cmd.Context(), func(tx *roster.Txn) error { return p.listAdmins(tx, args[0], effective) })
		},
	}
	cmd.Flags().BoolVar(&effective, "effective", false, "all users that administer it, themselves or through a group")
	return cmd
}

func (p *program) listAdmins(tx *roster.Txn, ref string, effective bool) error {
	group, err := tx.FindGroup(ref)
	if err != nil {
		return err
	}
	of := tx.DirectAdmins
	if effective {
		of = tx.Admins
	}
	users, err := of(group)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(p.stdout)
	home := directories(tx)
	for id := range users.ByName("") {
		if err := p.writeUser(out, tx, id, home); err != nil {
			return err
		}
	}
	groups, err := tx.AdminGroups(group)
	if err != nil {
		return err
	}
	for _, id := range groups {
		if effective {
			break
		}
		if !p.json {
			fmt.Fprint(out, "group:") // Flush returns the error
		}
		if err := p.writeGroup(out, tx, id); err != nil {
			return err
		}
	}
	return out.Flush()
}

func (p *program) adminGroupsCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "groups USER",
		Short:             "List the groups that a user administers, itself or through a group, by name",
		Example:           example("roster admin groups alice", "roster members administered:alice    # who is in them"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.complete(userNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.listGroups(cmd, args[0], (*roster.Txn).Administered)
		},
	}
}
