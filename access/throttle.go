package access

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// throttle slows guessing down. It counts failed logins by name, by address, and by
// name at an address, in a table of a fixed size, so that a flood of names takes no
// memory: a new entry takes the place of the one with the fewest failures of four,
// and who guesses at one name is not forgotten for those who spray. After some
// failures each further one doubles the time until the next try is looked at.
//
// Whoever fails on purpose, in somebody's name or from an address that many have,
// must not keep others out. So a name that was let in from an address is known
// there for some days, and slowed there by its own failures there only.
type throttle struct {
	mu    sync.Mutex
	seed  maphash.Seed
	fails slots // guarded by mu
	known slots // guarded by mu: which names were let in where, and when at last
}

// slots is a table of a fixed size: ways in a row for each remainder of a key.
type slots []slot

// slot counts the failures of one key.
type slot struct {
	key   uint64 // a keyed hash; 0: free
	fails uint32
	last  int64 // ns since 1970
}

const (
	throttleSets = 4096 // 400 KB in each of two tables
	ways         = 4

	freeByName    = 10 // failures before the first wait
	freeByAddress = 50 // more: whole offices have one address
	firstWait     = time.Second
	longestWait   = 30 * time.Second
	forgottenIn   = 15 * time.Minute   // without a failure
	knownFor      = 7 * 24 * time.Hour // without a login
)

func newThrottle() *throttle {
	return &throttle{seed: maphash.MakeSeed(), fails: make(slots, throttleSets*ways), known: make(slots, throttleSets*ways)}
}

// who is what logins are counted by.
type who struct {
	bare string // the name without its directory; empty for none
	name string // as it was given, folded; empty for none
	from netip.Addr
}

// keys returns those of the counters of a login: by name, by address, and by both,
// 0 for one that does not count. free are the failures that each allows.
func (t *throttle) keys(w who) (keys [3]uint64) {
	if w.bare != "" {
		keys[0] = t.key('n', w.bare)
	}
	if w.from.IsValid() {
		keys[1] = t.key('a', network(w.from))
	}
	keys[2] = t.pair(w.name, w.from)
	return keys
}

var free = [3]uint32{freeByName, freeByAddress, freeByName}

// pair returns the key of a name at an address.
func (t *throttle) pair(name string, from netip.Addr) uint64 {
	if name == "" {
		return 0
	}
	return t.key('p', network(from)+" "+name)
}

// attempt is a login that has begun.
type attempt struct {
	t      *throttle
	pair   uint64
	keys   [3]uint64
	at     int64
	before [3]int64 // the last failures before it
}

// begin counts a login as failed until it has succeeded, so that many at once are
// as slow as one after the other. It returns how long to wait if it is too early,
// having counted nothing.
func (t *throttle) begin(w who, now time.Time) (a attempt, wait time.Duration) {
	a = attempt{t: t, keys: t.keys(w), at: now.UnixNano()}
	a.pair = a.keys[2]
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known.find(a.pair, now, knownFor) != nil {
		a.keys[0], a.keys[1] = 0, 0
	}
	for i, key := range a.keys {
		if s := t.fails.find(key, now, forgottenIn); s != nil {
			wait = max(wait, s.wait(free[i], now))
		}
	}
	if wait > 0 {
		return attempt{}, wait
	}
	for i, key := range a.keys {
		if key == 0 {
			continue
		}
		s := t.fails.take(key, now, forgottenIn)
		s.fails++
		a.before[i], s.last = s.last, a.at
	}
	return a, 0
}

// undo makes an attempt not count: it was not decided.
func (a attempt) undo() {
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	a.take()
}

// right makes an attempt not count, and the name known where it came from.
func (a attempt) right() {
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	a.take()
	if a.pair != 0 {
		a.t.known.take(a.pair, time.Unix(0, a.at), knownFor).last = a.at
	}
}

// take takes an attempt out of the counters. The caller holds mu.
func (a attempt) take() {
	for i, key := range a.keys {
		s := a.t.fails.get(key)
		if s == nil || s.fails == 0 {
			continue
		}
		s.fails--
		if s.last == a.at {
			s.last = a.before[i]
		}
	}
}

// waits returns how long a name at an address has to wait until it is answered from
// memory, where the right password is found as quickly as anybody can ask. What the
// name does elsewhere does not count there.
func (t *throttle) waits(w who, now time.Time) (wait time.Duration) {
	keys := t.keys(w)
	keys[0] = 0
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known.find(keys[2], now, knownFor) != nil {
		keys[1] = 0
	}
	for i, key := range keys {
		if s := t.fails.find(key, now, forgottenIn); s != nil {
			wait = max(wait, s.wait(free[i], now))
		}
	}
	return wait
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

func (t slots) set(key uint64) []slot {
	i := key % throttleSets * ways
	return t[i : i+ways]
}

// get returns the slot of a key, or nil.
func (t slots) get(key uint64) *slot {
	if key == 0 {
		return nil
	}
	set := t.set(key)
	for i := range set {
		if set[i].key == key {
			return &set[i]
		}
	}
	return nil
}

// find returns the slot of a key, nil if there is none or it has faded. What a clock
// that was set back has left in the future is now: nobody waits for that.
func (t slots) find(key uint64, now time.Time, fades time.Duration) *slot {
	s := t.get(key)
	if s == nil {
		return nil
	}
	s.last = min(s.last, now.UnixNano())
	if now.UnixNano()-s.last > int64(fades) {
		*s = slot{}
		return nil
	}
	return s
}

// take returns the slot of a key, somebody else's if need be.
func (t slots) take(key uint64, now time.Time, fades time.Duration) *slot {
	if s := t.find(key, now, fades); s != nil {
		return s
	}
	set := t.set(key)
	least := &set[0]
	for i := range set {
		s := &set[i]
		if now.UnixNano()-s.last > int64(fades) {
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
