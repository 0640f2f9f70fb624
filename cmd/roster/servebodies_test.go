package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/roster"
)

// asRoot returns the headers by which root gets in at an API.
func asRoot(api string) map[string]string {
	switch api {
	case "crowd":
		return map[string]string{"Authorization": basic("root", "secret-root"), "Content-Type": "application/json"}
	case "rebilly":
		return map[string]string{"REB-APIKEY": "secret-key-root", "Content-Type": "application/json"}
	case "arcgis":
		return map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	}
	return ingressKey("root")
}

func basic(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

// aBody is where an API reads a body.
type aBody struct {
	api, method, path string
	json              bool
}

const crowdAnn = "/crowd/rest/admin/1.0/users/1-YW5u/groups"

var bodies = []aBody{
	{"crowd", "POST", crowdAnn, true}, {"crowd", "DELETE", crowdAnn, true}, {"crowd", "POST", "/crowd/rest/admin/1.0/users/search", true},
	{"rebilly", "PUT", "/rebilly/memberships/org_1/usr_ann", true}, {"rebilly", "POST", "/rebilly/users", true},
	{"ingress", "POST", "/api/ingress/user_group_members", true}, {"ingress", "PUT", "/api/ingress/user_group_members", true},
	{"ingress", "DELETE", "/api/ingress/user_group_members", true}, {"ingress", "DELETE", "/api/ingress/user_group_members/drop", true},
	{"arcgis", "POST", "/arcgis/admin/orgs/0123456789ABCDEF/security/users/refreshMembership", false},
	{"arcgis", "POST", "/arcgis/sharing/rest/generateToken", false}, {"arcgis", "POST", "/arcgis/admin/login", false},
}

// endless is a body without end, of something that is no error at once: white space
// in JSON, or the value of a parameter.
type endless struct{ json, begun bool }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		if p[i] = '0'; e.json {
			p[i] = ' '
		}
	}
	if !e.begun && len(p) > 8 {
		copy(p, map[bool]string{true: `{"a":`, false: "users="}[e.json])
		e.begun = true
	}
	return len(p), nil
}

// TestServeLargeBodies sends bodies of 1 GB everywhere, with their length and without,
// from somebody and from nobody, many at once: they are refused, and memory is bounded.
func TestServeLargeBodies(t *testing.T) {
	size := int64(48 << 20)
	if *long {
		size = 1 << 30
	}
	p := startServe(t, newServeWorld(t, 0))
	p.healthy()
	begin := time.Now()
	var wg sync.WaitGroup
	for _, b := range bodies {
		for _, known := range []bool{true, false} {
			for _, length := range []int64{size, -1} {
				wg.Go(func() { p.largeBody(b, known, length, size) })
			}
		}
	}
	wg.Wait()
	t.Logf("%d bodies of %d MiB in %v: peak memory %d MiB", 4*len(bodies), size>>20, time.Since(begin).Round(time.Millisecond), p.peakMiB())
	if got := p.peakMiB(); got > 700 {
		t.Errorf("it took %d MiB of memory", got)
	}
	p.healthy()
	p.verified()
}

func (p *process) largeBody(b aBody, known bool, length, size int64) {
	r, err := http.NewRequest(b.method, p.url+b.path, io.LimitReader(&endless{json: b.json}, size))
	if err != nil {
		p.Error(err)
		return
	}
	r.ContentLength = length
	if known {
		for name, value := range asRoot(b.api) {
			r.Header.Set(name, value)
		}
	}
	sent := &countingBody{ReadCloser: r.Body}
	r.Body = sent
	res, err := p.client.Do(r)
	if err != nil {
		// The answer was lost to a connection that was closed while there was more to come.
		if sent.n > 64<<20 {
			p.Errorf("%s %s: %v after %d bytes", b.method, b.path, err, sent.n)
		}
		return
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode < 400 && !(b.api == "arcgis" && (strings.Contains(string(text), `"code":4`) || strings.Contains(string(text), `"code":503`))) {
		p.Errorf("%s %s: %d %.200s", b.method, b.path, res.StatusCode, text)
	}
	if sent.n > 64<<20 {
		p.Errorf("%s %s: %d bytes were taken", b.method, b.path, sent.n)
	}
}

type countingBody struct {
	io.ReadCloser
	n int64
}

func (c *countingBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	return n, err
}

// TestServeHostileBodies sends bodies that are small on the way and large in memory,
// or mean two things, many at once.
func TestServeHostileBodies(t *testing.T) {
	p := startServe(t, newServeWorld(t, 0))
	p.healthy()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range 64 {
		z.Write(bytes.Repeat([]byte{' '}, 1<<20))
	}
	z.Close()
	names := func(form string, n int) string {
		var out strings.Builder
		for i := range n {
			fmt.Fprintf(&out, form, i)
		}
		return out.String()
	}
	n := 2_000
	if *long {
		n = 300_000
	}
	objects := map[string]string{
		"deep arrays": strings.Repeat("[", 1_000_000), "deep objects": strings.Repeat(`{"a":`, 500_000), "deep below ids": `{"ids":` + strings.Repeat("[", 500_000) + strings.Repeat("]", 500_000) + "}",
		"a name twice": `{"user_id":15,"group_id":11,"user_id":15,"ids":[],"ids":[]}`, "a name twice within": `{"ids":[],"a":{"b":1,"b":2},"user_id":15,"group_id":11}`,
		"many names": `{` + names(`"%x":0,`, n) + `"z":0}`, "many names within": `{"a":{` + names(`"%x":0,`, n) + `"z":0}}`,
		"many nulls": `{"ids":[` + strings.Repeat("null,", n) + `null],"user_id":[` + strings.Repeat("null,", n) + `null]}`,
		"many empty": `{"ids":[` + strings.Repeat(`"",`, n) + `""],"user_id":[` + strings.Repeat("[],", n) + `[]],"directoryIds":[` + strings.Repeat(`0,`, n) + `0]}`,
		"NUL":        "{\"ids\":[\"a\x00b\"]}", "an escaped NUL": `{"ids":["\u0000"],"user_id":"\u0000","group_id":"\u0000","username":"\u0000"}`,
		"half a pair": `{"ids":["\ud800"],"user_id":"\ud800","username":"\ud800"}`, "not UTF-8": "{\"ids\":[\"\xff\xfe\"]}", "UTF-16": "\xff\xfe{\x00}\x00", "a byte order mark": "\xef\xbb\xbf{}",
		"two values": `{}{}`, "a large number": `{"user_id":1e999999999,"group_id":11,"ids":[1e999999999]}`, "a long number": `{"user_id":` + strings.Repeat("9", 1_000_000) + `,"group_id":11}`,
		"gzip": bomb.String(),
	}
	forms := map[string]string{
		"many names": names("%x=&", n), "one name often": strings.Repeat("users=a&", n), "elements": strings.Repeat("user_id[]=15&", n), "only signs": strings.Repeat("&", 1_000_000),
		"equal signs": strings.Repeat("=", 1_000_000), "half an escape": strings.Repeat("%", 1_000_000), "NUL": "users=a%00b&username=%00", "commas": "users=" + strings.Repeat(",", 1_000_000) + "&user_id=" + strings.Repeat(",", 1_000_000),
		"not UTF-8": "users=%ff%fe", "gzip": bomb.String(),
	}
	type sent struct {
		aBody
		what, kind, text string
	}
	var all []sent
	for _, b := range bodies {
		if b.json {
			for what, text := range objects {
				all = append(all, sent{b, what, "application/json", text})
			}
		}
		if b.api == "arcgis" || b.api == "ingress" {
			for what, text := range forms {
				all = append(all, sent{b, what, "application/x-www-form-urlencoded", text})
			}
			all = append(all, sent{b, "parts", "multipart/form-data; boundary=B", strings.Repeat("--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n", n/10) + "--B--\r\n"},
				sent{b, "headers of a part", "multipart/form-data; boundary=B", "--B\r\n" + strings.Repeat("A: b\r\n", n) + "\r\n--B--\r\n"})
		}
	}
	begin := time.Now()
	var wg sync.WaitGroup
	queue := make(chan sent)
	for range 16 {
		wg.Go(func() {
			for s := range queue {
				p.hostileBody(s.aBody, s.what, s.kind, s.text, false)
				p.hostileBody(s.aBody, s.what, s.kind, s.text, true)
			}
		})
	}
	for _, s := range all {
		queue <- s
	}
	close(queue)
	wg.Wait()
	t.Logf("%d bodies in %v: peak memory %d MiB", 2*len(all), time.Since(begin).Round(time.Millisecond), p.peakMiB())
	if got := p.peakMiB(); got > 1000 {
		t.Errorf("it took %d MiB of memory", got)
	}
	p.healthy()
	p.verified()
}

func (p *process) hostileBody(b aBody, what, kind, text string, known bool) {
	header := map[string]string{"Content-Type": kind}
	if known {
		header = asRoot(b.api)
		header["Content-Type"] = kind
	}
	if what == "gzip" {
		header["Content-Encoding"] = "gzip"
	}
	status, answer, err := p.try(b.method, b.path, header, strings.NewReader(text))
	switch {
	case err != nil && len(text) < 256<<10: // a longer one may not be read to its end before the answer
		p.Errorf("%s: %s %s: %v", what, b.method, b.path, err)
	case err == nil && status >= 500 && status != 503:
		p.Errorf("%s: %s %s: %d %.300s", what, b.method, b.path, status, answer)
	case err == nil && !known && status < 400 && !strings.Contains(answer, `"code":4`):
		p.Errorf("%s: %s %s: nobody gets %d %.300s", what, b.method, b.path, status, answer)
	}
}

// TestServeNoRoom: every API says so when there is no room for a body.
func TestServeNoRoom(t *testing.T) {
	e, err := roster.Open(newServeWorld(t, 0), roster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	s := &server{log: slog.New(slog.DiscardHandler), limits: defaultLimits()}
	s.limits.small, s.limits.large = newRoom(10), newRoom(0)
	h, err := s.handler(e, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bodies {
		for _, headers := range []map[string]string{asRoot(b.api), {"Content-Type": asRoot(b.api)["Content-Type"]}} {
			r := httptest.NewRequest(b.method, b.path, strings.NewReader(`{"api_id":"root","api_key":"secret-key-root","user_id":15,"group_id":11}`))
			for name, value := range headers {
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			nobody := len(headers) == 1 && (b.api == "crowd" || b.api == "rebilly")
			if got := w.Body.String(); nobody != (w.Code == 401) || !nobody && w.Code != 503 && !strings.Contains(got, `"code":503`) || !nobody && w.Header().Get("Retry-After") == "" {
				t.Errorf("%s %s: %d %v %s", b.method, b.path, w.Code, w.Header(), got)
			}
		}
	}
	if left := s.limits.small.left.Load(); left != 10 {
		t.Errorf("%d of 10 bytes are free in the end", left)
	}
}

// TestServeLongLists sends 100,000 ids in one request, which is done or refused as a
// whole, over a line that is poor, too.
func TestServeLongLists(t *testing.T) {
	const n = 100_000
	exist, failures := 20_000, `"failures":[{`
	if *long {
		exist, failures = n, `"failures":[]}`
	}
	few := min(exist, 50_000) // more is refused by Ingress
	p := startServe(t, newServeWorld(t, exist))
	p.healthy()
	var crowdIDs, numbers, names []string
	for i := range n {
		crowdIDs = append(crowdIDs, `"`+crowdID("user"+strconv.Itoa(i))+`"`)
		numbers = append(numbers, strconv.Itoa(1000+i))
		names = append(names, fmt.Sprintf("user%d@corp.example", i))
	}
	ids := func(list []string) string { return `{"ids":[` + strings.Join(list, ",") + `]}` }
	toSales := "/crowd/rest/admin/1.0/groups/" + crowdID("sales") + "/users"
	ingress := "/api/ingress/user_group_members"
	for _, c := range []struct {
		api, method, path, body string
		status                  int
		text                    string
	}{
		{"crowd", "POST", toSales, ids(crowdIDs), 200, failures},
		{"crowd", "DELETE", toSales, ids(crowdIDs), 200, failures},
		{"crowd", "DELETE", toSales, ids(crowdIDs), 200, `"successes":[],`},
		{"ingress", "POST", ingress, `{"group_id":"sales","user_id":[` + strings.Join(numbers[:few], ",") + `]}`, 200, fmt.Sprintf(`"added":%d}`, few)},
		{"ingress", "DELETE", ingress, `{"group_id":"sales","user_id":"` + strings.Join(numbers[:few], ",") + `"}`, 200, fmt.Sprintf(`"removed":%d}`, few)},
		{"ingress", "POST", ingress, `{"group_id":"sales","user_id":[` + strings.Join(numbers, ",") + `]}`, 400, "Too many"},
		{"ingress", "DELETE", ingress + "/drop", `{"user_id":"` + strings.Join(numbers, ",") + `"}`, 400, "Too many"},
		{"rebilly", "PUT", "/rebilly/memberships/org_1/usr_ann", `{"roleIds":[` + strings.Join(crowdIDs[:40_000], ",") + `]}`, 422, "invalidFields"},
		{"arcgis", "POST", arcgisOrg + "/security/users/refreshMembership", "f=json&token=TOKEN&users=" + strings.Join(names, ","), 200, `"status":"`},
	} {
		begin := time.Now()
		body := c.body
		if c.api == "arcgis" {
			_, answer := p.ask("POST", "/arcgis/sharing/rest/generateToken", asRoot("arcgis"), "f=json&username=root&password=secret-root&client=requestip")
			token := regexp.MustCompile(`"token":"([^"]+)`).FindStringSubmatch(answer)
			if token == nil {
				t.Fatalf("no token: %s", answer)
			}
			body = strings.Replace(body, "TOKEN", token[1], 1)
		}
		status, text := p.ask(c.method, c.path, asRoot(c.api), body)
		if status != c.status || !strings.Contains(text, c.text) {
			t.Errorf("%s %s with %d bytes: %d %.300s", c.method, c.path, len(c.body), status, text)
		}
		t.Logf("%s %s: %d bytes in %v", c.method, c.path, len(c.body), time.Since(begin).Round(time.Millisecond))
	}
	seconds := 3
	if *long {
		seconds = 240 // of a line of some 70 kbit/s
	}
	p.slowly(toSales, ids(crowdIDs[:exist]), seconds)
	t.Logf("peak memory %d MiB", p.peakMiB())
	p.verified()
}

// slowly posts a body in so many seconds.
func (p *process) slowly(path, body string, seconds int) {
	p.Helper()
	c := p.dial()
	_ = c.SetDeadline(time.Now().Add(time.Duration(seconds+60) * time.Second))
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, basic("root", "secret-root"), len(body))
	begin, step := time.Now(), len(body)/(seconds*10)+1
	for at := 0; at < len(body); at += step {
		if _, err := io.WriteString(c, body[at:min(at+step, len(body))]); err != nil {
			p.Errorf("after %d of %d bytes: %v", at, len(body), err)
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	got, err := io.ReadAll(c)
	p.Logf("%d bytes over a poor line in %v", len(body), time.Since(begin).Round(time.Second))
	if err != nil || !strings.Contains(string(got), "200 OK") || !strings.Contains(string(got), `"failures":[]}`) {
		p.Errorf("%.300q, %v", got, err)
	}
}
