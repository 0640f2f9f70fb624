package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/exchange"
)

func (p *program) groupCommand() *cobra.Command {
	return noun("group", "Create, change, remove or show one group",
		p.groupPutCommand(), p.rmCommand("group", example("roster group rm inside-sales"), groupNames, removeGroup), &cobra.Command{
			Use:               "show NAME",
			Short:             "Show a group and how many members it has",
			Example:           example("roster group show sales", "roster group show sales --json"),
			Args:              cobra.ExactArgs(1),
			ValidArgsFunction: p.complete(groupNames),
			RunE:              func(cmd *cobra.Command, args []string) error { return p.read(cmd.Context(), p.showGroup(args[0])) },
		})
}

func (p *program) groupPutCommand() *cobra.Command {
	var f putFlags
	var enterprise bool
	var abilities []string
	cmd := &cobra.Command{
		Use:   "put NAME",
		Short: "Create a group, or change the fields that are given",
		Example: example(
			"roster group put export-users --description 'May export' --ability export",
			"roster group put sales --description 'Who sell'    # the rest stays",
		),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.complete(groupNames),
	}
	f.register(p, cmd)
	cmd.Flags().BoolVar(&enterprise, "enterprise", false, "its members come from an identity source")
	cmd.Flags().StringArrayVar(&abilities, "ability", nil, "`ability` that it grants its members, repeated for several; replaces those it had, one that is empty removes all")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		fill := func(g *roster.Group) {
			set(&f, "number", &g.Number, f.number)
			set(&f, "uid", &g.UID, f.uid)
			set(&f, "description", &g.Description, f.description)
			set(&f, "enterprise", &g.Enterprise, enterprise)
			if cmd.Flags().Changed("ability") {
				g.Abilities = given(abilities)
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

func removeGroup(tx *roster.Txn, ref string) error {
	id, err := tx.FindGroup(ref)
	if err != nil {
		return err
	}
	return tx.DeleteGroup(id)
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
		s.row("groups in it", joined(tx, subgroups))
		admins, err := tx.Admins(id)
		if err != nil {
			return err
		}
		byGroups, err := tx.AdminGroups(id)
		if err != nil {
			return err
		}
		if admins.Len() > 0 {
			s.row("administrators", plural(admins.Len(), "user"))
		}
		s.row("administering groups", joined(tx, byGroups))
		s.times(g.Created, g.Updated)
		return s.print(p.stdout)
	}
}

// joined returns the names of groups on one line.
func joined(tx *roster.Txn, groups []roster.GroupID) string {
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = tx.GroupName(g)
	}
	return strings.Join(names, ", ")
}
