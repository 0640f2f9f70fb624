package roster_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/roster"
)

// openEmpty opens an engine in memory.
func openEmpty(t *testing.T) *roster.Engine {
	t.Helper()
	e, err := roster.Open("", roster.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func errorOf[T any](_ T, err error) error { return err }

// keysOf returns the keys of a space as of now.
func keysOf(t *testing.T, e *roster.Engine, space, after string) (keys []string) {
	t.Helper()
	err := e.View(ctx, func(tx *roster.Txn) error {
		keys = slices.Collect(tx.DataKeys(space, after))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestDataNames: what is a name, that names are bytes, and their order.
func TestDataNames(t *testing.T) {
	long := strings.Repeat("k", 255)
	for _, c := range []struct {
		space, key string
		size       int
		ok         bool
	}{
		{"s", "k", 0, true},
		{long, long, 63_000, true},
		{strings.Repeat("S", 255), strings.Repeat("É", 127), 63_000, true},
		{"s", "with\x00zero\n", 1, true},
		{"s", "k", 63_001, false},
		{"", "k", 1, false},
		{"s", "", 1, false},
		{long + "s", "k", 1, false},
		{"s", long + "k", 1, false},
		{"s\xff", "k", 1, false},
		{"s", "k\xff", 1, false},
		{"s\x00", "k", 1, false},
		{"s\n", "k", 1, false},
	} {
		e := openEmpty(t)
		value := bytes.Repeat([]byte{0xff}, c.size)
		_, err := e.Update(ctx, func(tx *roster.Txn) error {
			_, err := tx.PutData(c.space, c.key, value)
			return err
		})
		if c.ok != (err == nil) || !c.ok && !errors.Is(err, roster.ErrInvalid) {
			t.Errorf("put %q of %q with %d bytes: %v", c.key, c.space, c.size, err)
		}
		if !c.ok && e.Revision() != 0 {
			t.Errorf("%q of %q was refused and changed something", c.key, c.space)
		}
	}

	e := openEmpty(t)
	names := []string{"", "\x00", "0", "?", "@", "@@", "A", "Aa", "Z", "[", "_", "`", "a", "aB", "ab", "z", "~", "É", "é", "用", "\U0001F600"}[1:]
	put := func(tx *roster.Txn) error {
		for i, k := range names {
			k = names[(i*7)%len(names)]
			if _, err := tx.PutData("s", k, []byte(k)); err != nil {
				return err
			}
			if _, err := tx.PutData("S", k+"!", nil); err != nil {
				return err
			}
		}
		_, err := tx.PutData("s!", "other", nil)
		return err
	}
	if _, err := e.Update(ctx, put); err != nil {
		t.Fatal(err)
	}
	want := slices.Sorted(slices.Values(names))
	if got := keysOf(t, e, "s", ""); !slices.Equal(got, want) {
		t.Errorf("keys are %q, not %q", got, want)
	}
	for i, k := range want {
		if got := keysOf(t, e, "s", k); !slices.Equal(got, want[i+1:]) {
			t.Errorf("keys behind %q are %q, not %q", k, got, want[i+1:])
		}
	}
	if got := keysOf(t, e, "s", "B"); got[0] != "Z" {
		t.Errorf("behind B comes %q", got[0])
	}
	if got := keysOf(t, e, "nothing", ""); got != nil {
		t.Errorf("keys of an empty space are %q", got)
	}
}

// TestDataLife: values through updates, undone updates, views, folds, opens,
// backups and Build.
func TestDataLife(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	e, err := roster.Open(dir, roster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{t: t, e: e, n: newNaive(), clock: &clock{}}
	p.update(func(w *writer) {
		w.keep("source", "ldap", "one")
		w.keep("source", "LDAP", "")
		w.keep("access", "ldap", "\x00\xff")
	})
	p.same()
	failed := errors.New("no")
	for range 2 {
		err := p.try(func(w *writer) {
			w.keep("source", "ldap", "two")
			w.keep("source", "ldap", "three")
			w.drop("source", "LDAP")
			w.keep("source", "new", "four")
			w.drop("access", "ldap")
			w.keep("access", "ldap", "five")
			w.note(failed)
		})
		if !errors.Is(err, failed) {
			t.Fatal(err)
		}
		p.same()
		if err := e.Fold(ctx); err != nil {
			t.Fatal(err)
		}
	}
	rev := e.Revision()
	_, err = e.Update(ctx, func(tx *roster.Txn) error {
		changed, err := tx.PutData("source", "ldap", []byte("one"))
		if changed {
			t.Error("put what is there and changed something")
		}
		return err
	})
	if err != nil || e.Revision() != rev {
		t.Errorf("a put that changes nothing made revision %d of %d, %v", e.Revision(), rev, err)
	}

	err = e.View(ctx, func(tx *roster.Txn) error {
		p.update(func(w *writer) {
			w.drop("source", "LDAP")
			w.keep("source", "ldap", "six")
		})
		if err := e.Fold(ctx); err != nil {
			return err
		}
		if v, err := tx.Data("source", "ldap"); string(v) != "one" || err != nil {
			t.Errorf("a view of before reads %q, %v", v, err)
		}
		v, err := tx.Data("source", "LDAP")
		if v == nil || len(v) > 0 || err != nil {
			t.Errorf("an empty value is %q, %v", v, err)
		}
		if _, err := tx.PutData("s", "k", nil); !errors.Is(err, roster.ErrReadOnlyTxn) {
			t.Errorf("put in a view: %v", err)
		}
		if err := tx.DeleteData("source", "ldap"); !errors.Is(err, roster.ErrReadOnlyTxn) {
			t.Errorf("delete in a view: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	p.update(func(w *writer) { w.keep("source", "LDAP", "again") })
	for range 2 {
		if err := e.Verify(ctx, nil); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if e, err = roster.Open(dir, roster.Options{}); err != nil {
			t.Fatal(err)
		}
		p.e = e
		p.same()
	}
	var backup bytes.Buffer
	if _, err := e.Backup(ctx, &backup); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "data")
	if err := roster.Restore(ctx, other, &backup, roster.Options{}); err != nil {
		t.Fatal(err)
	}
	if p.e, err = roster.Open(other, roster.Options{}); err != nil {
		t.Fatal(err)
	}
	p.same()
	if n := p.e.Stats().Data; n != 3 {
		t.Errorf("%d values are counted", n)
	}
	if err := p.e.Close(); err != nil {
		t.Fatal(err)
	}
}

// wantValue compares what a Builder has under B, "" being nothing.
func wantValue(b *roster.Builder, want string) error {
	v, err := b.Data("s", "B")
	if want == "" && errors.Is(err, roster.ErrNotFound) {
		return nil
	}
	if string(v) != want {
		return fmt.Errorf("built %q, %w", v, err)
	}
	return err
}

func TestDataBuild(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	err := roster.Build(ctx, dir, roster.Options{}, func(b *roster.Builder) error {
		return errors.Join(wantValue(b, ""), b.PutData("s", "B", []byte("1")), wantValue(b, "1"), b.PutData("s", "a", []byte("2")), b.PutData("s", "B", []byte("3")))
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err := roster.Open(dir, roster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if got := keysOf(t, e, "s", ""); !slices.Equal(got, []string{"B", "a"}) {
		t.Errorf("built %q", got)
	}
	e.View(ctx, func(tx *roster.Txn) error {
		if v, err := tx.Data("s", "B"); string(v) != "3" {
			t.Errorf("built %q, %v", v, err)
		}
		return nil
	})
	if err := e.Verify(ctx, nil); err != nil {
		t.Error(err)
	}
}

// TestDataErrors: what there is not, and what the engine must not tell.
func TestDataErrors(t *testing.T) {
	e := openEmpty(t)
	const secret = "correct horse battery staple"
	var done *roster.Txn
	_, err := e.Update(ctx, func(tx *roster.Txn) error {
		done = tx
		if _, err := tx.Data("access", "k"); !errors.Is(err, roster.ErrNotFound) {
			t.Errorf("data that there is not: %v", err)
		}
		if err := tx.DeleteData("access", "k"); !errors.Is(err, roster.ErrNotFound) {
			t.Errorf("delete of data that there is not: %v", err)
		}
		if _, err := tx.Data(strings.Repeat("x", 1<<20), "\xff"); !errors.Is(err, roster.ErrNotFound) || len(err.Error()) > 500 {
			t.Errorf("data of a name that nothing can have: %.100v", err)
		}
		if _, err := tx.PutData("access", "k", []byte(secret)); err != nil {
			return err
		}
		_, err := tx.PutData("access", "k\xff", []byte(secret))
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("refused with %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{errorOf(done.Data("access", "k")), done.DeleteData("access", "k"), errorOf(done.PutData("access", "k", nil))} {
		if !errors.Is(err, roster.ErrTxnDone) {
			t.Errorf("after the end: %v", err)
		}
	}
	if keys := slices.Collect(done.DataKeys("access", "")); keys != nil {
		t.Errorf("keys after the end: %q", keys)
	}
	if _, err := e.Update(ctx, func(tx *roster.Txn) error { return tx.DeleteData("access", "k") }); err != nil {
		t.Fatal(err)
	}
	text, err := changes(e, 1)
	if err != nil || strings.Contains(text, secret) || !strings.Contains(text, roster.DataPut) || !strings.Contains(text, roster.DataDeleted) || strings.Count(text, `"access" "k"`) != 2 {
		t.Errorf("changes are %s, %v", text, err)
	}
}
