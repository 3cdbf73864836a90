package store

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// How stored rows that name erased people are pseudonymized.

// pseudonymizeRows pseudonymizes rows that name erased people, and returns their
// keys as they are now. The rows' locks are held.
func (f *erasureFilter) pseudonymizeRows(ctx context.Context, keys []RowKey) (now []RowKey, err error) {
	defer pg.Wrap(&err, "store.pseudonymizeRows(%d)", len(keys))
	set, err := readRows(ctx, f.tx, keys, false)
	if err != nil {
		return nil, err
	}
	var changed []purchase
	first := map[RowKey]time.Time{}
	for _, p := range purchasesOf(&set, asStored) {
		now, first[p.RowKey] = append(now, p.RowKey), always
		if f.tombstones.purchase(p) {
			changed = append(changed, p)
		}
	}
	if err := f.writePurchases(ctx, changed); err != nil {
		return nil, err
	}
	if _, err := f.pseudonymizeWhole(ctx, first); err != nil {
		return nil, err
	}
	enrollments, err := f.pseudonymizeEnrollments(ctx, set.Enrollments)
	return append(now, enrollments...), err
}

// writePurchases writes whom payments and subscriptions name.
func (f *erasureFilter) writePurchases(ctx context.Context, changed []purchase) error {
	rows := map[string][]any{}
	for _, p := range changed {
		rows[p.Kind] = append(rows[p.Kind], p.fact)
	}
	for kind, some := range rows {
		if err := f.writeNames(ctx, KindOf(kind), some); err != nil {
			return err
		}
	}
	return nil
}

// writeNames writes the columns that name people of rows of a kind.
func (f *erasureFilter) writeNames(ctx context.Context, k FactKind, rows any) error {
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	columns := columnsNaming(k.Table)
	_, err = f.tx.Exec(ctx, `
		UPDATE `+k.Table+` f
		SET (`+strings.Join(columns, ", ")+`) = ROW (`+qualify("n", columns)+`)
		FROM json_populate_recordset(NULL::`+k.Table+`, $1) n
		WHERE (`+k.KeySQL("f")+`) = (`+k.KeySQL("n")+`)`, string(text))
	return err
}

// pseudonymizeEnrollments pseudonymizes enrollments, whose keys name people. One
// that goes under another key joins what is kept under that key already.
func (f *erasureFilter) pseudonymizeEnrollments(ctx context.Context, rows []facts.Enrollment) (now []RowKey, err error) {
	var changed, moved []facts.Enrollment
	var courses, persons []string
	for _, e := range rows {
		person := e.Person
		named := f.tombstones.enrollment(&e, asStored)
		now = append(now, RowKey{Enrollment, e.CourseID, e.Person})
		switch {
		case e.Person != person:
			moved, courses, persons = append(moved, e), append(courses, e.CourseID), append(persons, person)
		case named:
			changed = append(changed, e)
		}
	}
	if len(changed) > 0 {
		if err := f.writeNames(ctx, KindOf(Enrollment), changed); err != nil {
			return nil, err
		}
	}
	if err := upsert(ctx, f.tx, facts.Set{Enrollments: moved}, nil); err != nil {
		return nil, err
	}
	return now, f.removeEnrollments(ctx, courses, persons)
}

// removeEnrollments removes rows that went under another key; their customers are
// to be derived.
func (w *work) removeEnrollments(ctx context.Context, courses, persons []string) error {
	if len(courses) == 0 {
		return nil
	}
	former, err := queryAll(ctx, w.tx, func(row pgx.CollectableRow) (c customer, err error) {
		return c, row.Scan(&c.id, &c.store, &c.email)
	}, `
		WITH gone AS (
			DELETE FROM enrollments e
			USING unnest($1::text[], $2::text[]) AS k(course, person)
			WHERE e.course_id = k.course AND e.person = k.person
			RETURNING e.customer_id
		)
		SELECT DISTINCT c.id, c.store_id, c.email
		FROM gone
		CROSS JOIN LATERAL (SELECT id, store_id, email FROM customers WHERE id = gone.customer_id OFFSET 0) c`, courses, persons)
	w.former = append(w.former, former...)
	return err
}
