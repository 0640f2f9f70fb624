package ingress_test

import (
	"strings"
	"testing"

	"github.com/rosterdb/roster/adapter/ingress"
	"github.com/rosterdb/roster/internal/apitest"
)

// TestTranscripts plays each file of testdata in a world of its own, with the option
// that its comment names.
func TestTranscripts(t *testing.T) {
	apitest.Play(t, "testdata/*.txt", func(t *testing.T, comment string) apitest.Player {
		w := newWorld(t, func(o *ingress.Options) { o.StrictDrop = strings.Contains(comment, "StrictDrop") })
		return w.play
	})
}

func (w *world) play(s apitest.Section) (string, bool) {
	in := apitest.ParseRequest(s.Text)
	r := request(in.Method, in.Target, 0, "", in.Body)
	for _, h := range in.Header {
		r.Header.Add(h[0], h[1])
	}
	return apitest.Answer(w.send(r)), true
}
