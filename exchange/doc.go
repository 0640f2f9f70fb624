// Package exchange moves users, groups and memberships between files and a
// roster engine.
//
// # Formats
//
// JSON lines hold everything a store holds: exporting, importing into an empty
// store and exporting again gives the same bytes. LDIF (RFC 2849) is what
// slapcat, ldapsearch and Active Directory write; it is read by object class
// and written with what such a file can hold.
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
//
// An import adds and changes; it never removes. A user, a group or a membership
// that the input does not mention stays. A field that a JSON line leaves out
// keeps the value that the store has.
//
// # Times
//
// Users, groups and directories keep the times of their lines. Memberships have
// no times in a store: those on a member line are checked and not kept.
package exchange
