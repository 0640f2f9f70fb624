package model

import (
	"maps"
	"slices"

	"github.com/rosterdb/roster"
)

// Set is a set of users.
type Set map[roster.UserID]bool

// Below returns a group and every group nested in it at any depth.
func (m *Model) Below(g roster.GroupID) map[roster.GroupID]bool {
	seen := map[roster.GroupID]bool{g: true}
	for todo := []roster.GroupID{g}; len(todo) > 0; todo = todo[1:] {
		for child := range m.Groups[todo[0]].Children {
			if !seen[child] {
				seen[child] = true
				todo = append(todo, child)
			}
		}
	}
	return seen
}

// Effective returns the members of a group and of all groups below it.
func (m *Model) Effective(g roster.GroupID) Set {
	out := Set{}
	for below := range m.Below(g) {
		maps.Copy(out, m.Groups[below].Members)
	}
	return out
}

// Parents reports of each group whether g is nested in it directly.
func (m *Model) Parents(g roster.GroupID) func(roster.GroupID) bool {
	return func(p roster.GroupID) bool { return m.Groups[p].Children[g] }
}

// Pairs counts (group, group above it) and (group, group that it administers, at
// any depth): what Options.MaxNesting bounds. A group in a cycle lies above
// itself.
func (m *Model) Pairs() int {
	n := 0
	for _, g := range m.LiveGroups {
		n += m.countBelow(m.Groups[g].Children) + m.countBelow(m.Groups[g].AdminGroups)
	}
	return n
}

// countBelow counts groups and all that is nested in them.
func (m *Model) countBelow(groups map[roster.GroupID]bool) int {
	below := map[roster.GroupID]bool{}
	for g := range groups {
		maps.Copy(below, m.Below(g))
	}
	return len(below)
}

// OverLimit reports whether the update has to fail with ErrLimit.
func (m *Model) OverLimit() bool { return m.Pairs() > m.maxNesting }

// Memberships counts direct memberships of users.
func (m *Model) Memberships() (n int) {
	for _, g := range m.Groups {
		n += len(g.Members)
	}
	return n
}

// Nestings counts direct memberships of groups.
func (m *Model) Nestings() (n int) {
	for _, g := range m.Groups {
		n += len(g.Children)
	}
	return n
}

// All returns all users.
func (m *Model) All() Set {
	return m.where(func(*User) bool { return true })
}

// Active returns the users that are active.
func (m *Model) Active() Set {
	return m.where(func(u *User) bool { return u.Active })
}

// InDirectory returns the users of a directory.
func (m *Model) InDirectory(d roster.DirectoryID) Set {
	return m.where(func(u *User) bool { return u.Directory == d })
}

func (m *Model) where(keep func(*User) bool) Set {
	out := Set{}
	for id, u := range m.Users {
		if keep(u) {
			out[id] = true
		}
	}
	return out
}

// Abilities returns the union of the abilities of groups, sorted.
func (m *Model) Abilities(groups []roster.GroupID) []string {
	var out []string
	for _, g := range groups {
		out = append(out, m.Groups[g].Abilities...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
