package store

// The links in force, as SQL that calls functions of the schema. Arguments are SQL;
// at is a version as made by function moment.

// Relations of links.
const (
	OwnerLink   = "owner"   // store → user
	AccountLink = "account" // store → Stripe account
	StoreLink   = "store"   // product → store, or its owner
	StripeLink  = "stripe"  // product → Stripe price or product
	AddressLink = "address" // user → verified address
)

// linkPart is SQL for a part of a link: its subject, its object, or all of it.
type linkPart func(link string) string

// LinkSubject is SQL for the subject of a link.
func LinkSubject(link string) string { return "(" + link + ").subject" }

func linkObject(link string) string { return "(" + link + ").object" }

// LinkJSON is SQL for a whole link as JSON; NULL if there is none.
func LinkJSON(link string) string {
	return "CASE WHEN " + LinkSubject(link) + " IS NOT NULL THEN to_jsonb(" + link + ") END"
}

// linkOf is SQL for the object of a subject at a time, else the first after it;
// NULL if there is none, or if it was withdrawn.
func linkOf(relation, subject, at string) string {
	return linkObject("link_of('" + relation + "', " + subject + ", " + at + ")")
}

// LinkTo is SQL for part of the newest link to an object at a time, else of the
// first after it.
func LinkTo(part linkPart, relation, object, at string) string {
	return part("link_to('" + relation + "', " + object + ", " + at + ")")
}

// notWithdrawn excludes links l that their subject withdrew before a time.
func notWithdrawn(at string) string { return "NOT link_withdrawn(l, " + at + ")" }

// StoreOwned is SQL for part of the link to a user from the store owned at a time.
func StoreOwned(part linkPart, user, at string) string {
	return part("store_owned(" + user + ", " + at + ")")
}

// StoreNamed is SQL for the store that ref names at a time: by the store's id, as
// most do, or its owner's.
func StoreNamed(ref, at string) string {
	return "coalesce((SELECT s.id FROM stores s WHERE s.id = " + ref + "), store_named(" + ref + ", " + at + "))"
}

// productHome is SQL for the store of a product at a time: its id, and ref as the
// product names it.
func productHome(product, at string) string {
	return "SELECT home.id, home.ref FROM product_home(" + product + ", " + at + ") home"
}

// ownedLink is SQL for the owner's link, if ref is the id of a store's owner.
func ownedLink(ref, at string) string {
	return `CASE WHEN (SELECT known.id FROM stores known WHERE known.id = ` + ref + `) IS NULL THEN ` +
		StoreOwned(LinkJSON, ref, at) + ` END`
}

// AddressOwner is SQL for part of the link from the user who owns an address at a
// time.
func AddressOwner(part linkPart, email, at string) string {
	return part("address_owner(" + email + ", " + at + ")")
}
