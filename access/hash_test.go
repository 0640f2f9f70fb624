package access_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/roster/access"
)

// reference is what the reference implementation of argon2 makes of "password"
// and "somesalt".
const reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"

func TestReferenceHash(t *testing.T) {
	h, err := access.NewHasher(access.HashOptions{})
	if err != nil {
		t.Fatal(err)
	}
	hash, err := access.ParseHash(reference)
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]bool{"password": true, "Password": false, "": false, "password\x00": false} {
		ok, err := h.Verify(ctx, hash, password)
		if ok != want || err != nil {
			t.Errorf("%q: %t, %v", password, ok, err)
		}
	}
	equal(t, "outdated", h.Outdated(hash), true)
	own, err := h.Hash(ctx, "passwörd")
	if err != nil || !strings.HasPrefix(own.Text(), "$argon2id$v=19$m=19456,t=2,p=1$") || h.Outdated(own) {
		t.Errorf("own hash is %s, %v", own.Text(), err)
	}
	again, _ := h.Hash(ctx, "passwörd")
	equal(t, "two hashes of one password are one", own.Equal(again), false)
	if ok, err := h.Verify(ctx, own, "passwo\u0308rd"); !ok || err != nil {
		t.Errorf("the same password, decomposed: %t, %v", ok, err)
	}
}

func TestParseHash(t *testing.T) {
	salt, sum := "c29tZXNhbHQ", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	argon := func(params, salt, sum string) string { return "$argon2id$v=19$" + params + "$" + salt + "$" + sum }
	good := []string{
		reference, "$sha256$" + sum, argon("m=8,t=1,p=1", salt, sum), argon("m=262144,t=4,p=16", salt, sum), argon("m=32768,t=32,p=4", salt, sum),
		argon("m=8,t=1,p=1", salt, sum[:22][:21]+"A"),
	}
	for _, s := range good {
		h, err := access.ParseHash(s)
		if err != nil || h.Text() != s {
			t.Errorf("%s: %v", s, err)
		}
	}
	bad := []string{
		"", "x", "password", "$", "$argon2i$v=19$m=8,t=1,p=1$" + salt + "$" + sum, "$argon2id$v=16$m=8,t=1,p=1$" + salt + "$" + sum,
		"$argon2id$m=8,t=1,p=1$" + salt + "$" + sum, "$2b$10$" + sum, "{SSHA}" + sum,
		argon("m=8,t=1", salt, sum), argon("m=8,p=1,t=1", salt, sum), argon("m=8,t=1,p=1,x=1", salt, sum), argon("m=08,t=1,p=1", salt, sum),
		argon("m=+8,t=1,p=1", salt, sum), argon("m=7,t=1,p=1", salt, sum), argon("m=8,t=0,p=1", salt, sum), argon("m=8,t=1,p=0", salt, sum),
		argon("m=16,t=1,p=4", salt, sum), argon("m=262145,t=1,p=1", salt, sum), argon("m=4294967295,t=1,p=1", salt, sum), argon("m=4294967304,t=1,p=1", salt, sum),
		argon("m=8,t=33,p=1", salt, sum), argon("m=262144,t=5,p=1", salt, sum), argon("m=200,t=1,p=17", salt, sum), argon("m=8,t=1,p=256", salt, sum),
		argon("m=8,t=1,p=1", "c29tZQ", sum), argon("m=8,t=1,p=1", salt+"=", sum), argon("m=8,t=1,p=1", salt, "CTFh"), argon("m=8,t=1,p=1", salt, sum+"\n"),
		argon("m=8,t=1,p=1", salt, sum[:len(sum)-1]+"d"), // bits that do not count
		argon("m=8,t=1,p=1", salt, strings.Repeat("A", 100)), argon("m=8,t=1,p=1", strings.Repeat("A", 100), sum),
		argon("m=8,t=1,p=1", salt, sum) + "$", "$sha256$" + sum[:40], "$sha256$" + sum + "A",
	}
	for _, s := range bad {
		_, err := access.ParseHash(s)
		if !errors.Is(err, access.ErrInvalid) {
			t.Errorf("%s: %v", s, err)
		}
		if err != nil && len(s) > 20 && strings.Contains(err.Error(), s[len(s)-12:]) {
			t.Errorf("%s shows in %v", s, err)
		}
	}
}

// TestHashHides: a hash does not show in anything that is printed or marshalled
// by mistake, wherever it stands.
func TestHashHides(t *testing.T) {
	hash, err := access.ParseHash(reference)
	if err != nil {
		t.Fatal(err)
	}
	type inside struct {
		Hash access.Hash
		deep struct{ h access.Hash }
		keys []access.Key
		Acc  *access.Account
	}
	in := inside{Hash: hash, keys: []access.Key{{ID: "1", Secret: hash}}, Acc: &access.Account{Password: hash}}
	in.deep.h = hash
	for _, v := range []any{hash, &hash, in, &in, []access.Hash{hash}, map[string]access.Hash{"k": hash}, access.Key{Secret: hash}, access.Account{Password: hash}, error(fmt.Errorf("%v", hash))} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10.3v", "%!"} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, "CTFhFdXP") || strings.Contains(strings.ToLower(s), "4354466846") {
				t.Errorf("%s of %T shows the hash: %s", verb, v, s)
			}
		}
		if b, err := json.Marshal(v); err == nil && strings.Contains(string(b), "CTFhFdXP") {
			t.Errorf("JSON of %T shows the hash: %s", v, b)
		}
	}
	if _, err := access.NewHasher(access.HashOptions{Params: access.Params{MemoryKiB: 1, Passes: 1, Lanes: 1}}); !errors.Is(err, access.ErrInvalid) {
		t.Errorf("parameters out of bounds: %v", err)
	}
}

// TestHashMemory: however many hash at once, they take no more memory than was
// said, wait in order, give up with their context, and beyond the queue are sent
// away.
func TestHashMemory(t *testing.T) {
	h, err := access.NewHasher(access.HashOptions{Params: access.Params{MemoryKiB: 100, Passes: 1, Lanes: 1}, MemoryKiB: 350, Queue: 20})
	if err != nil {
		t.Fatal(err)
	}
	c := h.Count()
	c.Hold = make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	outcome := map[error]int{}
	hash := func(ctx context.Context) {
		wg.Go(func() {
			_, err := h.Hash(ctx, "x")
			mu.Lock()
			defer mu.Unlock()
			outcome[err]++
		})
	}
	until := func(what string, done func() bool) {
		t.Helper()
		for range 5000 {
			if done() {
				return
			}
			time.Sleep(time.Millisecond)
		}
		t.Fatal(what)
	}
	short, cancel := context.WithCancel(ctx)
	for range 3 {
		hash(ctx)
	}
	until("three hash", func() bool { return c.Calls.Load() == 3 })
	for range 5 {
		hash(short)
	}
	until("five wait", func() bool { return h.Waiting() == 5 })
	for range 60 {
		hash(ctx)
	}
	until("the queue is full", func() bool { mu.Lock(); defer mu.Unlock(); return h.Waiting() == 20 && outcome[access.ErrBusy] == 45 })
	equal(t, "the most at one time", c.Highest.Load(), 300)
	cancel()
	until("five give up", func() bool { mu.Lock(); defer mu.Unlock(); return outcome[context.Canceled] == 5 })
	large, err := access.ParseHash(strings.Replace(reference, "m=65536", "m=1000", 1))
	if err != nil {
		t.Fatal(err)
	}
	wg.Go(func() { h.Verify(ctx, large, "x") })
	until("the large one waits", func() bool { return h.Waiting() == 16 })
	close(c.Hold)
	wg.Wait()
	equal(t, "done", outcome[nil], 3+15)
	equal(t, "the most at one time, when the large one was alone", c.Highest.Load(), 1000)
	equal(t, "still in use", c.Memory.Load(), 0)
	if _, err := h.Hash(ctx, "x"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if _, err := h.Hash(short, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	for _, bad := range []string{"", strings.Repeat("x", access.MaxPassword+1)} {
		if _, err := h.Hash(ctx, bad); !errors.Is(err, access.ErrInvalid) {
			t.Errorf("password of %d bytes: %v", len(bad), err)
		}
	}
}
