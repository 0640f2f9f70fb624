package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// following is a process that follows the log of a folder.
type following struct {
	*testing.T
	data  string
	cmd   *exec.Cmd
	lines chan string
	errs  bytes.Buffer
}

func newFollowing(t *testing.T, data string, args ...string) *following {
	f := &following{T: t, data: data, lines: make(chan string, 1000)}
	f.cmd = exec.Command("roster", append([]string{"--data", data, "changes", "--follow"}, args...)...)
	f.cmd.Stderr = &f.errs
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.cmd.Process.Kill() })
	go func() {
		defer close(f.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			f.lines <- s.Text()
		}
	}()
	return f
}

// roster runs a command in a process of its own, which must succeed.
func (f *following) roster(args ...string) {
	f.Helper()
	cmd := exec.Command("roster", append([]string{"--data", f.data}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		f.Fatalf("roster %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// expect waits for a line that holds all parts, and fails at any other.
func (f *following) expect(parts ...string) {
	f.Helper()
	select {
	case line, ok := <-f.lines:
		for _, part := range parts {
			if !ok || !strings.Contains(line, part) {
				f.Fatalf("the next line is %q, want %q; stderr: %s", line, parts, f.errs.String())
			}
		}
	case <-time.After(30 * time.Second):
		f.Fatalf("nothing came, want %q", parts)
	}
}

// quiet checks that nothing comes for a while.
func (f *following) quiet(d time.Duration) {
	f.Helper()
	select {
	case line, ok := <-f.lines:
		f.Fatalf("%q came (%v)", line, ok)
	case <-time.After(d):
	}
}

// stop ends the process by a signal, and checks that it takes that for the end
// of its work.
func (f *following) stop(s os.Signal) {
	f.Helper()
	if err := f.cmd.Process.Signal(s); err != nil {
		f.Fatal(err)
	}
	for line := range f.lines {
		f.Errorf("%q came at the end", line)
	}
	if err := f.cmd.Wait(); err != nil {
		f.Errorf("it ended with %v: %s", err, f.errs.String())
	}
}

// TestFollow: a process prints what others change, by the names that the changed
// had, and stands in nobody's way.
func TestFollow(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	setup := &following{T: t, data: data}
	setup.roster("user", "put", "alice")
	setup.roster("group", "put", "sales")
	setup.roster("group", "put", "leads")

	f := newFollowing(t, data, "--from", "2")
	f.expect(`"revision":2,`, `"group.put"`, `"sales"`)
	f.expect(`"revision":3,`, `"leads"`)
	f.roster("user", "put", "bob")
	f.expect(`"revision":4,`, `"user.put"`, `"bob"`)
	f.roster("add", "sales", "bob", "alice", "group:leads")
	f.expect(`"members.add"`, `{"directory":1,"name":"sales"},"users":[{"directory":1,"username":"alice"},{"directory":1,"username":"bob"}]`)
	f.expect(`"groups.nest"`, `"subgroups":[{"directory":1,"name":"leads"}]`)
	f.roster("admin", "add", "sales", "alice", "group:leads")
	f.expect(`"admins.add"`, `"name":"sales"},"users":[{"directory":1,"username":"alice"}]`)
	f.expect(`"adminGroups.add"`, `"name":"sales"},"byGroups":[{"directory":1,"name":"leads"}]`)
	f.roster("org", "put", "acme", "--name", "Acme Ltd")
	f.expect(`"organization.put","organization":{`, `"id":"acme","name":"Acme Ltd"`)
	f.roster("role", "put", "acme", "clerk", "--permission", "read")
	f.expect(`"role.put","role":{`, `"organization":"acme","id":"clerk"`, `"permissions":["read"]`)
	f.roster("org", "join", "acme", "alice", "--role", "clerk")
	f.expect(`"orgMembership.put","orgMembership":{`, `"organization":"acme"`, `"roleIds":["clerk"]`, `"user":{"directory":1,"username":"alice"}}`)

	// Who was there before the follower, and is removed between two looks, has a name.
	f.roster("user", "rm", "alice")
	for _, want := range []string{
		`"orgMembership.delete","orgMembership":{"organization":"acme"},"user":{"directory":1,"username":"alice"}`,
		`"members.remove","group":{"directory":1,"name":"sales"},"users":[{"directory":1,"username":"alice"}]`,
		`"admins.remove","group":{"directory":1,"name":"sales"},"users":[{"directory":1,"username":"alice"}]`,
		`"user.delete","user":{"directory":1,"username":"alice"}`,
	} {
		f.expect(want)
	}
	f.roster("group", "rm", "leads")
	f.expect(`"groups.unnest"`, `"subgroups":[{"directory":1,"name":"leads"}]`)
	f.expect(`"adminGroups.remove"`, `"byGroups":[{"directory":1,"name":"leads"}]`)
	f.expect(`"group.delete","group":{"directory":1,"name":"leads"}`)
	f.roster("role", "rm", "acme", "clerk")
	f.expect(`"role.delete","role":{"organization":"acme","id":"clerk"}`)
	f.roster("org", "rm", "acme")
	f.expect(`"organization.delete","organization":{"id":"acme"}`)
	f.quiet(followLate * 3 / 2)
	f.stop(os.Interrupt)
}

// TestFollowLocked: a process that has the data for itself is waited for.
func TestFollowLocked(t *testing.T) {
	dir := t.TempDir()
	data, ready := filepath.Join(dir, "data"), filepath.Join(dir, "ready")
	f := &following{T: t, data: data}
	f.roster("user", "put", "alice")
	holder := exec.Command("hold", data, ready)
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Process.Kill() }()
	for !exists(ready) {
		time.Sleep(10 * time.Millisecond)
	}
	f = newFollowing(t, data)
	f.quiet(patience + 3*followLate)
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait() // killed
	f.expect(`"directory.put"`)
	f.expect(`"user.put"`, `"alice"`)
	f.stop(syscall.SIGTERM)
	if got := f.errs.String(); strings.Count(got, "is in use by another process") != 1 {
		t.Errorf("stderr: %s", got)
	}
}

// TestFollowReplaced: other data in the same folder is not taken for news.
func TestFollowReplaced(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	f := newFollowingOf(t, data, "alice", "bob")
	other := &following{T: t, data: data + "-other"}
	other.roster("user", "put", "carol")
	if err := errors.Join(os.Rename(data, data+"-old"), os.Rename(other.data, data)); err != nil {
		t.Fatal(err)
	}
	for range f.lines {
	}
	if err := f.cmd.Wait(); err == nil {
		t.Errorf("it ended well: %s", f.errs.String())
	}
	if got := f.errs.String(); !strings.Contains(got, "it was replaced") && !strings.Contains(got, "there is no data") {
		t.Errorf("stderr: %s", got)
	}
}

// newFollowingOf follows the log of a folder with some users.
func newFollowingOf(t *testing.T, data string, users ...string) *following {
	t.Helper()
	setup := &following{T: t, data: data}
	for _, name := range users {
		setup.roster("user", "put", name)
	}
	f := newFollowing(t, data)
	f.expect(`"directory.put"`)
	for _, name := range users {
		f.expect(`"user.put"`, name)
	}
	return f
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
