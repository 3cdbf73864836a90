// Package e2e tests the whole way: a signed webhook over HTTP in, a customer on
// the list out, with servers and workers going away in the middle.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"rollcall/internal/testing/browser"
	"rollcall/internal/testing/testdb"
	"rollcall/jobs"
	"rollcall/store"
	"rollcall/worker"
)

// TestMain is also the worker process that some tests kill: this binary, told
// by the environment where its servers are.
func TestMain(m *testing.M) {
	if os.Getenv("E2E_WORKER_DATABASE") != "" {
		if err := work(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	testdb.Main(browser.Around(m))
}

// work is a worker until SIGTERM.
func work() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	w, err := newWorker(os.Getenv("E2E_WORKER_DATABASE"), os.Getenv("E2E_WORKER_REDIS"), nil)
	if err != nil {
		return err
	}
	return w.Run(ctx)
}

// newWorker returns a worker that looks for lost jobs more often than usual,
// with the sources of backfills given, if any.
func newWorker(database, redis string, sources func(store.Backfill) (worker.Source, error)) (*worker.Worker, error) {
	return newWatchedWorker(database, redis, sources, blind)
}

func newWatchedWorker(database, redis string, sources func(store.Backfill) (worker.Source, error), by eyes) (
	*worker.Worker, error) {
	s, err := store.Open(context.Background(), database,
		store.Options{Conns: 8, PlatformTypes: []string{"ppr_pro", "creator_plan", "credit_package"}})
	if err != nil {
		return nil, err
	}
	opt, err := jobs.ParseRedis(redis)
	if err != nil {
		return nil, err
	}
	return worker.New(worker.Config{Store: s, Redis: opt, Log: by.log, Traces: by.traces, Sources: sources,
		Sweep: sweepEvery, Grace: by.grace}), nil
}
