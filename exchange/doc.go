// Package exchange moves users, groups, organisations and who belongs to them
// between files and a roster engine.
//
// # Formats
//
// JSON lines hold everything a store holds: exporting, importing into an empty
// store and exporting again gives the same bytes. LDIF (RFC 2849) is what
// slapcat, ldapsearch and Active Directory write; it is read by object class
// and written with what such a file can hold. CSV (RFC 4180, UTF-8) is a table
// with a header row, of users or of memberships; see below.
//
// # Import
//
// An import has two halves. Read parses the whole input, checks it against
// itself and spools what it says to temporary files: the result is a Plan.
// Plan.Apply checks the plan against a store and only then writes. An error in
// either check names the line that is wrong, and nothing is changed.
//
// Memory holds a few dozen bytes for each record of the input (a hash of its
// name, its number) and never the input itself: one record at a time, the
// members of an LDIF group in pieces.
//
// A small import is one Update, so it happens as a whole or not at all. A large
// one is written in Updates of bounded size: a crash in the middle leaves whole
// batches behind, and running the same import again completes it. Running an
// import that is already in the store changes nothing and makes no revision.
// What only the store as a whole can tell, as that groups are nested too widely
// (roster.Options.MaxNesting), is refused while it is written.
//
// An import adds and changes; it never removes. A user, a group or a membership
// that the input does not mention stays. A field that a JSON line leaves out, or
// a column that a table does not have, keeps the value that the store has.
//
// # References
//
// A line may name what a later line defines, or what only the store holds. A
// member or an administrator of a group, or the user of an organisation
// membership, that names nobody is left out and counted; Options.Strict makes it
// an error. A directory, organisation or role that nothing defines is always an
// error.
//
// An organisation membership names its user by uid, as it is when the import is
// done: one that a line takes away from a user names nobody. If users of the
// input bring neither id nor uid, a membership of usr_<number> that nothing
// defines is an error, since the engine might assign just that.
//
// # Owners and default organisations
//
// Owners that a file demotes are demoted last, when those that it makes owners
// are there; taking the last one away is an error of the line. The default
// organisation of a user is where isDefault is true, which a file may say of one
// membership of each user. If none says so it stays where it is, or is the first
// membership in the file; isDefault false takes it from nobody.
//
// # Accounts and API keys
//
// An account names its user by directory and name. An API key may leave out the
// directory where one user has that name. Unlike members, a user that nothing
// defines is an error.
//
// Passwords and secrets are hashed before anything is written, some ten
// milliseconds each, and are stored nowhere else: in the temporary files they are
// encrypted, and no error shows them. One whose hash the store has already is left
// alone. An export holds passwordHash and secretHash, which are taken as they are.
//
// Tokens that were issued are good in the store that issued them only.
//
// # Times
//
// Users, groups, directories, organisations, roles and organisation memberships
// keep the times of their lines. Members and administrators of groups have no
// times in a store: those on their lines are checked and not kept.
//
// # CSV
//
// The header says what a table is. Columns may stand in any order, capital
// letters do not matter, and a column that is not listed here is an error.
//
//	username,fullName,email,description,active,groups
//	group,member
//
// Of the first only username is required. A field that is empty empties what the
// store has, except active, which then stays and is true for a new user; it may
// be true, false, yes, no, 1 or 0. Groups are separated by semicolons; spaces
// around them and empty ones count for nothing.
//
// In the second a member is a username, or group: and the name of a group that
// is nested. Fields are taken as they are, spaces included.
//
// Everything goes into one directory, Options.Directory. Groups that are named
// and do not exist are created; those that exist are not changed.
//
// A row may go over several lines where a field stands in quotes; an error names
// the first. CR LF within a field is read as LF.
//
// An export is not altered for spreadsheets, which take a text that begins with
// =, +, - or @ for a formula. Open such a file as text, or in a program that
// does not calculate, unless you trust everybody who chose a name in it.
package exchange
