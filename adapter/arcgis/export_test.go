package arcgis

import (
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"

	"github.com/rosterdb/roster/internal/text"
)

// What tests see of the inside.

// Address is an address below /admin, with * for the organisation.
type Address struct {
	At     string
	Rights []string
	Writes bool
}

// Addresses returns all addresses of a handler.
func Addresses(h http.Handler) (out []Address) {
	a := h.(*api)
	for _, list := range [][]*operation{a.resources, a.operations} {
		for _, op := range list {
			out = append(out, Address{op.at, op.rightsOrAny(), op.writes})
		}
	}
	return out
}

// ParseForm is parseForm.
func ParseForm(s string) (url.Values, error) { return parseForm(s) }

// ReadParts is readParts with the boundary B.
func ReadParts(r io.Reader, most int64) (url.Values, error) {
	return readParts(multipart.NewReader(r, "B"), most)
}

// Segments is api.below for the default prefix.
func Segments(path string) ([]string, bool) {
	return (&api{o: Options{Prefix: "/arcgis"}}).below(path)
}

// Count is params.count.
func Count(s string) (int, error) {
	p := params{body: url.Values{"n": {s}}}
	return p.count("n", 7)
}

// List is params.list.
func List(s string, most int) ([]string, error) {
	p := params{body: url.Values{"n": {s}}}
	return p.list("n", most)
}

// MatchGlob is matchGlob.
func MatchGlob(pattern, s string) bool { return matchGlob(pattern, s) }

// Fold is the folding of names.
func Fold(s string) string { return text.Fold(text.Normal(s)) }

// Fits reports what a filter says of a user of the directory domain.
func Fits(given, domain, username, fullName string) bool {
	c := &call{p: params{body: url.Values{"filter": {given}}}}
	f, err := c.filter()
	if err != nil || f.all() {
		return err == nil
	}
	d := directory{called: []string{text.Fold(domain), text.Fold(domain)}}
	return f.fits(&d, text.Fold(username)) || f.fitsFullName(fullName)
}

// Local is directory.local for a directory with that domain and name.
func Local(domain, name, ref string) (string, bool) {
	d := directory{called: []string{text.Fold(domain), text.Fold(name)}}
	return d.local(strings.Clone(ref))
}
