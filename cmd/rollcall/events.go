package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/inbox"
	"rollcall/store/pg"
	"rollcall/store/status"
)

type eventsCmd struct {
	Tail    eventsTailCmd    `cmd:"" help:"Follow events as they arrive."`
	List    eventsListCmd    `cmd:"" help:"List events, newest first, and count them."`
	Show    eventsShowCmd    `cmd:"" help:"Show one event with its payload."`
	Retry   eventsRetryCmd   `cmd:"" help:"Try failed events again."`
	Dismiss eventsDismissCmd `cmd:"" help:"Put failed events to rest that no retry can help."`
	Replay  eventsReplayCmd  `cmd:"" help:"Apply events again, whatever their status. Repeating is safe."`
	Send    eventsSendCmd    `cmd:"" help:"Send a platform event yourself: sign it and post it."`
}

type eventsListCmd struct {
	Source    string `name:"source" placeholder:"SOURCE" predictor:"source" help:"Only events from stripe, clerk or platform."`
	Status    string `name:"status" placeholder:"STATUS" predictor:"status" help:"Only pending, processed, ignored or failed events."`
	Type      string `name:"type" placeholder:"TYPE" predictor:"type" help:"Only events of this type, for example invoice.paid."`
	Search    string `name:"search" aliases:"q" placeholder:"TEXT" help:"Only events that name this: an email, or the id of a payment, customer, subscription, user, store or event."`
	Store     string `name:"store" placeholder:"ID" help:"Only events that name this store or its Stripe account."`
	Dismissed bool   `name:"dismissed" help:"Only events that were dismissed."`
	Before    int64  `name:"before" placeholder:"ID" help:"Only events older than the one with this id."`
	listFlags
}

func (c eventsListCmd) Run(e *env) error {
	if c.Before < 0 {
		return usageError("--before must be an id: the first column")
	}
	if err := c.check(); err != nil {
		return err
	}
	s, err := e.openFor(c.Store)
	if err != nil {
		return err
	}
	defer s.Close()
	events, more, err := c.read(e, inbox.New(s))
	if err != nil {
		return plain(err)
	}
	counts, err := status.New(s).EventCounts(e)
	if err != nil {
		return err
	}
	if !c.JSON {
		c.print(e, events)
	}
	if more {
		e.andMore(c.JSON, fmt.Sprintf("--before %d lists the next, --all all of them", events[len(events)-1].ID))
	}
	if c.JSON {
		return printJSON(e.out, struct {
			Data   []store.Event    `json:"data"`
			Counts map[string]int64 `json:"counts"`
		}{append([]store.Event{}, events...), counts})
	}
	_, err = fmt.Fprintln(e.out, countsLine(counts))
	return err
}

func (c eventsListCmd) read(e *env, in *inbox.Reader) (all []store.Event, more bool, err error) {
	f := store.EventFilter{Source: c.Source, Status: c.Status, Type: c.Type, Query: c.Search, Store: c.Store}
	if c.Dismissed {
		f.Dismissed = "yes"
	}
	first := ""
	if c.Before > 0 {
		first = pg.Position{Sort: store.EventSort, ID: c.Before}.Encode()
	}
	return pages(c.listFlags, func(cursor string, limit int) ([]store.Event, string, error) {
		f.Cursor, f.Limit = cmp.Or(cursor, first), limit
		return in.Events(e, f)
	})
}

func (c eventsListCmd) print(e *env, events []store.Event) {
	if len(events) == 0 {
		fmt.Fprintf(e.out, "No %s.\n", c.what())
		return
	}
	t := table{head: []string{"ID", "RECEIVED (UTC)", "SOURCE", "TYPE", "STATUS", "TRIES", "SENDER'S ID", "REMARK"}}
	for _, v := range events {
		t.add(fmt.Sprint(v.ID), dateTime(&v.ReceivedAt), v.Source, v.Type, v.Status,
			fmt.Sprint(v.Attempts), v.EventID, clip(deref(v.LastError), 60))
	}
	t.paint = func(column int, cell string) string {
		if column == 4 {
			return statusColour(e.ink(), cell)
		}
		return cell
	}
	t.print(e.out)
}

// what names the events that are asked for: "failed events of type invoice.paid from stripe".
func (c eventsListCmd) what() string {
	what := strings.TrimSpace(c.Status + " events")
	if c.Dismissed {
		what = "dismissed " + what
	}
	if c.Type != "" {
		what += " of type " + c.Type + alike(c.Type, eventTypes())
	}
	if c.Source != "" {
		what += " from " + c.Source
	}
	if c.Store != "" {
		what += " of store " + c.Store
	}
	if c.Search != "" {
		what += fmt.Sprintf(" that name %q", c.Search)
	}
	return what
}

func countsLine(counts map[string]int64) string {
	return fmt.Sprintf("%d pending, %d processed, %d ignored, %d failed",
		counts["pending"], counts["processed"], counts["ignored"], counts["failed"])
}

// plain unwraps an error about an argument.
func plain(err error) error {
	if bad, is := errors.AsType[*pg.BadParam](err); is {
		return usageError(fmt.Sprintf("--%s: %s", flagFor(bad.Name), bad.Reason))
	}
	return err
}

type eventsShowCmd struct {
	ID   string `arg:"" name:"id" help:"The event's id: from the inbox (the first column of list) or from the sender."`
	JSON bool   `name:"json" help:"Print JSON."`
}

func (c eventsShowCmd) Run(e *env) error {
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	v, err := find(e, s, c.ID)
	if err != nil {
		return err
	}
	v.Notes = v.PassedOver(facts.Read)
	if c.JSON {
		return printJSON(e.out, v)
	}
	showEvent(e.out, v)
	return nil
}

func find(e *env, s *store.Store, ref string) (store.Event, error) {
	v, err := inbox.New(s).Event(e, ref)
	if errors.Is(err, pg.ErrNotFound) {
		return v, fmt.Errorf("there is no event %q; `rollcall events list` shows their ids", ref)
	}
	return v, err
}

// prunedFor describes why a payload was deleted.
var prunedFor = map[string]string{
	"age":     "it was older than RETAIN_PAYLOADS keeps any",
	"erasure": "it named a person who was erased",
}

// showEvent prints an event for people.
func showEvent(w io.Writer, v store.Event) {
	line := lines{w}.add
	line("event", fmt.Sprint(v.ID))
	line("from", v.Source)
	line("type", v.Type)
	line("sender's id", v.EventID)
	line("account", v.Account)
	line("API version", v.APIVersion)
	if v.Livemode != nil {
		line("live mode", fmt.Sprint(*v.Livemode))
	}
	line("happened", v.OccurredAt.Format(time.RFC3339Nano))
	line("received", v.ReceivedAt.Format(time.RFC3339Nano))
	line("status", v.Status)
	line("tries", fmt.Sprint(v.Attempts))
	lines{w}.addTime("processed", v.ProcessedAt, time.RFC3339Nano)
	line("remark", deref(v.LastError))
	line("dismissed", deref(v.DismissedWhy))
	line("by", deref(v.DismissedBy))
	for _, note := range v.Notes {
		line("not used", harmless(note))
	}
	if v.Payload == nil {
		line("payload", "gone since "+v.PrunedAt.Format(time.RFC3339)+": "+prunedFor[*v.PrunedFor])
		return
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, v.Payload, "", "  ") != nil {
		pretty.Reset()
		pretty.Write(v.Payload)
	}
	fmt.Fprintf(w, "\n%s\n", pretty.Bytes())
}
