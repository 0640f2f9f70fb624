package roster_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rosterdb/roster"
)

func TestChildWrite(t *testing.T)  { serve(t, writeJob) }
func TestChildDamage(t *testing.T) { serve(t, damageJob) }

// victim is the store that gets damaged: written in several lives, with a folded
// state of several tables, a log of several files, and changes not folded yet.
type victim struct {
	Dir   string
	Scrub bool // close it in the end
}

// written is what a victim holds.
type written struct {
	Revision roster.Revision
	Dump     string
	Changes  string
	Err      string
}

// writeJob makes a victim and answers what is in it. Its engine stays open if
// the victim is to be killed.
func writeJob(raw json.RawMessage) any {
	var v victim
	if err := json.Unmarshal(raw, &v); err != nil {
		return written{Err: err.Error()}
	}
	w, err := v.write()
	if err != nil {
		return written{Err: err.Error()}
	}
	return w
}

func (v *victim) write() (w written, err error) {
	p := &pair{n: newNaive(), clock: &clock{}}
	o := roster.Options{MaxSegmentBytes: 4 << 10, FoldEvery: -1, Now: p.clock.now}
	if p.e, err = roster.Open(v.Dir, o); err != nil {
		return w, err
	}
	var groups []roster.GroupID
	for life := range 3 {
		groups = v.live(p, life, groups)
		if err := p.e.Fold(ctx); err != nil {
			return w, err
		}
		if life < 2 { // each life leaves a table
			if err := p.e.Close(); err != nil {
				return w, err
			}
			if p.e, err = roster.Open(v.Dir, o); err != nil {
				return w, err
			}
		}
	}
	for i := range 6 {
		p.try(func(w *writer) {
			w.putUser(roster.UserID(i), func(u *roster.User) { u.Description = "not folded" })
			w.add(groups[i%3], roster.UserID(i*3), roster.UserID(50))
			w.join("org_0", roster.UserID(2*i+1), false)
			w.admin(groups[i%3], roster.UserID(40+i))
		})
	}
	if w.Dump, err = dump(p.e); err != nil {
		return w, err
	}
	if w.Dump != p.n.dump() {
		return w, errors.New("the undamaged store is wrong")
	}
	w.Revision = p.e.Revision()
	if w.Changes, err = changes(p.e, p.e.Stats().Oldest); err == nil && v.Scrub {
		err = p.e.Close()
	}
	return w, err
}

// live makes some users and groups, and enough log for some files.
func (v *victim) live(p *pair, life int, groups []roster.GroupID) []roster.GroupID {
	update := func(fn func(w *writer)) {
		if err := p.try(fn); err != nil {
			panic(err) // the parent sees the process die of it
		}
	}
	update(func(w *writer) {
		if life == 0 {
			w.directory(1, "corp")
		}
		for i := range 30 {
			w.user(roster.User{Directory: 1, Username: fmt.Sprintf("user%d-%d", life, i), FullName: fmt.Sprint(i), Active: i%2 == 0})
		}
		for i := range 3 {
			g := w.group(roster.Group{Directory: 1, Name: fmt.Sprintf("group%d-%d", life, i), Abilities: []string{"see"}})
			for u := range 30 {
				if u%(i+2) == 0 {
					w.add(g, roster.UserID(u))
				}
			}
			for _, parent := range groups {
				w.nest(parent, g)
			}
			groups = append(groups, g)
		}
		org := fmt.Sprintf("org_%d", life)
		w.organization(org)
		w.role(org, "clerk")
		w.keep("source", org, strings.Repeat(org, 100))
		w.keep("access", org, "secret")
		for u := range 30 {
			if u%(life+2) == 0 {
				w.join(org, roster.UserID(u), u == 0, "clerk")
			}
		}
		w.admin(groups[life], 1, 2, 3)
		w.adminGroup(groups[life], groups[len(groups)-1])
	})
	text := strings.Repeat("long", 16<<10)
	for i := range 24 {
		size := 60 << 10
		if life > 0 || i > 17 {
			size = 700
		}
		update(func(w *writer) {
			w.putUser(1, func(u *roster.User) { u.Description = fmt.Sprint(i) + text[:size] })
		})
	}
	update(func(w *writer) { w.putUser(1, func(u *roster.User) { u.Description = "" }) })
	return groups
}

// damage is one thing that happens to one file of a victim, and what an
// engine makes of it.
type damage struct {
	Victim string
	Folder string // where the copy goes
	File   string // below the folder of the victim
	Kind   string // flip, truncate, delete
	At     int64  // the byte, or the new length
	Bit    byte
	Option string // how it is opened: "", "readonly" or "write"
	Want   written
}

func (d *damage) String() string {
	return fmt.Sprintf("%s %s at %d bit %d %s", d.Kind, d.File, d.At, d.Bit, d.Option)
}

// verdict is how it ended.
type verdict struct {
	Outcome string // answered, trimmed, refused, silent
	Text    string // the error, or the difference
	Named   bool   // the error names the file itself
}

// damageJob does one damage to a copy of a victim, and judges it.
func damageJob(raw json.RawMessage) any {
	var d damage
	if err := json.Unmarshal(raw, &d); err != nil {
		return verdict{"silent", err.Error(), false}
	}
	defer os.RemoveAll(d.Folder)
	if err := errors.Join(os.RemoveAll(d.Folder), copyTree(d.Victim, d.Folder), d.inflict()); err != nil {
		return verdict{"silent", err.Error(), false}
	}
	return d.judge()
}

func (d *damage) inflict() error {
	path := filepath.Join(d.Folder, d.File)
	switch d.Kind {
	case "delete":
		return os.RemoveAll(path)
	case "truncate":
		return os.Truncate(path, d.At)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], d.At); err != nil {
		return err
	}
	b[0] ^= 1 << d.Bit
	_, err = f.WriteAt(b[:], d.At)
	return err
}

// judge opens the damaged folder: the engine must answer as before, or refuse.
func (d *damage) judge() verdict {
	e, err := roster.Open(d.Folder, roster.Options{ReadOnly: d.Option == "readonly", FoldEvery: -1})
	if err != nil {
		return d.refusal(err)
	}
	defer e.Close()
	got, err := dump(e)
	if err != nil {
		return d.refusal(err)
	}
	if got != d.Want.Dump {
		return verdict{"silent", differ(got, d.Want.Dump), false}
	}
	// Where the log began, the undamaged one knows.
	var first roster.Revision
	fmt.Sscan(d.Want.Changes, &first)
	log, err := changes(e, first)
	if err != nil {
		return d.refusal(err)
	}
	outcome := "answered"
	switch log {
	case d.Want.Changes:
	case "trimmed":
		outcome = "trimmed"
	default:
		return verdict{"silent", "log: " + differ(log, d.Want.Changes), false}
	}
	if d.Option == "write" {
		if err := d.goOn(e); err != nil {
			if errors.Is(err, roster.ErrCorrupt) {
				return verdict{"late", err.Error(), false}
			}
			return verdict{"silent", "going on: " + err.Error(), false}
		}
	}
	return verdict{outcome, "", false}
}

// goOn writes to an engine that answered, and finds it again.
func (d *damage) goOn(e *roster.Engine) error {
	if err := e.Verify(ctx, nil); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	for range 2 {
		_, err := e.Update(ctx, func(tx *roster.Txn) error {
			u, err := tx.User(3)
			u.Email += "@"
			_, err2 := tx.PutUser(u)
			return errors.Join(err, err2)
		})
		if err := errors.Join(err, e.Fold(ctx)); err != nil {
			return err
		}
	}
	want, err := dump(e)
	if err = errors.Join(err, e.Close()); err != nil {
		return err
	}
	e, err = roster.Open(d.Folder, roster.Options{})
	if err != nil {
		return err
	}
	defer e.Close()
	got, err := dump(e)
	if err == nil && got != want {
		err = errors.New(differ(got, want))
	}
	return err
}

// refusal judges an error: it has to say that something is damaged, and what.
func (d *damage) refusal(err error) verdict {
	text := err.Error()
	v := verdict{"silent", text, strings.Contains(text, filepath.Base(d.File))}
	typed := errors.Is(err, roster.ErrCorrupt) ||
		errors.Is(err, roster.ErrNotStore) && (d.File == "STORE" || d.File == ".") ||
		errors.Is(err, roster.ErrNewerFormat) && d.Kind == "flip"
	folder, _, _ := strings.Cut(d.File, string(filepath.Separator))
	if typed && (v.Named || strings.Contains(text, filepath.Join(d.Folder, folder)) || strings.Contains(text, folder)) {
		v.Outcome = "refused"
	}
	return v
}

// TestDamage damages every file of a store in many ways, each in a copy of its
// own. The engine must answer exactly as before, or refuse with an error that
// names what is damaged; never answer something else, and never take the process
// with it.
func TestDamage(t *testing.T) {
	for _, how := range []string{"closed", "killed"} {
		t.Run(how, func(t *testing.T) { testDamage(t, how == "closed") })
	}
}

func testDamage(t *testing.T, closed bool) {
	v := victim{Dir: filepath.Join(t.TempDir(), "db"), Scrub: closed}
	c := newChild(t, "TestChildWrite")
	var want written
	if err := c.do(v, &want); err != nil {
		t.Fatal(err)
	}
	if want.Err != "" {
		t.Fatal(want.Err)
	}
	if closed {
		if err := c.end(); err != nil {
			t.Fatal(err)
		}
	} else {
		c.kill()
	}
	jobs := damages(t, v.Dir, want)
	verdicts := judgeAll(t, jobs)
	report(t, jobs, verdicts)
}

// damages plans what happens to the files of a store.
func damages(t *testing.T, dir string, want written) (jobs []damage) {
	r := rand.New(rand.NewPCG(5, 6))
	plan := func(file, kind string, at int64, bit byte) {
		jobs = append(jobs, damage{
			Victim: dir, File: file, Kind: kind, At: at, Bit: bit, Want: want,
			Option: []string{"", "readonly", "write"}[len(jobs)%3],
		})
	}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		file, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if file != "." {
				plan(file, "delete", 0, 0)
			}
			return nil
		}
		places, size, err := nonZero(path)
		if err != nil {
			return err
		}
		r.Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] })
		for _, at := range places[:min(len(places), pick(50, 400))] {
			plan(file, "flip", at, byte(r.IntN(8)))
		}
		for range pick(4, 60) { // anywhere, among the zeros mostly
			if size > 0 {
				plan(file, "flip", r.Int64N(size), byte(r.IntN(8)))
			}
		}
		lengths := map[int64]bool{0: true, size / 2: true, max(size-1, 0): true}
		for range pick(1, 20) {
			lengths[r.Int64N(size+1)] = true
			if len(places) > 0 { // within what is written
				lengths[slices.Max(places)-r.Int64N(min(slices.Max(places), 512)+1)] = true
			}
		}
		for _, at := range slices.Sorted(maps.Keys(lengths)) {
			if at < size {
				plan(file, "truncate", at, 0)
			}
		}
		plan(file, "delete", 0, 0)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

// nonZero returns the offsets of all bytes of a file that are not zero.
func nonZero(path string) (places []int64, size int64, err error) {
	b, err := os.ReadFile(path)
	for i := 0; i < len(b); i++ {
		skip := bytes.IndexFunc(b[i:], func(r rune) bool { return r != 0 })
		if skip < 0 {
			break
		}
		i += skip
		places = append(places, int64(i))
	}
	return places, int64(len(b)), err
}

// judgeAll has all damages judged by children, two at a time.
func judgeAll(t *testing.T, jobs []damage) []verdict {
	verdicts := make([]verdict, len(jobs))
	var wg sync.WaitGroup
	var mu sync.Mutex
	next := 0
	for range 2 {
		folder := filepath.Join(t.TempDir(), "copy")
		wg.Go(func() {
			var c *child
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= len(jobs) {
					break
				}
				if c == nil {
					c = newChild(t, "TestChildDamage")
				}
				jobs[i].Folder = folder
				if err := c.do(&jobs[i], &verdicts[i]); err != nil {
					verdicts[i] = verdict{"died", err.Error(), false}
					c = nil
				}
			}
			if c != nil {
				c.end()
			}
		})
	}
	wg.Wait()
	return verdicts
}

// report counts the outcomes by kind of file.
func report(t *testing.T, jobs []damage, verdicts []verdict) {
	counts := map[string]map[string]int{}
	unnamed := 0
	for i, v := range verdicts {
		kind := jobs[i].Kind + " " + jobs[i].File
		if counts[kind] == nil {
			counts[kind] = map[string]int{}
		}
		counts[kind][v.Outcome]++
		if v.Outcome == "refused" && !v.Named {
			unnamed++
		}
		switch v.Outcome {
		case "answered", "refused", "trimmed":
		default:
			t.Errorf("%s: %v: %s", v.Outcome, &jobs[i], v.Text)
		}
	}
	total := map[string]int{}
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%-40s %v", kind, counts[kind])
		for outcome, n := range counts[kind] {
			total[outcome] += n
		}
	}
	t.Logf("%d damages: %v; %d refusals name the folder and not the file", len(jobs), total, unnamed)
}
