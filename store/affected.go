package store

import (
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
)

// providedBy lists the keys that a set speaks for and other rows lean on.
// Stores and products are not among them: see catalogueChanges.
func providedBy(set facts.Set) []string {
	var keys []string
	for _, f := range set.Users {
		keys = append(keys, "user:"+f.ID)
	}
	for _, f := range set.StripeCustomers {
		keys = append(keys, cusKey(f.Account, f.ID))
	}
	for _, f := range set.Subscriptions {
		keys = append(keys, subKey(f.Account, f.ID))
	}
	for _, f := range set.Payments {
		if f.Kind == "invoice" { // its payment intents lean on it
			keys = append(keys, payKey(f.Account, f.ID))
		}
	}
	return keys
}

// affected finds the rows to attach: those that a set brings and those that
// lean on the keys provided. It takes the locks of what they lean on in turn.
func (w *work) affected(ctx context.Context, set facts.Set, provided []string) (_ []rowKey, err error) {
	defer wrap(&err, "store.affected")
	var own []rowKey
	for _, f := range set.Enrollments {
		own = append(own, rowKey{enrollment, f.CourseID, f.Person})
	}
	for _, f := range set.Payments {
		own = append(own, rowKey{payment, f.Account, f.ID})
	}
	for _, f := range set.Subscriptions {
		own = append(own, rowKey{subscription, f.Account, f.ID})
	}
	adrift, err := w.paymentsOfCharges(ctx, set)
	if err != nil {
		return nil, err
	}
	return w.neighbours(ctx, append(own, adrift...), provided)
}

// paymentsOfCharges finds the payments of refunds and disputes that name only
// their charge.
func (w *work) paymentsOfCharges(ctx context.Context, set facts.Set) ([]rowKey, error) {
	var accounts, charges []string
	for _, f := range set.Refunds {
		if f.PaymentIntent == "" || f.Cumulative {
			accounts, charges = append(accounts, f.Account), append(charges, f.Charge)
		}
	}
	for _, f := range set.Disputes {
		if f.PaymentIntent == "" {
			accounts, charges = append(accounts, f.Account), append(charges, f.Charge)
		}
	}
	if len(charges) == 0 {
		return nil, nil
	}
	rows, err := w.tx.Query(ctx, `
		SELECT DISTINCT p.account, p.id
		FROM unnest($1::text[], $2::text[]) AS c(account, charge)
		JOIN refunds r ON r.account = c.account AND r.id = c.charge
		JOIN payments p ON p.account = r.account AND p.id = r.payment_intent`, accounts, charges)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (rowKey, error) {
		k := rowKey{kind: payment}
		return k, row.Scan(&k.a, &k.b)
	})
}

// neighbours adds to own rows the invoices that their payment intents pay, and
// all rows leaning on the provided keys; and extends the locks over all of it.
func (w *work) neighbours(ctx context.Context, own []rowKey, provided []string) ([]rowKey, error) {
	found := map[rowKey]bool{}
	more := locks{}
	more.add(true, provided...)
	for _, query := range neighbourSQL(own, provided) {
		rows, err := w.tx.Query(ctx, query.sql, query.args...)
		if err != nil {
			return nil, err
		}
		k := rowKey{kind: query.kind}
		var leans []string
		_, err = pgx.ForEachRow(rows, []any{&k.a, &k.b, &leans}, func() error {
			found[k] = true
			more.add(false, leans...)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return slices.Collect(maps.Keys(found)), w.extend(ctx, more)
}

type neighbourQuery struct {
	kind string
	sql  string
	args []any
}

// neighbourSQL writes the look-ups that are needed, and no others.
func neighbourSQL(own []rowKey, provided []string) (queries []neighbourQuery) {
	byKind := keyArrays(own)
	for _, t := range []struct{ kind, table, a, b, byKey string }{
		{enrollment, "enrollments", "course_id", "person", ""},
		{subscription, "subscriptions", "account", "id", ""},
		{payment, "payments", "account", "id", `
			UNION
			SELECT i.account, i.id, i.leans
			FROM unnest($1::text[], $2::text[]) AS k(a, b)
			JOIN payments f ON f.account = k.a AND f.id = k.b
			JOIN payments i ON i.account = f.account AND i.id = f.invoice`},
	} {
		if k := byKind[t.kind]; len(k[0]) > 0 {
			queries = append(queries, neighbourQuery{t.kind, `
			SELECT f.` + t.a + `, f.` + t.b + `, f.leans
			FROM unnest($1::text[], $2::text[]) AS k(a, b)
			JOIN ` + t.table + ` f ON f.` + t.a + ` = k.a AND f.` + t.b + ` = k.b` + t.byKey, []any{k[0], k[1]}})
		}
		if len(provided) > 0 {
			queries = append(queries, neighbourQuery{t.kind, `
			SELECT f.` + t.a + `, f.` + t.b + `, f.leans
			FROM ` + t.table + ` f
			WHERE f.leans && $1::text[]`, []any{provided}})
		}
	}
	return queries
}
