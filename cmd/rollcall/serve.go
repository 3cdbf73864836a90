package main

import "errors"

type serveCmd struct{}

// Help is shown below the usage.
func (serveCmd) Help() string {
	return `Receives webhooks on POST /webhooks/stripe, /webhooks/clerk and /webhooks/platform, and serves the pages ` +
		`and the API. It holds no state: run as many as you like. It starts with Postgres or Redis away. On ` +
		`SIGTERM /readyz answers 503 at once, and after DRAIN_DELAY, in which balancers notice, it finishes the ` +
		`requests that are running, and ends.`
}

func (serveCmd) Run(e *env) error {
	log := e.logger(e.err)
	p, err := e.begin(log)
	if err != nil {
		return err
	}
	defer p.close()
	w, err := e.newSite(p.store, p.redis, p.telemetry)
	if err != nil {
		return err
	}
	l, err := bind("LISTEN", "--listen", e.listen())
	if err != nil {
		return errors.Join(err, w.close())
	}
	e.warnOfMissing(log)
	e.warnOfUnusable(log)
	log.Info("listening", "url", baseURL(l))
	err = w.serve(e, l, e.DrainDelay)
	log.Info("stopped")
	return err
}
