package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/exchange"
)

// advise words an error: what was wrong and what to do.
func (p *program) advise(err error) string {
	var open *openError
	if errors.As(err, &open) {
		if advice := p.adviseOpen(open.err); advice != "" {
			return advice
		}
	}
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	text := plain(err)
	var line *exchange.LineError
	if errors.As(err, &line) {
		return text + " (nothing was changed)"
	}
	var ambiguous *roster.AmbiguousError
	if errors.As(err, &ambiguous) {
		return fmt.Sprintf("%q is ambiguous: write one of %s", ambiguous.Ref, strings.Join(ambiguous.Candidates, ", "))
	}
	if advice := adviseSource(err, text); advice != "" {
		return advice
	}
	for _, a := range advices {
		if errors.Is(err, a.err) && strings.Contains(text, a.about) {
			return text + ": " + a.todo
		}
	}
	return text
}

// advices say what to do about errors of the engine, the first that fits: one
// whose text holds what the advice is about.
var advices = []struct {
	err   error
	about string
	todo  string
}{
	{roster.ErrCorrupt, "", "keep a copy of the folder and restore the newest backup (roster restore)"},
	{roster.ErrDiskFull, "", "nothing was changed; make room and run it again"},
	{roster.ErrFailed, "", "the disk refused a write; whether the last change was kept shows when the data is opened again"},
	{roster.ErrTooLarge, "", "the change is too large for one step; split it"},
	{roster.ErrLimit, "", "the nesting of groups is too large; take groups out of each other"},
	{roster.ErrLastOwner, "", "make another member an owner first (roster org join ORG USER --owner), or remove the organisation (roster org rm ORG)"},
	{roster.ErrSearchNotReady, "", "ask again later, or within a smaller set (--in)"},
	{roster.ErrNotFound, `role "`, "check the spelling; `roster role list ORG` lists those that there are"},
	{roster.ErrNotFound, `organisation "`, "check the spelling; `roster org list` lists those that there are"},
	{roster.ErrNotFound, "API key ", "check the spelling; `roster key list` lists those that there are"},
	{roster.ErrNotFound, "account of ", "it has none: set a password first (roster passwd USER)"},
	{roster.ErrNotFound, "", "check the spelling, or ask `roster members all` and `roster groups USER`"},
	{roster.ErrExists, "API key ", "choose another --id, or revoke that one first (roster key revoke ID)"},
	{roster.ErrInvalid, "is not public", "allow the addresses that the user is seen with on the internet"},
	{roster.ErrSyntax, "", `an expression is made of group names, &, |, ! and parentheses; quote "a name with spaces"`},
}

// adviseOpen words errors of opening the data folder.
func (p *program) adviseOpen(err error) string {
	switch {
	case errors.Is(err, roster.ErrLocked):
		return fmt.Sprintf("%s is in use by another process: wait for it to end, or stop it", p.data)
	case errors.Is(err, roster.ErrNewerFormat):
		return fmt.Sprintf("%s was written by a later version of roster: use that version", p.data)
	case errors.Is(err, roster.ErrCorrupt):
		return fmt.Sprintf("%s is damaged: %s: keep a copy of the folder and restore the newest backup (roster restore)", p.data, plain(err))
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("there is no data in %s: name the folder with --data, or begin with roster import", p.data)
	case errors.Is(err, roster.ErrNotStore):
		return fmt.Sprintf("%s holds something else than roster's data: name another folder with --data", p.data)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Sprintf("%s is not a folder: name the folder of the data with --data", p.data)
	case errors.Is(err, syscall.EROFS):
		return fmt.Sprintf("%s is on a read-only file system: what only reads works there; make it writable for changes", p.data)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("%s cannot be opened: permission denied: run this as the user that owns it", p.data)
	}
	return ""
}

// plain is the text of an error without the package's name in front of its
// parts, which only a programmer wants to see.
func plain(err error) string {
	return strings.NewReplacer("roster: ", "", "directory: ", "", "access: ", "").Replace(err.Error())
}
