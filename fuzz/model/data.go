package model

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rosterdb/roster"
)

// DataName is what a program keeps a value under.
type DataName struct{ Space, Key string }

const (
	maxDataName  = 255
	maxDataValue = 63_000
)

// PutData is Txn.PutData.
func (m *Model) PutData(space, key string, value []byte) (bool, error) {
	if !validData(space) || !validData(key) || strings.ContainsFunc(space, unicode.IsControl) || len(value) > maxDataValue {
		return false, roster.ErrInvalid
	}
	name := DataName{space, key}
	old, known := m.Data[name]
	if known && old == string(value) {
		return false, nil
	}
	if !known {
		m.NextGroup++
	}
	m.Data[name] = string(value)
	m.op(roster.Change{Kind: roster.DataPut, DataSpace: space, DataKey: key})
	return true, nil
}

func validData(name string) bool {
	return name != "" && len(name) <= maxDataName && utf8.ValidString(name)
}

// DeleteData is Txn.DeleteData.
func (m *Model) DeleteData(space, key string) error {
	name := DataName{space, key}
	if _, known := m.Data[name]; !known {
		return roster.ErrNotFound
	}
	delete(m.Data, name)
	m.op(roster.Change{Kind: roster.DataDeleted, DataSpace: space, DataKey: key})
	return nil
}

// DataKeys returns the keys of a space behind after, in the order of their bytes.
func (m *Model) DataKeys(space, after string) []string {
	var out []string
	for name := range maps.Keys(m.Data) {
		if name.Space == space && name.Key > after {
			out = append(out, name.Key)
		}
	}
	slices.Sort(out)
	return out
}
