package arcgis_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/arcgis"
	"github.com/rosterdb/roster/internal/apitest"
)

// TestTranscripts plays the transcripts in testdata, each in a world of its own.
//
// A line "-- options: … --" names options of the handler, "-- wait: … --" lets time
// pass. In requests $ADMIN, $HELPER, $NOBODY stand for tokens, $EXPIRED for one that
// has expired and $REFERER for one that is bound to https://maps.example.
func TestTranscripts(t *testing.T) {
	apitest.Play(t, "testdata/*.txtar", func(t *testing.T, _ string) apitest.Player {
		var w *world
		return func(s apitest.Section) (string, bool) {
			kind, rest, _ := strings.Cut(s.Name, ": ")
			if kind == "options" {
				w = newWorld(t, optionsNamed(t, strings.Fields(rest))...)
				return "", false
			}
			if w == nil {
				w = newWorld(t)
			}
			if kind == "wait" {
				d, err := time.ParseDuration(rest)
				if err != nil {
					t.Fatal(err)
				}
				w.Pass(d)
				return "", false
			}
			return w.play(s.Text), true
		}
	})
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
	w.Pass(-2 * time.Hour)
	defer w.Pass(2 * time.Hour)
	return w.token(w.admin)
}
