package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rollcall/facts"
	"rollcall/store/pg"
)

// StripeAudit compares the sales, refunds, disputes and subscriptions that we
// hold with those that Stripe's API lists. It is fed page by page.
type StripeAudit struct {
	*mirror
	store    *Store
	accounts []string // that are read, "" being the platform's own
}

// StoreAccounts returns the Connect account of a store, if it has one; the error
// is ErrNotFound if the store does not exist.
func (s *Store) StoreAccounts(ctx context.Context, id string) (accounts []string, err error) {
	defer pg.Wrap(&err, "store.StoreAccounts(%q)", id)
	if !pg.Storable(id) {
		return nil, pg.ErrNotFound
	}
	var known bool
	err = s.Pool.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM stores WHERE id = $1)
			OR EXISTS (SELECT FROM customers WHERE store_id = $1)
			OR EXISTS (SELECT FROM products WHERE store_ref = $1),
			ARRAY(SELECT stripe_account_id FROM stores WHERE id = $1 AND stripe_account_id <> '')`, id).Scan(&known, &accounts)
	if err == nil && !known {
		err = pg.ErrNotFound
	}
	return accounts, err
}

// NewStripeAudit begins an audit. It has to be closed.
func (s *Store) NewStripeAudit(ctx context.Context, o AuditOptions, accounts []string) (_ *StripeAudit, err error) {
	defer pg.Wrap(&err, "store.NewStripeAudit")
	m, err := s.newMirror(ctx, o, StripeDifferences, "payments", "refunds", "disputes", "subscriptions")
	if err != nil {
		return nil, err
	}
	return &StripeAudit{m, s, slices.Clone(accounts)}, nil
}

// Page takes in a page of Stripe's.
func (a *StripeAudit) Page(ctx context.Context, items []Item) error {
	unread, err := a.add(ctx, items, func(set facts.Set) facts.Set {
		return facts.Set{Payments: set.Payments, Refunds: set.Refunds, Disputes: set.Disputes,
			Subscriptions: set.Subscriptions}
	})
	for _, item := range unread {
		// Nobody knows what is on a list that could not be read.
		if _, account, list := strings.Cut(item.Place, " of "); list {
			a.accounts = slices.DeleteFunc(a.accounts, func(other string) bool { return other == account })
		}
	}
	return err
}

// Finish compares, after the last page.
func (a *StripeAudit) Finish(ctx context.Context) (_ Audit, err error) {
	defer pg.Wrap(&err, "store.StripeAudit.Finish")
	if err := a.resolve(ctx); err != nil {
		return a.audit, err
	}
	if err := a.plan(ctx); err != nil {
		return a.audit, err
	}
	for _, c := range stripeComparisons {
		args := []any{a.o.Store}
		if c.unlisted {
			args = append(args, a.accounts, a.asOf, a.asOf.Format("2006-01-02T15:04:05.000000Z"))
		}
		if err := a.compare(ctx, c, args...); err != nil {
			return a.audit, err
		}
	}
	a.audit.Differences = a.found.list()
	a.audit.Money, err = a.money(ctx)
	return a.audit, err
}

// resolve works out, from what Stripe says and from the stores, products and
// users that we know, whose each sale and subscription is and what was refunded.
func (a *StripeAudit) resolve(ctx context.Context) error {
	if _, err := a.tx.Exec(ctx, a.analyze()+` SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off;
		SET LOCAL enable_mergejoin = off; SET LOCAL jit = off`); err != nil {
		return err
	}
	for _, kind := range FactKinds {
		if !kind.ofStripe() {
			continue
		}
		for last := (RowKey{Kind: kind.Name}); ; {
			rows := pg.Query(ctx, a.tx, kind.keysAfterSQL(), last.A, last.B, "", AuditChunk)
			keys, err := KeysOfKind(kind.Name, rows)
			if err != nil {
				return err
			}
			if len(keys) == 0 {
				break
			}
			columns := KeyArrays(keys)[kind.Name]
			if _, err := a.tx.Exec(ctx, kind.resolvedSQL(), columns[0], columns[1], a.store.PlatformTypes); err != nil {
				return err
			}
			last = keys[len(keys)-1]
		}
	}
	return nil
}

// resolvedSQL writes down what resolve finds, of the mirror's rows.
func (k FactKind) resolvedSQL() string {
	return `
		UPDATE ` + k.Table + ` f
		SET (` + strings.Join(k.resolved(), ", ") + `) = ROW (` + qualify("r", k.resolved()) + `)
		FROM (` + k.resolveSQL() + `
		) AS r(` + resolvedColumns + `)
		WHERE ` + k.is("f", "r")
}

// StoreMoney is what came to a store in a currency, as we hold it and as Stripe
// has it, in minor units.
type StoreMoney struct {
	Store          string `json:"store"` // "" where no store is known
	Currency       string `json:"currency"`
	Paid           int64  `json:"paid"`
	Refunded       int64  `json:"refunded"`
	StripePaid     int64  `json:"stripe_paid"`
	StripeRefunded int64  `json:"stripe_refunded"`
}

// Agrees reports whether both sides are the same.
func (m StoreMoney) Agrees() bool { return m.Paid == m.StripePaid && m.Refunded == m.StripeRefunded }

// money adds up by store: that of our row, or, where we have none, the one that
// Stripe's would belong to. What counts elsewhere, or is the platform's own, is
// left out on both sides, and so is what was sold since the audit began.
func (a *StripeAudit) money(ctx context.Context) (_ []StoreMoney, err error) {
	defer pg.Wrap(&err, "store.StripeAudit.money")
	const counts = `claim_version <> '' AND %[1]s.paid AND %[1]s.paid_at < $3
		AND coalesce(%[1]s.unattached, '') NOT IN ('counted_elsewhere', 'platform_sale', 'bare_payment', 'unpaid')`
	return pg.Structs[StoreMoney](ctx, a.tx, fmt.Sprintf(a.kept(`
		SELECT store, currency, minor_units(sum(paid)), minor_units(sum(refunded)), minor_units(sum(stripe_paid)),
			minor_units(sum(stripe_refunded))
		FROM (
			SELECT coalesce(h.store_id, t.store_id, '') AS store, h.currency, h.amount AS paid, h.refunded,
				0::bigint AS stripe_paid, 0::bigint AS stripe_refunded
			FROM @kept.payments h
			LEFT JOIN payments t USING (account, id)
			WHERE h.%s AND h.account = ANY($2) AND h.id ~ '^(pi|in|cs|py)_'
			UNION ALL
			SELECT coalesce(h.store_id, t.store_id, ''), t.currency, 0, 0, t.amount, t.refunded
			FROM payments t
			LEFT JOIN @kept.payments h USING (account, id)
			WHERE t.%s
		) m
		WHERE ($1 = '' OR store = $1)
		GROUP BY store, currency
		ORDER BY store, currency`), fmt.Sprintf(counts, "h"), fmt.Sprintf(counts, "t")), a.o.Store, a.accounts, a.asOf)
}
