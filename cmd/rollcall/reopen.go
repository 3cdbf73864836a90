package main

import (
	"errors"
	"fmt"
	"time"

	"rollcall/jobs"
	"rollcall/store"
)

// Retry and replay: both make closed events pending again and ask the queue for
// them. The rows are what counts: with Redis away, the sweeper asks later.

type eventsRetryCmd struct {
	IDs    []string `arg:"" optional:"" name:"id" help:"Ids of failed events: of the inbox, or the sender's."`
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
	return reopen(e, c.IDs, store.ReopenFilter{Statuses: []string{"failed"}, Source: c.Source, Type: c.Type}, c.JSON)
}

type eventsReplayCmd struct {
	IDs    []string  `arg:"" optional:"" name:"id" help:"Ids of events: of the inbox, or the sender's."`
	Source string    `name:"source" placeholder:"SOURCE" help:"Events from stripe, clerk or platform."`
	Type   string    `name:"type" placeholder:"TYPE" help:"Events of this type."`
	Since  time.Time `name:"since" placeholder:"TIME" help:"Events received at this time or later, as 2026-01-12T10:00:00Z."`
	JSON   bool      `name:"json" help:"Print JSON."`
}

func (c eventsReplayCmd) Run(e *env) error {
	filtered := c.Source != "" || c.Type != "" || !c.Since.IsZero()
	if len(c.IDs) == 0 && !filtered {
		return usageError("say which events: their ids, --source, --type or --since")
	}
	if len(c.IDs) > 0 && filtered {
		return usageError("give either ids, or --source, --type and --since")
	}
	return reopen(e, c.IDs, store.ReopenFilter{
		Statuses: []string{"processed", "ignored", "failed"}, Source: c.Source, Type: c.Type, Since: c.Since,
	}, c.JSON)
}

// reopened is what retry and replay did.
type reopened struct {
	Opened   int `json:"opened"`   // now pending
	Enqueued int `json:"enqueued"` // of those; the sweeper enqueues the rest
}

func reopen(e *env, refs []string, f store.ReopenFilter, asJSON bool) error {
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
		if v.Payload == nil {
			return fmt.Errorf("event %s cannot be applied again: its payload is gone, as %s", ref, prunedFor[*v.PrunedFor])
		}
		if v.Status == "pending" {
			fmt.Fprintf(e.err, "event %s is pending already\n", ref)
		} else if len(f.Statuses) == 1 && v.Status != "failed" {
			fmt.Fprintf(e.err, "event %s is %s, not failed: `rollcall events replay %s` applies it again\n", ref, v.Status, ref)
		}
		f.IDs = append(f.IDs, v.ID)
	}
	opened, err := s.Reopen(e, f)
	if err != nil && len(opened) == 0 {
		return plain(err)
	}
	client := jobs.NewClient(redis)
	defer client.Close()
	done, enqueueErr := enqueue(e, client, opened)
	if asJSON {
		err = errors.Join(err, printJSON(e.out, reopened{len(opened), done}))
	} else {
		fmt.Fprintf(e.out, "%s to be applied again\n", count(len(opened), "event"))
	}
	if enqueueErr != nil {
		fmt.Fprintf(e.err, "%s: %d of them could not be enqueued; a worker's sweep will pick them up\n", redisTrouble(redis, enqueueErr), len(opened)-done)
	}
	return plain(err)
}

// enqueue asks for the events, until Redis fails.
func enqueue(e *env, client *jobs.Client, opened []store.Waiting) (done int, err error) {
	round := fmt.Sprintf("retry-%d", time.Now().UnixNano())
	for _, v := range opened {
		if err := client.EnqueueEvent(e, v.Source, v.ID, round); err != nil {
			return done, err
		}
		done++
	}
	return done, nil
}
