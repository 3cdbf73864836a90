package checks

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

// ParseOffFilter parses the query of a list of missing facts. Its errors are
// *pg.BadParam.
func ParseOffFilter(reason string, q url.Values) (store.OffFilter, error) {
	f := store.OffFilter{Reason: reason}
	err := pg.ReadParams(q, []pg.Param{{Name: "store", Value: &f.Store}, pg.CursorParam(&f.Cursor)}, &f.Limit)
	if err == nil {
		_, _, err = f.Check()
	}
	return f, err
}

// OffFacts returns a page of the facts that are missing for a reason, and the cursor
// of the next one, empty at the end. A filter that is not valid is a *pg.BadParam.
func (s *Reader) OffFacts(ctx context.Context, f store.OffFilter) (page []store.OffFact, next string, err error) {
	defer pg.Wrap(&err, "store.OffFacts(%q)", f.Reason)
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, s.Pool, snapshot, func(tx pgx.Tx) error {
		if page, next, err = f.Page(ctx, tx, readOffFact); err != nil {
			return err
		}
		origins := make([][]store.Origin, len(page))
		for i, fact := range page {
			origins[i] = fact.Origins
		}
		return store.LookUp(ctx, tx, origins...)
	})
	return page, next, err
}

// readOffFact reads all columns of a store.OffFact.
func readOffFact(kind store.FactKind) (selecting string, scan pgx.RowToFunc[store.OffFact]) {
	source := map[string]string{store.Enrollment: "platform", store.Subscription: "stripe"}[kind.Name]
	return offFactSQL[kind.Name], func(row pgx.CollectableRow) (o store.OffFact, err error) {
		var versions store.Versions
		of := source
		o.Kind, o.Key.Kind = kind.Name, kind.Name
		err = row.Scan(&o.Key.A, &o.Key.B, &o.Who, &o.StoreID, &o.StoreName, &o.Title, &o.Amount, &o.At, &o.Reason, &of, &versions)
		o.Ref, o.At = refOfKey(o.Key), pg.UTC(o.At)
		o.Origins = versions.Origins(of)
		if reason, text, found := strings.Cut(o.Reason, ": "); found {
			o.Reason, o.Error = reason, &text
		}
		return o, err
	}
}

// refOfKey is the ref of a fact, as refOf writes it.
func refOfKey(k store.RowKey) string {
	if k.A == "" {
		return k.Kind + ":" + k.B
	}
	return fmt.Sprintf("%s:%s/%s", k.Kind, k.A, k.B)
}

// offFactSQL are the columns of each kind of fact, under its alias.
var offFactSQL = map[string]string{
	store.Enrollment: `
		SELECT
			e.course_id,
			e.person,
			e.person AS who,
			e.store_id,
			st.name,
			` + store.TitleOf("e.course_id", "e.store_id") + ` AS title,
			NULL::jsonb AS amount,
			coalesce(e.enrolled_at, e.first_said_at) AS at,
			e.unattached,
			'platform' AS source,
			` + store.EnrollmentVersions + ` AS said
		FROM enrollments e
		LEFT JOIN stores st ON st.id = e.store_id`,
	store.Payment: `
		SELECT
			p.account,
			p.id,
			` + store.WhoOf(store.KindOf(store.Payment)) + ` AS who,
			p.store_id,
			st.name,
			` + store.TitleOf("coalesce(p.product_id, p.product_ref)", "p.store_id") + ` AS title,
			` + store.MoneyOf("p.amount", "p.currency") + ` AS amount,
			p.paid_at AS at,
			p.unattached,
			` + store.PaymentSource + ` AS source,
			` + store.PaymentVersions + ` AS said
		FROM payments p
		LEFT JOIN stores st ON st.id = p.store_id`,
	store.Subscription: `
		SELECT
			s.account,
			s.id,
			` + store.WhoOf(store.KindOf(store.Subscription)) + ` AS who,
			s.store_id,
			st.name,
			coalesce(s.plan_name, s.plan, s.checkout ->> 'plan', ` + store.TitleOf("s.product_id", "s.store_id") + `) AS title,
			` + store.MoneyOf("s.amount", "s.currency") + ` AS amount,
			coalesce(s.started_at, s.checkout_at) AS at,
			s.unattached,
			'stripe' AS source,
			` + store.SubscriptionVersions + ` AS said
		FROM subscriptions s
		LEFT JOIN stores st ON st.id = s.store_id`,
}
