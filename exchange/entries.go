package exchange

import (
	"context"
	"errors"
	"iter"
	"math"

	"github.com/rosterdb/roster"
)

// Entry is a user or a group of a Plan.
type Entry struct {
	Slot      uint32 // its number in the plan
	Group     bool
	Directory roster.DirectoryID // as JSON lines say; 0 of LDIF and CSV

	// Key is what outlives a change of name: the uid or id of a JSON line,
	// entryUUID, objectGUID or nsUniqueId of an LDIF. "" if there is none.
	Key string

	Name        string
	FullName    string
	Email       string
	Description string
	Active      bool
	Attributes  map[string][]string

	// What the input says nothing of.
	NoFullName, NoEmail, NoDescription, NoActive bool
}

// EntryMember says that a group has a direct member.
type EntryMember struct {
	Group  uint32 // slots
	Member uint32 // NoEntry for one that the input does not define
	User   string // then its username, if that is all that the input says of it
}

// NoEntry is no slot.
const NoEntry = math.MaxUint32

// errStop ends a walk whose caller has had enough.
var errStop = errors.New("enough")

// Entries yields the users and groups of the plan in the order of the input, for
// a program that does something else with them than Apply.
func (p *Plan) Entries(ctx context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		err := p.eachRecord(ctx, func(rec *record) error {
			key := rec.identity
			if uid, ok := rec.ownUID(); ok && key == "" {
				key = uid
			}
			e := Entry{
				Slot: rec.slot, Group: rec.kind == kindGroup, Directory: rec.directory, Key: key,
				Name: rec.name, FullName: rec.fullName, Email: rec.email, Description: rec.description, Active: rec.flag, Attributes: rec.attributes,
				NoFullName: rec.has&hasFullName == 0, NoEmail: rec.has&hasEmail == 0, NoDescription: rec.has&hasDescription == 0, NoActive: rec.has&hasFlag == 0,
			}
			if !yield(e, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(Entry{}, err)
		}
	}
}

// Members yields the direct members of the groups of the plan in the order of the
// input. A group that the input does not define is left out.
func (p *Plan) Members(ctx context.Context) iter.Seq2[EntryMember, error] {
	return func(yield func(EntryMember, error) bool) {
		err := p.eachLink(ctx, func(l link) error {
			group := p.symbols.stands[l.group]
			if l.relation != memberOf || group == nobody || p.kindOf[group] != kindGroup {
				return nil
			}
			m := EntryMember{Group: group, Member: p.symbols.stands[l.member]}
			if m.Member != nobody && p.kindOf[m.Member] == 0 {
				m.Member = NoEntry
			}
			if ref := p.symbols.pending[l.member]; ref != nil && ref.kind == kindUser && !ref.byUID {
				m.User = ref.name
			}
			if !yield(m, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(EntryMember{}, err)
		}
	}
}

// Format returns the format of what was read, Auto for no input.
func (p *Plan) Format() Format { return p.format }
