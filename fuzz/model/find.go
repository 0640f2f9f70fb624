package model

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rosterdb/roster"
)

// FindUser returns every user that a reference may mean: as a name in any
// directory, as name@directory (at the last @), as domain\name (at the first
// \), or as #number, which goes before everything else.
func (m *Model) FindUser(ref string) []roster.UserID {
	folded := Fold(ref)
	at, slash := split(ref, strings.LastIndexByte(ref, '@')), split(ref, strings.IndexByte(ref, '\\'))
	number, isNumber := number(ref)
	behind, before := m.called(at.right), m.called(slash.left)
	atName, slashName := Fold(at.left), Fold(slash.right)
	var out []roster.UserID
	for _, id := range m.Live {
		u := m.Users[id]
		switch {
		case isNumber && u.Number == number:
			return []roster.UserID{id}
		case u.Folded == folded,
			at.ok && behind[u.Directory] && u.Folded == atName,
			slash.ok && before[u.Directory] && u.Folded == slashName:
			out = append(out, id)
		}
	}
	return out
}

// FindGroup returns every group that a reference may mean: as a name in any
// directory, as directory:name (at the first colon), or as #number.
func (m *Model) FindGroup(ref string) []roster.GroupID {
	folded := Fold(ref)
	colon := split(ref, strings.IndexByte(ref, ':'))
	number, isNumber := number(ref)
	before, name := m.called(colon.left), Fold(colon.right)
	var out []roster.GroupID
	for _, id := range m.LiveGroups {
		g := m.Groups[id]
		switch {
		case isNumber && g.Number == number:
			return []roster.GroupID{id}
		case g.Folded == folded,
			colon.ok && before[g.Directory] && g.Folded == name:
			out = append(out, id)
		}
	}
	return out
}

// Answer returns what the engine has to answer of the users or groups that a
// reference may mean.
func Answer[T any](found []T) (one T, err error) {
	switch len(found) {
	case 0:
		return one, roster.ErrNotFound
	case 1:
		return found[0], nil
	}
	return one, roster.ErrAmbiguous
}

// UserRef returns a reference to a user, as an AmbiguousError lists it: by name
// and directory, or by number where that means others too.
func (m *Model) UserRef(u roster.UserID) string {
	ref := m.Users[u].Username + "@" + m.Directories[m.Users[u].Directory].Name
	if len(m.FindUser(ref)) != 1 {
		return fmt.Sprint("#", m.Users[u].Number)
	}
	return ref
}

// GroupRef returns a reference to a group, as an AmbiguousError lists it.
func (m *Model) GroupRef(g roster.GroupID) string {
	ref := m.Directories[m.Groups[g].Directory].Name + ":" + m.Groups[g].Name
	if len(m.FindGroup(ref)) != 1 {
		return fmt.Sprint("#", m.Groups[g].Number)
	}
	return ref
}

// Refs returns the references to what was found, sorted.
func Refs[T any](found []T, ref func(T) string) []string {
	out := make([]string, len(found))
	for i, f := range found {
		out[i] = ref(f)
	}
	slices.Sort(out)
	return out
}

type halves struct {
	left, right string
	ok          bool
}

func split(ref string, at int) halves {
	if at <= 0 {
		return halves{}
	}
	return halves{ref[:at], ref[at+1:], true}
}

// called returns the directories of which that is the name or the domain.
func (m *Model) called(name string) map[roster.DirectoryID]bool {
	out := map[roster.DirectoryID]bool{}
	for id, d := range m.Directories {
		if f := Fold(name); Fold(d.Name) == f || Fold(d.Domain) == f {
			out[id] = true
		}
	}
	return out
}

func number(ref string) (uint64, bool) {
	digits, ok := strings.CutPrefix(ref, "#")
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, ok && err == nil
}
