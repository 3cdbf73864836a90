package store

import "fmt"

// CountedWith says which payment counts money instead.
func CountedWith(ref *string) string {
	if ref == nil {
		return ""
	}
	return ": it is counted as " + *ref
}

// RefOf is SQL for the ref of a fact.
func RefOf(kind, account, id string) string {
	return fmt.Sprintf(`'%s:' || coalesce(nullif(%s, '') || '/', '') || %s`, kind, account, id)
}

// TitleOf is SQL for what a product is called in the store: as in addTitles.
func TitleOf(product, store string) string {
	return fmt.Sprintf(`coalesce((
				SELECT called.title
				FROM (SELECT title, store_ids FROM products WHERE id = %[1]s OFFSET 0) called
				WHERE %[2]s = ANY(called.store_ids) AND called.title <> ''
			), %[1]s)`, product, store)
}

// MoneyOf is SQL for a Money, null without an amount or a currency.
func MoneyOf(amount, currency string) string {
	return fmt.Sprintf(`CASE WHEN %[1]s IS NOT NULL AND %[2]s IS NOT NULL THEN jsonb_build_object('amount', %[1]s, 'currency', %[2]s) END`, amount, currency)
}

// The versions of facts, as said reads them, and who says payments.
const (
	PaymentSource        = `CASE WHEN p.kind = 'purchase' THEN 'platform' ELSE 'stripe' END`
	PaymentVersions      = `jsonb_build_object('payment', p.claim_version, 'intent', p.intent_version, 'charge', nullif(p.charge_version, ''), 'invoice', p.invoice_version, 'destination', p.destination_version)`
	SubscriptionVersions = `jsonb_build_object('subscription', s.version, 'checkout', s.checkout_version)`
	EnrollmentVersions   = `jsonb_build_object('enrollment', e.version, 'email', e.email_version, 'store', e.store_version, 'name', e.name_version,
				'progress', e.progress_version, 'enrolled_at', e.enrolled_version, 'completed_at', e.completed_version, 'end', e.deleted_version)`
)

// LastVerified is SQL for whether a user's address is the last verified one, and
// Clerk tells of none now.
func LastVerified(u string) string {
	return fmt.Sprintf(`%[1]s.email IS NOT NULL AND coalesce(%[1]s.earlier ? 'email', false)`, u)
}

// CountedAs is SQL for the ref of the payment that counts the money of payment p
// instead, if one does: see counted_elsewhere in paymentContext.
var CountedAs = `coalesce(
		(SELECT ` + RefOf("payment", "x.account", "x.id") + ` FROM payments x WHERE x.account = p.account AND x.invoice = p.id AND p.kind = 'invoice' AND x.kind = 'checkout' AND x.paid ORDER BY x.id LIMIT 1),
		(SELECT ` + RefOf("payment", "i.account", "i.id") + ` FROM payments i WHERE i.account = p.account AND i.id = p.invoice AND i.kind = 'invoice'),
		(SELECT ` + RefOf("payment", "i.account", "i.id") + ` FROM payments i WHERE i.account = p.account AND i.claimed_by = p.id AND i.kind = 'checkout' AND i.id <> i.claimed_by ORDER BY i.id LIMIT 1))`

// MoneyReceived is SQL for what payment p brought, claimed or not.
var MoneyReceived = MoneyOf("coalesce(p.amount, (p.intent ->> 'received')::bigint)", "coalesce(p.currency, p.intent ->> 'currency')")

// PersonFact is a user of the platform's or a customer of Stripe's.
type PersonFact struct {
	Ref          string   `json:"ref"`
	Kind         string   `json:"kind"` // user or stripe_customer
	Account      string   `json:"account"`
	ID           string   `json:"id"`
	Email        string   `json:"email"`
	Name         *string  `json:"name"`
	Deleted      bool     `json:"deleted"`       // gone there; what they did stays
	LastVerified bool     `json:"last_verified"` // of a user: Clerk tells of no verified address now, this was the last
	Origins      []Origin `json:"origins"`
}
