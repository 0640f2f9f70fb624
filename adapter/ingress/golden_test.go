package ingress_test

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/roster/adapter/ingress"
)

var update = flag.Bool("update", false, "write what the API answers into testdata")

// section is a part of a transcript, headed by a line "-- name --".
type section struct{ name, text string }

// parse reads a transcript: a comment, then sections.
func parse(data string) (comment string, all []section) {
	for line := range strings.Lines(data) {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "-- ")
		if name, end := strings.CutSuffix(name, " --"); ok && end {
			all = append(all, section{name: name})
		} else if n := len(all); n > 0 {
			all[n-1].text += line
		} else {
			comment += line
		}
	}
	return comment, all
}

func format(comment string, all []section) string {
	out := comment
	for _, s := range all {
		out += "-- " + s.name + " --\n" + s.text
	}
	return out
}

// play sends a request as a transcript has it: a line with method and target,
// headers, an empty line, the body.
func (w *world) play(text string) string {
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	method, target, _ := strings.Cut(lines[0], " ")
	r := request(method, target, 0, "", strings.TrimSuffix(body, "\n"))
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	a := w.send(r)
	var out bytes.Buffer
	fmt.Fprintln(&out, a.Code, http.StatusText(a.Code))
	var names []string
	for name := range a.Header() {
		if name != "Content-Length" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&out, "%s: %s\n", name, strings.Join(a.Header().Values(name), ", "))
	}
	fmt.Fprintf(&out, "\n%s", a.Body)
	return out.String()
}

// TestTranscripts plays each file of testdata in a world of its own.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			comment, all := parse(string(data))
			w := newWorld(t, func(o *ingress.Options) { o.StrictDrop = strings.Contains(comment, "StrictDrop") })
			for i := range all {
				if all[i].name != "answer" {
					continue
				}
				got := w.play(all[i-1].text)
				if !*update && got != all[i].text {
					t.Errorf("%s\n%s\nanswered\n%s\nnot\n%s", all[i-1].name, all[i-1].text, got, all[i].text)
				}
				all[i].text = got
			}
			if *update {
				if err := os.WriteFile(file, []byte(format(comment, all)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
