package arcgis_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rosterdb/roster/adapter/arcgis"
)

// TestBodies sends what is no request of a client. None of it is taken for one.
func TestBodies(t *testing.T) {
	w := newWorld(t, func(o *arcgis.Options) { o.MaxBody = 200_000 })
	token := "&f=json&token=" + w.token(w.admin)
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	for range 1001 {
		parts.WriteField("users", "jdoe")
	}
	parts.Close()
	const urlencoded = "application/x-www-form-urlencoded"
	for name, c := range map[string]struct {
		kind string
		body io.Reader
		want string
	}{
		"huge":             {urlencoded, strings.NewReader("users=" + strings.Repeat("a", 200_000) + token), `"code":413`},
		"huge part":        {"multipart/form-data; boundary=B", strings.NewReader("--B\r\nContent-Disposition: form-data; name=\"users\"\r\n\r\n" + strings.Repeat("a", 200_000)), `"code":413`},
		"many parameters":  {urlencoded, strings.NewReader(strings.Repeat("a=b&", 1001) + "users=jdoe" + token), `"code":400`},
		"many parts":       {parts.FormDataContentType(), &form, `"code":400`},
		"ampersands":       {urlencoded, strings.NewReader(strings.Repeat("&", 50_000) + "users=jdoe" + token), success},
		"broken escape":    {urlencoded, strings.NewReader("users=jdoe%" + token), `"code":400`},
		"no UTF-8":         {urlencoded, strings.NewReader("users=jdoe%ff" + token), `"code":400`},
		"zero byte":        {urlencoded, strings.NewReader("users=jdoe%00" + token), success}, // nobody's name
		"cut off":          {urlencoded, io.MultiReader(strings.NewReader("users=jdoe"+token), iotest.ErrReader(io.ErrUnexpectedEOF)), `"code":400`},
		"json":             {"application/json", strings.NewReader(`{"users":"jdoe"}`), `"code":415`},
		"text":             {"text/plain", strings.NewReader("users=jdoe" + token), `"code":415`},
		"no type":          {"", strings.NewReader("users=jdoe" + token), `"code":415`},
		"broken type":      {"application/x-www-form-urlencoded; =", strings.NewReader("users=jdoe" + token), `"code":415`},
		"charset":          {urlencoded + "; charset=UTF-8", strings.NewReader("users=jdoe" + token), success},
		"no boundary":      {"multipart/form-data", strings.NewReader("users=jdoe" + token), `"code":400`},
		"another boundary": {"multipart/form-data; boundary=C", strings.NewReader("--B\r\n\r\n"), `"code":499`},
		"token twice":      {urlencoded, strings.NewReader("users=jdoe&token=x" + token), `"code":498`},
		"f twice":          {urlencoded, strings.NewReader("users=jdoe&f=html" + token), `"code":400`},
	} {
		r := request("POST", users+"/refreshMembership?f=json", "")
		r.Body, r.ContentLength = io.NopCloser(c.body), -1
		if c.kind != "" {
			r.Header.Set("Content-Type", c.kind)
		}
		rec := w.do(r)
		if rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), c.want) {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	for _, call := range w.source.called() {
		if !strings.Contains(call, "jdoe") {
			t.Errorf("the source was asked for %s", call)
		}
	}
}

// TestHeaders sends credentials where they contradict each other or do not count.
func TestHeaders(t *testing.T) {
	w := newWorld(t)
	good := w.token(w.admin)
	for name, c := range map[string]struct {
		headers []string
		want    string
	}{
		"bearer":            {[]string{"Authorization", "Bearer " + good}, success},
		"lower case":        {[]string{"x-esri-authorization", "bearer " + good}, success},
		"twice the same":    {[]string{"Authorization", "Bearer " + good, "Authorization", "Bearer " + good}, success},
		"twice":             {[]string{"Authorization", "Bearer " + good, "Authorization", "Bearer x"}, `"code":498`},
		"no scheme":         {[]string{"Authorization", good}, `"code":499`},
		"basic":             {[]string{"Authorization", "Basic YWRtaW4xOmFkbWluJ3MgcGFzc3dvcmQ="}, `"code":499`},
		"first header wins": {[]string{"Authorization", "Bearer x", "X-Esri-Authorization", "Bearer " + good}, `"code":498`},
		"override":          {[]string{"X-HTTP-Method-Override", "GET"}, `"code":499`},
		"cookies":           {[]string{"Cookie", "roster_arcgis=" + good + "; token=" + good}, `"code":499`},
		"another name":      {[]string{"Token", good, "X-Token", good}, `"code":499`},
	} {
		rec := w.do(request("POST", users+"/refreshMembership", "users=jdoe&f=json", c.headers...))
		if !strings.Contains(rec.Body.String(), c.want) {
			t.Errorf("%s: %s", name, rec.Body)
		}
	}
	forged := request("POST", users+"/refreshMembership", "users=jdoe&f=json&token="+good)
	forged.Host = "evil.example\"><script>"
	if rec := w.do(forged); rec.Body.String() != success {
		t.Error(rec.Body)
	}
}

// A request that is given up is not worked on.
func TestContext(t *testing.T) {
	w := newWorld(t)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for _, target := range []string{users, groups, groups + "/searchEnterpriseGroups", users + "/refreshMembership", users + "/createUser", generate} {
		form := fmt.Sprintf("f=json&users=jdoe&username=newuser1&password=abcdefg1&client=requestip&token=%s", w.token(w.admin))
		rec := w.do(request("POST", target, form).WithContext(ended))
		if !strings.Contains(rec.Body.String(), `"code":503`) || rec.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %s", target, rec.Body)
		}
	}
}

// An engine that cannot be asked is no secret and no detail is told.
func TestClosedEngine(t *testing.T) {
	w := newWorld(t)
	token := w.token(w.admin)
	w.e.Close()
	rec := w.do(request("POST", users+"/getEnterpriseUser", "username=jdoe&f=json&token="+token))
	equal(t, "answer", rec.Body.String(), `{"status":"error","messages":["The service is busy. Try again later."],"code":503}`)
}
