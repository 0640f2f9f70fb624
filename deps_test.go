package roster_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed are the modules that a program links which imports roster, and why.
// A new one has to be argued for here.
var allowed = map[string]string{
	"github.com/RoaringBitmap/roaring/v2": "the bitmaps",
	"github.com/bits-and-blooms/bitset":   "roaring",
	"github.com/dgraph-io/badger/v4":      "the folded state",
	"github.com/dgraph-io/ristretto/v2":   "Badger's mapped files",
	"github.com/dustin/go-humanize":       "Badger's messages",
	"github.com/cespare/xxhash/v2":        "Badger; and our digest of the state",
	"github.com/google/flatbuffers":       "Badger's table index",
	"github.com/klauspost/compress":       "Badger's compression, which is off",
	"google.golang.org/protobuf":          "Badger's manifest",
	"github.com/go-logr/logr":             "Badger's OpenTelemetry spans",
	"github.com/go-logr/stdr":             "likewise",
	"go.opentelemetry.io/auto/sdk":        "likewise",
	"go.opentelemetry.io/otel":            "likewise",
	"go.opentelemetry.io/otel/metric":     "likewise",
	"go.opentelemetry.io/otel/trace":      "likewise",
	"golang.org/x/sys":                    "Badger; and fdatasync, flock and statfs",
	"golang.org/x/text":                   "identity folding of names: Unicode's tables",
	"golang.org/x/crypto":                 "package access alone: argon2id, the password hash that resists graphics cards, which the standard library lacks (it has PBKDF2, which does not); maintained by the Go team, and of it only argon2 and blake2b are linked",

	"github.com/blevesearch/bleve/v2":              "the search index: its index/scorch and what that imports",
	"github.com/blevesearch/bleve_index_api":       "Bleve's documents and readers",
	"github.com/blevesearch/scorch_segment_api/v2": "Bleve's segments, whose posting lists a search takes as they are",
	"github.com/blevesearch/zapx/v11":              "Bleve's segment files: it links every version it can read",
	"github.com/blevesearch/zapx/v12":              "likewise",
	"github.com/blevesearch/zapx/v13":              "likewise",
	"github.com/blevesearch/zapx/v14":              "likewise",
	"github.com/blevesearch/zapx/v15":              "likewise",
	"github.com/blevesearch/zapx/v16":              "likewise",
	"github.com/blevesearch/zapx/v17":              "the version it writes",
	"github.com/blevesearch/vellum":                "Bleve's dictionaries of terms, and words with one typo",
	"github.com/blevesearch/mmap-go":               "Bleve's mapped files",
	"github.com/blevesearch/upsidedown_store_api":  "Bleve's registry of kinds of index",
	"github.com/blevesearch/geo":                   "Bleve's fields with places, of which there are none here",
	"github.com/json-iterator/go":                  "likewise",
	"github.com/golang/snappy":                     "Bleve's stored fields: the IDs of documents",
	"github.com/mschoch/smat":                      "Bleve's and roaring's tests, which reach into what they export",
	"go.etcd.io/bbolt":                             "Bleve's list of segments",
}

func TestLinkedModules(t *testing.T) {
	for _, pkg := range []string{".", "./store", "./directory", "./access", "./adapter/arcgis", "./adapter/crowd", "./adapter/ingress", "./adapter/rebilly"} {
		list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", pkg)
		list.Env = append(os.Environ(), "GOWORK=off") // as for a program of somebody else
		out, err := list.Output()
		if err != nil {
			t.Fatalf("go list %s: %v", pkg, err)
		}
		linked := strings.Fields(string(out))
		slices.Sort(linked)
		for _, m := range slices.Compact(linked) {
			if m != "github.com/rosterdb/roster" && allowed[m] == "" {
				t.Errorf("%s links %s", pkg, m)
			}
			if m == "golang.org/x/crypto" && pkg != "./access" && !strings.HasPrefix(pkg, "./adapter/") {
				t.Errorf("%s links %s, which is for package access and what uses it", pkg, m)
			}
		}
	}
}

// TestImportsPointDown holds the layers apart: what is below knows nothing of
// what is above.
func TestImportsPointDown(t *testing.T) {
	const module = "github.com/rosterdb/roster"
	for pkg, may := range map[string][]string{
		"./store":                   nil,
		"./internal/radix":          nil,
		"./internal/idlist":         nil,
		"./internal/text":           nil,
		"./internal/linhash":        {module + "/internal/radix"},
		"./internal/match":          {module + "/internal/text"},
		"./internal/textindex":      nil,
		"./internal/dn":             {module + "/internal/text"},
		"./internal/web":            nil,
		"./internal/apitest":        {module + "/access"},
		"./directory":               {module, module + "/internal/text"},
		"./access":                  {module, module + "/internal/text", module + "/internal/web"},
		"./adapter/arcgis":          {module, module + "/access", module + "/internal/text", module + "/internal/web"},
		"./adapter/crowd":           {module, module + "/access", module + "/internal/text", module + "/internal/web"},
		"./adapter/ingress":         {module, module + "/access", module + "/internal/web"},
		"./adapter/rebilly":         {module, module + "/access", module + "/internal/text", module + "/internal/web"},
		"./directory/ldap":          {module + "/directory", module + "/internal/dn", module + "/internal/text"},
		"./directory/file":          {module, module + "/directory", module + "/exchange", module + "/internal/text"},
		"./exchange":                {module, module + "/access", module + "/internal/dn", module + "/internal/text"},
		"./directory/directorytest": {module + "/directory"},
		".":                         {module + "/store", module + "/internal/radix", module + "/internal/idlist", module + "/internal/text", module + "/internal/linhash", module + "/internal/match", module + "/internal/textindex"},
	} {
		out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}`, pkg).Output()
		if err != nil {
			t.Fatalf("go list %s: %v", pkg, err)
		}
		for _, imported := range strings.Fields(string(out)) {
			if strings.HasPrefix(imported, module) && !slices.Contains(may, imported) {
				t.Errorf("%s imports %s", pkg, imported)
			}
		}
	}
}
