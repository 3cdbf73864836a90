package main

import "rollcall/worker"

type workCmd struct{}

// Help is shown below the usage.
func (workCmd) Help() string {
	return `Applies the events that serve has received, and sweeps up those whose jobs were lost. It holds no state: run as many as you like. SIGTERM lets it finish what it has in hand, or hand it back.`
}

func (workCmd) Run(e *env) error {
	log := e.logger(e.err)
	s, redis, err := e.openBoth()
	if err != nil {
		return err
	}
	defer s.Close()
	url, err := e.databaseURL()
	if err != nil {
		return err
	}
	go warnOfSchema(e, log, url)
	log.Info("working")
	err = worker.New(worker.Config{Store: s, Redis: redis, Log: log, Read: e.read()}).Run(e)
	log.Info("stopped")
	return err
}
