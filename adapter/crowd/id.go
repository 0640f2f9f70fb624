package crowd

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rosterdb/roster"
)

// The ID of a user or group is the number of its directory, a dash, and its name
// in base64 for URLs without padding. It does not tell whether it is that of a
// user or of a group.

// maxID is the longest ID that can name anything: names have up to 256 bytes in
// normal form, and more in others.
const maxID = 2048

func formatID(d roster.DirectoryID, name string) string {
	return d.String() + "-" + base64.RawURLEncoding.EncodeToString([]byte(name))
}

// parseID takes an ID apart. Padding is allowed. The name is valid UTF-8 and not
// empty; whether it is one is for the engine to say.
func parseID(id string) (d roster.DirectoryID, name string, ok bool) {
	number, text, found := strings.Cut(id, "-") // base64 for URLs may hold more of them, a number does not
	if !found || len(id) > maxID {
		return 0, "", false
	}
	n, ok := parseDirectory(number)
	if !ok || strings.ContainsAny(text, "\r\n") { // which the decoder would skip
		return 0, "", false
	}
	code := base64.RawURLEncoding
	if strings.HasSuffix(text, "=") {
		code = base64.URLEncoding
	}
	b, err := code.Strict().DecodeString(text)
	if err != nil || len(b) == 0 || !utf8.Valid(b) {
		return 0, "", false
	}
	return n, string(b), true
}

// parseDirectory reads the number of a directory: digits, without a sign.
func parseDirectory(s string) (roster.DirectoryID, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return roster.DirectoryID(n), err == nil
}
