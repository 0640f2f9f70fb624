package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/directory"
	"github.com/rosterdb/roster/exchange"
	"github.com/rosterdb/roster/internal/text"
)

const sourceLong = `Identity sources: users and groups from an LDAP server, or from LDIF, CSV or JSON-lines
files. A source feeds one directory; its groups are enterprise groups. What was made
by hand stays: members of other groups, and users that the source never had.`

func (p *program) sourceCommand() *cobra.Command {
	cmd := noun("source", "Users and groups from LDAP servers and files",
		p.sourceAddCommand(), p.sourceListCommand(), p.sourceTestCommand(), p.sourceRemoveCommand(), p.sourceSyncCommand())
	cmd.Long = sourceLong
	return cmd
}

func (p *program) sourceAddCommand() *cobra.Command {
	return noun("add", "Store where users and groups come from", p.sourceAddLDAPCommand(), p.sourceAddFileCommand())
}

// registerSource adds the flags of every kind of source.
func registerSource(cmd *cobra.Command, c *sourceConfig) {
	cmd.Flags().StringVar(&c.Name, "name", "", "`NAME` of the source")
	cmd.Flags().StringVar(&c.Directory, "directory", "", "`NAME` of the directory that it feeds (default: the source's)")
	cmd.Flags().StringVar(&c.Vanished, "vanished", "deactivate", "what becomes of users that it has no more: deactivate or delete")
	cmd.Flags().StringVar(&c.VanishedGroups, "vanished-groups", "deactivate", "what becomes of groups that it has no more: deactivate leaves them, without the source's members, or delete")
	cmd.Flags().Float64Var(&c.MaxRemoved, "max-removed", 0, "refuse a sync that removes more than this `SHARE` of users or memberships (default 0.25)")
	cmd.Flags().StringArrayVar(&c.Attributes, "attribute", nil, "attribute to keep with users; may be given more than once")
	completeWords(cmd, "vanished", "deactivate", "delete")
	completeWords(cmd, "vanished-groups", "deactivate", "delete")
	_ = cmd.MarkFlagRequired("name") // fails only for a flag that does not exist
}

func (p *program) sourceAddLDAPCommand() *cobra.Command {
	c := sourceConfig{Kind: "ldap", LDAP: &ldapSource{}}
	l := c.LDAP
	cmd := &cobra.Command{
		Use:   "ldap --name N --url URL --base DN",
		Short: "An LDAP server",
		Long: `An LDAP server.

Connections are encrypted (ldaps, or StartTLS on ldap) and the certificate is checked,
except for ldap to this machine. The password is read from its file or environment
variable when it is needed and stored nowhere.`,
		Example: example(
			"roster source add ldap --name corp --url ldaps://ldap.corp.example --base dc=corp,dc=example",
			"roster source add ldap --name ad --schema ad --url ldaps://dc1.corp.example --base DC=corp,DC=example --bind-dn CN=reader,DC=corp,DC=example --password-file ldap-password",
		),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.addSource(cmd.Context(), &c) },
	}
	registerSource(cmd, &c)
	f := cmd.Flags()
	f.StringArrayVar(&l.URLs, "url", nil, "`URL` of the server; given again, of one to try where that cannot be reached")
	f.StringVar(&l.Base, "base", "", "`DN` below what users and groups are")
	f.StringVar(&l.UserBase, "user-base", "", "`DN` below what users are (default: the base)")
	f.StringVar(&l.GroupBase, "group-base", "", "`DN` below what groups are (default: the base)")
	f.StringVar(&l.BindDN, "bind-dn", "", "`DN` to log in as")
	f.StringVar(&l.PasswordFile, "password-file", "", "`FILE` whose first line is the password")
	f.StringVar(&l.PasswordEnv, "password-env", "", "environment `VARIABLE` that holds the password")
	f.StringVar(&l.Schema, "schema", "openldap", "openldap, rfc2307 or ad")
	f.StringVar(&l.UserFilter, "user-filter", "", "LDAP `FILTER` of users, in place of the schema's")
	f.StringVar(&l.GroupFilter, "group-filter", "", "LDAP `FILTER` of groups, in place of the schema's")
	f.StringVar(&l.TLSCA, "tls-ca", "", "`FILE` of certificates to trust, in place of the system's")
	f.BoolVar(&l.StartTLS, "start-tls", false, "encrypt ldap to this machine too")
	f.BoolVar(&l.Plain, "plain", false, "send everything in the clear over ldap")
	f.BoolVar(&l.IgnoreReferrals, "ignore-referrals", false, "take what the server itself has for all there is")
	completeWords(cmd, "schema", "openldap", "rfc2307", "ad")
	for _, name := range []string{"url", "base"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}

func (p *program) sourceAddFileCommand() *cobra.Command {
	c := sourceConfig{Kind: "file", File: &fileSource{}}
	cmd := &cobra.Command{
		Use:   "file --name N FILE...",
		Short: "LDIF, CSV or JSON-lines files, all of one format",
		Example: example(
			"roster export --format csv people.csv && roster source add file --name hr people.csv",
		),
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: files,
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := exchange.ParseFormat(c.File.Format); err != nil {
				return err
			}
			c.File.Paths = nil
			for _, name := range args {
				path, err := absolute(name)
				if err != nil {
					return err
				}
				c.File.Paths = append(c.File.Paths, path)
				p.warnFile("file", path, false)
			}
			return p.addSource(cmd.Context(), &c)
		},
	}
	registerSource(cmd, &c)
	cmd.Flags().StringVar(&c.File.Format, "format", "auto", "auto, ldif, csv or jsonl")
	completeWords(cmd, "format", "auto", "ldif", "csv", "jsonl")
	return cmd
}

// absolute is the path of a file from wherever the source is read later.
func absolute(name string) (string, error) {
	if name == "" || name == "-" {
		return "", errors.New("a source is read again and again: name a file")
	}
	return filepath.Abs(name)
}

// warnFile tells of a file that is not there, and of a secret one that others can
// read.
func (p *program) warnFile(what, path string, secret bool) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		fmt.Fprintf(p.stderr, "warning: the %s %s cannot be read now\n", what, path)
	case secret && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		fmt.Fprintf(p.stderr, "warning: others can read the %s %s: chmod 600\n", what, path)
	}
}

// addSource checks a configuration and stores it. It connects to nothing.
func (p *program) addSource(ctx context.Context, c *sourceConfig) error {
	if err := text.ValidName(c.Name); err != nil || len(c.Name) > maxSourceName {
		return fmt.Errorf("the name of a source must be 1 to %d bytes of printable text", maxSourceName)
	}
	if c.Directory == "" {
		c.Directory = c.Name
	}
	if l := c.LDAP; l != nil {
		for what, path := range map[string]*string{"password file": &l.PasswordFile, "file of certificates": &l.TLSCA} {
			if *path == "" {
				continue
			}
			abs, err := absolute(*path)
			if err != nil {
				return err
			}
			*path = abs
			p.warnFile(what, abs, path == &l.PasswordFile)
		}
	}
	if _, err := c.options(); err != nil {
		return err
	}
	src, err := c.open()
	if err != nil {
		return err
	}
	defer closeSource(src) // nothing was opened
	return p.open(ctx, roster.Options{}, func(e *roster.Engine) error {
		_, err := e.Update(ctx, func(tx *roster.Txn) error { return addSource(tx, c) })
		return err
	})
}

func (p *program) sourceListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the sources, and their last changes",
		Example: example("roster source list", "roster source list --json"),
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.read(cmd.Context(), p.listSources) },
	}
}

func (p *program) listSources(tx *roster.Txn) error {
	t := newTable(p.stdout, "NAME", "KIND", "DIRECTORY", "READS", "LAST CHANGE")
	for name := range eachSource(tx) {
		c, err := findSource(tx, name)
		if err != nil {
			return err
		}
		last, err := directory.Last(tx, c.Directory)
		if err != nil && !errors.Is(err, roster.ErrNotFound) {
			return err
		}
		if p.json {
			line, err := json.Marshal(struct {
				sourceConfig
				Last *directory.LastRun `json:"last,omitempty"`
			}{c, lastOrNil(last)})
			if err != nil {
				return err
			}
			if _, err := p.stdout.Write(append(line, '\n')); err != nil {
				return err
			}
			continue
		}
		when := "never"
		if !last.Time.IsZero() {
			when = last.Time.Local().Format("2006-01-02 15:04:05")
			if last.Actor != "" {
				when += " by " + last.Actor
			}
		}
		t.row(c.Name, c.Kind, c.Directory, c.where(), when)
	}
	return t.print()
}

func lastOrNil(last directory.LastRun) *directory.LastRun {
	if last.Time.IsZero() {
		return nil
	}
	return &last
}

func (p *program) sourceRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "remove NAME",
		Short:             "Forget a source; users and groups stay as they are",
		Example:           example("roster export --format csv people.csv && roster source add file --name hr people.csv && roster source remove hr"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.complete(sourceNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.open(cmd.Context(), roster.Options{}, func(e *roster.Engine) error {
				_, err := e.Update(cmd.Context(), func(tx *roster.Txn) error {
					if _, err := findSource(tx, args[0]); err != nil {
						return err
					}
					return tx.DeleteData(directory.DataSpace, configKey(args[0]))
				})
				return err
			})
		},
	}
}

func (p *program) sourceTestCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "test NAME",
		Short:             "Read all of a source, change nothing, and count what it has",
		Example:           example("roster export --format csv people.csv && roster source add file --name hr people.csv && roster source test hr"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.complete(sourceNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			var c sourceConfig
			err := p.read(cmd.Context(), func(tx *roster.Txn) (err error) {
				c, err = findSource(tx, args[0])
				return err
			})
			if err != nil {
				return err
			}
			src, err := c.open()
			if err != nil {
				return err
			}
			defer closeSource(src) // only read from
			return p.testSource(cmd.Context(), src)
		},
	}
}

func (p *program) testSource(ctx context.Context, src directory.Source) error {
	users, groups, members := uint64(0), uint64(0), uint64(0)
	for _, err := range src.Users(ctx) {
		if err := p.entryWarning(err); err != nil {
			return err
		}
		users++
	}
	for g, err := range src.Groups(ctx) {
		if err := p.entryWarning(err); err != nil {
			return err
		}
		groups++
		if g.Members == nil {
			continue
		}
		for _, err := range g.Members {
			if err != nil {
				return err
			}
			members++
		}
	}
	if users == 0 {
		fmt.Fprintln(p.stderr, "warning: it has no users: is the base right, and the filter?")
	}
	return p.answer(fmt.Sprintf("ok: %d users, %d groups, %d members", users, groups, members),
		object("users", users, "groups", groups, "memberships", members))
}

// entryWarning tells of an entry that is of no use, and returns any other error.
func (p *program) entryWarning(err error) error {
	if err == nil || !errors.Is(err, directory.ErrEntry) {
		return err
	}
	fmt.Fprintf(p.stderr, "warning: %s\n", oneLine(plain(err)))
	return nil
}
