// Package browsertest uses the pages of adapter/arcgis as an administrator does: in
// a browser, without scripts.
package browsertest

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/arcgis"
)

const password = "correct horse battery 1"

// site is a server with the users and groups of the API's examples, and a source
// that says who belongs to surveyors.
type site struct {
	*httptest.Server
	e   *roster.Engine
	doe roster.UserID
	g   roster.GroupID

	mu        sync.Mutex
	refreshed []string // guarded by mu
}

func (s *site) Refresh(ctx context.Context, _ string, users ...string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refreshed = append(s.refreshed, users...)
	_, err := s.e.Update(ctx, func(tx *roster.Txn) error { _, err := tx.Add(s.g, s.doe); return err })
	return nil, err
}

func (s *site) RefreshGroups(context.Context, string, ...string) ([]string, error) { return nil, nil }

func newSite(t *testing.T) *site {
	t.Helper()
	e, err := roster.Open("", roster.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	s := &site{e: e}
	var admin roster.UserID
	if _, err := e.Update(t.Context(), func(tx *roster.Txn) (err error) {
		admin, err = s.fill(tx)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	a, err := access.New(e, access.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.SetPassword(t.Context(), admin, password); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Update(t.Context(), func(tx *roster.Txn) error {
		account, err := access.GetAccount(tx, admin)
		if err == nil {
			account.Privileges = []string{access.PrivilegeSecurity}
			_, err = access.PutAccount(tx, account, time.Now())
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/arcgis/", arcgis.New(e, arcgis.Options{Access: a, Sources: map[string]arcgis.Refresher{"domain": s}}))
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *site) fill(tx *roster.Txn) (admin roster.UserID, err error) {
	_, err1 := tx.PutDirectory(roster.Directory{ID: 1, Name: "ArcGIS"})
	_, err2 := tx.PutDirectory(roster.Directory{ID: 2, Name: "domain"})
	admin, err3 := tx.CreateUser(roster.User{Directory: 1, Username: "siteadmin", FullName: "Site Administrator", Active: true})
	if err := errors.Join(err1, err2, err3); err != nil {
		return 0, err
	}
	ou := ",OU=Users,OU=Development,OU=Departments,DC=domain,DC=com"
	group, err := tx.CreateGroup(roster.Group{Directory: 2, Name: "cartographers", Enterprise: true})
	if err != nil {
		return 0, err
	}
	if s.g, err = tx.CreateGroup(roster.Group{Directory: 2, Name: "surveyors", Enterprise: true}); err != nil {
		return 0, err
	}
	for _, name := range []string{"Alan Turing", "John Doe", "Ada Lovelace", "Grace Hopper", "<script>alert(1)</script> Evil"} {
		first, last, _ := strings.Cut(name, " ")
		short := strings.ToLower(first[:1] + last)
		u, err := tx.CreateUser(roster.User{Directory: 2, Username: short, FullName: name, Email: short + "@domain.com", Description: "CN=" + name + ou, Active: true})
		if err != nil {
			return 0, err
		}
		if short == "jdoe" {
			s.doe = u
		}
		if _, err := tx.Add(group, u); err != nil {
			return 0, err
		}
	}
	return admin, nil
}

// browser starts Chromium without scripts, or skips the test.
func browser(t *testing.T, width, height int64, phone bool) context.Context {
	t.Helper()
	path := os.Getenv("CHROMIUM")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path == "" {
			path, _ = exec.LookPath(name)
		}
	}
	if path == "" {
		t.Skip("no chromium, chromium-browser or google-chrome in PATH, and CHROMIUM is not set")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.WindowSize(int(width), int(height)))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	err := chromedp.Run(ctx, network.Enable(), log.Enable(), emulation.SetScriptExecutionDisabled(true), emulation.SetDeviceMetricsOverride(width, height, 1, phone))
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

// visit is a walk through the pages.
type visit struct {
	*testing.T
	ctx   context.Context
	s     *site
	shots string

	mu       sync.Mutex
	requests []string // guarded by mu: everything that the browser asked for
	problems []string // guarded by mu: what it complained of
}

func newVisit(t *testing.T, width, height int64, phone bool) *visit {
	v := &visit{T: t, s: newSite(t), ctx: browser(t, width, height, phone), shots: os.Getenv("SCREENSHOTS")}
	if v.shots == "" {
		v.shots = t.TempDir()
	}
	chromedp.ListenTarget(v.ctx, func(event any) {
		v.mu.Lock()
		defer v.mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			v.requests = append(v.requests, e.Request.URL)
		case *log.EventEntryAdded:
			if e.Entry.Level == log.LevelWarning || e.Entry.Level == log.LevelError {
				v.problems = append(v.problems, e.Entry.Text)
			}
		}
	})
	return v
}

func (v *visit) run(actions ...chromedp.Action) {
	v.Helper()
	if err := chromedp.Run(v.ctx, actions...); err != nil {
		v.Fatal(err)
	}
}

// shot keeps a picture of the page.
func (v *visit) shot(name string) {
	v.Helper()
	var png []byte
	v.run(chromedp.FullScreenshot(&png, 100))
	if err := os.WriteFile(filepath.Join(v.shots, strings.ReplaceAll(v.Name(), "/", "-")+"-"+name+".png"), png, 0o666); err != nil {
		v.Fatal(err)
	}
}

// shows fails unless the page shows a text.
func (v *visit) shows(texts ...string) {
	v.Helper()
	var body string
	v.run(chromedp.Text("body", &body, chromedp.ByQuery))
	for _, text := range texts {
		if !strings.Contains(body, text) {
			v.Errorf("the page does not show %q:\n%s", text, body)
		}
	}
}

// follow follows the link of a text.
func (v *visit) follow(text string) {
	v.Helper()
	v.run(chromedp.Click(`//main//a[normalize-space()="`+text+`"]`, chromedp.BySearch), chromedp.WaitReady("main"), settled())
}

// settled waits until the page that follows is there.
func settled() chromedp.Action { return chromedp.Sleep(400 * time.Millisecond) }

func TestDesktop(t *testing.T) { newVisit(t, 1280, 800, false).walk() }
func TestPhone(t *testing.T)   { newVisit(t, 390, 844, true).walk() }

func (v *visit) walk() {
	v.run(chromedp.Navigate(v.s.URL+"/arcgis/admin"), chromedp.WaitVisible("#username"))
	v.shot("1-sign-in")

	// The first field has the focus: a keyboard is enough.
	v.run(chromedp.KeyEvent("siteadmin"+kb.Tab+"wrong"+kb.Enter), settled())
	v.shows("The username or the password is wrong.")
	v.shot("2-wrong-password")
	v.run(chromedp.KeyEvent(password+kb.Enter), settled())
	v.shows("Administrator directory", "siteadmin", "Organizations")
	v.shot("3-home")

	v.follow("Organizations")
	v.follow("0123456789ABCDEF")
	v.follow("Security")
	v.shot("4-security")
	v.follow("Groups")
	v.shot("5-groups")
	v.follow("Get users within enterprise group")
	v.shot("6-form")
	v.run(chromedp.SendKeys("#in-groupName", "cartographers"+kb.Enter), settled())
	v.shows("5 users.", `domain\aturing`, "John Doe", "jdoe@domain.com", "<script>alert(1)</script> Evil")
	v.shot("7-users-within")
	v.run(chromedp.SetValue("#in-maxCount", "2"), chromedp.Click("form.card button"), settled())
	v.shows("The first 2 users; there are more.")
	v.run(chromedp.SetValue("#in-groupName", "ghosts"), chromedp.Click("form.card button"), settled())
	v.shows("Enterprise group 'ghosts' does not exist.")
	v.shot("8-no-such-group")

	v.follow("security")
	v.follow("Users")
	v.follow("Refresh membership of users")
	v.run(chromedp.SendKeys("#in-users", "jdoe@domain"), chromedp.Click("form.card button"), settled())
	v.shows("Refreshed: 1 user.")
	v.shot("9-refreshed")
	if !v.s.e.Check(v.s.doe, v.s.g) {
		v.Error("the membership is not there")
	}
	v.follow("users")
	v.follow("Create user")
	v.shot("10-create-user")
	v.run(chromedp.Navigate(v.s.URL + "/arcgis/admin/orgs/0123456789ABCDEF/security/groups/getEnterpriseGroupsForUser?username=domain%5Cjdoe"))
	v.shows(`domain\cartographers`, `domain\surveyors`)
	v.shot("11-groups-of-user")
	v.run(chromedp.Navigate(v.s.URL+"/arcgis/admin/orgs/0123456789ABCDEF/security/config"), settled())
	v.shows("BUILTIN")
	v.run(chromedp.Click("header button"), settled())
	v.shows("Sign in")
	v.run(chromedp.Navigate(v.s.URL+"/arcgis/admin/orgs"), settled())
	v.shows("Sign in with the account of an administrator.")
	v.run(chromedp.Navigate(v.s.URL+"/arcgis/nothing"), settled())
	v.shows("There is nothing at this address.")
	v.shot("12-not-found")
	v.behaved()
}

// behaved fails if a page asked another server for something, or the browser
// refused something of a page. Pages that are errors are logged as such, and no
// page says where its icon is.
func (v *visit) behaved() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range v.requests {
		if !strings.HasPrefix(r, v.s.URL+"/arcgis/") && r != v.s.URL+"/favicon.ico" {
			v.Errorf("a request to %s", r)
		}
	}
	for _, p := range v.problems {
		if !strings.HasPrefix(p, "Failed to load resource: the server responded with a status of") {
			v.Errorf("the browser says: %s", p)
		}
	}
}
