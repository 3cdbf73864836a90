package status

import (
	"context"
	"time"

	"rollcall/store"
	"rollcall/store/pg"
)

// StoreLine returns one store with its figures, or ErrNotFound if no event has mentioned it.
func (s *Reader) StoreLine(ctx context.Context, id string) (l StoreLine, err error) {
	defer pg.Wrap(&err, "status.StoreLine(%q)", id)
	if !pg.Storable(id) || id == "" {
		return l, pg.ErrNotFound
	}
	lines, _, err := s.StoreLines(ctx, StoreFilter{ID: id, Sort: "id"})
	if err != nil {
		return l, err
	}
	if len(lines) > 0 {
		return lines[0], nil
	}
	lines = []StoreLine{{ID: id}} // its facts are on no list, or it has only products
	if err := s.lookInto(ctx, lines); err != nil {
		return l, err
	}
	if l = lines[0]; l.Unattached == 0 && l.LastEventAt == nil {
		_, err = s.store.StoreAccounts(ctx, id)
	}
	return l, err
}

// lastEvents fills in when the last event was received that names each store, or its Stripe
// account.
func (s *Reader) lastEvents(ctx context.Context, page []StoreLine) error {
	var of []int
	var terms []int64
	for i, l := range page {
		of, terms = append(of, i), append(terms, store.Term(l.ID))
		if l.StripeAccountID != nil {
			of, terms = append(of, i), append(terms, store.Term(*l.StripeAccountID))
		}
	}
	rows := pg.Query(ctx, s.Pool, `
		SELECT t.i, max(e.received_at)
		FROM unnest($1::integer[], $2::bigint[]) AS t(i, term)
		CROSS JOIN LATERAL (SELECT max(event_id) AS id FROM event_terms WHERE term = t.term) last
		JOIN webhook_events e ON e.id = last.id
		GROUP BY t.i`, of, terms)
	var i int
	var at time.Time
	return pg.Each(rows, []any{&i, &at}, func() {
		received := at.UTC()
		page[i].LastEventAt = &received
	})
}
