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

type eventsRetryCmd struct {
	IDs    []string `arg:"" optional:"" name:"id" help:"Ids of failed events: from the inbox or from the sender."`
	All    bool     `name:"all" help:"All failed events."`
	Source string   `name:"source" placeholder:"SOURCE" help:"Failed events from stripe, clerk or platform."`
	Type   string   `name:"type" placeholder:"TYPE" help:"Failed events of this type."`
	JSON   bool     `name:"json" help:"Print JSON."`
}

func (c eventsRetryCmd) Run(e *env) error {
	if len(c.IDs) == 0 && !c.All && c.Source == "" && c.Type == "" {
		return usageError("say which events: their ids, --source, --type, or --all for all that failed")
	}
	if len(c.IDs) > 0 && (c.All || c.Source != "" || c.Type != "") {
		return usageError("give either ids, or --all, --source and --type")
	}
	return reopen(e, c.IDs, actions.Reopening{Do: "retry", Filter: store.ReopenFilter{
		Statuses: actions.Retry, Source: c.Source, Type: c.Type,
	}}, c.JSON)
}

type eventsReplayCmd struct {
	IDs    []string `arg:"" optional:"" name:"id" help:"Ids of events: from the inbox or from the sender."`
	Source string   `name:"source" placeholder:"SOURCE" help:"Events from stripe, clerk or platform."`
	Type   string   `name:"type" placeholder:"TYPE" help:"Events of this type."`
	Since  since    `name:"since" placeholder:"TIME" help:"Events received since: a day (2026-01-12), a time (2026-01-12T10:00:00Z) or how long ago (2d, 36h)."`
	JSON   bool     `name:"json" help:"Print JSON."`
}

func (c eventsReplayCmd) Run(e *env) error {
	filtered := c.Source != "" || c.Type != "" || c.Since.at != nil
	if len(c.IDs) == 0 && !filtered {
		return usageError("say which events: their ids, --source, --type or --since")
	}
	if len(c.IDs) > 0 && filtered {
		return usageError("give either ids, or --source, --type and --since")
	}
	return reopen(e, c.IDs, actions.Reopening{Do: "replay", Filter: store.ReopenFilter{
		Statuses: actions.Replay, Source: c.Source, Type: c.Type, Since: deref(c.Since.at),
	}}, c.JSON)
}

type eventsDismissCmd struct {
	IDs    []string `arg:"" optional:"" name:"id" help:"Ids of failed events: from the inbox or from the sender."`
	All    bool     `name:"all" help:"All failed events."`
	Source string   `name:"source" placeholder:"SOURCE" help:"Failed events from stripe, clerk or platform."`
	Type   string   `name:"type" placeholder:"TYPE" help:"Failed events of this type."`
	Why    string   `name:"why" required:"" placeholder:"TEXT" help:"Why trying again would not help. It is stored with the event."`
	JSON   bool     `name:"json" help:"Print JSON."`
}

// Help is shown below the usage.
func (eventsDismissCmd) Help() string {
	return `Puts failed events to rest that no retry can help, for example because the payload is wrong. They stay in ` +
		`the inbox as ignored, with who dismissed them, when and why. events replay applies them again.`
}

func (c eventsDismissCmd) Run(e *env) error {
	if len(c.IDs) == 0 && !c.All && c.Source == "" && c.Type == "" {
		return usageError("say which events: their ids, --all, --source or --type")
	}
	if len(c.IDs) > 0 && (c.All || c.Source != "" || c.Type != "") {
		return usageError("give either ids, or --all, --source and --type")
	}
	return reopen(e, c.IDs, actions.Reopening{Do: actions.Dismiss, As: store.Dismissal{By: whoAsks(), Why: c.Why},
		Filter: store.ReopenFilter{Statuses: actions.Retry, Source: c.Source, Type: c.Type}}, c.JSON)
}

func reopen(e *env, refs []string, r actions.Reopening, asJSON bool) error {
	f := &r.Filter
	s, redis, err := e.openBoth()
	if err != nil {
		return err
	}
	defer s.Close()
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
	if asJSON {
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
