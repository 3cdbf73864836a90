package campaigns

import "rollcall/store"

// leftCheckouts finds expired sessions whose buyer is a customer of the store: by the user, else by the address that
// was typed in, else by the Stripe customer. A session's store is found by the same links as a payment's.
var leftCheckouts = `
	SELECT c.id AS customer, 'checkout:' || k.id AS occurrence, k.id AS about, version_time(k.version) + @age AS
		became_due_at
	FROM (
		SELECT k.*, moment(k.started_at) AS at
		FROM checkouts k
		WHERE k.status = 'expired'
		  AND k.recovery_url IS NOT NULL
		  AND k.recovery_until > @now
		  AND ` + window("version_time(k.version)") + `
	) k
	JOIN customers c ON c.store_id = @store AND c.email = coalesce(
		(SELECT u.email FROM users u WHERE u.id = k.user_ref),
		k.email,
		(SELECT s.email FROM stripe_customers s WHERE s.account = k.account AND s.id = k.stripe_customer))
	CROSS JOIN LATERAL (
		SELECT CASE
			WHEN k.account <> '' THEN ` + store.LinkTo(store.LinkSubject, store.AccountLink, "k.account", "k.at") + `
			ELSE coalesce(` + store.StoreNamed("k.store_ref", "k.at") + `, (product_home(k.product_ref, k.at)).id, ` +
	store.StoreOwned(store.LinkSubject, "k.creator_ref", "k.at") + `)
		END AS id
	) home
	WHERE home.id = @store`
