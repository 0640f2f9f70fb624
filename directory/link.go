package directory

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/text"
)

// Policy is what becomes of a record that a source does not have any more.
type Policy int

// Policies for what has vanished.
const (
	// Deactivate takes enterprise memberships away and keeps the record: a user
	// may not log in any more, a group is empty. If it comes back it is the same.
	Deactivate Policy = iota
	// Delete deletes the record, with memberships that were made by hand. The last
	// owner of an organisation is deactivated instead, and reported.
	Delete
)

// Reuse is what to think of a name that comes back with another key.
type Reuse int

// Opinions about a name with another key than before, when no entry has the old
// key any more.
const (
	// OtherUser takes it for somebody else. The old user is gone and gives the
	// name up: what was made by hand for the one does not become the other's.
	OtherUser Reuse = iota
	// SameUser takes it for the same user, as after a move to another server,
	// which gives keys of its own.
	SameUser
)

// Options configure a Link. Directory is required.
type Options struct {
	// Directory is the name of the directory of the engine that the source is
	// for. The first run that writes makes it, with Type (INTERNAL when left
	// out) and Domain (the name when left out).
	Directory string
	Type      string
	Domain    string

	Vanished       Policy // users
	VanishedGroups Policy // of groups, Deactivate takes all members of the source out
	Reused         Reuse

	// Adopt reports whether a user that was made by hand becomes the link's when
	// the source has an entry of its name: from then on the source says what is in
	// its record and whether it may log in. Nil means that all do; the entries of
	// others are left out and reported. It must only read.
	Adopt func(tx *roster.Txn, u roster.User) bool

	// MaxRemoved is the share, between 0 and 1, of the users, of the memberships
	// and, where they are deleted, of the groups of the link that one run may take
	// away. 0 means 0.25; 1 allows all. Two users, two groups and five memberships
	// may always go, except that a source without any user is never taken at its
	// word.
	MaxRemoved float64

	// Logger is told what each run did and why one failed. Nil: nobody is.
	Logger *slog.Logger

	// Now tells the time for Stats and durations. Nil means time.Now.
	Now func() time.Time
}

// Run says how a run is to be done. The zero value is right for most.
type Run struct {
	Actor  string // who asked: kept beside the change, see Last, and told to the logger
	DryRun bool   // only say what is different
	Force  bool   // whatever Options.MaxRemoved says
}

// Link keeps a directory of an engine as a source has it.
type Link struct {
	engine *roster.Engine
	src    Source
	o      Options

	syncing locks // held by Sync and RefreshGroups under one name: one at a time
	names   locks // held by Refresh: one at a time about each user
	index   keyIndex

	mu      sync.Mutex
	stats   Stats           // guarded by mu
	touched map[string]bool // guarded by mu: users refreshed while a Sync reads; nil while none does
}

// New returns a link. It reads nothing yet. It returns ErrConfig for options that
// cannot be right.
func New(e *roster.Engine, src Source, o Options) (*Link, error) {
	if err := text.ValidName(o.Directory); err != nil {
		return nil, fmt.Errorf("%w: Options.Directory: the name %w", ErrConfig, err)
	}
	if o.MaxRemoved < 0 || o.MaxRemoved > 1 || math.IsNaN(o.MaxRemoved) {
		return nil, fmt.Errorf("%w: Options.MaxRemoved is %g, not a share between 0 and 1", ErrConfig, o.MaxRemoved)
	}
	if o.MaxRemoved == 0 {
		o.MaxRemoved = 0.25
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Link{engine: e, src: src, o: o}, nil
}

// Directory returns the number of the directory. It creates the directory if it does
// not exist yet, as the first Sync does: for hosts that need the number before the
// source could be read.
func (l *Link) Directory(ctx context.Context) (roster.DirectoryID, error) {
	var d roster.Directory
	var isNew bool
	err := l.engine.View(ctx, func(tx *roster.Txn) error {
		d, isNew = l.o.directory(tx)
		return nil
	})
	if err != nil || !isNew {
		return d.ID, err
	}
	_, err = l.engine.Update(ctx, func(tx *roster.Txn) error {
		if d, isNew = l.o.directory(tx); !isNew {
			return nil // somebody else was first
		}
		_, err := tx.PutDirectory(d)
		return err
	})
	if err != nil {
		return 0, err
	}
	return d.ID, nil
}

// Sync makes the directory what the whole source says. It fails, having changed
// nothing, with the error of a source that cannot be read to its end, and with a
// *GuardError. A change in the source while it is read may be seen or not; the
// next run sees it. Users that were refreshed while it read are refreshed again
// after it; an error of that comes with the report of what the sync did write.
func (l *Link) Sync(ctx context.Context, run Run) (*Report, error) {
	unlock, err := l.syncing.lock(ctx, []string{""})
	if err != nil {
		return nil, err
	}
	defer unlock()
	l.mu.Lock()
	l.touched = map[string]bool{}
	l.mu.Unlock()
	report, err := l.observe(ctx, "sync", run, func() (*Report, error) {
		g, err := gatherAll(ctx, l.src)
		if err != nil {
			return nil, err
		}
		return l.write(ctx, g, run, "sync")
	})
	l.mu.Lock()
	touched := l.touched
	l.touched = nil
	l.mu.Unlock()
	if err != nil || run.DryRun || len(touched) == 0 {
		return report, err
	}
	// What these users had was read later than what the sync went by.
	again := make([]string, 0, len(touched))
	for name := range touched {
		again = append(again, name)
	}
	_, err = l.Refresh(ctx, Run{Actor: run.Actor, Force: run.Force}, again...)
	return report, err
}

// Refresh makes users what the source says, and the enterprise groups that they
// are in, directly and through groups: it reads them and the groups above them.
// A user that the engine does not have yet is created. Users are named by
// username, or as name@domain or domain\name with the directory's domain or
// name. Names that nobody has are listed in Report.Unknown.
func (l *Link) Refresh(ctx context.Context, run Run, users ...string) (*Report, error) {
	names := make([]string, len(users))
	for i, name := range users {
		var err error
		if names[i], err = l.local(ctx, name); err != nil {
			return nil, err
		}
	}
	unlock, err := l.names.lock(ctx, names)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return l.observe(ctx, "refresh", run, func() (*Report, error) {
		g, err := l.gatherUsers(ctx, names)
		if err != nil {
			return nil, err
		}
		if !run.DryRun {
			l.touch(names) // first: a sync may write over it as soon as it is written
		}
		return l.write(ctx, g, run, "refresh")
	})
}

// touch tells a sync that is reading that users have been read later.
func (l *Link) touch(names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range names {
		if l.touched != nil {
			l.touched[name] = true
		}
	}
}

// RefreshGroups makes groups, and all groups below them, what the source says.
// Groups are named by name, or as directory:name.
func (l *Link) RefreshGroups(ctx context.Context, run Run, groups ...string) (*Report, error) {
	// A sync that began before would write what it read before.
	unlock, err := l.syncing.lock(ctx, []string{""})
	if err != nil {
		return nil, err
	}
	defer unlock()
	return l.observe(ctx, "refresh of groups", run, func() (*Report, error) {
		names := make([]string, len(groups))
		for i, name := range groups {
			names[i] = name
			if d, rest, ok := strings.Cut(name, ":"); ok && text.Fold(d) == text.Fold(l.o.Directory) {
				names[i] = rest
			}
		}
		g, err := l.gatherGroups(ctx, names)
		if err != nil {
			return nil, err
		}
		return l.write(ctx, g, run, "refresh of groups")
	})
}

// Login returns the user of that name, refreshed, if the source says that the
// password is right; see Authenticator. It returns ErrUnsupported when the source
// knows no passwords, and ErrCredentials also for a user that the engine has as
// inactive, or that is not the one who has the name in the engine.
func (l *Link) Login(ctx context.Context, name, password string) (roster.UserID, error) {
	a, ok := l.src.(Authenticator)
	if !ok {
		return 0, fmt.Errorf("login of %q: %w", clip(name), ErrUnsupported)
	}
	local, err := l.local(ctx, name)
	if err != nil {
		return 0, err
	}
	u, err := a.Authenticate(ctx, local, password)
	if err != nil {
		return 0, err
	}
	if _, err := l.Refresh(ctx, Run{Actor: u.Name}, u.Name); err != nil {
		return 0, err
	}
	var id roster.UserID
	err = l.engine.View(ctx, func(tx *roster.Txn) error {
		d, err := tx.DirectoryByName(l.o.Directory)
		if err != nil {
			return err
		}
		var known bool
		if id, known = tx.UserByName(d.ID, u.Name); !known {
			return fmt.Errorf("user %q: %w", u.Name, ErrCredentials)
		}
		rec, err := tx.User(id)
		if err != nil {
			return err
		}
		if linkOf(&rec) != keyOf(u.Key, u.Name) { // it could not have the name: somebody else keeps it
			return fmt.Errorf("user %q is somebody else here: %w", u.Name, ErrCredentials)
		}
		if !rec.Active {
			return fmt.Errorf("user %q is not active: %w", u.Name, ErrCredentials)
		}
		return nil
	})
	return id, err
}

// local returns a username without the domain or name of this directory.
func (l *Link) local(ctx context.Context, name string) (string, error) {
	domain, whole := cmp.Or(l.o.Domain, l.o.Directory), false
	err := l.engine.View(ctx, func(tx *roster.Txn) error {
		if d, err := tx.DirectoryByName(l.o.Directory); err == nil {
			domain = d.Domain
			_, whole = tx.UserByName(d.ID, name) // a name may hold an @ or a \ itself
		}
		return nil
	})
	if err != nil || whole {
		return name, err
	}
	ours := func(s string) bool {
		return text.Fold(s) == text.Fold(domain) || text.Fold(s) == text.Fold(l.o.Directory)
	}
	if i := strings.LastIndexByte(name, '@'); i > 0 && ours(name[i+1:]) {
		return name[:i], nil
	}
	if i := strings.IndexByte(name, '\\'); i > 0 && ours(name[:i]) {
		return name[i+1:], nil
	}
	return name, nil
}

// write works out the difference and writes it, unless it is none or too large.
func (l *Link) write(ctx context.Context, g *gathered, run Run, what string) (*Report, error) {
	if !g.all {
		if err := l.index.catchUp(ctx, l.engine, l.o.Directory); err != nil {
			return nil, err
		}
	}
	var p *plan
	report := &Report{DryRun: run.DryRun}
	compare := func(tx *roster.Txn) (err error) {
		fresh := *g // a plan marks groups that are of no use to it
		fresh.groups = append([]grp(nil), g.groups...)
		if p, err = newPlan(tx, &fresh, &l.o, l.index.find); err != nil {
			return err
		}
		report.Diff, report.Refused = p.diff(tx), nil
		if !run.Force {
			report.Refused, err = p.guard(tx)
		}
		return err
	}
	if err := l.engine.View(ctx, compare); err != nil {
		return nil, err
	}
	if missed, err := g.askAfter(ctx, p); err != nil {
		return nil, err
	} else if missed {
		if err := l.engine.View(ctx, compare); err != nil {
			return nil, err
		}
	}
	report.Revision = p.rev
	if !run.DryRun && report.Refused != nil {
		return nil, report.Refused
	}
	if !run.DryRun && !p.empty() {
		rev, err := l.engine.Update(ctx, func(tx *roster.Txn) error {
			if tx.Revision() != p.rev { // others have written since
				if err := compare(tx); err != nil {
					return err
				}
				if report.Refused != nil {
					return report.Refused
				}
			}
			if err := p.apply(tx); err != nil {
				return err
			}
			last := LastRun{Run: what, Actor: run.Actor, Time: l.o.Now().UTC()}
			return last.record(tx, l.o.Directory, &report.Diff)
		})
		if err != nil {
			return nil, err
		}
		report.Revision = rev
	}
	report.fill(p)
	return report, nil
}

func (r *Report) fill(p *plan) {
	r.Users, r.Groups, r.Memberships = p.users.len(), len(p.groups), len(p.edges)
	r.Unresolved = p.unresolved
	r.Problems = append(r.Problems, p.gathered.problems...)
	r.Problems = append(r.Problems, p.problems...)
	r.Unknown = p.unknown
}
