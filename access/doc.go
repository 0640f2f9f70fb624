// Package access decides who somebody is and what they may do: accounts with
// passwords, API keys, tokens, and the rights that follow from what an engine
// holds. What it keeps are records in the engine's own data, in the same
// transactions, log and backups as users and groups.
//
//	s, err := access.New(e, access.Options{})
//	...
//	door := s.Door(access.Crowd())
//	p, err := door.Authenticate(r, nil)
//	...
//	_, err = e.Update(ctx, func(tx *roster.Txn) error {
//		p, err := p.Current(tx)
//		if err != nil || !p.Administers(tx, group) { ... }
//	})
//
// # Concepts
//
//   - [Service]: the accounts, keys and tokens of one engine.
//   - [Principal]: somebody who was let in. The zero Principal is nobody.
//     [Principal.Current] asks for it again in the transaction of its request.
//   - [Account]: a user's password and privileges. [GetAccount], [PutAccount].
//   - [Key]: an API key, limited to endpoints, addresses and a time.
//   - A token: issued for a password, signed, good for some time, for one API and,
//     if asked for, from one place.
//   - [Scheme] and [Door]: where an API looks for credentials.
//   - [Authenticator]: what an adapter asks; a host may bring its own.
//   - [Hash] and [Hasher]: how passwords and secrets are kept.
//
// # What is denied
//
// Everything that is not allowed. A user who is not active has no account, no keys
// and no tokens until it is active again; a deleted one never again, whoever gets
// the name. Who is denied is not told why; a Logger is.
//
// # Passwords
//
// They are hashed with argon2id under a salt of their own. Unknown names cost as
// much as wrong passwords. The memory of all hashing together is bounded, and so
// is the number of those who wait. Failed logins are counted by name and by
// address, and slow down those who go on, but not who was let in from the same
// address before. A password that was found to be right
// is remembered for a minute, as a hash with a key that never leaves the process.
//
// Users without a password log in through the identity source of their directory,
// a [PasswordSource], if there is one.
//
// # API keys
//
// Secrets that are made here are 256 random bits: SHA-256 is enough to keep them,
// and finding a key by its secret costs microseconds. Secrets that somebody else
// chose are stretched with argon2id, all of a store under one salt, so that a
// secret that comes without the ID of its key is hashed once and not once for
// each key. What that gives away is that guesses at all imported secrets of one
// store can be made together.
//
// A key is its user: it has the rights of its user, within its limits. What those
// are is decided when it is used, so that a key that was revoked or changed is
// that at once.
//
// # Tokens
//
// A token is checked without anything being written: it is signed with a key in
// the engine's data and names the epoch of the account. Another password begins
// another epoch, as RevokeTokens does; EndToken ends one token. Tokens of a store are good in a restored
// backup of it; they are not in the store that its export is imported into.
//
// A restored backup brings back what was revoked after it was made. NewTokenKey
// ends all tokens at once; keys have to be revoked again.
package access
