// Package store keeps the data of a membership engine on disk: a journal of records, and a state, which is what
// a prefix of the records amounts to. It knows bytes, keys and revisions, and nothing of what they mean.
//
// # Concepts
//
// A record is a slice of bytes with a revision. Revisions count up from 1 without a gap. Append adds records
// to the journal and returns when they are durable.
//
// The state is a set of values under keys, as of one revision, which is called applied. It changes only by Fold,
// which moves applied forward: the caller, who alone knows what records mean, says which values have changed. To
// open a store is to Load the state and then to Replay the journal from applied+1.
//
// # Files
//
// A store is a folder:
//
//	STORE       what the folder is: a magic, the version of the format and the store's uuid (create.go, value.go)
//	CREATING    is there only while the store is being created (create.go)
//	journal/    the records, in segment files (journal.go, segment.go, frame.go)
//	state/      the values, in Badger (state.go, fold.go, restore.go; the formats of values are in value.go, those of
//	            Badger's files as far as they matter in sst.go and wal.go)
//
// The lock is flock on the folder itself.
//
// # Durability
//
// What Append and Fold have returned from survives the death of the process and the loss of power, as far as the
// disk honours a flush. A Fold that was cut short, at whatever point, is not seen by the next Open, and what it
// wrote is made good by the next Fold. A Restore that was cut short leaves no store.
//
// After a write or a flush has failed, nothing more is written until the store is opened again: a second flush
// can report success for what the first one lost.
//
// # Damage
//
// Nothing that was damaged is taken for data or quietly left out. Each file has checksums of its own, all read by
// Open. What they cannot see is caught at three other places: Open compares the revisions of journal and state,
// because a state can fall back to an older revision when a file of Badger's loses its end; the journal keeps
// one fold more than is needed, so that falling back by one is made good by replaying; and Load compares the
// values with a count and a digest, which finds a value that is missing or older than it should be.
// All of this is reported as a *CorruptError with the name of the file, or else of the folder.
//
// Badger by itself would open a folder with a damaged file without an error and less in it, delete files that it
// does not know, or end the process. It gets to see the folder only after everything in it was read (preflight.go).
// Two things remain outside. Damage that a disk develops while the store is open is found by Load and Verify, and by
// a Fold before it compacts; Get finds it in values, but takes a damaged key for one that is not there. And a process
// that has run out of file descriptors at the moment when Badger opens its files is ended by Badger.
//
// # A full disk
//
// Badger and the kernel meet a full disk in a memory map, where the process dies of SIGBUS. So Open, Fold, Restore
// and Close look at the free space first, ask for more than they will need, and return ErrDiskFull before
// anything is written. A program beside the store that fills the disk in that very moment can still win the race.
//
// # Concurrency
//
// Everything may be called from any goroutine, with one exception: one goroutine appends. Get and Load go on
// during a Fold. A reader that was opened before a Fold goes on reading the revision that it began with,
// as long as the keep passed to Fold is no later. Nothing happens in the background but the zeroing of the next
// segment of the journal and, after a large Fold, Badger's writing of a full memtable to a table.
//
// Importing Badger registers its expvar variables, all zero since metrics are off.
//
// # Compatibility
//
// A store written by one version is opened by every later one. A store that a later version wrote in a format
// that this one does not know is refused with ErrNewerFormat and left as it is.
package store
