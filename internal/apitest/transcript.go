package apitest

import (
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A transcript holds requests and the exact answers to them. Tests keep them in
// testdata, as texts in sections:
//
//	What stands before the first section is a comment.
//	-- a name --
//	POST /path?query
//	Header: value
//
//	body
//	-- answer --
//	200 OK
//	Header: value
//
//	body
//
// A section called "answer" belongs to the one before it. What the others mean is
// for the test of an API to say; mostly, they are requests. With the flag -update a
// test writes what is answered in place of comparing it.

var update = flag.Bool("update", false, "write what is answered into the transcripts")

// Section is a part of a transcript: what stands between "-- " and " --", and the
// lines below that.
type Section struct{ Name, Text string }

// Player returns what is answered to a section. Ok is false for one that is no request.
type Player func(Section) (answer string, ok bool)

// Play plays the transcripts that match a pattern, each in a subtest: begin makes what
// plays one of them, and is given its comment. It is an error if there are none.
func Play(t *testing.T, pattern string, begin func(t *testing.T, comment string) Player) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts at %s: %v", pattern, err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(strings.TrimSuffix(name, filepath.Ext(name)), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			comment, sections := parse(string(want))
			if len(sections) == 0 {
				t.Fatal("nothing in it")
			}
			got := comment + replay(sections, begin(t, comment))
			switch {
			case *update:
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			case got != string(want):
				t.Errorf("%s is answered otherwise (-update writes what is answered), first at\n%s", file, difference(got, string(want)))
			}
		})
	}
}

const answerName = "answer"

// parse takes a transcript apart.
func parse(text string) (comment string, sections []Section) {
	for line := range strings.Lines(text) {
		name, begins := strings.CutPrefix(line, "-- ")
		name, ends := strings.CutSuffix(name, " --\n")
		switch n := len(sections); {
		case begins && ends:
			sections = append(sections, Section{Name: name})
		case n > 0:
			sections[n-1].Text += line
		default:
			comment += line
		}
	}
	return comment, sections
}

func (s Section) String() string { return "-- " + s.Name + " --\n" + s.Text }

// replay returns the sections with what is answered now.
func replay(sections []Section, play Player) string {
	var out strings.Builder
	for _, s := range sections {
		if s.Name == answerName {
			continue
		}
		out.WriteString(s.String())
		if answer, ok := play(s); ok {
			out.WriteString(Section{answerName, answer}.String())
		}
	}
	return out.String()
}

// difference returns the first line that differs, with the section that it is in.
func difference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	i := 0
	for i < min(len(g), len(w))-1 && g[i] == w[i] {
		i++
	}
	from := i
	for from > 0 && !(strings.HasPrefix(g[from], "-- ") && g[from] != "-- "+answerName+" --") {
		from--
	}
	return fmt.Sprintf("line %d:\n%s\n got %s\nwant %s", i+1, strings.Join(g[from:i], "\n"), g[i], w[i])
}

// Sent is a request as a transcript has it: a line with method and target,
// headers, an empty line, the body. The last line end is no part of the body.
type Sent struct {
	Method, Target string
	Header         [][2]string // name and value, in the order of the text
	Body           string
}

// ParseRequest reads a request.
func ParseRequest(text string) (r Sent) {
	head, body, _ := strings.Cut(text, "\n\n")
	r.Body = strings.TrimSuffix(body, "\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	r.Method, r.Target, _ = strings.Cut(lines[0], " ")
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		r.Header = append(r.Header, [2]string{name, value})
	}
	return r
}

// Answer writes an answer as a transcript has it: the status, all headers by name
// but Content-Length, an empty line, the body.
func Answer(a *httptest.ResponseRecorder) string {
	var out strings.Builder
	fmt.Fprintln(&out, a.Code, http.StatusText(a.Code))
	for _, name := range slices.Sorted(maps.Keys(a.Header())) {
		if name != "Content-Length" {
			fmt.Fprintf(&out, "%s: %s\n", name, strings.Join(a.Header().Values(name), ", "))
		}
	}
	fmt.Fprintf(&out, "\n%s", a.Body)
	return out.String()
}
