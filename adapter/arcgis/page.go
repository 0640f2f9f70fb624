package arcgis

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/rosterdb/roster/internal/web"
)

//go:embed pages/page.html
var pageText string

//go:embed pages/style.css
var style string

// pages are the templates. They have no scripts, and what they show is escaped by
// package html/template.
var pages = template.Must(template.New("page").Funcs(template.FuncMap{"parts": parts}).Parse(pageText))

// parts cuts a text at the places where a line of it may end: a distinguished name or
// an address has no spaces.
func parts(text string) []string {
	var out []string
	for text != "" {
		end := strings.IndexAny(text, `,@\`) + 1
		if end == 0 {
			end = len(text)
		}
		out, text = append(out, text[:end]), text[end:]
	}
	return out
}

// contentPolicy lets a page load nothing but its own style sheet, which stands in
// it and is named by its hash, and send forms to this server only.
var contentPolicy = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}()

// link leads to another page, and may say what is there.
type link struct{ Text, Href, About string }

// page is what the templates show.
type page struct {
	Style  template.CSS
	Kind   string // signin, error, form or result
	Title  string
	About  string
	Crumbs []link
	Home   string

	User          string // who is signed in, "" for nobody
	SignOut       string
	FormTokenName string
	FormToken     string

	Alert  string // what went wrong
	Code   int
	Note   string // what was done
	Facts  []fact
	Table  *table
	Links  []link
	Lists  []list
	JSON   string // where this is as JSON
	Action string
	Method string
	Writes bool
	Inputs []input

	Next, Name string // of the sign-in
}

// input is a field of a form with what stands in it.
type input struct {
	ID, Name, Label, Hint, Kind, Value, Complete string
	Required                                     bool
	Choices                                      []choice
}

type choice struct {
	Value    string
	Selected bool
}

func (c *call) newPage(kind, title string) *page {
	p := &page{Style: template.CSS(style), Kind: kind, Title: title, Home: c.address("", ""), Crumbs: c.crumbs()}
	if c.session != "" {
		p.User, p.SignOut = c.who.Username, c.o.Prefix+"/admin/logout"
		p.FormTokenName, p.FormToken = formToken, formTokenOf(c.session)
	}
	return p
}

// crumbs are the pages above this one.
func (c *call) crumbs() []link {
	if c.op == nil || c.op == tokenForm || c.op.at == "" {
		return nil
	}
	var out []link
	for at := parent(c.op.at); ; at = parent(at) {
		out = append(out, link{Text: c.titleOf(at), Href: c.address(at, c.org)})
		if at == "" {
			slices.Reverse(out)
			return out
		}
	}
}

// titleOf returns what the way to a resource calls it.
func (c *call) titleOf(at string) string {
	switch at {
	case "":
		return "Home"
	case atOrg:
		return c.org
	}
	i := slices.IndexFunc(c.resources, func(op *operation) bool { return op.at == at })
	return c.resources[i].title
}

// parent returns the address above one.
func parent(at string) string { return at[:max(0, strings.LastIndexByte(at, '/'))] }

// send answers with a page.
func (c *call) send(status int, p *page) error {
	var b bytes.Buffer
	if err := pages.Execute(&b, p); err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	c.w.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		c.w.Write(b.Bytes()) // a browser that has gone is nobody's error
	}
	return nil
}

// signInPage asks who it is.
func (c *call) signInPage(status int, next, name, alert string) error {
	p := c.newPage("signin", "Sign in")
	p.Crumbs, p.Action, p.Next, p.Name, p.Alert = nil, c.o.Prefix+"/admin/login", next, name, alert
	return c.send(status, p)
}

// formPage shows the form of an operation.
func (c *call) formPage() error {
	if c.op != tokenForm {
		if err := c.view(nothing); err != nil {
			return err
		}
	}
	p := c.newPage("form", c.op.title)
	c.fillForm(p)
	return c.send(http.StatusOK, p)
}

// resultPage shows what an operation found, and its form again.
func (c *call) resultPage(r *result) error {
	p := c.newPage("result", c.op.title)
	p.Note, p.Facts, p.Table, p.Links, p.Lists = r.note, r.facts, r.table, r.links, r.lists
	if c.op.isResource() {
		p.About = c.op.about
		p.JSON = web.Path(c.r.URL) + "?f=pjson"
	} else {
		c.fillForm(p)
	}
	return c.send(http.StatusOK, p)
}

// refusedPage shows the form of an operation with what was wrong.
func (c *call) refusedPage(told *apiError) error {
	if told.auth {
		return told
	}
	p := c.newPage("form", c.op.title)
	p.Alert, p.Code = strings.Join(told.messages, " "), told.code
	c.fillForm(p)
	return c.send(told.status(), p)
}

// errorPage shows an error, or asks who it is.
func (c *call) errorPage(told *apiError) {
	unknown := told.code == codeTokenRequired || told.code == codeInvalidToken
	if unknown && c.o.Access != nil && c.op != nil && c.op != tokenForm {
		status := http.StatusOK
		if c.r.Method == http.MethodPost {
			status = http.StatusForbidden
		}
		if c.signInPage(status, web.Path(c.r.URL), "", "") == nil {
			return
		}
	}
	p := c.newPage("error", http.StatusText(told.status()))
	p.Alert, p.Code = strings.Join(told.messages, " "), told.code
	if err := c.send(told.status(), p); err != nil {
		c.o.Logger.Error("arcgis: a page could not be made", "error", err)
		c.w.WriteHeader(http.StatusInternalServerError)
	}
}

// fillForm puts the form of the operation on a page, with what was entered before.
func (c *call) fillForm(p *page) {
	p.About, p.Writes, p.Method, p.Action = c.op.about, c.op.writes || c.op == tokenForm, "post", web.Path(c.r.URL)
	for _, f := range c.op.fields {
		in := input{ID: "in-" + f.name, Name: f.name, Label: f.label, Hint: f.hint, Kind: f.kind, Value: f.value, Required: f.required, Complete: f.complete}
		if in.Kind == "" {
			in.Kind = "text"
		}
		if v := c.p.all(f.name); len(v) > 0 && f.kind != "password" {
			in.Value = strings.Join(v, ",")
		}
		for _, v := range f.choices {
			in.Choices = append(in.Choices, choice{v, v == in.Value})
		}
		p.Inputs = append(p.Inputs, in)
	}
}
