package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/exchange"
)

func (p *program) orgCommand() *cobra.Command {
	return noun("org", "Create, change, remove or show organisations, and who belongs to them",
		p.orgPutCommand(), p.orgRmCommand(), p.orgShowCommand(), p.orgListCommand(),
		p.orgJoinCommand(), p.orgLeaveCommand(), p.orgMemberCommand())
}

func (p *program) orgPutCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:               "put ID",
		Short:             "Create an organisation, or change the fields that are given",
		Example:           example("roster org put globex --name 'Globex Corporation'"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.complete(orgNames),
	}
	cmd.Flags().StringVar(&name, "name", "", "`name` for reading")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.put(cmd, args[0], func(tx *roster.Txn) (created, changed bool, err error) {
			o, err := tx.Organization(args[0])
			switch {
			case errors.Is(err, roster.ErrNotFound):
				o, created = roster.Organization{ID: args[0]}, true
			case err != nil:
				return false, false, err
			}
			if cmd.Flags().Changed("name") {
				o.Name = name
			}
			changed, err = tx.PutOrganization(o)
			return created, changed, err
		})
	}
	return cmd
}

func (p *program) orgRmCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "rm ID",
		Short:             "Remove an organisation with its roles and memberships",
		Example:           example("roster org rm acme"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.complete(orgNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.remove(cmd, args[0], func(tx *roster.Txn) error {
				return tx.DeleteOrganization(args[0])
			})
		},
	}
}

func (p *program) orgShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "show ID",
		Short:             "Show an organisation with its owners and roles",
		Example:           example("roster org show acme", "roster members org:acme    # who belongs to it"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.complete(orgNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.read(cmd.Context(), func(tx *roster.Txn) error { return p.showOrg(tx, args[0]) })
		},
	}
}

func (p *program) showOrg(tx *roster.Txn, id string) error {
	o, members, owners, err := readOrg(tx, id)
	if err != nil {
		return err
	}
	if p.json {
		_, err := p.stdout.Write(orgObject(o, members, owners))
		return err
	}
	roles, err := tx.Roles(id)
	if err != nil {
		return err
	}
	s := sheet{}
	s.row("id", o.ID)
	s.row("name", o.Name)
	s.row("members", count(members.Len()))
	s.row("owners", someOf(tx, owners))
	s.row("roles", strings.Join(roles, ", "))
	s.times(o.Created, o.Updated)
	return s.print(p.stdout)
}

// readOrg returns all that a list shows of an organisation.
func readOrg(tx *roster.Txn, id string) (o roster.Organization, members, owners roster.Set, err error) {
	if o, err = tx.Organization(id); err == nil {
		members, err = tx.OrgMembers(id)
	}
	if err == nil {
		owners, err = tx.OrgOwners(id)
	}
	return o, members, owners, err
}

// orgObject returns the line of an organisation: that of an export, with counts.
func orgObject(o roster.Organization, members, owners roster.Set) []byte {
	return extend(exchange.AppendOrganization(nil, o), "members", uint64(members.Len()), "owners", uint64(owners.Len()))
}

// someOf returns the first names of a set, and how many more there are.
func someOf(tx *roster.Txn, set roster.Set) string {
	const some = 10
	var names []string
	for id := range set.ByName("") {
		if len(names) == some {
			names = append(names, fmt.Sprintf("and %s more", count(set.Len()-some)))
			break
		}
		names = append(names, tx.Username(id))
	}
	return strings.Join(names, ", ")
}

func (p *program) orgListCommand() *cobra.Command {
	var limit int
	var after string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List organisations by id",
		Long: `List organisations by id, with how many members and owners each has.

When --limit cuts the list, standard error says how to continue it.`,
		Example: example("roster org list", "roster org list --limit 20 --after acme"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return errNegativeLimit
			}
			return p.read(cmd.Context(), func(tx *roster.Txn) error { return p.listOrgs(tx, limit, after) })
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 0, "at most `N` organisations; 0 means all")
	cmd.Flags().StringVar(&after, "after", "", "begin behind the organisation `ID`, which need not exist")
	p.completeFlag(cmd, "after", orgNames)
	return cmd
}

func (p *program) listOrgs(tx *roster.Txn, limit int, after string) error {
	out := bufio.NewWriter(p.stdout)
	t := newTable(out, "ID", "NAME", "MEMBERS", "OWNERS")
	last, n, more := "", 0, false
	for id := range tx.Organizations(after) {
		if more = limit > 0 && n == limit; more {
			break
		}
		o, members, owners, err := readOrg(tx, id)
		if err != nil {
			return err
		}
		if p.json {
			_, err = out.Write(orgObject(o, members, owners))
		} else {
			t.row(o.ID, o.Name, members.Len(), owners.Len())
		}
		if err != nil {
			return err
		}
		last = id
		n++
	}
	if err := t.print(); err != nil {
		return err
	}
	if more && p.json {
		if _, err := out.Write(object("more", last)); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if more {
		fmt.Fprintf(p.stderr, "more: --after %s\n", shellWord(last))
	}
	return nil
}

// shellWord quotes a word of which a shell would make something else.
func shellWord(s string) string {
	if !strings.ContainsAny(s, " \t'\"\\$`!*?[]{}()<>|&;#~=%") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
