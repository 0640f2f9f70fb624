package main

import (
	"bufio"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rosterdb/roster"
)

func (p *program) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check USER GROUP",
		Short: "Say yes or no: is the user a member, directly or through nested groups? (exit code 0 or 1)",
		Example: example(
			"roster check alice sales",
			"roster check alice@default sales && echo 'may sell'    # the exit code is the answer",
		),
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: p.complete(userNames, groupNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			var member bool
			err := p.read(cmd.Context(), func(tx *roster.Txn) error {
				user, err := tx.FindUser(args[0])
				if err != nil {
					return err
				}
				group, err := tx.FindGroup(args[1])
				if err != nil {
					return err
				}
				member = tx.Check(user, group)
				return nil
			})
			if err != nil {
				return err
			}
			answer := "no"
			if member {
				answer = "yes"
			}
			if err := p.answer(answer, object("user", args[0], "group", args[1], "member", member)); err != nil || member {
				return err
			}
			return errNo
		},
	}
}

func (p *program) groupsCommand() *cobra.Command {
	var direct bool
	cmd := &cobra.Command{
		Use:               "groups USER",
		Short:             "List the groups of a user by name, one a line",
		Example:           example("roster groups alice", "roster groups alice --direct"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.complete(userNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			if direct {
				return p.listGroups(cmd, args[0], (*roster.Txn).DirectGroups)
			}
			return p.listGroups(cmd, args[0], (*roster.Txn).Groups)
		},
	}
	cmd.Flags().BoolVar(&direct, "direct", false, "only groups that list the user itself")
	return cmd
}

// listGroups prints groups of a user.
func (p *program) listGroups(cmd *cobra.Command, ref string, of func(*roster.Txn, roster.UserID) ([]roster.GroupID, error)) error {
	return p.read(cmd.Context(), func(tx *roster.Txn) error {
		user, err := tx.FindUser(ref)
		if err != nil {
			return err
		}
		groups, err := of(tx, user)
		if err != nil {
			return err
		}
		out := bufio.NewWriter(p.stdout)
		for _, id := range groups {
			if err := p.writeGroup(out, tx, id); err != nil {
				return err
			}
		}
		return out.Flush()
	})
}

// writeUser writes the line of one user. Home is what directories returned.
func (p *program) writeUser(out *bufio.Writer, tx *roster.Txn, id roster.UserID, home func(roster.UserID) roster.DirectoryID) (err error) {
	if p.json {
		_, err = out.Write(userName(home(id), tx.Username(id)))
	} else {
		_, err = fmt.Fprintln(out, tx.Username(id))
	}
	return err
}

// writeGroup writes the line of one group.
func (p *program) writeGroup(out *bufio.Writer, tx *roster.Txn, id roster.GroupID) error {
	if !p.json {
		_, err := fmt.Fprintln(out, tx.GroupName(id))
		return err
	}
	g, err := tx.Group(id)
	if err != nil {
		return err
	}
	_, err = out.Write(groupName(g.Directory, g.Name))
	return err
}

var errNegativeLimit = errors.New("--limit must not be negative")

// memberList is the members command with its flags.
type memberList struct {
	*program
	direct, count bool
	limit         int
	after         string
}

func (p *program) membersCommand() *cobra.Command {
	m := &memberList{program: p}
	cmd := &cobra.Command{
		Use:   "members EXPR",
		Short: "List the users of a set expression by name, one a line",
		Long: `List the users of a set expression by name, one a line.

An expression is made of names of groups, & (in both), | (in either), ! (not in)
and parentheses; & binds tighter than |. A name with spaces is quoted. Beside
names there are

  group:GROUP  direct:GROUP        members of a group (called "all", say), and direct ones
  admins:GROUP                     its administrators
  org:ID  owners:ID  role:ORG/ID   members and owners of an organisation, holders of a role
  directory:D  user:NAME           users of a directory, one user
  administered:USER                members of the groups that a user administers
  assignable:USER                  users that it may make members of them
  active  all  none

When --limit cuts the list, standard error says how to continue it.`,
		Example: example(
			"roster members sales",
			"roster members 'sales & !inside-sales'",
			"roster members 'org:acme & !owners:acme'",
			"roster members all --limit 100",
			"roster members --count 'sales & active'",
		),
		ValidArgsFunction: p.completeExpr,
		Args:              cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if m.limit < 0 {
				return errNegativeLimit
			}
			if err := roster.Cursor(m.after).Validate(); m.after != "" && err != nil {
				return fmt.Errorf("--after %q is not what an earlier list gave to continue with", m.after)
			}
			return p.read(cmd.Context(), func(tx *roster.Txn) error {
				set, err := m.set(tx, args[0])
				if err != nil {
					return err
				}
				if m.count {
					return p.answer(fmt.Sprint(set.Len()), object("count", uint64(set.Len())))
				}
				return m.list(cmd, tx, set)
			})
		},
	}
	cmd.Flags().BoolVar(&m.direct, "direct", false, "EXPR is one group: only users that it lists itself")
	cmd.Flags().BoolVar(&m.count, "count", false, "print how many there are instead")
	cmd.Flags().IntVar(&m.limit, "limit", 0, "at most `N` users; 0 means all")
	cmd.Flags().StringVar(&m.after, "after", "", "continue behind the `CURSOR` that an earlier list gave")
	return cmd
}

// set returns the users that were asked for.
func (m *memberList) set(tx *roster.Txn, text string) (roster.Set, error) {
	if m.direct {
		group, err := tx.FindGroup(text)
		if errors.Is(err, roster.ErrNotFound) {
			return roster.Set{}, fmt.Errorf("--direct takes the name of one group (in an expression write direct:NAME): %w", err)
		}
		if err != nil {
			return roster.Set{}, err
		}
		return tx.DirectMembers(group)
	}
	x, err := roster.ParseExpr(text)
	if err != nil {
		return roster.Set{}, err
	}
	return tx.Eval(x)
}

func (m *memberList) list(cmd *cobra.Command, tx *roster.Txn, set roster.Set) error {
	out := bufio.NewWriter(m.stdout)
	home := directories(tx)
	var last roster.UserID
	n, more := 0, false
	for id := range set.ByName(roster.Cursor(m.after)) {
		if more = m.limit > 0 && n == m.limit; more {
			break
		}
		if n&0xfff == 0 && cmd.Context().Err() != nil {
			return cmd.Context().Err()
		}
		if err := m.writeUser(out, tx, id, home); err != nil {
			return err
		}
		last = id
		n++
	}
	cursor := string(set.CursorAfter(last))
	if more && m.json {
		if _, err := out.Write(object("more", cursor)); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if more {
		fmt.Fprintf(m.stderr, "more: --after %s\n", cursor)
	}
	return nil
}

// directories returns the directory of a user from memory.
func directories(tx *roster.Txn) func(roster.UserID) roster.DirectoryID {
	all := tx.Directories()
	sets := make([]roster.Set, len(all))
	for i, d := range all {
		sets[i], _ = tx.DirectoryUsers(d.ID) // d exists in this view
	}
	return func(id roster.UserID) roster.DirectoryID {
		for i, set := range sets {
			if set.Contains(id) {
				return all[i].ID
			}
		}
		return 0
	}
}
