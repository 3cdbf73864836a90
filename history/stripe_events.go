package history

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"time"
	"unicode/utf8"

	"rollcall/facts"
	"rollcall/store"
)

// eventsKept is how long Stripe lists events.
const eventsKept = 30 * 24 * time.Hour

// eventStream is the only stream of kind stripe-events.
var eventStream = stream{name: "events", path: "/v1/events"}

// StripeEvents reads Stripe's list of events, for backfills of kind stripe-events: events that
// never reached the endpoint go into the inbox.
type StripeEvents struct{ lister }

// NewStripeEvents returns a source of Stripe events. Without Options.Since it reads as far back as
// Stripe lists them. Its error is *Refused.
func NewStripeEvents(c StripeConfig) (*StripeEvents, error) {
	l, err := newLister(c)
	if err != nil {
		return nil, err
	}
	return &StripeEvents{l}, nil
}

// Read returns the page at a position. The empty position returns the plan.
func (s *StripeEvents) Read(ctx context.Context, at store.Position, limit int) (store.Page, error) {
	switch at.Stream {
	case "":
		l := s.lister
		if l.options.Since == nil {
			since := l.api.now().Add(-eventsKept)
			if l.options.AsOf != nil {
				since = l.options.AsOf.Add(-eventsKept)
			}
			l.options.Since = &since
		}
		return l.plan([]stream{eventStream}), nil
	case eventStream.name:
		return s.read(ctx, eventStream, at, limit, func(w window, _ time.Time, raw json.RawMessage) (store.Item, error) {
			return s.item(w.Account, raw), nil
		})
	}
	return store.Page{}, refused("Stripe's list of events has no stream %q", at.Stream)
}

// item reads one event as if its webhook had been received.
func (s *StripeEvents) item(account string, raw json.RawMessage) store.Item {
	head, item := s.head(account, raw)
	if item.Err != nil || !s.wanted(head) {
		return item
	}
	event, err := readEnvelope(account, raw)
	if err != nil {
		item.Err = err
	} else if facts.StripeReads(event.Type) {
		item.Event = &event
	}
	return item
}

// readEnvelope reads what the inbox stores of an event. It rejects what the inbox could not store.
func readEnvelope(account string, raw json.RawMessage) (store.NewEvent, error) {
	var e struct {
		ID         string
		Type       string
		Created    float64
		Account    string
		APIVersion string `json:"api_version"`
		Livemode   *bool
	}
	if err := json.Unmarshal(raw, &e); err != nil || !utf8.Valid(raw) {
		return store.NewEvent{}, errors.New("the event's fields are not of the types that Stripe's events have")
	}
	switch {
	case e.Type == "" || !store.FitsName(e.ID) || !store.FitsName(e.Type),
		!store.FitsName(e.Account) || !store.FitsName(e.APIVersion):
		return store.NewEvent{}, errors.New("the event has no type, or its id, type, account or api_version is longer " +
			"than 255 bytes or no plain text")
	case e.Created <= 0 || e.Created > maxSeconds:
		return store.NewEvent{}, errors.New(`the event's "created" is no time in seconds`)
	}
	if e.Account == "" {
		e.Account = account
	}
	return store.NewEvent{
		Source: "stripe", EventID: e.ID, Type: e.Type, Account: e.Account, APIVersion: e.APIVersion, Livemode: e.Livemode,
		OccurredAt: time.UnixMicro(int64(math.Round(e.Created * 1e6))).UTC(), Payload: raw,
	}, nil
}

// maxSeconds is the end of the year 9999.
const maxSeconds = 253402300799
