package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/exchange"
)

// importer is the import command with its flags.
type importer struct {
	*program
	format    string
	directory string
	strict    bool
	progress  *progress
}

func (p *program) importCommand() *cobra.Command {
	im := &importer{program: p}
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Add what LDIF, CSV or JSON-lines files hold; - is standard input",
		Long: `Add what LDIF, CSV or JSON-lines files hold; - is standard input.

A CSV has a row of names first: username and any of fullName, email, description,
active and groups (separated by ;), or group and member.

All of the input is checked before anything is changed. An import adds and
changes, and never removes; doing it twice changes nothing the second time. It
prints what the input held and the revision that has all of it.`,
		Example: example(
			"roster export all.jsonl && roster --data copy import all.jsonl",
			"printf 'username,fullName,groups\\ncarol,Carol Jones,sales\\n' | roster import --format csv -",
			"roster export --format ldif company.ldif && roster --data other import --directory company company.ldif",
		),
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: files,
		RunE:              func(cmd *cobra.Command, args []string) error { return im.run(cmd.Context(), args) },
	}
	cmd.Flags().StringVar(&im.format, "format", "auto", "auto, ldif, csv or jsonl")
	cmd.Flags().StringVar(&im.directory, "directory", "", "`NAME` of the directory that an LDIF or CSV goes to, created if need be (default \"default\")")
	completeWords(cmd, "format", "auto", "ldif", "csv", "jsonl")
	p.completeFlag(cmd, "directory", directoryNames)
	cmd.Flags().BoolVar(&im.strict, "strict", false, "a member that names nobody is an error")
	return cmd
}

func (im *importer) run(ctx context.Context, files []string) error {
	start := time.Now()
	format, err := exchange.ParseFormat(im.format)
	if err != nil {
		return err
	}
	inputs, size, done, err := im.inputs(files)
	if err != nil {
		return err
	}
	defer done()
	im.progress = im.newProgress(size)
	defer im.progress.finish()
	o := exchange.Options{
		Format: format, Directory: im.directory, Strict: im.strict, Progress: im.progress.show,
		Warn: func(text string) {
			im.progress.finish()
			fmt.Fprintf(im.stderr, "warning: %s\n", text)
		},
	}
	sum, err := im.store(ctx, o, inputs)
	if err != nil {
		return err
	}
	im.progress.finish()
	line := object(
		"users", uint64(sum.Users), "groups", uint64(sum.Groups), "memberships", uint64(sum.Memberships),
		"unresolved", uint64(sum.Unresolved), "revision", uint64(sum.Revision), "seconds", time.Since(start).Seconds())
	if sum.Admins+sum.Organizations+sum.Roles+sum.OrgMemberships > 0 {
		line = extend(line, "admins", uint64(sum.Admins), "organizations", uint64(sum.Organizations),
			"roles", uint64(sum.Roles), "orgMemberships", uint64(sum.OrgMemberships))
	}
	if sum.Accounts+sum.Keys > 0 {
		line = extend(line, "accounts", uint64(sum.Accounts), "apiKeys", uint64(sum.Keys))
	}
	_, err = im.stdout.Write(line)
	return err
}

// store reads the inputs and writes them. A folder that holds nothing yet is
// not made before the input is known to be good; one that does is opened first,
// so that whoever cannot have it is told at once.
func (im *importer) store(ctx context.Context, o exchange.Options, inputs []exchange.Input) (sum exchange.Summary, err error) {
	if !vacant(im.data) {
		err = im.open(ctx, roster.Options{}, func(e *roster.Engine) error {
			sum, err = exchange.Import(ctx, e, o, inputs...)
			return err
		})
		return sum, err
	}
	plan, err := exchange.Read(ctx, o, inputs...)
	if err != nil {
		return sum, err
	}
	defer plan.Close()
	if err := plan.Check(ctx); err != nil {
		return sum, err
	}
	if !plan.Small() {
		return plan.Build(ctx, im.data, roster.Options{})
	}
	err = im.open(ctx, roster.Options{}, func(e *roster.Engine) error {
		sum, err = plan.Apply(ctx, e)
		return err
	})
	return sum, err
}

// vacant reports whether a folder is missing or empty.
func vacant(dir string) bool {
	entries, err := os.ReadDir(dir)
	return errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0
}

// inputs opens the files. size is that of all, -1 if one is a pipe.
func (im *importer) inputs(files []string) (inputs []exchange.Input, size int64, done func(), err error) {
	var open []*os.File
	done = func() {
		for _, f := range open {
			f.Close() // only read from
		}
	}
	for _, name := range files {
		if name == "-" {
			inputs, size = append(inputs, exchange.Input{Name: "standard input", Reader: im.stdin}), -1
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			done()
			return nil, 0, nil, err
		}
		open = append(open, f)
		info, err := f.Stat()
		switch {
		case err != nil:
		case info.IsDir():
			err = fmt.Errorf("%s is a folder: name the files in it", name)
		case !info.Mode().IsRegular() || size < 0:
			size = -1
		default:
			size += info.Size()
		}
		if err != nil {
			done()
			return nil, 0, nil, err
		}
		inputs = append(inputs, exchange.Input{Name: name, Reader: f})
	}
	return inputs, size, done, nil
}

func (p *program) exportCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "export [FILE]",
		Short: "Write everything as JSON lines, or what an LDIF or a CSV can hold",
		Long: `Write everything as JSON lines, or what an LDIF or a CSV can hold, in an order that
is the same every time. What the format leaves out is said on standard error.`,
		Example: example(
			"roster export > all.jsonl",
			"roster export --format csv people.csv",
		),
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: files,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := exchange.ParseFormat(format)
			if err != nil {
				return err
			}
			g := p.newProgress(-1)
			if len(args) == 0 {
				g.out = nil // the export itself may be going to the terminal
			}
			defer g.finish()
			o := exchange.ExportOptions{Format: f, Progress: g.show, Warn: func(text string) {
				g.finish()
				fmt.Fprintf(p.stderr, "warning: %s\n", text)
			}}
			return p.open(cmd.Context(), roster.Options{ReadOnly: true}, func(e *roster.Engine) error {
				if len(args) == 0 || args[0] == "-" {
					return exchange.Export(cmd.Context(), e, p.stdout, o)
				}
				return writeFile(args[0], func(w io.Writer) error { return exchange.Export(cmd.Context(), e, w, o) })
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "jsonl", "jsonl, ldif or csv")
	completeWords(cmd, "format", "jsonl", "ldif", "csv")
	return cmd
}

// writeFile writes a file beside its place and then puts it there, on disk: a
// reader finds the old one or the whole new one. Something that is no regular
// file, a pipe say, is written to directly.
func writeFile(name string, write func(w io.Writer) error) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		if info.IsDir() {
			return fmt.Errorf("%s is a folder: name a file", name)
		}
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
