package main

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/directory"
)

func (p *program) sourceSyncCommand() *cobra.Command {
	run := directory.Run{Actor: actor()}
	cmd := &cobra.Command{
		Use:   "sync NAME",
		Short: "Make users and groups what a source says",
		Long: `Make users and groups what a source says, as one change or none.

A sync that would remove more than a quarter of the users or of the memberships (see
--max-removed of source add) is refused: look at it with --dry-run, and if it is right
repeat it with --force. With --dry-run everything that would change is listed first.`,
		Example: example(
			"roster export --format csv people.csv && roster source add file --name hr people.csv && roster source sync hr --dry-run",
			"roster export --format csv people.csv && roster source add file --name hr people.csv && roster source sync hr",
		),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.complete(sourceNames),
		RunE:              func(cmd *cobra.Command, args []string) error { return p.syncSource(cmd.Context(), args[0], run) },
	}
	cmd.Flags().BoolVar(&run.DryRun, "dry-run", false, "say what would change, and change nothing")
	cmd.Flags().BoolVar(&run.Force, "force", false, "remove however much the source says")
	return cmd
}

// actor is who runs this program.
func actor() string {
	u, err := user.Current()
	if err != nil {
		return "roster"
	}
	return u.Username
}

func (p *program) syncSource(ctx context.Context, name string, run directory.Run) error {
	begin := time.Now()
	return p.open(ctx, roster.Options{ReadOnly: run.DryRun}, func(e *roster.Engine) error {
		var c sourceConfig
		err := e.View(ctx, func(tx *roster.Txn) (err error) {
			c, err = findSource(tx, name)
			return err
		})
		if err != nil {
			return err
		}
		o, err := c.options()
		if err != nil {
			return err
		}
		src, err := c.open()
		if err != nil {
			return err
		}
		defer closeSource(src) // only read from
		l, err := directory.New(e, src, o)
		if err != nil {
			return err
		}
		report, err := l.Sync(ctx, run)
		if err != nil {
			return fmt.Errorf("source %q: %w", c.Name, err)
		}
		for _, problem := range report.Problems {
			if err := p.entryWarning(problem); err != nil {
				return err
			}
		}
		return p.printReport(report, time.Since(begin))
	})
}

// printReport prints what a sync did.
func (p *program) printReport(r *directory.Report, took time.Duration) error {
	const gone = directory.Deleted | directory.Deactivated | directory.Gone
	d := &r.Diff
	count := func(changes []directory.RecordChange) (added, changed, removed uint64) {
		for _, c := range changes {
			switch {
			case c.What&directory.Created != 0:
				added++
			case c.What&gone != 0:
				removed++
			default:
				changed++
			}
		}
		return added, changed, removed
	}
	ua, uc, ur := count(d.Users)
	ga, gc, gr := count(d.Groups)
	if p.json {
		line := object(
			"usersAdded", ua, "usersChanged", uc, "usersRemoved", ur, "groupsAdded", ga, "groupsChanged", gc, "groupsRemoved", gr,
			"membershipsAdded", uint64(len(d.Added)), "membershipsRemoved", uint64(len(d.Removed)),
			"users", uint64(r.Users), "groups", uint64(r.Groups), "memberships", uint64(r.Memberships), "unresolved", uint64(r.Unresolved),
			"dryRun", r.DryRun, "revision", uint64(r.Revision), "seconds", took.Seconds())
		if r.Refused != nil {
			line = extend(line, "refused", oneLine(plain(r.Refused)))
		}
		if r.DryRun {
			line = extend(line, "changes", jsontext.Value(list(diffLines(d), func(c diffLine) []byte {
				return object("kind", c.kind, "name", c.name, "what", c.what)
			})))
		}
		_, err := p.stdout.Write(line)
		p.warnRefused(r)
		return err
	}
	if r.DryRun {
		for _, c := range diffLines(d) {
			if _, err := fmt.Fprintf(p.stdout, "%s %s: %s\n", c.kind, c.name, c.what); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(p.stdout, "users: %d added, %d changed, %d removed\ngroups: %d added, %d changed, %d removed\nmemberships: %d added, %d removed\n",
		ua, uc, ur, ga, gc, gr, len(d.Added), len(d.Removed))
	if r.Unresolved > 0 {
		fmt.Fprintf(p.stderr, "warning: %d memberships of somebody whom the source does not have\n", r.Unresolved)
	}
	p.warnRefused(r)
	if r.DryRun {
		fmt.Fprintln(p.stderr, "nothing was changed (--dry-run)")
	}
	return err
}

func (p *program) warnRefused(r *directory.Report) {
	if r.Refused != nil {
		fmt.Fprintf(p.stderr, "warning: without --dry-run: %s\n", oneLine(plain(r.Refused)))
	}
}

// diffLine is one change for reading.
type diffLine struct{ kind, name, what string }

func diffLines(d *directory.Diff) (out []diffLine) {
	records := func(kind string, changes []directory.RecordChange) {
		for _, c := range changes {
			what := c.What.String()
			if c.Was != "" {
				what += " from " + c.Was
			}
			out = append(out, diffLine{kind, c.Name, what})
		}
	}
	members := func(what string, changes []directory.MembershipChange) {
		for _, c := range changes {
			who := c.Member
			if c.Subgroup {
				who = "group:" + who
			}
			out = append(out, diffLine{"member", who, what + " " + c.Group})
		}
	}
	records("user", d.Users)
	records("group", d.Groups)
	members("added to", d.Added)
	members("removed from", d.Removed)
	return out
}

// adviseSource words errors of sources, "" for any other.
func adviseSource(err error, text string) string {
	for _, a := range []struct {
		err  error
		todo string
	}{
		{directory.ErrTooMuch, "look at it with --dry-run"},
		{directory.ErrUntrusted, "nothing was sent; give its authority's certificate with --tls-ca"},
		{directory.ErrCredentials, "check --bind-dn and the password file"},
		{directory.ErrLimit, "let this user have more entries of one search on the server"},
		{directory.ErrUnreachable, "nothing was changed; run it again later"},
		{directory.ErrReferral, "nothing was changed"},
	} {
		if errors.Is(err, a.err) {
			return text + ": " + a.todo
		}
	}
	return ""
}
