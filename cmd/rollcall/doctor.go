package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hibiken/asynq"

	"rollcall/store"
)

type doctorCmd struct {
	Store    string  `name:"store" placeholder:"ID" help:"Only what concerns this store."`
	User     *string `name:"user" placeholder:"ID" xor:"person" help:"Tell of this Clerk user: what is known, and on which lists they are or are not, and why."`
	Email    *string `name:"email" placeholder:"ADDRESS" xor:"person" help:"The same of whoever has this address."`
	Examples int     `name:"examples" placeholder:"N" default:"5" help:"Show up to so many of each finding (${default})."`
	JSON     bool    `name:"json" help:"Print JSON."`
}

// Help is shown below the usage.
func (doctorCmd) Help() string {
	return `Goes through everything that can keep somebody off a list: settings, Postgres, Redis, workers, senders that fell silent or are refused, events that failed, facts that are on no list and what they wait for, lists that are not as they should be. Each finding comes with the command that mends it. Nothing is written, and a check that fails does not stop the others.

With --user or --email it tells of one person, store by store: on the list, because of what; or not, and what is missing. Facts that name no store yet are told of with any.

docs/doctor.md has every finding. Status 0: nothing of weight, 1: a warning or a problem, or the person is on no list that they may belong to; 2: a mistake on the command line.`
}

func (c doctorCmd) Run(e *env) error {
	if c.Examples < 0 {
		return usageError("--examples: write a number from 0 on")
	}
	d := newDoctor(e, c)
	defer d.close()
	if c.User != nil || c.Email != nil {
		return c.person(d)
	}
	report := d.examine(checks)
	if err := c.print(e, report); err != nil {
		return err
	}
	if report.weighty() {
		return errSaid
	}
	return nil
}

// doctor goes through checks. What a check needs and an earlier one found away
// is nil.
type doctor struct {
	*env
	doctorCmd
	now       func() time.Time
	current   bool // the schema is
	store     *store.Store
	checkup   *store.Checkup
	queue     asynq.RedisConnOpt
	workers   int    // that are at work
	asked     bool   // whether Redis could tell that
	onlyStore string // the one that unknown things most likely belong to
	seen      *store.Traffic
	watches   []store.Watch
	findings  []finding
}

func newDoctor(e *env, c doctorCmd) *doctor {
	return &doctor{env: e, doctorCmd: c, now: time.Now}
}

func (d *doctor) close() {
	if d.store != nil {
		d.store.Close()
	}
}

// need is what a check cannot do without.
type need int

const (
	nothing need = iota
	queue        // a Redis that answers
	schema       // a Postgres that answers and has our tables
)

// check looks at one thing.
type check struct {
	name  string
	needs need
	look  func(*doctor, context.Context) error
}

// checks are all, in the order in which they are made and told.
var checks = []check{
	{"settings", nothing, (*doctor).checkSettings},
	{"database", nothing, (*doctor).checkDatabase},
	{"schema", nothing, (*doctor).checkSchema},
	{"sessions", schema, (*doctor).checkSessions},
	{"redis", nothing, (*doctor).checkRedis},
	{"workers", queue, (*doctor).checkWorkers},
	{"senders", schema, (*doctor).checkSenders},
	{"events", schema, (*doctor).checkEvents},
	{"facts", schema, (*doctor).checkFacts},
	{"users", schema, (*doctor).checkUsers},
	{"catalogue", schema, (*doctor).checkCatalogue},
	{"lists", schema, (*doctor).checkLists},
	{"derivation", schema, (*doctor).checkDerivation},
	{"backfills", schema, (*doctor).checkBackfills},
	{"erasures", schema, (*doctor).checkErasures},
}

// checkTimeout bounds one check. Its statements have a bound of their own.
const checkTimeout = 2 * time.Minute

// examine makes checks, each whatever became of the others.
func (d *doctor) examine(checks []check) doctorReport {
	bar := d.progress()
	defer bar.clear()
	report := doctorReport{Store: d.Store, CheckedAt: d.now().UTC()}
	for _, c := range checks {
		if c.needs == schema && (d.store == nil || !d.current) || c.needs == queue && d.queue == nil {
			continue // said already
		}
		bar.show("looking at the %s …", c.name)
		before := len(d.findings)
		ctx, cancel := context.WithTimeout(d, checkTimeout)
		err := c.look(d, ctx)
		cancel()
		switch {
		case err != nil && c.needs == schema && store.Unavailable(err):
			d.lost(err)
		case err != nil:
			why, fix := d.failure(c, err)
			d.find(finding{Kind: "check_failed", Subject: c.name, Severity: problem, Count: 1,
				What: fmt.Sprintf("the %s could not be looked at whole: %s", c.name, harmless(why)), Fix: fix})
		}
		for i := range d.findings[before:] {
			d.findings[before+i].Check = c.name
		}
	}
	report.Findings = append([]finding{}, d.findings...)
	slices.SortStableFunc(report.Findings, func(a, b finding) int { return b.Severity.rank() - a.Severity.rank() })
	return report
}

// lost tells that Postgres went away in the middle: what needs it is left out.
func (d *doctor) lost(err error) {
	d.close()
	d.store = nil
	d.find(d.away(err))
}

// failure says why a check failed, and what to look at.
func (d *doctor) failure(c check, err error) (why string, fix []string) {
	t := d.trouble(err)
	switch {
	case t != nil:
		return t.Error(), t.fix
	case c.needs == queue:
		return err.Error(), []string{redisCLI + " PING"}
	case errors.Is(err, context.DeadlineExceeded):
		return "it took too long", []string{busy}
	}
	return err.Error(), []string{isReady}
}

// find adds a finding.
func (d *doctor) find(f finding) {
	if f.Examples == nil {
		f.Examples = []string{}
	}
	for i, example := range f.Examples {
		f.Examples[i] = harmless(example)
	}
	if f.Fix == nil {
		f.Fix = []string{}
	}
	f.Means = meaningOf(f.Kind)
	d.findings = append(d.findings, f)
}

// fine says that all is well with something.
func (d *doctor) fine(format string, args ...any) {
	d.find(finding{Severity: fine, What: harmless(fmt.Sprintf(format, args...))})
}
