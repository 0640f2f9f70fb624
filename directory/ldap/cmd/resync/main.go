// Command resync measures a sync that finds nothing to change: it makes up an
// organisation, loads it into a slapd of its own, brings it into an engine, and
// syncs again. It prints the times, and how much memory the second sync took above
// the engine at most.
//
//	go run ./directory/ldap/cmd/resync -users 100000 -groups 10000 -members 100
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/directory"
	"github.com/rosterdb/roster/directory/ldap"
	"github.com/rosterdb/roster/directory/ldap/slapdtest"
)

var (
	users    = flag.Int("users", 100_000, "users")
	groups   = flag.Int("groups", 10_000, "groups")
	perGroup = flag.Int("members", 100, "members of a group, on average; one group in ten is nested in another")
	changes  = flag.Int("refresh", 1000, "users to refresh, one by one, at the end")
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	dir, err := os.MkdirTemp("", "resync-*")
	if err != nil {
		log.Fatal(err)
	}
	err = run(context.Background(), dir)
	if rmErr := os.RemoveAll(dir); err == nil {
		err = rmErr
	}
	if err != nil {
		log.Fatal(err)
	}
}

const suffix = "dc=example"

func run(ctx context.Context, dir string) error {
	file := filepath.Join(dir, "made.ldif")
	if err := generate(file); err != nil {
		return err
	}
	serverDir := filepath.Join(dir, "slapd")
	if err := os.Mkdir(serverDir, 0o700); err != nil {
		return err
	}
	begin := time.Now()
	s, err := slapdtest.Start(ctx, serverDir, slapdtest.Options{Suffix: suffix, LDIF: file, MaxBytes: 8 << 30})
	if err != nil {
		return err
	}
	defer s.Kill()
	step("slapd loaded and started", begin)
	if err := os.Setenv("RESYNC_PASSWORD", slapdtest.Password); err != nil {
		return err
	}
	src, err := ldap.New(ldap.Config{
		URL: s.URL, TLSCAFile: s.CAFile, BaseDN: suffix, UserBase: "ou=people," + suffix, GroupBase: "ou=groups," + suffix,
		BindDN: s.Reader, PasswordEnv: "RESYNC_PASSWORD", Schema: ldap.OpenLDAP(),
	})
	if err != nil {
		return err
	}
	defer src.Close()
	if err := sync(ctx, filepath.Join(dir, "data"), src, "first sync"); err != nil {
		return err
	}
	return sync(ctx, filepath.Join(dir, "data"), src, "sync without a change")
}

func step(what string, begin time.Time) {
	fmt.Printf("%-40s %8.2f s\n", what, time.Since(begin).Seconds())
}

// sync opens the engine, syncs, and tells what that took.
func sync(ctx context.Context, data string, src *ldap.Source, what string) error {
	e, err := roster.Open(data, roster.Options{NoSearchIndex: true})
	if err != nil {
		return err
	}
	defer e.Close()
	l, err := directory.New(e, src, directory.Options{Directory: "corp"})
	if err != nil {
		return err
	}
	runtime.GC()
	debug.FreeOSMemory()
	before := now()
	stop := watch()
	begin := time.Now()
	report, err := l.Sync(ctx, directory.Run{})
	peak := stop()
	if err != nil {
		return err
	}
	step(what, begin)
	fmt.Printf("  %d users, %d groups, %d memberships; %d changes of records, %d of memberships\n", report.Users, report.Groups, report.Memberships,
		len(report.Diff.Users)+len(report.Diff.Groups), len(report.Diff.Added)+len(report.Diff.Removed))
	fmt.Printf("  memory from the system: %.0f MiB with the engine alone, %.0f MiB at most meanwhile: %.0f MiB more\n", mib(before.total), mib(peak.total), mib(peak.total-before.total))
	fmt.Printf("  heap in use:            %.0f MiB with the engine alone, %.0f MiB at most meanwhile: %.0f MiB more\n", mib(before.heap), mib(peak.heap), mib(peak.heap-before.heap))
	if !report.Diff.Empty() {
		return nil
	}
	begin = time.Now()
	r := rand.New(rand.NewPCG(2, 2))
	for range *changes {
		if _, err := l.Refresh(ctx, directory.Run{}, fmt.Sprintf("user-%07d", r.IntN(*users))); err != nil {
			return err
		}
	}
	fmt.Printf("%-40s %8.2f ms each\n", fmt.Sprintf("%d refreshes of one user", *changes), time.Since(begin).Seconds()*1000/float64(*changes))
	return nil
}

// usage is memory of this process; the server is another one.
type usage struct {
	total uint64 // taken from the system and not given back
	heap  uint64 // objects, dead ones that were not collected yet included
}

func mib(n uint64) float64 { return float64(n) / (1 << 20) }

func now() usage {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(samples)
	return usage{samples[0].Value.Uint64() - samples[1].Value.Uint64(), samples[2].Value.Uint64()}
}

// watch samples the usage until it is stopped, and returns the greatest.
func watch() (stop func() usage) {
	quit, done := make(chan struct{}), make(chan usage)
	go func() {
		peak := now()
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				u := now()
				peak.total, peak.heap = max(peak.total, u.total), max(peak.heap, u.heap)
			case <-quit:
				done <- peak
				return
			}
		}
	}()
	return func() usage { close(quit); return <-done }
}

// generate writes an organisation as LDIF, the same each time.
func generate(file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	out := bufio.NewWriterSize(f, 1<<20)
	r := rand.New(rand.NewPCG(1, 1))
	fmt.Fprintf(out, "dn: %s\nobjectClass: dcObject\nobjectClass: organization\no: x\ndc: example\n\n", suffix)
	for _, ou := range []string{"people", "groups"} {
		fmt.Fprintf(out, "dn: ou=%s,%s\nobjectClass: organizationalUnit\nou: %[1]s\n\n", ou, suffix)
	}
	for i := range *users {
		fmt.Fprintf(out, "dn: uid=user-%07d,ou=people,%s\nobjectClass: inetOrgPerson\nuid: user-%07[1]d\ncn: User Number %[1]d\nsn: %[1]d\nmail: user-%07[1]d@example.org\n\n", i, suffix)
	}
	for i := range *groups {
		fmt.Fprintf(out, "dn: cn=group-%06d,ou=groups,%s\nobjectClass: groupOfNames\ncn: group-%06[1]d\nmember: cn=nobody\n", i, suffix)
		seen := map[int]bool{}
		for range r.IntN(2**perGroup + 1) {
			u := r.IntN(*users)
			if !seen[u] {
				seen[u] = true
				fmt.Fprintf(out, "member: uid=user-%07d,ou=people,%s\n", u, suffix)
			}
		}
		if i > 0 && i%10 == 0 {
			fmt.Fprintf(out, "member: cn=group-%06d,ou=groups,%s\n", r.IntN(i), suffix)
		}
		fmt.Fprintln(out)
	}
	return out.Flush()
}
