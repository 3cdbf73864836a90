package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"rollcall/store/pg"
)

// Payloads that name erased people. They are not kept: neither those that are
// there when the person is erased, nor those that come late.

// redactPayloads takes away the payloads of events that name erased people, once
// these are marked. One that could not be read is ignored instead of failed: its
// payload may not be kept to be looked at.
func (f *erasureFilter) redactPayloads(ctx context.Context, events []pendingEvent) (err error) {
	defer pg.Wrap(&err, "store.redactPayloads")
	if f.tombstones == nil {
		return nil
	}
	headers, err := f.headers(ctx, events)
	if err != nil {
		return err
	}
	all, named := make([]received, len(events)), []identity(nil)
	for i, e := range events {
		in := slices.Concat(namedIn(e.event.Payload, e.event.Account), namedIn(headers[e.ID], e.event.Account),
			f.abouts[i].objects)
		all[i] = received{event: e.event, about: f.abouts[i], named: in}
		named = append(named, in...)
	}
	if err := f.tombstones.find(ctx, f.tx, named); err != nil {
		return err
	}
	var ids []int64
	for i := range events {
		e := &events[i]
		inStore := slices.ContainsFunc(rowsIn(e.set), func(k RowKey) bool { return f.inStores[k] })
		if f.named[i] || inStore || f.tombstones.erased(all[i]) {
			ids = append(ids, e.ID)
			if e.Status == "failed" {
				e.Status = "ignored"
			}
		}
	}
	return f.emptyPayloads(ctx, ids, "it named a person who was erased, and could not be read")
}

// giveUp takes away the payload of a failed event if it names an erased person, and
// returns its status now.
func (f *erasureFilter) giveUp(ctx context.Context, id int64) (status string, err error) {
	defer pg.Wrap(&err, "store.giveUp(%d)", id)
	status = "failed"
	ts, err := f.load(ctx)
	if ts == nil || err != nil {
		return status, err
	}
	events, err := readEvents(ctx, f.tx, id-1, id, []string{""})
	if err != nil || len(events) == 0 {
		return status, err
	}
	r := events[0]
	if err := ts.find(ctx, f.tx, r.named); err != nil {
		return status, err
	}
	if _, named := ts.pseudonymize(r.set); !named && !ts.erased(r) {
		return status, nil
	}
	return "ignored", f.emptyPayloads(ctx, []int64{id}, notApplied)
}

// erased reports whether an event names an erased person, anywhere in payload and
// headers, or is about an object of one. Whatever happens to money that was paid
// before the erasure belongs to what was before.
func (ts *tombstones) erased(r received) bool {
	by := func(at time.Time) func(identity) bool {
		return func(i identity) bool { return ts.of(i, at) != nil }
	}
	return slices.ContainsFunc(r.named, by(r.event.OccurredAt)) || slices.ContainsFunc(r.about.money, by(always))
}

// notApplied is why a failed event is ignored after an erasure.
const notApplied = "it was not applied, and " + erasedReason

// emptyPayloads takes away the payloads of closed events. Those that failed are
// ignored from now on, for a reason.
func (f *erasureFilter) emptyPayloads(ctx context.Context, ids []int64, reason string) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := f.tx.Exec(ctx, `
		UPDATE webhook_events
		SET
			payload = NULL,
			headers = NULL,
			pruned_at = now(),
			pruned_for = 'erasure',
			status = CASE WHEN status = 'failed' THEN 'ignored' ELSE status END,
			last_error = CASE WHEN status = 'failed' THEN $2 ELSE last_error END,
			dismissed_why = CASE WHEN dismissed_by IS NOT NULL THEN $2 END,
			processed_at = coalesce(processed_at, now())
		WHERE id = ANY($1)
		  AND payload IS NOT NULL
		  AND status <> 'pending'`, ids, reason)
	return err
}

// headers reads the headers of events, by id.
func (f *erasureFilter) headers(ctx context.Context, events []pendingEvent) (map[int64][]byte, error) {
	ids, headers := make([]int64, len(events)), map[int64][]byte{}
	for i, e := range events {
		ids[i] = e.ID
	}
	rows := pg.Query(ctx, f.tx, `SELECT id, headers::text FROM webhook_events WHERE id = ANY($1) AND headers IS NOT NULL`,
		ids)
	var id int64
	var text string
	err := pg.Each(rows, []any{&id, &text}, func() {
		headers[id] = []byte(text)
	})
	return headers, err
}

// erasedPerson stands for the place of a finding that names an erased person.
const erasedPerson = "an erased person"

// redactFindings leaves out of findings what names erased people. When what they
// are about happened is not known, so it may have been before the erasure.
func (f *erasureFilter) redactFindings(ctx context.Context, all []Finding) (err error) {
	defer pg.Wrap(&err, "store.redactFindings(%d)", len(all))
	if len(all) == 0 {
		return nil
	}
	if err := lockGlobal(ctx, f.tx, f.want[globalLock]); err != nil { // nothing may have been upserted yet
		return err
	}
	ts, err := f.load(ctx)
	if ts == nil || err != nil {
		return err
	}
	var named []identity
	for _, finding := range all {
		named = append(named, finding.named()...)
	}
	if err := ts.find(ctx, f.tx, named); err != nil {
		return err
	}
	for i, finding := range all {
		if !slices.ContainsFunc(finding.named(), func(n identity) bool { return ts.of(n, always) != nil }) {
			continue
		}
		all[i].Place, all[i].Why = erasedPerson, erasedReason
		if len(namedInText(nil, finding.What, "")) > 0 {
			all[i].What = erasedReason
		}
	}
	return nil
}

// named lists whom a finding names.
func (f Finding) named() []identity {
	text := f.Place + "\n" + f.What + "\n" + f.Why
	named := namedInText([]identity{{aUser, f.Place}}, text, "")
	if _, account, ok := strings.Cut(f.Place, " acct_"); ok { // of a Stripe object
		named = namedInText(named, text, "acct_"+account)
	}
	return named
}
