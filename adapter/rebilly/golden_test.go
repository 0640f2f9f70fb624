package rebilly_test

import (
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/roster/adapter/rebilly"
	"github.com/rosterdb/roster/internal/apitest"
)

// TestGolden plays the transcripts in testdata, each in a world of its own. The value
// of REB-APIKEY is the name of a user's key.
func TestGolden(t *testing.T) {
	apitest.Play(t, "testdata/*.txt", func(t *testing.T, comment string) apitest.Player {
		w := newWorld(t, func(o *rebilly.Options) {
			if strings.Contains(comment, "BaseURL: ") {
				o.BaseURL = "https://api.example.org/rebilly/"
			}
			if strings.Contains(comment, "Rate: 2") {
				o.Rate = 2
			}
		})
		return w.play
	})
}

// play answers with the status, all headers by name, and the body.
func (w *world) play(s apitest.Section) (string, bool) {
	w.Helper()
	in := apitest.ParseRequest(s.Text)
	r := httptest.NewRequest(in.Method, in.Target, strings.NewReader(in.Body))
	as := ""
	for _, h := range in.Header {
		if h[0] == "REB-APIKEY" {
			as = h[1]
			continue
		}
		r.Header.Add(h[0], strings.ReplaceAll(h[1], "{owner}", w.secrets["owner"]))
	}
	rec := w.send(r, as)
	var b strings.Builder
	fmt.Fprintln(&b, rec.Code)
	for _, name := range slices.Sorted(maps.Keys(rec.Header())) {
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(rec.Header()[name], "; "))
	}
	if rec.Body.Len() > 0 {
		fmt.Fprintf(&b, "\n%s\n", rec.Body)
	}
	return b.String(), true
}
