package arcgis

import (
	"net/url"
	"slices"
	"strconv"

	"github.com/rosterdb/roster"
)

type groupsJSON struct {
	Groups  []groupJSON `json:"groups"`
	HasMore bool        `json:"hasMore"`
}

type groupJSON struct {
	Rolename string `json:"rolename"`
}

type groupNamesJSON struct {
	Groups  []string `json:"groups"`
	HasMore bool     `json:"hasMore"`
}

func groupOperations() []*operation {
	return []*operation{{
		at: atGroups + "/getUsersWithinEnterpriseGroup", rights: forGroups,
		title:  "Get users within enterprise group",
		about:  "Lists the users who belong to an enterprise group, by username.",
		fields: []field{{name: "groupName", label: "Group name", required: true, hint: `The name, or domain\name: cartographers`}, filterField, maxCountField},
		run:    (*call).usersWithin,
	}, {
		at: atGroups + "/searchEnterpriseGroups", rights: forGroups,
		title:  "Search enterprise groups",
		about:  "Lists enterprise groups by name.",
		fields: []field{filterField, maxCountField},
		run:    (*call).searchGroups,
	}, {
		at: atGroups + "/getEnterpriseGroupsForUser", rights: forGroups,
		title:  "Get enterprise groups for user",
		about:  "Lists the enterprise groups that a user belongs to, by name.",
		fields: []field{{name: "username", label: "Username", required: true, hint: `domain\name or name@domain`}, filterField, maxCountField},
		run:    (*call).groupsOfUser,
	}, {
		at: atGroups + "/refreshMembership", rights: forGroups, writes: true,
		title: "Refresh membership of groups",
		about: "Asks the identity source who belongs to the groups and to all groups within them, and changes their members accordingly.",
		fields: []field{{name: "groups", label: "Groups", kind: "area", required: true,
			hint: `Names of enterprise groups, separated by commas: cartographers,domain\surveyors`}},
		run: (*call).refreshGroups,
	}}
}

// countGroups is the resource groups.
func (c *call) countGroups() (*result, error) {
	total := 0
	err := c.view(func(tx *roster.Txn) error {
		for range tx.GroupsByName() {
			if total++; total%1024 == 0 && c.r.Context().Err() != nil {
				return c.r.Context().Err()
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &result{
		body: struct {
			TotalGroups int `json:"totalGroups"`
		}{total},
		facts: []fact{{"Total groups", strconv.Itoa(total)}},
		links: c.linksOf(atGroups, c.org),
	}, nil
}

func (c *call) usersWithin() (*result, error) {
	ref, err := c.p.needed("groupName")
	if err != nil {
		return nil, err
	}
	members := func(n *names) (roster.Set, error) {
		id, err := n.group(ref)
		if err != nil {
			return roster.Set{}, err
		}
		if c.o.DirectOnly {
			return n.tx.DirectMembers(id)
		}
		return n.tx.Members(id)
	}
	return listUsers(c, members, func(name string, u *roster.User) userJSON { return userJSON{name, u.Description, u.Email, u.FullName} })
}

func (c *call) searchGroups() (*result, error) {
	out := groupsJSON{Groups: []groupJSON{}}
	shown, more, err := c.listGroups(func(n *names) (func(func(roster.GroupID) bool), error) {
		return n.tx.GroupsByName(), nil
	})
	if err != nil {
		return nil, err
	}
	for _, name := range shown {
		out.Groups = append(out.Groups, groupJSON{name})
	}
	out.HasMore = more
	return c.groupsResult(out, shown, more), nil
}

func (c *call) groupsOfUser() (*result, error) {
	ref, err := c.p.needed("username")
	if err != nil {
		return nil, err
	}
	shown, more, err := c.listGroups(func(n *names) (func(func(roster.GroupID) bool), error) {
		id, err := n.user(ref)
		if err != nil {
			return nil, err
		}
		of := n.tx.Groups
		if c.o.DirectOnly {
			of = n.tx.DirectGroups
		}
		groups, err := of(id)
		return slices.Values(groups), err
	})
	if err != nil {
		return nil, err
	}
	return c.groupsResult(groupNamesJSON{append([]string{}, shown...), more}, shown, more), nil
}

// listGroups finds groups by the parameters filter and maxCount.
func (c *call) listGroups(of func(*names) (func(func(roster.GroupID) bool), error)) (shown []string, more bool, err error) {
	f, err := c.filter()
	if err != nil {
		return nil, false, err
	}
	most, err := c.maxCount()
	if err != nil {
		return nil, false, err
	}
	err = c.view(func(tx *roster.Txn) error {
		n := c.names(tx)
		all, err := of(n)
		if err == nil {
			shown, more, err = n.groups(c.r.Context(), all, f, most)
		}
		return err
	})
	return shown, more, err
}

func (c *call) groupsResult(body any, shown []string, more bool) *result {
	if c.format != formatHTML {
		return &result{body: body}
	}
	t := &table{Columns: []string{"Enterprise group"}, More: moreIf(more)}
	for _, name := range shown {
		t.Rows = append(t.Rows, []cell{{name, c.usersOf(name)}})
	}
	return &result{note: counted(len(shown), "enterprise group", more), table: t}
}

// usersOf returns where the users of a group are listed.
func (c *call) usersOf(group string) string {
	return c.address(atGroups+"/getUsersWithinEnterpriseGroup", c.org) + "?groupName=" + url.QueryEscape(group)
}
