package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rollcall/history"
	"rollcall/store"
)

// readHistory reads a source from beginning to end, a page at a time.
func (e *env) readHistory(kind string, options store.BackfillOptions,
	page func(context.Context, []store.Item) error) error {
	redis, err := e.redis()
	if err != nil {
		return err
	}
	from, closeBudget, err := e.access(redis)
	if err != nil {
		return err
	}
	defer closeBudget()
	source, err := from.Open(store.Backfill{Kind: kind, Options: options})
	if err != nil {
		return err
	}
	for open := []store.Position{{}}; len(open) > 0; {
		at := open[len(open)-1]
		var read store.Page
		err := e.patiently(func() (err error) {
			read, err = source.Read(e, at, store.BackfillKindOf(kind).Chunk)
			return err
		})
		if err != nil {
			return err
		}
		if err := page(e, read.Items); err != nil {
			return err
		}
		open = append(open[:len(open)-1], read.Next...)
	}
	return nil
}

// tries is how often a request is sent that fails temporarily.
const tries = 8

// patiently retries temporary failures, after the requested pause or growing ones.
func (e *env) patiently(do func() error) error {
	for n := 1; ; n++ {
		err := do()
		if err == nil || errors.As(err, new(*history.Refused)) || e.Err() != nil || n == tries {
			return err
		}
		wait := time.Second << (n - 1)
		if later, is := errors.AsType[*history.Later](err); is {
			wait = later.After
		}
		fmt.Fprintf(e.err, "%v; trying again in %v\n", err, wait)
		select {
		case <-e.Done():
			return e.Err()
		case <-time.After(wait):
		}
	}
}

// bringIn runs a backfill and follows it until it ends. The backfill prints its own
// errors; the next comparison shows what is left.
func (c auditCmd) bringIn(e *env, kind string, options store.BackfillOptions) error {
	people := *e
	if c.JSON {
		people.out = e.err
	}
	err := startFlags{Follow: true}.start(&people, kind, options)
	if errors.Is(err, errReported) && e.Err() == nil {
		return nil
	}
	return err
}
