package store_test

import (
	"fmt"
	"strings"
	"time"

	"pgregory.net/rapid"

	"rollcall/store"
)

// What Clerk and the platform tell in stories.

var clerkActs = []func(drawer) store.NewEvent{
	func(d drawer) store.NewEvent { // a user appears, changes, or goes
		id, typ := d.user(), d.pick("type", "user.created", "user.updated", "user.updated", "user.deleted")
		if typ == "user.deleted" {
			return d.event("clerk", typ, "", fmt.Sprintf(`{"data":{"id":%q,"deleted":true}}`, id))
		}
		return d.event("clerk", typ, "", userPayload(id, d.pick("name", "Ann", "Bob", ""), d.at, d.address()))
	},
	func(d drawer) store.NewEvent { // one who moves between addresses
		return d.event("clerk", "user.updated", "", userPayload("user_1", "Ann", d.at, address(d.email(), "verified")))
	},
	func(d drawer) store.NewEvent {
		return d.event("clerk", "session.created", "", fmt.Sprintf(`{"data":{"id":"sess","user_id":%q,"created_at":%d}}`,
			d.user(), d.at.UnixMilli()))
	},
}

// userPayload is a user with the addresses given.
func userPayload(id, name string, at time.Time, addresses string) string {
	return fmt.Sprintf(`{"data":{"id":%q,"first_name":%q,"updated_at":%d%s}}`, id, name, at.UnixMilli(), addresses)
}

// address is a primary address.
func address(email, status string) string {
	return fmt.Sprintf(
		`,"primary_email_address_id":"idn_1",`+
			`"email_addresses":[{"id":"idn_1","email_address":%q,"verification":{"status":%q}}]`, email, status)
}

// address draws a user's: verified most of the time, taken away, or not told.
func (d drawer) address() string {
	switch d.pick("address", "there", "there", "there", "there", "none", "not told") {
	case "there":
		return address(d.email(), d.pick("status", "verified", "verified", "unverified"))
	case "none":
		return `,"primary_email_address_id":null,"email_addresses":[]`
	}
	return ""
}

var platformActs = []func(drawer) store.NewEvent{
	func(d drawer) store.NewEvent { // a store with or without its links, which may have been another's
		return d.platform("store.upserted", fmt.Sprintf(`{"id":%q,"name":"S"%s%s}`, d.pick("store", "store_1", "store_2"),
			d.field("owner_user_id", func() string {
				return d.maybe(func() string { return d.pick("owner", "user_owner", "user_owner", "user_2") })
			}),
			d.field("stripe_account_id", func() string {
				return d.maybe(func() string { return d.pick("account", "acct_1", "acct_1", "acct_2") })
			})))
	},
	func(d drawer) store.NewEvent {
		id := d.course()
		kind := d.pick("kind", "course", "course", "digital", "membership")
		if id == "bundle_1" {
			kind = "bundle"
		}
		return d.platform("product.upserted", fmt.Sprintf(`{"id":%q,"kind":%q,"title":"C"%s%s%s}`, id, kind,
			d.field("store_id", func() string { return fmt.Sprintf("%q", d.store()) }),
			d.field("items", func() string { return d.pick("items", `["course_1"]`, `["course_1","course_2"]`, `[]`) }),
			d.field("stripe_price_ids",
				func() string { return d.pick("prices", `["price_1"]`, `["price_2"]`, `["price_1","price_2"]`, `[]`) })))
	},
	func(d drawer) store.NewEvent {
		return d.platform("product.deleted", fmt.Sprintf(`{"id":%q}`, d.course()))
	},
	func(d drawer) store.NewEvent {
		progress := rapid.SampledFrom([]string{"", `,"progress":45`, `,"progress":100,"completed_at":"2026-01-12T11:00:00Z"`,
			`,"progress":0,"completed_at":null`}).Draw(d.t, "progress")
		return d.platform("enrollment.upserted", fmt.Sprintf(`{"course_id":%q,%s%s%s%s}`, d.course(), d.who(), progress,
			d.field("store_id", func() string { return fmt.Sprintf("%q", d.store()) }),
			d.field("enrolled_at", func() string { return fmt.Sprintf("%q", d.when("enrolled").Format(time.RFC3339)) })))
	},
	func(d drawer) store.NewEvent {
		kind := d.pick("kind of mail", "marketing", "marketing", "tracking")
		return d.platform("consent.updated", fmt.Sprintf(`{"store_id":%q,%s,%q:%s}`, d.pick("store", "store_1", "store_2"),
			d.who(), kind, d.pick("agreed", "true", "false")))
	},
	func(d drawer) store.NewEvent { // a guest's enrollment, and the user's into which it is turned
		d = d.about("conversion")
		who := fmt.Sprintf(`"email":%q,"name":"Guest"`, d.email())
		if d.yes() {
			who = fmt.Sprintf(`"user_id":%q`, d.user())
		}
		return d.platform("enrollment.upserted", fmt.Sprintf(`{"course_id":%q,%s,"enrolled_at":%q}`, d.course(), who,
			d.when("enrolled").Format(time.RFC3339)))
	},
	func(d drawer) store.NewEvent { // its end, under either name
		if d.yes() {
			d = d.about("conversion")
		}
		return d.platform("enrollment.deleted", fmt.Sprintf(`{"course_id":%q,%s}`, d.course(), d.who()))
	},
	func(d drawer) store.NewEvent {
		id := d.pick("purchase", "buy_1", "pi_1")
		d = d.about(strings.TrimPrefix(id, "pi_"))
		return d.platform("purchase.recorded",
			fmt.Sprintf(`{"id":%q,"product_id":%q,%s,"amount":%d,"currency":%q,"purchased_at":%q%s}`,
				id, d.course(), once(d, "who", d.who), d.amount(), d.currency(), d.when("created").Format(time.RFC3339),
				d.field("store_id", func() string { return fmt.Sprintf("%q", d.store()) })))
	},
}
