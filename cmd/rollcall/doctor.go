package main

import (
	"errors"
	"fmt"

	"rollcall/cmd/rollcall/internal/doctor"
)

type doctorCmd struct {
	Store    string  `name:"store" placeholder:"ID" help:"Only this store."`
	User     *string `name:"user" placeholder:"ID" xor:"person" help:"Explain this Clerk user: stored data, and why they are on a list or not."`
	Email    *string `name:"email" placeholder:"ADDRESS" xor:"person" help:"Explain the person with this address."`
	Examples int     `name:"examples" placeholder:"N" default:"5" help:"Show at most N examples of each finding (${default})."`
	JSON     bool    `name:"json" help:"Print JSON."`
	Verbose  bool    `name:"verbose" short:"v" help:"Also list what passed."`
}

// Help is shown below the usage.
func (doctorCmd) Help() string {
	return `Checks everything that can keep a customer off a list: settings, Postgres, Redis, workers, senders
that fell silent or are rejected, failed events, missing facts and the reasons, lists that do not match their
facts. Each finding comes with the command that fixes it. The doctor writes nothing, and a check that fails
does not stop the others.

With --user or --email it explains one person, store by store: on the list, and why; or not, and what is
missing. Facts whose store is unknown are always included.

docs/doctor.md has every finding. Status 0: no warning or problem; 1: a warning or a problem, or the person is
missing from a list that they may belong to; 2: an invalid command line.`
}

func (c doctorCmd) Run(e *env) error {
	if c.Examples < 0 {
		return usageError("--examples: write a number from 0 on")
	}
	well, err := doctor.Run(e, e.host(), doctor.Options{Store: c.Store, User: c.User, Email: c.Email,
		Examples: c.Examples, JSON: c.JSON, Verbose: c.Verbose, Ink: e.ink()})
	var wrong doctor.Usage
	switch {
	case errors.As(err, &wrong):
		return usageError(wrong)
	case err == nil && !well:
		return errReported
	}
	return err
}

// host is what a doctor needs of the program.
func (e *env) host() doctor.Host {
	e.fill()
	bar := e.progress()
	return doctor.Host{
		Out: e.out,
		Progress: func(text string) {
			bar.clear()
			fmt.Fprint(bar.w, text)
		},
		At: e.at,
		Settings: doctor.Settings{
			Malformed: problemsOf(e.file.problem, e.Config.check(), e.checkWeb()), Absent: e.absent(), Unusable: e.unusable(),
			StripeKey: given(e.StripeAPIKey), StripeMode: e.stripeMode(),
		},
		Database: e.databaseURL, Open: e.open, OpenUnchecked: e.openUnchecked,
		Redis: e.redis, RedisTrouble: redisTrouble,
		Explain: func(err error) (why string, fix []string, known bool) {
			if t := e.trouble(err); t != nil {
				return t.Error(), t.fix, true
			}
			return reason(err), nil, false
		},
	}
}
