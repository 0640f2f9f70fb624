package ldap_test

import (
	"context"
	"fmt"
	"log"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/directory"
	"github.com/rosterdb/roster/directory/ldap"
)

// Users and groups of Active Directory, with their telephone numbers,
// read when asked. The password is read from its file at each login to the
// server. (This server does not exist, so nothing is changed.)
func Example() {
	e, err := roster.Open("", roster.Options{InMemory: true})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	schema := ldap.ActiveDirectory()
	schema.Attributes = []string{"telephoneNumber"}
	src, err := ldap.New(ldap.Config{
		URL: "ldaps://localhost:1", BaseDN: "DC=corp,DC=example", Schema: schema,
		BindDN: "CN=reader,DC=corp,DC=example", PasswordFile: "/run/secrets/ldap", Retries: -1,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer src.Close()
	link, err := directory.New(e, src, directory.Options{Directory: "corp"})
	if err != nil {
		log.Fatal(err)
	}
	_, err = link.Sync(context.Background(), directory.Run{Actor: "admin"})
	fmt.Println(err != nil, e.Revision())
	// Output: true 0
}
