package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"rollcall/internal/embedded"
	"rollcall/internal/testing/testdb"
	"rollcall/jobs"
	"rollcall/migrations"
	"rollcall/store"
	"rollcall/web"
	"rollcall/web/core"
	"rollcall/webhooks"
	"rollcall/worker"
)

const (
	sweepEvery = 200 * time.Millisecond
	grace      = time.Second
	secret     = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	adminToken = "end-to-end-0123456789"
	// patience is how long a test waits for what must come. No test is about
	// how soon it does.
	patience = 2 * time.Minute
)

// system is a Rollcall on servers of its own, or on those that tests share.
type system struct {
	t       *testing.T
	servers *embedded.Servers
	http    *httptest.Server
	pool    *pgxpool.Pool // for looking
	store   *store.Store
	jobs    *jobs.Client
	eyes    eyes
}

// eyes are what watches a system.
type eyes struct {
	log    *slog.Logger
	traces trace.TracerProvider
	grace  time.Duration // of workers, before they look for lost jobs
}

var blind = eyes{log: slog.New(slog.DiscardHandler), grace: grace}

func newSystem(t *testing.T) *system {
	t.Helper()
	servers := testdb.Private(t)
	if _, err := migrations.Up(t.Context(), servers.DatabaseURL); err != nil {
		t.Fatal(err)
	}
	return newSystemOn(t, servers, blind)
}

// newSharedSystem is a Rollcall with databases of its own on the servers that all
// tests share: for those that stop no server.
func newSharedSystem(t *testing.T) *system {
	t.Helper()
	return newWatchedSystem(t, blind)
}

func newWatchedSystem(t *testing.T, by eyes) *system {
	t.Helper()
	return newSystemOn(t, &embedded.Servers{DatabaseURL: testdb.Postgres(t), RedisURL: testdb.Redis(t)}, by)
}

func newSystemOn(t *testing.T, servers *embedded.Servers, by eyes) *system {
	t.Helper()
	ctx := context.Background()
	s, err := store.Open(ctx, servers.DatabaseURL, store.Options{})
	if err == nil {
		_, err = s.Rebuild(ctx, "", nil) // or workers would, and attach what tests put there
	}
	if err != nil {
		t.Fatal(err)
	}
	redis, err := jobs.ParseRedis(servers.RedisURL)
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string][]webhooks.Secret{}
	for _, source := range []string{webhooks.Stripe, webhooks.Clerk, webhooks.Platform} {
		if secrets[source], err = webhooks.ParseSecrets(source, secret); err != nil {
			t.Fatal(err)
		}
	}
	client := jobs.NewClient(redis)
	receiver := webhooks.New(webhooks.Config{Store: s, Jobs: client, Secrets: secrets, Logger: by.log, Traces: by.traces})
	site, err := web.New(core.Config{Store: s, Redis: redis, Jobs: client, AdminToken: adminToken, Log: by.log,
		Traces: by.traces})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/webhooks/", receiver)
	mux.Handle("/", site)
	sys := &system{t: t, servers: servers, http: httptest.NewServer(mux), store: s, jobs: client, eyes: by}
	if sys.pool, err = pgxpool.New(ctx, servers.DatabaseURL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		sys.http.Close()
		receiver.Close()
		site.Close()
		client.Close()
		sys.pool.Close()
		s.Close()
	})
	return sys
}

// on is the same system for a subtest.
func (s *system) on(t *testing.T) *system {
	other := *s
	other.t = t
	return &other
}

// startWorker runs a worker in this process until the test ends.
func (s *system) startWorker() { s.startWorkerWith(nil) }

// startWorkerWith runs a worker that has a past to read.
func (s *system) startWorkerWith(p *past) {
	s.t.Helper()
	var sources func(store.Backfill) (worker.Source, error)
	if p != nil {
		sources = p.source
	}
	w, err := newWatchedWorker(s.servers.DatabaseURL, s.servers.RedisURL, sources, s.eyes)
	if err != nil {
		s.t.Fatal(err)
	}
	s.run(w)
}

// run runs a worker until the test ends.
func (s *system) run(w *worker.Worker) {
	s.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	s.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			s.t.Errorf("worker: %v", err)
		}
	})
}

// workerProcess starts a worker as a process, to be signalled.
func (s *system) workerProcess() *exec.Cmd {
	s.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "E2E_WORKER_DATABASE="+s.servers.DatabaseURL, "E2E_WORKER_REDIS="+s.servers.RedisURL)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	return cmd
}

// checkout is a signed sale: buyer n of a store buys something for an amount.
func checkout(event, buyer int) []byte {
	return fmt.Appendf(
		nil, `{"id":"evt_%05d","object":"event","type":"checkout.session.completed","created":%d,"livemode":true,
		"api_version":"2023-10-16",
		"data":{"object":{"id":"cs_%05d","object":"checkout.session","mode":"payment","payment_status":"paid",
		"amount_total":%d,"currency":"usd","payment_intent":"pi_%05d",
		"customer_details":{"email":"buyer%d@x.example","name":"Buyer %d"},
		"metadata":{"storeId":"store_%d","productId":"pack_%d"}}}}`,
		event, time.Now().Unix(), event, price(event), event, buyer, buyer, buyer%stores, event%7)
}

const (
	stores = 3
	buyers = 400
)

func price(event int) int { return 100 + event%900 }

// post sends one Stripe event and wants it acknowledged.
func (s *system) post(body []byte) error {
	_, err := s.send("stripe", webhooks.SignStripe(secret, body, time.Now()), body)
	return err
}

// send posts a signed delivery and returns the answer, which must be 200.
func (s *system) send(source string, header http.Header, body []byte) (string, error) {
	req, err := http.NewRequest(http.MethodPost, s.http.URL+"/webhooks/"+source, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header = header
	return s.do(req)
}

// get asks the API as an operator.
func (s *system) get(path string, answer any) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.http.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	text, err := s.do(req)
	if err == nil {
		err = json.Unmarshal([]byte(text), answer)
	}
	if err != nil {
		s.t.Fatalf("%s: %v", path, err)
	}
}

func (s *system) do(req *http.Request) (string, error) {
	res, err := s.http.Client().Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, answer)
	}
	return string(answer), err
}

// postAll sends sales first to last-1 over many connections.
func (s *system) postAll(first, last int) {
	s.t.Helper()
	var g errgroup.Group
	g.SetLimit(32)
	for i := first; i < last; i++ {
		g.Go(func() error { return s.post(checkout(i, i%buyers)) })
	}
	if err := g.Wait(); err != nil {
		s.t.Fatal(err)
	}
}

// until looks every few milliseconds whether a count has come true.
func (s *system) until(what, sql string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var yes bool
		if err := s.pool.QueryRow(ctx, "SELECT "+sql).Scan(&yes); err != nil && ctx.Err() == nil {
			s.t.Fatal(err)
		}
		if yes {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("waited in vain: %s; inbox: %s", what,
				s.rows(`SELECT status, count(*), max(last_error) FROM webhook_events GROUP BY status`))
		}
	}
}

// rows returns a query's rows as JSON.
func (s *system) rows(sql string) string {
	s.t.Helper()
	var text string
	if err := s.pool.QueryRow(context.Background(), `SELECT coalesce(json_agg(x), '[]')::text FROM (`+sql+`) x`).Scan(
		&text); err != nil {
		s.t.Fatal(err)
	}
	return text
}

// wantSales checks that n sales were each applied once and that every buyer's
// total is what they paid.
func (s *system) wantSales(n int) {
	s.t.Helper()
	s.until("all sales processed", fmt.Sprintf(`count(*) = %d FROM webhook_events WHERE status = 'processed'`, n))
	if left := s.rows(`SELECT status, attempts FROM webhook_events WHERE status <> 'processed'
		OR attempts <> 1`); left != "[]" {
		s.t.Errorf("events not applied exactly once: %s", left)
	}
	want := map[string]int{}
	for i := range n {
		want[fmt.Sprintf("store_%d buyer%d@x.example", i%buyers%stores, i%buyers)] += price(i)
	}
	var got []struct {
		Who   string
		Spent int
	}
	if err := json.Unmarshal(
		[]byte(s.rows(`SELECT store_id || ' ' || email AS who, (spent -> 0 ->> 'amount')::int AS spent FROM customers`)),
		&got); err != nil {
		s.t.Fatal(err)
	}
	if len(got) != len(want) {
		s.t.Errorf("%d customers on the lists, want %d", len(got), len(want))
	}
	for _, c := range got {
		if want[c.Who] != c.Spent {
			s.t.Errorf("%s spent %d, want %d", c.Who, c.Spent, want[c.Who])
		}
	}
}
