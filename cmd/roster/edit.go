package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rosterdb/roster"
)

func (p *program) addCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "add GROUP MEMBER...",
		Short: "Make users, or groups written group:NAME, members of a group",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.edit(cmd, args, (*roster.Txn).Add, (*roster.Txn).Nest)
		},
	}
}

func (p *program) removeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove GROUP MEMBER...",
		Short: "Take users, or groups written group:NAME, out of a group",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.edit(cmd, args, (*roster.Txn).Remove, (*roster.Txn).Unnest)
		},
	}
}

// edit changes the members of a group in one Update and prints how many
// memberships that changed.
func (p *program) edit(cmd *cobra.Command, args []string,
	users func(*roster.Txn, roster.GroupID, ...roster.UserID) (int, error),
	groups func(*roster.Txn, roster.GroupID, ...roster.GroupID) (int, error),
) error {
	return p.open(roster.Options{}, func(e *roster.Engine) error {
		changed := 0
		revision, err := e.Update(cmd.Context(), func(tx *roster.Txn) error {
			group, err := tx.FindGroup(args[0])
			if err != nil {
				return err
			}
			var u []roster.UserID
			var g []roster.GroupID
			for _, ref := range args[1:] {
				if name, ok := strings.CutPrefix(ref, "group:"); ok {
					id, err := tx.FindGroup(name)
					if err != nil {
						return err
					}
					g = append(g, id)
					continue
				}
				id, err := tx.FindUser(ref)
				if err != nil {
					return err
				}
				u = append(u, id)
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
