package exchange

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/internal/text"
)

const (
	// wholeRecords and wholeBytes bound what is written as one Update. Such an
	// Update is one record of the log and is held in memory until it is durable.
	wholeRecords = 100_000
	wholeBytes   = 32 << 20

	// batchRecords, batchBytes and batchLinks bound the Updates of a larger
	// import: large enough that the flush of each does not count, small enough
	// that other writers get their turn within a fraction of a second.
	batchRecords = 10_000
	batchBytes   = 4 << 20
	batchLinks   = 200_000
)

// absent is the handle of a record that the store does not have.
const absent = math.MaxUint32

// target is what a reference names in the store.
type target struct {
	kind kind
	id   uint32 // a UserID or GroupID, or absent
}

// applier writes a plan into an engine.
type applier struct {
	ctx       context.Context
	plan      *Plan
	ids       []uint32          // by record number: its handle in the store, or absent
	outside   map[symbol]uint32 // references to what only the store holds: its handle
	home      *roster.Directory // of an LDIF or CSV: the directory it goes to
	newHome   bool              // which has to be created
	known     map[roster.DirectoryID]bool
	uids      uidChanges
	orgs      map[key]*orgFacts
	demotions map[position]bool        // lines that take an owner's rights away
	hashes    map[position]access.Hash // of lines with a password or a secret
	anyone    map[string][]target      // users that API keys name without a directory
	now       time.Time                // of accounts and API keys that say no other
	sum       Summary
	selves    int64      // groups that are their own member
	first     *reference // of the members that name nothing; nil also when all of them name LDIF entries that are neither users nor groups
	done      int64
	update    func(fn func(writer) error) error
}

// Apply writes the plan into a store. Nothing is changed if it does not fit the
// store: a name, id or uid that another record has, a directory, organisation or
// role that nothing defines, an organisation that would lose its last owner, with
// Strict a member that nothing defines. Applying a plan that the store holds
// already changes nothing. A plan may be applied more than once.
func (p *Plan) Apply(ctx context.Context, e *roster.Engine) (Summary, error) {
	a := newApplier(ctx, p)
	if err := a.hash(e); err != nil {
		return Summary{}, err
	}
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
	if err := a.hash(nil); err != nil {
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
	return p.Len() <= wholeRecords && p.records.size+p.organizations.size+p.credentials.size <= wholeBytes
}

func newApplier(ctx context.Context, p *Plan) *applier {
	a := &applier{
		ctx: ctx, plan: p,
		ids: make([]uint32, len(p.kindOf)), outside: map[symbol]uint32{}, known: map[roster.DirectoryID]bool{},
		uids: uidChanges{gone: map[uint32]bool{}, not: map[uint32]string{}}, orgs: map[key]*orgFacts{}, demotions: map[position]bool{},
		hashes: map[position]access.Hash{}, anyone: map[string][]target{}, now: time.Now(),
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
		if d := a.directory(rec.directory); !a.known[d] {
			return problemf(ErrUnresolved, `directory %s is neither in the input nor in the store: add a line {"kind":"directory","id":%s,"name":"…"}`, d, d)
		}
		if tx != nil {
			if err := a.checkRecord(tx, rec); err != nil {
				return err
			}
		}
		return a.noteUID(tx, rec)
	})
	if err != nil {
		return err
	}
	if tx != nil && a.plan.format != LDIF { // an LDIF refers only to what it holds
		a.findOutside(tx)
	}
	a.sum = Summary{
		Users: a.plan.count[kindUser], Groups: a.plan.count[kindGroup],
		Organizations: a.plan.count[kindOrganization], Roles: a.plan.count[kindRole],
		Accounts: a.plan.count[kindAccount], Keys: a.plan.count[kindKey],
	}
	if err := a.countLinks(); err != nil {
		return err
	}
	if err := a.checkOrganizations(tx); err != nil {
		return err
	}
	if err := a.checkCredentials(tx); err != nil {
		return err
	}
	return a.strict()
}

func (a *applier) checkDirectories(tx *roster.Txn) error {
	named := map[string]roster.Directory{}
	if tx != nil {
		for _, d := range tx.Directories() {
			a.known[d.ID] = true
			named[text.Fold(d.Name)] = d
		}
	}
	if a.plan.format == LDIF || a.plan.format == CSV {
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

// findHome finds the directory of an LDIF or CSV, or the lowest free id for it.
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
	// An input without users and groups makes none.
	a.home, a.newHome = &roster.Directory{ID: id, Name: name}, a.plan.count[kindUser]+a.plan.count[kindGroup] > 0
}

// directory returns where a record belongs that its format says is in d.
func (a *applier) directory(d roster.DirectoryID) roster.DirectoryID {
	if a.home != nil {
		return a.home.ID
	}
	return d
}

// checkRecord finds a record in the store. What identifies it must not be
// another's there.
func (a *applier) checkRecord(tx *roster.Txn, rec *record) error {
	find := userFinder(tx)
	if rec.kind == kindGroup {
		find = groupFinder(tx)
	}
	id, ok := find.byName(a.directory(rec.directory), rec.name)
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

// findOutside finds in the store what the input refers to and does not define.
func (a *applier) findOutside(tx *roster.Txn) {
	users, groups := userFinder(tx), groupFinder(tx)
	for sym, ref := range a.plan.symbols.pending {
		find := users
		if ref.kind == kindGroup {
			find = groups
		}
		id, ok := find.byName(a.directory(ref.directory), ref.name)
		if ref.byUID {
			id, ok = find.byUID(ref.name)
			ok = ok && !a.uids.gone[id]
		}
		if ok {
			a.outside[sym] = id
		}
	}
}

// resolve returns what a symbol stands for. ok is false for nothing; the id of
// a record that is yet to be created is absent.
func (a *applier) resolve(sym symbol) (t target, ok bool) {
	if slot := a.plan.symbols.stands[sym]; slot != nobody {
		k := a.plan.kindOf[slot]
		return target{k, a.ids[slot]}, k != 0
	}
	id, ok := a.outside[sym]
	if !ok {
		return target{}, false
	}
	return target{a.plan.symbols.pending[sym].kind, id}, true
}

// countLinks goes through all members and administrators of groups before
// anything is written.
func (a *applier) countLinks() error {
	return a.plan.eachLink(a.ctx, func(l link) error {
		group, ok := a.resolve(l.group)
		if ok && group.kind != kindGroup || !ok && a.plan.format == LDIF {
			return nil // the members of an LDIF entry that is no group
		}
		if !ok {
			a.missing(a.plan.symbols.pending[l.group])
		} else if _, ok = a.resolve(l.member); !ok {
			a.missing(a.plan.symbols.pending[l.member])
		} else if l.relation == adminOf {
			a.sum.Admins++
		} else if l.group == l.member {
			a.selves++
		} else {
			a.sum.Memberships++
		}
		return nil
	})
}

// missing counts a reference that names nothing; nil is one to an LDIF entry
// that is neither user nor group.
func (a *applier) missing(ref *reference) {
	a.sum.Unresolved++
	if ref != nil && (a.first == nil || ref.at < a.first.at) {
		a.first = ref
	}
}

// strict makes what names nothing an error if it is to be one.
func (a *applier) strict() error {
	if a.sum.Unresolved == 0 || !a.plan.opts.Strict {
		return nil
	}
	err := problemf(ErrUnresolved, "%s", a.unresolved())
	if a.first == nil {
		return err
	}
	return a.plan.fail(a.first.at, err)
}
