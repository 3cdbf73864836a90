package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"rollcall/cmd/rollcall/story"
)

type demoCmd struct {
	Exit bool   `name:"exit" help:"Stop when the lists are printed: status 0 if they are what the story says, else 1."`
	Seed uint64 `name:"seed" placeholder:"N" help:"Shuffle as an earlier demo did, which printed this number."`
}

// Help is shown below the usage.
func (demoCmd) Help() string {
	return `Does what dev does, on a database of its own that is emptied first (so the data of dev on the same folder is left alone). It loads the history of a store that was there before and lets backfills bring its customers in; then it plays some weeks of three other stores: Clerk, Stripe and the platform send signed webhooks over HTTP, late, doubled and in random order. Then it prints the customer lists, as the API gives them, and compares them with what the story says.`
}

// patience is how long the demo waits for its events to be worked through.
const patience = time.Minute

func (c demoCmd) Run(e *env) error {
	if e.LogLevel == "info" {
		e.LogLevel = "error" // it provokes warnings on purpose, amid what it prints
	}
	e.StripeMode = new("any") // the story has test events
	fmt.Fprintln(e.err, "Starting …")
	d, err := e.startDev(e.logger(e.err), func(at where) (where, func() error, error) { return playground(e, at) })
	if err != nil {
		return err
	}
	right, err := c.play(e, d)
	if err != nil {
		return errors.Join(err, d.close())
	}
	if c.Exit {
		if err := d.close(); err != nil {
			return err
		}
		if !right {
			return errSaid
		}
		return nil
	}
	d.describe(e.out, "/store/store_aurora/customers")
	fmt.Fprintln(e.out, "What the demo played is gone when it ends.")
	return d.wait(e)
}

// play tells the story and tells whether the lists agree with it.
func (c demoCmd) play(e *env, d *dev) (right bool, err error) {
	if c.Seed == 0 {
		c.Seed = rand.Uint64N(999999) + 1
	}
	now := time.Now()
	past, told := story.Past(now), story.Tell(now)
	p := newPlayer(d, rand.New(rand.NewPCG(c.Seed, 0)))
	first, second := p.plan(told.Events)
	missed, err := p.bringPast(past)
	if err != nil {
		return false, err
	}
	began := time.Now()
	if err := p.perform(e, first); err != nil {
		return false, err
	}
	lists, err := p.lists(e, told.Stores)
	if err != nil {
		return false, err
	}
	then := total(told.Stores, lists)
	if err := p.perform(e, second); err != nil {
		return false, err
	}
	if err := p.forge(e, told.Events[0]); err != nil {
		return false, err
	}
	took := time.Since(began)
	whole := story.Story{Events: told.Events, Absent: told.Absent, Stores: append(told.Stores, past.Stores...)}
	if lists, err = p.lists(e, whole.Stores); err != nil {
		return false, err
	}
	printLists(e.out, whole, lists)
	p.summary(e.out, took, then, total(told.Stores, lists), c.Seed)
	differences := slices.Concat(missed, compare(whole, lists), p.compareCounts(told.Events))
	return len(differences) == 0, verdict(e.out, differences)
}

func verdict(w io.Writer, differences []string) error {
	if len(differences) == 0 {
		_, err := fmt.Fprintln(w, "\nThe lists are what the story says.")
		return err
	}
	fmt.Fprintf(w, "\nTHE LISTS ARE NOT WHAT THE STORY SAYS: %s\n", count(len(differences), "difference"))
	for _, d := range differences {
		fmt.Fprintln(w, "  "+d)
	}
	return nil
}
