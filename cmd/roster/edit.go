package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rosterdb/roster"
)

func (p *program) addCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "add GROUP MEMBER...",
		Short:             "Make users, or groups written group:NAME, members of a group",
		Long:              "Make users, or groups written group:NAME, members of a group. It prints how many\nwere not; when it has, that is on disk.",
		Example:           example("roster add inside-sales alice bob", "roster add sales group:inside-sales    # its members are members of sales too"),
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: p.completeAll(memberNames, groupNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.edit(cmd, args, (*roster.Txn).Add, (*roster.Txn).Nest)
		},
	}
}

func (p *program) removeCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "remove GROUP MEMBER...",
		Short:             "Take users, or groups written group:NAME, out of a group",
		Long:              "Take users, or groups written group:NAME, out of a group. It prints how many were\nin it directly.",
		Example:           example("roster remove sales bob", "roster remove sales group:inside-sales"),
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: p.completeAll(memberNames, groupNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.edit(cmd, args, (*roster.Txn).Remove, (*roster.Txn).Unnest)
		},
	}
}

// edit changes the members or administrators of a group in one Update and prints
// how many that changed.
func (p *program) edit(cmd *cobra.Command, args []string,
	users func(*roster.Txn, roster.GroupID, ...roster.UserID) (int, error),
	groups func(*roster.Txn, roster.GroupID, ...roster.GroupID) (int, error),
) error {
	return p.open(cmd.Context(), roster.Options{}, func(e *roster.Engine) error {
		changed := 0
		revision, err := e.Update(cmd.Context(), func(tx *roster.Txn) error {
			group, err := tx.FindGroup(args[0])
			if err != nil {
				return err
			}
			u, g, err := findMembers(tx, args[1:])
			if err != nil {
				return err
			}
			n, err := users(tx, group, u...)
			if err != nil {
				return err
			}
			m, err := groups(tx, group, g...)
			changed = n + m
			return err
		})
		if err != nil {
			return err
		}
		return p.answer(fmt.Sprint(changed), object("changed", uint64(changed), "revision", uint64(revision)))
	})
}

// findMembers finds users, and groups that are written group:NAME.
func findMembers(tx *roster.Txn, refs []string) (users []roster.UserID, groups []roster.GroupID, err error) {
	for _, ref := range refs {
		if name, ok := strings.CutPrefix(ref, "group:"); ok {
			id, err := tx.FindGroup(name)
			if err != nil {
				return nil, nil, err
			}
			groups = append(groups, id)
			continue
		}
		id, err := tx.FindUser(ref)
		if err != nil {
			return nil, nil, err
		}
		users = append(users, id)
	}
	return users, groups, nil
}
