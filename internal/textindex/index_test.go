package textindex

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// model is what an index is to hold.
type model map[uint32]Document

func randomDocument(r *rand.Rand, n uint32) Document {
	d := Document{Number: n}
	for _, list := range []*[]string{&d.Grams, &d.Words} {
		seen := map[string]bool{}
		for range 1 + r.IntN(6) {
			seen[fmt.Sprintf("%c%c%c%c", 'a'+r.IntN(3), 'ä'+rune(r.IntN(2)), 'a'+r.IntN(3), 'a'+r.IntN(4))] = true
		}
		*list = slices.Sorted(maps.Keys(seen))
	}
	return d
}

// step changes some documents and returns what to apply.
func (m model) step(r *rand.Rand, size int) (docs []Document) {
	touched := map[uint32]bool{}
	for range size {
		n := uint32(r.IntN(300))
		if touched[n] {
			continue
		}
		touched[n] = true
		if r.IntN(4) == 0 {
			delete(m, n)
			docs = append(docs, Document{Number: n, Gone: true})
			continue
		}
		if m[n] = randomDocument(r, n); r.IntN(20) == 0 {
			m[n] = Document{Number: n}
		}
		docs = append(docs, m[n])
	}
	return docs
}

func (m model) find(holds func(Document) bool) (out []uint32) {
	for n, d := range m {
		if holds(d) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

func listed(bits []uint64) (out []uint32) {
	for n := range uint32(len(bits) * 64) {
		if bits[n>>6]>>(n&63)&1 != 0 {
			out = append(out, n)
		}
	}
	return out
}

// agree compares a snapshot with the model.
func (m model) agree(t *testing.T, r *rand.Rand, s *Snapshot) {
	t.Helper()
	expect := func(what string, err error, bits []uint64, want []uint32) {
		t.Helper()
		if got := listed(bits); err != nil || !slices.Equal(got, want) {
			t.Fatalf("%s: %v, %v, want %v", what, got, err, want)
		}
	}
	bits := make([]uint64, 8)
	expect("live", s.Live(bits), bits, m.find(func(Document) bool { return true }))
	for range 10 {
		var clauses []Clause
		for range 1 + r.IntN(2) {
			var c Clause
			for range 1 + r.IntN(2) {
				c = append(c, randomAlternative(r))
			}
			clauses = append(clauses, c)
		}
		sure, unsure := make([]uint64, 8), make([]uint64, 8)
		counted := [2]int{}
		err := s.find(clauses, 0, func(h *Hits) {
			h.SetSure(sure)
			h.SetUnsure(unsure)
			counted = [2]int{h.Sure, h.Unsure}
			h.EachSure(func(n uint32) { counted[0]-- })
			h.EachUnsure(func(n uint32) { counted[1]-- })
		})
		expect(fmt.Sprintf("sure %+v", clauses), err, sure, m.find(func(d Document) bool { _, sure := matchesAll(clauses, d); return sure }))
		expect(fmt.Sprintf("unsure %+v", clauses), err, unsure, m.find(func(d Document) bool { may, sure := matchesAll(clauses, d); return may && !sure }))
		if counted != [2]int{} {
			t.Fatalf("%+v: counts are off by %v", clauses, counted)
		}
	}
}

// randomAlternative looks for what one document holds, mostly.
func randomAlternative(r *rand.Rand) (a Alternative) {
	sample := randomDocument(r, 0)
	a.All = sample.Grams[:1+r.IntN(min(3, len(sample.Grams)))]
	if r.IntN(2) == 0 {
		a.Gram = a.All[0]
	}
	if r.IntN(3) == 0 {
		word := []rune(sample.Words[0])
		word[1] = 'z'
		a.Near = string(word)
	}
	return a
}

// matchesAll says what Find is to say of a document.
func matchesAll(clauses []Clause, d Document) (may, sure bool) {
	may, sure = true, true
	for _, c := range clauses {
		anyMay, anySure := false, false
		for _, a := range c {
			all := !slices.ContainsFunc(a.All, func(g string) bool { return !slices.Contains(d.Grams, g) })
			near := a.Near != "" && slices.ContainsFunc(d.Words, func(w string) bool {
				o, word := []rune(w), []rune(a.Near)
				return o[0] == word[0] && o[2] == word[2] && o[3] == word[3]
			})
			anySure = anySure || near || all && a.Gram != ""
			anyMay = anyMay || near || all
		}
		may, sure = may && anyMay, sure && anySure
	}
	return may, may && sure
}

func snapshot(t *testing.T, x *Index) *Snapshot {
	t.Helper()
	s, err := x.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func settle(t *testing.T, x *Index) {
	t.Helper()
	if err := x.Settle(context.Background(), time.Minute); err != nil {
		t.Fatal(err)
	}
}

// TestIndex holds the index to a model through changes, snapshots that are kept
// and reopening, in both ways of reading.
func TestIndex(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "index")
	if _, _, err := Open(dir, false); err != ErrMissing {
		t.Fatalf("of nothing: %v", err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	m := model{}
	x, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 4 {
		for i := range 12 {
			before, old := snapshot(t, x), maps.Clone(m)
			note := fmt.Sprint(round, " ", i)
			if err := x.Apply(m.step(r, 40), []byte(note)); err != nil {
				t.Fatal(err)
			}
			s := snapshot(t, x)
			x.careful.Store(i%3 == 0)
			m.agree(t, r, s)
			model(old).agree(t, r, before)
			if got, err := s.Note(); err != nil || string(got) != note {
				t.Fatalf("note %q, %v, want %q", got, err, note)
			}
			if err := s.compare(); err != nil {
				t.Fatal(err)
			}
			s.Release()
			before.Release()
			if s.Retain() {
				t.Fatal("a released snapshot was retained")
			}
			if i == 11 {
				settle(t, x)
			}
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		var note []byte
		if x, note, err = Open(dir, round == 3); err != nil || string(note) != fmt.Sprint(round, " 11") || x.Careful() {
			t.Fatalf("reopened with %q, %v", note, err)
		}
	}
	s := snapshot(t, x)
	m.agree(t, r, s)
	s.Release()
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
}

// build makes a folder with an index of some segments.
func build(t *testing.T, dir string) model {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	m := model{}
	x, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		if err := x.Apply(m.step(r, 60), []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		settle(t, x)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestDamage flips bytes in the files. An index is refused, or holds what it
// held, or differs in a way that Live and Note tell of.
func TestDamage(t *testing.T) {
	good := filepath.Join(t.TempDir(), "good")
	m := build(t, good)
	var files []string
	filepath.WalkDir(good, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(good, path)
			files = append(files, rel)
		}
		return err
	})
	r := rand.New(rand.NewPCG(5, 6))
	refused, told := 0, 0
	for i := range 200 {
		dir := filepath.Join(t.TempDir(), "index")
		if err := os.CopyFS(dir, os.DirFS(good)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, files[i%len(files)])
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := r.IntN(len(b))
		for b[at] == 0 {
			at = r.IntN(len(b))
		}
		if i%10 == 9 {
			b = b[:at]
		} else {
			b[at] ^= 1 << r.IntN(8)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		x, note, err := Open(dir, i%2 == 0)
		if d := time.Since(begin); d > 5*time.Second {
			t.Errorf("%s, byte %d: Open took %v", path, at, d)
		}
		if err != nil {
			refused++
			continue
		}
		s := snapshot(t, x)
		bits := make([]uint64, 8)
		if err := s.Live(bits); err != nil || !slices.Equal(listed(bits), m.find(func(Document) bool { return true })) || len(note) != 1 || note[0] != 5 {
			told++
		} else {
			m.agree(t, r, s)
		}
		s.Release()
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d refused, %d told", refused, told)
}
