package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"rollcall/internal/embedded"
	"rollcall/internal/testing/testdb"
	"rollcall/migrations"
	"rollcall/store"
)

// SIGKILL at any moment of a command harms nothing: it is run again, and ends as
// one that was not killed.

// killer runs commands whose way to Postgres counts what they say, and kills them
// as they say something: every other time it arrives all the same.
type killer struct {
	way string // to the database

	mu   sync.Mutex // held while a command starts
	cmd  *exec.Cmd
	at   int // the message at which it is killed; 0: never
	said int
}

func newKiller(t *testing.T, database string) *killer {
	k := &killer{}
	k.way = testdb.Proxy(t, database, k.passes)
	return k
}

func (k *killer) passes(int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.said++; k.said != k.at {
		return true
	}
	k.cmd.Process.Kill()
	return k.at%2 == 0
}

// run runs a command until its end, or till it is killed at a message.
func (k *killer) run(t *testing.T, at int, env []string, args ...string) (ended bool) {
	t.Helper()
	var out bytes.Buffer
	k.mu.Lock()
	k.cmd, k.at, k.said = rollcall(append(env, "DATABASE_URL="+k.way), args...), at, 0
	k.cmd.Stdout, k.cmd.Stderr = &out, &out
	err := k.cmd.Start()
	k.mu.Unlock()
	if err == nil {
		err = k.cmd.Wait()
	}
	if status, ok := k.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return false
	}
	if err != nil {
		t.Fatalf("killed before, %v: %v\n%s", args, err, &out)
	}
	return true
}

// runKilled runs a command again and again, killed later each time, until it comes
// to its end.
func (k *killer) runKilled(t *testing.T, env []string, args ...string) {
	t.Helper()
	kills := 0
	for at := 3; !k.run(t, at, env, args...); at += max(2, at/3) {
		kills++
	}
	if t.Logf("killed %d times", kills); kills < 8 {
		t.Errorf("killed only %d times", kills)
	}
}

// rollcall is the command in a process of its own, with this environment and no
// other settings.
func rollcall(env []string, args ...string) *exec.Cmd {
	cmd := exec.Command("rollcall", args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	return cmd
}

// earlier returns a database of an earlier release.
func earlier(t *testing.T) (url string) {
	t.Helper()
	url = testdb.Empty(t)
	testdb.Restore(t, url, testdb.Dump(t, "../../testdata/upgrade/0013.sql.gz"))
	return url
}

// dumped is all that a database holds, line by line; when migrations were applied
// is left out.
func dumped(t *testing.T, url string) []string {
	t.Helper()
	tool, err := embedded.PostgresTool("pg_dump")
	if err != nil {
		t.Fatal(err)
	}
	dump, err := exec.Command(tool, "--no-owner", "--no-privileges", "--exclude-table-data=rollcall_migrations",
		"--exclude-table-data=id_key", "--exclude-table-data=erasure_key*", // made at random
		"--exclude-table-data=*_id_seq", "--dbname", url).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(dump), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, `restrict `) && l[0] == '\\' })
	slices.Sort(lines)
	return append(lines, asked(t, url, `SELECT version_id::text FROM rollcall_migrations ORDER BY 1`)...)
}

// asked returns what a query answers, a text for each row.
func asked(t *testing.T, url, query string, args ...any) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return all
}

func wantSame(t *testing.T, want, got []string) {
	t.Helper()
	if len(want) < 100 {
		t.Errorf("only %d lines", len(want))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-not killed +killed:\n%s", diff)
	}
}

func TestMigrateKilled(t *testing.T) {
	for name, from := range map[string]func(*testing.T) string{
		"an earlier release": earlier,
		"the first schema":   func(t *testing.T) string { return firstSchema(t, 100) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, url := from(t), from(t)
			newKiller(t, want).run(t, 0, nil, "migrate", "up")
			newKiller(t, url).runKilled(t, nil, "migrate", "up")
			wantSame(t, dumped(t, want), dumped(t, url))
		})
	}
}

// While senders send and workers work, a schema is upgraded by a command that is
// killed again and again: what was acknowledged is there once, and on its list.
func TestUpgradeKilledUnderTraffic(t *testing.T) {
	t.Parallel()
	const people = 60
	url := earlier(t)
	address := "127.0.0.1:" + freePort(t)
	env := []string{
		"REDIS_URL=" + testdb.Redis(t), "LISTEN=" + address, "LOG_LEVEL=warn",
		"PLATFORM_WEBHOOK_SECRETS=" + wardSvix, "ADMIN_TOKEN=0123456789abcdef",
	}
	direct := append(env, "DATABASE_URL="+url)
	launch(t, rollcall(direct, "serve"))
	launch(t, rollcall(direct, "work"))
	sent := make(chan error, 1)
	go func() {
		for n := range people {
			if err := enrol(t.Context(), address, n); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	newKiller(t, url).runKilled(t, env, "migrate", "up")
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	reaches(t, url, fmt.Sprintf("processed %d", people), `
		SELECT status || ' ' || count(*)
		FROM webhook_events
		WHERE event_id LIKE 'traffic-%'
		GROUP BY status`)
	reaches(t, url, fmt.Sprint(people), `SELECT count(*)::text FROM customers WHERE store_id = 'store_traffic'`)
	reaches(t, url, fmt.Sprint(store.Rules), `SELECT rules::text FROM derivation`)
	if err := rollcall(direct, "audit").Run(); err != nil {
		t.Errorf("audit: %v", err)
	}
}

// enrol posts the enrollment of somebody, signed, until it is acknowledged.
func enrol(ctx context.Context, address string, n int) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	for {
		if post(ctx, address, n) == nil {
			return nil
		}
		select {
		case <-tick.C: // as senders do
		case <-ctx.Done():
			return fmt.Errorf("webhook %d was never acknowledged: %w", n, ctx.Err())
		}
	}
}

// reaches waits until a query answers with a text.
func reaches(t *testing.T, url, want, query string) {
	t.Helper()
	tick, end := time.NewTicker(20*time.Millisecond), time.After(deadline)
	defer tick.Stop()
	for {
		got := strings.Join(asked(t, url, query), " ")
		if got == want {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%s: %s, want %s", query, got, want)
		}
	}
}

// madeUp is what an erasure makes up: names, when it was, and its number, with
// which the lines of what it keeps of a person begin or (behind a hash) go on.
var madeUp = regexp.MustCompile(`erased[- ][a-z2-7]{20}|\d{4}-\d\d-\d\d[ T][0-9:.]+(\+00|Z)?|` +
	`^\d+\terased-[a-z2-7]{20}|^(\\\\x[0-9a-f]+\t\S*\t\w+\t)\d+`)

// The numbers of customers may differ: what is killed uses some up.
func TestEraseKilled(t *testing.T) {
	t.Parallel()
	want, url := earlier(t), earlier(t)
	for _, database := range []string{want, url} {
		if _, err := migrations.Up(t.Context(), database); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"REDIS_URL=" + testdb.Redis(t)}
	args := []string{"erase", "--yes", "--email", "ava@lindqvist.example"}
	newKiller(t, want).run(t, 0, env, args...)
	newKiller(t, url).runKilled(t, env, args...)
	if left := asked(t, url, `SELECT count(*)::text FROM erasures WHERE finished_at IS NULL`); left[0] != "0" {
		t.Errorf("%s erasures have not ended", left)
	}
	ends := [2][]string{}
	for i, database := range []string{want, url} {
		last := asked(t, database, `SELECT max(id)::text FROM customers`)[0]
		customer := regexp.MustCompile(`(^|\t)` + last + `\t`)
		for _, line := range dumped(t, database) {
			if strings.Contains(line, "@erased.invalid") {
				line = customer.ReplaceAllString(line, "${1}last\t")
			}
			ends[i] = append(ends[i], madeUp.ReplaceAllString(line, "<>$2"))
		}
		slices.Sort(ends[i])
	}
	wantSame(t, ends[0], ends[1])
}

// A dev that was killed, at whatever moment of its start or its work, starts again
// on the same data folder, and has what it acknowledged.
func TestDevKilled(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(passable(t), "d")
	there := func(name string) func() bool {
		return func() bool { _, err := os.Stat(filepath.Join(dir, name)); return err == nil }
	}
	var record embedded.Record
	runs := func() bool {
		var err error
		record, err = embedded.Running(dir)
		return err == nil && record.Note[noteURL] != ""
	}
	for _, moment := range []func() bool{there("postgres"), there("postgres/data/postmaster.pid"), there("servers.json")} {
		d := launch(t, rollcall(nil, "dev", "--data", dir, "--listen", "127.0.0.1:0"))
		await(t, d, moment)
		d.cmd.Process.Kill()
		<-d.ended
	}
	d := launch(t, rollcall(nil, "dev", "--data", dir, "--listen", "127.0.0.1:0"))
	await(t, d, runs)
	send := rollcall(nil, "events", "send", "--data", dir, "store.upserted", `{"id":"s1","name":"One"}`)
	if out, err := send.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	d.cmd.Process.Kill()
	<-d.ended
	d = launch(t, rollcall(nil, "dev", "--data", dir, "--listen", "127.0.0.1:0"))
	await(t, d, runs)
	reaches(t, record.Note[noteDatabase], "store.upserted processed", `SELECT type || ' ' || status FROM webhook_events`)
	d.cmd.Process.Signal(syscall.SIGTERM)
	if err := d.wait(deadline); err != nil {
		t.Error(err)
	}
}

// await waits for a moment in the life of a process.
func await(t *testing.T, d *daemon, moment func() bool) {
	t.Helper()
	tick, end := time.NewTicker(time.Millisecond), time.After(deadline)
	defer tick.Stop()
	for !moment() {
		select {
		case <-tick.C:
		case <-d.ended:
			t.Fatalf("it ended: %v\n%s", d.err, &d.log)
		case <-end:
			t.Fatal("the moment never came")
		}
	}
}
