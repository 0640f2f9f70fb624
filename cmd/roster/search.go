package main

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rosterdb/roster"
)

// searchList is the search command with its flags.
type searchList struct {
	*program
	in, after        string
	active, fuzzy    bool
	count, usernames bool
	directories      []string
	limit            int
}

func (p *program) searchCommand() *cobra.Command {
	s := &searchList{program: p}
	cmd := &cobra.Command{
		Use:   "search TEXT",
		Short: "Find users by username, full name, email or description, one username a line",
		Long: `Find users by username, full name, email or description, one username a line.

Every word of TEXT must occur in the user: where a word begins, or, from three
letters on, anywhere. Case, accents and apostrophes make no difference. Who is
called TEXT comes first, everyone else by name.

When --limit cuts the list, standard error says how to continue it.`,
		Example: example(
			"roster search 'ali lid'",
			"roster search obrien --in 'sales & !inside-sales'",
			"roster search alcie --fuzzy",
			"roster search al --username --count",
		),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.complete(userNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			if s.limit < 0 {
				return errNegativeLimit
			}
			if err := roster.Cursor(strings.TrimPrefix(s.after, "=")).Validate(); s.after != "" && err != nil {
				return fmt.Errorf("--after %q is not what an earlier list gave to continue with", s.after)
			}
			return p.read(cmd.Context(), func(tx *roster.Txn) error {
				q, err := s.query(tx, args[0])
				if err != nil {
					return err
				}
				if s.count {
					return s.printCount(tx, q)
				}
				return s.list(tx, q)
			})
		},
	}
	cmd.Flags().StringVar(&s.in, "in", "", "only users of the set expression `EXPR`")
	cmd.Flags().BoolVar(&s.active, "active", false, "only active users")
	cmd.Flags().StringArrayVar(&s.directories, "directory", nil, "only users of the directory `D`; may be given more than once")
	cmd.Flags().BoolVar(&s.fuzzy, "fuzzy", false, "find words with one typo too")
	cmd.Flags().BoolVar(&s.usernames, "username", false, "find the usernames that begin with TEXT, as it is")
	cmd.Flags().BoolVar(&s.count, "count", false, "print how many there are instead")
	cmd.Flags().IntVar(&s.limit, "limit", 0, "at most `N` users; 0 means all")
	cmd.Flags().StringVar(&s.after, "after", "", "continue behind the `CURSOR` that an earlier list gave")
	return cmd
}

// query makes a query of the flags.
func (s *searchList) query(tx *roster.Txn, text string) (roster.SearchQuery, error) {
	q := roster.SearchQuery{Text: text, Fuzzy: s.fuzzy, Active: s.active, After: roster.Cursor(s.after)}
	if s.usernames {
		q.Fields = roster.Username
	}
	for _, name := range s.directories {
		d, err := tx.DirectoryByName(name)
		if err != nil {
			return q, err
		}
		q.Directories = append(q.Directories, d.ID)
	}
	if s.in != "" {
		x, err := roster.ParseExpr(s.in)
		if err != nil {
			return q, err
		}
		set, err := tx.Eval(x)
		if err != nil {
			return q, err
		}
		q.Within = &set
	}
	return q, nil
}

func (s *searchList) printCount(tx *roster.Txn, q roster.SearchQuery) error {
	q.Limit = -1
	res, err := tx.Search(q)
	if err != nil {
		return err
	}
	text := fmt.Sprint(res.Total)
	if res.AtLeast {
		text = "at least " + text
	}
	return s.answer(text, object("count", uint64(res.Total), "atLeast", res.AtLeast))
}

// searchPage is how many users are asked for at a time: all of a million would
// be many to hold, and each page searches once more.
const searchPage = 100_000

// list prints the users page by page.
func (s *searchList) list(tx *roster.Txn, q roster.SearchQuery) error {
	out := bufio.NewWriter(s.stdout)
	home := directories(tx)
	for n := 0; ; {
		q.Limit = searchPage
		if s.limit > 0 {
			q.Limit = min(searchPage, s.limit-n)
		}
		res, err := tx.Search(q)
		if err != nil {
			return err
		}
		for _, id := range res.Users {
			if err := s.writeUser(out, tx, id, home); err != nil {
				return err
			}
		}
		n += len(res.Users)
		q.After = res.Next
		if q.After == "" || n == s.limit {
			break
		}
	}
	if q.After != "" && s.json {
		if _, err := out.Write(object("more", string(q.After))); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if q.After != "" {
		fmt.Fprintf(s.stderr, "more: --after %s\n", q.After)
	}
	return nil
}
