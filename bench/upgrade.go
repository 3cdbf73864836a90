package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"rollcall/internal/testing/firstschema"
	"rollcall/migrations"
	"rollcall/store"
	"rollcall/webhooks"
)

// upgrade measures how long senders, readers and writers wait while a database is migrated from the
// first schema to that of today. A webhook that is refused, or waits for longer than patience, ends it.
func (s *system) upgrade(ctx context.Context, o options) {
	url := s.first(ctx, o.customers)
	pool := try(pgxpool.New(ctx, url))
	defer pool.Close()
	size := ""
	check(pool.QueryRow(ctx, `SELECT pg_size_pretty(pg_database_size(current_database()))`).Scan(&size))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	probes := []*probe{
		{name: "webhook, this version's server", every: 20 * time.Millisecond, within: patience, do: s.sender(ctx, url)},
		{name: "webhook, the first version's INSERT", every: 20 * time.Millisecond, within: patience, do: firstSender(pool)},
		{name: "page of a list", every: 100 * time.Millisecond, do: func(ctx context.Context) error {
			_, err := pool.Exec(ctx, `SELECT * FROM customers WHERE store_id = 'store_1' ORDER BY id LIMIT 50`)
			return err
		}},
		{name: "change of a customer", every: 100 * time.Millisecond, do: func(ctx context.Context) error {
			_, err := pool.Exec(ctx, `UPDATE customers SET last_activity_at = now() WHERE id = 7`)
			return err
		}},
	}
	var probing sync.WaitGroup
	for _, p := range probes {
		probing.Go(func() { p.run(ctx) })
	}
	began, last := time.Now(), time.Now()
	try(migrations.UpWith(ctx, url, migrations.Options{Wait: time.Hour, Applied: func(m migrations.Status) {
		if took := time.Since(last); took > time.Second {
			s.add("    "+m.Name, took.Seconds(), "s", "")
		}
		last = time.Now()
	}}))
	took := time.Since(began)
	stop()
	probing.Wait()
	s.add("(l) upgrade from the first schema", took.Seconds(), "s", fmt.Sprintf("%d customers, %s", o.customers, size))
	for _, p := range probes {
		check(p.failed)
		s.add("    longest "+p.name, p.longest.Seconds(), "s", fmt.Sprintf("of %d, none refused", p.count))
	}
}

// first is a database in the first schema, with so many customers.
func (s *system) first(ctx context.Context, customers int) (url string) {
	s.exec(ctx, `CREATE DATABASE upgrade`)
	cfg := s.pool.Config().ConnConfig.Copy()
	cfg.Database = "upgrade"
	url = fmt.Sprintf("postgres://%s:%s@/upgrade?host=%s&port=%d", cfg.User, cfg.Password, cfg.Host, cfg.Port)
	check(firstschema.Make(ctx, url, customers))
	conn := try(pgx.ConnectConfig(ctx, cfg))
	defer conn.Close(context.WithoutCancel(ctx))
	try(conn.Exec(ctx, `VACUUM ANALYZE`))
	return url
}

// sender sends webhooks to a server of this version, as Stripe does.
func (s *system) sender(ctx context.Context, url string) func(context.Context) error {
	inbox := try(store.Open(ctx, url, store.Options{}))
	s.onClose(func() error { inbox.Close(); return nil })
	receiver := webhooks.New(webhooks.Config{
		Store: inbox, Jobs: s.jobs, Logger: logged(), Metrics: prometheus.NewRegistry(),
		Secrets: map[string][]webhooks.Secret{"stripe": try(webhooks.ParseSecrets("stripe", secret))},
	})
	s.onClose(func() error { receiver.Close(); return nil })
	to := newLoad(s.serve(receiver) + "/webhooks/stripe")
	return func(ctx context.Context) error { return to.post(ctx, s.next(1)[0]) }
}

// firstSender stores events as the first version did.
func firstSender(pool *pgxpool.Pool) func(context.Context) error {
	n := 0
	return func(ctx context.Context) error {
		n++
		return firstschema.Receive(ctx, pool, "stripe", fmt.Sprint("evt_first_", n), "charge.succeeded", checkout(n))
	}
}

// patience is how long a webhook may wait: a migration holds a table for a second at most.
const patience = 5 * time.Second

// probe does one thing again and again, and keeps the longest time that it took.
type probe struct {
	name    string
	every   time.Duration
	within  time.Duration // the longest that it may take; 0: however long
	do      func(context.Context) error
	longest time.Duration
	count   int
	failed  error
}

func (p *probe) run(ctx context.Context) {
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	for p.failed == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		began := time.Now()
		if err := p.do(context.WithoutCancel(ctx)); err != nil {
			p.failed = fmt.Errorf("%s, after %d and %s: %w", p.name, p.count, time.Since(began), err)
			return
		}
		p.longest, p.count = max(p.longest, time.Since(began)), p.count+1
		if p.within > 0 && p.longest > p.within {
			p.failed = fmt.Errorf("%s: number %d took %s, longer than %s", p.name, p.count, p.longest, p.within)
		}
	}
}
