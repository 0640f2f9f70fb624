package apitest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/roster/access"
)

func TestClockAndLog(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c, log := NewClock(begin), &Log{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { c.Pass(time.Second); fmt.Fprintln(log, c.Now().Year(), log.String() == "") })
	}
	all.Wait()
	if !c.Now().Equal(begin.Add(8*time.Second)) || strings.Count(log.String(), "2026 ") != 8 {
		t.Errorf("%v, %q", c.Now(), log.String())
	}
}

func TestRequest(t *testing.T) {
	r := Request("DELETE", "/a%2Fb//../%2e?x=%zz;y", "body")
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != "DELETE" || r.URL.EscapedPath() != "/a%2Fb//../%2e" || r.URL.Path != "/a/b//../." || r.URL.RawQuery != "x=%zz;y" || string(body) != "body" {
		t.Errorf("%+v, %v", r.URL, err)
	}
}

type asked struct{ times int }

func (a *asked) Authenticate(*http.Request, url.Values) (access.Principal, error) {
	a.times++
	return access.Principal{Username: "ann"}, access.ErrBusy
}

func TestBetween(t *testing.T) {
	a, then := &asked{}, 0
	p, err := Between{a, func() { then += a.times }}.Authenticate(nil, nil)
	if p.Username != "ann" || !errors.Is(err, access.ErrBusy) || then != 1 {
		t.Errorf("%v, %v, %d", p, err, then)
	}
}
