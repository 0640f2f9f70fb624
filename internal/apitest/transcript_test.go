package apitest

import (
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

const text = `A comment
of two lines.
-- first --
GET /a
-- answer --
200 OK

a
-- note: x --
-- second --
POST /b?c=d: e
Name: value
Name: other: value

{
"x": "-- no section --"

}
-- answer --
404 Not Found

`

// shout answers with the first line of a request in capital letters.
func shout(s Section) (string, bool) {
	if strings.HasPrefix(s.Name, "note") {
		return "", false
	}
	line, _, _ := strings.Cut(s.Text, "\n")
	return strings.ToUpper(line) + "\n", true
}

func TestReplay(t *testing.T) {
	comment, sections := parse(text)
	var whole strings.Builder
	for _, s := range sections {
		whole.WriteString(s.String())
	}
	if comment+whole.String() != text || comment != "A comment\nof two lines.\n" || len(sections) != 5 || sections[3].Name != "second" {
		t.Errorf("%q, %q", comment, sections)
	}
	got := replay(sections, shout)
	const answers = "-- first --\nGET /a\n-- answer --\nGET /A\n-- note: x --\n-- second --\n"
	if !strings.HasPrefix(got, answers) || !strings.HasSuffix(got, "}\n-- answer --\nPOST /B?C=D: E\n") || strings.Contains(got, "404") {
		t.Errorf("%s", got)
	}
	_, again := parse(got)
	if replay(again, shout) != got {
		t.Error("the same answers give another transcript")
	}
	if _, sections := parse("-- a --\nx\n"); replay(sections, shout) != "-- a --\nx\n-- answer --\nX\n" {
		t.Error("an answer that is not there yet is not written")
	}
}

func TestDifference(t *testing.T) {
	const want = "-- first --\nx\n-- answer --\n200\n-- second --\ny\n-- answer --\n200\nbody\n"
	for got, tells := range map[string]string{
		strings.Replace(want, "body", "other", 1):             "line 9:\n-- second --\ny\n-- answer --\n200\n got other\nwant body",
		strings.Replace(want, "200", "404", 1):                "line 4:\n-- first --\nx\n-- answer --\n got 404\nwant 200",
		strings.TrimSuffix(want, "-- answer --\n200\nbody\n"): "line 7:\n-- second --\ny\n got \nwant -- answer --",
		want + "more\n": "line 10:\n-- second --\ny\n-- answer --\n200\nbody\n got more\nwant ",
		"":              "line 1:\n\n got \nwant -- first --",
	} {
		if d := difference(got, want); d != tells {
			t.Errorf("%q: %q, not %q", got, d, tells)
		}
	}
}

func TestParseRequest(t *testing.T) {
	_, sections := parse(text)
	want := Sent{"POST", "/b?c=d: e", [][2]string{{"Name", "value"}, {"Name", "other: value"}}, "{\n\"x\": \"-- no section --\"\n\n}"}
	if got := ParseRequest(sections[3].Text); !reflect.DeepEqual(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
	if got := ParseRequest("GET /a\n"); !reflect.DeepEqual(got, Sent{Method: "GET", Target: "/a"}) {
		t.Errorf("%q", got)
	}
}

func TestAnswer(t *testing.T) {
	a := httptest.NewRecorder()
	a.Header().Set("Content-Length", "4")
	a.Header().Set("B", "x")
	a.Header().Add("A", "1")
	a.Header().Add("A", "2")
	a.WriteHeader(418)
	a.WriteString("body")
	if got := Answer(a); got != "418 I'm a teapot\nA: 1, 2\nB: x\n\nbody" {
		t.Errorf("%q", got)
	}
}
