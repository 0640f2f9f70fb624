package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/exchange"
)

// joinFlags are the fields of a membership that can be given on the command
// line. Only those that are given change.
type joinFlags struct {
	cmd                *cobra.Command
	owner, standard    bool
	roles, permissions []string
	allowed            []string
	networks           []netip.Prefix // what allowed means
}

func (p *program) orgJoinCommand() *cobra.Command {
	var f joinFlags
	cmd := &cobra.Command{
		Use:   "join ORG USER",
		Short: "Make a user a member of an organisation, or change what is given of its membership",
		Long: `Make a user a member of an organisation, or change what is given of its membership:
what is not given stays as it is. A list replaces the one that was, and one empty
value leaves none: --role ''.`,
		Example: example(
			"roster org join acme bob --role clerk --permission reports.read",
			"roster org join acme bob --owner                      # the rest stays",
			"roster org join acme bob --allow-ip 203.0.114.0/24    # may come from there only",
			"roster org join acme bob --owner=false --role ''",
		),
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: p.complete(orgNames, userNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.parse(); err != nil {
				return err
			}
			return p.put(cmd, membershipName(args), func(tx *roster.Txn) (created, changed bool, err error) {
				return f.join(tx, args[0], args[1])
			})
		},
	}
	f.cmd = cmd
	cmd.Flags().BoolVar(&f.owner, "owner", false, "may do everything; --owner=false takes that back")
	cmd.Flags().BoolVar(&f.standard, "default", false, "the organisation of the user when none is named; its first is that by itself")
	cmd.Flags().StringArrayVar(&f.roles, "role", nil, "`ID` of a role, repeated for several")
	cmd.Flags().StringArrayVar(&f.permissions, "permission", nil, "`permission` beside those of the roles, repeated for several; * is all of them")
	cmd.Flags().StringArrayVar(&f.allowed, "allow-ip", nil, "public `NETWORK` or address that the user may come from, repeated for several; none: from anywhere")
	p.completeFlag(cmd, "role", roleNames)
	return cmd
}

// membershipName is what a membership is called in answers.
func membershipName(args []string) string {
	return fmt.Sprintf("membership of %s in %s", args[1], args[0])
}

// parse checks what can be checked without the data.
func (f *joinFlags) parse() error {
	f.networks = nil
	for _, s := range given(f.allowed) {
		n, err := parseNetwork(s)
		if err != nil {
			return err
		}
		f.networks = append(f.networks, n)
	}
	return nil
}

// parseNetwork understands a network, and an address as that of itself alone.
func parseNetwork(s string) (netip.Prefix, error) {
	if n, err := netip.ParsePrefix(s); err == nil {
		return n, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("--allow-ip %q is neither a network nor an address: write it like 203.0.114.0/24, 203.0.114.7 or 2606:4700::/32", s)
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// join creates or changes a membership.
func (f *joinFlags) join(tx *roster.Txn, org, ref string) (created, changed bool, err error) {
	user, err := tx.FindUser(ref)
	if err != nil {
		return false, false, err
	}
	m, err := tx.OrgMembership(org, user)
	switch {
	case errors.Is(err, roster.ErrNotFound):
		m, created = roster.OrgMembership{Organization: org, User: user}, true
	case err != nil:
		return false, false, err
	}
	if m.Default && f.cmd.Flags().Changed("default") && !f.standard {
		return false, false, fmt.Errorf("%q is the default organisation of %q: make another one that, with --default there", org, ref)
	}
	f.fill(&m)
	changed, err = tx.PutOrgMembership(m)
	return created, changed, err
}

func (f *joinFlags) fill(m *roster.OrgMembership) {
	for flag, set := range map[string]func(){
		"owner":      func() { m.Owner = f.owner },
		"default":    func() { m.Default = f.standard },
		"role":       func() { m.Roles = given(f.roles) },
		"permission": func() { m.Permissions = given(f.permissions) },
		"allow-ip":   func() { m.AllowedIPs = f.networks },
	} {
		if f.cmd.Flags().Changed(flag) {
			set()
		}
	}
}

func (p *program) orgLeaveCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "leave ORG USER",
		Short:             "End a user's membership of an organisation",
		Example:           example("roster org leave acme bob"),
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: p.complete(orgNames, orgMemberNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.remove(cmd, membershipName(args), func(tx *roster.Txn) error {
				m, err := findMembership(tx, args[0], args[1])
				if err != nil {
					return err
				}
				return tx.DeleteOrgMembership(m.Organization, m.User)
			})
		},
	}
}

func (p *program) orgMemberCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "member ORG USER",
		Short:             "Show a user's membership of an organisation, with all that it may do there",
		Example:           example("roster org member acme bob", "roster org member acme bob --json"),
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: p.complete(orgNames, orgMemberNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.read(cmd.Context(), func(tx *roster.Txn) error { return p.showMembership(tx, args[0], args[1]) })
		},
	}
}

// findMembership returns the membership of a user in an organisation.
func findMembership(tx *roster.Txn, org, ref string) (roster.OrgMembership, error) {
	o, err := tx.Organization(org)
	if err != nil {
		return roster.OrgMembership{}, err
	}
	user, err := tx.FindUser(ref)
	if err != nil {
		return roster.OrgMembership{}, err
	}
	m, err := tx.OrgMembership(o.ID, user)
	if errors.Is(err, roster.ErrNotFound) {
		return m, fmt.Errorf("%q is no member of organisation %q: `roster members org:%s` lists them", ref, o.ID, o.ID)
	}
	return m, err
}

func (p *program) showMembership(tx *roster.Txn, org, ref string) error {
	m, err := findMembership(tx, org, ref)
	if err != nil {
		return err
	}
	may, err := tx.Permissions(m.Organization, m.User)
	if err != nil {
		return err
	}
	u, err := tx.User(m.User)
	if err != nil {
		return err
	}
	if p.json {
		_, err := p.stdout.Write(extend(exchange.AppendOrgMembership(nil, m, u.UID), "effectivePermissions", may))
		return err
	}
	s := sheet{}
	s.row("organisation", m.Organization)
	s.row("user", u.Username)
	s.row("owner", yesNo(m.Owner))
	s.row("default", yesNo(m.Default))
	s.row("roles", strings.Join(m.Roles, ", "))
	s.row("own permissions", strings.Join(m.Permissions, ", "))
	if slices.Contains(may, roster.AllPermissions) {
		may = []string{"everything"}
	}
	s.row("may", strings.Join(may, ", "))
	s.row("from", networks(m.AllowedIPs))
	s.times(m.Created, m.Updated)
	return s.print(p.stdout)
}

// networks returns where a member may come from, as parseNetwork reads it.
func networks(all []netip.Prefix) string {
	if len(all) == 0 {
		return "anywhere"
	}
	texts := make([]string, len(all))
	for i, n := range all {
		texts[i] = n.String()
		if n.IsSingleIP() {
			texts[i] = n.Addr().String()
		}
	}
	return strings.Join(texts, ", ")
}
