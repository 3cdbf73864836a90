package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"rollcall/internal/embedded"
	"rollcall/jobs"
	"rollcall/migrations"
	"rollcall/store"
	"rollcall/store/pg"
	"rollcall/webhooks"
	"rollcall/worker"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// system is a receiver on servers of its own, in this process; a worker is
// added where it is measured.
type system struct {
	dir      string
	servers  *embedded.Servers
	store    *store.Store
	jobs     *jobs.Client
	receiver *webhooks.Receiver
	http     *http.Server
	url      string
	pool     *pgxpool.Pool // for the bare limit and for looking
	load     *load
	sent     int
}

func newSystem(ctx context.Context) (s *system, err error) {
	s = &system{}
	if s.dir, err = os.MkdirTemp("", "rollcall-bench-"); err != nil {
		return nil, err
	}
	if err := os.Chmod(s.dir, 0o755); err != nil { // Postgres may run as another user
		return nil, err
	}
	if s.servers, err = embedded.Start(ctx, embedded.Options{Dir: s.dir, Log: slog.New(slog.DiscardHandler)}); err != nil {
		return nil, err
	}
	if _, err := migrations.Up(ctx, s.servers.DatabaseURL); err != nil {
		return nil, err
	}
	if s.store, err = store.Open(ctx, s.servers.DatabaseURL, store.Options{}); err != nil {
		return nil, err
	}
	redis, err := jobs.ParseRedis(s.servers.RedisURL)
	if err != nil {
		return nil, err
	}
	secrets, err := webhooks.ParseSecrets("stripe", secret)
	if err != nil {
		return nil, err
	}
	if s.pool, err = pgxpool.New(ctx, s.servers.DatabaseURL); err != nil {
		return nil, err
	}
	s.jobs = jobs.NewClient(redis)
	s.receiver = webhooks.New(webhooks.Config{
		Store: s.store, Jobs: s.jobs, Secrets: map[string][]webhooks.Secret{"stripe": secrets},
		Logger: logged(), Counter: s.store, Metrics: prometheus.NewRegistry(),
	})
	return s, s.listen()
}

func (s *system) listen() error {
	mux := http.NewServeMux()
	mux.Handle("/webhooks/", s.receiver)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.http, s.url = &http.Server{Handler: mux, ReadTimeout: 10 * time.Second}, "http://"+l.Addr().String()
	go s.http.Serve(l)
	s.load = newLoad(s.url + "/webhooks/stripe")
	return nil
}

func (s *system) close() {
	err := errors.Join(s.http.Close(), s.jobs.Close())
	s.receiver.Close()
	s.store.Close()
	s.pool.Close()
	if err = errors.Join(err, s.servers.Stop(), os.RemoveAll(s.dir)); err != nil {
		fmt.Fprintln(os.Stderr, "bench: stopping:", err)
	}
}

// logged is a log as `serve` and `work` write it, but for the writing.
func logged() *slog.Logger {
	return slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{ReplaceAttr: pg.PlainErrors}))
}

// work runs a worker until the function it returns is called.
func (s *system) work(ctx context.Context) (stop func() error, err error) {
	redis, err := jobs.ParseRedis(s.servers.RedisURL)
	if err != nil {
		return nil, err
	}
	w := worker.New(worker.Config{Store: s.store, Redis: redis, Log: logged(), Metrics: prometheus.NewRegistry(),
		Grace: time.Minute})
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() error { cancel(); return <-done }, nil
}

// empty starts the next measurement from nothing, in Postgres and in the queue.
func (s *system) empty(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, `TRUNCATE webhook_events, customers, customer_merges, payments, enrollments, subscriptions, refunds, disputes, users, stripe_customers, products, stores`)
	return err
}
