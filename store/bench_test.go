package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rosterdb/roster/store"
)

// BenchmarkRawFdatasync is what no journal can be faster than: 32 bytes written into a file of zeros, and flushed.
func BenchmarkRawFdatasync(b *testing.B) {
	f, err := store.OS{}.OpenFile(filepath.Join(b.TempDir(), "raw"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	const size = 8 << 20
	if _, err := f.WriteAt(make([]byte, size), 0); err != nil {
		b.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	record, off := make([]byte, 32), int64(0)
	for i := range record {
		record[i] = 1
	}
	measure(b, func() {
		if _, err := f.WriteAt(record, off%size); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		off += 32
	})
}

// BenchmarkAppend is a durable append of records of 32 bytes, so many in a frame.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 64, 1000, 10000} {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			dir := filepath.Join(b.TempDir(), "journal")
			newJournal(b, store.OS{}, dir, 1<<20).Abandon()
			j := reopenJournal(b, store.OS{}, dir, 0)
			batch := records(1, slices.Repeat([]int{32}, n)...)
			measure(b, func() {
				if err := j.Append(j.Head()+1, batch); err != nil {
					b.Fatal(err)
				}
			})
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
			if err := j.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// measure runs fn b.N times and reports the median and the 99th percentile beside the mean.
func measure(b *testing.B, fn func()) {
	took := make([]time.Duration, 0, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		start := time.Now()
		fn()
		took = append(took, time.Since(start))
	}
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
}

// BenchmarkOpenJournal opens, that is, checks, a journal of a million records, and BenchmarkReplay reads them.
func BenchmarkOpenJournal(b *testing.B) {
	dir, bytes := millionRecords(b)
	b.SetBytes(bytes)
	b.ReportAllocs()
	for b.Loop() {
		reopenJournal(b, store.OS{}, dir, 0).Abandon()
	}
}

func BenchmarkReplay(b *testing.B) {
	dir, bytes := millionRecords(b)
	j := reopenJournal(b, store.OS{}, dir, 0)
	defer j.Abandon()
	b.SetBytes(bytes)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range j.Replay(1) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 1_000_000 {
			b.Fatal(n)
		}
	}
}

// millionRecords makes a journal of a million records of 32 bytes, ten in a frame, and returns their size in it.
func millionRecords(b *testing.B) (dir string, bytes int64) {
	dir = filepath.Join(b.TempDir(), "journal")
	fast := unsynced{}
	newJournal(b, fast, dir, 1<<20).Abandon()
	j := reopenJournal(b, fast, dir, 0)
	batch := records(1, slices.Repeat([]int{32}, 10)...)
	for range 100_000 {
		if err := j.Append(j.Head()+1, batch); err != nil {
			b.Fatal(err)
		}
	}
	bytes = j.BytesAfter(0)
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	return dir, bytes
}

// unsynced is the operating system's file system without flushes.
type unsynced struct{ store.OS }

type unsyncedFile struct{ store.File }

func (unsyncedFile) Sync() error { return nil }

func (u unsynced) OpenFile(path string, flag int, perm os.FileMode) (store.File, error) {
	f, err := u.OS.OpenFile(path, flag, perm)
	return unsyncedFile{f}, err
}
