package exchange

import (
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"

	"github.com/rosterdb/roster"
)

// csvWriter writes the users of a store, one a row.
type csvWriter struct {
	*exporter
	rows *csv.Writer
	left leftOut
}

func (x *exporter) csv() error {
	w := &csvWriter{exporter: x, rows: csv.NewWriter(x.out), left: leftOut{}}
	if err := w.rows.Write(csvUsers); err != nil {
		return err
	}
	if err := x.users(w.user); err != nil {
		return err
	}
	w.rows.Flush()
	if err := w.rows.Error(); err != nil || x.opts.Warn == nil {
		return err
	}
	return w.report()
}

func (w *csvWriter) user(u roster.User) error {
	groups, err := w.tx.DirectGroups(u.ID)
	if err != nil {
		return err
	}
	var names []string
	for _, id := range groups {
		name := w.tx.GroupName(id)
		if strings.Contains(name, ";") || strings.TrimSpace(name) != name {
			w.left["memberships of groups whose name holds a semicolon or begins or ends with a space: left out"]++
			continue
		}
		names = append(names, name)
	}
	if len(u.Attributes) > 0 {
		w.left["users have attributes: left out"]++
	}
	for _, s := range []string{u.FullName, u.Email, u.Description} {
		if strings.Contains(s, "\r\n") {
			w.left["texts have lines that end with CR LF: an import reads LF"]++
		}
	}
	err = w.rows.Write([]string{u.Username, u.FullName, u.Email, u.Description, strconv.FormatBool(u.Active), strings.Join(names, ";")})
	if err != nil {
		return err
	}
	return w.step()
}

// report tells what was left out.
func (w *csvWriter) report() error {
	w.opts.Warn("CSV holds no ids, uids and times: left out")
	if n := len(w.tx.Directories()); n > 1 {
		w.opts.Warn(fmt.Sprintf("CSV holds no directories: an import of this file puts those of all %d into one, refuses a username that two of them have, and makes one group of those that have the same name", n))
	}
	err := w.eachGroup(func(g roster.Group) error {
		members, err := w.tx.DirectMembers(g.ID)
		if err != nil {
			return err
		}
		nested, err := w.tx.Subgroups(g.ID)
		if err != nil {
			return err
		}
		w.left.add("memberships are of groups in groups: left out", len(nested))
		if members.Len() == 0 {
			w.left["groups have no users of their own: left out"]++
		}
		if g.Description != "" || g.Enterprise || len(g.Abilities) > 0 {
			w.left["groups have a description, abilities or an identity source: left out"]++
		}
		return w.ctx.Err()
	})
	if err != nil {
		return err
	}
	if err := w.countOrganizations(w.left); err != nil {
		return err
	}
	w.left.tell(w.opts.Warn)
	return nil
}
