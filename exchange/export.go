package exchange

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"github.com/rosterdb/roster"
)

// ExportOptions configure an export. The zero value writes JSON lines.
type ExportOptions struct {
	Format Format // JSONLines, LDIF or CSV; "" and Auto mean JSONLines

	// Warn is given sentences about what the format cannot hold. Nil: nobody is
	// told.
	Warn func(string)

	// Progress is called now and then; see Options.Progress.
	Progress func(s Stage, done, total int64)
}

// Export writes all that a store holds, as of one revision, in an order that
// depends on nothing but what it holds: directories by id; users by directory
// and name; groups likewise, each followed in JSON lines (once all groups have
// been written) and in LDIF (at once) by its members, users by name and then
// groups by name. In JSON lines follow the administrators of all groups in the
// same order; organisations by ID; roles by organisation and ID; memberships of
// organisations by organisation and the user's name and directory; accounts by the
// user's directory and name; API keys by ID. Names and IDs stand in the order of
// their foldings, the IDs of API keys in that of their bytes. Of passwords and
// secrets there are hashes; keep such a file as you keep the store.
//
// JSON lines hold everything. What LDIF and CSV cannot hold is told to Warn:
// numbers and uids, times, abilities, which directory a record belongs to,
// administrators, organisations, accounts, API keys; CSV, which is a table of users by directory and
// name with their direct groups, holds no nested groups and no attributes either.
//
// CSV is written as it is stored: a text that begins with =, +, - or @ is a
// formula to a spreadsheet that opens the file. Where users may choose their
// names, import such a file into the spreadsheet as text.
func Export(ctx context.Context, e *roster.Engine, w io.Writer, o ExportOptions) error {
	out := bufio.NewWriterSize(w, 1<<16)
	err := e.View(ctx, func(tx *roster.Txn) error {
		x := &exporter{ctx: ctx, tx: tx, out: out, opts: o}
		switch o.Format {
		case LDIF:
			return x.ldif()
		case CSV:
			return x.csv()
		}
		return x.jsonLines()
	})
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// exporter writes one revision.
type exporter struct {
	ctx  context.Context
	tx   *roster.Txn
	out  *bufio.Writer
	opts ExportOptions
	done int64
	buf  []byte
	// groups holds every group by directory and name.
	groups []roster.GroupID
}

// step counts one record or membership and hears of a cancelled context.
func (x *exporter) step() error {
	x.done++
	if x.done&0x3ff == 0 && x.opts.Progress != nil {
		x.opts.Progress(Writing, x.done, 0)
	}
	if x.done&0x3ff == 0 {
		return x.ctx.Err()
	}
	return nil
}

// write writes x.buf and counts it.
func (x *exporter) write() error {
	if _, err := x.out.Write(x.buf); err != nil {
		return err
	}
	return x.step()
}

// users yields the users by directory and name.
func (x *exporter) users(fn func(roster.User) error) error {
	for _, d := range x.tx.Directories() {
		set, err := x.tx.DirectoryUsers(d.ID)
		if err != nil {
			return err
		}
		for id := range set.ByName("") {
			u, err := x.tx.User(id)
			if err == nil {
				err = fn(u)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// eachGroup yields the groups by directory and name. The engine orders them by
// name and directory, so they are sorted into their directories first, as
// handles only.
func (x *exporter) eachGroup(fn func(roster.Group) error) error {
	if x.groups == nil {
		if err := x.sortGroups(); err != nil {
			return err
		}
	}
	for _, id := range x.groups {
		g, err := x.tx.Group(id)
		if err == nil {
			err = fn(g)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (x *exporter) sortGroups() error {
	byDirectory := map[roster.DirectoryID][]roster.GroupID{}
	for id := range x.tx.GroupsByName() {
		g, err := x.tx.Group(id)
		if err != nil {
			return err
		}
		byDirectory[g.Directory] = append(byDirectory[g.Directory], id)
	}
	x.groups = []roster.GroupID{}
	for _, d := range x.tx.Directories() {
		x.groups = append(x.groups, byDirectory[d.ID]...)
	}
	return nil
}

// members calls user for each direct user member of a group by name, then
// subgroup for each group nested in it directly by name.
func (x *exporter) members(g roster.GroupID, user func(roster.UserID) error, subgroup func(roster.GroupID) error) error {
	set, err := x.tx.DirectMembers(g)
	if err != nil {
		return err
	}
	for id := range set.ByName("") {
		if err := user(id); err != nil {
			return err
		}
	}
	groups, err := x.tx.Subgroups(g)
	if err != nil {
		return err
	}
	for _, id := range groups {
		if err := subgroup(id); err != nil {
			return err
		}
	}
	return nil
}

func (x *exporter) jsonLines() error {
	for _, d := range x.tx.Directories() {
		x.buf = AppendDirectory(x.buf[:0], d)
		if err := x.write(); err != nil {
			return err
		}
	}
	err := x.users(func(u roster.User) error {
		x.buf = AppendUser(x.buf[:0], u)
		return x.write()
	})
	if err != nil {
		return err
	}
	err = x.eachGroup(func(g roster.Group) error {
		x.buf = AppendGroup(x.buf[:0], g)
		return x.write()
	})
	if err != nil {
		return err
	}
	directories, err := x.userDirectories()
	if err != nil {
		return err
	}
	err = x.eachGroup(func(g roster.Group) error {
		return x.members(g.ID, func(id roster.UserID) error {
			x.buf = appendLink(x.buf[:0], "member", g, "user", x.tx.Username(id), directories(id))
			return x.write()
		}, func(id roster.GroupID) error {
			sub, err := x.tx.Group(id)
			if err != nil {
				return err
			}
			x.buf = appendLink(x.buf[:0], "member", g, "subgroup", sub.Name, sub.Directory)
			return x.write()
		})
	})
	if err == nil {
		err = x.admins(directories)
	}
	if err == nil {
		err = x.organizations()
	}
	if err == nil {
		err = x.credentials()
	}
	return err
}

// userDirectories returns the directory of a user, from sets in memory, so
// that no member's record has to be read from disk.
func (x *exporter) userDirectories() (func(roster.UserID) roster.DirectoryID, error) {
	all := x.tx.Directories()
	sets := make([]roster.Set, len(all))
	for i, d := range all {
		var err error
		if sets[i], err = x.tx.DirectoryUsers(d.ID); err != nil {
			return nil, err
		}
	}
	last := 0
	return func(id roster.UserID) roster.DirectoryID {
		for n := range sets {
			if i := (last + n) % len(sets); sets[i].Contains(id) {
				last = i
				return all[i].ID
			}
		}
		return 0 // never: every user belongs to a directory
	}, nil
}
