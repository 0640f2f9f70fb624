package crowd_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/adapter/crowd"
	"github.com/rosterdb/roster/internal/apitest"
)

// TestTranscripts plays each file of testdata in a world of its own, with the options
// that its comment names. The header As stands for the Basic authentication of
// somebody.
func TestTranscripts(t *testing.T) {
	apitest.Play(t, "testdata/*.txt", func(t *testing.T, comment string) apitest.Player {
		w := newWorld(t, func(o *crowd.Options) {
			o.Idempotent = strings.Contains(comment, "Idempotent")
			o.Appoint = strings.Contains(comment, "Appoint")
			if strings.Contains(comment, "Avatar") {
				o.Avatar = func(u roster.User, size int) string {
					return fmt.Sprintf("https://a.example/%s?s=%d", u.Username, size)
				}
			}
		})
		return w.play
	})
}

func (w *world) play(s apitest.Section) (string, bool) {
	in := apitest.ParseRequest(s.Text)
	r := request(in.Method, in.Target, "", in.Body)
	r.Header.Del("Content-Type")
	for _, h := range in.Header {
		if h[0] == "As" {
			r.SetBasicAuth(h[1], "pw-"+h[1])
			continue
		}
		r.Header.Add(h[0], h[1])
	}
	return apitest.Answer(w.send(r)), true
}
