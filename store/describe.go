package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// CountedWith says which payment counts money instead.
func CountedWith(ref *string) string {
	if ref == nil {
		return ""
	}
	return ": it is counted as " + *ref
}

// RefOf is SQL for the ref of a fact.
func RefOf(kind, account, id string) string {
	return fmt.Sprintf(`'%s:' || coalesce(nullif(%s, '') || '/', '') || %s`, kind, account, id)
}

// TitleOf is SQL for what a product is called in the store: as in addTitles.
func TitleOf(product, store string) string {
	return fmt.Sprintf(`coalesce((
				SELECT called.title
				FROM (SELECT title, store_ids FROM products WHERE id = %[1]s OFFSET 0) called
				WHERE %[2]s = ANY(called.store_ids) AND called.title <> ''
			), %[1]s)`, product, store)
}

// MoneyOf is SQL for a Money, null without an amount or a currency.
func MoneyOf(amount, currency string) string {
	return fmt.Sprintf(
		`CASE WHEN %[1]s IS NOT NULL AND %[2]s IS NOT NULL THEN jsonb_build_object('amount', %[1]s, 'currency', %[2]s) END`,
		amount, currency)
}

// The versions of facts, as said reads them, and who says payments.
const (
	paymentSource   = `CASE WHEN p.kind = 'purchase' THEN 'platform' ELSE 'stripe' END`
	paymentVersions = `jsonb_build_object('payment', p.claim_version, 'intent', p.intent_version,
		'charge', nullif(p.charge_version, ''), 'invoice', p.invoice_version, 'destination', p.destination_version)`
	subscriptionVersions = `jsonb_build_object('subscription', s.version, 'checkout', s.checkout_version)`
	enrollmentVersions   = `jsonb_build_object('enrollment', e.version, 'email', e.email_version, 'store', e.store_version,
		'name', e.name_version,
				'progress', e.progress_version, 'enrolled_at', e.enrolled_version, 'completed_at', e.completed_version, 'end',
				e.deleted_version)`
)

// LastVerified is SQL for whether a user's address is the last verified one, and
// Clerk tells of none now.
func LastVerified(u string) string {
	return fmt.Sprintf(`%[1]s.email IS NOT NULL AND coalesce(%[1]s.earlier ? 'email', false)`, u)
}

// countedAs is SQL for the ref of the payment that counts the money of payment p
// instead, if one does: see counted_elsewhere in paymentContext.
var countedAs = `coalesce(
		(SELECT ` + RefOf("payment", "x.account", "x.id") + ` FROM payments x WHERE x.account = p.account AND x.invoice = p.id
			AND p.kind = 'invoice' AND x.kind = 'checkout' AND x.paid ORDER BY x.id LIMIT 1),
		(SELECT ` + RefOf("payment", "i.account", "i.id") + ` FROM payments i WHERE i.account = p.account AND i.id = p.invoice
			AND i.kind = 'invoice'),
		(SELECT ` + RefOf("payment", "i.account", "i.id") + ` FROM payments i WHERE i.account = p.account
			AND i.claimed_by = p.id AND i.kind = 'checkout' AND i.id <> i.claimed_by ORDER BY i.id LIMIT 1))`

// moneyReceived is SQL for what payment p brought, claimed or not.
var moneyReceived = MoneyOf("coalesce(p.amount, (p.intent ->> 'received')::bigint)",
	"coalesce(p.currency, p.intent ->> 'currency')")

// PersonFact is a user of the platform's or a customer of Stripe's.
type PersonFact struct {
	Ref          string   `json:"ref"`
	Kind         string   `json:"kind"` // user or stripe_customer
	Account      string   `json:"account"`
	ID           string   `json:"id"`
	Email        string   `json:"email"`
	Name         *string  `json:"name"`
	Deleted      bool     `json:"deleted"`       // gone there; what they did stays
	LastVerified bool     `json:"last_verified"` // of a user: Clerk tells of no verified address now, this was the last
	Origins      []Origin `json:"origins"`
}

// Origin is the source of part of a fact. Facts keep only the newest values, so it is
// the source of these.
type Origin struct {
	// parts of the fact: itself ("payment", "enrollment", …), or "progress", "intent", "checkout", …
	Of    []string   `json:"of"`
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
	Livemode   *bool      `json:"-"` // nil where the source has no such notion
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
			if _, isPayment := v["payment"]; isPayment && of != "payment" {
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
		e.status,
		e.livemode
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
	rows := pg.Query(ctx, tx, EventsOfSQL, sources, ids)
	var e FromEvent
	return pg.Each(rows,
		[]any{&e.ID, &e.Source, &e.EventID, &e.Type, &e.OccurredAt, &e.ReceivedAt, &e.Status, &e.Livemode}, func() {
			e.OccurredAt, e.ReceivedAt = pg.UTC(e.OccurredAt), pg.UTC(e.ReceivedAt)
			for _, into := range waiting[key{e.Source, e.EventID}] {
				*into = e
			}
		})
}
