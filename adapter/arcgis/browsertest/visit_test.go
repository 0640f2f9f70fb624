package browsertest

import (
	"context"
	_ "embed"
	"fmt"
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
)

// screen is what a visitor looks at.
type screen struct {
	width, height int64
	phone, dark   bool
}

// chromium returns the path of a browser. Where there is none the test is skipped,
// unless .ci/run has seen to it that there is one.
func chromium(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "no chromium, chromium-browser or google-chrome in PATH, and CHROMIUM is not set"
	if strings.Contains(os.Getenv("ROSTER_TESTS_NEED"), "chromium") {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// browser starts Chromium without scripts: those of pages do not run, those of this
// test do.
func browser(t *testing.T, path string, s screen) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.WindowSize(int(s.width), int(s.height)))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	scheme := &emulation.MediaFeature{Name: "prefers-color-scheme", Value: "light"}
	if s.dark {
		scheme.Value = "dark"
	}
	err := chromedp.Run(ctx, network.Enable(), log.Enable(), emulation.SetScriptExecutionDisabled(true),
		emulation.SetFocusEmulationEnabled(true), emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{scheme}),
		emulation.SetDeviceMetricsOverride(s.width, s.height, 1, s.phone), emulation.SetTouchEmulationEnabled(s.phone))
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

// visit is a walk through the pages.
type visit struct {
	*site
	ctx   context.Context
	shots string // folder of screenshots, "" for none

	mu       sync.Mutex
	requests []string        // guarded by mu: everything that the browser asked for
	refused  map[string]bool // guarded by mu: pages that have the status of an error
	problems []string        // guarded by mu: what the browser complained of
}

// newVisit begins a walk. The environment variable SCREENSHOTS is the folder for
// pictures of the pages.
func newVisit(t *testing.T, s screen) *visit {
	t.Helper()
	t.Parallel()
	path := chromium(t)
	v := &visit{site: newSite(t), shots: os.Getenv("SCREENSHOTS"), refused: map[string]bool{}}
	v.ctx = browser(t, path, s)
	chromedp.ListenTarget(v.ctx, v.heard)
	return v
}

func (v *visit) heard(event any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		v.requests = append(v.requests, e.Request.URL)
	case *network.EventResponseReceived:
		if e.Type == network.ResourceTypeDocument {
			v.refused[e.Response.URL] = e.Response.Status >= 400
		}
	case *log.EventEntryAdded:
		// The status of a page is not something that the page did.
		page := v.refused[e.Entry.URL] && strings.HasPrefix(e.Entry.Text, "Failed to load resource: the server responded")
		if (e.Entry.Level == log.LevelWarning || e.Entry.Level == log.LevelError) && !page {
			v.problems = append(v.problems, e.Entry.Text+" "+e.Entry.URL)
		}
	}
}

// behaved fails if a page asked another server for something, or the browser
// refused something of a page.
func (v *visit) behaved() {
	v.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range v.requests {
		if !strings.HasPrefix(r, v.url+"/arcgis/") {
			v.Errorf("a request to %s", r)
		}
	}
	for _, p := range v.problems {
		v.Errorf("the browser says: %s", p)
	}
}

func (v *visit) run(actions ...chromedp.Action) {
	v.Helper()
	if err := chromedp.Run(v.ctx, actions...); err != nil {
		v.Fatal(err)
	}
}

// leads does what leads to another page, waits for that, and looks whether it is
// like all pages should be.
func (v *visit) leads(status int64, actions ...chromedp.Action) {
	v.Helper()
	got, err := chromedp.RunResponse(v.ctx, actions...)
	if err != nil {
		v.Fatal(err)
	}
	if got.Status != status {
		v.Errorf("%s has the status %d, not %d", got.URL, got.Status, status)
	}
	policy, _ := got.Headers["Content-Security-Policy"].(string)
	if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "script") {
		v.Errorf("%s has the policy %q", got.URL, policy)
	}
	v.legible()
}

func (v *visit) open(status int64, path string) {
	v.Helper()
	v.leads(status, chromedp.Navigate(v.url+path))
}

// follow follows the link of a text, or of one with more about it.
func (v *visit) follow(text string) {
	v.Helper()
	v.leads(200, chromedp.Click(`//main//a[normalize-space()="`+text+`" or normalize-space(span)="`+text+`"]`, chromedp.BySearch))
}

// legible fails if a text of the page is hard to tell from what is behind it, or the
// page is wider than the screen.
func (v *visit) legible() {
	v.Helper()
	var faults []string
	v.run(chromedp.Evaluate(legible, &faults))
	for _, fault := range faults {
		v.Error(fault)
	}
}

//go:embed legible.js
var legible string

// shot keeps a picture of the page.
func (v *visit) shot(name string) {
	v.Helper()
	if v.shots == "" {
		return
	}
	var png []byte
	v.run(chromedp.FullScreenshot(&png, 100))
	if err := os.WriteFile(filepath.Join(v.shots, v.Name()+"-"+name+".png"), png, 0o666); err != nil {
		v.Fatal(err)
	}
}

// body returns the text that the page shows.
func (v *visit) body() string {
	v.Helper()
	var text string
	v.run(chromedp.Text("body", &text, chromedp.ByQuery))
	return text
}

// shows fails unless the page shows some texts.
func (v *visit) shows(texts ...string) {
	v.Helper()
	body := v.body()
	for _, text := range texts {
		if !strings.Contains(body, text) {
			v.Errorf("the page does not show %q:\n%s", text, body)
		}
	}
}

// hides fails if the page shows a text.
func (v *visit) hides(text string) {
	v.Helper()
	if body := v.body(); strings.Contains(body, text) {
		v.Errorf("the page shows %q:\n%s", text, body)
	}
}

// tab presses the key until what has a text, or a label, has the focus, which must be
// seen.
func (v *visit) tab(text string) {
	v.Helper()
	var passed []string
	for range 40 {
		var focus struct {
			Text string
			Seen bool
		}
		v.run(chromedp.KeyEvent(kb.Tab), chromedp.Evaluate(`(() => {
			const e = document.activeElement, style = getComputedStyle(e);
			const text = (e.labels && e.labels[0] || e.querySelector("span") || e).innerText;
			return {text: text.trim(), seen: style.outlineStyle != "none" && parseFloat(style.outlineWidth) >= 2};
		})()`, &focus))
		if !focus.Seen {
			v.Errorf("it is not seen that %q has the focus", focus.Text)
		}
		if focus.Text == text {
			return
		}
		passed = append(passed, fmt.Sprintf("%q", focus.Text))
	}
	v.Fatalf("the key tab does not lead to %q, only to %s", text, strings.Join(passed, ", "))
}
