package mail

// Consents. The platform, Stripe's checkouts, imports and people themselves say them; what was said
// is kept under the user or the address that it was said for (mail_consents, checkouts). What
// counts for a customer is a question (mail_words, named_refusals), so it is the same in whatever
// order that, their users and purchases arrive.

// consents is SQL for what counts for all customers on all kinds of mail: of what was said under
// one address the last word, and of several addresses the most restrictive.
const consents = `(
		SELECT store_id, email, kind, min(state) AS state -- denied comes before granted
		FROM (
			SELECT DISTINCT ON (store_id, email, kind, said_as) store_id, email, kind, state
			FROM (SELECT * FROM mail_words UNION ALL SELECT * FROM named_refusals) s
			ORDER BY store_id, email, kind, said_as, said_at DESC, state
		) w
		GROUP BY store_id, email, kind
	)`

// ConsentSQL is SQL for what counts for a customer on a kind of mail, marketing or tracking:
// granted, denied, or NULL if nothing is known.
func ConsentSQL(kind, storeID, email string) string {
	return `(
		SELECT k.state
		FROM ` + consents + ` k
		WHERE k.store_id = ` + storeID + ` AND k.email = ` + email + ` AND k.kind = '` + kind + `'
	)`
}

// said is SQL for whether what counts for customers c of a store on marketing is a state;
// how as in CanMail.
func said(state, storeID, how string) string {
	return `EXISTS (
		SELECT
		FROM ` + consents + ` k
		WHERE k.store_id = ` + storeID + `
		  AND k.email = c.email
		  AND k.kind = 'marketing'
		  AND k.state = '` + state + `' ` + how + `
	)`
}
