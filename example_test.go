package roster_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/rosterdb/roster"
)

// company opens an engine in memory and fills it with five people and three
// groups, sales within staff.
func company() *roster.Engine {
	e, err := roster.Open("", roster.Options{InMemory: true})
	if err != nil {
		log.Fatal(err)
	}
	_, err = e.Update(context.Background(), func(tx *roster.Txn) error {
		if _, err := tx.PutDirectory(roster.Directory{ID: 1, Name: "Corp", Domain: "corp.example"}); err != nil {
			return err
		}
		var ids []roster.UserID
		for _, name := range []string{"alice", "Bob", "carol", "dan", "Eve"} {
			id, err := tx.CreateUser(roster.User{Directory: 1, Username: name, Active: name != "dan"})
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		sales, err := tx.CreateGroup(roster.Group{Directory: 1, Name: "sales", Abilities: []string{"export"}})
		if err != nil {
			return err
		}
		staff, err := tx.CreateGroup(roster.Group{Directory: 1, Name: "staff"})
		if err != nil {
			return err
		}
		if _, err := tx.CreateGroup(roster.Group{Directory: 1, Name: "on call"}); err != nil {
			return err
		}
		if _, err := tx.Add(sales, ids[0], ids[1], ids[3]); err != nil {
			return err
		}
		if _, err := tx.Add(staff, ids[2]); err != nil {
			return err
		}
		_, err = tx.Nest(staff, sales)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	return e
}

func Example() {
	e := company()
	defer e.Close()

	yes, err := e.CheckName("BOB@corp.example", "staff")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("bob is staff, through sales:", yes)
	// Output: bob is staff, through sales: true
}

func ExampleEngine_Check() {
	e := company()
	defer e.Close()
	// Handles are looked up once and kept. Check then takes no lock and
	// allocates nothing.
	var eve roster.UserID
	var staff roster.GroupID
	err := e.View(context.Background(), func(tx *roster.Txn) (err error) {
		if eve, err = tx.FindUser("eve"); err != nil {
			return err
		}
		staff, err = tx.FindGroup("staff")
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(e.Check(eve, staff))
	// Output: false
}

func ExampleEngine_Update() {
	e := company()
	defer e.Close()
	rev, err := e.Update(context.Background(), func(tx *roster.Txn) error {
		eve, err := tx.FindUser("eve")
		if err != nil {
			return err
		}
		sales, err := tx.FindGroup("sales")
		if err != nil {
			return err
		}
		n, err := tx.Add(sales, eve)
		fmt.Println("memberships added:", n)
		return err
	})
	fmt.Println("revision:", rev, err)
	// Output:
	// memberships added: 1
	// revision: 2 <nil>
}

func ExampleEngine_Update_conflict() {
	e := company()
	defer e.Close()
	ctx := context.Background()
	var read roster.User
	err := e.View(ctx, func(tx *roster.Txn) error {
		id, err := tx.FindUser("alice")
		if err != nil {
			return err
		}
		read, err = tx.User(id)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	change := func(email string) error {
		u := read // with the Revision that was read
		u.Email = email
		_, err := e.Update(ctx, func(tx *roster.Txn) error {
			_, err := tx.PutUser(u)
			return err
		})
		return err
	}
	fmt.Println(change("alice@corp.example"))
	fmt.Println(errors.Is(change("a.liddell@corp.example"), roster.ErrConflict))
	// Output:
	// <nil>
	// true
}

func ExampleTxn_Eval() {
	e := company()
	defer e.Close()
	x, err := roster.ParseExpr(`active & (sales | !staff)`)
	if err != nil {
		log.Fatal(err)
	}
	err = e.View(context.Background(), func(tx *roster.Txn) error {
		s, err := tx.Eval(x)
		if err != nil {
			return err
		}
		for u := range s.ByName("") {
			fmt.Println(tx.Username(u))
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// alice
	// Bob
	// Eve
}

func ExampleSet_ByName() {
	e := company()
	defer e.Close()
	// Each page is a View of its own; the cursor goes from one to the next.
	page := func(after roster.Cursor) (next roster.Cursor) {
		err := e.View(context.Background(), func(tx *roster.Txn) error {
			s, err := tx.Users()
			if err != nil {
				return err
			}
			n := 0
			for u := range s.ByName(after) {
				fmt.Print(tx.Username(u), " ")
				if n++; n == 2 {
					next = s.CursorAfter(u)
					break
				}
			}
			fmt.Println("of", s.Len())
			return nil
		})
		if err != nil {
			log.Fatal(err)
		}
		return next
	}
	for next := page(""); next != ""; {
		next = page(next)
	}
	// Output:
	// alice Bob of 5
	// carol dan of 5
	// Eve of 5
}

func ExampleEngine_Changes() {
	e := company()
	defer e.Close()
	for c, err := range e.Changes(context.Background(), 1) {
		if err != nil {
			log.Fatal(err)
		}
		if c.Kind == roster.MembersAdded {
			fmt.Println(c.Revision, c.Kind, len(c.Members))
		}
	}
	// Output:
	// 1 members.add 3
	// 1 members.add 1
}

func ExampleTxn_Abilities() {
	e := company()
	defer e.Close()
	err := e.View(context.Background(), func(tx *roster.Txn) error {
		bob, err := tx.FindUser(`corp\bob`)
		if err != nil {
			return err
		}
		abilities, err := tx.Abilities(bob)
		fmt.Println(abilities)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: [export]
}

func ExampleTxn_PutOrgMembership() {
	e := company()
	defer e.Close()
	_, err := e.Update(context.Background(), func(tx *roster.Txn) error {
		if _, err := tx.PutOrganization(roster.Organization{ID: "org_1", Name: "Acme"}); err != nil {
			return err
		}
		if _, err := tx.PutRole(roster.Role{Organization: "org_1", ID: "clerk", Permissions: []string{"GetCustomer"}}); err != nil {
			return err
		}
		alice, err := tx.FindUser("alice")
		if err != nil {
			return err
		}
		bob, err := tx.FindUser("bob")
		if err != nil {
			return err
		}
		if _, err := tx.PutOrgMembership(roster.OrgMembership{Organization: "org_1", User: alice, Owner: true}); err != nil {
			return err
		}
		_, err = tx.PutOrgMembership(roster.OrgMembership{Organization: "org_1", User: bob, Roles: []string{"clerk"}})
		if err != nil {
			return err
		}
		fmt.Println(tx.Permissions("org_1", alice))
		fmt.Println(tx.Permissions("org_1", bob))
		return tx.DeleteOrgMembership("org_1", alice) // undoes all of it
	})
	fmt.Println(errors.Is(err, roster.ErrLastOwner))
	// Output:
	// [*] <nil>
	// [GetCustomer] <nil>
	// true
}

func ExampleTxn_Assignable() {
	e := company()
	defer e.Close()
	_, err := e.Update(context.Background(), func(tx *roster.Txn) error {
		eve, err := tx.FindUser("eve")
		if err != nil {
			return err
		}
		sales, err := tx.FindGroup("sales")
		if err != nil {
			return err
		}
		_, err = tx.AddAdmins(sales, eve)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	err = e.View(context.Background(), func(tx *roster.Txn) error {
		// Whom may eve add to one of her groups, and who is in none of them yet?
		x, err := roster.ParseExpr("assignable:eve & active & !administered:eve")
		if err != nil {
			return err
		}
		users, err := tx.Eval(x)
		for u := range users.ByName("") {
			fmt.Println(tx.Username(u))
		}
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// carol
	// Eve
}

func ExampleTxn_ReplaceMembers() {
	e := company()
	defer e.Close()
	_, err := e.Update(context.Background(), func(tx *roster.Txn) error {
		sales, err := tx.FindGroup("sales")
		if err != nil {
			return err
		}
		alice, err := tx.FindUser("alice")
		if err != nil {
			return err
		}
		carol, err := tx.FindUser("carol")
		if err != nil {
			return err
		}
		added, dropped, err := tx.ReplaceMembers(sales, []roster.UserID{alice, carol})
		fmt.Println(len(added), "added,", len(dropped), "dropped")
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: 1 added, 2 dropped
}

// Users are found by what people type, within any set.
func ExampleTxn_Search() {
	e, err := roster.Open("", roster.Options{InMemory: true})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	_, err = e.Update(context.Background(), func(tx *roster.Txn) error {
		if _, err := tx.PutDirectory(roster.Directory{ID: 1, Name: "Corp"}); err != nil {
			return err
		}
		for _, u := range []roster.User{
			{Directory: 1, Username: "aturing", FullName: "Alan Turing", Active: true},
			{Directory: 1, Username: "al", FullName: "Albert Túri", Active: true},
			{Directory: 1, Username: "obrien", FullName: "Flann O’Brien"},
		} {
			if _, err := tx.CreateUser(u); err != nil {
				return err
			}
		}
		for _, q := range []roster.SearchQuery{
			{Text: "al tu"}, {Text: "al"}, {Text: "o'brien"}, {Text: "tuirng", Fuzzy: true}, {Text: "brien", Active: true},
		} {
			res, err := tx.Search(q)
			if err != nil {
				return err
			}
			fmt.Printf("%s: %d", q.Text, res.Total)
			for _, u := range res.Users {
				fmt.Print(" ", tx.Username(u))
			}
			fmt.Println()
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// al tu: 2 al aturing
	// al: 2 al aturing
	// o'brien: 1 obrien
	// tuirng: 1 aturing
	// brien: 0
}

func ExampleTxn_PutData() {
	e := company()
	defer e.Close()
	ctx := context.Background()
	_, err := e.Update(ctx, func(tx *roster.Txn) error {
		_, err := tx.PutData("example.org/badges", "alice", []byte("No. 17"))
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	err = e.View(ctx, func(tx *roster.Txn) error {
		for key := range tx.DataKeys("example.org/badges", "") {
			value, err := tx.Data("example.org/badges", key)
			if err != nil {
				return err
			}
			fmt.Printf("%s: %s\n", key, value)
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: alice: No. 17
}
