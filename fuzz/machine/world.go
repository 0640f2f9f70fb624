package machine

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/fuzz/model"
)

// A small world: names that meet under folding and in references, few
// directories, few numbers. Nearly every step then hits something that exists.

var (
	directoryIDs = []roster.DirectoryID{0, 1, 2, 70, math.MaxUint32}

	directoryNames = []string{"corp", "CORP", "Lab", "lab.example", "LAB.example", "Große", "GROSSE", "a@b", "x:y", "in\\out"}

	names = []string{
		"anna", "Anna", "ANNA", "bob", "Bob", "carol", "dave",
		"Straße", "STRASSE", "m\u00fcller", "MU\u0308LLER", "muller", "\u0390", "İ", "İi",
		"bob@corp", "bob@lab.example", "corp\\bob", "a@b@corp", "corp:anna", "#1", "#2", "#7x",
		"Carol Ann", "carol-ann", "z", "zz", "Ω", "ω", "用户", "all", "a\"b",
	}

	badNames = []string{"", "tab\there", "nul\x00", "\xff", "\u0085", strings.Repeat("n", 257), strings.Repeat("\u0344", 70)}

	longNames = []string{strings.Repeat("n", 256), strings.Repeat("Ü", 128), strings.Repeat("u\u0308", 128)}

	texts = []string{"", "x", "Anna Liddell", "a@example.org", "CN=Anna,DC=example", "\u0000", strings.Repeat("long ", 300)}

	badTexts = []string{"\xff", strings.Repeat("y", 64<<10+1)}

	uids = []string{"", "", "", "u-1", "U-1", "usr_1", "usr_2", "usr_40", "grp_3", "grp_5", "usr_01", "usr_", "usr_18446744073709551615", "é"}

	numbers = []uint64{0, 0, 0, 1, 2, 3, 5, 40, 41, 1 << 32, math.MaxUint64, math.MaxUint64 - 1}

	abilities = []string{"export", "admin", "Admin", "read", "é", "", "\xff"}
)

// name draws a name for a user or a group; now and then one that is refused.
func (m *Machine) name() string {
	switch {
	case m.chance(40):
		return oneOf(m.src, badNames...)
	case m.chance(40):
		return oneOf(m.src, longNames...)
	case m.mode.Built > 0 && m.chance(2):
		return crowdName(m.src.Intn(m.mode.Built * 5 / 4))
	}
	return oneOf(m.src, names...)
}

func crowdName(i int) string { return fmt.Sprintf("User%05d", i*7919%100003) }

func (m *Machine) text() string {
	if m.chance(60) {
		return oneOf(m.src, badTexts...)
	}
	return oneOf(m.src, texts...)
}

// directoryID draws a directory that exists, mostly, if there is any.
func (m *Machine) directoryID(w *model.Model) roster.DirectoryID {
	id := oneOf(m.src, directoryIDs...)
	for range 4 {
		if _, ok := w.Directories[id]; ok {
			break
		}
		id = oneOf(m.src, directoryIDs...)
	}
	return id
}

// userID draws a user that exists, mostly.
func (m *Machine) userID(w *model.Model) roster.UserID {
	if n := len(w.Live); n > 0 && !m.chance(20) {
		return w.Live[m.src.Intn(n)]
	}
	if m.chance(4) {
		return math.MaxUint32 - roster.UserID(m.src.Intn(2))
	}
	return roster.UserID(m.src.Intn(int(w.NextUser) + 2))
}

// groupID draws a group that exists, mostly.
func (m *Machine) groupID(w *model.Model) roster.GroupID {
	if n := len(w.LiveGroups); n > 0 && !m.chance(20) {
		return w.LiveGroups[m.src.Intn(n)]
	}
	if m.chance(4) {
		return math.MaxUint32 - roster.GroupID(m.src.Intn(2))
	}
	return roster.GroupID(m.src.Intn(int(w.NextGroup) + 2))
}

// userIDs draws some users, now and then a range of them, or all.
func (m *Machine) userIDs(w *model.Model) []roster.UserID {
	if n := len(w.Live); n > 0 && m.chance(6) {
		from := m.src.Intn(n)
		to := from + 1 + m.src.Intn(n-from)
		return append([]roster.UserID(nil), w.Live[from:to]...)
	}
	out := make([]roster.UserID, m.src.Intn(5))
	for i := range out {
		out[i] = m.userID(w)
	}
	return out
}

func (m *Machine) groupIDs(w *model.Model) []roster.GroupID {
	out := make([]roster.GroupID, 1+m.src.Intn(3)*m.src.Intn(2))
	for i := range out {
		out[i] = m.groupID(w)
	}
	return out
}

// time draws a time for a record, mostly none.
func (m *Machine) time() time.Time {
	switch m.src.Intn(8) {
	case 0:
		return m.clock.Add(-time.Hour)
	case 1:
		return time.Unix(int64(m.src.Intn(3)-1), 999_999_999)
	case 2:
		return time.Time{}.In(time.FixedZone("", 3600)) // none either
	}
	return time.Time{}
}

// revision draws the Revision of a record that is put: none, right or wrong.
func (m *Machine) revision(is roster.Revision) roster.Revision {
	switch m.src.Intn(6) {
	case 0, 1:
		return is
	case 2:
		return is + 1
	}
	return 0
}

func (m *Machine) attributes() map[string][]string {
	var out map[string][]string
	for range m.src.Intn(4) * m.src.Intn(2) {
		if out == nil {
			out = map[string][]string{}
		}
		values := make([]string, m.src.Intn(3))
		for i := range values {
			values[i] = m.text()
		}
		out[oneOf(m.src, "title", "Title", "mail", "", "ü")] = values
	}
	return out
}

func (m *Machine) abilities() []string {
	var out []string
	for range m.src.Intn(3) {
		out = append(out, abilities[m.src.Intn(len(abilities)-2)])
	}
	if m.chance(40) {
		out = append(out, oneOf(m.src, abilities...))
	}
	return out
}

// userRef draws a reference to a user, of one kind or another.
func (m *Machine) userRef(w *model.Model) string {
	name := oneOf(m.src, names...)
	if n := len(w.Live); n > 0 && m.chance(2) {
		name = w.Users[w.Live[m.src.Intn(n)]].Username
	}
	switch m.src.Intn(5) {
	case 0:
		return name + "@" + oneOf(m.src, directoryNames...)
	case 1:
		return oneOf(m.src, directoryNames...) + "\\" + name
	case 2:
		return fmt.Sprintf("#%d", oneOf(m.src, numbers...))
	}
	return name
}

// groupRef draws a reference to a group.
func (m *Machine) groupRef(w *model.Model) string {
	name := oneOf(m.src, names...)
	if n := len(w.LiveGroups); n > 0 && m.chance(2) {
		name = w.Groups[w.LiveGroups[m.src.Intn(n)]].Name
	}
	switch m.src.Intn(4) {
	case 0:
		return oneOf(m.src, directoryNames...) + ":" + name
	case 1:
		return fmt.Sprintf("#%d", oneOf(m.src, numbers...))
	}
	return name
}
