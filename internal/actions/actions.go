// Package actions is what operators do alike from the command line, on pages and
// by the API: start a backfill, and have events applied again. The rows are
// written first and are what counts; then the queue is told. What it cannot be
// told, the workers' sweep finds.
package actions

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/history"
	"rollcall/store"
	"rollcall/store/pg"
)

// Jobs tells the queue of rows; see jobs.Client.
type Jobs interface {
	EnqueueBackfill(ctx context.Context, backfill int64, chunk int, round string) error
	EnqueueEvent(ctx context.Context, source string, id int64, round string) error
}

// Actions does them.
type Actions struct {
	Store *store.Store
	Jobs  Jobs // nil: the queue is never told
	// Unqueued gets the error of a queue that could not be told, and what that
	// comes to, as a sentence.
	Unqueued func(sentence string, err error)
}

// StartBackfill starts a run. Accounts are as people write them: acct_…; platform,
// or "", for the platform's own; and all alone for that and every store's.
// The error is that of store.StartBackfill.
func (a Actions) StartBackfill(ctx context.Context, n store.NewBackfill) (b store.Backfill, err error) {
	if err := CheckStreams(n.Options.Only); err != nil {
		return b, err
	}
	if n.Options.Accounts, err = a.accounts(ctx, n.Options.Accounts); err != nil {
		return b, err
	}
	if b, err = a.Store.StartBackfill(ctx, n); err != nil || a.Jobs == nil {
		return b, err
	}
	if err := a.Jobs.EnqueueBackfill(ctx, b.ID, 0, ""); err != nil {
		a.Unqueued("the run could not be enqueued; a worker's sweep will pick it up", err)
	}
	return b, nil
}

// CheckStreams refuses what is no list of Stripe's: its error is *store.BadParam.
func CheckStreams(only []string) error {
	streams := history.StripeStreams()
	for _, name := range only {
		if !slices.Contains(streams, name) {
			return &pg.BadParam{Name: "only", Reason: fmt.Sprintf("%q is not one of %s", name, strings.Join(streams, ", "))}
		}
	}
	return nil
}

// accounts are the ids of Connect accounts, each once; "" is the platform's own.
func (a Actions) accounts(ctx context.Context, written []string) (ids []string, err error) {
	if slices.Equal(written, []string{"all"}) {
		connected, err := a.Store.StripeAccounts(ctx)
		return append([]string{""}, connected...), err
	}
	for _, id := range written {
		if id == "platform" {
			id = ""
		}
		if id != "" && !strings.HasPrefix(id, "acct_") {
			return nil, &pg.BadParam{Name: "accounts", Reason: fmt.Sprintf("%q is no account: give some of acct_… and "+
				"platform, or all alone", id)}
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// The statuses of events that are applied again: a retry takes those that failed,
// a replay takes all that are closed.
var (
	Retry  = []string{"failed"}
	Replay = []string{"failed", "ignored", "processed"}
)

// Dismiss is what Reopening does to failed events that no try can help.
const Dismiss = "dismiss"

// reopenStep is how many events are opened in one transaction.
const reopenStep = 5_000

// Reopening says which events are applied again, and how many by one call.
type Reopening struct {
	Do     string // retry, replay or dismiss
	Filter store.ReopenFilter
	As     store.Dismissal // of a dismissal
	Most   int             // events to open, about; 0: all
	Hints  int             // events of which the queue is told; 0: all
	Step   func()          // called between steps; nil: nothing is
}

// Reopened is what a reopening did. Its JSON is the API's.
type Reopened struct {
	Opened   int   `json:"opened"`   // now pending, or dismissed
	Enqueued int   `json:"enqueued"` // of those; the workers' sweep finds the rest
	After    int64 `json:"after"`    // go on from here; 0: that was all
	Through  int64 `json:"through"`  // and up to here: later events are not meant
}

// Reopen makes closed events pending again, step by step, and tells the queue; or it
// dismisses failed ones.
// With an error it returns what was done before it.
func (a Actions) Reopen(ctx context.Context, r Reopening) (done Reopened, err error) {
	f := r.Filter
	if f.Through == 0 { // those that come meanwhile are not meant
		if _, f.Through, err = a.Store.CountReopen(ctx, f, 0); err != nil {
			return done, err
		}
	}
	round := fmt.Sprintf("%s-%d", r.Do, time.Now().UnixNano())
	for f.Most = reopenStep; r.Most == 0 || done.Opened < r.Most; {
		opened, err := a.settle(ctx, f, r)
		if len(opened) > 0 {
			f.After = opened[len(opened)-1].ID
		}
		if done.Opened += len(opened); a.Jobs != nil && r.Do != Dismiss && (r.Hints == 0 || done.Enqueued < r.Hints) {
			hints := opened
			if r.Hints > 0 {
				hints = opened[:min(len(opened), r.Hints-done.Enqueued)]
			}
			n, err := a.enqueue(ctx, hints, round)
			if done.Enqueued += n; err != nil {
				a.Unqueued("some events could not be enqueued; a worker's sweep will pick them up", err)
				a.Jobs = nil // nor the rest: each would wait for an answer
			}
		}
		if err != nil || len(opened) < f.Most {
			return done, err
		}
		if r.Step != nil {
			r.Step()
		}
	}
	done.After, done.Through = f.After, f.Through
	return done, nil
}

// settle reopens or dismisses events of f.
func (a Actions) settle(ctx context.Context, f store.ReopenFilter, r Reopening) ([]store.Waiting, error) {
	if r.Do == Dismiss {
		return a.Store.Dismiss(ctx, f, r.As)
	}
	return a.Store.Reopen(ctx, f)
}

// enqueue tells the queue of events, and returns of how many.
func (a Actions) enqueue(ctx context.Context, events []store.Waiting, round string) (n int, err error) {
	for n, e := range events {
		if err := a.Jobs.EnqueueEvent(ctx, e.Source, e.ID, round); err != nil {
			return n, err
		}
	}
	return len(events), nil
}
