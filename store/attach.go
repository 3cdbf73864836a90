package store

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/attribute"

	"rollcall/facts"
	"rollcall/store/pg"
)

// Attach and derive: the one routine that turns facts into customers. Webhooks,
// backfills and rebuilds all use it. It resolves each row to (store, email), finds
// or creates the customers, points the rows at them, and derives those customers
// from all their facts.

// Keep upserts facts without attaching them. Run the backfills courses and
// subscriptions after such a bulk load.
func (s *Store) Keep(ctx context.Context, set facts.Set) (err error) {
	defer pg.Wrap(&err, "store.Keep")
	return s.transact(ctx, func(ctx context.Context, w *work) error {
		rows, err := w.upsertFacts(ctx, set)
		if err != nil {
			return err
		}
		return w.markUnderived(ctx, rows)
	})
}

// upsertFacts locks and upserts facts. It returns the rows to attach: those of the
// sets and those that depend on what changed.
func (w *work) upsertFacts(ctx context.Context, sets ...facts.Set) (_ []RowKey, err error) {
	ctx, end := pg.Traced(ctx, "upsert")
	defer end(&err)
	own := locks{}
	for _, set := range sets {
		own.merge(ownLocks(set))
	}
	if err := w.lock(ctx, own); err != nil {
		return nil, err
	}
	set, err := w.erasure.pseudonymize(ctx, sets)
	if err != nil {
		return nil, err
	}
	before, err := w.catalogue(ctx, set)
	if err != nil {
		return nil, err
	}
	unlinked, err := w.linkedInvoices(ctx, set)
	if err != nil {
		return nil, err
	}
	unstarted, err := w.unstarted(ctx, set)
	if err != nil {
		return nil, err
	}
	former, err := w.formerUsers(ctx, set)
	if err != nil {
		return nil, err
	}
	w.reported = append(platformUsers(set), former...)
	if err := upsert(ctx, w.tx, set, w.outcomes); err != nil {
		return nil, err
	}
	erased, err := w.erasure.complete(ctx)
	if err != nil {
		return nil, err
	}
	provided := providedBy(set)
	changed, err := w.catalogueChanges(ctx, set, before)
	if err != nil {
		return nil, err
	}
	return w.dependents(ctx, set, slices.Concat(unlinked, unstarted, erased), append(provided, changed...))
}

// attach points rows at their customers and derives those customers.
func (w *work) attach(ctx context.Context, keys []RowKey) (changes Changes, err error) {
	defer pg.Wrap(&err, "store.attach(%d)", len(keys))
	if len(keys) == 0 {
		return changes, nil
	}
	ctx, end := pg.Traced(ctx, "attach", attribute.Int("rollcall.rows", len(keys)))
	defer end(&err)
	rows, err := resolve(ctx, w.tx, keys, w.platform)
	if err != nil {
		return changes, err
	}
	if rows, err = w.erasure.pseudonymizeInStores(ctx, rows); err != nil {
		return changes, err
	}
	if w.recheck {
		rows = slices.DeleteFunc(rows, resolution.inPlace)
	}
	if err := w.lockCustomers(ctx, rows, w.former); err != nil {
		return changes, err
	}
	if err := w.checkUnmoved(ctx, rows); err != nil {
		return changes, err
	}
	tombstoned, err := w.tombstoned(ctx, rows)
	if err != nil {
		return changes, err
	}
	places, merged, err := w.place(ctx, rows)
	if err != nil {
		return changes, err
	}
	changes.Merged = merged
	pointed, err := w.setCustomers(ctx, rows, places)
	if err != nil {
		return changes, err
	}
	changes.Facts = int64(len(pointed))
	former := w.former
	w.former = nil
	for _, c := range append(tombstoned, former...) {
		places.add(c)
	}
	w.attached = attached{rows, places.at, map[int64]bool{}}
	derived, err := w.derive(ctx, w.stale(places.all(), pointed))
	changes.add(derived)
	if err != nil {
		return changes, err
	}
	if err := w.carry(ctx, places.movers); err != nil {
		return changes, err
	}
	return changes, w.erasure.eraseNotes(ctx, rows, former)
}

// lockCustomers locks every customer that rows leave or join. All transactions
// take these locks last and in order, so waiting here is safe. An enrollment's
// tombstone ends the course under its address in any store, so it locks the
// whole address. Customers in former are left by rows that no longer exist.
func (w *work) lockCustomers(ctx context.Context, rows []resolution, former []customer) error {
	if w.held[globalLock] {
		return nil
	}
	l := locks{}
	for _, r := range rows {
		if r.attachable() {
			l.add(true, "customer:"+*r.Store+"/"+*r.Email)
			l.add(false, "address:"+*r.Email)
		}
		if r.OldEmail != nil {
			l.add(true, "customer:"+*r.OldStore+"/"+*r.OldEmail)
			l.add(false, "address:"+*r.OldEmail)
		}
		for _, a := range r.ends() {
			l.add(true, "address:"+a)
		}
	}
	for _, c := range former {
		l.add(true, "customer:"+c.store+"/"+c.email)
		l.add(false, "address:"+c.email)
	}
	if len(w.held)+len(l) > 2*maxLocks {
		w.want[globalLock] = true
		return pg.ErrAgain
	}
	w.customers.merge(l)
	return l.take(ctx, w.tx)
}

// checkUnmoved returns ErrAgain if another transaction merged or moved the rows'
// customers before these were locked.
func (w *work) checkUnmoved(ctx context.Context, rows []resolution) error {
	var attached []RowKey
	old := map[RowKey]resolution{}
	for _, r := range rows {
		if r.OldID != nil {
			attached = append(attached, r.RowKey)
			old[r.RowKey] = r
		}
	}
	for kind, k := range byKind(attached) {
		found, err := w.tx.Query(ctx, kind.pointersSQL(), k[0], k[1])
		if err != nil {
			return err
		}
		now := resolution{RowKey: RowKey{Kind: kind.Name}}
		_, err = pgx.ForEachRow(found, []any{&now.A, &now.B, &now.OldID, &now.OldEmail}, func() error {
			was := old[now.RowKey]
			if now.OldID == nil || *now.OldID != *was.OldID || (now.OldEmail == nil) != (was.OldEmail == nil) ||
				now.OldEmail != nil && *now.OldEmail != *was.OldEmail {
				return pg.ErrAgain
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// pointersSQL finds the customers of rows. OFFSET 0 keeps the planner from starting
// the join at customers, which it would do on a small table.
func (k FactKind) pointersSQL() string {
	return `
	SELECT ` + k.KeySQL("f") + `, f.customer_id, c.email` + k.GivenRows("f") + `
	LEFT JOIN LATERAL (SELECT email FROM customers WHERE id = f.customer_id OFFSET 0) c ON true`
}

// tombstoned finds the customers whose courses are ended by rows that hold only a
// tombstone: it names the address, and the enrollment itself names a user.
func (w *work) tombstoned(ctx context.Context, rows []resolution) ([]customer, error) {
	var emails, courses []string
	for _, r := range rows {
		for _, a := range r.ends() {
			emails, courses = append(emails, a), append(courses, r.A)
		}
	}
	if len(emails) == 0 {
		return nil, nil
	}
	found, err := w.tx.Query(ctx, `
		SELECT DISTINCT c.id, c.store_id, c.email
		FROM unnest($1::text[], $2::text[]) AS t(email, course)
		JOIN customers c ON c.email = t.email
		WHERE EXISTS (SELECT FROM enrollments e WHERE e.customer_id = c.id AND e.course_id = t.course)
		   OR EXISTS (SELECT FROM payments p WHERE p.customer_id = c.id)`, emails, courses)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, func(row pgx.CollectableRow) (c customer, err error) {
		return c, row.Scan(&c.id, &c.store, &c.email)
	})
}
