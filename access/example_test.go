package access_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

func Example() {
	ctx := context.Background()
	e, err := roster.Open("", roster.Options{InMemory: true})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	var alice roster.UserID
	var sales roster.GroupID
	_, err = e.Update(ctx, func(tx *roster.Txn) (err error) {
		if _, err = tx.PutDirectory(roster.Directory{ID: 1, Name: "corp"}); err != nil {
			return err
		}
		if alice, err = tx.CreateUser(roster.User{Directory: 1, Username: "alice", Active: true}); err != nil {
			return err
		}
		if sales, err = tx.CreateGroup(roster.Group{Directory: 1, Name: "sales"}); err != nil {
			return err
		}
		_, err = tx.AddAdmins(sales, alice)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}

	s, err := access.New(e, access.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := s.SetPassword(ctx, alice, "correct horse battery"); err != nil {
		log.Fatal(err)
	}

	// What an adapter does with a request.
	door := s.Door(access.Crowd())
	for _, password := range []string{"correct horse battery", "a guess"} {
		r := httptest.NewRequest("GET", "/rest/admin/1.0/groups", nil)
		r.SetBasicAuth("alice", password)
		p, err := door.Authenticate(r, nil)
		if errors.Is(err, access.ErrDenied) {
			fmt.Println("401:", err)
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		err = e.View(ctx, func(tx *roster.Txn) error {
			fmt.Printf("%v; administers sales: %t\n", p, p.Administers(tx, sales))
			return nil
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// alice of directory 1 by password; administers sales: true
	// 401: access: denied
}

func ExampleService_CreateKey() {
	ctx := context.Background()
	e, err := roster.Open("", roster.Options{InMemory: true})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	var bob roster.UserID
	_, err = e.Update(ctx, func(tx *roster.Txn) (err error) {
		if _, err = tx.PutDirectory(roster.Directory{ID: 1, Name: "corp"}); err == nil {
			bob, err = tx.CreateUser(roster.User{Directory: 1, Username: "bob", Active: true})
		}
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	s, err := access.New(e, access.Options{})
	if err != nil {
		log.Fatal(err)
	}
	secret, err := s.CreateKey(ctx, access.Key{ID: "1", User: bob, Endpoints: []string{"/api/ingress/user_group_members"}})
	if err != nil {
		log.Fatal(err)
	}
	door := s.Door(access.Ingress())
	for _, path := range []string{"/api/ingress/user_group_members", "/api/ingress/user_group_members/drop"} {
		r := httptest.NewRequest("DELETE", path, nil)
		r.Header.Set("tld-api-id", "1")
		r.Header.Set("tld-api-key", secret)
		p, err := door.Authenticate(r, nil)
		fmt.Println(p, err)
	}
	// Output:
	// bob of directory 1 by key <nil>
	// nobody access: the API key is not for this endpoint or this address
}

func ExamplePrincipal_Has() {
	p := access.Principal{By: access.ByHost, Privileges: []string{access.PrivilegeSecurity}}
	fmt.Println(p.Has(access.PrivilegeSecurity), p.Has(access.PrivilegeGroupLinks), access.Principal{}.Has(access.PrivilegeSecurity))
	// Output: true false false
}
