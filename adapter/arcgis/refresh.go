package arcgis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/text"
)

// Refresher brings one directory of the engine up to what its identity source
// says: a directory.Link with its reports taken apart (docs/arcgis.md shows the
// lines). When it returns, what it changed can be read. It must be safe for
// concurrent use.
//
// An error that wraps access.ErrUnavailable says that the source cannot be asked,
// one that wraps ErrTooMuch that nothing was changed because too much would go. The
// text of any error is for the Logger only.
type Refresher interface {
	// Refresh asks the source which groups users belong to, and writes what is
	// different, as one Update if it can. Users are named by username, without
	// domain; they may be unknown to the engine. Actor is who asked, as
	// domain\name. It returns the names that neither the source nor the engine
	// has.
	Refresh(ctx context.Context, actor string, users ...string) (unknown []string, err error)

	// RefreshGroups does so for the members of groups and of all groups within
	// them.
	RefreshGroups(ctx context.Context, actor string, groups ...string) (unknown []string, err error)
}

// ErrTooMuch is what a Refresher returns that holds back a change which somebody has
// to look at: one that would remove an uncommonly large part of what there is, as
// when a source has been emptied by mistake. The host wraps its own error in it.
var ErrTooMuch = errors.New("arcgis: the identity source would take away too much")

// errNoSource is told when there is nobody to ask.
var errNoSource = badRequest("This operation needs enterprise groups, and no identity source is configured for them. Nothing was refreshed.")

// assignment says which names each source is asked for.
type assignment struct {
	bySource map[string][]string
	asked    map[string]map[string]bool // source, folded name
	sources  map[string]int             // given name: how many sources were asked for it
	given    map[string][]string        // source + NUL + folded name: what the request called it
}

func (c *call) refreshUsers() (*result, error) {
	return c.refresh("users", "user", (*call).groupsOf, func(n *names, d roster.DirectoryID, name string) bool {
		_, ok := n.userIn(d, name)
		return ok
	}, Refresher.Refresh)
}

func (c *call) refreshGroups() (*result, error) {
	return c.refresh("groups", "group", (*call).usersOf, func(n *names, d roster.DirectoryID, name string) bool {
		_, ok := n.tx.GroupByName(d, name)
		return ok
	}, Refresher.RefreshGroups)
}

// refresh has sources refresh the names in a parameter. Sources are asked one
// after the other, each of which makes a revision of its own: what one has written
// stays when the next one fails.
func (c *call) refresh(
	param, what string, page func(*call, string) string, has func(*names, roster.DirectoryID, string) bool,
	do func(r Refresher, ctx context.Context, actor string, names ...string) ([]string, error),
) (*result, error) {
	given, err := c.p.list(param, c.o.MaxNames)
	if err != nil {
		return nil, err
	}
	var a *assignment
	var actor string
	err = c.view(func(tx *roster.Txn) error {
		n := c.names(tx)
		actor = n.show(c.who.Directory, c.who.Username)
		if len(c.o.Sources) == 0 {
			return errNoSource
		}
		a, err = c.assign(n, given, has)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, source := range slices.Sorted(maps.Keys(a.bySource)) {
		unknown, err := do(c.o.Sources[source], c.r.Context(), actor, a.bySource[source]...)
		if err != nil {
			return nil, fmt.Errorf("%s of the directory %q: %w", param, source, err)
		}
		a.answered(source, unknown)
	}
	unknown := a.unknown(given)
	c.o.Logger.Info("arcgis: refreshed", "operation", c.op.at, "by", actor, "names", len(given), "unknown", len(unknown))
	if c.o.StrictUsers && len(unknown) > 0 {
		return nil, badRequest(fmt.Sprintf("Unknown %ss: %s.", what, someOf(unknown)))
	}
	out := &result{body: succeeded}
	if c.format == formatHTML {
		out.note, out.table = a.report(given, unknown, what, func(name string) string { return page(c, name) })
	}
	return out, nil
}

// report says for readers what became of each name, beginning with what nobody knows.
func (a *assignment) report(given, unknown []string, what string, page func(name string) string) (note string, t *table) {
	const most = 1000
	asked := map[string]bool{}
	for _, refs := range a.given {
		for _, ref := range refs {
			asked[ref] = true
		}
	}
	t = &table{Columns: []string{strings.ToUpper(what[:1]) + what[1:], "Result"}}
	row := func(name, href, outcome string) {
		if len(t.Rows) < most {
			t.Rows = append(t.Rows, []cell{{clip(name), href}, {Text: outcome}})
		} else {
			t.More = fmt.Sprintf("Only %d of %d names are shown.", most, len(given))
		}
	}
	for _, ref := range unknown {
		row(ref, "", "Not known")
	}
	refreshed := 0
	for _, ref := range given {
		switch {
		case a.sources[ref] <= 0:
		case asked[ref]:
			refreshed++
			row(ref, page(ref), "Refreshed")
		default:
			row(ref, page(ref), "Has no identity source")
		}
	}
	return "Refreshed: " + counted(refreshed, what, false), t
}

func someOf(list []string) string {
	const most = 20
	shown := make([]string, 0, most)
	for _, s := range list[:min(most, len(list))] {
		shown = append(shown, clip(s))
	}
	if len(list) > most {
		shown = append(shown, fmt.Sprintf("and %d more", len(list)-most))
	}
	return strings.Join(shown, ", ")
}

// assign finds out which source each name is for: those whose directory has it;
// or the one whose directory it names, if that has somebody of the name or nobody else
// is called so; or, unless it is somebody without a source, all of them, since a source
// may know people whom the engine does not know yet.
func (c *call) assign(n *names, given []string, has func(*names, roster.DirectoryID, string) bool) (*assignment, error) {
	a := &assignment{map[string][]string{}, map[string]map[string]bool{}, map[string]int{}, map[string][]string{}}
	sourced := map[roster.DirectoryID]string{}
	missing := map[string]bool{} // sources whose directory does not exist yet
	for s := range c.o.Sources {
		missing[s] = true
		if d, err := n.tx.DirectoryByName(s); err == nil {
			sourced[d.ID] = s
			delete(missing, s)
		}
	}
	for i, ref := range given {
		if err := stopped(c.r.Context(), i+1); err != nil {
			return nil, err
		}
		a.assignOne(n, ref, sourced, missing, has)
	}
	return a, nil
}

func (a *assignment) assignOne(n *names, ref string, sourced map[roster.DirectoryID]string, missing map[string]bool, has func(*names, roster.DirectoryID, string) bool) {
	elsewhere := false
	asWhole := text.Normal(ref)
	take := func(d roster.DirectoryID, name string) (struct{}, bool) {
		if !has(n, d, name) {
			return struct{}{}, false
		}
		if s, ok := sourced[d]; ok {
			a.ask(s, ref, name)
		} else {
			elsewhere = true
		}
		return struct{}{}, true
	}
	lookup(n, ref, take)
	if a.sources[ref] == 0 { // who is called name@domain without a source keeps nobody from being refreshed
		for i := range n.dirs {
			if name, ok := n.dirs[i].local(asWhole); ok {
				take(n.dirs[i].id, name)
			}
		}
	}
	if elsewhere { // known to the engine, whatever a source says
		a.sources[ref]++
	}
	if a.sources[ref] > 0 {
		return
	}
	for i := range n.dirs {
		if name, ok := n.dirs[i].local(asWhole); ok {
			if s, ok := sourced[n.dirs[i].id]; ok {
				a.ask(s, ref, name)
			} else {
				elsewhere = true // nobody of that name in a directory without a source
			}
		}
	}
	if a.sources[ref] > 0 || elsewhere {
		return
	}
	for _, s := range sourced {
		a.ask(s, ref, asWhole)
	}
	for s := range missing {
		a.ask(s, ref, asWhole)
	}
}

// ask notes that a source is to be asked for a name, once whatever it is called.
func (a *assignment) ask(source, ref, name string) {
	folded := text.Fold(name)
	if a.asked[source] == nil {
		a.asked[source] = map[string]bool{}
	}
	if !a.asked[source][folded] {
		a.asked[source][folded] = true
		a.bySource[source] = append(a.bySource[source], name)
	}
	key := source + "\x00" + folded
	a.given[key] = append(a.given[key], ref)
	a.sources[ref]++
}

// answered takes note of what a source does not know.
func (a *assignment) answered(source string, unknown []string) {
	for _, name := range unknown {
		for _, ref := range a.given[source+"\x00"+text.Fold(name)] {
			a.sources[ref]--
		}
	}
}

// unknown returns the names that nobody knows, in the order of the request.
func (a *assignment) unknown(given []string) []string {
	var out []string
	for _, ref := range given {
		if a.sources[ref] <= 0 {
			out = append(out, ref)
		}
	}
	return out
}
