package arcgis

import (
	"fmt"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/text"
)

// names knows how the directories of a transaction are called, to read and to
// write names as domain\name.
type names struct {
	tx    *roster.Txn
	dirs  []directory
	exact bool // capital letters count
}

type directory struct {
	id     roster.DirectoryID
	domain string   // as it is shown
	called []string // domain and name, folded
}

func (c *call) names(tx *roster.Txn) *names {
	n := &names{tx: tx, exact: c.o.Store.caseSensitive()}
	for _, d := range tx.Directories() {
		n.dirs = append(n.dirs, directory{d.ID, d.Domain, []string{text.Fold(d.Domain), text.Fold(d.Name)}})
	}
	return n
}

func (d *directory) isCalled(folded string) bool {
	return folded == d.called[0] || folded == d.called[1]
}

// show returns a name with the domain of its directory.
func (n *names) show(id roster.DirectoryID, name string) string {
	for i := range n.dirs {
		if n.dirs[i].id == id {
			return n.dirs[i].domain + `\` + name
		}
	}
	return name
}

// local returns the name in a directory that a reference may mean, as domain\name
// or name@domain, if it names that directory.
func (d *directory) local(ref string) (name string, ok bool) {
	if domain, name, found := strings.Cut(ref, `\`); found && name != "" && d.isCalled(text.Fold(domain)) {
		return name, true
	}
	if i := strings.LastIndexByte(ref, '@'); i > 0 && d.isCalled(text.Fold(ref[i+1:])) {
		return ref[:i], true
	}
	return "", false
}

// lookup finds what a reference means, by a function that finds a whole name in a
// directory: what is shown just so, as domain\name, so that nobody is taken for
// another one who is called like that; otherwise what is called just so, and
// otherwise what is in the directory that the reference names. What it finds is
// empty for nothing and longer than one if it is not clear.
func lookup[ID any](n *names, ref string, in func(roster.DirectoryID, string) (ID, bool)) (found []ID, shown []string) {
	ref = text.Normal(ref)
	take := func(d *directory, name string) {
		if id, ok := in(d.id, name); ok {
			found, shown = append(found, id), append(shown, d.domain+`\`+name)
		}
	}
	domain, name, _ := strings.Cut(ref, `\`)
	for i := range n.dirs {
		if name != "" && text.Fold(domain) == n.dirs[i].called[0] {
			take(&n.dirs[i], name)
		}
	}
	if len(found) > 0 {
		return found, shown
	}
	for i := range n.dirs {
		take(&n.dirs[i], ref)
	}
	if len(found) > 0 {
		return found, shown
	}
	for i := range n.dirs {
		if name, ok := n.dirs[i].local(ref); ok {
			take(&n.dirs[i], name)
		}
	}
	return found, shown
}

// typed is lookup for what somebody may have typed with white space around it,
// which counts if something is called so.
func typed[ID any](n *names, ref string, in func(roster.DirectoryID, string) (ID, bool)) (found []ID, shown []string) {
	if found, shown = lookup(n, ref, in); len(found) == 0 {
		found, shown = lookup(n, strings.TrimSpace(ref), in)
	}
	return found, shown
}

// user finds the user that a reference means.
func (n *names) user(ref string) (roster.UserID, error) {
	found, shown := typed(n, ref, n.userIn)
	return only(found, shown, "User", ref)
}

func (n *names) userIn(d roster.DirectoryID, name string) (roster.UserID, bool) {
	id, ok := n.tx.UserByName(d, name)
	return id, ok && (!n.exact || n.tx.Username(id) == name)
}

// group finds the enterprise group that a reference means.
func (n *names) group(ref string) (roster.GroupID, error) {
	var failed error
	found, shown := typed(n, ref, func(d roster.DirectoryID, name string) (roster.GroupID, bool) {
		id, ok := n.tx.GroupByName(d, name)
		if !ok || n.exact && n.tx.GroupName(id) != name {
			return id, false
		}
		g, err := n.tx.GroupHead(id)
		if err != nil {
			failed = err
		}
		return id, g.Enterprise
	})
	if failed != nil {
		return 0, failed
	}
	return only(found, shown, "Enterprise group", ref)
}

func only[ID any](found []ID, shown []string, what, ref string) (id ID, err error) {
	switch len(found) {
	case 0:
		return id, notFound(what, ref)
	case 1:
		return found[0], nil
	}
	if len(shown) > 5 {
		shown = append(shown[:5:5], "…")
	}
	return id, badRequest(fmt.Sprintf("%s '%s' is not clear: it may be %s.", what, clip(ref), strings.Join(shown, ", ")))
}
