package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// asRoot returns the headers by which root gets in at an API.
func asRoot(api string) map[string]string {
	switch api {
	case "crowd":
		return map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("root:secret-root")), "Content-Type": "application/json"}
	case "rebilly":
		return map[string]string{"REB-APIKEY": "secret-key-root", "Content-Type": "application/json"}
	case "arcgis":
		return map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	}
	return ingressKey("root")
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
	n := 4_000
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
