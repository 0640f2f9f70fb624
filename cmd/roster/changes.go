package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/exchange"
)

func (p *program) changesCommand() *cobra.Command {
	var from uint64
	var follow bool
	cmd := &cobra.Command{
		Use:   "changes",
		Short: "Print the log of changes as JSON lines",
		Long: `Print the log of changes as JSON lines.

With --follow it goes on until it is interrupted, and prints what is new within a
second after the process that wrote it has closed the data. While another process
has the data open for writing nobody else can read it; and while this one reads,
which it does only after something has changed, nobody can open it for writing.`,
		Example: example(
			"roster changes",
			"roster changes --from 3",
			"roster changes --follow",
		),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			start := roster.Revision(from)
			if follow {
				return p.follow(cmd.Context(), start)
			}
			return p.open(cmd.Context(), roster.Options{ReadOnly: true}, func(e *roster.Engine) error {
				out := bufio.NewWriter(p.stdout)
				write := func(_ roster.Revision, line []byte) (bool, error) {
					_, err := out.Write(line)
					return true, err
				}
				if err := newChangeWriter().read(cmd.Context(), e, start, write); err != nil {
					return err
				}
				return out.Flush()
			})
		},
	}
	cmd.Flags().Uint64Var(&from, "from", 0, "begin with revision `REV` (default: the oldest that is kept)")
	cmd.Flags().BoolVar(&follow, "follow", false, "go on with what other processes change, until interrupted")
	return cmd
}

// changeWriter writes changes with names in place of handles. A name is today's;
// of what exists no more, the last that is known.
type changeWriter struct {
	tx     *roster.Txn // valid within read
	home   func(roster.UserID) roster.DirectoryID
	users  map[roster.UserID]lastUser
	groups map[roster.GroupID]lastGroup
	stays  bool // later revisions will be read too: what exists now may be gone then
}

// lastUser is what was last known of a user.
type lastUser struct {
	directory roster.DirectoryID
	name      string
	uid       string // "" if not known
}

// lastGroup is what was last known of a group.
type lastGroup struct {
	directory roster.DirectoryID
	name      string
}

func newChangeWriter() *changeWriter {
	return &changeWriter{users: map[roster.UserID]lastUser{}, groups: map[roster.GroupID]lastGroup{}}
}

// read calls fn with the line of every change of an engine from a revision on, 0
// being the oldest that is kept, until fn says that it has enough.
func (w *changeWriter) read(ctx context.Context, e *roster.Engine, from roster.Revision, fn func(roster.Revision, []byte) (more bool, err error)) error {
	oldest := e.Stats().Oldest
	if from == 0 {
		from = oldest
	}
	return e.View(ctx, func(tx *roster.Txn) error {
		w.tx, w.home = tx, directories(tx)
		for c, err := range e.Changes(ctx, from) {
			if errors.Is(err, roster.ErrTrimmed) {
				return fmt.Errorf("changes before revision %d are no longer kept: begin with --from %[1]d", oldest)
			}
			if err != nil {
				return err
			}
			w.learn(c)
			if more, err := fn(c.Revision, w.line(c)); err != nil || !more {
				return err
			}
		}
		return nil
	})
}

// learn keeps the names that a change tells, where they may be asked for later.
func (w *changeWriter) learn(c roster.Change) {
	switch {
	case c.Kind == roster.UserPut && (w.stays || w.tx.Username(c.UserID) == ""):
		w.users[c.UserID] = lastUser{c.User.Directory, strings.Clone(c.User.Username), strings.Clone(c.User.UID)}
	case c.Kind == roster.GroupPut && (w.stays || w.tx.GroupName(c.GroupID) == ""):
		w.groups[c.GroupID] = lastGroup{c.Group.Directory, strings.Clone(c.Group.Name)}
	}
}

// line returns one change as a JSON line.
func (w *changeWriter) line(c roster.Change) []byte {
	pairs := []any{"revision", uint64(c.Revision), "time", c.Time.UTC().Format(time.RFC3339Nano), "change", c.Kind}
	add := func(name string, value []byte) {
		pairs = append(pairs, name, jsontext.Value(bytes.TrimSuffix(value, []byte{'\n'})))
	}
	switch c.Kind {
	case roster.DirectoryPut:
		add("directory", exchange.AppendDirectory(nil, *c.Directory))
	case roster.DirectoryDeleted:
		add("directory", object("id", uint64(c.DirID)))
	case roster.UserPut:
		add("user", exchange.AppendUser(nil, *c.User))
	case roster.UserDeleted:
		add("user", w.user(c.UserID))
	case roster.GroupPut:
		add("group", exchange.AppendGroup(nil, *c.Group))
	case roster.GroupDeleted:
		add("group", w.group(c.GroupID))
	case roster.OrganizationPut:
		add("organization", exchange.AppendOrganization(nil, *c.Organization))
	case roster.OrganizationDeleted:
		add("organization", object("id", c.OrgID))
	case roster.RolePut:
		add("role", exchange.AppendRole(nil, *c.Role))
	case roster.RoleDeleted:
		add("role", object("organization", c.OrgID, "id", c.RoleID))
	case roster.OrgMembershipPut:
		add("orgMembership", exchange.AppendOrgMembership(nil, *c.OrgMembership, w.uid(c.UserID)))
		add("user", w.user(c.UserID))
	case roster.OrgMembershipDeleted:
		m := object("organization", c.OrgID)
		if uid := w.uid(c.UserID); uid != "" {
			m = extend(m, "user", uid)
		}
		add("orgMembership", m)
		add("user", w.user(c.UserID))
	case roster.DataPut, roster.DataDeleted:
		add("data", object("space", c.DataSpace, "key", c.DataKey))
	default:
		w.addLists(c, add)
	}
	return object(pairs...)
}

// addLists adds what a change of the members or administrators of a group says.
func (w *changeWriter) addLists(c roster.Change, add func(name string, value []byte)) {
	add("group", w.group(c.GroupID))
	switch c.Kind {
	case roster.MembersAdded, roster.MembersRemoved, roster.AdminsAdded, roster.AdminsRemoved:
		add("users", list(c.Members, w.user))
	case roster.GroupsNested, roster.GroupsUnnested:
		add("subgroups", list(c.Subgroups, w.group))
	case roster.AdminGroupsAdded, roster.AdminGroupsRemoved:
		add("byGroups", list(c.Subgroups, w.group))
	}
}

func (w *changeWriter) user(id roster.UserID) []byte {
	if name := w.tx.Username(id); name != "" {
		return userName(w.home(id), name)
	}
	if last, ok := w.users[id]; ok {
		return userName(last.directory, last.name)
	}
	return object("gone", true) // created before the log begins, and removed since
}

// uid returns the uid of a user, "" if it is gone and the log did not tell.
func (w *changeWriter) uid(id roster.UserID) string {
	if u, err := w.tx.User(id); err == nil {
		return u.UID
	}
	return w.users[id].uid
}

func (w *changeWriter) group(id roster.GroupID) []byte {
	if g, err := w.tx.Group(id); err == nil {
		return groupName(g.Directory, g.Name)
	}
	if last, ok := w.groups[id]; ok {
		return groupName(last.directory, last.name)
	}
	return object("gone", true)
}

func userName(d roster.DirectoryID, name string) []byte {
	return object("directory", uint64(d), "username", name)
}

func groupName(d roster.DirectoryID, name string) []byte {
	return object("directory", uint64(d), "name", name)
}
