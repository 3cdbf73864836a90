package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/firstschema"
	"rollcall/internal/testing/testdb"
	"rollcall/webhooks"
)

// firstSchema returns a database in the first schema that had customers, with so many of them.
func firstSchema(t *testing.T, customers int) (url string) {
	t.Helper()
	url = testdb.Empty(t)
	if err := firstschema.Make(t.Context(), url, customers); err != nil {
		t.Fatal(err)
	}
	return url
}

// While a database of the first schema is upgraded, each webhook is accepted at its first try: by a
// server of this version, which is there before its schema, and in the words of the first version.
func TestUpgradeRefusesNoWebhook(t *testing.T) {
	t.Parallel()
	url := firstSchema(t, 5000)
	address := "127.0.0.1:" + freePort(t)
	env := []string{"DATABASE_URL=" + url, "REDIS_URL=" + testdb.Redis(t), "LISTEN=" + address, "LOG_LEVEL=error",
		"PLATFORM_WEBHOOK_SECRETS=" + wardSvix, "ADMIN_TOKEN=0123456789abcdef"}
	launch(t, rollcall(env, "serve"))
	eventually(t, "serve answers", func() bool { return asks(address, "/healthz") == http.StatusOK })
	if got := asks(address, "/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("with the first schema it is ready: %d", got)
	}
	senders := []*sender{
		{send: func(ctx context.Context, n int) error { return post(ctx, address, n) }}, firstSender(t, url)}
	stop := make(chan struct{})
	var sending sync.WaitGroup
	for _, s := range senders {
		sending.Go(func() { s.run(t.Context(), stop) })
	}
	said := migrateTwice(t, env)
	close(stop)
	sending.Wait()
	if !strings.Contains(said, "applied 0033_dismissed_events.sql") || !strings.Contains(said, "nothing to do") {
		t.Errorf("the two said:\n%s", said)
	}
	for i, s := range senders {
		t.Logf("sender %d: the longest of %d webhooks took %v", i, s.sent, s.longest)
		if s.failed != nil || s.sent == 0 {
			t.Errorf("sender %d, webhook %d: %v", i, s.sent, s.failed)
		}
	}
	reaches(t, url, fmt.Sprint(senders[0].sent+senders[1].sent),
		`SELECT count(*)::text FROM webhook_events WHERE event_id LIKE 'traffic-%'`)
	eventually(t, "serve is ready", func() bool { return asks(address, "/readyz") == http.StatusOK })
	launch(t, rollcall(env, "work"))
	reaches(t, url, "0", `SELECT count(*)::text FROM webhook_events WHERE status <> 'processed'`)
	reaches(t, url, fmt.Sprint(max(senders[0].sent, senders[1].sent)), // both enrol the same people
		`SELECT count(*)::text FROM customers WHERE store_id = 'store_traffic'`)
}

// migrateTwice starts two migrations at once, and returns what both said.
func migrateTwice(t *testing.T, env []string) string {
	t.Helper()
	one, other := launch(t, rollcall(env, "migrate", "up")), launch(t, rollcall(env, "migrate", "up"))
	for _, d := range []*daemon{one, other} {
		if err := d.wait(2 * deadline); err != nil {
			t.Error(err)
		}
	}
	return one.log.String() + other.log.String()
}

// asks returns the status that a server answers with; 0: none.
func asks(address, path string) int {
	res, err := http.Get("http://" + address + path)
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

// patience is how long a webhook may wait. A migration holds a table for a second at most; the rest
// is for a busy machine.
const patience = 5 * time.Second

// sender sends one webhook after the other, each once.
type sender struct {
	send    func(ctx context.Context, n int) error
	sent    int
	longest time.Duration
	failed  error
}

func (s *sender) run(ctx context.Context, stop <-chan struct{}) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-stop:
			return
		}
		began := time.Now()
		waits, cancel := context.WithTimeout(ctx, patience)
		s.failed = s.send(waits, s.sent)
		if cancel(); s.failed != nil {
			return
		}
		s.sent++
		s.longest = max(s.longest, time.Since(began))
	}
}

func trafficBody(n int) []byte {
	return fmt.Appendf(nil, `{"type":"enrollment.upserted","timestamp":%q,
		"data":{"course_id":"c","store_id":"store_traffic","email":"p%d@traffic.example"}}`,
		time.Now().UTC().Format(time.RFC3339Nano), n)
}

// post sends the enrollment of a person, and wants it accepted.
func post(ctx context.Context, address string, n int) error {
	body := trafficBody(n)
	to := "http://" + address + "/webhooks/platform"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if req.Header, err = webhooks.SignPlatform(wardSvix, fmt.Sprintf("traffic-%d", n), body, time.Now()); err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if answer, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s %v", res.Status, answer, err)
	}
	return nil
}

// firstSender stores events as the receiver of the first version did.
func firstSender(t *testing.T, url string) *sender {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return &sender{send: func(ctx context.Context, n int) error {
		return firstschema.Receive(ctx, conn, "platform", fmt.Sprint("traffic-first-", n), "enrollment.upserted",
			trafficBody(n))
	}}
}
