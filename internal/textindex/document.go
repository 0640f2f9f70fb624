package textindex

import (
	"encoding/binary"

	"github.com/blevesearch/bleve/v2/document"
	index "github.com/blevesearch/bleve_index_api"
)

// newDocument makes a document of Bleve's. Its ID is the number in four bytes,
// so that documents ascend by number and the way back needs no table.
func newDocument(d *Document) *document.Document {
	doc := document.NewDocument(string(binary.BigEndian.AppendUint32(nil, d.Number)))
	doc.AddField(&terms{gramField, frequencies(d.Grams)})
	doc.AddField(&terms{wordField, frequencies(d.Words)})
	return doc
}

// terms is a field of a document that comes with its terms: there is nothing to
// analyse, store or score.
type terms struct {
	name string
	freq index.TokenFrequencies
}

// once is the frequency of every term. Nobody asks for it.
var once index.TokenFreq

func frequencies(list []string) index.TokenFrequencies {
	freq := make(index.TokenFrequencies, len(list))
	for _, t := range list {
		freq[t] = &once
	}
	return freq
}

func (t *terms) Name() string                                     { return t.name }
func (t *terms) Value() []byte                                    { return nil }
func (t *terms) ArrayPositions() []uint64                         { return nil }
func (t *terms) EncodedFieldType() byte                           { return 't' }
func (t *terms) Analyze()                                         {}
func (t *terms) Options() index.FieldIndexingOptions              { return index.IndexField | index.SkipFreqNorm }
func (t *terms) AnalyzedLength() int                              { return len(t.freq) }
func (t *terms) AnalyzedTokenFrequencies() index.TokenFrequencies { return t.freq }
func (t *terms) NumPlainTextBytes() uint64                        { return 0 }
func (t *terms) Size() int                                        { return 64 * len(t.freq) }
