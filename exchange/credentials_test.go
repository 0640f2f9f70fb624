package exchange_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/exchange"
)

// quick are options whose hashes cost nothing.
func quick(t testing.TB) exchange.Options {
	t.Helper()
	h, err := access.NewHasher(access.HashOptions{Params: access.Params{MemoryKiB: 8, Passes: 1, Lanes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return exchange.Options{Hasher: h}
}

func service(t testing.TB, e *roster.Engine) *access.Service {
	t.Helper()
	s, err := access.New(e, access.Options{Hash: access.HashOptions{Params: access.Params{MemoryKiB: 8, Passes: 1, Lanes: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const credited = `{"kind":"directory","id":1,"name":"corp"}
{"kind":"directory","id":2,"name":"lab"}
{"kind":"user","directory":1,"username":"root"}
{"kind":"user","directory":1,"username":"twin"}
{"kind":"user","directory":2,"username":"twin"}
{"kind":"user","directory":2,"username":"Straße"}
`

const credentials = `{"kind":"apiKey","id":"1","secret":"k","user":"root","endpoints":["/api/ingress/*"],"ips":[]}
{"kind":"account","directory":1,"user":"ROOT","password":"correct horse","privileges":["*"]}
{"kind":"apiKey","id":"2","secret":"l","user":"strasse","ips":["10.0.0.0/8","76.*.*.*"],"expiresTime":"2999-01-02T03:04:05.6Z"}
{"kind":"apiKey","id":"3","secret":"m","directory":2,"user":"twin","createdTime":"2020-01-01T00:00:00Z","updatedTime":"2021-01-01T00:00:00Z"}
{"kind":"account","directory":2,"user":"twin","privileges":["b","a","b"]}
`

// TestCredentials: accounts and keys of an import work, are not changed by
// importing them again, and the export of all is the same after any way round.
func TestCredentials(t *testing.T) {
	ctx := context.Background()
	e := open(t)
	sum := mustLoad(t, e, quick(t), credentials+credited)
	if sum.Accounts != 2 || sum.Keys != 3 {
		t.Errorf("%+v", sum)
	}
	check := func(e *roster.Engine) {
		t.Helper()
		s := service(t, e)
		p, err := s.Login(ctx, "root", "correct horse", access.Principal{}.Client)
		if err != nil || p.Username != "root" || !p.Has("anything") {
			t.Errorf("root is %+v, %v", p, err)
		}
		for _, id := range []string{"1", ""} {
			if p, err := s.LoginKey(ctx, id, "k", access.KeyUse{Path: "/api/ingress/user_group_members"}); err != nil || p.Username != "root" || p.Key != "1" {
				t.Errorf("key 1 is %+v, %v", p, err)
			}
		}
		if _, err := s.LoginKey(ctx, "1", "k", access.KeyUse{Path: "/rebilly"}); !errors.Is(err, access.ErrForbidden) {
			t.Errorf("key 1 elsewhere: %v", err)
		}
		if _, err := s.LoginKey(ctx, "2", "l", access.KeyUse{}); !errors.Is(err, access.ErrForbidden) {
			t.Errorf("key 2: %v", err)
		}
		if p, err := s.LoginKey(ctx, "3", "m", access.KeyUse{}); err != nil || p.Directory != 2 || !p.Has("a") || p.Has("c") {
			t.Errorf("key 3 is %+v, %v", p, err)
		}
	}
	check(e)

	rev := e.Revision()
	mustLoad(t, e, quick(t), credentials)
	mustLoad(t, e, quick(t), credited+credentials)
	if e.Revision() != rev {
		t.Errorf("importing it again made revision %d of %d", e.Revision(), rev)
	}
	text := export(t, e, exchange.JSONLines)
	for _, want := range []string{
		`{"kind":"account","directory":1,"user":"root","passwordHash":"$argon2id$v=19$m=8,t=1,p=1$`, `"privileges":["*"],"createdTime":"`,
		`{"kind":"account","directory":2,"user":"twin","privileges":["a","b"],"createdTime":`,
		`{"kind":"apiKey","id":"1","secretHash":"$argon2id$`, `"directory":1,"user":"root","endpoints":["/api/ingress/*"],"ips":[],"createdTime":`,
		`"user":"Straße","endpoints":[],"ips":["10.0.0.0/8","76.0.0.0/8"],"expiresTime":"2999-01-02T03:04:05.6Z","createdTime":`,
		`"createdTime":"2020-01-01T00:00:00Z","updatedTime":"2021-01-01T00:00:00Z"}`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the export lacks %s:\n%s", want, text)
		}
	}
	if strings.Contains(text, "correct horse") {
		t.Error("the export holds a password")
	}
	e2 := open(t)
	mustLoad(t, e2, exchange.Options{}, text)
	check(e2)
	if got := export(t, e2, exchange.JSONLines); got != text {
		t.Errorf("after import and export it is\n%s\ninstead of\n%s", got, text)
	}
	rev = e2.Revision()
	mustLoad(t, e2, exchange.Options{}, text)
	if e2.Revision() != rev {
		t.Error("importing the export again changed something")
	}

	// The fast way, for text and for hashes.
	for _, in := range []string{text, credentials + credited} {
		plan, err := exchange.Read(ctx, quick(t), exchange.Input{Name: "input", Reader: strings.NewReader(in)})
		if err != nil {
			t.Fatal(err)
		}
		defer plan.Close()
		if err := plan.Check(ctx); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "data")
		if _, err := plan.Build(ctx, dir, roster.Options{}); err != nil {
			t.Fatal(err)
		}
		e3, err := roster.Open(dir, roster.Options{})
		if err != nil {
			t.Fatal(err)
		}
		check(e3)
		if got := export(t, e3, exchange.JSONLines); in == text && got != text {
			t.Errorf("after a build it is\n%s\ninstead of\n%s", got, text)
		}
		if err := errors.Join(e3.Verify(ctx, nil), e3.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestCredentialsChange: a line changes what it gives, and nothing else.
func TestCredentialsChange(t *testing.T) {
	ctx := context.Background()
	e := open(t)
	mustLoad(t, e, quick(t), credited+credentials)
	old := export(t, e, exchange.JSONLines)
	line := func(text, begin string) string {
		t.Helper()
		for l := range strings.Lines(text) {
			if strings.HasPrefix(l, begin) {
				return l
			}
		}
		t.Fatalf("no line begins with %s", begin)
		return ""
	}
	account, key := `{"kind":"account","directory":1,`, `{"kind":"apiKey","id":"1",`
	hash := func(text, begin string) string {
		_, rest, _ := strings.Cut(line(text, begin), `Hash":"`)
		h, _, _ := strings.Cut(rest, `"`)
		return h
	}
	mustLoad(t, e, quick(t), account+`"user":"root","privileges":["x"]}`+"\n"+key+`"user":"twin","directory":2}`)
	now := export(t, e, exchange.JSONLines)
	if hash(now, account) != hash(old, account) || !strings.Contains(line(now, account), `"privileges":["x"]`) {
		t.Errorf("the account is %s", line(now, account))
	}
	if hash(now, key) != hash(old, key) || !strings.Contains(line(now, key), `"directory":2,"user":"twin","endpoints":["/api/ingress/*"]`) {
		t.Errorf("the key is %s", line(now, key))
	}
	mustLoad(t, e, quick(t), account+`"user":"root","password":"another"}`+"\n"+key+`"user":"root","secret":"n","endpoints":[]}`)
	s := service(t, e)
	if _, err := s.Login(ctx, "root", "another", access.Principal{}.Client); err != nil {
		t.Errorf("the new password: %v", err)
	}
	if _, err := s.LoginKey(ctx, "", "k", access.KeyUse{}); !errors.Is(err, access.ErrDenied) {
		t.Errorf("the old secret: %v", err)
	}
	if _, err := s.LoginKey(ctx, "", "n", access.KeyUse{}); err != nil {
		t.Errorf("the new secret: %v", err)
	}
}

func TestCredentialsRefused(t *testing.T) {
	const lines = 6 // of credited
	good := "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$" + strings.Repeat("A", 43)
	for what, c := range map[string]struct {
		line string
		kind error
		says string
	}{
		"nobody":               {`{"kind":"account","directory":1,"user":"nobody","password":"hush"}`, exchange.ErrUnresolved, `the user "nobody" of directory 1`},
		"no directory":         {`{"kind":"account","user":"root","password":"hush"}`, exchange.ErrMalformed, `needs "directory"`},
		"key of nobody":        {`{"kind":"apiKey","id":"1","user":"nobody","secret":"hush"}`, exchange.ErrUnresolved, `the user "nobody" is neither`},
		"key of two":           {`{"kind":"apiKey","id":"1","user":"TWIN","secret":"hush"}`, roster.ErrAmbiguous, `2 users are called "TWIN"`},
		"key without a secret": {`{"kind":"apiKey","id":"1","user":"root"}`, exchange.ErrMalformed, `needs "secret" or "secretHash"`},
		"both":                 {`{"kind":"account","directory":1,"user":"root","password":"hush","passwordHash":"` + good + `"}`, exchange.ErrMalformed, "leave one out"},
		"empty password":       {`{"kind":"account","directory":1,"user":"root","password":""}`, exchange.ErrMalformed, "1 to 1024 bytes"},
		"long password":        {`{"kind":"account","directory":1,"user":"root","password":"` + strings.Repeat("hush", 300) + `"}`, exchange.ErrMalformed, "1 to 1024 bytes"},
		"number":               {`{"kind":"account","directory":1,"user":"root","password":123456}`, exchange.ErrMalformed, `"password" must be a string`},
		"object":               {`{"kind":"apiKey","id":"1","user":"root","secret":{"hush":"hush"}}`, exchange.ErrMalformed, `"secret" must be a string`},
		"bad hash":             {`{"kind":"account","directory":1,"user":"root","passwordHash":"$2b$10$hush"}`, exchange.ErrMalformed, "it must begin with $argon2id$"},
		"greedy hash":          {`{"kind":"account","directory":1,"user":"root","passwordHash":"` + strings.Replace(good, "m=8", "m=99999999", 1) + `"}`, exchange.ErrMalformed, "at most m="},
		"fast hash":            {`{"kind":"account","directory":1,"user":"root","passwordHash":"$sha256$` + strings.Repeat("A", 43) + `"}`, exchange.ErrMalformed, "argon2id"},
		"unknown field":        {`{"kind":"account","directory":1,"user":"root","secret":"hush"}`, exchange.ErrMalformed, `the field "secret" of an account is unknown`},
		"unknown field of key": {`{"kind":"apiKey","id":"1","user":"root","password":"hush"}`, exchange.ErrMalformed, `the field "password" of an apiKey is unknown`},
		"endpoint":             {`{"kind":"apiKey","id":"1","user":"root","secret":"hush","endpoints":["api"]}`, exchange.ErrMalformed, "must begin with a slash"},
		"address":              {`{"kind":"apiKey","id":"1","user":"root","secret":"hush","ips":["host"]}`, exchange.ErrMalformed, "no address"},
		"privilege":            {`{"kind":"account","directory":1,"user":"root","privileges":[""]}`, exchange.ErrMalformed, "privilege"},
		"time":                 {`{"kind":"apiKey","id":"1","user":"root","secret":"hush","expiresTime":"tomorrow"}`, exchange.ErrMalformed, "RFC 3339"},
		"year":                 {`{"kind":"apiKey","id":"1","user":"root","secret":"hush","expiresTime":"9999-12-31T23:59:59-01:00"}`, exchange.ErrMalformed, "years 0 to 9999"},
		"control in the ID":    {`{"kind":"apiKey","id":"a\nb","user":"root","secret":"hush"}`, exchange.ErrMalformed, "control characters"},
	} {
		t.Run(what, func(t *testing.T) {
			refuse(t, quick(t), credited+c.line, lines+1, c.kind, c.says)
			_, err := load(open(t), quick(t), credited+c.line)
			if strings.Contains(fmt.Sprint(err), "hush") || strings.Contains(fmt.Sprint(err), "123456") {
				t.Errorf("the error shows it: %v", err)
			}
		})
	}
	account := `{"kind":"account","directory":1,"user":"root"}` + "\n"
	key := `{"kind":"apiKey","id":"1","user":"root","secret":"k"}` + "\n"
	refuse(t, quick(t), credited+account+key+strings.Replace(account, "root", "Root", 1), lines+3, exchange.ErrDuplicate, "first in line 7")
	refuse(t, quick(t), credited+account+key+key, lines+3, exchange.ErrDuplicate, "first in line 8")
}

// TestSpoolIsSealed: what is spooled does not hold a password.
func TestSpoolIsSealed(t *testing.T) {
	dir := t.TempDir()
	o := quick(t)
	o.TempDir = dir
	var text strings.Builder
	text.WriteString(credited)
	const n = 3000
	for i := range n {
		fmt.Fprintf(&text, `{"kind":"apiKey","id":"%d","user":"root","secret":"hush-hush %d"}`+"\n", i, i)
	}
	plan, err := exchange.Read(context.Background(), o, exchange.Input{Name: "input", Reader: strings.NewReader(text.String())})
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("there is no list of open files here")
	}
	seen := 0
	for _, f := range open {
		name := filepath.Join("/proc/self/fd", f.Name())
		if to, err := os.Readlink(name); err != nil || !strings.HasPrefix(to, dir) {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 0 {
			seen++
		}
		if bytes.Contains(b, []byte("hush")) {
			t.Errorf("%s holds a secret", name)
		}
	}
	if seen == 0 {
		t.Error("nothing was spooled")
	}
}

// TestLeftOut: tables say that they hold no credentials, and what is left of a
// deleted user is not exported.
func TestCredentialsLeftOut(t *testing.T) {
	e := open(t)
	mustLoad(t, e, quick(t), credited+credentials)
	for _, f := range []exchange.Format{exchange.CSV, exchange.LDIF} {
		var said []string
		var out bytes.Buffer
		err := exchange.Export(context.Background(), e, &out, exchange.ExportOptions{Format: f, Warn: func(s string) { said = append(said, s) }})
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(said, "\n"); !strings.Contains(text, "2 accounts: left out") || !strings.Contains(text, "3 API keys: left out") {
			t.Errorf("%s says %q", f, said)
		}
	}
	_, err := e.Update(context.Background(), func(tx *roster.Txn) error {
		u, ok := tx.UserByName(1, "root")
		if !ok {
			return roster.ErrNotFound
		}
		if err := tx.DeleteUser(u); err != nil {
			return err
		}
		return access.RevokeTokens(tx, u+1)
	})
	if err != nil {
		t.Fatal(err)
	}
	text := export(t, e, exchange.JSONLines)
	if strings.Contains(text, "root") || strings.Count(text, `"kind":"account"`) != 1 || strings.Count(text, `"kind":"apiKey"`) != 2 {
		t.Errorf("the export is %s", text)
	}
	e2 := open(t)
	mustLoad(t, e2, quick(t), text)
	if got := export(t, e2, exchange.JSONLines); got != text {
		t.Errorf("and again it is %s", got)
	}
}
