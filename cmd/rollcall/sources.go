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
	from, err := e.sources(opt)
	if err != nil {
		return nil, nil, err
	}
	alert, err := e.alert()
	if err != nil {
		from.close()
		return nil, nil, err
	}
	w := worker.New(worker.Config{
		Store: s, Redis: opt, Log: t.log, Read: e.read(),
		Sources: from.open, Hourly: given(e.StripeAPIKey) != "", Retain: e.retain(), Alert: alert,
		Metrics: t.registry, Traces: t.traces,
	})
	return w, from.close, nil
}

// sources opens histories with the keys of the settings. All workers share one
// budget of requests to Stripe.
type sources struct {
	config Config
	redis  redis.UniversalClient
	budget *history.Budget
}

func (e *env) sources(opt asynq.RedisConnOpt) (*sources, error) {
	client := opt.MakeRedisClient().(redis.UniversalClient)
	budget, err := history.NewBudget(client, 0, 0)
	if err != nil {
		return nil, err
	}
	return &sources{e.Config, client, budget}, nil
}

func (s *sources) close() { s.redis.Close() }

// open opens the history that a run brings in.
func (s *sources) open(run store.Backfill) (worker.Source, error) {
	c := &s.config
	switch run.Kind {
	case "convex":
		// Pages and the API name a file in the folder. A whole path was given by
		// the command line, and by somebody who can reach the database.
		if c.ImportDir == nil && !filepath.IsAbs(run.Options.File) {
			return nil, &history.Refused{Reason: run.Options.File + " is a file in the folder that IMPORT_DIR names, " +
				"which is not set where this worker runs: set it, and start a new backfill"}
		}
		return history.NewConvex(history.ConvexConfig{Options: run.Options, Dir: given(c.ImportDir)}), nil
	case "clerk":
		return history.NewClerk(history.ClerkConfig{Key: given(c.ClerkSecretKey), BaseURL: given(c.ClerkAPIBase)})
	case "stripe-events":
		return history.NewStripeEvents(s.stripe(run.Options))
	}
	return history.NewStripe(s.stripe(run.Options))
}

func (s *sources) stripe(o store.BackfillOptions) history.StripeConfig {
	return history.StripeConfig{
		Key: given(s.config.StripeAPIKey), BaseURL: given(s.config.StripeAPIBase), Mode: s.config.stripeMode(),
		Options: o, Budget: s.budget,
	}
}

// checkImportDir refuses what cannot be a folder wherever a process was started.
func (c *Config) checkImportDir() error {
	if c.ImportDir != nil && !filepath.IsAbs(*c.ImportDir) {
		return errors.New("IMPORT_DIR must be a whole path, as /var/lib/rollcall/imports")
	}
	return nil
}
