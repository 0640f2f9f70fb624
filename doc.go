// Package roster is an embeddable, in-process membership engine: users, groups
// and who belongs to what, durable on disk and answered from memory.
//
// A program opens a folder and has, without a server: membership checks in some
// hundred nanoseconds through any nesting of groups, set algebra over groups,
// and atomic changes that survive a power cut.
//
//	e, err := roster.Open("data", roster.Options{})
//	...
//	defer e.Close()
//	ok := e.Check(user, group)
//
// # Concepts
//
// In the order in which a reader meets them:
//
//   - [Engine]: an open folder. Open, View, Update, Close.
//   - [Txn]: one state of the engine within a View or an Update.
//   - [Directory]: a named source of users and groups, with a number, a type and
//     a domain.
//   - [User]: a person or account of one directory.
//   - [Group]: a set of users with a name. Its direct members are users; groups
//     may be nested in it, in cycles too, and their members are its effective
//     members.
//   - The administrators of a group: users, and groups whose members administer
//     it.
//   - [Organization]: a set of users too, with owners and with [Role]s. What one
//     user is in it is an [OrgMembership].
//   - [Set]: an immutable set of users, to be combined with others and read in
//     the order of names. [ParseExpr] makes one of text.
//   - Data: small values under names of the caller's own, for what belongs beside
//     users and groups; see [Txn.PutData].
//   - [SearchQuery]: what somebody types to find users, and among whom.
//   - [Revision]: what an Update makes. [Engine.Changes] yields what each one
//     changed.
//
// Users and groups are named inside the engine by handles, [UserID] and
// [GroupID], which are never given to another. What outside APIs show are the
// fields Number and UID. Names are compared under identity folding: Unicode's
// canonical caseless matching. "Müller" and "müller" are one name, "muller" is
// another.
//
// # Durability
//
// An Update that has returned without an error survives the death of the
// process and the loss of power, as far as the disk honours a flush, and none is
// half applied. Damage on disk is never read as data and never dropped in
// silence: the engine makes it good from what is left or refuses to open and
// says what is damaged. The one thing that is taken for never written is the
// last write of a process that crashed, when a sector of it reads as zeros.
//
// # Concurrency
//
// An Engine and its Sets may be used by any number of goroutines, a Txn by that
// of its closure only. A View reads one revision, takes no lock and waits for
// no one. Updates run one at a time and share their flushes to disk.
//
// # What it does not do by itself
//
// The package does not log, print, talk to a network or change global state.
// Badger, which it links, registers its counters with package expvar when the
// program starts, and Bleve its kinds of index in tables of its own; about some
// kinds of damage to its list of segments Bleve prints a line with package log.
//
// # Compatibility
//
// The module is before version 1: its API may change. A later version opens the
// folders of this one.
package roster
