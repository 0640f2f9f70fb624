package roster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
)

// TestSearchTexts looks for single users by what people type for them.
func TestSearchTexts(t *testing.T) {
	ctx := context.Background()
	e, err := roster.Open(t.TempDir(), roster.WithIndexAlways(roster.Options{SearchAttributes: []string{"title"}}))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	_, err = e.Update(ctx, func(tx *roster.Txn) error {
		tx.PutDirectory(roster.Directory{ID: 1, Name: "one", Domain: "corp"})
		tx.PutDirectory(roster.Directory{ID: 2, Name: "two"})
		for _, u := range []roster.User{
			{Directory: 1, Username: "alan", FullName: "Alan Turing", Email: "a.turing@kings.example", Description: "CN=Alan Turing,OU=Hut 8", Active: true},
			{Directory: 2, Username: "alan", FullName: "Alan Smithee"},
			{Directory: 1, Username: "obrien", FullName: "Flann O’Brien", Active: true},
			{Directory: 1, Username: `ext\müller`, FullName: "Jörg Müller", Attributes: map[string][]string{"Title": {"Chef de cuisine"}, "secret": {"swordfish"}}},
			{Directory: 2, Username: "strasse", FullName: "Anna Straße"},
			{Directory: 2, Username: "taro", FullName: "田中太郎"},
			{Directory: 2, Username: "c++ fan", FullName: "50% *star* [x] \"q\" ~ ^"},
		} {
			if _, err := tx.CreateUser(u); err != nil {
				return err
			}
		}
		for i := range 60 { // more than are looked at themselves
			if _, err := tx.CreateUser(roster.User{Directory: 2, Username: fmt.Sprintf("zz%d", i)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	indexed(t, e)
	for _, c := range []struct {
		text, want string
		fuzzy      bool
	}{
		{text: "al tu", want: "alan"}, {text: "alan", want: "alan alan"}, {text: `corp\alan`, want: "alan"}, {text: "alan@corp", want: "alan"},
		{text: "two\\ala", want: "alan"}, {text: "obrien", want: "obrien"}, {text: "o'brien", want: "obrien"}, {text: "brien", want: "obrien"},
		{text: "muller", want: `ext\müller`}, {text: "müller@ext", want: `ext\müller`}, {text: `EXT\MULLER`, want: `ext\müller`},
		{text: "strasse", want: "strasse"}, {text: "STRAßE", want: "strasse"}, {text: "太郎", want: "taro"}, {text: "uring", want: "alan"},
		{text: "ring", want: "alan"}, {text: "ng", want: ""}, {text: "tuirng", want: "alan", fuzzy: true}, {text: "tuirng", want: ""},
		{text: "hut 8", want: "alan"}, {text: "ou=hut", want: "alan"}, {text: "cuisine", want: `ext\müller`}, {text: "swordfish", want: ""},
		{text: "c++", want: "c++ fan"}, {text: "*", want: "c++ fan"}, {text: "a*", want: ""}, {text: "?", want: ""}, {text: `"q"`, want: "c++ fan"},
		{text: "~", want: "c++ fan"}, {text: "50%", want: "c++ fan"}, {text: "Turing, Alan", want: "alan"}, {text: "ＡＬＡＮ　ＴＵＲＩＮＧ", want: "alan"},
	} {
		view(t, e, func(tx *roster.Txn) error {
			res, err := tx.Search(roster.SearchQuery{Text: c.text, Fuzzy: c.fuzzy})
			if got := strings.Join(names(tx, res.Users), " "); err != nil || got != c.want || res.Total != len(res.Users) {
				t.Errorf("%q finds %q, %d, %v, want %q", c.text, got, res.Total, err, c.want)
			}
			return nil
		})
	}
}

// TestSearchHostile asks what nobody should.
func TestSearchHostile(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	e := peopled(t, t.TempDir(), roster.WithIndexAlways(roster.Options{}), r, 3000)
	indexed(t, e)
	random := make([]byte, 1000)
	for i := range random {
		random[i] = byte(r.IntN(256))
	}
	for what, text := range map[string]string{
		"1 MB": strings.Repeat("a", 1<<20), "1 MB of words": strings.Repeat("al ", 1<<20/3), "10,000 words": strings.Repeat("tur ", 10_000),
		"the longest": strings.Repeat("a", 1024), "the longest, of all kinds": strings.Repeat("aé田 ", 128), "spaces": strings.Repeat(" ", 1000),
		"NUL": "\x00", "NULs": strings.Repeat("al\x00", 10), "half a pair": "\xed\xa0\x80", "no UTF-8": string(random), "empty": "",
		"operators": `*?~^:"\`, "more operators": `+al -tur name:alan al* "al tu" al~2 al^3 /al.*/ [a TO z] (al OR tu)`,
		"right to left": "\u200f\u202ealan\u202c", "marks only": "\u0301\u0301\u0301", "many marks": "a" + strings.Repeat("\u0301", 400),
		"apostrophes": "'’`", "commas": ",,,;;", "backslashes": strings.Repeat(`\`, 500), "at": strings.Repeat("@", 500), "ligatures": strings.Repeat("\ufdfa", 300),
		"a joined family": "👨‍👩‍👧‍👦", "private use": "\ue000\U0010ffff",
	} {
		for _, q := range []roster.SearchQuery{{}, {Fuzzy: true}, {Fields: roster.Username}, {Fields: roster.Email}, {Limit: -1}, {Limit: 1 << 30}} {
			q.Text = text
			// The best of some tries: a busy machine is no failure.
			for try := range 5 {
				begin := time.Now()
				view(t, e, func(tx *roster.Txn) error {
					_, err := tx.Search(q)
					if err != nil && !errors.Is(err, roster.ErrInvalid) {
						t.Errorf("%s: %v", what, err)
					}
					if err != nil && len(err.Error()) > 400 {
						t.Errorf("%s: the error has %d bytes", what, len(err.Error()))
					}
					return nil
				})
				d := time.Since(begin)
				if d < 50*time.Millisecond {
					break
				}
				if try == 4 {
					t.Errorf("%s: %v", what, d)
				}
			}
		}
	}
	view(t, e, func(tx *roster.Txn) error {
		for _, q := range []roster.SearchQuery{{Fields: 64}, {After: "nonsense"}, {After: "=nonsense"}, {Text: strings.Repeat("a ", 33)}} {
			if _, err := tx.Search(q); !errors.Is(err, roster.ErrInvalid) {
				t.Errorf("%+v: %v", q, err)
			}
		}
		if _, err := tx.Search(roster.SearchQuery{Directories: []roster.DirectoryID{9}}); !errors.Is(err, roster.ErrNotFound) {
			t.Error(err)
		}
		if res, err := tx.Search(roster.SearchQuery{Text: "a", Within: new(roster.Set)}); err != nil || res.Total != 0 {
			t.Errorf("within nobody: %+v, %v", res, err)
		}
		return nil
	})
}

// TestSearchModes searches in engines without an index.
func TestSearchModes(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	dir := t.TempDir()
	e := peopled(t, dir, roster.WithIndexAlways(roster.Options{NoSearchIndex: true}), r, 600)
	searchWell(t, e, r, 60)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "search")); err == nil {
		t.Error("there is an index")
	}
	o := roster.WithIndexAlways(roster.Options{SearchAttributes: []string{"title"}})
	open := func() *roster.Engine {
		e, err := roster.Open(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		return e
	}
	o.ReadOnly = true
	e = open() // without an index
	searchWell(t, e, r, 30)
	e.Close()
	o.ReadOnly = false
	e = open()
	indexed(t, e)
	// Edits that the index gets, and some that it may not.
	for i := range 10 {
		if _, err := e.Update(context.Background(), func(tx *roster.Txn) error {
			_, err := tx.CreateUser(person(r, 1000+i))
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	e.Close()
	o.ReadOnly = true
	e = open()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, ok := roster.SearchedTo(e); ok {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("no index in a read-only engine: %+v", e.Stats())
		}
	}
	before, err := os.ReadDir(filepath.Join(dir, "search", "store"))
	if err != nil {
		t.Fatal(err)
	}
	searchWell(t, e, r, 60)
	e.Close()
	if after, _ := os.ReadDir(filepath.Join(dir, "search", "store")); len(after) != len(before) {
		t.Error("a read-only engine has changed the index")
	}
	o.SearchAttributes, o.ReadOnly = []string{"title", "secret"}, false
	e = open()
	indexed(t, e)
	view(t, e, func(tx *roster.Txn) error {
		if res, err := tx.Search(roster.SearchQuery{Text: "hidden"}); err != nil || res.Total < 50 {
			t.Errorf("another attribute: %d, %v", res.Total, err)
		}
		return nil
	})
}

// TestSearchInMemory searches in an engine that keeps no files.
func TestSearchInMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	e, err := roster.Open("", roster.Options{InMemory: true, SearchAttributes: []string{"title"}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	_, err = e.Update(context.Background(), func(tx *roster.Txn) error {
		tx.PutDirectory(roster.Directory{ID: 1, Name: "one", Domain: "corp"})
		tx.PutDirectory(roster.Directory{ID: 2, Name: "Two.example"})
		for i := range 200 {
			if _, err := tx.CreateUser(person(r, i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	searchWell(t, e, r, 60)
}

// searchJob has a child open an engine whose index was damaged, and search.
type searchJob struct{ Dir string }

// TestChildSearch answers "" or what went wrong.
func TestChildSearch(t *testing.T) {
	serve(t, func(raw json.RawMessage) any {
		var j searchJob
		if err := json.Unmarshal(raw, &j); err != nil {
			return err.Error()
		}
		if err := j.run(); err != nil {
			return err.Error()
		}
		return ""
	})
}

func (j *searchJob) run() error {
	o := roster.WithIndexAlways(roster.Options{SearchAttributes: []string{"title"}})
	e, err := roster.Open(j.Dir, o)
	if err != nil {
		return err
	}
	defer e.Close()
	r := rand.New(rand.NewPCG(1, uint64(len(j.Dir))))
	search := func() error {
		return e.View(context.Background(), func(tx *roster.Txn) error { return agree(r, tx, 5) })
	}
	for range 2 {
		if err := search(); err != nil {
			return err
		}
		_, err := e.Update(context.Background(), func(tx *roster.Txn) error {
			_, err := tx.CreateUser(roster.User{Directory: 1, Username: fmt.Sprint("late ", tx.Revision()), FullName: "Somebody Late"})
			return err
		})
		if err != nil {
			return err
		}
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if rev, ok := roster.SearchedTo(e); ok && rev == e.Revision() {
				break
			}
		}
		if rev, _ := roster.SearchedTo(e); rev != e.Revision() {
			return fmt.Errorf("the index does not come up: %+v", e.Stats())
		}
	}
	return errors.Join(search(), e.Close())
}

// TestSearchDamage flips bytes in the files of the index, cuts them and takes
// them away. Every search must be answered as if nothing had happened, and the
// process must live.
func TestSearchDamage(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	good := filepath.Join(t.TempDir(), "good")
	e := peopled(t, good, roster.WithIndexAlways(roster.Options{}), r, 400)
	indexed(t, e)
	for i := range 5 {
		if _, err := e.Update(context.Background(), func(tx *roster.Txn) error {
			_, err := tx.CreateUser(person(r, 1000+i))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		indexed(t, e)
		time.Sleep(150 * time.Millisecond) // Bleve writes it
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	var files []string
	filepath.WalkDir(filepath.Join(good, "search"), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(good, path)
			files = append(files, rel)
		}
		return err
	})
	c := newChild(t, "TestChildSearch")
	defer func() { c.end() }()
	for i := range pick(40, 400) {
		dir := filepath.Join(t.TempDir(), fmt.Sprint("damaged", i))
		if err := os.CopyFS(dir, os.DirFS(good)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, files[i%len(files)])
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := r.IntN(len(b))
		switch nonZero := len(bytes.Trim(b, "\x00")) > 0; {
		case i%8 == 7:
			err = os.Remove(path)
		case i%8 == 6:
			err = os.WriteFile(path, b[:at], 0o600)
		case nonZero:
			for b[at] == 0 {
				at = r.IntN(len(b))
			}
			b[at] ^= 1 << r.IntN(8)
			err = os.WriteFile(path, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		var said string
		if err := c.do(searchJob{dir}, &said); err != nil || said != "" {
			t.Errorf("%s, byte %d: %v %s", files[i%len(files)], at, err, said)
			if err != nil {
				c = newChild(t, "TestChildSearch")
			}
		}
		os.RemoveAll(dir)
	}
}

// searchWriter has a child edit users for as long as it lives.
type searchWriter struct{ Dir string }

// TestChildSearchWrite answers once the engine is open, and then writes on.
func TestChildSearchWrite(t *testing.T) {
	serve(t, func(raw json.RawMessage) any {
		var j searchWriter
		if err := json.Unmarshal(raw, &j); err != nil {
			return err.Error()
		}
		e, err := roster.Open(j.Dir, roster.WithIndexAlways(roster.Options{SearchAttributes: []string{"title"}, FoldEvery: 50 * time.Millisecond}))
		if err != nil {
			return err.Error()
		}
		go func() {
			r := rand.New(rand.NewPCG(uint64(e.Revision()), 1))
			l := life{e: e, r: r, next: int(e.Revision()) * 1000}
			for {
				_, err := e.Update(context.Background(), func(tx *roster.Txn) error {
					for range 1 + r.IntN(20) {
						if err := l.change(tx); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				time.Sleep(time.Duration(r.IntN(5)) * time.Millisecond)
			}
		}()
		return ""
	})
}

// TestSearchKill kills a process that edits users while the index runs after it,
// over and over on the same folder, and searches in what it leaves.
func TestSearchKill(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	dir := t.TempDir()
	e := peopled(t, dir, roster.WithIndexAlways(roster.Options{}), r, 300)
	if _, err := e.Update(context.Background(), func(tx *roster.Txn) error {
		_, err := tx.CreateGroup(roster.Group{Directory: 1, Name: "g"})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	looker := newChild(t, "TestChildSearch")
	defer func() { looker.end() }()
	for i := range pick(15, 250) {
		writer := newChild(t, "TestChildSearchWrite")
		var said string
		if err := writer.do(searchWriter{dir}, &said); err != nil || said != "" {
			t.Fatal(err, said)
		}
		time.Sleep(time.Duration(r.IntN(400)) * time.Millisecond)
		writer.kill()
		if err := looker.do(searchJob{dir}, &said); err != nil || said != "" {
			t.Fatalf("after kill %d: %v %s", i+1, err, said)
		}
	}
}

// TestSearchFolderInUse takes the folder of the index away while the engine uses
// it, and puts a file in its place.
func TestSearchFolderInUse(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	dir := t.TempDir()
	e := peopled(t, dir, roster.WithIndexAlways(roster.Options{}), r, 500)
	indexed(t, e)
	if err := os.RemoveAll(filepath.Join(dir, "search")); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if _, err := e.Update(context.Background(), func(tx *roster.Txn) error {
			_, err := tx.CreateUser(person(r, 1000+i))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		searchWell(t, e, r, 3)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "search")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "search"), []byte("no folder"), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := roster.Open(dir, roster.WithIndexAlways(roster.Options{SearchAttributes: []string{"title"}}))
	if err != nil {
		t.Fatal(err)
	}
	searchWell(t, e, r, 10)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestSearchSegments edits users over and over, each edit a batch of its own to
// the index. The segments stay few, and what was merged leaves the disk.
func TestSearchSegments(t *testing.T) {
	r := rand.New(rand.NewPCG(27, 28))
	e := peopled(t, t.TempDir(), roster.WithIndexAlways(roster.Options{}), r, 2000)
	indexed(t, e)
	most, sum, edits := 0, 0, pick(150, 5000)
	for i := range edits {
		_, err := e.Update(context.Background(), func(tx *roster.Txn) error {
			u, err := tx.User(roster.UserID(r.IntN(2000)))
			if err != nil {
				return err
			}
			u.FullName = person(r, i).FullName
			_, err = tx.PutUser(u)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		indexed(t, e)
		st := e.Stats()
		most, sum = max(most, st.SearchSegments), sum+st.SearchSegments
	}
	t.Logf("%d edits: %.1f segments on average, at most %d", edits, float64(sum)/float64(edits), most)
	if most > 30 {
		t.Errorf("%d segments", most)
	}
	searchWell(t, e, r, 20)
	const room = 6 << 20 // some times what 2000 users take
	for end := time.Now().Add(time.Minute); e.Stats().SearchBytes > room; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the index of 2000 users takes %d bytes", e.Stats().SearchBytes)
		}
	}
}
