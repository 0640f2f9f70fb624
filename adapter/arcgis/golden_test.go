package arcgis_test

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/arcgis"
)

var updateGolden = flag.Bool("update", false, "write the transcripts in testdata anew")

// TestTranscripts plays the transcripts in testdata, each in a world of its own:
// requests and the exact answers to them, in the order of the file.
//
// A line "-- options: … --" names options of the handler, "-- wait: … --" lets time
// pass. In requests $ADMIN, $HELPER, $NOBODY stand for tokens, $EXPIRED for one that
// has expired and $REFERER for one that is bound to https://maps.example.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(text))
			if *updateGolden {
				if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
			} else if got != string(text) {
				t.Errorf("another answer than in %s:\n%s", file, firstDifference(got, string(text)))
			}
		})
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			return fmt.Sprintf("line %d\n got %s\nwant %s", i+1, g[i], append(w, "")[min(i, len(w))])
		}
	}
	return "it ends early"
}

var section = regexp.MustCompile(`(?m)^-- (.+) --\n`)

// play returns a transcript with the answers that are given now.
func play(t *testing.T, text string) string {
	marks := section.FindAllStringSubmatchIndex(text, -1)
	if len(marks) == 0 {
		t.Fatal("nothing in it")
	}
	var out strings.Builder
	out.WriteString(text[:marks[0][0]])
	var w *world
	for i, m := range marks {
		end := len(text)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		name, body := text[m[2]:m[3]], text[m[1]:end]
		kind, rest, _ := strings.Cut(name, ": ")
		if kind == "options" {
			w = newWorld(t, optionsNamed(t, strings.Fields(rest))...)
		} else if w == nil {
			w = newWorld(t)
		}
		switch kind {
		case "wait":
			d, err := time.ParseDuration(rest)
			if err != nil {
				t.Fatal(err)
			}
			w.pass(d)
		case "request":
			fmt.Fprintf(&out, "-- %s --\n%s-- answer --\n%s", name, body, w.play(body))
			continue
		case "answer":
			continue
		}
		fmt.Fprintf(&out, "-- %s --\n%s", name, body)
	}
	return out.String()
}

func optionsNamed(t *testing.T, names []string) (out []func(*arcgis.Options)) {
	for _, n := range names {
		out = append(out, func(o *arcgis.Options) {
			switch n {
			case "none":
			case "noSource":
				o.Sources = nil
			case "strict":
				o.StrictUsers = true
			case "statuses":
				o.Statuses = true
			case "adminEnvelope":
				o.AuthEnvelope = arcgis.AdminEnvelope
			case "noAccess":
				o.Access = nil
			case "ldap":
				o.Store = arcgis.IdentityStore{Users: arcgis.StoreConfig{Type: "LDAP", Properties: map[string]string{
					"userPassword": "secret", "isPasswordEncrypted": "false", "user": "uid=admin,ou=system", "usernameAttribute": "cn", "caseSensitive": "true",
				}}, Groups: arcgis.StoreConfig{Type: "LDAP", Properties: map[string]string{"rolenameAttribute": "cn"}}}
			default:
				t.Fatal("no such option: " + n)
			}
		})
	}
	return out
}

var styled = regexp.MustCompile(`(?s)<style>.*</style>`)

var issued = regexp.MustCompile(`("token": ?")[^"]+`)

// play sends a request as it is written and returns the answer: the status, the
// headers that clients look at, and the body.
func (w *world) play(text string) string {
	text = strings.NewReplacer(
		"$ADMIN", w.token(w.admin), "$HELPER", w.token(w.helper), "$NOBODY", w.token(w.nobody),
		"$EXPIRED", w.expired(),
		"$REFERER", w.tokenFor(w.admin, access.TokenSpec{Audience: "arcgis", Binding: access.Binding{Referer: "https://maps.example"}}),
	).Replace(strings.TrimSuffix(text, "\n"))
	head, body, _ := strings.Cut(text, "\n\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(fmt.Sprintf("%s\nContent-Length: %d\n\n%s", head, len(body), body))))
	if err != nil {
		w.Fatalf("%v in\n%s", err, text)
	}
	r.RemoteAddr = "192.0.2.7:1234"
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	answer := issued.ReplaceAll(rec.Body.Bytes(), []byte("${1}TOKEN"))
	answer = styled.ReplaceAll(answer, []byte("<style></style>"))
	var out bytes.Buffer
	fmt.Fprintf(&out, "%d\n", rec.Code)
	for _, h := range []string{"Content-Type", "Allow", "Retry-After", "Location"} {
		if v := rec.Header().Get(h); v != "" {
			fmt.Fprintf(&out, "%s: %s\n", h, v)
		}
	}
	fmt.Fprintf(&out, "\n%s\n\n", answer)
	return out.String()
}

func (w *world) expired() string {
	w.pass(-2 * time.Hour)
	defer w.pass(2 * time.Hour)
	return w.token(w.admin)
}
