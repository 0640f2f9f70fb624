package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/exchange"
)

// The size of the demonstration: a company that imports in a second or two.
const (
	demoUsers  = 20_000
	demoGroups = 2_000
	demoChecks = 200_000
	demoKill   = 700 * time.Millisecond // how long the child writes before it is killed
)

// demo is one run of the demonstration.
type demo struct {
	*program
	ctx   context.Context
	dir   string
	start time.Time
}

func (p *program) demoCommand() *cobra.Command {
	var writer bool
	cmd := &cobra.Command{
		Use:     "demo",
		Short:   "Show the main of it on data made up in a temporary folder, in a few seconds",
		Example: example("roster demo"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if writer {
				return p.demoWriter(cmd.Context())
			}
			dir, err := os.MkdirTemp("", "roster-demo-*")
			if err != nil {
				return err
			}
			d := &demo{program: p, ctx: cmd.Context(), dir: dir, start: time.Now()}
			d.data = filepath.Join(dir, "data")
			return errors.Join(d.run(), os.RemoveAll(dir))
		},
	}
	// What the demonstration kills is this program, run once more as a writer.
	cmd.Flags().BoolVar(&writer, "writer", false, "")
	_ = cmd.Flags().MarkHidden("writer") // fails only for a flag that does not exist
	return cmd
}

func (d *demo) run() error {
	fmt.Fprintf(d.stdout, "roster demo: %s users in %s groups, made up in a temporary folder\n\n", count(demoUsers), count(demoGroups))
	for _, step := range []func() error{d.load, d.ask, d.find, d.organise, d.refresh, d.crash, d.verify} {
		if err := d.ctx.Err(); err != nil {
			return err
		}
		if err := step(); err != nil {
			return err
		}
	}
	fmt.Fprintf(d.stdout, "\nAll of it took %s; the folder is removed. `roster --help` lists the commands.\n", span(time.Since(d.start)))
	return nil
}

// say prints what a step did and how long it took.
func (d *demo) say(what string, took time.Duration, format string, args ...any) {
	fmt.Fprintf(d.stdout, "%-10s %9s  %s\n", what, span(took), fmt.Sprintf(format, args...))
}

// more prints a line under a step.
func (d *demo) more(format string, args ...any) {
	fmt.Fprintf(d.stdout, "%-20s  %s\n", "", fmt.Sprintf(format, args...))
}

// span writes a duration with three digits.
func span(t time.Duration) string {
	for unit := time.Second; unit > 1; unit /= 1000 {
		if t >= unit {
			digits := max(unit/1000, 1)
			return t.Round(digits * 10).String()
		}
	}
	return t.String()
}

// load makes an LDIF and imports it.
func (d *demo) load() error {
	name := filepath.Join(d.dir, "company.ldif")
	start := time.Now()
	size, err := writeCompany(name)
	if err != nil {
		return err
	}
	d.say("generate", time.Since(start), "an LDIF of %s, as a directory server would export it", mebi(size))
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	start = time.Now()
	plan, err := exchange.Read(d.ctx, exchange.Options{Directory: "company"}, exchange.Input{Name: name, Reader: f})
	if err != nil {
		return err
	}
	defer plan.Close()
	sum, err := plan.Build(d.ctx, d.data, roster.Options{})
	if err != nil {
		return err
	}
	d.say("import", time.Since(start), "%s users, %s groups, %s memberships, all of it checked first",
		count(int(sum.Users)), count(int(sum.Groups)), count(int(sum.Memberships)))
	return nil
}

// writeCompany writes an LDIF: teams of people, departments of teams, divisions
// of departments, and everybody. It is the same in every run.
func writeCompany(name string) (int, error) {
	f, err := os.Create(name)
	if err != nil {
		return 0, err
	}
	out := bufio.NewWriterSize(f, 1<<16)
	random := rand.New(rand.NewPCG(1, 2))
	size := 0
	print := func(format string, args ...any) {
		n, _ := fmt.Fprintf(out, format, args...) // Flush returns the error
		size += n
	}
	for i := range demoUsers {
		print("dn: uid=%[1]s,ou=people,dc=company\nobjectClass: inetOrgPerson\nuid: %[1]s\ncn: Person %[2]d\nsn: %[2]d\nmail: %[1]s@company.example\n\n", demoUser(i), i)
	}
	groups := [][]string{nil} // by level, the teams first
	group := func(name string, members func()) {
		print("dn: cn=%[1]s,ou=groups,dc=company\nobjectClass: groupOfNames\ncn: %[1]s\n", name)
		members()
		print("\n")
	}
	level := func(prefix string, n int, under []string) (names []string) {
		for i := range n {
			names = append(names, fmt.Sprintf("%s-%d", prefix, i))
			group(names[i], func() {
				for j := i; j < len(under); j += n {
					print("member: cn=%s,ou=groups,dc=company\n", under[j])
				}
			})
		}
		return names
	}
	const departments, divisions = 180, 18
	for i := range demoGroups - departments - divisions - 2 {
		name := fmt.Sprintf("team-%d", i)
		groups[0] = append(groups[0], name)
		group(name, func() {
			for range 20 + random.IntN(160) {
				print("member: uid=%s,ou=people,dc=company\n", demoUser(random.IntN(demoUsers)))
			}
		})
	}
	top := level("division", divisions, level("department", departments, groups[0]))
	level("company", 1, top)
	group("contractors", func() {
		for i := 0; i < demoUsers; i += 7 {
			print("member: uid=%s,ou=people,dc=company\n", demoUser(i))
		}
	})
	return size, errors.Join(out.Flush(), f.Close())
}

func demoUser(i int) string { return fmt.Sprintf("person%05d", i) }

func mebi(n int) string { return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB" }

// ask opens what was imported and asks the questions of the day.
func (d *demo) ask() error {
	start := time.Now()
	return d.open(d.ctx, roster.Options{ReadOnly: true}, func(e *roster.Engine) error {
		d.say("open", time.Since(start), "from nothing in memory to the first answer")
		if err := d.askChecks(e); err != nil {
			return err
		}
		return e.View(d.ctx, d.askSet)
	})
}

func (d *demo) askChecks(e *roster.Engine) error {
	random := rand.New(rand.NewPCG(3, 4))
	pairs := make([]roster.Membership, demoChecks)
	err := e.View(d.ctx, func(tx *roster.Txn) error {
		users, err := tx.Users()
		if err != nil {
			return err
		}
		var all []roster.UserID
		for u := range users.All() {
			all = append(all, u)
		}
		var groups []roster.GroupID
		for g := range tx.GroupsByName() {
			groups = append(groups, g)
		}
		for i := range pairs {
			pairs[i] = roster.Membership{User: all[random.IntN(len(all))], Group: groups[random.IntN(len(groups))]}
		}
		return nil
	})
	if err != nil {
		return err
	}
	yes := 0
	start := time.Now()
	for _, p := range pairs {
		if e.Check(p.User, p.Group) {
			yes++
		}
	}
	took := time.Since(start)
	d.say("check", took, "%s random checks through nested groups, %s each; %s said yes",
		count(demoChecks), (took / demoChecks).String(), count(yes))
	return e.View(d.ctx, func(tx *roster.Txn) error { return d.askPath(tx) })
}

// askPath shows how one user is in a group at the top.
func (d *demo) askPath(tx *roster.Txn) error {
	name := demoUser(demoUsers / 2)
	user, err := tx.FindUser(name)
	if err != nil {
		return err
	}
	start := time.Now()
	groups, err := tx.Groups(user)
	took := time.Since(start)
	if err != nil {
		return err
	}
	direct, err := tx.DirectGroups(user)
	if err != nil {
		return err
	}
	d.say("groups", took, "%s is in %d groups, %d of them directly", name, len(groups), len(direct))
	if len(direct) == 0 {
		return nil
	}
	path := tx.GroupName(direct[0])
	for g := direct[0]; ; {
		parents, err := tx.Parents(g)
		if err != nil || len(parents) == 0 {
			d.more("%s -> %s", name, path)
			return err
		}
		g = parents[0]
		path += " -> " + tx.GroupName(g)
	}
}

// askSet evaluates a set expression, cold and warm.
func (d *demo) askSet(tx *roster.Txn) error {
	const text = "division-0 & division-1 & !contractors"
	start := time.Now()
	x, err := roster.ParseExpr(text)
	if err != nil {
		return err
	}
	set, err := tx.Eval(x)
	if err != nil {
		return err
	}
	n := set.Len()
	d.say("members", time.Since(start), "%s: %s users", text, count(n))
	first := ""
	for u := range set.ByName("") {
		if n--; n < set.Len()-3 {
			first += ", …"
			break
		}
		if first != "" {
			first += ", "
		}
		first += tx.Username(u)
	}
	d.more("by name: %s", first)
	return nil
}

// organise makes an organisation of some users and an administrator of a group,
// in one Update, and asks about both.
func (d *demo) organise() error {
	return d.open(d.ctx, roster.Options{}, func(e *roster.Engine) error {
		var admin roster.UserID
		members := 0
		start := time.Now()
		_, err := e.Update(d.ctx, func(tx *roster.Txn) (err error) {
			if members, err = organisation(tx, "agency", "contractors"); err != nil {
				return err
			}
			group, err := tx.FindGroup("division-0")
			if err != nil {
				return err
			}
			if admin, err = tx.FindUser(demoUser(1)); err == nil {
				_, err = tx.AddAdmins(group, admin)
			}
			return err
		})
		if err != nil {
			return err
		}
		d.say("organise", time.Since(start), "an organisation of %s members with an owner and a role, in one durable step", count(members))
		return e.View(d.ctx, func(tx *roster.Txn) error {
			start := time.Now()
			groups, err := tx.Administered(admin)
			if err != nil {
				return err
			}
			assignable, err := tx.Assignable(admin)
			if err != nil {
				return err
			}
			d.say("delegate", time.Since(start), "%s administers %s and may give it any of %s users",
				tx.Username(admin), joined(tx, groups), count(assignable.Len()))
			return nil
		})
	})
}

// organisation makes an organisation of the members of a group, the first of
// them its owner.
func organisation(tx *roster.Txn, id, of string) (int, error) {
	group, err := tx.FindGroup(of)
	if err != nil {
		return 0, err
	}
	members, err := tx.Members(group)
	if err != nil {
		return 0, err
	}
	if _, err := tx.PutOrganization(roster.Organization{ID: id}); err != nil {
		return 0, err
	}
	if _, err := tx.PutRole(roster.Role{Organization: id, ID: "booker", Permissions: []string{"hours.write"}}); err != nil {
		return 0, err
	}
	owner := true
	for user := range members.ByName("") {
		m := roster.OrgMembership{Organization: id, User: user, Owner: owner, Roles: []string{"booker"}}
		if _, err := tx.PutOrgMembership(m); err != nil {
			return 0, err
		}
		owner = false
	}
	return members.Len(), nil
}

// crash lets a child process write, kills it in the middle of that, and looks
// whether everything that was acknowledged is there.
func (d *demo) crash() error {
	start := time.Now()
	acknowledged, err := d.killWriter()
	if err != nil {
		return err
	}
	d.say("kill -9", time.Since(start), "a process that added members one by one; %s adds were acknowledged", count(acknowledged))
	start = time.Now()
	return d.open(d.ctx, roster.Options{}, func(e *roster.Engine) error {
		took := time.Since(start)
		return e.View(d.ctx, func(tx *roster.Txn) error {
			group, err := tx.FindGroup(demoTarget)
			if err != nil {
				return err
			}
			set, err := tx.DirectMembers(group)
			if err != nil {
				return err
			}
			for i := range acknowledged {
				user, err := tx.FindUser(demoUser(i))
				if err != nil {
					return err
				}
				if !set.Contains(user) {
					return fmt.Errorf("the add of %s was acknowledged and is lost: please report it", demoUser(i))
				}
			}
			d.say("reopen", took, "all %s acknowledged adds are there (and %d that was under way)", count(acknowledged), set.Len()-acknowledged)
			return nil
		})
	})
}

// demoTarget is the group that the child process adds to.
const demoTarget = "crash-test"

// killWriter runs this program as a writer, kills it without warning and
// returns how many adds it has reported as done.
func (d *demo) killWriter() (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	child := exec.CommandContext(d.ctx, self, "demo", "--writer", "--data", d.data)
	child.Args[0] = os.Args[0]
	child.Stderr = d.stderr
	out, err := child.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := child.Start(); err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(out)
	kill := func() { _ = child.Process.Kill() } // an error means that it has ended: seen below
	acknowledged := 0
	var timer *time.Timer
	for lines.Scan() {
		acknowledged++
		switch acknowledged {
		case 1:
			timer = time.AfterFunc(demoKill, kill)
		case demoUsers / 2:
			kill() // on a disk so fast that it would be through before its time
		}
	}
	if timer != nil {
		timer.Stop()
	}
	err = child.Wait()
	var exit *exec.ExitError
	if acknowledged == 0 || err == nil || !errors.As(err, &exit) || exit.Exited() {
		return 0, fmt.Errorf("the child process should have been killed while writing and ended otherwise: %v after %d adds", err, acknowledged)
	}
	return acknowledged, d.ctx.Err()
}

// demoWriter is the child process: it adds one user after the other to a group,
// each in its own Update, and reports each when that has returned.
func (p *program) demoWriter(ctx context.Context) error {
	return p.open(ctx, roster.Options{}, func(e *roster.Engine) error {
		var group roster.GroupID
		_, err := e.Update(ctx, func(tx *roster.Txn) (err error) {
			group, err = tx.CreateGroup(roster.Group{Directory: 1, Name: demoTarget})
			return err
		})
		for i := 0; err == nil && i < demoUsers; i++ {
			_, err = e.Update(ctx, func(tx *roster.Txn) error {
				user, err := tx.FindUser(demoUser(i))
				if err == nil {
					_, err = tx.Add(group, user)
				}
				return err
			})
			if err == nil {
				_, err = io.WriteString(p.stdout, demoUser(i)+"\n")
			}
		}
		return err
	})
}

func (d *demo) verify() error {
	start := time.Now()
	return d.open(d.ctx, roster.Options{ReadOnly: true}, func(e *roster.Engine) error {
		if err := e.Verify(d.ctx, nil); err != nil {
			return err
		}
		d.say("verify", time.Since(start), "every byte and every derived structure is right, revision %s", e.Revision())
		return nil
	})
}
