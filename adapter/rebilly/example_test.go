package rebilly_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/rebilly"
)

// A program mounts the API beside its own pages, and an owner of an organisation
// makes somebody a member.
func ExampleNew() {
	ctx := context.Background()
	e, err := roster.Open("", roster.Options{InMemory: true})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	var olga roster.UserID
	_, err = e.Update(ctx, func(tx *roster.Txn) error {
		if _, err := tx.PutDirectory(roster.Directory{ID: 1, Name: "corp"}); err != nil {
			return err
		}
		if olga, err = tx.CreateUser(roster.User{Directory: 1, Username: "olga", Active: true}); err != nil {
			return err
		}
		if _, err := tx.CreateUser(roster.User{Directory: 1, Username: "ada", UID: "usr_ada", FullName: "Ada L", Active: true}); err != nil {
			return err
		}
		if _, err := tx.PutOrganization(roster.Organization{ID: "org_1", Name: "Acme"}); err != nil {
			return err
		}
		_, err := tx.PutOrgMembership(roster.OrgMembership{Organization: "org_1", User: olga, Owner: true})
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	s, err := access.New(e, access.Options{})
	if err != nil {
		log.Fatal(err)
	}
	secret, err := s.CreateKey(ctx, access.Key{ID: "olga's", User: olga})
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.Handle("/rebilly/", rebilly.New(e, rebilly.Options{Authenticator: s.Door(access.Rebilly())}))
	server := httptest.NewServer(mux)
	defer server.Close()

	r, err := http.NewRequest("PUT", server.URL+"/rebilly/memberships/org_1/usr_ada", strings.NewReader(`{"permissions":["GetOrder"]}`))
	if err != nil {
		log.Fatal(err)
	}
	r.Header.Set("REB-APIKEY", secret)
	answer, err := server.Client().Do(r)
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.StatusCode, answer.Header.Get("Location"))
	// Output: 201 /rebilly/memberships/org_1/usr_ada
}
