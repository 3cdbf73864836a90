package store

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// setCustomers writes the resolutions that changed, and returns the new customer of
// each, nil if unattached.
func (w *work) setCustomers(ctx context.Context, rows []resolution, p *places) (pointed []*int64, err error) {
	defer pg.Wrap(&err, "store.setCustomers(%d)", len(rows))
	type columns struct {
		a, b                          []string
		store, email, product, reason []*string
		sold                          []*string
		customer                      []*int64
		refunded, disputed            []int64
	}
	byKind := map[string]*columns{}
	for _, r := range rows {
		c := byKind[r.Kind]
		if c == nil {
			c = &columns{}
			byKind[r.Kind] = c
		}
		var id *int64
		if r.attachable() {
			id = Ptr(p.at[address{*r.Store, *r.Email}])
		}
		c.a, c.b = append(c.a, r.A), append(c.b, r.B)
		c.store, c.email, c.product = append(c.store, r.Store), append(c.email, r.Email), append(c.product, r.Product)
		c.reason, c.sold, c.customer = append(c.reason, r.Unattached), append(c.sold, r.Sold), append(c.customer, id)
		c.refunded, c.disputed = append(c.refunded, r.Refunded), append(c.disputed, r.Disputed)
	}
	for kind, c := range byKind {
		found, err := w.tx.Query(ctx, KindOf(kind).setCustomersSQL(),
			c.a, c.b, c.store, c.email, c.product, c.reason, c.customer, c.refunded, c.disputed, c.sold)
		if err != nil {
			return nil, err
		}
		some, err := pgx.CollectRows(found, pgx.RowTo[*int64])
		if err != nil {
			return nil, err
		}
		pointed = append(pointed, some...)
	}
	return pointed, nil
}

// stale selects the customers to derive. On a recheck there are no new facts, so
// only customers that rows joined or left can have changed.
func (w *work) stale(all []customer, pointed []*int64) []customer {
	if !w.recheck {
		return all
	}
	reached := map[int64]bool{}
	for _, id := range pointed {
		if id != nil {
			reached[*id] = true
		}
	}
	return slices.DeleteFunc(all, func(c customer) bool { return !reached[c.id] && w.inUse(c) })
}

// inUse reports whether rows of this attachment resolve to the customer; otherwise
// rows have left it.
func (w *work) inUse(c customer) bool {
	return w.attached.at[address{c.store, c.email}] == c.id
}

// setCustomersSQL writes the resolutions of rows where they differ.
func (k FactKind) setCustomersSQL() string {
	columns := append(k.resolved(), "customer_id")
	is, should := qualify("f", columns), qualify("r", columns)
	return `
	UPDATE ` + k.Table + ` f
	SET (` + strings.Join(columns, ", ") + `) = ROW (` + should + `)
	FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::jsonb[])
	  AS r(a, b, store_id, customer_email, product_id, unattached, customer_id, refunded, disputed, sold)
	WHERE ` + k.is("f", "r") + `
	  AND (` + is + `) IS DISTINCT FROM (` + should + `)
	RETURNING r.customer_id`
}

// markUnderived clears the address of attached rows whose new facts their customers
// do not show yet, so that the next attachment derives these.
func (w *work) markUnderived(ctx context.Context, rows []RowKey) error {
	for kind, k := range byKind(rows) {
		if _, err := w.tx.Exec(ctx, kind.setSQL("customer_email = NULL")+` AND f.customer_id IS NOT NULL`, k[0], k[1]); err != nil {
			return err
		}
	}
	return nil
}

// setSQL sets columns of the rows f with the keys $1 and $2; conditions may follow.
func (k FactKind) setSQL(columns string) string {
	return `
		UPDATE ` + k.Table + ` f
		SET ` + columns + `
		FROM unnest($1::text[], $2::text[]) AS k(a, b)
		WHERE ` + k.is("f", "k")
}
