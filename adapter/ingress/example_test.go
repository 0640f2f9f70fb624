package ingress_test

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
	"github.com/rosterdb/roster/adapter/ingress"
)

// A key of somebody who administers sales puts two users into it.
func Example() {
	e, err := roster.Open("", roster.Options{InMemory: true})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	s, err := access.New(e, access.Options{})
	if err != nil {
		log.Fatal(err)
	}
	secret, err := company(e, s)
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.Handle("/api/ingress/", ingress.New(e, ingress.Options{Authenticator: s.Door(access.Ingress())}))
	server := httptest.NewServer(mux)
	defer server.Close()

	for range 2 {
		r, err := http.NewRequest("POST", server.URL+"/api/ingress/user_group_members", strings.NewReader(`{"group_id":"sales","user_id":[15,248]}`))
		if err != nil {
			log.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("tld-api-id", "crm")
		r.Header.Set("tld-api-key", secret)
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			log.Fatal(err)
		}
		text, err := io.ReadAll(a.Body)
		if err != nil {
			log.Fatal(err)
		}
		a.Body.Close()
		fmt.Println(a.StatusCode, strings.TrimSpace(string(text)))
	}
	// Output:
	// 200 {"message":"2 User Groups were Added for 2 Users.","added":2}
	// 200 {"message":"No User Groups were Added.","added":0}
}

func company(e *roster.Engine, s *access.Service) (secret string, err error) {
	var boss roster.UserID
	_, err = e.Update(context.Background(), func(tx *roster.Txn) error {
		if _, err := tx.PutDirectory(roster.Directory{ID: 1, Name: "Corp"}); err != nil {
			return err
		}
		for number, name := range map[uint64]string{1: "boss", 15: "ann", 248: "ben"} {
			u, err := tx.CreateUser(roster.User{Directory: 1, Username: name, Number: number, Active: true})
			if err != nil {
				return err
			}
			if name == "boss" {
				boss = u
			}
		}
		sales, err := tx.CreateGroup(roster.Group{Directory: 1, Name: "Sales", Number: 10})
		if err != nil {
			return err
		}
		_, err = tx.AddAdmins(sales, boss)
		return err
	})
	if err != nil {
		return "", err
	}
	return s.CreateKey(context.Background(), access.Key{ID: "crm", User: boss, Endpoints: []string{"/api/ingress/user_group_members*"}})
}
