package ingress_test

import (
	"strings"
	"testing"

	"github.com/rosterdb/roster/adapter/ingress"
	"github.com/rosterdb/roster/internal/transcript"
)

// TestTranscripts plays each file of testdata in a world of its own, with the option
// that its comment names.
func TestTranscripts(t *testing.T) {
	transcript.Run(t, "testdata/*.txt", func(t *testing.T, comment string) transcript.Play {
		w := newWorld(t, func(o *ingress.Options) { o.StrictDrop = strings.Contains(comment, "StrictDrop") })
		return w.play
	})
}

func (w *world) play(s transcript.Section) (string, bool) {
	in := transcript.Parse(s.Text)
	r := request(in.Method, in.Target, 0, "", in.Body)
	for _, h := range in.Header {
		r.Header.Add(h[0], h[1])
	}
	return transcript.Answer(w.send(r)), true
}
