package file_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/directory"
	"github.com/rosterdb/roster/directory/directorytest"
	"github.com/rosterdb/roster/directory/file"
	"github.com/rosterdb/roster/exchange"
	"github.com/rosterdb/roster/internal/dn"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write writes a file as programs should: beside its place, then renamed.
func write(t testing.TB, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path+".new", []byte(text), 0o600))
	must(t, os.Rename(path+".new", path))
}

func open(t testing.TB, paths ...string) *file.Source {
	t.Helper()
	s, err := file.New(file.Config{Paths: paths})
	must(t, err)
	return s
}

// TestSuite holds the source to the interface in each format.
func TestSuite(t *testing.T) {
	for name, form := range map[string]struct {
		o     directorytest.Options
		write func(directorytest.World) []string
	}{
		"ldif":  {directorytest.Options{}, worldLDIF},
		"jsonl": {directorytest.Options{}, worldJSON},
		"csv":   {directorytest.Options{NoEmpty: true, PlainNames: true}, worldCSV},
	} {
		t.Run(name, func(t *testing.T) {
			directorytest.Run(t, form.o, func(t *testing.T, w directorytest.World) directory.Source {
				dir := t.TempDir()
				var paths []string
				for i, text := range form.write(w) {
					paths = append(paths, filepath.Join(dir, fmt.Sprintf("%d.%s", i, name)))
					write(t, paths[i], text)
				}
				return open(t, paths...)
			})
		})
	}
}

func worldLDIF(w directorytest.World) []string {
	var out strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&out, "%s:: %s\n", name, base64.StdEncoding.EncodeToString([]byte(value)))
		}
	}
	user := func(name string) string { return "uid=" + dn.Escape(name) + ",dc=x" }
	group := func(name string) string { return "cn=" + dn.Escape(name) + ",dc=x" }
	for i, p := range w.Users {
		line("dn", user(p.Name))
		line("objectClass", "inetOrgPerson")
		line("uid", p.Name)
		line("cn", p.FullName)
		line("mail", p.Email)
		line("entryUUID", fmt.Sprintf("00000000-0000-0000-0000-%012d", i))
		out.WriteString("\n")
	}
	for _, g := range w.Groups {
		line("dn", group(g.Name))
		line("objectClass", "groupOfNames")
		line("cn", g.Name)
		for _, m := range g.Members {
			line("member", user(m))
		}
		for _, m := range g.Nested {
			line("member", strings.ToUpper(group(m)[:2])+group(m)[2:])
		}
		for i := range g.Strange {
			line("member", fmt.Sprintf("cn=nobody %d,dc=elsewhere", i))
		}
		out.WriteString("\n")
	}
	return []string{out.String()}
}

func worldJSON(w directorytest.World) []string {
	var out strings.Builder
	line := func(v map[string]any) {
		b, _ := json.Marshal(v) // of strings and numbers
		out.Write(append(b, '\n'))
	}
	line(map[string]any{"kind": "directory", "id": 3, "name": "x"})
	for _, p := range w.Users {
		line(map[string]any{"kind": "user", "directory": 3, "username": p.Name, "fullName": p.FullName, "email": p.Email, "active": true, "uid": "id of " + p.Name})
	}
	for _, g := range w.Groups {
		line(map[string]any{"kind": "group", "directory": 3, "name": g.Name})
		for _, m := range g.Members {
			line(map[string]any{"kind": "member", "directory": 3, "group": g.Name, "user": m})
		}
		for _, m := range g.Nested {
			line(map[string]any{"kind": "member", "directory": 3, "group": g.Name, "subgroup": m})
		}
		for range g.Strange {
			line(map[string]any{"kind": "member", "directory": 3, "group": g.Name, "user": "nobody of this world"})
		}
	}
	return []string{out.String()}
}

func worldCSV(w directorytest.World) []string {
	users, edges := "username,fullName,email\n", "group,member\n"
	for _, p := range w.Users {
		users += fmt.Sprintf("%s,%s,%s\n", p.Name, p.FullName, p.Email)
	}
	for _, g := range w.Groups {
		for _, m := range g.Members {
			edges += fmt.Sprintf("%s,%s\n", g.Name, m)
		}
		for _, m := range g.Nested {
			edges += fmt.Sprintf("%s,group:%s\n", g.Name, m)
		}
		for i := range g.Strange {
			edges += fmt.Sprintf("%s,nobody%d\n", g.Name, i)
		}
	}
	return []string{users, edges}
}

func engine(t testing.TB) *roster.Engine {
	t.Helper()
	e, err := roster.Open("", roster.Options{InMemory: true})
	must(t, err)
	t.Cleanup(func() { e.Close() })
	return e
}

func link(t testing.TB, e *roster.Engine, s directory.Source) *directory.Link {
	t.Helper()
	l, err := directory.New(e, s, directory.Options{Directory: "corp"})
	must(t, err)
	return l
}

// groupsOf returns the names of every user's groups.
func groupsOf(t testing.TB, e *roster.Engine) map[string][]string {
	out := map[string][]string{}
	must(t, e.View(context.Background(), func(tx *roster.Txn) error {
		all, err := tx.Users()
		if err != nil {
			return err
		}
		for u := range all.All() {
			groups, err := tx.Groups(u)
			if err != nil {
				return err
			}
			list := []string{}
			for _, g := range groups {
				list = append(list, tx.GroupName(g))
			}
			slices.Sort(list)
			out[tx.Username(u)] = list
		}
		return nil
	}))
	return out
}

// TestLikeImport: a sync of a real organisation gives what an import of the same
// file gives.
func TestLikeImport(t *testing.T) {
	path := "../../../shared/data/kubernetes.ldif"
	f, err := os.Open(path)
	if err != nil {
		t.Skip("the data of the Kubernetes project is not here: ", err)
	}
	defer f.Close()
	imported, synced := engine(t), engine(t)
	_, err = exchange.Import(t.Context(), imported, exchange.Options{}, exchange.Input{Name: path, Reader: f})
	must(t, err)
	l := link(t, synced, open(t, path))
	report, err := l.Sync(t.Context(), directory.Run{})
	must(t, err)
	if report.Users < 1000 || report.Unresolved > 0 {
		t.Errorf("%+v", report)
	}
	got, want := groupsOf(t, synced), groupsOf(t, imported)
	if len(got) != len(want) {
		t.Errorf("%d users, want %d", len(got), len(want))
	}
	for name, list := range want {
		if !slices.Equal(got[name], list) {
			t.Errorf("%q is in %q, want %q", name, got[name], list)
		}
	}
	again, err := l.Sync(t.Context(), directory.Run{})
	if err != nil || !again.Diff.Empty() {
		t.Errorf("again: %+v, %v", again, err)
	}
}

// TestChanges: a file that has changed is read again, one that is broken or gone
// changes nothing, and the next good one heals.
func TestChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "people.csv")
	e := engine(t)
	l := link(t, e, open(t, path))
	sync := func(text string) error {
		write(t, path, text)
		_, err := l.Sync(t.Context(), directory.Run{})
		return err
	}
	must(t, sync("username,groups\nalice,staff;sales\nbob,staff\ncarol,\n"))
	if got := groupsOf(t, e); len(got) != 3 || !slices.Equal(got["alice"], []string{"sales", "staff"}) {
		t.Errorf("%q", got)
	}
	before := e.Revision()
	var line *exchange.LineError
	if err := sync("username,groups\nalice,staff\nbob\n"); !errors.As(err, &line) || line.Line != 3 {
		t.Errorf("a broken file: %v", err)
	}
	if err := sync(""); !errors.Is(err, exchange.ErrMalformed) && !errors.Is(err, directory.ErrTooMuch) {
		t.Errorf("an empty file: %v", err)
	}
	if err := sync("username,groups\n"); !errors.Is(err, directory.ErrTooMuch) {
		t.Errorf("a file of nobody: %v", err)
	}
	must(t, os.Remove(path))
	if _, err := l.Sync(t.Context(), directory.Run{}); !errors.Is(err, directory.ErrUnreachable) {
		t.Errorf("no file: %v", err)
	}
	if _, err := l.Refresh(t.Context(), directory.Run{}, "alice"); !errors.Is(err, directory.ErrUnreachable) {
		t.Errorf("refresh without a file: %v", err)
	}
	if e.Revision() != before {
		t.Error("something was changed")
	}
	must(t, sync("username,groups\nalice,staff\nbob,staff\ncarol,\ndave,sales\n"))
	if got := groupsOf(t, e); len(got) != 4 || !slices.Equal(got["alice"], []string{"staff"}) || !slices.Equal(got["dave"], []string{"sales"}) {
		t.Errorf("%q", got)
	}
}

// TestEdges: a CSV of memberships alone has the users that it names, and says
// nothing more of them.
func TestEdges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "edges.csv")
	write(t, path, "group,member\nstaff,alice\nstaff,group:sales\nsales,bob\n")
	e := engine(t)
	l := link(t, e, open(t, path))
	_, err := l.Sync(t.Context(), directory.Run{})
	must(t, err)
	if got := groupsOf(t, e); len(got) != 2 || !slices.Equal(got["bob"], []string{"sales", "staff"}) {
		t.Errorf("%q", got)
	}
}

// TestOneDirectory: JSON lines of two directories are no source.
func TestOneDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "two.jsonl")
	write(t, path, `{"kind":"user","directory":1,"username":"a"}`+"\n"+`{"kind":"user","directory":2,"username":"b"}`+"\n")
	if _, err := link(t, engine(t), open(t, path)).Sync(t.Context(), directory.Run{}); !errors.Is(err, directory.ErrConfig) {
		t.Error(err)
	}
}
