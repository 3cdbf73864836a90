package webhooks

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"rollcall/internal/testing/testdb"
	"rollcall/store"
)

// deliver sends a genuine Stripe event.
func (b *bench) deliver(t testing.TB, id string) answer {
	t.Helper()
	body := fmt.Appendf(nil, `{"id":%q,"type":"thing.happened","created":1768212000}`, id)
	return b.send(t, "POST", "/webhooks/stripe", SignStripe(stripeSecrets[0], body, now), body)
}

// Every fixture that an outsider sends is kept byte for byte: what the envelope
// accepts, Postgres takes.
func TestFixturesAreKept(t *testing.T) {
	b := open(t, testdb.Postgres(t), testdb.Redis(t), nil)
	for _, s := range senders[:2] {
		paths, err := filepath.Glob(filepath.Join("..", "testdata", "fixtures", s.source, "*.json"))
		if err != nil || len(paths) < 10 {
			t.Fatalf("%d fixtures: %v", len(paths), err)
		}
		for i, path := range paths {
			if filepath.Base(path) == "headers.example.json" {
				continue
			}
			b.empty(t)
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := b.send(t, "POST", "/webhooks/"+s.source, s.sign(t, 0, fmt.Sprint("msg_", i), body, now), body)
			rows := b.rows(t)
			if got.code != 200 || len(rows) != 1 || rows[0].Payload != string(body) && rows[0].Type != "email.created" {
				t.Errorf("%s: %d %s, %d rows", path, got.code, got.what, len(rows))
			}
		}
	}
}

func TestConcurrentDeliveries(t *testing.T) {
	b := open(t, testdb.Postgres(t), testdb.Redis(t), nil)
	const events, copies = 100, 2
	answers := make(chan answer, events*copies)
	var senders sync.WaitGroup
	for i := range events * copies {
		senders.Go(func() { answers <- b.deliver(t, fmt.Sprint("evt_", i%events)) })
	}
	senders.Wait()
	close(answers)
	counts := map[string]int{}
	for a := range answers {
		counts[fmt.Sprint(a.code, " ", a.what)]++
	}
	if len(counts) != 2 || counts["200 accepted"] != events || counts["200 duplicate"] != events*(copies-1) {
		t.Errorf("answers %v", counts)
	}
	ids := map[string]bool{}
	rows := b.rows(t)
	for _, row := range rows {
		ids[row.EventID] = true
	}
	if len(rows) != events || len(ids) != events {
		t.Errorf("%d rows of %d events, want %d", len(rows), len(ids), events)
	}
}

// A new row is in its source's queue, once; a duplicate asks for nothing.
func TestNewRowsAreEnqueued(t *testing.T) {
	redis := testdb.Redis(t)
	b := open(t, testdb.Postgres(t), redis, nil)
	b.deliver(t, "evt_1")
	b.deliver(t, "evt_1")
	b.deliver(t, "evt_2")
	b.Close()
	for result, want := range map[string]float64{accepted: 2, duplicate: 1} {
		if got := testutil.ToFloat64(b.metrics.received.WithLabelValues(Stripe, result)); got != want {
			t.Errorf("%s: %v, want %v", result, got, want)
		}
	}
	if n := b.enqueuer.enqueued.Load(); n != 2 {
		t.Errorf("%d enqueued", n)
	}
	opt, err := asynq.ParseRedisURI(redis)
	if err != nil {
		t.Fatal(err)
	}
	inspector := asynq.NewInspector(opt)
	defer inspector.Close()
	tasks, err := inspector.ListPendingTasks("stripe")
	if err != nil || len(tasks) != 2 {
		t.Errorf("%d tasks in the queue, want 2: %v", len(tasks), err)
	}
}

func TestSourceWithoutSecrets(t *testing.T) {
	b := open(t, testdb.Postgres(t), testdb.Redis(t), func(c *Config) { delete(c.Secrets, Clerk) })
	for range 3 {
		got := b.send(t, "POST", "/webhooks/clerk", http.Header{}, []byte("{}"))
		if got.code != 503 || got.what != notConfigured || got.header.Get("Retry-After") == "" {
			t.Errorf("%+v", got)
		}
	}
	if got := b.deliver(t, "evt_1"); got.code != 200 {
		t.Errorf("another source: %+v", got)
	}
	b.Close()
	if n := strings.Count(b.log.String(), "CLERK_WEBHOOK_SECRETS"); n != 1 {
		t.Errorf("logged %d times, want once:\n%s", n, b.log)
	}
}

// The log names what was refused and why, and holds neither payloads nor secrets.
func TestLogHoldsNoPayload(t *testing.T) {
	b := open(t, testdb.Postgres(t), testdb.Redis(t), nil)
	body := []byte(`{"id":"evt_1","type":"thing.happened","created":1768212000,"data":"PRIVATE"}`)
	for _, header := range []http.Header{SignStripe(stripeSecrets[0], body, now), SignStripe(stripeSecrets[2], body, now),
		{}} {
		b.send(t, "POST", "/webhooks/stripe", header, body)
	}
	torn := body[:len(body)-3]
	b.send(t, "POST", "/webhooks/stripe", SignStripe(stripeSecrets[0], torn, now), torn)
	b.Close()
	log := b.log.String()
	if lines := strings.Count(log, "\n"); lines != 4 {
		t.Errorf("%d lines for 4 requests", lines)
	}
	for _, want := range []string{"evt_1", invalidSignature, missingSignature, invalidJSON, "path=/webhooks/stripe"} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the log", want)
		}
	}
	for _, secret := range append(stripeSecrets, "PRIVATE", "v1=") {
		if strings.Contains(log, secret) {
			t.Errorf("%q is in the log:\n%s", secret, log)
		}
	}
}

// A sender who hangs up in the middle is refused, nothing of it is kept.
func TestTornBody(t *testing.T) {
	b := open(t, testdb.Postgres(t), testdb.Redis(t), nil)
	body := `{"id":"evt_1","type":"thing.happened","created":1768212000}`
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(
		conn, "POST /webhooks/stripe HTTP/1.1\r\nHost: rollcall\r\nContent-Length: %d\r\nStripe-Signature: %s\r\n\r\n%s",
		len(body)+1, SignStripe(stripeSecrets[0], []byte(body), now).Get("Stripe-Signature"), body)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := readAnswer(t, res); got.code != 400 || got.what != incompleteBody {
		t.Errorf("%+v", got)
	}
	if rows := b.rows(t); len(rows) > 0 {
		t.Errorf("kept %v", rows)
	}
}

// A body that passes as JSON but is more than Postgres will take is its
// sender's problem, and nobody else's.
func TestPostgresRefusesABody(t *testing.T) {
	b := open(t, testdb.Postgres(t)+"&max_stack_depth=100kB", testdb.Redis(t), nil)
	deep := strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000)
	body := []byte(`{"id":"evt_1","type":"thing.happened","created":1768212000,"data":` + deep + `}`)
	if !json.Valid(body) {
		t.Fatal("the body is no JSON for Go either")
	}
	got := b.send(t, "POST", "/webhooks/stripe", SignStripe(stripeSecrets[0], body, now), body)
	if got.code != 400 || got.what != unstorable {
		t.Errorf("%+v", got)
	}
	if got := b.deliver(t, "evt_2"); got.code != 200 || len(b.rows(t)) != 1 {
		t.Errorf("the next: %+v", got)
	}
}

// broken is an inserter with an error of a kind nobody foresaw.
type broken struct{}

func (broken) InsertEvents(context.Context, []store.NewEvent) ([]store.Inserted, error) {
	return nil, errors.New("relation PRIVATE does not exist")
}

func TestInternalErrorIsLoggedAndNotTold(t *testing.T) {
	b := open(t, testdb.Postgres(t), testdb.Redis(t), func(c *Config) { c.Store = broken{} })
	if got := b.deliver(t, "evt_1"); got.code != 500 || got.what != internal || strings.Contains(got.text, "PRIVATE") {
		t.Errorf("%+v", got)
	}
	b.Close()
	failed := testutil.ToFloat64(b.metrics.received.WithLabelValues(Stripe, "error"))
	if !strings.Contains(b.log.String(), "PRIVATE") || failed != 1 {
		t.Errorf("counted %v, logged %s", failed, b.log)
	}
}

// After Close senders are told to come back.
func TestClosed(t *testing.T) {
	b := open(t, testdb.Postgres(t), testdb.Redis(t), nil)
	b.Close()
	if got := b.deliver(t, "evt_1"); got.code != 503 || got.what != unavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("%+v", got)
	}
}
