package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rosterdb/roster"
)

// noun returns the command that holds the verbs of one kind of record. Its
// example is the first of each verb.
func noun(name, short string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs, RunE: needsVerb}
	var lines []string
	for _, v := range verbs {
		first, _, _ := strings.Cut(v.Example, "\n")
		lines = append(lines, strings.TrimSpace(first))
	}
	cmd.Example = example(lines...)
	cmd.AddCommand(verbs...)
	return cmd
}

func needsVerb(cmd *cobra.Command, _ []string) error {
	var verbs []string
	for _, v := range cmd.Commands() {
		verbs = append(verbs, v.Name())
	}
	last := len(verbs) - 1
	return fmt.Errorf("%s needs one of %s and %s (%s --help)", cmd.Name(), strings.Join(verbs[:last], ", "), verbs[last], cmd.CommandPath())
}

// example returns lines as the help shows them. Each of them is run by a test,
// on the data that the example of the program itself makes.
func example(lines ...string) string { return "  " + strings.Join(lines, "\n  ") }

// putFlags are the fields that can be given on the command line. Only those
// that are given change.
type putFlags struct {
	cmd         *cobra.Command
	directory   string
	number      uint64
	uid         string
	description string
}

func (f *putFlags) register(p *program, cmd *cobra.Command) {
	f.cmd = cmd
	defer p.completeFlag(cmd, "directory", directoryNames)
	cmd.Flags().StringVar(&f.directory, "directory", "", "name or number of the `DIRECTORY` of a new record (default: the only one, or \"default\")")
	cmd.Flags().Uint64Var(&f.number, "number", 0, "the `id` in APIs that speak integers")
	cmd.Flags().StringVar(&f.uid, "uid", "", "the `id` in APIs that speak strings")
	cmd.Flags().StringVar(&f.description, "description", "", "`text`")
}

// set gives *to a value if its flag was given.
func set[T any](f *putFlags, flag string, to *T, value T) {
	if f.cmd.Flags().Changed(flag) {
		*to = value
	}
}

// finder looks a user or group up, by reference and by name in a directory.
type finder struct {
	byRef  func(tx *roster.Txn, ref string) (uint32, error)
	byName func(tx *roster.Txn, d roster.DirectoryID, name string) (uint32, bool)
}

var findUserID = finder{
	byRef: func(tx *roster.Txn, ref string) (uint32, error) { id, err := tx.FindUser(ref); return uint32(id), err },
	byName: func(tx *roster.Txn, d roster.DirectoryID, name string) (uint32, bool) {
		id, ok := tx.UserByName(d, name)
		return uint32(id), ok
	},
}

var findGroupID = finder{
	byRef: func(tx *roster.Txn, ref string) (uint32, error) { id, err := tx.FindGroup(ref); return uint32(id), err },
	byName: func(tx *roster.Txn, d roster.DirectoryID, name string) (uint32, bool) {
		id, ok := tx.GroupByName(d, name)
		return uint32(id), ok
	},
}

// find returns the record that a put means, nil for one to be created, and the
// name and directory of that. With --directory the argument is a name there,
// otherwise a reference, and a name if nothing has it.
func (f *putFlags) find(tx *roster.Txn, ref string, find finder) (id *uint32, name string, d roster.DirectoryID, err error) {
	if f.directory != "" {
		if d, err = findDirectory(tx, f.directory); err != nil {
			return nil, "", 0, err
		}
		if found, ok := find.byName(tx, d, ref); ok {
			return &found, ref, d, nil
		}
		return nil, ref, d, nil
	}
	found, err := find.byRef(tx, ref)
	switch {
	case err == nil:
		return &found, ref, 0, nil
	case !errors.Is(err, roster.ErrNotFound):
		return nil, "", 0, err
	case strings.HasPrefix(ref, "#"):
		return nil, "", 0, err
	}
	d, err = defaultDirectory(tx)
	return nil, ref, d, err
}

// findDirectory finds a directory by name or number, or creates it by name.
func findDirectory(tx *roster.Txn, ref string) (roster.DirectoryID, error) {
	if d, err := tx.DirectoryByName(ref); err == nil {
		return d.ID, nil
	}
	if n, err := strconv.ParseUint(ref, 10, 32); err == nil {
		d, err := tx.Directory(roster.DirectoryID(n))
		return d.ID, err
	}
	return newDirectory(tx, ref)
}

// defaultDirectory is the only directory, or else the one called default.
func defaultDirectory(tx *roster.Txn) (roster.DirectoryID, error) {
	all := tx.Directories()
	if len(all) == 1 {
		return all[0].ID, nil
	}
	if d, err := tx.DirectoryByName("default"); err == nil {
		return d.ID, nil
	}
	if len(all) > 0 {
		return 0, fmt.Errorf("there are %d directories: say in which to create it with --directory", len(all))
	}
	return newDirectory(tx, "default")
}

// newDirectory creates a directory under the lowest free number from 1 on.
func newDirectory(tx *roster.Txn, name string) (roster.DirectoryID, error) {
	id := roster.DirectoryID(1)
	for _, d := range tx.Directories() {
		if d.ID == id {
			id++
		}
	}
	_, err := tx.PutDirectory(roster.Directory{ID: id, Name: name})
	return id, err
}

// put runs an Update that creates or changes a record, and says what it did.
func (p *program) put(cmd *cobra.Command, name string, fn func(tx *roster.Txn) (created, changed bool, err error)) error {
	return p.open(cmd.Context(), roster.Options{}, func(e *roster.Engine) error {
		var created, changed bool
		revision, err := e.Update(cmd.Context(), func(tx *roster.Txn) (err error) {
			created, changed, err = fn(tx)
			return err
		})
		if err != nil {
			return err
		}
		what := "unchanged"
		switch {
		case created:
			what = "created"
		case changed:
			what = "changed"
		}
		return p.answer(what+" "+name, object("created", created, "changed", changed, "revision", uint64(revision)))
	})
}

// rmCommand returns the command that removes a record named by one argument.
func (p *program) rmCommand(what, example string, names names, remove func(tx *roster.Txn, ref string) error) *cobra.Command {
	return &cobra.Command{
		Use:               "rm NAME",
		Short:             "Remove a " + what + " with its memberships",
		Example:           example,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.complete(names),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.remove(cmd, args[0], func(tx *roster.Txn) error { return remove(tx, args[0]) })
		},
	}
}

// remove runs an Update that removes a record, and says so.
func (p *program) remove(cmd *cobra.Command, name string, fn func(tx *roster.Txn) error) error {
	return p.open(cmd.Context(), roster.Options{}, func(e *roster.Engine) error {
		revision, err := e.Update(cmd.Context(), fn)
		if err != nil {
			return err
		}
		return p.answer("removed "+name, object("removed", true, "revision", uint64(revision)))
	})
}

// given returns the values of a flag that may be repeated, without empty ones:
// one that is empty is how to say none.
func given(values []string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
}

func directoryName(tx *roster.Txn, id roster.DirectoryID) string {
	d, err := tx.Directory(id)
	if err != nil {
		return id.String()
	}
	return fmt.Sprintf("%s (%d)", d.Name, d.ID)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (s *sheet) times(created, updated time.Time) {
	s.row("created", created.UTC().Format(time.RFC3339))
	s.row("updated", updated.UTC().Format(time.RFC3339))
}
