package roster_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rosterdb/roster"
)

// full has the long forms of the tests of crashes, damage and full disks run,
// and holds reach to its exact bounds.
var full = flag.Bool("full", false, "run the long form of the hardness tests")

// pick returns the size of a test in its short and its long form.
func pick[T any](short, long T) T {
	if *full {
		return long
	}
	return short
}

// naive is what an engine is to hold, kept in maps.
type naive struct {
	rev     roster.Revision
	dirs    map[roster.DirectoryID]roster.Directory
	users   map[roster.UserID]roster.User
	groups  map[roster.GroupID]roster.Group
	members map[roster.GroupID]map[roster.UserID]bool
	nested  map[roster.GroupID]map[roster.GroupID]bool // the direct children

	naiveOrgs
	data map[[2]string]string // by space and key

	everUsers int // handles of users that were given
}

func keys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func newNaive() *naive {
	return &naive{
		dirs:    map[roster.DirectoryID]roster.Directory{},
		users:   map[roster.UserID]roster.User{},
		groups:  map[roster.GroupID]roster.Group{},
		members: map[roster.GroupID]map[roster.UserID]bool{},
		nested:  map[roster.GroupID]map[roster.GroupID]bool{},

		naiveOrgs: newNaiveOrgs(), data: map[[2]string]string{},
	}
}

func (n *naive) clone() *naive {
	c := newNaive()
	c.rev, c.dirs, c.users, c.groups = n.rev, maps.Clone(n.dirs), maps.Clone(n.users), maps.Clone(n.groups)
	c.everUsers, c.naiveOrgs, c.data = n.everUsers, n.naiveOrgs.clone(), maps.Clone(n.data)
	for g, m := range n.members {
		c.members[g] = maps.Clone(m)
	}
	for g, m := range n.nested {
		c.nested[g] = maps.Clone(m)
	}
	return c
}

// below returns g and all groups nested in it.
func (n *naive) below(g roster.GroupID) map[roster.GroupID]bool {
	seen := map[roster.GroupID]bool{}
	var walk func(roster.GroupID)
	walk = func(g roster.GroupID) {
		if !seen[g] {
			seen[g] = true
			for c := range n.nested[g] {
				walk(c)
			}
		}
	}
	walk(g)
	return seen
}

func (n *naive) effective(g roster.GroupID) map[roster.UserID]bool {
	all := map[roster.UserID]bool{}
	for s := range n.below(g) {
		maps.Copy(all, n.members[s])
	}
	return all
}

// dump writes down everything, in the words that dump uses for an engine.
func (n *naive) dump() string {
	var b strings.Builder
	fmt.Fprintf(&b, "revision %d\n", n.rev)
	for _, id := range slices.Sorted(maps.Keys(n.dirs)) {
		fmt.Fprintf(&b, "directory %+v\n", n.dirs[id])
	}
	byName := slices.SortedFunc(maps.Keys(n.users), func(x, y roster.UserID) int {
		a, b := n.users[x], n.users[y]
		return cmp.Or(cmp.Compare(strings.ToLower(a.Username), strings.ToLower(b.Username)), cmp.Compare(a.Directory, b.Directory))
	})
	effective := map[roster.GroupID]map[roster.UserID]bool{}
	for g := range n.groups {
		effective[g] = n.effective(g)
	}
	groupOrder := func(x, y roster.GroupID) int {
		a, b := n.groups[x], n.groups[y]
		return cmp.Or(cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.Directory, b.Directory))
	}
	groups := slices.SortedFunc(maps.Keys(n.groups), groupOrder)
	for _, u := range byName {
		var in, direct []roster.GroupID
		for _, g := range groups {
			if effective[g][u] {
				in = append(in, g)
			}
			if n.members[g][u] {
				direct = append(direct, g)
			}
		}
		fmt.Fprintf(&b, "%+v in %v direct %v check %v\n", n.users[u], in, direct, in)
	}
	for _, g := range groups {
		var parents []roster.GroupID
		for _, p := range groups {
			if n.nested[p][g] {
				parents = append(parents, p)
			}
		}
		fmt.Fprintf(&b, "%+v\n members %v\n effective %v\n subgroups %v\n parents %v\n", n.groups[g], slices.Sorted(maps.Keys(n.members[g])),
			slices.Sorted(maps.Keys(effective[g])), slices.SortedFunc(maps.Keys(n.nested[g]), groupOrder), parents)
	}
	n.dumpOrgs(&b)
	n.dumpData(&b)
	return b.String()
}

// dump writes down everything that an engine answers, as of one revision.
func dump(e *roster.Engine) (string, error) {
	var b strings.Builder
	err := e.View(context.Background(), func(tx *roster.Txn) error {
		fmt.Fprintf(&b, "revision %d\n", tx.Revision())
		for _, d := range tx.Directories() {
			fmt.Fprintf(&b, "directory %+v\n", d)
		}
		groups := slices.Collect(tx.GroupsByName())
		if err := dumpUsers(&b, e, tx, groups); err != nil {
			return err
		}
		for _, g := range groups {
			if err := dumpGroup(&b, tx, g); err != nil {
				return err
			}
		}
		return errors.Join(dumpOrgs(&b, tx), dumpData(&b, tx))
	})
	return b.String(), err
}

func dumpUsers(b *strings.Builder, e *roster.Engine, tx *roster.Txn, groups []roster.GroupID) error {
	users, err := tx.Users()
	if err != nil {
		return err
	}
	active, err := tx.Active()
	if err != nil {
		return err
	}
	seen := 0
	for u := range users.ByName("") {
		seen++
		rec, err1 := tx.User(u)
		in, err2 := tx.Groups(u)
		direct, err3 := tx.DirectGroups(u)
		if err := errors.Join(err1, err2, err3); err != nil {
			return err
		}
		found, ok := tx.UserByName(rec.Directory, strings.ToUpper(rec.Username))
		byNumber, _ := tx.UserByNumber(rec.Number)
		byUID, _ := tx.UserByUID(rec.UID)
		if !ok || found != u || byNumber != u || byUID != u || tx.Username(u) != rec.Username || active.Contains(u) != rec.Active {
			return fmt.Errorf("%+v is found as %d, %d, %d, active %v", rec, found, byNumber, byUID, active.Contains(u))
		}
		want := roster.User{ID: rec.ID, Directory: rec.Directory, Username: rec.Username, Number: rec.Number, UID: rec.UID, Active: rec.Active}
		if head, err := tx.UserHead(u); err != nil || !reflect.DeepEqual(head, want) {
			return fmt.Errorf("%+v has the head %+v, %v", rec, head, err)
		}
		var check []roster.GroupID
		for _, g := range groups {
			if e.Check(u, g) {
				check = append(check, g)
			}
		}
		fmt.Fprintf(b, "%+v in %v direct %v check %v\n", rec, list(in), list(direct), check)
	}
	if seen != users.Len() {
		return fmt.Errorf("%d users, %d by name", users.Len(), seen)
	}
	return nil
}

func dumpGroup(b *strings.Builder, tx *roster.Txn, g roster.GroupID) error {
	rec, err1 := tx.Group(g)
	direct, err2 := tx.DirectMembers(g)
	members, err3 := tx.Members(g)
	children, err4 := tx.Subgroups(g)
	parents, err5 := tx.Parents(g)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	d, m := slices.Collect(direct.All()), slices.Collect(members.All())
	if found, _ := tx.GroupByName(rec.Directory, rec.Name); found != g || direct.Len() != len(d) || members.Len() != len(m) {
		return fmt.Errorf("%+v is found as %d and has %d, %d members", rec, found, direct.Len(), members.Len())
	}
	want := roster.Group{ID: rec.ID, Directory: rec.Directory, Name: rec.Name, Number: rec.Number, UID: rec.UID, Enterprise: rec.Enterprise}
	if head, err := tx.GroupHead(g); err != nil || !reflect.DeepEqual(head, want) {
		return fmt.Errorf("%+v has the head %+v, %v", rec, head, err)
	}
	slices.Reverse(m)
	if again, err := tx.SetOf(append(m, m...)...); err != nil || !again.Equal(members) {
		return fmt.Errorf("%+v: the set of its members has %d of %d users, %v", rec, again.Len(), members.Len(), err)
	}
	slices.Reverse(m)
	fmt.Fprintf(b, "%+v\n members %v\n effective %v\n subgroups %v\n parents %v\n", rec, list(d), list(m), list(children), list(parents))
	return nil
}

// list makes nothing print like an empty list.
func list[T any](s []T) []T { return s[:len(s):len(s)] }

// changes writes down what Changes gives from a revision on, or that the log
// does not go back that far.
func changes(e *roster.Engine, from roster.Revision) (string, error) {
	var b strings.Builder
	for c, err := range e.Changes(context.Background(), from) {
		if errors.Is(err, roster.ErrTrimmed) {
			return "trimmed", nil
		}
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%d %v %s %d %d %d %v %v", c.Revision, c.Time, c.Kind, c.DirID, c.UserID, c.GroupID, c.Members, c.Subgroups)
		fmt.Fprintf(&b, " %q %q %q %q", c.OrgID, c.RoleID, c.DataSpace, c.DataKey)
		switch {
		case c.User != nil:
			fmt.Fprintf(&b, " %+v", *c.User)
		case c.Group != nil:
			fmt.Fprintf(&b, " %+v", *c.Group)
		case c.Directory != nil:
			fmt.Fprintf(&b, " %+v", *c.Directory)
		case c.Organization != nil:
			fmt.Fprintf(&b, " %+v", *c.Organization)
		case c.Role != nil:
			fmt.Fprintf(&b, " %+v", *c.Role)
		case c.OrgMembership != nil:
			fmt.Fprintf(&b, " %+v", *c.OrgMembership)
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}

// differ returns where two dumps part, for an error message.
func differ(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d is\n%.600s\ninstead of\n%.600s", i, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines instead of %d", len(g), len(w))
}

// clock is a clock that stands until it is set.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time { return time.Unix(1_700_000_000+c.at.Load(), 123456789).UTC() }

// pair is an engine and the naive record of it.
type pair struct {
	t     testing.TB
	e     *roster.Engine
	n     *naive
	clock *clock
}

// update makes changes in both. It fails the test on an error.
func (p *pair) update(fn func(w *writer)) {
	p.t.Helper()
	if err := p.try(fn); err != nil {
		p.t.Fatal(err)
	}
}

// try is update that returns the error, with the record unchanged.
func (p *pair) try(fn func(w *writer)) error {
	p.clock.at.Add(1)
	next := p.n.clone()
	next.rev++
	rev, err := p.e.Update(context.Background(), func(tx *roster.Txn) error {
		w := &writer{tx: tx, n: next, at: p.clock.now()}
		fn(w)
		return w.err
	})
	if err != nil {
		return err
	}
	if rev != next.rev {
		return fmt.Errorf("revision %d, not %d", rev, next.rev)
	}
	p.n = next
	return nil
}

// same compares an engine with its record.
func (p *pair) same() {
	p.t.Helper()
	got, err := dump(p.e)
	if err != nil {
		p.t.Fatal(err)
	}
	if want := p.n.dump(); got != want {
		p.t.Fatal(differ(got, want))
	}
}

// writer makes changes within one Update, and notes them. After the first error
// it does nothing.
type writer struct {
	tx  *roster.Txn
	n   *naive
	at  time.Time
	err error
}

func (w *writer) note(err error) bool {
	if w.err == nil {
		w.err = err
	}
	return w.err == nil
}

func (w *writer) directory(id roster.DirectoryID, name string) {
	if _, err := w.tx.PutDirectory(roster.Directory{ID: id, Name: name}); w.note(err) {
		w.n.dirs[id] = roster.Directory{ID: id, Name: name, Type: "INTERNAL", Domain: name, Created: w.at, Updated: w.at, Revision: w.n.rev}
	}
}

func (w *writer) deleteDirectory(id roster.DirectoryID) {
	if w.note(w.tx.DeleteDirectory(id)) {
		delete(w.n.dirs, id)
	}
}

func (w *writer) user(u roster.User) roster.UserID {
	id, err := w.tx.CreateUser(u)
	if w.note(err) {
		u.ID, u.Number, u.UID = id, uint64(id)+1, fmt.Sprintf("usr_%d", id+1)
		u.Created, u.Updated, u.Revision = w.at, w.at, w.n.rev
		if w.n.users[id] = u; int(id) != w.n.everUsers {
			w.err = fmt.Errorf("%v after %d others", id, w.n.everUsers)
		}
		w.n.everUsers++
	}
	return id
}

func (w *writer) putUser(id roster.UserID, edit func(*roster.User)) {
	u := w.n.users[id]
	edit(&u)
	if _, err := w.tx.PutUser(u); w.note(err) {
		u.Updated, u.Revision = w.at, w.n.rev
		w.n.users[id] = u
	}
}

func (w *writer) deleteUser(id roster.UserID) {
	if w.note(w.tx.DeleteUser(id)) {
		delete(w.n.users, id)
		w.n.forgetUser(id)
		for _, m := range w.n.members {
			delete(m, id)
		}
	}
}

func (w *writer) group(g roster.Group) roster.GroupID {
	id, err := w.tx.CreateGroup(g)
	if w.note(err) {
		g.ID, g.Number, g.UID = id, uint64(id)+1, fmt.Sprintf("grp_%d", id+1)
		g.Created, g.Updated, g.Revision = w.at, w.at, w.n.rev
		w.n.groups[id], w.n.members[id], w.n.nested[id] = g, map[roster.UserID]bool{}, map[roster.GroupID]bool{}
	}
	return id
}

func (w *writer) deleteGroup(id roster.GroupID) {
	if w.note(w.tx.DeleteGroup(id)) {
		delete(w.n.groups, id)
		w.n.forgetGroup(id)
		delete(w.n.members, id)
		delete(w.n.nested, id)
		for _, m := range w.n.nested {
			delete(m, id)
		}
	}
}

func (w *writer) add(g roster.GroupID, users ...roster.UserID) {
	if _, err := w.tx.Add(g, users...); w.note(err) {
		for _, u := range users {
			w.n.members[g][u] = true
		}
	}
}

func (w *writer) remove(g roster.GroupID, users ...roster.UserID) {
	if _, err := w.tx.Remove(g, users...); w.note(err) {
		for _, u := range users {
			delete(w.n.members[g], u)
		}
	}
}

func (w *writer) nest(parent, child roster.GroupID) {
	if _, err := w.tx.Nest(parent, child); w.note(err) {
		w.n.nested[parent][child] = true
	}
}

func (w *writer) unnest(parent, child roster.GroupID) {
	if _, err := w.tx.Unnest(parent, child); w.note(err) {
		delete(w.n.nested[parent], child)
	}
}

// copyTree copies a folder. Holes in files stay holes: Badger's files are mostly
// that.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		return copySparse(path, filepath.Join(to, rel))
	})
}

// copyLive copies the folder of an open Badger as it is at one moment: now and
// then Badger makes a table of a write-ahead file, names it in its MANIFEST and
// removes the file.
func copyLive(from, to string) (err error) {
	for range 50 {
		before := fingerprint(from)
		if err = copyTree(from, to); err == nil && fingerprint(from) == before {
			return nil
		}
		if err := os.RemoveAll(to); err != nil {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("%s does not come to rest: %w", from, err)
}

// fingerprint tells whether files came, went or grew.
func fingerprint(dir string) string {
	var b strings.Builder
	entries, err := os.ReadDir(dir)
	fmt.Fprintln(&b, err)
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			fmt.Fprintln(&b, e.Name(), info.Size())
		}
	}
	return b.String()
}

func copySparse(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer dst.Close()
	if err := dst.Truncate(info.Size()); err != nil {
		return err
	}
	const seekData, seekHole = 3, 4
	for off := int64(0); off < info.Size(); {
		end := info.Size()
		if start, err := src.Seek(off, seekData); errors.Is(err, syscall.ENXIO) {
			break
		} else if err == nil { // elsewhere it is all data
			off = start
			if end, err = src.Seek(off, seekHole); err != nil {
				return err
			}
		}
		if _, err := io.Copy(io.NewOffsetWriter(dst, off), io.NewSectionReader(src, off, end-off)); err != nil {
			return err
		}
		off = end
	}
	return nil
}
