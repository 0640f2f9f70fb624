// Command roster keeps users, groups and who belongs to what, and answers
// questions about them. `roster --help` lists what it does, `roster demo` shows
// the main of it in a few seconds.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rosterdb/roster"
)

// Exit codes. A script may rely on them.
const (
	exitDone  = 0
	exitNo    = 1 // check said no, or verify found damage
	exitError = 2
)

func main() { os.Exit(start()) }

// start runs the program with the arguments and streams of the process.
func start() int {
	// A defect must not pour stacks over the terminal of whoever met it. Panics
	// of this goroutine become an error line below; of others, the first line.
	debug.SetTraceback("none")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// After the first signal the next one ends the process at once.
	context.AfterFunc(ctx, stop)
	return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// program is what all commands share.
type program struct {
	data   string // the data folder
	json   bool
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

// errNo ends the program with exitNo and without a message: the answer is on
// stdout.
var errNo = errors.New("no")

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	p := &program{stdin: stdin, stdout: stdout, stderr: stderr}
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(stderr, "roster: internal error: %s: please report it\n", oneLine(fmt.Sprint(r)))
			code = exitError
		}
	}()
	root := p.command()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	switch err := root.ExecuteContext(ctx); {
	case err == nil:
		return exitDone
	case errors.Is(err, errNo):
		return exitNo
	default:
		fmt.Fprintf(stderr, "roster: %s\n", oneLine(p.advise(err)))
		return exitError
	}
}

// oneLine keeps an error on one line, whatever names it quotes.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
}

// command returns the tree of commands.
func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:           "roster",
		Short:         "Users, groups and who belongs to what",
		Long:          "roster keeps users, groups and memberships in a folder and answers questions about them.\nStart with `roster demo`.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	folder := os.Getenv("ROSTER_DATA")
	if folder == "" {
		folder = "./roster-data"
	}
	root.PersistentFlags().StringVar(&p.data, "data", folder, "`DIR` of the data (or set ROSTER_DATA)")
	root.PersistentFlags().BoolVar(&p.json, "json", false, "answer in JSON: one object, or one a line")
	root.AddCommand(
		p.demoCommand(), p.importCommand(), p.exportCommand(),
		p.checkCommand(), p.groupsCommand(), p.membersCommand(),
		p.addCommand(), p.removeCommand(), p.userCommand(), p.groupCommand(),
		p.changesCommand(), p.verifyCommand(), p.backupCommand(), p.restoreCommand(), p.statsCommand(),
	)
	return root
}

// read opens the data read-only, calls fn with a view of it, and closes it.
func (p *program) read(ctx context.Context, fn func(tx *roster.Txn) error) error {
	return p.open(roster.Options{ReadOnly: true}, func(e *roster.Engine) error {
		return e.View(ctx, fn)
	})
}

// open opens the data, calls fn and closes it.
func (p *program) open(o roster.Options, fn func(e *roster.Engine) error) error {
	e, err := roster.Open(p.data, o)
	if err != nil {
		return &openError{err}
	}
	err = fn(e)
	return errors.Join(err, e.Close())
}

// openError is an error of opening the data, as against one of using it.
type openError struct{ err error }

func (e *openError) Error() string { return e.err.Error() }
func (e *openError) Unwrap() error { return e.err }
