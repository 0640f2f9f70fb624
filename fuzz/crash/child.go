package crash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/rosterdb/roster"
)

// The names that hold the parts of the folder together. Writer w has the
// directory w+1; the common one is number 0.
const (
	common   = roster.DirectoryID(0)
	left     = "left"
	right    = "right"
	progress = "progress" // the user whose description is the number of the last task
)

// options are those of every open: folds and new segments come all the time.
func options() roster.Options {
	return roster.Options{FoldBytes: 64 << 10, MaxSegmentBytes: 256 << 10, FoldEvery: 20 * time.Millisecond}
}

// Setup makes the folder that is going to be killed.
func Setup(dir string) error {
	return roster.Build(context.Background(), dir, options(), func(b *roster.Builder) error {
		if err := b.PutDirectory(roster.Directory{ID: common, Name: "common"}); err != nil {
			return err
		}
		for i := range crowd {
			if _, err := b.CreateUser(roster.User{Directory: common, Username: crowdName(i)}); err != nil {
				return err
			}
		}
		var in []roster.UserID
		for i := range tokens {
			u, err := b.CreateUser(roster.User{Directory: common, Username: fmt.Sprint("token ", i)})
			if err != nil {
				return err
			}
			in = append(in, u)
		}
		g, err := b.CreateGroup(roster.Group{Directory: common, Name: left})
		if err != nil {
			return err
		}
		if err := b.AddMembers(g, in); err != nil {
			return err
		}
		if _, err = b.CreateGroup(roster.Group{Directory: common, Name: right}); err != nil {
			return err
		}
		for w := range writers {
			d := roster.DirectoryID(w + 1)
			if err := b.PutDirectory(roster.Directory{ID: d, Name: fmt.Sprint("writer ", w)}); err != nil {
				return err
			}
			if _, err := b.CreateUser(roster.User{Directory: d, Username: progress, Description: "0"}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Child opens the folder, lets all writers write for some time, closes it while
// they do and begins again, until it is killed. The tasks are drawn from one
// seed, when the child closes from the other. What it has been told is durable
// it reports on out, a line for each task: writer, task, revision. Lines that
// begin with a letter say what the child is about to do.
func Child(dir string, tasks, seed uint64, out io.Writer) error {
	r := rand.New(rand.NewPCG(seed, 0))
	for {
		fmt.Fprintln(out, "open")
		e, err := roster.Open(dir, options())
		if err != nil {
			return err
		}
		fmt.Fprintln(out, Writing)
		errs := make([]error, writers)
		var wg sync.WaitGroup
		for w := range writers {
			p := pen{e: e, writer: w, tasks: tasks, r: rand.New(rand.NewPCG(r.Uint64(), 0)), out: out}
			wg.Go(func() { errs[w] = p.write() })
		}
		time.Sleep(time.Duration(r.Int64N(int64(2 * maxLife))))
		if r.IntN(4) == 0 {
			fmt.Fprintln(out, "verify")
			if err := e.Verify(context.Background(), nil); err != nil {
				return err
			}
		}
		fmt.Fprintln(out, "close")
		if err := e.Close(); err != nil {
			return err
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
}

// pen is one writer.
type pen struct {
	e      *roster.Engine
	writer int
	tasks  uint64
	r      *rand.Rand
	out    io.Writer
}

// write does the tasks of a writer from where it was left, until the engine is
// closed.
func (p *pen) write() error {
	w, err := look(p.e, p.writer)
	for err == nil {
		n := w.done + 1
		deeds := w.task(p.tasks, p.writer, n)
		var rev roster.Revision
		rev, err = p.e.Update(context.Background(), func(tx *roster.Txn) error {
			return p.do(tx, n, deeds)
		})
		if err == nil {
			// One write of a few bytes: a pipe takes it whole or not at all.
			fmt.Fprintf(p.out, "%d %d %d\n", p.writer, n, rev)
		}
	}
	if errors.Is(err, roster.ErrClosed) {
		return nil
	}
	return err
}

// do does a task, notes that it is done, and moves a token.
func (p *pen) do(tx *roster.Txn, n int, deeds []deed) error {
	j := job{tx: tx, dir: roster.DirectoryID(p.writer + 1)}
	for _, d := range deeds {
		err := j.do(d)
		if d.refused && !errors.Is(err, roster.ErrLastOwner) {
			return fmt.Errorf("writer %d, task %d: %s was not refused: %v", p.writer, n, d.kind, err)
		}
		if err != nil && !d.refused {
			return fmt.Errorf("writer %d, task %d: %s: %w", p.writer, n, d.kind, err)
		}
	}
	if err := j.put(progress, strconv.Itoa(n)); err != nil {
		return err
	}
	return j.moveToken(fmt.Sprint("token ", p.r.IntN(tokens)))
}

// job is a task in its transaction.
type job struct {
	tx  *roster.Txn
	dir roster.DirectoryID
}

func (j job) user(name string) (roster.UserID, error) {
	if u, ok := j.tx.UserByName(j.dir, name); ok {
		return u, nil
	}
	if u, ok := j.tx.UserByName(common, name); ok {
		return u, nil
	}
	return 0, fmt.Errorf("%s: %w", name, roster.ErrNotFound)
}

func (j job) group(name string) (roster.GroupID, error) {
	if g, ok := j.tx.GroupByName(j.dir, name); ok {
		return g, nil
	}
	return 0, fmt.Errorf("%s: %w", name, roster.ErrNotFound)
}

// put gives a user a description, and creates it if need be.
func (j job) put(name, text string) error {
	u, ok := j.tx.UserByName(j.dir, name)
	if !ok {
		_, err := j.tx.CreateUser(roster.User{Directory: j.dir, Username: name, Description: text})
		return err
	}
	rec, err := j.tx.User(u)
	if err != nil {
		return err
	}
	rec.Description = text
	_, err = j.tx.PutUser(rec)
	return err
}

func (j job) do(d deed) error {
	switch d.kind {
	case "put":
		return j.put(d.user, d.text)
	case "delete":
		u, err := j.user(d.user)
		if err != nil {
			return err
		}
		return j.tx.DeleteUser(u)
	case "create group":
		_, err := j.tx.CreateGroup(roster.Group{Directory: j.dir, Name: d.group})
		return err
	case "create organisation":
		_, err := j.tx.PutOrganization(roster.Organization{ID: orgID(j.dir, d.org)})
		return err
	case "delete organisation":
		return j.tx.DeleteOrganization(orgID(j.dir, d.org))
	case "join", "leave":
		return j.sit(d)
	case "keep":
		_, err := j.tx.PutData(dataSpace(j.dir), d.user, []byte(d.text))
		return err
	case "drop":
		return j.tx.DeleteData(dataSpace(j.dir), d.user)
	}
	g, err := j.group(d.group)
	if err != nil {
		return err
	}
	switch d.kind {
	case "delete group":
		return j.tx.DeleteGroup(g)
	case "nest", "unnest":
		return j.relink(g, d)
	}
	return j.members(g, d)
}

// orgID returns the ID of an organisation of the writer who owns a directory.
func orgID(dir roster.DirectoryID, org string) string { return fmt.Sprintf("%v %s", dir, org) }

// dataSpace returns the space of the writer who owns a directory.
func dataSpace(dir roster.DirectoryID) string { return fmt.Sprint("writer ", dir) }

// sit makes a user a member of an organisation, or ends that.
func (j job) sit(d deed) error {
	u, err := j.user(d.user)
	if err != nil {
		return err
	}
	s := roster.OrgMembership{Organization: orgID(j.dir, d.org), User: u, Owner: d.seat.owner}
	if d.kind == "leave" {
		return j.tx.DeleteOrgMembership(s.Organization, u)
	}
	if _, err := j.tx.OrgMembership(s.Organization, u); err != nil {
		s.Created = since(d.seat.since)
	}
	_, err = j.tx.PutOrgMembership(s)
	return err
}

// since returns the time that a membership made by a task is from: clocks may go
// back, tasks do not.
func since(task int) time.Time { return time.Unix(int64(task), 0) }

func (j job) relink(g roster.GroupID, d deed) error {
	child, err := j.group(d.names[0])
	if err != nil {
		return err
	}
	if d.kind == "nest" {
		_, err = j.tx.Nest(g, child)
	} else {
		_, err = j.tx.Unnest(g, child)
	}
	return err
}

func (j job) members(g roster.GroupID, d deed) error {
	users := make([]roster.UserID, len(d.names))
	for i, name := range d.names {
		u, err := j.user(name)
		if err != nil {
			return err
		}
		users[i] = u
	}
	var err error
	if d.kind == "add" {
		_, err = j.tx.Add(g, users...)
	} else {
		_, err = j.tx.Remove(g, users...)
	}
	return err
}

// moveToken moves a token from the group that it is in to the other.
func (j job) moveToken(name string) error {
	token, err := j.user(name)
	if err != nil {
		return err
	}
	from, _ := j.tx.GroupByName(common, left)
	to, _ := j.tx.GroupByName(common, right)
	if !j.tx.CheckDirect(token, from) {
		from, to = to, from
	}
	if _, err := j.tx.Remove(from, token); err != nil {
		return err
	}
	_, err = j.tx.Add(to, token)
	return err
}
