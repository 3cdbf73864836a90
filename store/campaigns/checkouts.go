package campaigns

// leftCheckouts finds expired sessions whose buyer is a customer of the store: by the user, else by the address that
// was typed in, else by the Stripe customer. A session's store is found by the same links as a payment's.
var leftCheckouts = `
	SELECT c.id AS customer, 'checkout:' || k.id AS occurrence, k.id AS about, version_time(k.version) + @age AS
		became_due_at
	FROM checkouts k
	JOIN customers c ON c.store_id = @store AND c.email = coalesce(
		(SELECT u.email FROM users u WHERE u.id = k.user_ref),
		k.email,
		(SELECT s.email FROM stripe_customers s WHERE s.account = k.account AND s.id = k.stripe_customer))
	WHERE k.status = 'expired'
	  AND k.recovery_url IS NOT NULL
	  AND k.recovery_until > @now
	  AND ` + window("version_time(k.version)") + `
	  AND checkout_home(k.account, k.store_ref, k.product_ref, k.creator_ref, moment(k.started_at)) = @store`
