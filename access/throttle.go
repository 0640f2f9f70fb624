package access

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// throttle slows guessing down. It counts failed logins by name and by address in
// tables of a fixed size, so that a flood of names takes no memory: a new entry
// takes the place of the one with the fewest failures of four, and who guesses at
// one name is not forgotten for those who spray.
//
// After some failures each further one doubles the time until the next try is
// looked at. That is short: whoever fails on purpose in somebody else's name
// keeps them out for that long at most, and the cache of verified credentials
// goes on to serve them.
type throttle struct {
	mu    sync.Mutex
	seed  maphash.Seed
	slots []slot // guarded by mu; ways in a row
}

// slot counts the failures of one name or address.
type slot struct {
	key   uint64 // a keyed hash; 0: free
	fails uint32
	last  int64 // ns since 1970
}

const (
	throttleSets = 4096 // 400 KB in all
	ways         = 4

	freeByName    = 10 // failures before the first wait
	freeByAddress = 50 // more: whole offices have one address
	firstWait     = time.Second
	longestWait   = 30 * time.Second
	forgottenIn   = 15 * time.Minute // without a failure
)

func newThrottle() *throttle {
	return &throttle{seed: maphash.MakeSeed(), slots: make([]slot, throttleSets*ways)}
}

// attempt is a login that has begun.
type attempt struct {
	t      *throttle
	keys   [2]uint64
	at     int64
	before [2]int64 // the last failures before it
}

// begin counts a login as failed until it has succeeded, so that many at once are
// as slow as one after the other. It returns how long to wait if it is too early,
// having counted nothing. An empty name and an address that is not valid do not
// count.
func (t *throttle) begin(name string, from netip.Addr, now time.Time) (a attempt, wait time.Duration) {
	a.t = t
	if name != "" {
		a.keys[0] = t.key('n', name)
	}
	if from.IsValid() {
		a.keys[1] = t.key('a', network(from))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, key := range a.keys {
		if s := t.find(key, now); s != nil {
			wait = max(wait, s.wait([...]uint32{freeByName, freeByAddress}[i], now))
		}
	}
	if wait > 0 {
		return attempt{}, wait
	}
	a.at = now.UnixNano()
	for i, key := range a.keys {
		if key == 0 {
			continue
		}
		s := t.take(key, now)
		s.fails++
		a.before[i], s.last = s.last, a.at
	}
	return a, 0
}

// undo makes an attempt not count: it succeeded, or was not decided.
func (a attempt) undo() {
	if a.t == nil {
		return
	}
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	for i, key := range a.keys {
		s := a.t.find(key, time.Time{})
		if s == nil || s.fails == 0 {
			continue
		}
		s.fails--
		if s.last == a.at {
			s.last = a.before[i]
		}
	}
}

// network is what counts as one address: of IPv6 what one household is given.
func network(a netip.Addr) string {
	a = plainAddr(a)
	if a.Is6() {
		p, _ := a.Prefix(64)
		return p.String()
	}
	return a.String()
}

func (t *throttle) key(kind byte, s string) uint64 {
	var h maphash.Hash
	h.SetSeed(t.seed)
	h.WriteByte(kind)
	h.WriteString(s)
	return max(h.Sum64(), 1)
}

func (t *throttle) set(key uint64) []slot {
	i := key % throttleSets * ways
	return t.slots[i : i+ways]
}

// find returns the slot of a key, nil if there is none or it has faded. A zero
// now fades nothing. The caller holds mu.
func (t *throttle) find(key uint64, now time.Time) *slot {
	if key == 0 {
		return nil
	}
	set := t.set(key)
	for i := range set {
		if set[i].key != key {
			continue
		}
		if !now.IsZero() && now.UnixNano()-set[i].last > int64(forgottenIn) {
			set[i] = slot{}
			return nil
		}
		return &set[i]
	}
	return nil
}

// take returns the slot of a key, somebody else's if need be. The caller holds mu.
func (t *throttle) take(key uint64, now time.Time) *slot {
	if s := t.find(key, now); s != nil {
		return s
	}
	set := t.set(key)
	least := &set[0]
	for i := range set {
		s := &set[i]
		if now.UnixNano()-s.last > int64(forgottenIn) {
			s.key, s.fails = 0, 0
		}
		if s.fails < least.fails || s.fails == least.fails && s.last < least.last {
			least = s
		}
	}
	*least = slot{key: key}
	return least
}

func (s *slot) wait(free uint32, now time.Time) time.Duration {
	if s.fails < free {
		return 0
	}
	d := longestWait
	if n := s.fails - free; n < 5 {
		d = min(firstWait<<n, longestWait)
	}
	return max(time.Duration(s.last-now.UnixNano())+d, 0)
}
