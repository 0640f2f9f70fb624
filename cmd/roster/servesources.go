package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/arcgis"
	"github.com/rosterdb/roster/directory"
)

// linkedSource is an identity source while the program serves.
type linkedSource struct {
	name   string
	link   *directory.Link
	source directory.Source
	log    *slog.Logger
	id     roster.DirectoryID
}

type linkedSources []*linkedSource

// openSources opens the sources that the data name. One that has nobody here yet is
// synced first, or nobody could log in.
func (s *server) openSources(ctx context.Context, e *roster.Engine) (all linkedSources, err error) {
	var configs []sourceConfig
	err = e.View(ctx, func(tx *roster.Txn) error {
		for name := range eachSource(tx) {
			c, err := findSource(tx, name)
			if err != nil {
				return err
			}
			configs = append(configs, c)
		}
		return nil
	})
	for i := 0; i < len(configs) && err == nil; i++ {
		var l *linkedSource
		if l, err = openSource(ctx, e, &configs[i], s.log); err == nil {
			all = append(all, l)
		}
	}
	if err != nil {
		all.close()
		return nil, err
	}
	return all, nil
}

func openSource(ctx context.Context, e *roster.Engine, c *sourceConfig, log *slog.Logger) (*linkedSource, error) {
	o, err := c.options()
	if err != nil {
		return nil, err
	}
	o.Logger = log
	l := &linkedSource{name: c.Name, log: log}
	if l.source, err = c.open(); err != nil {
		return nil, fmt.Errorf("source %q: %w", c.Name, err)
	}
	if l.link, err = directory.New(e, l.source, o); err != nil {
		return nil, errors.Join(err, closeSource(l.source))
	}
	if err := l.begin(ctx, e); err != nil {
		return nil, errors.Join(err, closeSource(l.source))
	}
	return l, nil
}

// begin finds the directory, or makes it, and syncs it if it is empty. That the source
// cannot be asked now is no reason not to begin.
func (l *linkedSource) begin(ctx context.Context, e *roster.Engine) (err error) {
	if l.id, err = l.link.Directory(ctx); err != nil {
		return err
	}
	var users roster.Set
	err = e.View(ctx, func(tx *roster.Txn) error {
		users, err = tx.DirectoryUsers(l.id)
		return err
	})
	if err != nil || users.Len() > 0 {
		return err
	}
	if _, err := l.link.Sync(ctx, sourceRun()); err != nil {
		l.log.Warn("nobody can log in through a source before it is synced", "source", l.name, "error", err)
	}
	return ctx.Err()
}

func (all linkedSources) close() {
	for _, l := range all {
		closeSource(l.source) // only read from
	}
}

// sourceRun is a run that the clock asks for.
func sourceRun() directory.Run { return directory.Run{Actor: "roster serve"} }

// passwords are the sources that know passwords, by directory.
func (all linkedSources) passwords() map[roster.DirectoryID]access.PasswordSource {
	out := map[roster.DirectoryID]access.PasswordSource{}
	for _, l := range all {
		if _, ok := l.source.(directory.Authenticator); ok {
			out[l.id] = l
		}
	}
	return out
}

// refreshers are the sources by the names of their directories.
func (all linkedSources) refreshers(directories map[roster.DirectoryID]string) map[string]arcgis.Refresher {
	out := map[string]arcgis.Refresher{}
	for _, l := range all {
		out[directories[l.id]] = l
	}
	return out
}

// Authenticate implements access.PasswordSource. Who logs in is refreshed. Only what
// the source says of the password denies: a right one is not called wrong, and
// counted, because there is no room on the disk.
func (l *linkedSource) Authenticate(ctx context.Context, username, password string) error {
	_, err := l.link.Login(ctx, username, password)
	if err == nil || errors.Is(err, directory.ErrCredentials) {
		return err
	}
	if ctx.Err() == nil {
		l.log.Warn("a login was not decided", "source", l.name, "error", err)
	}
	return fmt.Errorf("%w: %w", access.ErrUnavailable, err)
}

// Refresh implements arcgis.Refresher.
func (l *linkedSource) Refresh(ctx context.Context, actor string, users ...string) ([]string, error) {
	return unknownOf(l.link.Refresh(ctx, directory.Run{Actor: actor}, users...))
}

// RefreshGroups implements arcgis.Refresher.
func (l *linkedSource) RefreshGroups(ctx context.Context, actor string, groups ...string) ([]string, error) {
	return unknownOf(l.link.RefreshGroups(ctx, directory.Run{Actor: actor}, groups...))
}

func unknownOf(r *directory.Report, err error) ([]string, error) {
	if errors.Is(err, directory.ErrTooMuch) {
		err = fmt.Errorf("%w: %w", arcgis.ErrTooMuch, err)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return r.Unknown, nil
}

func unavailable(err error) error {
	if errors.Is(err, directory.ErrUnreachable) {
		return fmt.Errorf("%w: %w", access.ErrUnavailable, err)
	}
	return err
}
