package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/directory"
	"github.com/rosterdb/roster/exchange"
	"github.com/rosterdb/roster/internal/apitest"
)

// arcgisTranscripts is the world of the transcripts of the ArcGIS API.
func arcgisTranscripts() string {
	var out strings.Builder
	out.WriteString(jsonLine("directory", "id", 1, "name", "ArcGIS") + jsonLine("directory", "id", 2, "name", "domain") + jsonLine("organization", "id", "org_1", "name", "Acme"))
	for name, password := range map[string]string{"admin1": "admin's password", "helper": "helper's password", "nobody1": "nobody's password"} {
		privileges := map[string][]string{"admin1": {access.AllPrivileges}, "helper": {access.PrivilegeGroupLinks}, "nobody1": {}}[name]
		out.WriteString(jsonLine("user", "directory", 1, "username", name))
		out.WriteString(jsonLine("account", "directory", 1, "user", name, "password", password, "privileges", privileges))
	}
	for _, name := range []string{"aturing", "jdoe"} {
		u := domainUser(name)
		out.WriteString(jsonLine("user", "directory", 2, "username", name, "fullName", u.FullName, "email", u.Email, "description", u.Description))
	}
	return out.String() + jsonLine("group", "directory", 2, "name", "by hand") + jsonLine("member", "directory", 2, "group", "by hand", "user", "aturing")
}

func domainUser(name string) directory.User {
	full := map[string]string{"aturing": "Alan Turing", "jdoe": "John Doe"}[name]
	dn := "CN=" + full + ",OU=Users,OU=Development,OU=Departments,DC=domain,DC=com"
	return directory.User{Name: name, Refs: []string{name}, FullName: full, Email: name + "@domain.com", Description: dn, Active: true}
}

// domainSource is the identity source of the directory domain.
func domainSource() directory.Source {
	return &directory.Funcs{
		EachUser: func(context.Context) iter.Seq2[directory.User, error] {
			return func(yield func(directory.User, error) bool) {
				_ = yield(domainUser("aturing"), nil) && yield(domainUser("jdoe"), nil)
			}
		},
		EachGroup: func(context.Context) iter.Seq2[directory.Group, error] {
			return func(yield func(directory.Group, error) bool) {
				for name, members := range map[string][]string{"cartographers": {"aturing", "jdoe"}, "surveyors": {"jdoe"}} {
					each := func(yield func(string, error) bool) {
						for _, m := range members {
							if !yield(m, nil) {
								return
							}
						}
					}
					if !yield(directory.Group{Name: name, Refs: []string{"group " + name}, Members: each}, nil) {
						return
					}
				}
			}
		},
	}
}

// arcgisPlayer plays transcripts of the ArcGIS API.
type arcgisPlayer struct {
	*testing.T
	e     *roster.Engine
	s     *access.Service
	h     http.Handler
	clock *apitest.Clock
}

func newArcgisPlayer(t *testing.T, source bool) *arcgisPlayer {
	t.Helper()
	p := &arcgisPlayer{T: t, clock: apitest.NewClock(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC))}
	quick := access.HashOptions{Params: access.Params{MemoryKiB: 8, Passes: 1, Lanes: 1}}
	hasher, err1 := access.NewHasher(quick)
	var err2, err3, err4 error
	p.e, err2 = roster.Open("", roster.Options{InMemory: true, Now: p.clock.Now})
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.e.Close() })
	_, err1 = exchange.Import(t.Context(), p.e, exchange.Options{Format: exchange.JSONLines, Hasher: hasher}, exchange.Input{Name: "world", Reader: strings.NewReader(arcgisTranscripts())})
	p.s, err3 = access.New(p.e, access.Options{Hash: quick, Now: p.clock.Now})
	s := &server{log: slog.New(slog.DiscardHandler), limits: defaultLimits(), now: p.clock.Now}
	var sources linkedSources
	if source {
		l := &linkedSource{name: "domain", source: domainSource(), id: 2}
		l.link, err2 = directory.New(p.e, l.source, directory.Options{Directory: "domain", Adopt: func(*roster.Txn, roster.User) bool { return true }, Now: p.clock.Now})
		if err2 == nil {
			_, err2 = l.link.Sync(t.Context(), sourceRun())
		}
		sources = append(sources, l)
	}
	p.h, err4 = s.handler(p.e, sources)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *arcgisPlayer) token(name, referer string) string {
	p.Helper()
	id, err := findUser(p.e, name)
	if err != nil {
		p.Fatal(err)
	}
	token, _, err := p.s.IssueToken(p.Context(), access.Principal{User: id, Directory: 1, Username: name, By: access.ByHost}, access.TokenSpec{Audience: "arcgis", Binding: access.Binding{Referer: referer}})
	if err != nil {
		p.Fatal(err)
	}
	return token
}

var (
	issuedToken = regexp.MustCompile(`("token": ?")[^"]+`)
	pageStyle   = regexp.MustCompile(`(?s)<style>.*</style>`)
)

// play answers as the adapter's own test does: the status, the headers that clients
// look at, and the body without what is another one each time.
func (p *arcgisPlayer) play(s apitest.Section) (string, bool) {
	p.clock.Pass(-2 * time.Hour)
	expired := p.token("admin1", "")
	p.clock.Pass(2 * time.Hour)
	text := strings.NewReplacer("$ADMIN", p.token("admin1", ""), "$HELPER", p.token("helper", ""), "$NOBODY", p.token("nobody1", ""),
		"$EXPIRED", expired, "$REFERER", p.token("admin1", "https://maps.example")).Replace(strings.TrimSuffix(s.Text, "\n"))
	head, body, _ := strings.Cut(text, "\n\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(fmt.Sprintf("%s\nContent-Length: %d\n\n%s", head, len(body), body))))
	if err != nil {
		p.Fatalf("%v in\n%s", err, text)
	}
	r.RemoteAddr = "192.0.2.7:1234"
	w := httptest.NewRecorder()
	p.h.ServeHTTP(w, r)
	var out strings.Builder
	fmt.Fprintf(&out, "%d\n", w.Code)
	for _, h := range []string{"Content-Type", "Allow", "Retry-After", "Location"} {
		if v := w.Header().Get(h); v != "" {
			fmt.Fprintf(&out, "%s: %s\n", h, v)
		}
	}
	answer := pageStyle.ReplaceAllString(issuedToken.ReplaceAllString(w.Body.String(), "${1}TOKEN"), "<style></style>")
	fmt.Fprintf(&out, "\n%s\n\n", answer)
	return out.String(), true
}

// TestServeArcgisTranscripts is TestServeTranscripts for the transcripts that need no
// options of the handler but whether there is an identity source.
func TestServeArcgisTranscripts(t *testing.T) {
	for _, name := range []string{"getUsersWithinEnterpriseGroup", "getUsersWithinEnterpriseGroup_errors", "generateToken", "headers", "multipart", "referer", "pages", "createUser", "config_builtin", "siblings", "refreshMembership", "refreshMembership_errors", "refreshMembership_noSource"} {
		apitest.Play(t, filepath.Join("..", "..", "adapter", "arcgis", "testdata", name+".txtar"), func(t *testing.T, _ string) apitest.Player {
			p := newArcgisPlayer(t, name != "refreshMembership_noSource")
			return func(s apitest.Section) (string, bool) {
				kind, rest, _ := strings.Cut(s.Name, ": ")
				if kind != "wait" && kind != "options" {
					return p.play(s)
				}
				if d, err := time.ParseDuration(rest); kind == "wait" && err == nil {
					p.clock.Pass(d)
				} else if rest != "none" && rest != "noSource" {
					t.Fatalf("%s: %s", kind, rest)
				}
				return "", false
			}
		})
	}
}
