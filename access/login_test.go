package access_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

func TestLogin(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "correct horse", "Security and infrastructure")
	w.password(w.carl, "carl's")
	w.password(w.twin, "twin's")
	for _, c := range []struct {
		what, name, password string
		want                 error
	}{
		{"right", "alice", "correct horse", nil},
		{"in capitals", "ALICE", "correct horse", nil},
		{"with the directory", "alice@corp", "correct horse", nil},
		{"with the domain", `corp.example\alice`, "correct horse", nil},
		{"one of two by directory", "twin@corp", "twin's", nil},
		{"the identity source", "dora", "from the source", nil},
		{"by number", "#1", "correct horse", access.ErrDenied},
		{"wrong password", "alice", "Correct horse", access.ErrDenied},
		{"empty password", "alice", "", access.ErrDenied},
		{"long password", "alice", strings.Repeat("x", access.MaxPassword+1), access.ErrDenied},
		{"the hash as password", "alice", "$argon2id$v=19$m=8,t=1,p=1$", access.ErrDenied},
		{"unknown", "nobody", "correct horse", access.ErrDenied},
		{"no name", "", "correct horse", access.ErrDenied},
		{"bytes", "\xff\x00", "correct horse", access.ErrDenied},
		{"another's password", "twin@corp", "correct horse", access.ErrDenied},
		{"several users", "twin", "twin's", access.ErrDenied},
		{"no account", "bob", "correct horse", access.ErrDenied},
		{"not active", "carl", "carl's", access.ErrDenied},
		{"the identity source says no", "dora", "wrong", access.ErrDenied},
		{"the identity source, with no password", "dora", "", access.ErrDenied},
	} {
		for range 2 { // the second time perhaps from memory
			p, err := w.s.Login(ctx, c.name, c.password, office)
			is(t, c.what, err, c.want)
			if (err == nil) != (p.By == access.ByPassword) || err != nil && p.String() != "nobody" {
				t.Errorf("%s: %v with %v", c.what, p, err)
			}
		}
		w.s.Forgive()
	}
	p, err := w.s.Login(ctx, "alice", "correct horse", office)
	if err != nil || p.User != w.alice || p.Username != "Alice" || p.Directory != 1 || p.Client != office || len(p.Privileges) != 1 {
		t.Errorf("alice is %+v, %v", p, err)
	}
	w.source.err = fmt.Errorf("dial: %w", access.ErrUnavailable)
	_, err = w.s.Login(ctx, "dora", "something", office)
	is(t, "an identity source that cannot be asked", err, access.ErrUnavailable)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, err = w.s.Login(gone, "alice", "something", office)
	is(t, "a context that has ended", err, context.Canceled)
}

// TestNoOracle: what is denied costs the same, whoever it is about.
func TestNoOracle(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "right")
	w.password(w.carl, "right")
	w.password(w.twin, "right")
	for _, name := range []string{"alice", "nobody", "carl", "bob", "twin", "corp\\nobody", "alice@nowhere", "\xff", "#7", "#x"} {
		before := w.count.Calls.Load()
		_, err := w.s.Login(ctx, name, "wrong", office)
		if err == nil || err.Error() != access.ErrDenied.Error() {
			t.Errorf("%s: %v", name, err)
		}
		want := int64(1)
		if name[0] == '#' { // no name, whoever there is
			want = 0
		}
		equal(t, "hashes for "+name, w.count.Calls.Load()-before, want)
	}
}

// TestRememberedPassword: a password is hashed once in a minute, and never held
// to an account that has changed.
func TestRememberedPassword(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "one")
	login := func(what, password string, from netip.Addr, want error, hashes int64) {
		t.Helper()
		before := w.count.Calls.Load()
		_, err := w.s.Login(ctx, "alice", password, from)
		is(t, what, err, want)
		equal(t, what+": hashes", w.count.Calls.Load()-before, hashes)
	}
	login("first", "one", office, nil, 1)
	login("again", "one", office, nil, 0)
	login("from elsewhere", "one", other, nil, 1)
	login("wrong", "two", office, access.ErrDenied, 1)
	w.pass(59 * time.Second)
	login("within a minute", "one", office, nil, 0)
	w.pass(2 * time.Second)
	login("after a minute", "one", office, nil, 1)
	w.active(w.alice, false)
	login("locked", "one", office, access.ErrDenied, 1)
	w.active(w.alice, true)
	login("unlocked", "one", office, nil, 1)
	is(t, "revoke", w.s.RevokeTokens(ctx, w.alice), nil)
	login("next epoch", "one", office, nil, 1)
	w.password(w.alice, "two")
	login("old password", "one", office, access.ErrDenied, 1)
	login("new password", "two", office, nil, 1)
	w.update(func(tx *roster.Txn) error { return access.DeleteAccount(tx, w.alice, w.clock()) })
	login("without an account", "two", office, access.ErrDenied, 1)
	w.password(w.alice, "three")
	login("with one again", "three", office, nil, 1)
	w.update(func(tx *roster.Txn) error { return tx.DeleteUser(w.alice) })
	login("deleted", "three", office, access.ErrDenied, 1)
	var again roster.UserID
	w.update(func(tx *roster.Txn) (err error) {
		again, err = tx.CreateUser(roster.User{Directory: 1, Username: "Alice", Active: true})
		return err
	})
	login("another of the same name", "three", office, access.ErrDenied, 1)
	equal(t, "the same handle", again == w.alice, false)

	for i := range 6000 {
		w.s.Login(ctx, "alice", fmt.Sprint("guess ", i), netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
	}
	if proofs, _ := w.s.Remembered(); proofs > 4096 {
		t.Errorf("%d proofs are kept", proofs)
	}
	w2 := newWorld(t, func(o *access.Options) { o.Verified = 3 })
	for i := range 10 {
		u := fmt.Sprint("user", i)
		w2.update(func(tx *roster.Txn) error {
			_, err := tx.CreateUser(roster.User{Directory: 2, Username: u, Active: true})
			return err
		})
		_, err := w2.s.Login(ctx, u, "from the source", office)
		is(t, u, err, nil)
	}
	if proofs, _ := w2.s.Remembered(); proofs != 3 {
		t.Errorf("%d proofs are kept, not 3", proofs)
	}
	w3 := newWorld(t, func(o *access.Options) { o.VerifiedFor = -1 })
	w3.password(w3.alice, "one")
	for range 3 {
		_, err := w3.s.Login(ctx, "alice", "one", office)
		is(t, "without memory", err, nil)
	}
	equal(t, "hashes without memory", w3.count.Calls.Load(), 4)
}

// TestManyAtOnce: who presents the same at one time is verified once.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "one")
	w.count.Hold = make(chan struct{})
	before := w.count.Calls.Load()
	var wg sync.WaitGroup
	errs := make([]error, 100)
	for i := range errs {
		wg.Go(func() { _, errs[i] = w.s.Login(ctx, "alice", "one", office) })
	}
	gone, cancel := context.WithCancel(ctx)
	var late error
	wg.Go(func() { _, late = w.s.Login(gone, "alice", "one", office) })
	time.Sleep(20 * time.Millisecond)
	cancel()
	close(w.count.Hold)
	wg.Wait()
	is(t, "all of them", errors.Join(errs...), nil)
	if late != nil && !errors.Is(late, context.Canceled) {
		t.Errorf("who gave up: %v", late)
	}
	equal(t, "hashes", w.count.Calls.Load()-before, 1)
}

// TestUpgrade: a hash with other parameters is made anew at the next login, and
// nothing else of the account changes.
func TestUpgrade(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "one", "a", "b")
	stored := func() (a access.Account) {
		w.view(func(tx *roster.Txn) { a, _ = access.GetAccount(tx, w.alice) })
		return a
	}
	before := stored()
	token, _, err := w.issue("alice", "one", access.TokenSpec{Audience: "x"})
	is(t, "token", err, nil)
	w.service(access.Options{Hash: access.HashOptions{Params: access.Params{MemoryKiB: 16, Passes: 2, Lanes: 1}}, Now: w.clock})
	_, err = w.s.Login(ctx, "alice", "two", office)
	is(t, "wrong password", err, access.ErrDenied)
	equal(t, "after a wrong password", stored().Password.Equal(before.Password), true)
	rev := w.e.Revision()
	for range 3 {
		_, err = w.s.Login(ctx, "alice", "one", office)
		is(t, "right password", err, nil)
	}
	after := stored()
	if !strings.HasPrefix(after.Password.Text(), "$argon2id$v=19$m=16,t=2,p=1$") {
		t.Errorf("the hash is %s", after.Password.Text())
	}
	if after.Epoch != before.Epoch || !after.Updated.Equal(before.Updated) || len(after.Privileges) != 2 {
		t.Errorf("the account was %+v and is %+v", before, after)
	}
	equal(t, "revisions", w.e.Revision()-rev, 1)
	_, err = w.s.CheckToken(ctx, token, "x", access.Binding{})
	is(t, "a token from before", err, nil)
}

// TestThrottle: guessing slows down, for names that exist and that do not, by one
// name and by one address, and memory does not grow with it.
func TestThrottle(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "right")
	w.password(w.bob, "right")
	_, slots := w.s.Remembered()
	for _, name := range []string{"alice", "nobody"} {
		tried := 0
		for i := range 300 {
			from := netip.AddrFrom4([4]byte{10, byte(len(name)), byte(i >> 8), byte(i)})
			before := w.count.Calls.Load()
			_, err := w.s.Login(ctx, name, fmt.Sprint("guess ", i), from)
			var slow *access.ThrottledError
			switch {
			case errors.As(err, &slow) && errors.Is(err, access.ErrThrottled):
				equal(t, "hashes for who is slowed", w.count.Calls.Load()-before, 0)
				if slow.After <= 0 || slow.After > 30*time.Second {
					t.Errorf("wait for %v", slow.After)
				}
			case errors.Is(err, access.ErrDenied):
				tried++
			default:
				t.Fatal(err)
			}
			w.pass(time.Second)
		}
		// 10 for nothing, then one after 1, 2, 4, 8, 16, 30, 30 … seconds
		if tried < 15 || tried > 25 {
			t.Errorf("%d of 300 guesses at %s in 300 seconds were looked at", tried, name)
		}
	}
	_, err := w.s.Login(ctx, "alice", "guess", other)
	is(t, "one more", err, access.ErrDenied)
	_, err = w.s.Login(ctx, "alice", "right", other)
	is(t, "the right password, too early", err, access.ErrThrottled)
	_, err = w.s.Login(ctx, "bob", "right", other)
	is(t, "somebody else", err, nil)
	w.pass(31 * time.Second)
	_, err = w.s.Login(ctx, "alice", "right", other)
	is(t, "the right password, later", err, nil)
	_, err = w.s.Login(ctx, "alice", "right", other)
	is(t, "again, from memory", err, nil)
	w.pass(16 * time.Minute)
	for range 10 {
		_, err = w.s.Login(ctx, "alice", "wrong", other)
		is(t, "forgotten after a while", err, access.ErrDenied)
	}

	w.s.Forgive()
	tried := 0
	for i := range 3000 { // many names from one network of IPv6
		from := netip.MustParseAddr(fmt.Sprintf("2001:db8:1:2::%x", i+1))
		if _, err := w.s.Login(ctx, fmt.Sprint("name ", i), "guess", from); errors.Is(err, access.ErrDenied) {
			tried++
		}
	}
	equal(t, "guesses from one network", tried, 50)
	for i := range 50_000 { // many names from many addresses: nobody who was slow becomes quick
		w.s.Login(ctx, fmt.Sprint("spray ", i), "guess", netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	_, err = w.s.Login(ctx, "somebody", "guess", netip.MustParseAddr("2001:db8:1:2::77"))
	is(t, "the network, after a flood", err, access.ErrThrottled)
	if _, now := w.s.Remembered(); now != slots {
		t.Errorf("%d slots after a flood, %d before", now, slots)
	}
}

// TestThrottleParallel: guesses at one time are no quicker than one after the
// other.
func TestThrottleParallel(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "right")
	before := w.count.Calls.Load()
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() { w.s.Login(ctx, "alice", fmt.Sprint("guess ", i), office) })
	}
	wg.Wait()
	equal(t, "guesses that were looked at", w.count.Calls.Load()-before, 10)
}

// TestSuccessIsNoFailure: who logs in often and right is never slowed.
func TestSuccessIsNoFailure(t *testing.T) {
	w := newWorld(t, func(o *access.Options) { o.VerifiedFor = -1 })
	w.password(w.alice, "right")
	for i := range 200 {
		_, err := w.s.Login(ctx, "alice", "right", office)
		is(t, fmt.Sprint("login ", i), err, nil)
	}
	w.source.err = access.ErrUnavailable
	for range 100 {
		_, err := w.s.Login(ctx, "dora", "x", office)
		is(t, "a source that is down", err, access.ErrUnavailable)
	}
}

// issue logs in and returns a token.
func (w *world) issue(name, password string, spec access.TokenSpec) (string, time.Time, error) {
	p, err := w.s.Login(ctx, name, password, office)
	if err != nil {
		return "", time.Time{}, err
	}
	return w.s.IssueToken(ctx, p, spec)
}

// TestPartsStayApart: what is remembered of a name and a password is not good for
// another name and another password that read the same in a row.
func TestPartsStayApart(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *roster.Txn) error {
		_, err := tx.CreateUser(roster.User{Directory: 1, Username: "alic", Active: true})
		return err
	})
	w.password(w.alice, "one")
	_, err := w.s.Login(ctx, "alice", "one", office)
	is(t, "alice, one", err, nil)
	_, err = w.s.Login(ctx, "alic", "eone", office)
	is(t, "alic, eone", err, access.ErrDenied)
}

// TestEmptyPassword: an identity source is never asked about no password, which
// an LDAP server takes for a login of nobody that succeeds.
func TestEmptyPassword(t *testing.T) {
	w := newWorld(t)
	w.source.password = ""
	_, err := w.s.Login(ctx, "dora", "", office)
	is(t, "no password", err, access.ErrDenied)
	equal(t, "asked", w.source.asked, 0)
}

// TestNoAnswersFromMemory: a network that is being slowed is not told what is
// right by what is remembered of it, where that has no name of its own to be
// slowed by.
func TestNoAnswersFromMemory(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "right")
	w.stretched(access.Key{ID: "1", User: w.bob}, "chosen")
	use := access.KeyUse{Client: office}
	_, err1 := w.s.Login(ctx, "alice", "right", office)
	_, err2 := w.s.LoginKey(ctx, "1", "chosen", use)
	_, err3 := w.s.LoginKey(ctx, "", "chosen", use)
	is(t, "remembered", errors.Join(err1, err2, err3), nil)
	for i := range 60 {
		w.s.Login(ctx, fmt.Sprint("name ", i), "guess", office)
	}
	_, err := w.s.Login(ctx, "alice", "right", office)
	is(t, "the right password", err, nil)
	_, err = w.s.LoginKey(ctx, "1", "chosen", use)
	is(t, "the right secret", err, nil)
	_, err = w.s.LoginKey(ctx, "", "chosen", use)
	is(t, "the right secret alone", err, access.ErrThrottled)
	_, err = w.s.Login(ctx, "alice", "right", other)
	is(t, "from elsewhere", err, nil)
}

// TestUpgradeMeetsChange: a password that is set while the old one is hashed anew
// stays, and the old one lets nobody in.
func TestUpgradeMeetsChange(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "old")
	w.service(access.Options{Hash: access.HashOptions{Params: access.Params{MemoryKiB: 16, Passes: 1, Lanes: 1}}, Now: w.clock})
	w.count.Hold = make(chan struct{})
	done := make(chan error)
	go func() { _, err := w.s.Login(ctx, "alice", "old", office); done <- err }()
	w.count.Hold <- struct{}{} // the old password was right
	for w.count.Calls.Load() < 2 {
		time.Sleep(time.Millisecond)
	}
	hash, err := access.ParseHash(reference)
	is(t, "hash", err, nil)
	w.update(func(tx *roster.Txn) error {
		_, err := access.PutAccount(tx, access.Account{User: w.alice, Password: hash}, w.clock())
		return err
	})
	close(w.count.Hold)
	is(t, "the old password", <-done, access.ErrDenied)
	w.view(func(tx *roster.Txn) {
		a, err := access.GetAccount(tx, w.alice)
		is(t, "account", err, nil)
		equal(t, "the hash is the new one", a.Password.Equal(hash), true)
	})
}
