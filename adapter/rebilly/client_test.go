package rebilly_test

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/rosterdb/roster/adapter/rebilly"
)

// TestPublishedClient has rebilly-js-sdk, the API's own client, do what its users
// do, against the API served on loopback.
func TestPublishedClient(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("skipped: the published client of the API needs node, which is not installed")
	}
	if _, err := os.Stat("client/node_modules/rebilly-js-sdk/package.json"); err != nil {
		t.Skip("skipped: the published client of the API is not installed: run npm ci in adapter/rebilly/client")
	}
	w := newWorld(t, func(o *rebilly.Options) { o.Rate = 300 })
	w.from = ""
	server := httptest.NewServer(w.mux)
	defer server.Close()
	for w.do("stranger", "GET", "/memberships?limit=0", "").Code != 429 {
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "client.mjs")
	cmd.Dir = "client"
	cmd.Env = append(os.Environ(),
		"BASE="+server.URL+"/rebilly", "KEY="+w.secrets["owner"], "PLAIN="+w.secrets["plain"], "LIMITED="+w.secrets["stranger"],
		"NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1",
	)
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "ok\n" {
		t.Fatalf("%v\n%s", err, out)
	}
}
