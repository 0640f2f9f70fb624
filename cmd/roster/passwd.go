package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

func (p *program) passwdCommand() *cobra.Command {
	var privileges []string
	var keep, remove bool
	cmd := &cobra.Command{
		Use:   "passwd USER",
		Short: "Set a user's password, read from standard input",
		Long: `Set a user's password, read from standard input: one line, which is not shown while
it is typed. Only a hash of it is kept. Whoever is logged in by a token has to log in
again. A privilege lets the user do what APIs ask it for; '*' is all of them.`,
		Example: example(
			"printf 'correct horse battery' | roster passwd alice",
			"roster passwd alice --keep --privilege 'Security and infrastructure'",
			"printf 'x' | roster passwd bob && roster passwd bob --remove",
		),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.complete(userNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			if remove && (keep || len(privileges) > 0) {
				return errors.New("--remove takes the account away: leave the other flags out")
			}
			if remove {
				return p.removeAccount(cmd, args[0])
			}
			var password string
			var err error
			if !keep {
				if password, err = p.readPassword(args[0]); err != nil {
					return err
				}
			}
			return p.passwd(cmd, args[0], password, privileges)
		},
	}
	cmd.Flags().StringArrayVar(&privileges, "privilege", nil, "`NAME`, repeated for several; replaces the privileges of the user, an empty one takes them away")
	cmd.Flags().BoolVar(&keep, "keep", false, "keep the password that there is; standard input is not read")
	cmd.Flags().BoolVar(&remove, "remove", false, "take the password and the privileges away")
	completeWords(cmd, "privilege", access.AllPrivileges, access.PrivilegeSecurity, access.PrivilegeGroupLinks)
	return cmd
}

// readPassword reads one line. A line end at its end is not part of it.
func (p *program) readPassword(user string) (string, error) {
	var text []byte
	var err error
	if f, ok := p.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(p.stderr, "new password of %s: ", oneLine(user))
		text, err = term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(p.stderr)
	} else {
		text, err = io.ReadAll(io.LimitReader(p.stdin, access.MaxPassword+3))
	}
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	switch {
	case len(text) == 0:
		return "", errors.New("there is no password on standard input: pipe it in, or type it")
	case bytes.ContainsAny(text, "\r\n"):
		return "", errors.New("a password is one line, and standard input holds several")
	case len(text) > access.MaxPassword:
		return "", fmt.Errorf("a password is at most %d bytes long", access.MaxPassword)
	}
	return string(text), nil
}

// passwd sets a password, "" keeping the one there is, and the privileges if any
// are given.
func (p *program) passwd(cmd *cobra.Command, ref, password string, privileges []string) error {
	return p.open(cmd.Context(), roster.Options{}, func(e *roster.Engine) error {
		s, err := access.New(e, access.Options{})
		if err != nil {
			return err
		}
		var u roster.UserID
		if err := e.View(cmd.Context(), func(tx *roster.Txn) error { u, err = tx.FindUser(ref); return err }); err != nil {
			return err
		}
		var hash access.Hash
		if password != "" {
			if hash, err = s.Hasher().Hash(cmd.Context(), password); err != nil {
				return err
			}
		}
		changed := false
		revision, err := e.Update(cmd.Context(), func(tx *roster.Txn) (err error) {
			changed, err = putAccount(tx, u, hash, cmd.Flags().Changed("privilege"), given(privileges))
			return err
		})
		if err != nil {
			return err
		}
		what := "set the password of "
		switch {
		case !changed:
			what = "unchanged "
		case password == "":
			what = "set the privileges of "
		}
		return p.answer(what+ref, object("changed", changed, "revision", uint64(revision)))
	})
}

// putAccount changes what is given of a user's account.
func putAccount(tx *roster.Txn, u roster.UserID, hash access.Hash, change bool, privileges []string) (bool, error) {
	a, err := access.GetAccount(tx, u)
	if err != nil && !errors.Is(err, roster.ErrNotFound) {
		return false, err
	}
	if err != nil && hash.IsZero() && !change {
		return false, err // nothing to keep
	}
	a.User = u
	if !hash.IsZero() {
		a.Password = hash
	}
	if change {
		a.Privileges = privileges
	}
	return access.PutAccount(tx, a, now())
}

func (p *program) removeAccount(cmd *cobra.Command, ref string) error {
	return p.remove(cmd, "the account of "+ref, func(tx *roster.Txn) error {
		u, err := tx.FindUser(ref)
		if err != nil {
			return err
		}
		return access.DeleteAccount(tx, u, now())
	})
}
