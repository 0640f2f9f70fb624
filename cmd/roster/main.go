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
	"time"

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
		Use:   "roster",
		Short: "Users, groups and who belongs to what",
		Long: `roster keeps users, groups, organisations and who belongs to what in a folder,
and answers questions about them. Start with ` + "`roster demo`" + `, or with the example
below; those of the commands go on from it.`,
		Example: example(
			"roster user put alice --full-name 'Alice Liddell'",
			"roster user put bob",
			"roster group put sales",
			"roster group put inside-sales",
			"roster add inside-sales alice",
			"roster add sales bob group:inside-sales",
			"roster check alice sales                  # yes: through inside-sales",
			"roster members 'sales & !inside-sales'    # bob",
			"roster admin add sales alice",
			"roster org put acme --name 'Acme Ltd'",
			"roster role put acme clerk --permission orders.read",
			"roster org join acme alice --owner",
			"roster org join acme bob --role clerk",
			"printf 'correct horse' | roster passwd alice --privilege '*'",
			"roster key create alice --id backup",
		),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	folder := os.Getenv("ROSTER_DATA")
	if folder == "" {
		folder = "./roster-data"
	}
	root.PersistentFlags().StringVar(&p.data, "data", folder, "`DIR` of the data (or set ROSTER_DATA)")
	root.PersistentFlags().BoolVar(&p.json, "json", false, "answer in JSON: one object, or one a line")
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	_ = root.MarkPersistentFlagDirname("data") // fails only for a flag that does not exist
	addGroup(root, "Begin:", p.demoCommand(), p.importCommand(), p.exportCommand())
	addGroup(root, "Ask:", p.checkCommand(), p.groupsCommand(), p.membersCommand(), p.searchCommand(), p.changesCommand())
	addGroup(root, "Change who belongs to what:", p.addCommand(), p.removeCommand(), p.adminCommand())
	addGroup(root, "Single records:", p.userCommand(), p.groupCommand(), p.orgCommand(), p.roleCommand())
	addGroup(root, "Users and groups from elsewhere:", p.sourceCommand())
	addGroup(root, "Let in:", p.serveCommand(), p.passwdCommand(), p.keyCommand())
	addGroup(root, "Look after the data:", p.verifyCommand(), p.backupCommand(), p.restoreCommand(), p.statsCommand())
	addGroup(root, "The program itself:")
	root.SetHelpCommandGroupID("The program itself:")
	root.SetCompletionCommandGroupID("The program itself:")
	addCompletion(root)
	return root
}

// addGroup adds commands under a title of the help.
func addGroup(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, cmd := range commands {
		cmd.GroupID = title
		root.AddCommand(cmd)
	}
}

// read opens the data read-only, calls fn with a view of it, and closes it.
func (p *program) read(ctx context.Context, fn func(tx *roster.Txn) error) error {
	return p.open(ctx, roster.Options{ReadOnly: true}, func(e *roster.Engine) error {
		return e.View(ctx, fn)
	})
}

// How long a command waits for another process to close the data, enough for one
// that does a single thing, and how often it looks.
const (
	patience = time.Second
	glance   = 20 * time.Millisecond
)

// open opens the data, calls fn and closes it.
func (p *program) open(ctx context.Context, o roster.Options, fn func(e *roster.Engine) error) error {
	e, err := roster.Open(p.data, o)
	for end := time.Now().Add(patience); errors.Is(err, roster.ErrLocked) && time.Now().Before(end); {
		if err := sleep(ctx, glance); err != nil {
			return err
		}
		e, err = roster.Open(p.data, o)
	}
	if err != nil {
		return &openError{err}
	}
	err = fn(e)
	return errors.Join(err, e.Close())
}

// sleep waits, and returns the error of ctx if that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// openError is an error of opening the data, as against one of using it.
type openError struct{ err error }

func (e *openError) Error() string { return e.err.Error() }
func (e *openError) Unwrap() error { return e.err }
