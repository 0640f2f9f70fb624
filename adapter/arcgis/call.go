package arcgis

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// call is one request.
type call struct {
	*api
	w      http.ResponseWriter
	r      *http.Request
	p      params
	format format
	op     *operation
	org    string

	who     access.Principal
	session string // the token of the session that let the request in, "" for none
}

type format uint8

const (
	formatHTML format = iota
	formatJSON
	formatPJSON
	formatUnknown // answered as JSON: whoever sent it is a program
)

func formatOf(f string) format {
	switch strings.ToLower(f) {
	case "", "html":
		return formatHTML
	case "json":
		return formatJSON
	case "pjson":
		return formatPJSON
	}
	return formatUnknown
}

// result is what an operation found or did: for programs, and for readers.
type result struct {
	body  any // of the JSON answer
	note  string
	facts []fact
	table *table
	links []link
	lists []list
}

// list is a list of links with a heading.
type list struct {
	Title string
	Links []link
}

// fact is a value with its name.
type fact struct{ Name, Value string }

// table is a list for readers.
type table struct {
	Columns []string
	Rows    [][]cell
	More    string // what to do to see what is left out, "" if nothing is
}

// cell is a text of a table, perhaps with a link.
type cell struct{ Text, Href string }

// serve answers a request below /admin.
func (c *call) serve() error {
	if err := c.authenticate(); err != nil {
		return err
	}
	safe := c.r.Method != http.MethodPost
	if safe && !c.op.reads(&c.p) {
		if c.format != formatHTML {
			if c.op.writes {
				c.w.Header().Set("Allow", http.MethodPost)
				return errMethod
			}
		} else {
			return c.formPage()
		}
	}
	done, err := c.op.run(c)
	switch {
	case err != nil && c.format == formatHTML && !c.op.isResource():
		return c.refusedPage(c.told(err))
	case err != nil:
		return err
	case c.format == formatHTML:
		return c.resultPage(done)
	}
	c.writeJSON(http.StatusOK, done.body)
	return nil
}

// view runs fn with one revision, if the request may read and its organisation is
// there.
func (c *call) view(fn func(*roster.Txn) error) error {
	return c.e.View(c.r.Context(), func(tx *roster.Txn) error {
		if err := c.admit(tx); err != nil {
			return err
		}
		return fn(tx)
	})
}

// update is view for changes: all of them are one revision, and who asks for them
// is held to the state that they change.
func (c *call) update(fn func(*roster.Txn) error) error {
	rev, err := c.e.Update(c.r.Context(), func(tx *roster.Txn) error {
		if err := c.admit(tx); err != nil {
			return err
		}
		return fn(tx)
	})
	if err == nil {
		c.o.Logger.Info("arcgis: changed", "operation", c.op.at, "by", c.who.String(), "user", c.who.User, "revision", rev)
	}
	return err
}

// admit returns an error unless the caller has a right to the operation and the
// organisation exists, as tx has it.
func (c *call) admit(tx *roster.Txn) error {
	rights := c.op.rights
	if rights == nil {
		rights = forGroups
	}
	ok, err := entitled(tx, c.who, rights)
	if err != nil {
		return err
	}
	if !ok {
		return errForbidden
	}
	if !strings.Contains(c.op.at, "*") {
		return nil
	}
	_, err = c.engineOrganization(tx)
	return err
}

// entitled reports whether somebody has one of some privileges now. Those of a
// host's own principals are the host's to say.
func entitled(tx *roster.Txn, p access.Principal, rights []string) (bool, error) {
	p, err := p.Current(tx)
	if errors.Is(err, access.ErrDenied) {
		return false, nil
	}
	return err == nil && p.Has(rights...), err
}

// engineOrganization returns the ID of the organisation of the request if it is
// one of the engine's, "" if it is all of the engine, and an error if it is none.
func (c *call) engineOrganization(tx *roster.Txn) (string, error) {
	if c.isEverything(c.org) {
		return "", nil
	}
	o, err := tx.Organization(c.org)
	if errors.Is(err, roster.ErrNotFound) {
		return "", notFound("Organization", c.org)
	}
	return o.ID, err
}

// isEverything reports whether the ID of an organisation stands for all of the engine.
// Capital letters do not count in it, as in those of the engine's.
func (c *call) isEverything(org string) bool {
	return strings.EqualFold(org, c.o.Organization)
}

// maxRows is how many results a page shows. A browser has no use for more, and each
// takes many times the room that it takes in JSON.
const maxRows = 1000

// maxCount returns how many results the request wants.
func (c *call) maxCount() (int, error) {
	n, err := c.p.count("maxCount", 1000)
	if c.format == formatHTML {
		n = min(n, maxRows)
	}
	if c.o.MaxCount > 0 {
		n = min(n, c.o.MaxCount)
	}
	return n, err
}

// writeJSON answers with JSON. The body is put together before the first byte is
// sent, so that an answer is never cut off by an error.
func (c *call) writeJSON(status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("arcgis: an answer cannot be JSON: %v", err))
	}
	if c.format == formatPJSON {
		text = pretty(text)
	}
	c.w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	c.w.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		c.w.Write(text) // a client that has gone is nobody's error
	}
}

// pretty lays JSON out as the examples of the API are: indented, but an object of one
// simple value in one line, {"status": "success"}.
func pretty(text []byte) []byte {
	var indented bytes.Buffer
	if json.Indent(&indented, text, "", "  ") != nil {
		return text
	}
	lines := bytes.SplitN(indented.Bytes(), []byte("\n"), 4)
	if len(lines) != 3 { // no more than "{", one member and "}": a text has no line end in JSON
		return indented.Bytes()
	}
	return bytes.Join([][]byte{lines[0], bytes.TrimSpace(lines[1]), lines[2]}, nil)
}

// stopped returns the error of a context at every so many steps of a long walk.
func stopped(ctx context.Context, step int) error {
	if step%1024 != 0 {
		return nil
	}
	return ctx.Err()
}
