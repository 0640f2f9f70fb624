package access

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rosterdb/roster"
)

const (
	endedPrefix = "ended/"

	// maxEnded is how many ended tokens of one user are kept until they expire. Who
	// ends more ends all.
	maxEnded = 64
)

func endedOf(u roster.UserID) string { return fmt.Sprintf("%s%08x/", endedPrefix, uint32(u)) }

// endedKey is where it stands that a token was ended: behind the user and when it
// expires, so that what is past can be told by the key.
func (c *claims) endedKey() string {
	return fmt.Sprintf("%s%016x/%s", endedOf(c.user), c.expires.UnixMilli(), hex.EncodeToString(c.id[:]))
}

// EndToken ends a token before it expires, for who may use it as CheckToken says: a
// logout. Others of the user stay good, but for one that was issued within the same
// millisecond and says the same, which is the same token. Of each user some ended
// tokens are kept until they expire; whoever ends more than 64 in that time ends
// all. It returns ErrInvalidToken for a token that is not good, or no longer.
func (s *Service) EndToken(ctx context.Context, token, audience string, use Binding) error {
	_, err := s.e.Update(ctx, func(tx *roster.Txn) error { return s.endToken(tx, token, audience, use) })
	return err
}

func (s *Service) endToken(tx *roster.Txn, token, audience string, use Binding) error {
	c, _, _, err := s.token(tx, token, audience, use)
	if err != nil {
		return err
	}
	kept, err := forgetEnded(tx, c.user, s.o.Now())
	if err != nil {
		return err
	}
	if kept < maxEnded {
		_, err = tx.PutData(Space, c.endedKey(), nil)
		return err
	}
	if err := RevokeTokens(tx, c.user); err != nil {
		return err
	}
	_, err = forgetEnded(tx, c.user, endOfTime)
	return err
}

var endOfTime = time.UnixMilli(1<<63 - 1)

// forgetEnded deletes which tokens of a user were ended that have expired by now,
// and returns how many are left.
func forgetEnded(tx *roster.Txn, u roster.UserID, now time.Time) (left int, err error) {
	for key := range tx.DataKeys(Space, endedOf(u)) {
		rest, ok := strings.CutPrefix(key, endedOf(u))
		if !ok {
			break
		}
		expires, _, _ := strings.Cut(rest, "/")
		ms, err := strconv.ParseInt(expires, 16, 64)
		if err != nil {
			return 0, fmt.Errorf("access: record %q has no time: %w", key, roster.ErrCorrupt)
		}
		if ms > now.UnixMilli() {
			left++
			continue
		}
		if err := tx.DeleteData(Space, key); err != nil {
			return 0, err
		}
	}
	return left, nil
}
