package store

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
)

// putPeople copies the rows of users and Stripe customers among identities to
// what these are called now; and removes them, unless somebody came anew since.
func (w *work) putPeople(ctx context.Context, ids []identity, remove bool) (err error) {
	defer wrap(&err, "store.putPeople(%d)", len(ids))
	p, err := peopleOf(ctx, w.tx, ids, false)
	if err != nil {
		return err
	}
	var put facts.Set
	var users, accounts, customers []string
	for _, f := range p.users {
		if id := f.ID; w.erased.user(&f, userHappened(f)) {
			put.Users, users = append(put.Users, f), append(users, id)
		}
	}
	for _, f := range p.stripeCustomers {
		if id := f.ID; w.erased.stripeCustomer(&f, happened(f.Version, nil)) {
			put.StripeCustomers, accounts, customers = append(put.StripeCustomers, f), append(accounts, f.Account), append(customers, id)
		}
	}
	if err := w.putLinks(ctx, ids, remove); err != nil {
		return err
	}
	if err := upsert(ctx, w.tx, put, nil); err != nil || !remove {
		return err
	}
	if _, err := w.tx.Exec(ctx, `DELETE FROM users WHERE id = ANY($1)`, users); err != nil {
		return err
	}
	_, err = w.tx.Exec(ctx, `DELETE FROM stripe_customers WHERE (account, id) IN (SELECT * FROM unnest($1::text[], $2::text[]))`, accounts, customers)
	return err
}

// putRows puts rows that name erased people, and returns their keys as they are
// now. The rows' locks are held.
func (w *work) putRows(ctx context.Context, keys []rowKey) (now []rowKey, err error) {
	defer wrap(&err, "store.putRows(%d)", len(keys))
	columns := keyArrays(keys)
	if k, ok := columns[payment]; ok {
		some, err := putRowsOf(ctx, w, payment, k, w.putPayment)
		if err != nil {
			return nil, err
		}
		now = append(now, some...)
	}
	if k, ok := columns[subscription]; ok {
		some, err := putRowsOf(ctx, w, subscription, k, w.putSubscription)
		if err != nil {
			return nil, err
		}
		now = append(now, some...)
	}
	if _, err := w.veilWhole(ctx, untimed(now)); err != nil {
		return nil, err
	}
	if k, ok := columns[enrollment]; ok {
		some, err := w.putEnrollments(ctx, k)
		if err != nil {
			return nil, err
		}
		now = append(now, some...)
	}
	return now, nil
}

// untimed are rows told of long ago.
func untimed(keys []rowKey) map[rowKey]time.Time {
	first := map[rowKey]time.Time{}
	for _, k := range keys {
		first[k] = always
	}
	return first
}

func (w *work) putPayment(f *facts.Payment) (rowKey, bool) {
	return rowKey{payment, f.Account, f.ID}, w.erased.payment(f, happened(f.ClaimVersion, f.PaidAt), happened(f.IntentVersion, f.PaidAt), happened(f.ChargeVersion, f.PaidAt))
}

func (w *work) putSubscription(f *facts.Subscription) (rowKey, bool) {
	return rowKey{subscription, f.Account, f.ID}, w.erased.subscription(f, happened(f.Version, f.StartedAt), happened(f.CheckoutVersion, f.CheckoutAt))
}

// namingColumns are those of a row that name people.
var namingColumns = map[string][]string{
	payment:      {"user_ref", "stripe_customer", "email", "name", "earlier", "intent", "charge"},
	subscription: {"user_ref", "stripe_customer", "email", "name", "earlier", "checkout"},
	enrollment:   {"email", "name"}, // beside its key
}

// putRowsOf puts rows of a kind whose keys stay as they are.
func putRowsOf[F any](ctx context.Context, w *work, kind string, keys [2][]string, put func(*F) (rowKey, bool)) (now []rowKey, err error) {
	rows, err := factsOf[F](ctx, w.tx, rowsSQL(kind), keys[0], keys[1])
	if err != nil {
		return nil, err
	}
	var changed []F
	for _, f := range rows {
		key, touched := put(&f)
		now = append(now, key)
		if touched {
			changed = append(changed, f)
		}
	}
	return now, w.writeNames(ctx, kind, changed)
}

// writeNames writes whom rows of a kind name.
func (w *work) writeNames(ctx context.Context, kind string, rows any) error {
	text, err := json.Marshal(rows)
	if err != nil || string(text) == "null" {
		return err
	}
	key, columns := keyOf[kind], namingColumns[kind]
	_, err = w.tx.Exec(ctx, `
		UPDATE `+tableOf[kind]+` f
		SET (`+strings.Join(columns, ", ")+`) = ROW (`+qualify("n", columns)+`)
		FROM json_populate_recordset(NULL::`+tableOf[kind]+`, $1) n
		WHERE f.`+key[0]+` = n.`+key[0]+` AND f.`+key[1]+` = n.`+key[1], string(text))
	return err
}

// putEnrollments puts enrollments, whose keys name people. One that goes under
// another key joins what was said under that already.
func (w *work) putEnrollments(ctx context.Context, keys [2][]string) (now []rowKey, err error) {
	rows, err := factsOf[facts.Enrollment](ctx, w.tx, rowsSQL(enrollment), keys[0], keys[1])
	if err != nil {
		return nil, err
	}
	var changed, moved []facts.Enrollment
	var courses, persons []string
	for _, f := range rows {
		person := f.Person
		touched := w.erased.enrollment(&f, enrollmentHappened(f))
		now = append(now, rowKey{enrollment, f.CourseID, f.Person})
		switch {
		case f.Person != person:
			moved, courses, persons = append(moved, f), append(courses, f.CourseID), append(persons, person)
		case touched:
			changed = append(changed, f)
		}
	}
	if err := w.writeNames(ctx, enrollment, changed); err != nil {
		return nil, err
	}
	if err := upsert(ctx, w.tx, facts.Set{Enrollments: moved}, nil); err != nil {
		return nil, err
	}
	return now, w.removeEnrollments(ctx, courses, persons)
}

// removeEnrollments removes rows; their customers are to be derived.
func (w *work) removeEnrollments(ctx context.Context, courses, persons []string) error {
	if len(courses) == 0 {
		return nil
	}
	left, err := w.tx.Query(ctx, `
		WITH gone AS (
			DELETE FROM enrollments e
			USING unnest($1::text[], $2::text[]) AS k(course, person)
			WHERE e.course_id = k.course AND e.person = k.person
			RETURNING e.customer_id
		)
		SELECT DISTINCT c.id, c.store_id, c.email
		FROM gone
		CROSS JOIN LATERAL (SELECT id, store_id, email FROM customers WHERE id = gone.customer_id OFFSET 0) c`, courses, persons)
	if err != nil {
		return err
	}
	bereft, err := pgx.CollectRows(left, func(row pgx.CollectableRow) (c customer, err error) {
		return c, row.Scan(&c.id, &c.store, &c.email)
	})
	w.bereft = append(w.bereft, bereft...)
	return err
}

// enrollmentHappened is when a row began: its columns are told of one by one.
func enrollmentHappened(f facts.Enrollment) time.Time {
	if f.FirstSaidAt != nil {
		return *f.FirstSaidAt
	}
	return happened(f.Version, f.EnrolledAt)
}

// namedBy lists whom rows name.
func (w *work) namedBy(ctx context.Context, keys []rowKey) ([]identity, error) {
	var set facts.Set
	var err error
	for kind, k := range keyArrays(keys) {
		switch kind {
		case payment:
			set.Payments, err = factsOf[facts.Payment](ctx, w.tx, rowsSQL(kind), k[0], k[1])
		case subscription:
			set.Subscriptions, err = factsOf[facts.Subscription](ctx, w.tx, rowsSQL(kind), k[0], k[1])
		default:
			set.Enrollments, err = factsOf[facts.Enrollment](ctx, w.tx, rowsSQL(kind), k[0], k[1])
		}
		if err != nil {
			return nil, err
		}
	}
	return identitiesOf(set), nil
}
