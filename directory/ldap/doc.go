// Package ldap is an identity source that asks an LDAP server.
//
// # Trust
//
// A Source speaks TLS (ldaps, or StartTLS on ldap) and checks the server's
// certificate, except to this machine itself and where Config.Plain allows it. A
// password is read from a file or the environment at each login to the server and
// kept nowhere. Referrals are not followed: a search that the server answers with
// one fails, since what is behind it is missing, unless Config.IgnoreReferrals.
//
// # Schemas
//
// A Schema says what users and groups are called on a server. Start from
// OpenLDAP, RFC2307 or ActiveDirectory and change what is different.
//
// # Concurrency
//
// A Source may be used by any number of goroutines. It holds a few idle
// connections; Close ends them.
package ldap
