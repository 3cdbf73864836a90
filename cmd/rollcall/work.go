package main

type workCmd struct{}

// Help is shown below the usage.
func (workCmd) Help() string {
	return `Applies the events that serve has received, works through backfills, and sweeps up the work whose jobs were lost. It holds no state: run as many as you like. SIGTERM lets it finish what it has in hand, or hand it back.`
}

func (workCmd) Run(e *env) error {
	log := e.logger(e.err)
	s, redis, err := e.openBothUnchecked()
	if err != nil {
		return err
	}
	defer s.Close()
	url, err := e.databaseURL()
	if err != nil {
		return err
	}
	t, err := e.watch(s, redis, log)
	if err != nil {
		return err
	}
	defer t.close()
	go warnOfSchema(e, log, url)
	w, done, err := e.newWorker(s, redis, t)
	if err != nil {
		return err
	}
	defer done()
	log.Info("working")
	err = w.Run(e)
	log.Info("stopped")
	return err
}
