package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// site is what the HTTP APIs are asked about and by whom. It holds numbers and
// little else: what is made here stays in memory while the server is measured.
type site struct {
	users   []roster.UserID
	groups  []roster.GroupID // the large ones first
	callers []caller
}

// caller is somebody who owns an organisation, administers groups, may use the API
// of ArcGIS, and has every kind of credential.
type caller struct {
	user     roster.UserID
	name     string
	password string
	org      string
	key      [2]string // ID and secret
	token    string    // for ArcGIS
	session  string    // of Crowd
}

// How many groups a caller administers beside the large ones, and what the
// organisations are like: a hundred of them have everybody as a member of one.
const (
	administered = 50
	siteOrgs     = 100
)

// makeSite builds the engine if it is not there, gives the callers new
// credentials, and leaves all of it on disk: a record that was just written is
// still in memory, and costs less to read than those of a server that has been
// running for a while.
func (w *web) makeSite(ctx context.Context, dir string) (*site, error) {
	if _, err := os.Stat(filepath.Join(dir, "STORE")); err != nil {
		if err := w.buildSite(ctx, dir); err != nil {
			return nil, err
		}
	}
	e, err := roster.Open(dir, roster.Options{FoldEvery: time.Millisecond})
	if err != nil {
		return nil, err
	}
	s := &site{}
	err = s.find(ctx, e, w.shape)
	if err == nil {
		err = s.admit(ctx, e, w.callers)
	}
	for err == nil && e.Stats().Folded < e.Revision() {
		time.Sleep(time.Millisecond)
		err = ctx.Err()
	}
	if err == nil {
		err = settle(ctx, e) // so that the index is not behind what is left of the log
	}
	return s, errors.Join(err, e.Close())
}

func (w *web) buildSite(ctx context.Context, dir string) error {
	rnd := rand.New(rand.NewPCG(w.seed, 1))
	o := &organisation{shape: w.shape}
	o.enterprise = true
	return roster.Build(ctx, dir, roster.Options{}, func(b *roster.Builder) error {
		err := o.fill(b, rnd)
		c, members := companies{}, max(20, o.users/siteOrgs)
		for i := 0; i < siteOrgs && err == nil; i++ {
			first := i * members % (o.users - members + 1)
			err = c.found(b, fmt.Sprintf("org_%d", i), o.userIDs[first:first+members])
		}
		return err
	})
}

// find finds users and groups in an engine that may have been made by an earlier run.
func (s *site) find(ctx context.Context, e *roster.Engine, want shape) error {
	return e.View(ctx, func(tx *roster.Txn) error {
		users, err := tx.Users()
		if err != nil {
			return err
		}
		s.users = slices.Collect(users.All())
		s.groups = make([]roster.GroupID, want.groups)
		found := 0
		for g := range tx.GroupsByName() {
			name := tx.GroupName(g)
			i, err := strconv.Atoi(name[strings.LastIndexByte(name, '-')+1:])
			if err == nil && i < len(s.groups) {
				s.groups[i] = g
			}
			found++
		}
		if len(s.users) != want.users || found != want.groups {
			return fmt.Errorf("the organisation that was kept has %d users and %d groups, not %d and %d", len(s.users), found, want.users, want.groups)
		}
		return nil
	})
}

// admit gives owners of organisations what they need to ask for something.
func (s *site) admit(ctx context.Context, e *roster.Engine, callers int) error {
	doors, err := access.New(e, access.Options{})
	if err != nil {
		return err
	}
	if err := s.findCallers(ctx, e, callers); err != nil {
		return err
	}
	hashes := make([]access.Hash, len(s.callers))
	for i := range s.callers {
		if hashes[i], err = doors.Hasher().Hash(ctx, s.callers[i].password); err != nil {
			return err
		}
	}
	_, err = e.Update(ctx, func(tx *roster.Txn) error {
		now := time.Now()
		for i := range s.callers {
			c := &s.callers[i]
			a := access.Account{User: c.user, Password: hashes[i], Privileges: []string{access.PrivilegeSecurity}}
			if _, err := access.PutAccount(tx, a, now); err != nil {
				return err
			}
			secret, hash, err := access.MakeSecret(nil)
			if err != nil {
				return err
			}
			c.key = [2]string{"bench-" + strconv.Itoa(i), secret}
			if _, err := access.PutKey(tx, access.Key{ID: c.key[0], User: c.user, Secret: hash}, now); err != nil {
				return err
			}
			for _, g := range s.administered() {
				if _, err := tx.AddAdmins(g, c.user); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.issueTokens(ctx, doors)
}

// administered are the groups that every caller administers.
func (s *site) administered() []roster.GroupID {
	return s.groups[:min(len(large)+administered, len(s.groups))]
}

func (s *site) findCallers(ctx context.Context, e *roster.Engine, n int) error {
	return e.View(ctx, func(tx *roster.Txn) error {
		active, err := tx.Active()
		if err != nil {
			return err
		}
		for i := 0; i < siteOrgs && len(s.callers) < n; i++ {
			c := caller{org: fmt.Sprintf("org_%d", i), password: fmt.Sprintf("correct horse %d", i)}
			owners, err := tx.OrgOwners(c.org)
			if err != nil {
				return err
			}
			for u := range owners.And(active).All() {
				c.user, c.name = u, tx.Username(u)
				s.callers = append(s.callers, c)
				break
			}
		}
		if len(s.callers) == 0 {
			return errors.New("no organisation has an owner who is active")
		}
		return nil
	})
}

// issueTokens makes the tokens that clients would get for their passwords.
func (s *site) issueTokens(ctx context.Context, doors *access.Service) error {
	for i := range s.callers {
		c := &s.callers[i]
		p := access.Principal{User: c.user, Directory: 1, Username: c.name, By: access.ByHost}
		life := 24 * time.Hour
		here := access.Binding{Client: netip.MustParseAddr("127.0.0.1")}
		var err, err2 error
		c.token, _, err = doors.IssueToken(ctx, p, access.TokenSpec{Audience: access.ArcGIS().Name, Life: life, Binding: here})
		c.session, _, err2 = doors.IssueToken(ctx, p, access.TokenSpec{Audience: access.Crowd().Name, Life: life})
		if err := errors.Join(err, err2); err != nil {
			return err
		}
	}
	return nil
}
