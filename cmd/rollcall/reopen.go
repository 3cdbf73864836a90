package main

import (
	"errors"
	"fmt"

	"github.com/hibiken/asynq"

	"rollcall/internal/actions"
	"rollcall/jobs"
	"rollcall/store"
)

// Retry and replay: both make closed events pending again and ask the queue for
// them. The rows are what counts: with Redis away, the sweeper asks later.

// someEvents says which events a command is about.
type someEvents struct {
	IDs    []string `arg:"" optional:"" name:"id" help:"Ids of events: from the inbox or from the sender."`
	Source string   `name:"source" placeholder:"SOURCE" predictor:"source" help:"Only events from stripe, clerk or platform."`
	Type   string   `name:"type" placeholder:"TYPE" predictor:"type" help:"Only events of this type."`
	Store  string   `name:"store" placeholder:"ID" help:"Only events that name this store or its Stripe account."`
	JSON   bool     `name:"json" help:"Print JSON."`
}

// filter is which of the events with the statuses. One other flag may choose events, too: given tells whether it does.
func (c someEvents) filter(flag string, given bool, statuses []string) (store.ReopenFilter, error) {
	switch filtered := given || c.Source != "" || c.Type != "" || c.Store != ""; {
	case len(c.IDs) == 0 && !filtered:
		return store.ReopenFilter{}, usageError("say which events: their ids, --source, --type, --store or " + flag)
	case len(c.IDs) > 0 && filtered:
		return store.ReopenFilter{}, usageError("give either ids, or --source, --type, --store and " + flag)
	}
	return store.ReopenFilter{Statuses: statuses, Source: c.Source, Type: c.Type, Store: c.Store}, nil
}

type eventsRetryCmd struct {
	someEvents
	All bool `name:"all" help:"All failed events."`
}

func (c eventsRetryCmd) Run(e *env) error {
	f, err := c.filter("--all", c.All, actions.Retry)
	if err != nil {
		return err
	}
	return reopen(e, c.someEvents, actions.Reopening{Do: "retry", Filter: f})
}

type eventsReplayCmd struct {
	someEvents
	Since since `name:"since" placeholder:"TIME" help:"Events received since: a day (2026-01-12), a time (2026-01-12T10:00:00Z) or how long ago (2d, 36h)."`
}

func (c eventsReplayCmd) Run(e *env) error {
	f, err := c.filter("--since", c.Since.at != nil, actions.Replay)
	if err != nil {
		return err
	}
	f.Since = deref(c.Since.at)
	return reopen(e, c.someEvents, actions.Reopening{Do: "replay", Filter: f})
}

type eventsDismissCmd struct {
	someEvents
	All bool   `name:"all" help:"All failed events."`
	Why string `name:"why" required:"" placeholder:"TEXT" help:"Why trying again would not help. It is stored with the event."`
}

// Help is shown below the usage.
func (eventsDismissCmd) Help() string {
	return `Puts failed events to rest that no retry can help, for example because the payload is wrong. They stay in ` +
		`the inbox as ignored, with who dismissed them, when and why. events replay applies them again.`
}

func (c eventsDismissCmd) Run(e *env) error {
	f, err := c.filter("--all", c.All, actions.Retry)
	if err != nil {
		return err
	}
	return reopen(e, c.someEvents, actions.Reopening{Do: actions.Dismiss,
		As: store.Dismissal{By: whoAsks(), Why: c.Why}, Filter: f})
}

func reopen(e *env, which someEvents, r actions.Reopening) error {
	refs, f := which.IDs, &r.Filter
	s, redis, err := e.openBoth()
	if err != nil {
		return err
	}
	defer s.Close()
	if f.Store != "" {
		if err := e.mustKnowStore(s, f.Store); err != nil {
			return err
		}
	}
	for _, ref := range refs {
		v, err := find(e, s, ref)
		if err != nil {
			return err
		}
		if v.Payload == nil && r.Do != actions.Dismiss {
			return fmt.Errorf("event %s cannot be applied again: its payload is gone, as %s", ref, prunedFor[*v.PrunedFor])
		}
		if v.Status == "pending" {
			fmt.Fprintf(e.err, "event %s is pending already\n", ref)
		} else if len(f.Statuses) == 1 && v.Status != "failed" {
			fmt.Fprintf(e.err, "event %s is %s, not failed: `rollcall events replay %s` applies it again\n", ref, v.Status, ref)
		}
		f.IDs = append(f.IDs, v.ID)
	}
	act, shut := e.actions(s, redis)
	defer shut()
	done, err := act.Reopen(e, r)
	if err != nil && done.Opened == 0 {
		return plain(err)
	}
	if which.JSON {
		err = errors.Join(err, printJSON(e.out, struct {
			Opened   int `json:"opened"`
			Enqueued int `json:"enqueued"`
		}{done.Opened, done.Enqueued}))
	} else {
		fmt.Fprintf(e.out, "%s %s\n", count(done.Opened, "event"), doneTo[r.Do])
	}
	if err == nil && len(refs) > 0 && done.Opened == 0 {
		return errReported
	}
	return plain(err)
}

// doneTo says what became of events.
var doneTo = map[string]string{"retry": "to be applied again", "replay": "to be applied again",
	actions.Dismiss: "dismissed"}

// actions are what operators do here and on pages alike, until shut.
func (e *env) actions(s *store.Store, redis asynq.RedisConnOpt) (a actions.Actions, shut func()) {
	client := jobs.NewClient(redis)
	return actions.Actions{Store: s, Jobs: client, Unqueued: func(sentence string, err error) {
		fmt.Fprintf(e.err, "%s: %s\n", redisTrouble(redis, err), sentence)
	}}, func() { client.Close() }
}
