package exchange_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/exchange"
)

// checkInput reads what may be anything. It must come to an end soon, without
// a panic, with an error that names a line or with a plan; what the reader took
// must then be what the engine takes, and come out again as it is.
func checkInput(t *testing.T, format exchange.Format, text string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	plan, err := exchange.Read(ctx, exchange.Options{Format: format, TempDir: t.TempDir()}, exchange.Input{Name: "input", Reader: strings.NewReader(text)})
	if err != nil {
		var line *exchange.LineError
		if !errors.As(err, &line) || line.Line < 1 || line.Line > int64(strings.Count(text, "\n")+1) {
			t.Fatalf("error names no line of the input: %v", err)
		}
		if strings.ContainsAny(err.Error(), "\n\r") {
			t.Fatalf("error has several lines: %q", err)
		}
		return
	}
	defer plan.Close()
	e, err := roster.Open("", roster.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	sum, err := plan.Apply(ctx, e)
	if err != nil {
		var line *exchange.LineError
		if !errors.As(err, &line) || errors.Is(err, roster.ErrInvalid) {
			t.Fatalf("the engine refused what the reader took: %v", err)
		}
		return
	}
	var out strings.Builder
	if err := exchange.Export(ctx, e, &out, exchange.ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	again, err := exchange.Import(ctx, e, exchange.Options{Strict: true}, exchange.Input{Name: "export", Reader: strings.NewReader(out.String())})
	if err != nil || again.Revision != sum.Revision {
		t.Fatalf("importing the export: %+v, %v; want revision %d", again, err, sum.Revision)
	}
}

func FuzzLDIF(f *testing.F) {
	f.Add(directoryLDIF)
	f.Add("dn: uid=a\nobjectClass: person\nuid:: YQ==\nx:< file:///etc/passwd\n")
	f.Add("version: 1\ndn:: Y249Zw==\nchangetype: add\nobjectClass: posixGroup\ncn: g\nmemberUid: a\nuniqueMember: #'01'B\n\n\n# x\n y\ndn: \n")
	f.Fuzz(func(t *testing.T, text string) { checkInput(t, exchange.LDIF, text) })
}

func FuzzJSONLines(f *testing.F) {
	f.Add(directory + `{"kind":"user","directory":1,"username":"alice","id":15,"uid":"usr_1","fullName":"A","email":"a@x","description":"","active":true,"attributes":{"title":["Dr"]}}
{"kind":"group","directory":1,"name":"sales","id":10,"description":"","enterprise":false,"abilities":["export"],"createdTime":"2026-01-01T00:00:00.5+01:00"}
{"kind":"member","directory":1,"group":"sales","user":"alice"}
{"kind":"member","directory":1,"group":"sales","subgroup":"inside-sales","subgroupDirectory":2}`)
	f.Add(`{"kind":"role","organization":"org_1","id":"role_a","name":"Admin","permissions":["*"]}`)
	f.Add(company + `{"kind":"admin","directory":1,"group":"sales","byGroup":"leads","byGroupDirectory":1}
{"kind":"orgMembership","organization":"org_1","user":"usr_2","isOwner":false,"allowedIps":["76.*.*.*","201.54.122.0/24","2a00::1"],"updatedTime":"2026-01-01T00:00:00Z"}`)
	f.Add(directory + `{"kind":"user","directory":1,"username":"root"}
{"kind":"account","directory":1,"user":"root","passwordHash":"$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$` + strings.Repeat("A", 43) + `","privileges":["*"]}
{"kind":"apiKey","id":"1","secret":"k","user":"root","endpoints":["/api/ingress/*"],"ips":["10.0.0.1"],"expiresTime":null}
{"kind":"apiKey","id":"2","secretHash":"$sha256$` + strings.Repeat("A", 43) + `","directory":1,"user":"root"}`)
	f.Add(`{"a":[[[[[[{}]]]]]]}`)
	f.Fuzz(func(t *testing.T, text string) { checkInput(t, exchange.JSONLines, text) })
}

func FuzzCSV(f *testing.F) {
	f.Add("username,fullName,email,description,active,groups\nalice,Alice,a@x,\"a \"\"b\"\"\r\nc\",yes,x;Y ; ;x\n")
	f.Add("\ufeffmember,group\r\n\r\ngroup:a,b\r\nalice,a\r\n")
	f.Add("username\n\"a")
	f.Fuzz(func(t *testing.T, text string) { checkInput(t, exchange.CSV, text) })
}

// TestDeepNesting: JSON nested without end must not exhaust the stack.
func TestDeepNesting(t *testing.T) {
	for _, open := range []string{"[", `{"a":`} {
		checkInput(t, exchange.JSONLines, `{"kind":`+strings.Repeat(open, 1<<20))
	}
	checkInput(t, exchange.LDIF, "dn: "+strings.Repeat("a=b,", 200_000)+"a=b\nobjectClass: person\nuid: a\n")
	checkInput(t, exchange.CSV, "username,groups\na,"+strings.Repeat("b;", 200_000)+"\n\""+strings.Repeat("\n", 200_000))
	checkInput(t, exchange.LDIF, fmt.Sprintf("dn: cn=%s\nobjectClass: group\ncn: a\n", strings.Repeat(`\2c`, 100_000)))
}
