package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/directory"
	"github.com/rosterdb/roster/directory/file"
)

// find searches inside a set: while the search index is being built, and by it.
func (d *demo) find() error {
	return d.open(d.ctx, roster.Options{}, func(e *roster.Engine) error {
		if err := e.View(d.ctx, d.search("looking at each user, while the index is built")); err != nil {
			return err
		}
		start := time.Now()
		for e.Stats().SearchRevision != e.Revision() {
			if err := sleep(d.ctx, glance); err != nil {
				return err
			}
		}
		d.say("index", time.Since(start), "the search index of %s users is there", count(demoUsers))
		return e.View(d.ctx, d.search("by the index"))
	})
}

// search returns what searches once in a view.
func (d *demo) search(how string) func(tx *roster.Txn) error {
	return func(tx *roster.Txn) error {
		x, err := roster.ParseExpr("contractors & division-0")
		if err != nil {
			return err
		}
		set, err := tx.Eval(x)
		if err != nil {
			return err
		}
		const text = "persom 12"
		start := time.Now()
		res, err := tx.Search(roster.SearchQuery{Text: text, Fuzzy: true, Within: &set, Limit: 3})
		if err != nil {
			return err
		}
		names := ""
		for _, u := range res.Users {
			names += tx.Username(u) + ", "
		}
		d.say("search", time.Since(start), "%q, with a typo, among %s contractors of division-0: %s, %s", text, count(set.Len()), count(res.Total), how)
		d.more("by name: %s…", names)
		return nil
	}
}

// refresh lets an enterprise group take its members from a file, changes the file
// and refreshes one user.
func (d *demo) refresh() error {
	people := filepath.Join(d.dir, "people.csv")
	write := func(group string) error {
		return os.WriteFile(people, fmt.Appendf(nil, "username,groups\nada,readers\ngrace,%s\n", group), 0o600)
	}
	if err := write("readers"); err != nil {
		return err
	}
	return d.open(d.ctx, roster.Options{}, func(e *roster.Engine) error {
		src, err := file.New(file.Config{Paths: []string{people}})
		if err != nil {
			return err
		}
		link, err := directory.New(e, src, directory.Options{Directory: "hr"})
		if err != nil {
			return err
		}
		start := time.Now()
		if _, err := link.Sync(d.ctx, directory.Run{Actor: "demo"}); err != nil {
			return err
		}
		d.say("sync", time.Since(start), "a file of two people is an identity source now")
		if err := write("writers"); err != nil {
			return err
		}
		start = time.Now()
		report, err := link.Refresh(d.ctx, directory.Run{Actor: "demo"}, "grace")
		if err != nil {
			return err
		}
		took := time.Since(start)
		was, err := e.CheckName("grace@hr", "hr:readers")
		if err != nil {
			return err
		}
		is, err := e.CheckName("grace@hr", "hr:writers")
		if err != nil {
			return err
		}
		d.say("refresh", took, "grace was moved there: %d membership ended and %d began, as one change", len(report.Diff.Removed), len(report.Diff.Added))
		d.more("grace in readers: %t, in writers: %t", was, is)
		return nil
	})
}
