package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"rollcall/facts"
	"rollcall/history"
	"rollcall/store"
	"rollcall/webhooks"
	"rollcall/worker"
)

type workCmd struct{}

// Help is shown below the usage.
func (workCmd) Help() string {
	return `Applies the events that serve has received, works through backfills, and sweeps up the work whose jobs were ` +
		`lost. It holds no state: run as many as you like. SIGTERM lets it finish its jobs, or hand them back.`
}

func (workCmd) Run(e *env) error {
	log := e.logger(e.err)
	p, err := e.begin(log)
	if err != nil {
		return err
	}
	defer p.close()
	w, done, err := e.newWorker(p.store, p.redis, p.telemetry)
	if err != nil {
		return err
	}
	defer done()
	log.Info("working")
	err = w.Run(e)
	log.Info("stopped")
	return err
}

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
	mail, err := e.mail(s)
	if err != nil {
		closeBudget()
		return nil, nil, err
	}
	w := worker.New(worker.Config{
		Mail:  mail,
		Store: s, Redis: opt, Log: t.log, Read: e.read(),
		Sources: from.Open, Keys: e.importKeys(), Hourly: given(e.StripeAPIKey) != "", Retain: e.retain(), Alert: alert,
		Metrics: t.registry, Traces: t.traces,
	})
	return w, closeBudget, nil
}

// importKeys are the settings that imports need and that are set.
func (c *Config) importKeys() (keys []string) {
	for name, value := range map[string]*string{"CLERK_SECRET_KEY": c.ClerkSecretKey,
		"STRIPE_API_KEY": c.StripeAPIKey, "IMPORT_DIR": c.ImportDir} {
		if given(value) != "" {
			keys = append(keys, name)
		}
	}
	return keys
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

// stripeMode is which Stripe events count; by default live ones.
func (c *Config) stripeMode() string {
	if c.StripeMode == nil {
		return "live"
	}
	return *c.StripeMode
}

// read reads an event into facts, and ignores Stripe events of the other mode.
func (c *Config) read() func(facts.Event) (facts.Set, error) {
	mode := c.stripeMode()
	if mode == "any" {
		return facts.Read
	}
	return func(e facts.Event) (facts.Set, error) {
		if e.Source == webhooks.Stripe && e.Livemode != nil && *e.Livemode != (mode == "live") {
			return facts.Set{}, &facts.Ignored{Reason: otherMode(mode)}
		}
		return facts.Read(e)
	}
}

// otherMode is why an event does not count: what it is, and how it would.
func otherMode(mode string) string {
	other := map[string]string{"live": "test", "test": "live"}[mode]
	return fmt.Sprintf("it is an event of Stripe's %s mode, and STRIPE_MODE is %s where work runs: to count it, set "+
		"STRIPE_MODE=any and replay it", other, mode)
}
