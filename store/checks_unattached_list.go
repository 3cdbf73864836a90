package store

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ParseOffFilter reads the query parameters of a list of the facts on no list
// for a reason; its errors are *BadParam.
func ParseOffFilter(reason string, q url.Values) (OffFilter, error) {
	f := OffFilter{Reason: reason}
	err := readParams(q, []Param{{Name: "store", Value: &f.Store}, cursorParam(&f.Cursor)}, &f.Limit)
	if err == nil {
		_, _, err = f.check()
	}
	return f, err
}

// OffFacts returns a page of the facts on no list for a reason, and the cursor
// of the next one, empty at the end. What is wrong with f is a *BadParam.
func (s *Store) OffFacts(ctx context.Context, f OffFilter) (page []OffFact, next string, err error) {
	defer wrap(&err, "store.OffFacts(%q)", f.Reason)
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, s.pool, snapshot, func(tx pgx.Tx) error {
		if page, next, err = f.page(ctx, tx, readOffFact); err != nil {
			return err
		}
		origins := make([][]Origin, len(page))
		for i, fact := range page {
			origins[i] = fact.Origins
		}
		return lookUp(ctx, tx, origins...)
	})
	return page, next, err
}

// readOffFact is an offReader of all there is to tell.
func readOffFact(kind FactKind) (selecting string, scan pgx.RowToFunc[OffFact]) {
	source := map[string]string{enrollment: "platform", subscription: "stripe"}[kind.Name]
	return offFactSQL[kind.Name], func(row pgx.CollectableRow) (o OffFact, err error) {
		var versions said
		of := source
		o.Kind, o.key.kind = kind.Name, kind.Name
		err = row.Scan(&o.key.a, &o.key.b, &o.Who, &o.StoreID, &o.StoreName, &o.Title, &o.Amount, &o.At, &o.Reason, &of, &versions)
		o.Ref, o.At = refOfKey(o.key), utc(o.At)
		o.Origins = versions.origins(of)
		if reason, text, found := strings.Cut(o.Reason, ": "); found {
			o.Reason, o.Error = reason, &text
		}
		return o, err
	}
}

// refOfKey is the ref of a fact, as refOf writes it.
func refOfKey(k rowKey) string {
	if k.a == "" {
		return k.kind + ":" + k.b
	}
	return fmt.Sprintf("%s:%s/%s", k.kind, k.a, k.b)
}

// offFactSQL reads facts of each kind, under their aliases.
var offFactSQL = map[string]string{
	enrollment: `
		SELECT
			e.course_id,
			e.person,
			e.person AS who,
			e.store_id,
			st.name,
			` + titleOf("e.course_id", "e.store_id") + ` AS title,
			NULL::jsonb AS amount,
			coalesce(e.enrolled_at, e.first_said_at) AS at,
			e.unattached,
			'platform' AS source,
			` + enrollmentSaid + ` AS said
		FROM enrollments e
		LEFT JOIN stores st ON st.id = e.store_id`,
	payment: `
		SELECT
			p.account,
			p.id,
			` + whoOf(kindOf(payment)) + ` AS who,
			p.store_id,
			st.name,
			` + titleOf("coalesce(p.product_id, p.product_ref)", "p.store_id") + ` AS title,
			` + moneyOf("p.amount", "p.currency") + ` AS amount,
			p.paid_at AS at,
			p.unattached,
			` + paymentSource + ` AS source,
			` + paymentSaid + ` AS said
		FROM payments p
		LEFT JOIN stores st ON st.id = p.store_id`,
	subscription: `
		SELECT
			s.account,
			s.id,
			` + whoOf(kindOf(subscription)) + ` AS who,
			s.store_id,
			st.name,
			coalesce(s.plan_name, s.plan, s.checkout ->> 'plan', ` + titleOf("s.product_id", "s.store_id") + `) AS title,
			` + moneyOf("s.amount", "s.currency") + ` AS amount,
			coalesce(s.started_at, s.checkout_at) AS at,
			s.unattached,
			'stripe' AS source,
			` + subscriptionSaid + ` AS said
		FROM subscriptions s
		LEFT JOIN stores st ON st.id = s.store_id`,
}
