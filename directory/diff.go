package directory

import (
	"strings"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/text"
)

// What says what becomes of a record: a set of bits.
type What uint8

// What may become of a record.
const (
	Created     What = 1 << iota
	Renamed          // the same user or group under another name
	Changed          // another field or attribute
	Activated        // may log in again
	Deactivated      // may not log in any more
	Gone             // the source does not have it any more
	Deleted
)

func (w What) String() string {
	var out []string
	for i, name := range []string{"created", "renamed", "changed", "activated", "deactivated", "gone", "deleted"} {
		if w&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return strings.Join(out, ", ")
}

// RecordChange is what becomes of one user or group.
type RecordChange struct {
	Name string // from now on
	Was  string // so far, of one that is renamed
	What What
}

// MembershipChange is a direct membership that begins or ends.
type MembershipChange struct {
	Group    string
	Member   string // a username, or the name of a group
	Subgroup bool   // the member is a group
}

// Diff is the difference between a source and an engine, in the order in which it
// is written. It belongs to whoever has it.
type Diff struct {
	Users   []RecordChange
	Groups  []RecordChange
	Added   []MembershipChange
	Removed []MembershipChange // those that end with a user or group that is deleted are not listed
}

// Empty reports whether there is no difference.
func (d *Diff) Empty() bool {
	return len(d.Users)+len(d.Groups)+len(d.Added)+len(d.Removed) == 0
}

// Count returns how many of some changes have one of the bits.
func Count(changes []RecordChange, bits What) int {
	n := 0
	for _, c := range changes {
		if c.What&bits != 0 {
			n++
		}
	}
	return n
}

// Report says what a run read and did.
type Report struct {
	Diff     Diff
	DryRun   bool
	Revision roster.Revision // in which all of it is; of a dry run, that it was compared with

	Users       int // read from the source
	Groups      int
	Memberships int // likewise, direct ones whose group and member are known
	Unresolved  int // memberships whose member or group is no user and no group of the source

	// Refused is, of a dry run, the *GuardError with which the run would fail.
	Refused error

	// Problems are entries that were left out, *EntryError each, and users or
	// groups that could not be written as the source has them.
	Problems []error

	// Unknown are names that were asked for and that neither the source nor the
	// engine has.
	Unknown []string

	Duration time.Duration
}

// diff puts a plan into words.
func (p *plan) diff(tx *roster.Txn) Diff {
	var d Diff
	for _, put := range p.putUsers {
		d.Users = append(d.Users, recordChange(put.name, put.was, put.what))
	}
	for _, g := range p.gone {
		what := Gone
		if !g.write {
			continue
		}
		switch {
		case g.delete:
			what |= Deleted
		case g.active:
			what |= Deactivated
		}
		d.Users = append(d.Users, RecordChange{Name: g.name, What: what})
	}
	for _, a := range p.aside {
		d.Users = append(d.Users, RecordChange{a.now, a.was, Gone | Renamed})
	}
	for _, a := range p.asideG {
		d.Groups = append(d.Groups, RecordChange{a.now, a.was, Gone | Renamed})
	}
	for _, put := range p.putGroups {
		d.Groups = append(d.Groups, recordChange(put.name, put.was, put.what))
	}
	for _, g := range p.goneGroup {
		if p.o.VanishedGroups == Delete {
			d.Groups = append(d.Groups, RecordChange{Name: g.name, What: Gone | Deleted})
		}
	}
	for _, e := range p.join {
		c := MembershipChange{Group: text.Normal(p.groups[e.group].name), Subgroup: e.member < 0}
		if e.member >= 0 {
			c.Member = text.Normal(p.users.name(int(e.member)))
		} else {
			c.Member = text.Normal(p.groups[^e.member].name)
		}
		d.Added = append(d.Added, c)
	}
	for _, l := range p.leave {
		c := MembershipChange{Group: tx.GroupName(l.group), Member: tx.Username(l.user), Subgroup: l.isSub}
		if l.isSub {
			c.Member = tx.GroupName(l.sub)
		}
		d.Removed = append(d.Removed, c)
	}
	return d
}

func recordChange(name, was string, what What) RecordChange {
	if what&Renamed == 0 {
		was = ""
	}
	return RecordChange{name, was, what}
}
