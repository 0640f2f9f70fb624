package crowd_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/crowd"
)

// alice administers sales, and puts bob into it.
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
	if err := company(e, s); err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.Handle("/crowd/", crowd.New(e, crowd.Options{Authenticator: s.Door(access.Crowd())}))
	server := httptest.NewServer(mux)
	defer server.Close()

	ask := func(path, body string) {
		r, err := http.NewRequest("POST", server.URL+"/crowd/rest/admin/1.0/"+path, strings.NewReader(body))
		if err != nil {
			log.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.SetBasicAuth("alice", "correct horse")
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			log.Fatal(err)
		}
		defer a.Body.Close()
		text, err := io.ReadAll(a.Body)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(a.StatusCode, string(bytes.TrimSpace(text)))
	}
	ask("users/search?limit=1", `{"search":"bob"}`)
	ask("users/1-Ym9i/groups", `{"ids":["1-c2FsZXM","1-c3RhZmY"]}`)
	// Output:
	// 200 {"values":[{"id":"1-Ym9i","username":"bob","active":true,"directory":{"id":1,"displayName":"Corp","directoryType":"INTERNAL"}}],"size":1,"start":0,"limit":1,"isLastPage":true}
	// 200 {"successes":["1-c2FsZXM"],"failures":[{"entity":"1-c3RhZmY","reason":"You do not administer the group"}]}
}

func company(e *roster.Engine, s *access.Service) error {
	var alice roster.UserID
	_, err := e.Update(context.Background(), func(tx *roster.Txn) (err error) {
		if _, err = tx.PutDirectory(roster.Directory{ID: 1, Name: "Corp"}); err != nil {
			return err
		}
		if alice, err = tx.CreateUser(roster.User{Directory: 1, Username: "alice", Active: true}); err != nil {
			return err
		}
		if _, err = tx.CreateUser(roster.User{Directory: 1, Username: "bob", Active: true}); err != nil {
			return err
		}
		sales, err := tx.CreateGroup(roster.Group{Directory: 1, Name: "sales"})
		if err != nil {
			return err
		}
		if _, err = tx.CreateGroup(roster.Group{Directory: 1, Name: "staff"}); err != nil {
			return err
		}
		_, err = tx.AddAdmins(sales, alice)
		return err
	})
	if err != nil {
		return err
	}
	return s.SetPassword(context.Background(), alice, "correct horse")
}
