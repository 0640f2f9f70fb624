package roster

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/rosterdb/roster/internal/idlist"
	"pgregory.net/rapid"
)

// TestFormatExamples holds the bytes shown in docs/format.md to what is written.
func TestFormatExamples(t *testing.T) {
	doc, err := os.ReadFile("docs/format.md")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 600_000_000, time.UTC)
	user := encodeUser(&User{Directory: 1, Username: "alice", Number: 15, UID: "usr_15", FullName: "Alice Liddell", Active: true, Created: at, Updated: at, Revision: 2})
	record := appendRecordHead(nil, at)
	record = appendOp(record, &op{kind: opAdd, num: 4, ids: []uint32{3, 5, 300}})
	record = appendOp(record, &op{kind: opNest, num: 9, ids: []uint32{4}})
	member := encodeMembership(&OrgMembership{
		Organization: "acme", Owner: true, Default: true, Permissions: []string{"read"}, Roles: []string{"clerk"},
		AllowedIPs: []netip.Prefix{netip.MustParsePrefix("201.54.122.0/24")}, Created: at, Updated: at, Revision: 2,
	}, []uint32{7})
	deleted := appendOp(appendRecordHead(nil, at), &op{kind: opDeleteData, num: 12, rec: string(appendStrings(nil, []string{"source", "7"}))})
	shard, err := encodeShard(roaring.BitmapOf(7, 9))
	if err != nil {
		t.Fatal(err)
	}
	st := &state{counters: counters{nextUser: 20, nextSet: 5, maxUser: 300, maxGroup: 4}, time: at}
	for name, b := range map[string][]byte{
		"user":   []byte(user),
		"member": []byte(member),
		"data":   []byte(encodeData("source", "7", []byte("{}"))),
		"delete": deleted,
		"record": record,
		"page":   appendRecord(nil, 14, 0x80000000, "\x01"),
		"head":   encodeHead(&slot{flags: slotLive, n: 3, list: idlist.Make([]uint32{3, 5, 300})}),
		"large":  encodeHead(&slot{flags: slotLive | slotLarge, n: 70_000}),
		"shard":  shard,
		"meta":   st.encodeMeta(),
	} {
		if want := "`" + spaced(b) + "`"; !bytes.Contains(doc, []byte(want)) {
			t.Errorf("docs/format.md does not show the %s %s", name, want)
		}
	}
}

// spaced returns bytes in hex as a reader likes them.
func spaced(b []byte) string {
	var out []string
	for _, c := range b {
		out = append(out, hex.EncodeToString([]byte{c}))
	}
	return strings.Join(out, " ")
}

func TestLogRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "sec"), rapid.Int64Range(0, 999_999_999).Draw(t, "nano")).UTC()
		var ops []op
		b := appendRecordHead(nil, at)
		for range rapid.IntRange(0, 5).Draw(t, "ops") {
			o := op{kind: opKind(rapid.IntRange(1, 24).Draw(t, "kind")), num: rapid.Uint32().Draw(t, "num")}
			if o.kind.hasUser() {
				o.user = rapid.Uint32().Draw(t, "user")
			}
			switch o.kind {
			case opPutDirectory, opPutUser, opPutGroup, opPutOrganization, opDeleteOrganization, opPutRole, opDeleteRole, opPutMembership, opDeleteMembership, opPutData, opDeleteData:
				o.rec = rapid.String().Draw(t, "rec")
			}
			if o.kind.hasIDs() {
				o.ids = ascending(rapid.SliceOfN(rapid.Uint32(), 1, 9).Draw(t, "ids"))
			}
			ops = append(ops, o)
			b = appendOp(b, &o)
		}
		gotAt, got, err := decodeRecord(b)
		if err != nil || !gotAt.Equal(at) || len(got) != len(ops) {
			t.Fatalf("%v, %d ops, %v; want %v, %d", gotAt, len(got), err, at, len(ops))
		}
		for i, o := range ops {
			if g := got[i]; g.kind != o.kind || g.num != o.num || g.user != o.user || g.rec != o.rec || !equalIDs(g.ids, o.ids) {
				t.Fatalf("op %d: %+v, want %+v", i, g, o)
			}
		}
	})
}

// FuzzDecode feeds everything that is read from disk to its decoder. What passed
// a checksum may still be anything.
func FuzzDecode(f *testing.F) {
	at := time.Unix(1, 2)
	f.Add([]byte(encodeUser(&User{Username: "alice", Attributes: map[string][]string{"a": {"b", ""}}, Created: at, Updated: at})))
	f.Add([]byte(encodeGroup(&Group{Name: "g", Abilities: []string{"x"}, Created: at, Updated: at})))
	f.Add([]byte(encodeDirectory(&Directory{Name: "d", Created: at, Updated: at}, 3)))
	f.Add(appendOp(appendRecordHead(nil, at), &op{kind: opAdd, num: 4, ids: []uint32{3, 5, 300}}))
	f.Add(appendRecord(nil, 14, 7, "rec"))
	member := encodeMembership(&OrgMembership{
		Organization: "acme", Owner: true, Roles: []string{"clerk"}, Permissions: []string{"*"}, Created: at, Updated: at,
		AllowedIPs: []netip.Prefix{netip.MustParsePrefix("201.54.122.0/24")},
	}, []uint32{7})
	f.Add([]byte(member))
	f.Add([]byte(encodeRole(&Role{Organization: "acme", ID: "clerk", Permissions: []string{"x"}, Created: at, Updated: at}, 4)))
	f.Add([]byte(encodeOrganization(&Organization{ID: "acme", Name: "Acme", Created: at, Updated: at})))
	f.Add(appendOp(appendRecordHead(nil, at), &op{kind: opPutMembership, num: 4, user: 7, rec: member}))
	f.Add([]byte(encodeData("source", "7", []byte("{}"))))
	f.Add(appendOp(appendRecordHead(nil, at), &op{kind: opDeleteData, num: 12, rec: "\x06source\x017"}))
	f.Add(encodeHead(&slot{flags: slotLive, n: 1, list: "\x05"}))
	f.Add((&state{time: at}).encodeMeta())
	if b, err := encodeShard(roaring.BitmapOf(7, 9)); err == nil {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := string(b)
		decodeUser(1, s)
		decodeGroup(1, s)
		decodeDirectory(s)
		decodeOrganization(s)
		decodeRole(s)
		decodeMembership(1, s)
		factsOf(1, s)
		cardOf(s)
		decodeData(s)
		dataCard(s)
		parseKey(b)
		eachRecord(s, func(uint32, uint32, string) error { return nil })
		new(state).decodeMeta(b)
		if head, err := decodeHead(s); err == nil {
			if again, err := decodeHead(string(encodeHead(&head))); err != nil || again != head {
				t.Errorf("head %x is read as %+v, written and read again as %+v, %v", b, head, again, err)
			}
		}
		if bm, err := decodeShard(b); err == nil && bm != nil {
			bm.Iterate(func(u uint32) bool { return bm.Contains(u) })
		}
		if _, ops, err := decodeRecord(b); err == nil {
			for i := range ops {
				ops[i].change()
			}
		}
	})
}
