package textindex

import (
	"context"

	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/index/scorch/mergeplan"
)

// Every search looks into each segment, so there should be few. Bleve merges
// those of a size when there are more than mergeTier of them, the sizes growing
// by ten from mergeFloor documents on: that leaves some 17 in an index of a
// million, and writes each document a few times. Merge makes one of all.
const (
	mergeTier  = 4
	mergeFloor = 100
)

func mergeOptions() map[string]any {
	return map[string]any{"MaxSegmentsPerTier": mergeTier, "SegmentsPerMergeTask": mergeTier, "TierGrowth": 10, "FloorSegmentSize": mergeFloor}
}

// everything is the plan that merges all segments at once.
var everything = mergeplan.MergePlanOptions{
	MaxSegmentsPerTier: 1, SegmentsPerMergeTask: 1000, TierGrowth: 1, ReclaimDeletesWeight: 2,
	MaxSegmentSize: 1 << 30, FloorSegmentSize: 1 << 30, MaxSegmentFileSize: 1 << 40, FloorSegmentFileSize: 1 << 40,
}

// Merge has Bleve merge all segments that are in files, in the background.
// It does nothing while one is under way, and ends early with the index.
func (x *Index) Merge() {
	if !x.merging.CompareAndSwap(false, true) {
		return
	}
	plan := everything
	go func() {
		defer x.merging.Store(false)
		guard(func() error { return x.bleve.(*scorch.Scorch).ForceMerge(context.Background(), &plan) })
	}()
}

// Merging reports whether a Merge is under way.
func (x *Index) Merging() bool { return x.merging.Load() }

// Spread returns how many documents count that are not in the largest segment.
func (s *Snapshot) Spread() int {
	all, largest := 0, 0
	for _, p := range s.parts {
		n := len(p.numbers)
		if p.drop != nil {
			n -= int(p.drop.GetCardinality())
		}
		all += n
		largest = max(largest, n)
	}
	return all - largest
}
