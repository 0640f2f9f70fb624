package access_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// guesses tries n wrong passwords at a name and returns how many were looked at.
func (w *world) guesses(n int, name string, from func(i int) netip.Addr) (looked int) {
	for i := range n {
		if _, err := w.s.Login(ctx, name, fmt.Sprint("guess ", i), from(i)); errors.Is(err, access.ErrDenied) {
			looked++
		}
	}
	return looked
}

func at(a netip.Addr) func(int) netip.Addr { return func(int) netip.Addr { return a } }

// botnet is another address each time.
func botnet(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}) }

// TestMemoryAnswersNoGuesses: what is remembered of somebody who comes from the
// same address does not tell a guesser more than the account does.
func TestMemoryAnswersNoGuesses(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "right")
	w.stretched(access.Key{ID: "1", User: w.bob}, "chosen")
	use := access.KeyUse{Client: office}
	_, err1 := w.s.Login(ctx, "alice", "right", office)
	_, err2 := w.s.LoginKey(ctx, "1", "chosen", use)
	is(t, "remembered", errors.Join(err1, err2), nil)
	equal(t, "guesses", w.guesses(20, "alice", at(office)), 10)
	for i := range 20 {
		w.s.LoginKey(ctx, "1", fmt.Sprint("guess ", i), use)
	}
	_, err := w.s.Login(ctx, "alice", "right", office)
	is(t, "the right guess", err, access.ErrThrottled)
	_, err = w.s.LoginKey(ctx, "1", "chosen", use)
	is(t, "the right secret", err, access.ErrThrottled)
	_, err = w.s.Login(ctx, "alice", "right", other)
	is(t, "from elsewhere", err, nil)
	w.pass(31 * time.Second)
	_, err = w.s.Login(ctx, "alice", "right", office)
	is(t, "later", err, nil)
}

// TestNobodyLocksOut: who was let in from somewhere is let in from there whatever
// others do, in that name elsewhere or in other names at that address.
func TestNobodyLocksOut(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "right")
	w.password(w.bob, "right")
	w.stretched(access.Key{ID: "1", User: w.bob}, "chosen")
	login := func(what, name string, from netip.Addr, want error) {
		t.Helper()
		_, err := w.s.Login(ctx, name, "right", from)
		is(t, what, err, want)
	}
	login("alice", "alice", office, nil)
	_, err := w.s.LoginKey(ctx, "1", "chosen", access.KeyUse{Client: office})
	is(t, "the key", err, nil)
	w.pass(10 * time.Minute) // nothing is in memory
	equal(t, "guesses from elsewhere", w.guesses(100, "alice", botnet), 10)
	login("alice, at home", "alice", office, nil)
	login("alice, in capitals", "ALICE", office, nil)
	login("alice, elsewhere", "alice", other, access.ErrThrottled)
	for i := range 30 {
		w.s.LoginKey(ctx, "1", fmt.Sprint("guess ", i), access.KeyUse{Client: botnet(i)})
	}
	_, err = w.s.LoginKey(ctx, "1", "chosen", access.KeyUse{Client: office})
	is(t, "the key, at home", err, nil)
	for i := range 100 {
		w.s.Login(ctx, fmt.Sprint("name ", i), "guess", office)
	}
	login("alice, beside a guesser", "alice", office, nil)
	login("who has not been there, beside a guesser", "bob", office, access.ErrThrottled)
	w.pass(20 * time.Second)
	login("alice, beside a guesser, later", "alice", office, nil)
	// What fails at home in the name of one who is known there slows that one there.
	equal(t, "guesses at home", w.guesses(100, "alice", at(office)), 10)
	login("alice, after guesses at home", "alice", office, access.ErrThrottled)
	w.pass(8 * 24 * time.Hour)
	w.guesses(100, "alice", botnet)
	login("alice, not seen for a week", "alice", office, access.ErrThrottled)
}

// TestClockSetBack: a clock that is set back makes nobody wait for it.
func TestClockSetBack(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "right")
	w.guesses(60, "alice", botnet)
	w.pass(-24 * time.Hour)
	var slow *access.ThrottledError
	_, err := w.s.Login(ctx, "alice", "right", other)
	if errors.As(err, &slow) && slow.After > 30*time.Second {
		t.Errorf("wait for %v", slow.After)
	}
	w.pass(31 * time.Second)
	_, err = w.s.Login(ctx, "alice", "right", other)
	is(t, "half a minute later", err, nil)
}

// TestNamesOfOneUser: the ways to write a name are counted as one.
func TestNamesOfOneUser(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "right")
	for _, name := range []string{"alice", "nobody"} { // that there is one makes no difference
		looked := 0
		for i, n := range []string{name, name + "@corp", name + "@CORP.example", `corp\` + name, `Corp.Example\` + name, "\u0041" + name[1:]} {
			if name == "nobody" && i == 5 {
				break
			}
			looked += w.guesses(30, n, func(j int) netip.Addr { return botnet(1000*i + j) })
		}
		equal(t, "guesses at "+name, looked, 10)
	}
	equal(t, "guesses at another's", w.guesses(30, "alice@elsewhere.example", botnet), 10)
}

// TestGivenUp: who gives up while the identity source is asked has failed. Or
// nobody would be slow who hangs up before each answer, and the source's own
// counting would lock the user.
func TestGivenUp(t *testing.T) {
	src := &hangs{}
	w := newWorld(t, func(o *access.Options) { o.Sources = map[roster.DirectoryID]access.PasswordSource{2: src} })
	for i := range 100 {
		gone, cancel := context.WithCancel(ctx)
		src.cancel = cancel
		_, err := w.s.Login(gone, "dora", fmt.Sprint("guess ", i), office)
		if !errors.Is(err, context.Canceled) && !errors.Is(err, access.ErrThrottled) {
			t.Fatal(err)
		}
		cancel()
	}
	equal(t, "guesses that the source was asked about", src.asked, 10)
}

// hangs is an identity source whose callers hang up.
type hangs struct {
	cancel context.CancelFunc
	asked  int
}

func (h *hangs) Authenticate(ctx context.Context, _, _ string) error {
	h.asked++
	h.cancel()
	<-ctx.Done()
	return ctx.Err()
}
