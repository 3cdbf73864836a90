package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/embedded"
	"rollcall/internal/testing/smtpsink"
	"rollcall/internal/testing/testdb"
	"rollcall/migrations"
	"rollcall/worker"
)

var (
	killedMails = flag.Int("mail.mails", 1000, "mails that are sent while workers are killed")
	mailKills   = flag.Int("mail.kills", 10, "how often their worker is killed")
)

// Workers that send are killed again and again, in the middle of dialogues; Redis is emptied, and
// Postgres dies. The server's own log says what it got: no mail twice. What is sent in the rows it
// has, and what it has is sent in the rows, or in doubt. No mail is left.
func TestMailKilled(t *testing.T) {
	t.Parallel()
	k := newMailKiller(t)
	defer k.explain()
	k.prepare()
	for k.round = 1; k.round <= *mailKills; k.round++ {
		if k.round == *mailKills/3 {
			k.flush()
		}
		k.untilKilled()
	}
	k.untilDone(func() {
		if err := k.servers.KillPostgres(); err != nil {
			t.Error(err)
		}
		if err := k.servers.StartPostgres(context.Background()); err != nil {
			t.Error(err)
		}
	})
	k.compare()
}

// soon makes mails due that are to be tried again later.
const soon = `UPDATE mails SET due_at = now()
	WHERE id IN (SELECT id FROM mails WHERE status = 'due' AND due_at > now() FOR UPDATE SKIP LOCKED) RETURNING ''`

// mailKiller runs workers that are killed when the server has got so many mails.
type mailKiller struct {
	*testing.T
	servers *embedded.Servers
	sink    *smtpsink.Sink
	log     *os.File // of the workers
	round   int

	mu    sync.Mutex
	cmd   *exec.Cmd
	asked int // dialogues in which a recipient was named
	at    int // the dialogue in which the worker is killed; 0: in none
}

func newMailKiller(t *testing.T) *mailKiller {
	t.Helper()
	k := &mailKiller{T: t, servers: testdb.Private(t), sink: smtpsink.Start(t)}
	if _, err := migrations.Up(t.Context(), k.servers.DatabaseURL); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	k.log = log
	k.sink.Before = func(string) { k.dialogue(true) }
	k.sink.Accepted = func(smtpsink.Message) { k.dialogue(false) }
	return k
}

// dialogue kills the worker at the recipient or, every other time, when the server has the mail and
// has not said so.
func (k *mailKiller) dialogue(begins bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if begins {
		k.asked++
	}
	if k.at > 0 && k.asked >= k.at && begins == (k.round%2 == 0) {
		k.at = 0
		_ = k.cmd.Process.Kill()
	}
}

func (k *mailKiller) prepare() {
	k.Helper()
	for _, sql := range []string{
		`INSERT INTO stores (id, name, version) VALUES ('s1', 'Ava''s', '1') RETURNING ''`,
		`INSERT INTO mail_settings (store_id, quiet_from, quiet_to) VALUES ('s1', NULL, NULL) RETURNING ''`,
		`INSERT INTO mail_bodies (store_id, campaign_id, step, version, subject, markdown)
		VALUES ('s1', '', 'a', 1, 'Hi {first_name}', 'Hello from {store}') RETURNING ''`,
		`INSERT INTO customers (store_id, email)
		SELECT 's1', coalesce((ARRAY['cut-', 'once421-', 'once451-', 'rcpt550.5.1.1-', 'data554.5.7.1-'])[1 + n % 40], '') ||
			'p' || n || '@x.example'
		FROM generate_series(1, ` + strconv.Itoa(*killedMails) + `) n RETURNING ''`,
		`INSERT INTO mails (store_id, email, class, step, occurrence, version, due_at, not_after)
		SELECT 's1', email, 'service', 'a', 'o', 1, now(), now() + interval '1 day' FROM customers RETURNING ''`,
	} {
		asked(k.T, k.servers.DatabaseURL, sql)
	}
}

// start starts a worker. The lease of the one before, which is dead, is not waited for, nor are
// the pauses before a mail is tried again.
func (k *mailKiller) start(killAt int) {
	k.Helper()
	asked(k.T, k.servers.DatabaseURL, `UPDATE mail_settings SET lease_until = now(), rest_until = now() RETURNING ''`)
	asked(k.T, k.servers.DatabaseURL, soon)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.at = 0; killAt > 0 {
		k.at = k.asked + killAt
	}
	k.cmd = rollcall([]string{"DATABASE_URL=" + k.servers.DatabaseURL, "REDIS_URL=" + k.servers.RedisURL,
		"LOG_LEVEL=warn", "MAIL_SMTP_URL=" + k.sink.URL, "MAIL_FROM=mail@p.example", "PUBLIC_URL=https://r.example"}, "work")
	k.cmd.Stderr = k.log
	if err := k.cmd.Start(); err != nil {
		k.Fatal(err)
	}
}

// untilKilled runs a worker until it is killed.
func (k *mailKiller) untilKilled() {
	k.Helper()
	k.start(3 + k.round*7%(*killedMails / *mailKills / 2))
	late := time.AfterFunc(deadline, func() { _ = k.cmd.Process.Kill() })
	_ = k.cmd.Wait()
	if status, ok := k.cmd.ProcessState.Sys().(syscall.WaitStatus); !late.Stop() || !ok || !status.Signaled() {
		k.Fatalf("the worker of round %d was to be killed while it sends: %v", k.round, k.cmd.ProcessState)
	}
}

// explain shows what the mails that are left may wait for, if the test failed.
func (k *mailKiller) explain() {
	if !k.Failed() {
		return
	}
	for _, sql := range []string{
		`SELECT s::text FROM mail_settings s`,
		`SELECT concat_ws(' ', status, reason, count(*), 'due', min(due_at), 'claimed', max(claimed_at), 'started',
			max(started_at), 'by', max(claimed_by)) FROM mails GROUP BY status, reason ORDER BY 1`,
		`SELECT concat_ws(' ', pid, state, wait_event_type, wait_event, now() - xact_start, left(query, 300))
		FROM pg_stat_activity WHERE datname = current_database() ORDER BY 1`,
	} {
		k.Logf("%s", strings.Join(asked(k.T, k.servers.DatabaseURL, sql), "\n"))
	}
	log, err := os.ReadFile(k.log.Name())
	k.Logf("the workers' log (%v):\n%s", err, log[max(0, len(log)-5000):])
}

// untilDone runs a worker until all mails have an end; something happens in the middle.
func (k *mailKiller) untilDone(middle func()) {
	k.Helper()
	k.start(0)
	defer func() {
		_ = k.cmd.Process.Kill()
		_ = k.cmd.Wait()
	}()
	middle()
	for left, before := -1, 0; left != 0; before = left {
		eventually(k.T, "more mails have an end", func() bool {
			asked(k.T, k.servers.DatabaseURL, soon)
			asked(k.T, k.servers.DatabaseURL, `UPDATE mail_settings SET rest_until = now() RETURNING ''`)
			left, _ = strconv.Atoi(asked(k.T, k.servers.DatabaseURL,
				`SELECT count(*)::text FROM mails WHERE status IN ('due', 'sending')`)[0])
			return left == 0 || left != before
		})
	}
}

func (k *mailKiller) flush() {
	k.Helper()
	o, err := redis.ParseURL(k.servers.RedisURL)
	if err != nil {
		k.Fatal(err)
	}
	client := redis.NewClient(o)
	defer client.Close()
	if err := client.FlushAll(k.Context()).Err(); err != nil {
		k.Fatal(err)
	}
}

// compare compares the rows with the server's log.
func (k *mailKiller) compare() {
	k.Helper()
	got := map[string]int{}
	for _, m := range k.sink.Log() {
		id := m.Header.Get("X-Rollcall-Mail")
		if got[id]++; got[id] > 1 {
			k.Errorf("mail %s to %s was sent twice", id, m.To)
		}
	}
	by := map[string][]string{}
	for _, line := range asked(k.T, k.servers.DatabaseURL, `SELECT id || ' ' || status FROM mails ORDER BY id`) {
		var id, status string
		_, _ = fmt.Sscan(line, &id, &status)
		by[status] = append(by[status], id)
	}
	for _, id := range by["sent"] {
		if got[id] == 0 {
			k.Errorf("mail %s is sent, and the server did not get it", id)
		}
	}
	for id := range got {
		if !slices.Contains(by["sent"], id) && !slices.Contains(by["unknown"], id) {
			k.Errorf("the server got mail %s, which is neither sent nor unknown", id)
		}
	}
	k.Logf("%d mails: %d sent, %d unknown, %d failed; the server got %d", *killedMails, len(by["sent"]),
		len(by["unknown"]), len(by["failed"]), len(got))
	cut := *killedMails / 40
	if refused := 2 * cut; len(by["failed"]) > refused || len(by["failed"])+len(by["unknown"]) < refused+cut {
		k.Errorf("%d failed, of %d that are refused", len(by["failed"]), refused) // a kill leaves some in doubt
	}
	if unknown := len(by["unknown"]); unknown < cut || unknown > cut+worker.MostLines*(*mailKills+1) {
		k.Errorf("%d unknown: %d were cut, and %d lines were killed %d times", unknown, cut, worker.MostLines, *mailKills)
	}
}
