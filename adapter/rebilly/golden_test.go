package rebilly_test

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/roster/adapter/rebilly"
)

var rewrite = flag.Bool("rewrite", false, "write what was answered into testdata")

// TestGolden plays the transcripts in testdata, each in a world of its own:
//
//	-- request --
//	PUT /rebilly/memberships/org_1/usr_1
//	Header: value                 (REB-APIKEY: the name of a user's key)
//
//	body
//	-- response --
//	201
//	Header: value                 all of them, by name
//
//	body
//
// What stands before the first request is a comment.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(t, func(o *rebilly.Options) {
				if strings.Contains(string(data), "BaseURL: ") {
					o.BaseURL = "https://api.example.org/rebilly/"
				}
				if strings.Contains(string(data), "Rate: 2") {
					o.Rate = 2
				}
			})
			got := w.play(string(data))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(data) {
				t.Errorf("answered otherwise (see -rewrite):\n%s", got)
			}
		})
	}
}

const (
	requestMark  = "-- request --\n"
	responseMark = "-- response --\n"
)

// play returns a transcript with what is answered to its requests.
func (w *world) play(script string) string {
	w.Helper()
	comment, rest, _ := strings.Cut(script, requestMark)
	var out strings.Builder
	out.WriteString(comment)
	for part := range strings.SplitSeq(rest, requestMark) {
		request, _, ok := strings.Cut(part, responseMark)
		if !ok {
			w.Fatalf("no response: %s", part)
		}
		fmt.Fprintf(&out, "%s%s%s%s", requestMark, request, responseMark, w.exchange(request))
	}
	return out.String()
}

func (w *world) exchange(request string) string {
	w.Helper()
	head, body, _ := strings.Cut(request, "\n\n")
	lines := bufio.NewScanner(strings.NewReader(head))
	lines.Scan()
	method, target, _ := strings.Cut(lines.Text(), " ")
	r := httptest.NewRequest(method, target, strings.NewReader(strings.TrimSuffix(body, "\n")))
	as := ""
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		if name == "REB-APIKEY" {
			as = value
			continue
		}
		r.Header.Add(name, strings.ReplaceAll(value, "{owner}", w.secrets["owner"]))
	}
	rec := w.send(r, as)
	var b bytes.Buffer
	fmt.Fprintln(&b, rec.Code)
	for _, name := range slices.Sorted(maps.Keys(rec.Header())) {
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(rec.Header()[name], "; "))
	}
	if rec.Body.Len() > 0 {
		fmt.Fprintf(&b, "\n%s\n", rec.Body)
	}
	return b.String()
}
