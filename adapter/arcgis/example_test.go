package arcgis_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/arcgis"
)

// A program with an engine gets the API by one line in its mux.
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
	hash, err := s.Hasher().Hash(context.Background(), "a good password")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := e.Update(context.Background(), func(tx *roster.Txn) error { return company(tx, hash) }); err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.Handle("/arcgis/", arcgis.New(e, arcgis.Options{Access: s}))
	server := httptest.NewServer(mux)
	defer server.Close()

	p, err := s.Login(context.Background(), "siteadmin", "a good password", netip.Addr{})
	if err != nil {
		log.Fatal(err)
	}
	token, _, err := s.IssueToken(context.Background(), p, access.TokenSpec{Audience: "arcgis"})
	if err != nil {
		log.Fatal(err)
	}
	answer, err := http.PostForm(server.URL+"/arcgis/admin/orgs/0123456789ABCDEF/security/groups/getUsersWithinEnterpriseGroup",
		url.Values{"groupName": {"cartographers"}, "maxCount": {"10"}, "f": {"json"}, "token": {token}})
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	fmt.Println(string(body), err)
	// Output: {"users":[{"username":"domain\\aturing","description":"","email":"aturing@domain.com","fullname":"Alan Turing"}],"hasMore":false} <nil>
}

// company makes an administrator, and an enterprise group with a member.
func company(tx *roster.Txn, password access.Hash) error {
	for _, d := range []roster.Directory{{ID: 1, Name: "ArcGIS"}, {ID: 2, Name: "domain"}} {
		if _, err := tx.PutDirectory(d); err != nil {
			return err
		}
	}
	admin, err := tx.CreateUser(roster.User{Directory: 1, Username: "siteadmin", Active: true})
	if err != nil {
		return err
	}
	account := access.Account{User: admin, Password: password, Privileges: []string{access.PrivilegeSecurity}}
	if _, err := access.PutAccount(tx, account, time.Now()); err != nil {
		return err
	}
	turing, err := tx.CreateUser(roster.User{Directory: 2, Username: "aturing", FullName: "Alan Turing", Email: "aturing@domain.com", Active: true})
	if err != nil {
		return err
	}
	group, err := tx.CreateGroup(roster.Group{Directory: 2, Name: "cartographers", Enterprise: true})
	if err == nil {
		_, err = tx.Add(group, turing)
	}
	return err
}
