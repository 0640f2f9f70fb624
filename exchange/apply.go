package exchange

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/text"
)

const (
	// wholeRecords and wholeBytes bound what is written as one Update. Such an
	// Update is one record of the log and is held in memory until it is durable.
	wholeRecords = 100_000
	wholeBytes   = 32 << 20

	// batchRecords, batchBytes and batchEdges bound the Updates of a larger
	// import: large enough that the flush of each does not count, small enough
	// that other writers get their turn within a fraction of a second.
	batchRecords = 10_000
	batchBytes   = 4 << 20
	batchEdges   = 200_000
)

// absent is the handle of a record that the store does not have.
const absent = math.MaxUint32

// target is what a member line names in the store.
type target struct {
	kind kind
	id   uint32 // a UserID or GroupID, or absent
}

// edge is a resolved membership, both ends of which are in the store.
type edge struct {
	group  roster.GroupID
	member target
}

// writer is what a plan is written with: a transaction, or a Builder.
type writer interface {
	PutDirectory(d roster.Directory) error
	CreateUser(u roster.User) (roster.UserID, error)
	CreateGroup(g roster.Group) (roster.GroupID, error)
	AddMembers(g roster.GroupID, users []roster.UserID) error
	Nest(parent roster.GroupID, children ...roster.GroupID) error
}

// txnWriter is a transaction as a writer.
type txnWriter struct{ *roster.Txn }

func (w txnWriter) PutDirectory(d roster.Directory) error {
	_, err := w.Txn.PutDirectory(d)
	return err
}

func (w txnWriter) AddMembers(g roster.GroupID, users []roster.UserID) error {
	_, err := w.Add(g, users...)
	return err
}

func (w txnWriter) Nest(parent roster.GroupID, children ...roster.GroupID) error {
	_, err := w.Txn.Nest(parent, children...)
	return err
}

// applier writes a plan into an engine.
type applier struct {
	ctx       context.Context
	plan      *Plan
	ids       []uint32          // by record number: its handle in the store, or absent
	outside   map[symbol]uint32 // references to what only the store holds: its handle
	home      *roster.Directory // of an LDIF: the directory it goes to
	newHome   bool              // which has to be created
	known     map[roster.DirectoryID]bool
	sum       Summary
	selves    int64      // groups that are their own member
	first     *reference // of the members that name nothing; nil also when all of them name LDIF entries that are neither users nor groups
	done      int64
	update    func(fn func(writer) error) error
	batch     []record
	batchSize int
	edges     []edge
}

// Apply writes the plan into a store. Nothing is changed if it does not fit the
// store: a name, id or uid that another record has, a directory that nothing
// defines, with Strict a member that nothing defines. Applying a plan that the
// store holds already changes nothing. A plan may be applied more than once.
func (p *Plan) Apply(ctx context.Context, e *roster.Engine) (Summary, error) {
	a := newApplier(ctx, p)
	if p.Small() {
		return a.result(a.whole(e))
	}
	return a.result(a.batches(e))
}

// Build makes a new store of the plan in the folder dir, which must be missing
// or empty (roster.ErrNotStore): the fast way to import a large input, written
// once and whole or not at all.
func (p *Plan) Build(ctx context.Context, dir string, o roster.Options) (Summary, error) {
	a := newApplier(ctx, p)
	if err := a.check(nil); err != nil {
		return Summary{}, err
	}
	a.sum.Revision = 1
	return a.result(roster.Build(ctx, dir, o, func(b *roster.Builder) error {
		a.update = func(fn func(writer) error) error { return fn(b) }
		return a.write()
	}))
}

// Check reports what Apply and Build would have against the plan in a store that
// holds nothing. It writes nothing.
func (p *Plan) Check(ctx context.Context) error {
	return newApplier(ctx, p).check(nil)
}

// Small reports whether Apply writes the plan in one Update.
func (p *Plan) Small() bool {
	return p.Len() <= wholeRecords && p.records.size <= wholeBytes
}

func newApplier(ctx context.Context, p *Plan) *applier {
	a := &applier{
		ctx: ctx, plan: p,
		ids: make([]uint32, len(p.kinds)), outside: map[symbol]uint32{}, known: map[roster.DirectoryID]bool{},
	}
	for i := range a.ids {
		a.ids[i] = absent
	}
	return a
}

// result returns what was done, or why it was not.
func (a *applier) result(err error) (Summary, error) {
	if err != nil {
		return Summary{}, err
	}
	if a.sum.Unresolved > 0 {
		where := ""
		if a.first != nil {
			where = fmt.Sprintf(" (%s, line %d)", a.plan.inputs[a.first.at.input()], a.first.at.line())
		}
		a.plan.warn("left out %s%s", a.unresolved(), where)
	}
	if a.selves > 0 {
		a.plan.warn("left out groups that are members of themselves, which changes nothing: %d", a.selves)
	}
	return a.sum, nil
}

// unresolved words how many members name nobody.
func (a *applier) unresolved() string {
	if a.first == nil {
		return fmt.Sprintf("members that are neither users nor groups: %d", a.sum.Unresolved)
	}
	return fmt.Sprintf("members that name nobody: %d, the first is %s", a.sum.Unresolved, quoteStart([]byte(a.first.name)))
}

// Import reads inputs and writes them into a store: Read and Apply.
func Import(ctx context.Context, e *roster.Engine, o Options, inputs ...Input) (Summary, error) {
	p, err := Read(ctx, o, inputs...)
	if err != nil {
		return Summary{}, err
	}
	defer p.Close()
	return p.Apply(ctx, e)
}

// whole checks and writes in one Update.
func (a *applier) whole(e *roster.Engine) error {
	revision, err := e.Update(a.ctx, func(tx *roster.Txn) error {
		a.update = func(fn func(writer) error) error { return fn(txnWriter{tx}) }
		if err := a.check(tx); err != nil {
			return err
		}
		return a.write()
	})
	a.sum.Revision = revision
	return err
}

// batches checks as of one revision and writes in many Updates.
func (a *applier) batches(e *roster.Engine) error {
	if err := e.View(a.ctx, a.check); err != nil {
		return err
	}
	a.update = func(fn func(writer) error) error {
		revision, err := e.Update(a.ctx, func(tx *roster.Txn) error { return fn(txnWriter{tx}) })
		a.sum.Revision = max(a.sum.Revision, revision)
		return err
	}
	return a.write()
}

// check finds everything of the plan in the store, and what is against it. A
// nil tx is a store that holds nothing.
func (a *applier) check(tx *roster.Txn) error {
	if err := a.checkDirectories(tx); err != nil {
		return err
	}
	err := a.plan.eachRecord(a.ctx, func(rec *record) error {
		if d := a.directory(rec); !a.known[d] {
			return problemf(ErrUnresolved, `directory %s is neither in the input nor in the store: add a line {"kind":"directory","id":%s,"name":"…"}`, d, d)
		}
		if tx == nil {
			return nil
		}
		return a.checkRecord(tx, rec)
	})
	if err != nil {
		return err
	}
	if tx != nil && a.plan.format != LDIF { // an LDIF refers only to what it holds
		a.findOutside(tx)
	}
	return a.count()
}

func (a *applier) checkDirectories(tx *roster.Txn) error {
	named := map[string]roster.Directory{}
	if tx != nil {
		for _, d := range tx.Directories() {
			a.known[d.ID] = true
			named[text.Fold(d.Name)] = d
		}
	}
	if a.plan.format == LDIF {
		a.findHome(named)
	}
	for _, rec := range a.plan.directories {
		if d, ok := named[text.Fold(rec.name)]; ok && d.ID != rec.directory {
			return a.plan.fail(rec.at, problemf(ErrDuplicate, "the store's directory %s has the name %q", d.ID, rec.name))
		}
		a.known[rec.directory] = true
	}
	return nil
}

// findHome finds the directory of an LDIF, or the lowest free id for it.
func (a *applier) findHome(named map[string]roster.Directory) {
	name := cmp.Or(a.plan.opts.Directory, "default")
	if d, ok := named[text.Fold(name)]; ok {
		a.home = &d
		return
	}
	id := roster.DirectoryID(1)
	for a.known[id] {
		id++
	}
	a.known[id] = true
	// An LDIF without users and groups makes none.
	a.home, a.newHome = &roster.Directory{ID: id, Name: name}, a.plan.users+a.plan.groups > 0
}

// directory returns where a record belongs.
func (a *applier) directory(rec *record) roster.DirectoryID {
	if a.home != nil {
		return a.home.ID
	}
	return rec.directory
}

// checkRecord finds a record in the store. What identifies it must not be
// another's there.
func (a *applier) checkRecord(tx *roster.Txn, rec *record) error {
	find := userFinder(tx)
	if rec.kind == kindGroup {
		find = groupFinder(tx)
	}
	id, ok := find.byName(a.directory(rec), rec.name)
	if ok {
		a.ids[rec.slot] = id
	} else {
		id = absent
	}
	if rec.has&hasNumber != 0 {
		if other, ok := find.byNumber(rec.number); ok && other != id {
			return problemf(ErrDuplicate, "the store's %s %q has the id %d", rec.kind, find.name(other), rec.number)
		}
	}
	if uid, ok := rec.ownUID(); ok {
		if other, ok := find.byUID(uid); ok && other != id {
			return problemf(ErrDuplicate, "the store's %s %q has the uid %q", rec.kind, find.name(other), uid)
		}
	}
	return nil
}

// finder looks users up, or groups.
type finder struct {
	byName   func(roster.DirectoryID, string) (uint32, bool)
	byNumber func(uint64) (uint32, bool)
	byUID    func(string) (uint32, bool)
	name     func(uint32) string
}

func userFinder(tx *roster.Txn) finder {
	return finder{
		byName: func(d roster.DirectoryID, name string) (uint32, bool) {
			id, ok := tx.UserByName(d, name)
			return uint32(id), ok
		},
		byNumber: func(n uint64) (uint32, bool) { id, ok := tx.UserByNumber(n); return uint32(id), ok },
		byUID:    func(uid string) (uint32, bool) { id, ok := tx.UserByUID(uid); return uint32(id), ok },
		name:     func(id uint32) string { return tx.Username(roster.UserID(id)) },
	}
}

func groupFinder(tx *roster.Txn) finder {
	return finder{
		byName: func(d roster.DirectoryID, name string) (uint32, bool) {
			id, ok := tx.GroupByName(d, name)
			return uint32(id), ok
		},
		byNumber: func(n uint64) (uint32, bool) { id, ok := tx.GroupByNumber(n); return uint32(id), ok },
		byUID:    func(uid string) (uint32, bool) { id, ok := tx.GroupByUID(uid); return uint32(id), ok },
		name:     func(id uint32) string { return tx.GroupName(roster.GroupID(id)) },
	}
}

// findOutside finds in the store what JSON lines refer to and do not define.
func (a *applier) findOutside(tx *roster.Txn) {
	users, groups := userFinder(tx), groupFinder(tx)
	for sym, ref := range a.plan.symbols.pending {
		find := users
		if ref.kind == kindGroup {
			find = groups
		}
		if id, ok := find.byName(ref.directory, ref.name); ok {
			a.outside[sym] = id
		}
	}
}

// resolve returns what a symbol stands for. ok is false for nothing; the id of
// a record that is yet to be created is absent.
func (a *applier) resolve(sym symbol) (t target, ok bool) {
	if slot := a.plan.symbols.stands[sym]; slot != nobody {
		k := a.plan.kinds[slot]
		return target{k, a.ids[slot]}, k != 0
	}
	id, ok := a.outside[sym]
	if !ok {
		return target{}, false
	}
	return target{a.plan.symbols.pending[sym].kind, id}, true
}

// count goes through all memberships before anything is written.
func (a *applier) count() error {
	a.sum = Summary{Users: a.plan.users, Groups: a.plan.groups}
	err := a.plan.eachEdge(a.ctx, func(group, member symbol) error {
		g, ok := a.resolve(group)
		if ok && g.kind != kindGroup || !ok && a.plan.format == LDIF {
			return nil // the members of an LDIF entry that is no group
		}
		missing := group
		if ok {
			if _, ok = a.resolve(member); ok {
				if group == member {
					a.selves++
				} else {
					a.sum.Memberships++
				}
				return nil
			}
			missing = member
		}
		a.sum.Unresolved++
		if ref := a.plan.symbols.pending[missing]; ref != nil && (a.first == nil || ref.at < a.first.at) {
			a.first = ref
		}
		return nil
	})
	if err != nil || a.sum.Unresolved == 0 || !a.plan.opts.Strict {
		return err
	}
	err = problemf(ErrUnresolved, "%s", a.unresolved())
	if a.first == nil {
		return err
	}
	return a.plan.fail(a.first.at, err)
}

// write writes directories, then records, then memberships.
func (a *applier) write() error {
	if err := a.writeDirectories(); err != nil {
		return err
	}
	// Records that bring their id or uid go first: one assigned before them
	// might be theirs.
	for _, own := range []bool{true, false} {
		err := a.plan.eachRecord(a.ctx, func(rec *record) error {
			if own != (rec.has&(hasNumber|hasUID) != 0) {
				return nil
			}
			return a.addRecord(rec)
		})
		if err == nil {
			err = a.flushRecords()
		}
		if err != nil {
			return err
		}
	}
	if err := a.plan.eachEdge(a.ctx, a.addEdge); err != nil {
		return err
	}
	return a.flushEdges()
}

func (a *applier) writeDirectories() error {
	return a.update(func(w writer) error {
		if a.newHome {
			if err := w.PutDirectory(*a.home); err != nil {
				return err
			}
		}
		for i := range a.plan.directories {
			rec := &a.plan.directories[i]
			if err := a.plan.fail(rec.at, rec.put(w)); err != nil {
				return err
			}
			a.progress(1)
		}
		return nil
	})
}

func (a *applier) progress(n int) {
	a.done += int64(n)
	if a.plan.opts.Progress != nil {
		a.plan.opts.Progress(Storing, a.done, a.plan.Len())
	}
}

// addRecord puts a record into the batch.
func (a *applier) addRecord(rec *record) error {
	a.batch = append(a.batch, *rec)
	a.batchSize += rec.size
	if len(a.batch) < batchRecords && a.batchSize < batchBytes {
		return nil
	}
	return a.flushRecords()
}

func (a *applier) flushRecords() error {
	if len(a.batch) == 0 {
		return nil
	}
	err := a.update(func(w writer) error {
		for i := range a.batch {
			rec := &a.batch[i]
			if err := a.plan.fail(rec.at, a.put(w, rec)); err != nil {
				return err
			}
		}
		return nil
	})
	a.progress(len(a.batch))
	a.batch, a.batchSize = a.batch[:0], 0
	return err
}

// put creates a record or changes what differs.
func (a *applier) put(w writer, rec *record) (err error) {
	if tx, ok := w.(txnWriter); ok && a.ids[rec.slot] != absent {
		return rec.change(tx.Txn, a.ids[rec.slot])
	}
	a.ids[rec.slot], err = rec.create(w, a.directory(rec))
	return err
}

// addEdge puts a membership into the batch if both ends resolve.
func (a *applier) addEdge(group, member symbol) error {
	g, ok := a.resolve(group)
	m, found := a.resolve(member)
	if ok && found && g.kind == kindGroup && group != member {
		a.edges = append(a.edges, edge{roster.GroupID(g.id), m})
	}
	a.progress(1)
	if len(a.edges) < batchEdges {
		return nil
	}
	return a.flushEdges()
}

// flushEdges writes the batch, the members of each group together.
func (a *applier) flushEdges() error {
	if len(a.edges) == 0 {
		return nil
	}
	slices.SortFunc(a.edges, func(x, y edge) int {
		return cmp.Or(cmp.Compare(x.group, y.group), cmp.Compare(x.member.id, y.member.id))
	})
	var users []roster.UserID
	var groups []roster.GroupID
	err := a.update(func(w writer) error {
		for i := 0; i < len(a.edges); {
			g := a.edges[i].group
			users, groups = users[:0], groups[:0]
			for ; i < len(a.edges) && a.edges[i].group == g; i++ {
				if m := a.edges[i].member; m.kind == kindUser {
					users = append(users, roster.UserID(m.id))
				} else {
					groups = append(groups, roster.GroupID(m.id))
				}
			}
			if len(users) > 0 {
				if err := w.AddMembers(g, users); err != nil {
					return fmt.Errorf("members of a group: %w", err)
				}
			}
			if len(groups) > 0 {
				if err := w.Nest(g, groups...); err != nil {
					return fmt.Errorf("groups in a group: %w", err)
				}
			}
		}
		return nil
	})
	a.edges = a.edges[:0]
	return err
}
