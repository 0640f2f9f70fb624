// Command apis is a program with pages of its own in which each of the four APIs is
// one line of its mux, and one of them a second time for whoever is logged in to the
// program. The company that it serves is made up and kept in memory.
//
//	go run ./examples/apis
//
// listens on 127.0.0.1:8080 and prints a request for each API. The requests and
// their answers are in apis_test.go.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/arcgis"
	"github.com/rosterdb/roster/adapter/crowd"
	"github.com/rosterdb/roster/adapter/ingress"
	"github.com/rosterdb/roster/adapter/rebilly"
)

func main() {
	e, err := roster.Open("", roster.Options{InMemory: true}) // a real one has a folder
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	s, err := access.New(e, access.Options{})
	if err != nil {
		log.Fatal(err)
	}
	key, err := company(e, s)
	if err != nil {
		log.Fatal(err)
	}
	const at = "http://127.0.0.1:8080"
	fmt.Printf("curl -H 'tld-api-id: crm' -H 'tld-api-key: %s' -d user_id=15 -d group_id=10 %s/api/ingress/user_group_members\n", key, at)
	fmt.Printf("curl -u 'boss:%s' %s/crowd/rest/admin/1.0/groups/1-c2FsZXM/users\n", password, at)
	fmt.Printf("curl -H 'REB-APIKEY: %s' %s/rebilly/memberships\n", key, at)
	fmt.Printf("%s/arcgis/admin in a browser, as boss with the password %q\n", at, password)
	server := http.Server{Addr: "127.0.0.1:8080", Handler: routes(e, s), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// routes are what the program answers: a page and a login of its own, and the APIs.
// Who is logged in needs no other credentials below /people.
func routes(e *roster.Engine, s *access.Service) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "the program's own page") })
	mux.Handle("/arcgis/", arcgis.New(e, arcgis.Options{Access: s}))
	mux.Handle("/rebilly/", rebilly.New(e, rebilly.Options{Authenticator: s.Door(access.Rebilly())}))
	mux.Handle("/crowd/", crowd.New(e, crowd.Options{Authenticator: s.Door(access.Crowd())}))
	mux.Handle("/api/ingress/", ingress.New(e, ingress.Options{Authenticator: s.Door(access.Ingress())}))

	own := newSessions(e, s)
	mux.HandleFunc("POST /login", own.login)
	mux.Handle("/people/", crowd.New(e, crowd.Options{Prefix: "/people", Authenticator: own}))
	return mux
}

const password = "correct horse battery"

// company makes a company: boss, who may do everything and has an API key, whose
// secret it returns; lead, who administers the group sales and has the same password;
// ann; and an organisation.
func company(e *roster.Engine, s *access.Service) (key string, err error) {
	ctx := context.Background()
	hash, err := s.Hasher().Hash(ctx, password) // takes its time: not within an Update
	if err != nil {
		return "", err
	}
	var boss roster.UserID
	_, err = e.Update(ctx, func(tx *roster.Txn) error {
		var lead roster.UserID
		if boss, lead, err = people(tx); err != nil {
			return err
		}
		if _, err := tx.PutOrganization(roster.Organization{ID: "acme", Name: "Acme"}); err != nil {
			return err
		}
		if _, err := access.PutAccount(tx, access.Account{User: lead, Password: hash}, time.Now()); err != nil {
			return err
		}
		account := access.Account{User: boss, Password: hash, Privileges: []string{access.AllPrivileges}}
		_, err := access.PutAccount(tx, account, time.Now())
		return err
	})
	if err != nil {
		return "", err
	}
	return s.CreateKey(ctx, access.Key{ID: "crm", User: boss})
}

func people(tx *roster.Txn) (boss, lead roster.UserID, err error) {
	if _, err := tx.PutDirectory(roster.Directory{ID: 1, Name: "Corp", Domain: "corp.example"}); err != nil {
		return 0, 0, err
	}
	if boss, err = tx.CreateUser(roster.User{Directory: 1, Username: "boss", Number: 1, Active: true}); err != nil {
		return 0, 0, err
	}
	if lead, err = tx.CreateUser(roster.User{Directory: 1, Username: "lead", Number: 2, Active: true}); err != nil {
		return 0, 0, err
	}
	if _, err := tx.CreateUser(roster.User{Directory: 1, Username: "ann", UID: "usr_ann", FullName: "Ann Archer", Number: 15, Active: true}); err != nil {
		return 0, 0, err
	}
	sales, err := tx.CreateGroup(roster.Group{Directory: 1, Name: "sales", Number: 10, Enterprise: true})
	if err != nil {
		return 0, 0, err
	}
	_, err = tx.AddAdmins(sales, lead)
	return boss, lead, err
}
