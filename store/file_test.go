package store_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rosterdb/roster/store"
	"github.com/rosterdb/roster/store/storetest"
)

func TestOS(t *testing.T) { storetest.TestFS(t, store.OS{}, filepath.Join(t.TempDir(), "fs")) }

func TestMemFS(t *testing.T) { storetest.TestFS(t, store.NewMemFS(), filepath.Join("/", "fs")) }

func TestFaultFS(t *testing.T) { storetest.TestFS(t, storetest.NewFaultFS(), "fs") }

func TestCorruptError(t *testing.T) {
	cause := errors.New("because")
	var err error = fmt.Errorf("open: %w", &store.CorruptError{Path: "p", What: "w", Err: cause})
	if !errors.Is(err, store.ErrCorrupt) || !errors.Is(err, cause) || err.Error() != "open: store: p is damaged: w: because" {
		t.Fatal(err)
	}
	err = &store.CorruptError{Path: "p", What: "w"}
	if !errors.Is(err, store.ErrCorrupt) || err.Error() != "store: p is damaged: w" {
		t.Fatal(err)
	}
}

// A journal on the file system of the machine, through rotations, to see that nothing depends on the one in memory.
func TestJournalOS(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	j := newJournal(t, store.OS{}, dir, 4096)
	var all [][]byte
	for i := range 60 {
		mustAppend(t, j, &all, 100*i, 5)
		if i%20 == 19 {
			if err := errors.Join(j.Retire(uint64(i)), j.Close()); err != nil {
				t.Fatal(err)
			}
			j = reopenJournal(t, store.OS{}, dir, 4096)
		}
		holds(t, j, all)
	}
	if err := j.Reserve(64 << 20); err != nil && !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, store.ErrDiskFull) {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}
