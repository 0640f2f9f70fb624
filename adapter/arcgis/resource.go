package arcgis

import (
	"net/http"

	"github.com/rosterdb/roster"
)

// resourcesJSON lists what is below a resource.
type resourcesJSON struct {
	Resources []string `json:"resources"`
}

type orgsJSON struct {
	Orgs    []orgJSON `json:"orgs"`
	HasMore bool      `json:"hasMore"`
}

type orgJSON struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// resources are the pages of the directory that GET reads.
func resources() []*operation {
	return []*operation{
		{at: "", title: "Administrator directory", about: "Everything that an administrator can see and do here, as pages for people and as JSON for programs.",
			run: (*call).overview},
		{at: "orgs", title: "Organizations", about: "All users and groups, and the organizations that some of the users are members of.", run: (*call).listOrgs},
		{at: atOrg, title: "Organization", about: "What there is to see and do in one organization.", run: listing("security")},
		{at: "orgs/*/security", title: "Security", about: "Users, enterprise groups and the stores that they come from.",
			run: listing("users", "groups", "config")},
		{at: atUsers, title: "Users", about: "How many there are, and the operations on them.", rights: forSecurity, run: (*call).countUsers},
		{at: atGroups, title: "Groups", about: "How many there are, and the operations on them.", rights: forGroups, run: (*call).countGroups},
		{at: atConfig, title: "Identity store configuration", rights: forSecurity, about: "Where users and groups come from. Passwords are not shown.",
			run: (*call).showConfig},
	}
}

func nothing(*roster.Txn) error { return nil }

// listing is a resource that has nothing but what is below it.
func listing(below ...string) func(*call) (*result, error) {
	return func(c *call) (*result, error) {
		if err := c.view(nothing); err != nil {
			return nil, err
		}
		return &result{body: resourcesJSON{below}, links: c.linksOf(c.op.at, c.org)}, nil
	}
}

// overview is the resource that all others are below, and a short way to all operations.
func (c *call) overview() (*result, error) {
	r, err := listing("orgs")(c)
	if err != nil {
		return nil, err
	}
	for _, at := range []string{atUsers, atGroups} {
		if links := c.linksOf(at, c.o.Organization); len(links) > 0 {
			r.lists = append(r.lists, list{c.titleOf(at), links})
		}
	}
	return r, nil
}

// listOrgs is the resource orgs: all of the engine, and its organisations.
func (c *call) listOrgs() (*result, error) {
	const most = 1000
	out := orgsJSON{Orgs: []orgJSON{{c.o.Organization, "All users and groups"}}}
	err := c.view(func(tx *roster.Txn) error {
		for id := range tx.Organizations("") {
			if len(out.Orgs) == most {
				out.HasMore = true
				return nil
			}
			o, err := tx.Organization(id)
			if err != nil {
				return err
			}
			if !c.isEverything(o.ID) {
				out.Orgs = append(out.Orgs, orgJSON{o.ID, o.Name})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	t := &table{Columns: []string{"ID", "Name"}}
	if out.HasMore {
		t.More = "There are more organizations than are shown."
	}
	for _, o := range out.Orgs {
		t.Rows = append(t.Rows, []cell{{o.ID, c.address(atOrg, o.ID)}, {Text: o.Name}})
	}
	return &result{body: out, table: t}, nil
}

// linksOf returns links to what is right below an address of an organisation.
func (c *call) linksOf(at, org string) []link {
	var out []link
	for _, list := range [][]*operation{c.resources, c.operations} {
		for _, op := range list {
			if op.at != "" && parent(op.at) == at && c.who.Has(op.rightsOrAny()...) {
				out = append(out, link{op.title, c.address(op.at, org), op.about})
			}
		}
	}
	return out
}

func (op *operation) rightsOrAny() []string {
	if op.rights == nil {
		return forGroups
	}
	return op.rights
}

// setHeaders sets what every answer has.
func (a *api) setHeaders(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}
