package crowd

import "strings"

// What the tests see of the inside.
var (
	ParseID         = parseID
	FormatID        = formatID
	CheckJSON       = checkJSON
	DecodeObjectIDs = func(data []byte) ([]string, error) {
		fields, err := object(data)
		if err != nil {
			return nil, err
		}
		return decodeIDs(fields)
	}
	DecodeCriteria = decodeCriteria
	DecodeEntities = decodeEntities
)

// Routes lists every method and path of the API, {} for what varies.
func Routes() (all []string) {
	for _, e := range (&api{}).Endpoints() {
		all = append(all, strings.Replace(e, " /rest/admin/1.0/", " ", 1))
	}
	return all
}
