package checks

import (
	"context"

	"rollcall/store/reasons"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

// checkouts finds expired sessions. They make no customer, but show that the person
// was about to buy.
func (l *lookup) checkouts(ctx context.Context) error {
	users, customers := []string{l.q.User}, []string{}
	for _, u := range l.p.Users {
		users = append(users, u.ID)
	}
	for _, c := range l.p.StripeCustomers {
		customers = append(customers, c.Account+"/"+c.ID)
	}
	found, err := collect(ctx, l.Checkup, scanCheckout, checkoutsSQL, users, l.p.Emails, customers, l.q.Store, mostFacts)
	l.p.Facts = append(l.p.Facts, found...)
	return err
}

// checkoutsSQL finds a session's store by the same links as a payment's.
var checkoutsSQL = `
	SELECT
		` + store.RefOf("checkout", "c.account", "c.id") + `,
		store.id,
		c.product_ref,
		` + store.TitleOf("c.product_ref", "store.id") + `,
		` + store.MoneyOf("c.amount", "c.currency") + `,
		c.started_at,
		c.user_ref,
		c.email,
		jsonb_build_object('checkout', c.version)
	FROM (
		SELECT k.*, moment(k.started_at) AS at
		FROM checkouts k
		WHERE k.status = 'expired'
		  AND (k.user_ref = ANY($1) OR k.email = ANY($2) OR k.account || '/' || k.stripe_customer = ANY($3))
	) c
	CROSS JOIN LATERAL (
		SELECT CASE
			WHEN c.account <> '' THEN ` + store.LinkTo(store.LinkSubject, store.AccountLink, "c.account", "c.at") + `
			ELSE coalesce(` + store.StoreNamed("c.store_ref", "c.at") + `, (product_home(c.product_ref, c.at)).id, ` +
	store.StoreOwned(store.LinkSubject, "c.creator_ref", "c.at") + `)
		END AS id
	) store
	WHERE $4 = '' OR store.id = $4 OR store.id IS NULL
	ORDER BY c.started_at, c.id
	LIMIT $5`

func scanCheckout(row pgx.CollectableRow) (f PersonalFact, err error) {
	var versions store.Versions
	err = row.Scan(&f.Ref, &f.StoreID, &f.Product, &f.Title, &f.Amount, &f.At, &f.User, &f.Typed, &versions)
	unpaid, _ := reasons.Find("unpaid")
	f.Kind, f.At, f.Origins, f.Reason = "checkout", pg.UTC(f.At), versions.Origins("stripe"), &unpaid.Code
	f.Meaning, f.Rightly = unpaid.Means, unpaid.Right
	return f, err
}
