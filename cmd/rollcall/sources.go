package main

import (
	"errors"
	"path/filepath"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"rollcall/history"
	"rollcall/store"
	"rollcall/worker"
)

// newWorker returns a worker, and what closes its connections when it is done.
func (e *env) newWorker(s *store.Store, opt asynq.RedisConnOpt, t *telemetry) (*worker.Worker, func(), error) {
	from, closeBudget, err := e.access(opt)
	if err != nil {
		return nil, nil, err
	}
	alert, err := e.alert()
	if err != nil {
		closeBudget()
		return nil, nil, err
	}
	w := worker.New(worker.Config{
		Store: s, Redis: opt, Log: t.log, Read: e.read(),
		Sources: from.Open, Hourly: given(e.StripeAPIKey) != "", Retain: e.retain(), Alert: alert,
		Metrics: t.registry, Traces: t.traces,
	})
	return w, closeBudget, nil
}

// access is how histories are reached with the keys of the settings. All workers
// share one budget of requests to Stripe; close closes its connection.
func (e *env) access(opt asynq.RedisConnOpt) (a history.Access, closeBudget func(), err error) {
	client := opt.MakeRedisClient().(redis.UniversalClient)
	budget, err := history.NewBudget(client, 0, 0)
	return history.Access{
		StripeKey: given(e.StripeAPIKey), StripeBase: given(e.StripeAPIBase), StripeMode: e.stripeMode(),
		ClerkKey: given(e.ClerkSecretKey), ClerkBase: given(e.ClerkAPIBase),
		ImportDir: given(e.ImportDir), Budget: budget,
	}, func() { client.Close() }, err
}

// checkImportDir refuses what cannot be a folder wherever a process was started.
func (c *Config) checkImportDir() error {
	if c.ImportDir != nil && !filepath.IsAbs(*c.ImportDir) {
		return errors.New("IMPORT_DIR must be a whole path, as /var/lib/rollcall/imports")
	}
	return nil
}
