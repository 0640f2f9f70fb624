package fuzz_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/fuzz/model"
)

// smallWorld returns an engine in memory and its model: names that meet in
// references, in two directories one of which has the name of the other as its
// domain.
func smallWorld(f *testing.F) (*roster.Engine, *model.Model) {
	now := time.Date(2031, 5, 1, 0, 0, 0, 0, time.UTC)
	e, err := roster.Open("", roster.Options{InMemory: true, Now: func() time.Time { return now }})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { e.Close() })
	m := model.New(1 << 20).Begin(now)
	_, err = e.Update(context.Background(), func(tx *roster.Txn) error { return populate(tx, m) })
	if err != nil {
		f.Fatal(err)
	}
	m.Commit()
	return e, m
}

func populate(tx *roster.Txn, m *model.Model) error {
	names := []string{"bob@corp", "corp\\bob", "bob", "Straße", "#1", "corp:anna", "all", "a b"}
	for _, d := range []roster.Directory{{ID: 0, Name: "corp"}, {ID: 1, Name: "a@b", Domain: "CORP"}} {
		m.PutDirectory(d)
		if _, err := tx.PutDirectory(d); err != nil {
			return err
		}
		for _, name := range append(names, []string{"anna", "berta"}[d.ID]) {
			u, g := roster.User{Directory: d.ID, Username: name}, roster.Group{Directory: d.ID, Name: name}
			m.CreateUser(u)
			m.CreateGroup(g)
			if _, err := tx.CreateUser(u); err != nil {
				return err
			}
			if _, err := tx.CreateGroup(g); err != nil {
				return err
			}
		}
	}
	return errors.Join(organize(tx), errorOf(tx.PutData("access", "key", []byte("value"))))
}

func errorOf[T any](_ T, err error) error { return err }

// organize makes organisations and administrators, which the model of the small
// world does without.
func organize(tx *roster.Txn) error {
	users, err := tx.Users()
	if err != nil {
		return err
	}
	u := slices.Collect(users.All())
	g := slices.Collect(tx.GroupsByName())
	_, err1 := tx.AddAdmins(g[0], u[:3]...)
	_, err2 := tx.AddAdminGroups(g[1], g[0], g[1])
	err = errors.Join(err1, err2)
	for i, id := range []string{"x", "a/b", "Straße"} {
		_, err1 := tx.PutOrganization(roster.Organization{ID: id, Name: "Name"})
		_, err2 := tx.PutRole(roster.Role{Organization: id, ID: "c", Permissions: []string{"read", "*"}})
		_, err3 := tx.PutOrgMembership(roster.OrgMembership{
			Organization: id, User: u[i], Owner: true, Roles: []string{"c"}, AllowedIPs: []netip.Prefix{netip.MustParsePrefix("8.8.8.0/24")},
		})
		_, err4 := tx.PutOrgMembership(roster.OrgMembership{Organization: id, User: u[9], Default: i == 1, Permissions: []string{"write"}})
		err = errors.Join(err, err1, err2, err3, err4)
	}
	return err
}

var someTexts = []string{
	"anna", "bob@corp", "bob@a@b", "CORP\\STRASSE", "corp:anna", "#1", "#18446744073709551616", "a b", "all", "@", "\\", ":x", "\xff", "İ", "",
	"anna & !(bob | \"a b\")", "direct:corp:anna|user:#2&active", `"a\"b"`, "role:\"a/b\"/c & org:x", "admins:anna|owners:STRASSE|role:x/c", "administered:#1 & !assignable:\"bob\"", "((((", strings.Repeat("!", 300) + "x",
}

// FuzzExpr: whatever is read as an expression reads the same from its own text,
// and evaluating it gives users or a typed error.
func FuzzExpr(f *testing.F) {
	e, _ := smallWorld(f)
	for _, s := range someTexts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		x, err := roster.ParseExpr(s)
		if err != nil {
			var syntax *roster.SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(s) {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		again, err := roster.ParseExpr(x.String())
		if err != nil || again.String() != x.String() {
			t.Fatalf("%q reads as %q, and that: %v, %v", s, x, again, err)
		}
		err = e.View(context.Background(), func(tx *roster.Txn) error {
			a, err := tx.Eval(x)
			if err != nil {
				return err
			}
			b, err := tx.Eval(again)
			if !a.Equal(b) {
				t.Errorf("%q: %d users, from its own text %d", s, a.Len(), b.Len())
			}
			return err
		})
		if err != nil && !errors.Is(err, roster.ErrNotFound) && !errors.Is(err, roster.ErrAmbiguous) {
			t.Fatalf("%q: %v", s, err)
		}
	})
}

// FuzzRef: any reference means what the model says.
func FuzzRef(f *testing.F) {
	e, m := smallWorld(f)
	for _, s := range someTexts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		if !foldsAlike(ref) {
			t.Skip("the model does not fold this as the engine does: see foldsAlike")
		}
		e.View(context.Background(), func(tx *roster.Txn) error {
			u, err := tx.FindUser(ref)
			if want, wantErr := model.Answer(m.FindUser(ref)); !errors.Is(err, wantErr) || err == nil && u != want {
				t.Errorf("user %q: %v, %v, not %v, %v", ref, u, err, want, wantErr)
			}
			g, err := tx.FindGroup(ref)
			if want, wantErr := model.Answer(m.FindGroup(ref)); !errors.Is(err, wantErr) || err == nil && g != want {
				t.Errorf("group %q: %v, %v, not %v, %v", ref, g, err, want, wantErr)
			}
			return nil
		})
	})
}

// foldsAlike reports whether the model's folding can be trusted: that of x/text
// has the letters of Cherokee, the only ones that fold to capitals, wrong.
func foldsAlike(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Cherokee, r) })
}

// FuzzCursor: text that is no cursor is told, and ends lists; text that is one
// continues a list somewhere.
func FuzzCursor(f *testing.F) {
	e, m := smallWorld(f)
	all := m.UsersByName(func(roster.UserID) bool { return true })
	for _, s := range append(someTexts, "MC9hbm5h", "MS9hbm5h", "LTEvYQ", "MDAvYW5uYQ") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e.View(context.Background(), func(tx *roster.Txn) error {
			set, err := tx.Users()
			if err != nil {
				t.Error(err)
			}
			cursor := roster.Cursor(s)
			got := slices.Collect(set.ByName(cursor))
			if s != "" && cursor.Validate() != nil && len(got) > 0 {
				t.Errorf("%d users behind %q", len(got), s)
			}
			if !slices.Equal(got, all[len(all)-len(got):]) {
				t.Errorf("%v behind %q, which is no end of %v", got, s, all)
			}
			return nil
		})
	})
}

// FuzzRecord: a user is refused, as the model does, or comes back as it was put:
// from memory, from Badger and from the log.
func FuzzRecord(f *testing.F) {
	e, m := smallWorld(f)
	for _, s := range someTexts {
		f.Add(s, s, "x", uint64(0), int64(1), true)
	}
	f.Fuzz(func(t *testing.T, name, text, value string, number uint64, at int64, active bool) {
		if utf8.ValidString(name) && !foldsAlike(name) {
			t.Skip("the model does not fold this as the engine does: see foldsAlike")
		}
		u := roster.User{
			Username: name, Number: number, UID: value, FullName: text, Email: value, Description: text, Active: active,
			Attributes: map[string][]string{text: {value, ""}, value: nil}, Created: time.Unix(at, at&(1<<29-1)), Updated: time.Unix(1, 1),
		}
		var id roster.UserID
		rev, err := e.Update(context.Background(), func(tx *roster.Txn) (err error) {
			id, err = tx.CreateUser(u)
			return err
		})
		next := m.Begin(u.Updated)
		if err == nil {
			next.NextUser = id // it moves on with every input, the model does not
		}
		if _, wantErr := next.CreateUser(u); !errors.Is(err, wantErr) || err != nil && wantErr == nil {
			t.Fatalf("%+v: %v, not %v", u, err, wantErr)
		}
		if err != nil {
			return
		}
		want := next.Users[id].User
		want.Revision = rev
		checkRecord(t, e, want)
		if err := e.Fold(context.Background()); err != nil {
			t.Fatal(err)
		}
		checkRecord(t, e, want)
		if _, err := e.Update(context.Background(), func(tx *roster.Txn) error { return tx.DeleteUser(id) }); err != nil {
			t.Fatal(err)
		}
	})
}

// checkRecord compares a user of the newest revision, and in the log.
func checkRecord(t *testing.T, e *roster.Engine, want roster.User) {
	t.Helper()
	err := e.View(context.Background(), func(tx *roster.Txn) error {
		got, err := tx.User(want.ID)
		sameRecord(t, got, want)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for c, err := range e.Changes(context.Background(), want.Revision) {
		if err != nil && !errors.Is(err, roster.ErrTrimmed) {
			t.Fatal(err)
		}
		if err == nil {
			sameRecord(t, *c.User, want)
		}
	}
}

func sameRecord(t *testing.T, got, want roster.User) {
	t.Helper()
	if !got.Created.Equal(want.Created) || !got.Updated.Equal(want.Updated) || !model.SameAttributes(got.Attributes, want.Attributes) {
		t.Fatalf("record is %+v, not %+v", got, want)
	}
	got.Created, got.Updated, got.Attributes = want.Created, want.Updated, want.Attributes
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("record is %+v, not %+v", got, want)
	}
}

// FuzzRestore: bytes that are no backup are refused with a typed error, and so
// is the folder that comes of those whose checksum fits all the same, if what
// they say does not hold together.
func FuzzRestore(f *testing.F) {
	e, _ := smallWorld(f)
	var backup bytes.Buffer
	if _, err := e.Backup(context.Background(), &backup); err != nil {
		f.Fatal(err)
	}
	f.Add(backup.Bytes(), false)
	f.Add(backup.Bytes(), true)
	f.Add(backup.Bytes()[:backup.Len()/2], true)
	f.Fuzz(func(t *testing.T, data []byte, sum bool) {
		if n := len(data) - 4; sum && n >= 0 {
			data = binary.LittleEndian.AppendUint32(data[:n:n], crc32.Checksum(data[:n], crc32.MakeTable(crc32.Castagnoli)))
		}
		ctx := context.Background()
		dir := filepath.Join(t.TempDir(), "restored")
		err := roster.Restore(ctx, dir, bytes.NewReader(data), roster.Options{})
		if err == nil {
			err = lookAt(dir)
		} else if e, openErr := roster.Open(dir, roster.Options{}); openErr == nil {
			if e.Revision() != 0 {
				t.Errorf("refused (%v), and opened at revision %d", err, e.Revision())
			}
			e.Close()
		}
		if err != nil && !errors.Is(err, roster.ErrCorrupt) && !errors.Is(err, roster.ErrNewerFormat) {
			t.Fatalf("error without a type: %v", err)
		}
		if err != nil && bytes.Equal(data, backup.Bytes()) {
			t.Fatal(err)
		}
	})
}

// lookAt opens a folder and reads everything in it.
func lookAt(dir string) error {
	ctx := context.Background()
	e, err := roster.Open(dir, roster.Options{})
	if err != nil {
		return err
	}
	defer e.Close()
	if err := e.Verify(ctx, nil); err != nil {
		return err
	}
	return e.View(ctx, func(tx *roster.Txn) error {
		users, err := tx.Users()
		if err != nil {
			return err
		}
		for u := range users.ByName("") {
			if _, err := tx.User(u); err != nil {
				return err
			}
			_, err1 := tx.Groups(u)
			_, err2 := tx.Administered(u)
			orgs, err3 := tx.OrganizationsOf(u)
			if err := errors.Join(err1, err2, err3); err != nil {
				return err
			}
			for _, id := range orgs {
				if _, err := tx.Permissions(id, u); err != nil {
					return err
				}
			}
		}
		for g := range tx.GroupsByName() {
			_, err1 := tx.Members(g)
			_, err2 := tx.Admins(g)
			if err := errors.Join(err1, err2); err != nil {
				return err
			}
		}
		for id := range tx.Organizations("") {
			_, err1 := tx.Organization(id)
			_, err2 := tx.Roles(id)
			if err := errors.Join(err1, err2); err != nil {
				return err
			}
		}
		return nil
	})
}
