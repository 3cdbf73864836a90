package store

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// Origin is the source of part of a fact. Facts keep only the newest values, so it is
// the source of these.
type Origin struct {
	Of    []string   `json:"of"`    // parts of the fact: itself ("payment", "enrollment", …), or "progress", "intent", "checkout", …
	Via   string     `json:"via"`   // event, backfill, export, or invoice, which had copied it
	At    time.Time  `json:"at"`    // the source's time; of a backfill or export, that of the reading
	Event *FromEvent `json:"event"` // null if the source is no event
}

// FromEvent is an event of the inbox. If it is no longer there, only source and
// EventID are set.
type FromEvent struct {
	ID         *int64     `json:"id"` // the inbox's
	Source     string     `json:"source"`
	EventID    string     `json:"event_id"` // the sender's
	Type       *string    `json:"type"`
	OccurredAt *time.Time `json:"occurred_at"`
	ReceivedAt *time.Time `json:"received_at"`
	Status     *string    `json:"status"`
}

// Versions maps each column group of a fact to its version.
type Versions map[string]facts.Version

// Origins converts versions, oldest first, and combines parts of one origin. source is
// the sender of the fact; of a payment only of its claim, the rest is from Stripe.
func (v Versions) Origins(source string) []Origin {
	out := []Origin{}
	for _, of := range slices.Sorted(maps.Keys(v)) {
		p, ok := v[of].Provenance()
		if !ok {
			continue
		}
		o := Origin{Of: []string{of}, Via: p.Via, At: p.At}
		if p.Event != "" {
			o.Event = &FromEvent{Source: source, EventID: p.Event}
			if _, isPayment := v[Payment]; isPayment && of != Payment {
				o.Event.Source = "stripe"
			}
		}
		i := slices.IndexFunc(out, o.same)
		if i < 0 {
			out = append(out, o)
			continue
		}
		out[i].Of = append(out[i].Of, of)
	}
	slices.SortStableFunc(out, func(a, b Origin) int { return a.At.Compare(b.At) })
	return out
}

// same reports whether two origins are equal.
func (o Origin) same(other Origin) bool {
	if o.Event != nil && other.Event != nil {
		return o.Event.Source == other.Event.Source && o.Event.EventID == other.Event.EventID
	}
	return o.Event == other.Event && o.Via == other.Via && o.At.Equal(other.At)
}

// EventsOfSQL finds events by source $1 and id $2.
const EventsOfSQL = `
	SELECT
		e.id,
		e.source,
		e.event_id,
		e.type,
		e.occurred_at,
		e.received_at,
		e.status
	FROM unnest($1::text[], $2::text[]) AS k(source, event_id)
	JOIN webhook_events e ON e.source = k.source AND e.event_id = k.event_id`

// LookUp fills in the events of origins, of any number of facts, in one query.
func LookUp(ctx context.Context, tx pgx.Tx, all ...[]Origin) error {
	type key struct{ source, id string }
	waiting := map[key][]*FromEvent{}
	for _, origins := range all {
		for _, o := range origins {
			if o.Event != nil {
				k := key{o.Event.Source, o.Event.EventID}
				waiting[k] = append(waiting[k], o.Event)
			}
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	var sources, ids []string
	for k := range waiting {
		sources, ids = append(sources, k.source), append(ids, k.id)
	}
	rows, err := tx.Query(ctx, EventsOfSQL, sources, ids)
	if err != nil {
		return err
	}
	var e FromEvent
	_, err = pgx.ForEachRow(rows, []any{&e.ID, &e.Source, &e.EventID, &e.Type, &e.OccurredAt, &e.ReceivedAt, &e.Status}, func() error {
		e.OccurredAt, e.ReceivedAt = pg.UTC(e.OccurredAt), pg.UTC(e.ReceivedAt)
		for _, into := range waiting[key{e.Source, e.EventID}] {
			*into = e
		}
		return nil
	})
	return err
}
