package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// attempt applies items within a savepoint. On a permanent failure it splits them,
// again and again, until it finds the faulty ones and reports these. A rollback to a
// savepoint releases the locks taken since. So before any split the transaction
// starts over, and takes all locks at its start.
func (w *work) attempt(ctx context.Context, items []Item, t *tally) error {
	if w.splitItems {
		if err := w.lock(ctx, nil); err != nil {
			return err
		}
	}
	outer, held, sub := w.tx, w.held.clone(), newTally()
	err := pgx.BeginFunc(ctx, outer, func(savepoint pgx.Tx) error {
		w.tx = savepoint
		return w.applyItems(ctx, items, sub)
	})
	w.tx = outer
	if err == nil {
		t.add(sub)
		return nil
	}
	w.former = nil // it was rolled back
	w.erasure.reset()
	if errors.Is(err, pg.ErrAgain) || pg.Transient(err) {
		return err
	}
	if !w.splitItems {
		w.want.merge(w.customers)
		w.want[splitLock] = true
		return pg.ErrAgain
	}
	w.held = held
	if len(items) > 1 {
		half := len(items) / 2
		if err := w.attempt(ctx, items[:half], t); err != nil {
			return err
		}
		return w.attempt(ctx, items[half:], t)
	}
	return w.keepAlone(ctx, items[0], err, t)
}

// keepAlone stores the facts of an item whose customer could not be derived, and
// records that reason on its rows.
func (w *work) keepAlone(ctx context.Context, item Item, cause error, t *tally) error {
	outer, f := w.tx, Finding{Place: item.Place, What: "kept, but its customer cannot be computed", Why: cause.Error()}
	if item.Event != nil {
		t.seen++
		t.fail(Finding{Place: item.Place, What: "cannot be put into the inbox", Why: cause.Error()})
		return nil
	}
	err := pgx.BeginFunc(ctx, outer, func(savepoint pgx.Tx) error {
		w.tx = savepoint
		rows, err := w.rowsOf(ctx, item)
		if err != nil {
			return err
		}
		return w.markFailed(ctx, rows, cause)
	})
	w.tx = outer
	if errors.Is(err, pg.ErrAgain) || pg.Transient(err) {
		return err
	}
	if err != nil {
		f.What, f.Why = "cannot be stored", err.Error()
	}
	if w.erasure.namesErased(0) { // an id may be theirs, or what Postgres quotes
		f.Place, f.Why = erasedPerson, pg.Plain(cause)
	}
	t.seen++
	t.fail(f)
	return nil
}

// rowsOf upserts an item's facts, if any, and returns its rows.
func (w *work) rowsOf(ctx context.Context, item Item) ([]RowKey, error) {
	if item.row != nil {
		return []RowKey{*item.row}, nil
	}
	return w.upsertFacts(ctx, item.Facts)
}

// applyItems applies items by their kind.
func (w *work) applyItems(ctx context.Context, items []Item, t *tally) error {
	var rows, withFacts, events, old []Item
	var unread []Finding
	for _, i := range items {
		t.seen++
		switch {
		case i.Err != nil:
			unread = append(unread, Finding{Place: i.Place, What: "cannot be read", Why: i.Err.Error()})
			continue
		case i.row != nil:
			rows = append(rows, i)
		case i.Event != nil:
			events = append(events, i)
		default:
			withFacts = append(withFacts, i)
		}
		if i.Old != nil && !w.dryRun {
			old = append(old, i)
		}
	}
	if err := w.erasure.redactFindings(ctx, unread); err != nil {
		return err
	}
	for _, f := range unread {
		t.fail(f)
	}
	if err := w.attachRows(ctx, rows, t); err != nil {
		return err
	}
	if err := w.upsertItems(ctx, withFacts, t); err != nil {
		return err
	}
	if err := w.receive(ctx, events, t); err != nil {
		return err
	}
	return w.compare(ctx, old, t)
}

// upsertItems upserts the facts of items and attaches the rows concerned. An item
// counts as created if one of its facts is new, as updated if one changed.
func (w *work) upsertItems(ctx context.Context, items []Item, t *tally) error {
	if len(items) == 0 {
		return nil
	}
	sets := make([]facts.Set, len(items))
	for i, item := range items {
		sets[i] = item.Facts
	}
	w.outcomes = map[factKey]outcome{}
	defer func() { w.outcomes = nil }()
	rows, err := w.upsertFacts(ctx, sets...)
	if err != nil {
		return err
	}
	w.attached = attached{}
	if _, err := w.attach(ctx, rows); err != nil {
		return err
	}
	for nth, i := range items {
		o := w.claim(i.Facts)
		for _, reason := range i.Passed {
			t.passed[reason]++
		}
		if len(i.Passed) == 0 || i.Old != nil || len(keysOf(i.Facts)) > 0 {
			t.count(o)
		}
		if !w.erasure.namesErased(nth) { // else its place may be the id of an erased person
			w.sample(i, o, t)
		}
	}
	t.bringNew(w.attached)
	return nil
}

// claim is the greatest outcome of an item's facts. A new fact counts as created
// only for the first item that has it.
func (w *work) claim(set facts.Set) (most outcome) {
	for _, k := range keysOf(set) {
		o, ok := w.outcomes[k]
		if !ok {
			continue
		}
		most = max(most, o)
		if o == created {
			w.outcomes[k] = updated
		}
	}
	return most
}

// receive inserts events that were never delivered into the inbox.
func (w *work) receive(ctx context.Context, items []Item, t *tally) error {
	if len(items) == 0 {
		return nil
	}
	if err := w.lock(ctx, nil); err != nil { // so that a page can be divided
		return err
	}
	events := make([]NewEvent, len(items))
	for i, item := range items {
		events[i] = *item.Event
	}
	inserted, err := insertEvents(ctx, w.tx, insertSQL, events)
	if err != nil {
		return err
	}
	for i, in := range inserted {
		if in.Duplicate {
			t.count(unchanged)
			continue
		}
		t.count(created)
		t.events = append(t.events, Waiting{ID: in.ID, Source: events[i].Source})
	}
	return nil
}

// compare notes where an older list differs from ours: customers without any facts,
// and customers with another amount spent.
func (w *work) compare(ctx context.Context, items []Item, t *tally) error {
	if len(items) == 0 {
		return nil
	}
	items = slices.DeleteFunc(items, func(i Item) bool { // erased people are not missing
		return w.erasure.isErased(facts.Email(i.Old.Email), i.Facts.At)
	})
	refs, emails, spent := make([]string, len(items)), make([]string, len(items)), make([]*int64, len(items))
	for i, item := range items {
		refs[i], emails[i], spent[i] = item.Old.StoreRef, facts.Email(item.Old.Email), item.Old.Spent
	}
	rows := pg.Query(ctx, w.tx, `
		SELECT c.nth - 1, c.email = '', u.id IS NULL, coalesce(u.spent::text, '[]')
		FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY AS c(store_ref, email, spent, nth)
		CROSS JOIN LATERAL (SELECT `+StoreNamed("c.store_ref", Forever)+` AS id) store
		LEFT JOIN LATERAL (SELECT id, store_id, email, spent FROM customers
			WHERE email = c.email OFFSET 0) u ON u.store_id = store.id
		WHERE u.id IS NULL
		   OR c.spent > 0 AND c.spent <> (SELECT coalesce(sum((s ->> 'amount')::bigint), 0)
			FROM jsonb_array_elements(u.spent) s)
		ORDER BY c.nth`, refs, emails, spent)
	var nth int
	var unknown, missing bool
	var ours string
	return pg.Each(rows, []any{&nth, &unknown, &missing, &ours}, func() {
		item := items[nth]
		f := Finding{Place: item.Place, What: item.Old.Email + " in store " + item.Old.StoreRef}
		switch {
		case unknown:
			f.Why = "the list kept before has no address for this customer"
		case missing:
			f.Why = "is on the list kept before, but nothing that was imported says what they took"
		default:
			f.Why = fmt.Sprintf("had spent %d (minor units) by the list kept before, and %s by the facts", *item.Old.Spent, ours)
		}
		t.note(f)
	})
}
