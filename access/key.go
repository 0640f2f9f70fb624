package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rosterdb/roster"
)

// Key is an API key: whoever knows its secret is its user, within its limits.
type Key struct {
	ID        string // 1 to 128 bytes, compared byte for byte
	Secret    Hash
	User      roster.UserID
	Endpoints []string       // patterns, see CheckEndpoints; none: everywhere
	Addresses []netip.Prefix // where it may be used from; none: from anywhere
	Expires   time.Time      // zero: never
	Created   time.Time
	Updated   time.Time
}

const (
	maxKeyID     = 128
	maxAddresses = 256
	keyPrefix    = "key/"
	secretPrefix = "secret/"
	stretchKey   = "stretch"

	// maxSharing is how many keys with one secret are known as such. One is enough
	// for that secret to be no good without an ID.
	maxSharing = 64

	// maxStretches bounds how often a secret that comes without an ID is hashed.
	// Secrets that were stretched in yet other ways need their ID. A store that was
	// filled with those of others before it had one of its own takes one of them.
	maxStretches = 4
)

// Secrets made here begin so. Who finds one somewhere knows what it is, and the
// package knows that it is random.
const (
	secretMark  = "rsk_"
	secretBytes = 32
)

// keyRecord is a Key as it is stored.
type keyRecord struct {
	V         int       `json:"v"`
	Secret    string    `json:"secret"`
	User      uint32    `json:"user"`
	Endpoints []string  `json:"endpoints,omitempty"`
	Addresses []string  `json:"addresses,omitempty"`
	Expires   time.Time `json:"expires,omitzero"`
	Created   time.Time `json:"created"`
	Updated   time.Time `json:"updated"`
}

func (r keyRecord) version() int { return r.V }

// stretchRecord lists with what secrets were stretched: hashes up to their salt.
// This store stretches with the first that has the parameters of its options.
type stretchRecord struct {
	V    int      `json:"v"`
	With []string `json:"with"`
}

func (r stretchRecord) version() int { return r.V }

// MakeSecret returns a new secret of 256 random bits, and its Hash. A nil from
// means crypto/rand.
func MakeSecret(from io.Reader) (secret string, hash Hash, err error) {
	b := make([]byte, secretBytes)
	if _, err := io.ReadFull(orRandom(from), b); err != nil {
		return "", Hash{}, fmt.Errorf("access: secret: %w", err)
	}
	secret = secretMark + base64.RawURLEncoding.EncodeToString(b)
	return secret, hashSecret(secret), nil
}

// isRandom reports whether a secret has the form of those that MakeSecret makes.
func isRandom(secret string) bool {
	text, ok := strings.CutPrefix(secret, secretMark)
	if !ok {
		return false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && len(b) == secretBytes
}

// GetKey returns the API key of an ID, or roster.ErrNotFound.
func GetKey(in Values, id string) (Key, error) {
	k, err := recallKey(nil, in, id)
	if err == nil && k == nil {
		err = fmt.Errorf("API key %.128q: %w", id, roster.ErrNotFound)
	}
	if err != nil {
		return Key{}, err
	}
	return *k, nil
}

// key is GetKey for those that are asked for with every request, or nil if there is
// none. It must not be changed.
func (s *Service) key(tx *roster.Txn, id string) (*Key, error) {
	return recallKey(s.records, tx, id)
}

func recallKey(from *records, in Values, id string) (*Key, error) {
	if checkKeyID(id) != nil {
		return nil, nil
	}
	k, err := recall(from, in, keyPrefix+id, decodeKey)
	if _, err := found(err); err != nil {
		return nil, fmt.Errorf("API key %q: %w", id, err)
	}
	return k, nil
}

func decodeKey(key string, data []byte) (Key, error) {
	var rec keyRecord
	if err := decode(key, data, &rec); err != nil {
		return Key{}, err
	}
	k := Key{
		ID: strings.TrimPrefix(key, keyPrefix), User: roster.UserID(rec.User), Endpoints: rec.Endpoints,
		Expires: rec.Expires, Created: rec.Created, Updated: rec.Updated,
	}
	var err error
	if k.Secret, err = ParseHash(rec.Secret); err == nil {
		k.Addresses, err = ParseAddresses(rec.Addresses)
	}
	if err != nil {
		return Key{}, fmt.Errorf("access: record %q: %w: %w", key, err, roster.ErrCorrupt)
	}
	return k, nil
}

func checkKeyID(id string) error {
	if id == "" || len(id) > maxKeyID || !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) {
		return fmt.Errorf("%w: the ID of an API key must be 1 to %d bytes of UTF-8 without control characters", ErrInvalid, maxKeyID)
	}
	return nil
}

// Check returns k with its lists as they are stored, or ErrInvalid.
func (k Key) Check() (Key, error) {
	if err := checkKeyID(k.ID); err != nil {
		return Key{}, err
	}
	if k.Secret.IsZero() {
		return Key{}, fmt.Errorf("%w: API key %q has no secret", ErrInvalid, k.ID)
	}
	if err := CheckEndpoints(k.Endpoints); err != nil {
		return Key{}, err
	}
	k.Endpoints = slices.Compact(slices.Sorted(slices.Values(k.Endpoints)))
	var plain []netip.Prefix
	for _, p := range k.Addresses {
		if !p.IsValid() {
			return Key{}, fmt.Errorf("%w: API key %q: an address is none", ErrInvalid, k.ID)
		}
		if p = plainPrefix(p); !slices.Contains(plain, p) {
			plain = append(plain, p)
		}
	}
	if len(plain) > maxAddresses {
		return Key{}, fmt.Errorf("%w: API key %q has more than %d addresses", ErrInvalid, k.ID, maxAddresses)
	}
	k.Addresses = plain
	if !k.Expires.IsZero() {
		k.Expires = stamp(k.Expires)
	}
	return k, nil
}

// PutKey creates the API key of that ID or changes it, and reports whether
// anything changed; for the times see PutAccount. It returns roster.ErrNotFound
// if there is no such user, and ErrInvalid as Check does.
func PutKey(to Values, k Key, now time.Time) (changed bool, err error) {
	if k, err = k.Check(); err != nil {
		return false, err
	}
	if !known(to, k.User) {
		return false, fmt.Errorf("API key %q of %v: %w", k.ID, k.User, roster.ErrNotFound)
	}
	old, err := GetKey(to, k.ID)
	exists, err := found(err)
	if err != nil {
		return false, err
	}
	if !exists {
		old.Created, old.Updated = now, now
	}
	same := exists && k.Secret.Equal(old.Secret) && k.User == old.User && k.Expires.Equal(old.Expires) &&
		slices.Equal(k.Endpoints, old.Endpoints) && slices.Equal(k.Addresses, old.Addresses)
	if !times(&k.Created, &k.Updated, old.Created, old.Updated, now, same) {
		return false, nil
	}
	if !k.Secret.Equal(old.Secret) {
		if exists {
			err = unlist(to, old)
		}
		if err == nil {
			err = list(to, k)
		}
		if err != nil {
			return false, err
		}
	}
	rec := keyRecord{V: recordVersion, Secret: k.Secret.Text(), User: uint32(k.User), Endpoints: k.Endpoints, Expires: k.Expires, Created: k.Created, Updated: k.Updated}
	for _, p := range k.Addresses {
		rec.Addresses = append(rec.Addresses, FormatAddress(p))
	}
	return write(to, keyPrefix+k.ID, rec)
}

// DeleteKey revokes an API key: the next request with it is denied. It returns
// roster.ErrNotFound if there is none.
func DeleteKey(to Values, id string) error {
	k, err := GetKey(to, id)
	if err != nil {
		return err
	}
	if err := unlist(to, k); err != nil {
		return err
	}
	return to.DeleteData(Space, keyPrefix+id)
}

// Keys yields the IDs of all API keys in the order of their bytes.
func Keys(tx *roster.Txn) iter.Seq[string] {
	return func(yield func(string) bool) {
		for key := range tx.DataKeys(Space, keyPrefix) {
			id, ok := strings.CutPrefix(key, keyPrefix)
			if !ok || !yield(id) {
				return
			}
		}
	}
}

// listKey is where the IDs of the keys with a secret stand.
func listKey(secret Hash) string {
	sum := sha256.Sum256([]byte(secret.Text()))
	return secretPrefix + hex.EncodeToString(sum[:16])
}

// list makes a key be found by its secret alone, and notes how that was stretched.
func list(to Values, k Key) error {
	ids, err := keysWith(to, k.Secret)
	if err != nil {
		return err
	}
	if !slices.Contains(ids, k.ID) && len(ids) < maxSharing {
		ids = append(ids, k.ID)
		slices.Sort(ids)
	}
	if _, err := to.PutData(Space, listKey(k.Secret), []byte(strings.Join(ids, "\n"))); err != nil {
		return err
	}
	p, err := parsePHC(k.Secret.Text())
	if err != nil || p.fast || len(p.sum) != sumBytes {
		return err
	}
	return addStretch(to, p.stretch())
}

func addStretch(to Values, with string) error {
	var rec stretchRecord
	if _, err := found(read(to, stretchKey, &rec)); err != nil {
		return err
	}
	if slices.Contains(rec.With, with) || len(rec.With) >= maxStretches {
		return nil
	}
	rec.V, rec.With = recordVersion, append(rec.With, with)
	_, err := write(to, stretchKey, rec)
	return err
}

func unlist(to Values, k Key) error {
	ids, err := keysWith(to, k.Secret)
	if err != nil {
		return err
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return id == k.ID })
	if len(ids) == 0 {
		_, err := found(to.DeleteData(Space, listKey(k.Secret)))
		return err
	}
	_, err = to.PutData(Space, listKey(k.Secret), []byte(strings.Join(ids, "\n")))
	return err
}

// keysWith returns the IDs of the keys with a secret.
func keysWith(in Values, secret Hash) ([]string, error) {
	data, err := in.Data(Space, listKey(secret))
	if ok, err := found(err); !ok {
		return nil, err
	}
	return strings.Split(string(data), "\n"), nil
}

// Stretching returns what secrets that people chose are stretched with in a
// store: the same for all of them, so that a secret that comes without the ID of
// its key is hashed once to find it. It is random, and so another one in each
// store; a store that has none yet with the parameters of the Hasher gets the one
// that is returned with the first such key. In is nil for a store that is empty.
func (h *Hasher) Stretching(in Values) (Stretching, error) {
	if in != nil {
		ways, err := stretches(in)
		if err != nil {
			return Stretching{}, err
		}
		if own := h.own(ways); len(own) > 0 && (own[0].Params == h.params || len(ways) == maxStretches) {
			return Stretching{h, own[0]}, nil
		}
	}
	p := phc{Params: h.params, salt: make([]byte, saltBytes), sum: make([]byte, sumBytes)}
	if _, err := io.ReadFull(h.rand, p.salt); err != nil {
		return Stretching{}, fmt.Errorf("access: salt of secrets: %w", err)
	}
	return Stretching{h, p}, nil
}

// orRandom is where random bytes come from if nobody says otherwise.
func orRandom(from io.Reader) io.Reader {
	if from == nil {
		return rand.Reader
	}
	return from
}
