package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/rosterdb/roster"
)

func (p *program) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "verify",
		Short:   "Read every byte of the data and check it (exit code 1 if it is damaged)",
		Example: example("roster verify"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			start := time.Now()
			err := p.open(cmd.Context(), roster.Options{ReadOnly: true}, func(e *roster.Engine) error {
				err := e.Verify(cmd.Context(), func(step string) {
					if !p.json {
						fmt.Fprintln(p.stdout, step)
					}
				})
				if err != nil {
					return err
				}
				return p.answer("ok: everything is as it was written, up to revision "+e.Revision().String(),
					object("ok", true, "revision", uint64(e.Revision()), "seconds", time.Since(start).Seconds()))
			})
			if !errors.Is(err, roster.ErrCorrupt) {
				return err
			}
			fmt.Fprintf(p.stderr, "roster: %s\n", oneLine(p.advise(err)))
			if p.json {
				if _, err := p.stdout.Write(object("ok", false, "problem", oneLine(plain(err)))); err != nil {
					return err
				}
			}
			return errNo
		},
	}
}

func (p *program) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "backup FILE",
		Short:             "Write a backup; - is standard output",
		Example:           example("roster backup monday.backup", "roster backup - | gzip > monday.backup.gz"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: files,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.open(cmd.Context(), roster.Options{ReadOnly: true}, func(e *roster.Engine) error {
				var revision roster.Revision
				write := func(w io.Writer) (err error) {
					revision, err = e.Backup(cmd.Context(), w)
					return err
				}
				if args[0] == "-" {
					return write(p.stdout)
				}
				if err := writeFile(args[0], write); err != nil {
					return err
				}
				return p.answer(fmt.Sprintf("wrote revision %s to %s", revision, args[0]), object("revision", uint64(revision)))
			})
		},
	}
}

func (p *program) restoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "restore FILE",
		Short:             "Make the data of a backup, in a folder that is missing or empty; - is standard input",
		Example:           example("roster backup monday.backup && roster --data restored restore monday.backup"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: files,
		RunE: func(cmd *cobra.Command, args []string) error {
			in := p.stdin
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			if !vacant(p.data) {
				return fmt.Errorf("%s is not empty: name a new folder with --data", p.data)
			}
			if err := roster.Restore(cmd.Context(), p.data, bufio.NewReaderSize(in, 1<<20), roster.Options{}); err != nil {
				if errors.Is(err, roster.ErrCorrupt) {
					return fmt.Errorf("%s is not a whole backup: %s", args[0], plain(err))
				}
				return err
			}
			return p.open(cmd.Context(), roster.Options{ReadOnly: true}, func(e *roster.Engine) error {
				return p.answer(fmt.Sprintf("restored revision %s into %s", e.Revision(), p.data), object("revision", uint64(e.Revision())))
			})
		},
	}
}

func (p *program) statsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "stats",
		Short:   "Print sizes and revisions",
		Example: example("roster stats", "roster stats --json"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.open(cmd.Context(), roster.Options{ReadOnly: true}, func(e *roster.Engine) error {
				s := e.Stats()
				if p.json {
					_, err := p.stdout.Write(object(
						"revision", uint64(s.Revision), "folded", uint64(s.Folded), "oldest", uint64(s.Oldest),
						"directories", uint64(s.Directories), "users", uint64(s.Users), "activeUsers", uint64(s.ActiveUsers),
						"groups", uint64(s.Groups), "memberships", uint64(s.Memberships), "nestings", uint64(s.Nestings),
						"nestingPairs", uint64(s.NestingPairs), "organizations", uint64(s.Organizations), "roles", uint64(s.Roles),
						"orgMemberships", uint64(s.OrgMemberships), "administrators", uint64(s.Administrators), "data", uint64(s.Data),
						"journalBytes", uint64(s.JournalBytes), "diskBytes", uint64(s.DiskBytes), "searchBytes", uint64(s.SearchBytes)))
					return err
				}
				out := sheet{}
				out.row("directories", count(s.Directories))
				out.row("users", fmt.Sprintf("%s, %s of them active", count(s.Users), count(s.ActiveUsers)))
				out.row("groups", count(s.Groups))
				out.row("memberships", fmt.Sprintf("%s of users, %s of groups", count(s.Memberships), count(s.Nestings)))
				out.row("nesting", count(s.NestingPairs)+" pairs of a group and one above it")
				if s.Administrators > 0 {
					out.row("administrators", count(s.Administrators)+" of groups, users and groups")
				}
				if s.Organizations > 0 {
					out.row("organisations", fmt.Sprintf("%s with %s and %s", count(s.Organizations),
						plural(s.Roles, "role"), plural(s.OrgMemberships, "membership")))
				}
				if s.Data > 0 {
					out.row("data", plural(s.Data, "value")+" of programs")
				}
				out.row("revision", fmt.Sprintf("%d, folded up to %d, log kept from %d", s.Revision, s.Folded, s.Oldest))
				out.row("disk", humanize.IBytes(uint64(s.DiskBytes)))
				out.row("log", humanize.IBytes(uint64(s.JournalBytes))+" not yet folded")
				return out.print(p.stdout)
			})
		},
	}
}

// count writes a number with separators.
func count(n int) string { return humanize.Comma(int64(n)) }

// plural writes a number of things.
func plural(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return count(n) + " " + thing
}
