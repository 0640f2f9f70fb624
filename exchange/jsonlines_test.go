package exchange_test

import (
	"strings"
	"testing"

	"github.com/rosterdb/roster/exchange"
)

const directory = `{"kind":"directory","id":1,"name":"Open LDAP","type":"INTERNAL","domain":"corp.example"}` + "\n"

func TestJSONLinesRefused(t *testing.T) {
	for name, c := range map[string]struct {
		line string // the second of the input
		kind error
		says string
	}{
		"not an object":         {`["kind"]`, exchange.ErrMalformed, "one JSON object"},
		"not JSON":              {`kind: user`, exchange.ErrMalformed, "not JSON"},
		"cut off":               {`{"kind":"user","directory":1,`, exchange.ErrMalformed, "does not end"},
		"trailing garbage":      {`{"kind":"user","directory":1,"username":"a"} x`, exchange.ErrMalformed, "behind the object"},
		"two objects":           {`{"kind":"user","directory":1,"username":"a"}{}`, exchange.ErrMalformed, "behind the object"},
		"no kind":               {`{"directory":1,"username":"a"}`, exchange.ErrMalformed, `"kind" is missing`},
		"kind is a number":      {`{"kind":1}`, exchange.ErrMalformed, `"kind" must be a string`},
		"unknown kind":          {`{"kind":"usr"}`, exchange.ErrMalformed, `"usr" is unknown`},
		"key of nobody":         {`{"kind":"apiKey","id":"1"}`, exchange.ErrMalformed, `an apiKey needs "id" and "user"`},
		"unknown field":         {`{"kind":"user","directory":1,"username":"a","mail":"x"}`, exchange.ErrMalformed, `"mail" of a user is unknown`},
		"field of another kind": {`{"kind":"group","directory":1,"name":"a","email":"x"}`, exchange.ErrMalformed, `"email" of a group is unknown`},
		"field in other case":   {`{"kind":"user","directory":1,"Username":"a"}`, exchange.ErrMalformed, `"Username" of a user is unknown`},
		"duplicate key":         {`{"kind":"user","directory":1,"username":"a","username":"b"}`, exchange.ErrMalformed, "given twice"},
		"duplicate attribute":   {`{"kind":"user","directory":1,"username":"a","attributes":{"x":[],"x":[]}}`, exchange.ErrMalformed, "given twice"},
		"wrong type":            {`{"kind":"user","directory":1,"username":7}`, exchange.ErrMalformed, "must be a string"},
		"null":                  {`{"kind":"user","directory":1,"username":"a","email":null}`, exchange.ErrMalformed, "must be a string"},
		"bool as text":          {`{"kind":"user","directory":1,"username":"a","active":"true"}`, exchange.ErrMalformed, "true or false"},
		"fraction":              {`{"kind":"user","directory":1,"username":"a","id":1.5}`, exchange.ErrMalformed, "whole number"},
		"negative":              {`{"kind":"user","directory":-1,"username":"a"}`, exchange.ErrMalformed, "whole number"},
		"number out of range":   {`{"kind":"user","directory":1,"username":"a","id":18446744073709551616}`, exchange.ErrMalformed, "whole number"},
		"id 0":                  {`{"kind":"user","directory":1,"username":"a","id":0}`, exchange.ErrMalformed, "must not be 0"},
		"empty uid":             {`{"kind":"user","directory":1,"username":"a","uid":""}`, exchange.ErrMalformed, "must not be empty"},
		"bad list":              {`{"kind":"group","directory":1,"name":"a","abilities":["x",1]}`, exchange.ErrMalformed, "made of strings"},
		"empty ability":         {`{"kind":"group","directory":1,"name":"a","abilities":[""]}`, exchange.ErrMalformed, "empty ability"},
		"bad attributes":        {`{"kind":"user","directory":1,"username":"a","attributes":{"x":"y"}}`, exchange.ErrMalformed, "lists of strings"},
		"bad time":              {`{"kind":"user","directory":1,"username":"a","createdTime":"yesterday"}`, exchange.ErrMalformed, "RFC 3339"},
		"bad time of a member":  {`{"kind":"member","directory":1,"group":"g","user":"u","createdTime":"yesterday"}`, exchange.ErrMalformed, "RFC 3339"},
		"invalid UTF-8":         {"{\"kind\":\"user\",\"directory\":1,\"username\":\"a\xff\"}", exchange.ErrMalformed, "not JSON"},
		"half a surrogate":      {`{"kind":"user","directory":1,"username":"a\ud800"}`, exchange.ErrMalformed, "not JSON"},
		"control character":     {`{"kind":"user","directory":1,"username":"a\n"}`, exchange.ErrMalformed, "control characters"},
		"long name":             {`{"kind":"user","directory":1,"username":"` + strings.Repeat("a", 257) + `"}`, exchange.ErrMalformed, "256 bytes"},
		"long text":             {`{"kind":"user","directory":1,"username":"a","email":"` + strings.Repeat("a", 64<<10+1) + `"}`, exchange.ErrMalformed, "longer than"},
		"no username":           {`{"kind":"user","directory":1}`, exchange.ErrMalformed, `needs "username"`},
		"no directory":          {`{"kind":"user","username":"a"}`, exchange.ErrMalformed, `needs "directory"`},
		"unknown directory":     {`{"kind":"user","directory":2,"username":"a"}`, exchange.ErrUnresolved, "directory 2 is neither"},
		"member of two kinds":   {`{"kind":"member","directory":1,"group":"g","user":"u","subgroup":"s"}`, exchange.ErrMalformed, "one of"},
		"member of none":        {`{"kind":"member","directory":1,"group":"g"}`, exchange.ErrMalformed, "one of"},
		"stray userDirectory":   {`{"kind":"member","directory":1,"group":"g","subgroup":"s","userDirectory":1}`, exchange.ErrMalformed, "goes with"},
		"directory id twice":    {`{"kind":"directory","id":1,"name":"other"}`, exchange.ErrDuplicate, "first in line 1"},
		"directory name twice":  {`{"kind":"directory","id":2,"name":"OPEN LDAP"}`, exchange.ErrDuplicate, "first in line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			refuse(t, exchange.Options{Format: exchange.JSONLines}, directory+c.line+"\n", 2, c.kind, c.says)
		})
	}
}

func TestJSONLinesDuplicates(t *testing.T) {
	for name, lines := range map[string]string{
		"user":         `{"kind":"user","directory":1,"username":"Straße"}` + "\n" + `{"kind":"user","directory":1,"username":"STRASSE"}`,
		"group":        `{"kind":"group","directory":1,"name":"a"}` + "\n" + `{"kind":"group","directory":1,"name":"A"}`,
		"id":           `{"kind":"user","directory":1,"username":"a","id":7}` + "\n" + `{"kind":"user","directory":1,"username":"b","id":7}`,
		"uid":          `{"kind":"user","directory":1,"username":"a","uid":"x"}` + "\n" + `{"kind":"user","directory":1,"username":"b","uid":"x"}`,
		"uid of an id": `{"kind":"user","directory":1,"username":"a","id":7}` + "\n" + `{"kind":"user","directory":1,"username":"b","uid":"usr_7"}`,
	} {
		t.Run(name, func(t *testing.T) {
			refuse(t, exchange.Options{}, directory+lines, 3, exchange.ErrDuplicate, "in line 2")
		})
	}
	e := open(t)
	mustLoad(t, e, exchange.Options{}, directory+
		`{"kind":"user","directory":1,"username":"a","id":7}`+"\n"+`{"kind":"group","directory":1,"name":"a","id":7}`)
}

// TestJSONLinesAgainstStore imports what another record of the store has.
func TestJSONLinesAgainstStore(t *testing.T) {
	e := open(t)
	before := mustLoad(t, e, exchange.Options{}, directory+`{"kind":"user","directory":1,"username":"alice","id":7,"uid":"x"}`).Revision
	for line, says := range map[string]string{
		`{"kind":"user","directory":1,"username":"bob","id":7}`:    `"alice" has the id 7`,
		`{"kind":"user","directory":1,"username":"bob","uid":"x"}`: `"alice" has the uid "x"`,
		`{"kind":"directory","id":2,"name":"open ldap"}`:           `directory 1 has the name`,
	} {
		_, err := load(e, exchange.Options{}, "\n"+line)
		if err == nil || !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), "input: line 2: ") {
			t.Errorf("%s: error is %v, want one on line 2 that says %s", line, err, says)
		}
	}
	if e.Revision() != before {
		t.Error("a refused import changed the store")
	}
}

// TestJSONLinesMerge: what a line does not mention keeps its value, what it
// mentions changes, and a member may name what only the store has.
func TestJSONLinesMerge(t *testing.T) {
	e := open(t)
	mustLoad(t, e, exchange.Options{}, directory+
		`{"kind":"member","directory":1,"group":"sales","user":"alice"}
{"kind":"user","directory":1,"username":"alice","id":15,"uid":"u","fullName":"Alice","email":"a@x","description":"d","active":false,"attributes":{"t":["1","2"]},"createdTime":"2020-01-01T00:00:00Z","updatedTime":"2020-01-01T00:00:00.000000001+01:00"}
{"kind":"user","directory":1,"username":"bob","id":16}
{"kind":"group","directory":1,"name":"sales","id":10,"enterprise":true,"abilities":["b","a"]}`)
	sum := mustLoad(t, e, exchange.Options{Strict: true}, `{"kind":"user","directory":1,"username":"ALICE","email":""}
{"kind":"member","directory":1,"group":"Sales","user":"bob","createdTime":"2020-01-01T00:00:00Z"}`)
	if sum.Users != 1 || sum.Groups != 0 || sum.Memberships != 1 {
		t.Errorf("summary is %+v", sum)
	}
	got := export(t, e, exchange.JSONLines)
	for _, want := range []string{
		`"username":"ALICE","id":15,"uid":"u","fullName":"Alice","email":"","description":"d","active":false,"attributes":{"t":["1","2"]},"createdTime":"2020-01-01T00:00:00Z"`,
		`"name":"sales","id":10,"uid":"grp_10","description":"","enterprise":true,"abilities":["b","a"]`,
		`"group":"sales","user":"ALICE"}`, `"group":"sales","user":"bob"}`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the export lacks %s:\n%s", want, got)
		}
	}
	again := mustLoad(t, e, exchange.Options{}, got)
	if again.Revision != sum.Revision {
		t.Errorf("importing the export made revision %d of %d", again.Revision, sum.Revision)
	}
	edited := strings.Replace(got, `"fullName":"Alice"`, `"fullName":"Alicia"`, 1)
	first := mustLoad(t, e, exchange.Options{}, edited)
	if second := mustLoad(t, e, exchange.Options{}, edited); first.Revision != sum.Revision+1 || second.Revision != first.Revision {
		t.Errorf("an edited export made revisions %d and %d of %d, want one", first.Revision, second.Revision, sum.Revision)
	}
}

func TestJSONLinesUnresolved(t *testing.T) {
	text := directory + `{"kind":"group","directory":1,"name":"g"}
{"kind":"user","directory":1,"username":"u"}
{"kind":"member","directory":1,"group":"g","user":"nobody"}
{"kind":"member","directory":1,"group":"nothing","user":"u"}
{"kind":"member","directory":1,"group":"g","user":"u"}
{"kind":"member","directory":1,"group":"g","subgroup":"g"}
`
	var warnings []string
	e := open(t)
	sum := mustLoad(t, e, exchange.Options{Warn: func(s string) { warnings = append(warnings, s) }}, text)
	if sum.Unresolved != 2 || sum.Memberships != 1 {
		t.Errorf("summary is %+v, want 2 unresolved and 1 membership", sum)
	}
	if len(warnings) != 2 || !strings.Contains(warnings[0], `"nobody" (input, line 4)`) || !strings.Contains(warnings[1], "themselves") {
		t.Errorf("warnings are %q", warnings)
	}
	refuse(t, exchange.Options{Strict: true}, text, 4, exchange.ErrUnresolved, `"nobody"`)
}

// TestCrossDirectories: a member of another directory than its group's.
func TestCrossDirectories(t *testing.T) {
	text := directory + `{"kind":"directory","id":0,"name":"zero","type":"INTERNAL","domain":"zero"}
{"kind":"user","directory":0,"username":"u","id":1}
{"kind":"user","directory":1,"username":"u","id":2}
{"kind":"group","directory":1,"name":"g"}
{"kind":"group","directory":0,"name":"g"}
{"kind":"member","directory":1,"group":"g","user":"u","userDirectory":0}
{"kind":"member","directory":1,"group":"g","subgroup":"g","subgroupDirectory":0}
`
	e := open(t)
	if sum := mustLoad(t, e, exchange.Options{Strict: true}, text); sum.Memberships != 2 {
		t.Errorf("summary is %+v, want 2 memberships", sum)
	}
	first := export(t, e, exchange.JSONLines)
	for _, line := range strings.SplitAfter(text, "\n")[6:] {
		if !strings.Contains(first, line) {
			t.Errorf("the export lacks %s", line)
		}
	}
	other := open(t)
	mustLoad(t, other, exchange.Options{Strict: true}, first)
	if second := export(t, other, exchange.JSONLines); second != first {
		t.Errorf("exports differ:\n%s\n%s", first, second)
	}
}

func TestLongLine(t *testing.T) {
	e := open(t)
	_, err := load(e, exchange.Options{}, directory+`{"kind":"`+strings.Repeat("x", exchange.MaxRecord))
	if err == nil || !strings.HasPrefix(err.Error(), "input: line 2: the line is longer than") {
		t.Errorf("error is %v", err)
	}
}

// TestProgress: what is reported grows, and ends with all of it.
func TestProgress(t *testing.T) {
	text := directory + `{"kind":"group","directory":1,"name":"g"}` + "\n"
	last := map[exchange.Stage]int64{}
	o := exchange.Options{Directory: "d", Progress: func(s exchange.Stage, done, _ int64) {
		if done < last[s] {
			t.Errorf("%s went from %d to %d", s, last[s], done)
		}
		last[s] = done
	}}
	warned := ""
	o.Warn = func(s string) { warned += s }
	mustLoad(t, open(t), o, text)
	if last[exchange.Reading] != int64(len(text)) || last[exchange.Storing] != 2 {
		t.Errorf("progress ended at %v, want %d bytes and 2 records", last, len(text))
	}
	if !strings.Contains(warned, `"d" is not used`) {
		t.Errorf("warnings are %q", warned)
	}
}
