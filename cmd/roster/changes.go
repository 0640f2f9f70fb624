package main

import (
	"bytes"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/exchange"
)

// changeWriter writes changes with names in place of handles. A name is today's;
// of what exists no more, the last that the log told.
type changeWriter struct {
	tx     *roster.Txn
	home   func(roster.UserID) roster.DirectoryID
	users  map[roster.UserID][]byte
	groups map[roster.GroupID][]byte
}

func newChangeWriter(tx *roster.Txn) *changeWriter {
	return &changeWriter{tx: tx, home: directories(tx), users: map[roster.UserID][]byte{}, groups: map[roster.GroupID][]byte{}}
}

// line returns one change as a JSON line.
func (w *changeWriter) line(c roster.Change) []byte {
	pairs := []any{"revision", uint64(c.Revision), "time", c.Time.UTC().Format(time.RFC3339Nano), "change", string(c.Kind)}
	add := func(name string, value []byte) {
		pairs = append(pairs, name, jsontext.Value(bytes.TrimSuffix(value, []byte{'\n'})))
	}
	switch c.Kind {
	case roster.DirectoryPut:
		add("directory", exchange.AppendDirectory(nil, *c.Directory))
	case roster.DirectoryDeleted:
		add("directory", object("id", uint64(c.DirID)))
	case roster.UserPut:
		if w.tx.Username(c.UserID) == "" {
			w.users[c.UserID] = userName(c.User.Directory, c.User.Username)
		}
		add("user", exchange.AppendUser(nil, *c.User))
	case roster.UserDeleted:
		add("user", w.user(c.UserID))
	case roster.GroupPut:
		if w.tx.GroupName(c.GroupID) == "" {
			w.groups[c.GroupID] = groupName(c.Group.Directory, c.Group.Name)
		}
		add("group", exchange.AppendGroup(nil, *c.Group))
	case roster.MembersAdded, roster.MembersRemoved:
		add("group", w.group(c.GroupID))
		add("users", list(c.Members, w.user))
	case roster.GroupsNested, roster.GroupsUnnested:
		add("group", w.group(c.GroupID))
		add("subgroups", list(c.Subgroups, w.group))
	default:
		add("group", w.group(c.GroupID))
	}
	return object(pairs...)
}

// list returns a JSON array of what one returns for each.
func list[T any](all []T, one func(T) []byte) []byte {
	out := []byte{'['}
	for i, v := range all {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, bytes.TrimSuffix(one(v), []byte{'\n'})...)
	}
	return append(out, ']')
}

func (w *changeWriter) user(id roster.UserID) []byte {
	if name := w.tx.Username(id); name != "" {
		return userName(w.home(id), name)
	}
	if last, ok := w.users[id]; ok {
		return last
	}
	return object("gone", true) // created before the log begins, and removed since
}

func (w *changeWriter) group(id roster.GroupID) []byte {
	if g, err := w.tx.Group(id); err == nil {
		return groupName(g.Directory, g.Name)
	}
	if last, ok := w.groups[id]; ok {
		return last
	}
	return object("gone", true)
}

func userName(d roster.DirectoryID, name string) []byte {
	return object("directory", uint64(d), "username", name)
}

func groupName(d roster.DirectoryID, name string) []byte {
	return object("directory", uint64(d), "name", name)
}
