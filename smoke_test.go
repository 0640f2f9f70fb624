package roster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
)

func TestSmoke(t *testing.T) {
	dir := t.TempDir()
	ctx := context.Background()
	e, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var g, p GroupID
	var us []UserID
	rev, err := e.Update(ctx, func(tx *Txn) error {
		if _, err := tx.PutDirectory(Directory{ID: 1, Name: "Corp"}); err != nil {
			return err
		}
		for i := range 2000 {
			u, err := tx.CreateUser(User{Directory: 1, Username: fmt.Sprintf("User%04d", i*7%2000), Active: i%2 == 0})
			if err != nil {
				return err
			}
			us = append(us, u)
		}
		var err error
		if g, err = tx.CreateGroup(Group{Directory: 1, Name: "g", Abilities: []string{"x"}}); err != nil {
			return err
		}
		if p, err = tx.CreateGroup(Group{Directory: 1, Name: "p"}); err != nil {
			return err
		}
		if _, err = tx.Add(g, us[:1500]...); err != nil {
			return err
		}
		_, err = tx.Nest(p, g)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("rev", rev)
	look := func(e *Engine) string {
		var out bytes.Buffer
		err := e.View(ctx, func(tx *Txn) error {
			m, err := tx.Members(p)
			if err != nil {
				return err
			}
			a, err := tx.Active()
			if err != nil {
				return err
			}
			fmt.Fprintln(&out, m.Len(), m.And(a).Len(), m.Not().Len(), tx.Check(us[3], p), tx.Check(us[1999], p))
			k := 0
			for u := range m.ByName("") {
				fmt.Fprint(&out, tx.Username(u), " ")
				if k++; k == 5 {
					break
				}
			}
			x, err := tx.User(us[77])
			fmt.Fprintln(&out, x, err)
			ab, err := tx.Abilities(us[5])
			fmt.Fprintln(&out, ab, err)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	want := look(e)
	fmt.Print(want)
	if err := e.Fold(ctx); err != nil {
		t.Fatal(err)
	}
	if got := look(e); got != want {
		t.Fatal(got)
	}
	if err := e.Verify(ctx, nil); err != nil {
		t.Fatal(err)
	}
	var bk bytes.Buffer
	if _, err := e.Backup(ctx, &bk); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e, err = Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := look(e); got != want {
		t.Fatal(got)
	}
	for c, err := range e.Changes(ctx, 1) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Kind != UserPut {
			fmt.Println(c.Kind, len(c.Members))
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	d2 := t.TempDir()
	if err := Restore(ctx, d2, &bk, Options{}); err != nil {
		t.Fatal(err)
	}
	e, err = Open(d2, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := look(e); got != want {
		t.Fatal(got)
	}
	fmt.Printf("%+v\n", e.Stats())
	if err := e.Verify(ctx, nil); err != nil {
		t.Fatal(err)
	}
	e.Close()
	_ = os.Stdout
}
