package arcgis

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/rosterdb/roster"
)

// userJSON is a user within a group. The examples of the API have the fields of a user
// in another order for each operation, and so do the answers.
type userJSON struct {
	Username    string `json:"username"`
	Description string `json:"description"`
	Email       string `json:"email"`
	Fullname    string `json:"fullname"`
}

// foundJSON is a user that a search finds.
type foundJSON struct {
	Username    string `json:"username"`
	Description string `json:"description"`
	Fullname    string `json:"fullname"`
	Email       string `json:"email"`
}

// oneUserJSON is a user that was asked for by name.
type oneUserJSON struct {
	Username    string `json:"username"`
	Fullname    string `json:"fullname"`
	Description string `json:"description"`
	Email       string `json:"email"`
}

type usersJSON[U any] struct {
	Users   []U  `json:"users"`
	HasMore bool `json:"hasMore"`
}

type statusJSON struct {
	Status string `json:"status"`
}

var succeeded = statusJSON{"success"}

const (
	atOrg    = "orgs/*"
	atUsers  = "orgs/*/security/users"
	atGroups = "orgs/*/security/groups"
	atConfig = "orgs/*/security/config"
)

var (
	filterField   = field{name: "filter", label: "Filter", hint: "The beginning of a name, or a pattern with * for any text. Empty: all."}
	maxCountField = field{name: "maxCount", label: "Max count", kind: "number", value: "100", hint: "The most results to show: up to 1000 here, any number in JSON."}
)

func userOperations() []*operation {
	return []*operation{{
		at: atUsers + "/refreshMembership", rights: forSecurity, writes: true,
		title: "Refresh membership of users",
		about: "Asks the identity source which enterprise groups the users belong to, and changes their memberships accordingly. Members that were added by hand to other groups stay.",
		fields: []field{{name: "users", label: "Users", kind: "area", required: true,
			hint: "Usernames, separated by commas: jdoe@domain,aturing@domain"}},
		run: (*call).refreshUsers,
	}, {
		at: atUsers + "/createUser", rights: forSecurity, writes: true,
		title:  "Create user",
		about:  "Makes an account with a password of its own, or takes a user of the identity store into the organization.",
		fields: createFields,
		run:    (*call).createUser,
	}, {
		at: atUsers + "/getEnterpriseUser", rights: forSecurity,
		title:  "Get enterprise user",
		about:  "Shows what the identity store says about one user.",
		fields: []field{{name: "username", label: "Username", required: true, hint: `domain\name or name@domain`}},
		run:    (*call).getUser,
	}, {
		at: atUsers + "/searchEnterpriseUsers", rights: forSecurity,
		title:  "Search enterprise users",
		about:  "Lists users of the identity store by username, with those whose username or full name the filter fits.",
		fields: []field{filterField, maxCountField},
		run:    (*call).searchUsers,
	}}
}

// countUsers is the resource users.
func (c *call) countUsers() (*result, error) {
	var total int
	err := c.view(func(tx *roster.Txn) error {
		org, err := c.engineOrganization(tx)
		if err != nil {
			return err
		}
		of := tx.Users
		if org != "" {
			of = func() (roster.Set, error) { return tx.OrgMembers(org) }
		}
		users, err := of()
		total = users.Len()
		return err
	})
	if err != nil {
		return nil, err
	}
	return &result{
		body: struct {
			TotalUsers int `json:"totalUsers"`
		}{total},
		facts: []fact{{"Total users", strconv.Itoa(total)}},
		links: c.linksOf(atUsers, c.org),
	}, nil
}

func (c *call) getUser() (*result, error) {
	ref, err := c.p.needed("username")
	if err != nil {
		return nil, err
	}
	var out oneUserJSON
	err = c.view(func(tx *roster.Txn) error {
		n := c.names(tx)
		id, err := n.user(ref)
		if err != nil {
			return err
		}
		u, err := tx.User(id)
		if err == nil {
			out = oneUserJSON{n.show(u.Directory, u.Username), u.FullName, u.Description, u.Email}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &result{
		body:  out,
		facts: []fact{{"Username", out.Username}, {"Full name", out.Fullname}, {"Email", out.Email}, {"Description", out.Description}},
		links: []link{{Text: "Enterprise groups of this user", Href: c.groupsOf(out.Username)}},
	}, nil
}

func (c *call) searchUsers() (*result, error) {
	everybody := func(n *names) (roster.Set, error) { return n.tx.Users() }
	return listUsers(c, everybody, func(name string, u *roster.User) foundJSON {
		return foundJSON{name, u.Description, u.FullName, u.Email}
	})
}

// listUsers answers with users of a set by the parameters filter and maxCount, each as
// show has it.
func listUsers[U any](c *call, of func(*names) (roster.Set, error), show func(name string, u *roster.User) U) (*result, error) {
	f, err := c.filter()
	if err != nil {
		return nil, err
	}
	most, err := c.maxCount()
	if err != nil {
		return nil, err
	}
	out := usersJSON[U]{Users: []U{}}
	var t *table // for a page: a program has no use for it
	if c.format == formatHTML {
		t = &table{Columns: []string{"Username", "Full name", "Email", "Description"}}
	}
	err = c.view(func(tx *roster.Txn) error {
		n := c.names(tx)
		set, err := of(n)
		if err != nil {
			return err
		}
		users, more, err := n.users(c.r.Context(), set, f, most)
		for i := range users {
			u := &users[i]
			name := n.show(u.Directory, u.Username)
			out.Users = append(out.Users, show(name, u))
			if t != nil {
				t.Rows = append(t.Rows, []cell{{name, c.groupsOf(name)}, {Text: u.FullName}, {Text: u.Email}, {Text: u.Description}})
			}
		}
		out.HasMore = more
		return err
	})
	if err != nil {
		return nil, err
	}
	if t != nil {
		t.More = moreIf(out.HasMore)
	}
	return &result{body: out, note: counted(len(out.Users), "user", out.HasMore), table: t}, nil
}

// groupsOf returns where the groups of a user are listed.
func (c *call) groupsOf(username string) string {
	return c.address(atGroups+"/getEnterpriseGroupsForUser", c.org) + "?username=" + url.QueryEscape(username)
}

// moreIf says how to see what a list has left out.
func moreIf(more bool) string {
	if !more {
		return ""
	}
	return "Raise “Max count” or narrow the filter to see the others."
}

// counted says how many there are.
func counted(n int, what string, more bool) string {
	if n != 1 {
		what += "s"
	}
	if more {
		return fmt.Sprintf("The first %d %s; there are more.", n, what)
	}
	if n == 0 {
		return fmt.Sprintf("No %s.", what)
	}
	return fmt.Sprintf("%d %s.", n, what)
}

// isAny reports whether an error is one of some.
func isAny(err error, targets ...error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}
