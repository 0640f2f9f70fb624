// Package directory keeps users and enterprise groups as an identity source
// has them: an LDAP server, a file, or functions of the host program.
//
// # Concepts
//
// A [Source] answers who there is. A [Link] ties one to a directory of an engine.
// [Link.Sync] reads all of the source; [Link.Refresh] reads some users and the
// groups above them, at a login say; [Link.RefreshGroups] reads some groups and
// all below them; [Link.Every] runs Sync by the clock. Each works out what is
// different and writes that as one Update, or nothing. A [Run] may ask for the
// difference alone, [Run.DryRun].
//
// # What a Link owns
//
// A Link changes the users that it has made or found under the same name, and
// the groups of its directory that are enterprise groups. Of an enterprise group
// it owns the memberships of these users and the nesting of enterprise groups of
// the same directory. Everything else was made by hand and stays: members of other
// groups, users that the source never had, users of other directories in an enterprise
// group, an enterprise group within a group of another kind, administrators,
// abilities. A group of the source whose name is that of a group that is no
// enterprise group is left out and reported.
//
// # Identity
//
// Where the source gives keys (entryUUID, objectGUID) a renamed user is the same
// user, keeps its handle and all that was made by hand, and two users may swap
// names. A user's key is kept in the attribute [KeyAttribute] of its record, a
// group's in its uid unless the group has one of its own. Without keys a user is
// its name.
//
// # Safety
//
// A source that cannot be read to its end changes nothing. One that would remove
// more than [Options.MaxRemoved] of the users or memberships is refused, unless
// [Run.Force] says that this is right: a wrong filter must not empty a company.
//
// # Concurrency
//
// A Link may be used by any number of goroutines. Source functions are called
// outside of transactions. Nothing runs by itself and nothing is logged unless
// [Options.Logger] is set.
package directory
