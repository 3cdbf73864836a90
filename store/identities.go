package store

import (
	"cmp"
	"slices"
	"strings"

	"rollcall/facts"
)

// What people are known by, and in which columns.

// identity is something that a person is known by.
type identity struct {
	kind  string
	value string // an address; a user's id; account/id of a Stripe customer or object
}

// Kinds of identities.
const (
	anAddress       = "address"
	aUser           = "user"
	aStripeCustomer = "stripe_customer"
	anObject        = "object" // of one buyer: see erasure_names.go
)

func compareIdentities(a, b identity) int {
	return cmp.Or(strings.Compare(a.kind, b.kind), strings.Compare(a.value, b.value))
}

// id is an identity as others write it.
func (i identity) id() string {
	if i.kind == aStripeCustomer || i.kind == anObject {
		_, id, _ := strings.Cut(i.value, "/")
		return id
	}
	return i.value
}

// valuesOf lists the values of identities of a kind.
func valuesOf(kind string, ids []identity) []string {
	values := []string{}
	for _, i := range ids {
		if i.kind == kind {
			values = append(values, i.value)
		}
	}
	return values
}

// kindsAndValues are the columns of a list of identities.
func kindsAndValues(ids []identity) (kinds, values []string) {
	for _, i := range ids {
		kinds, values = append(kinds, i.kind), append(values, i.value)
	}
	return kinds, values
}

// dependencies are the keys by which rows depend on users and Stripe customers
// among identities.
func dependencies(ids []identity) (keys []string) {
	for _, i := range ids {
		switch i.kind {
		case aUser:
			keys = append(keys, "user:"+i.value)
		case aStripeCustomer:
			keys = append(keys, "cus:"+i.value)
		}
	}
	return keys
}

// personOf reads who an enrollment is of.
func personOf(person string) identity {
	if id, ok := strings.CutPrefix(person, "user:"); ok {
		return identity{aUser, id}
	}
	return identity{anAddress, strings.TrimPrefix(person, "email:")}
}

// spellingsOf are the ways in which an identity may be written.
func spellingsOf(i identity) []string {
	if i.kind != anAddress {
		return []string{i.value}
	}
	return append(facts.Spellings(i.value), i.value)
}

// object is the identity of a payment or a subscription.
func (k RowKey) object() identity { return identity{anObject, k.A + "/" + k.B} }

// IdentityColumn is a column that names people.
type IdentityColumn struct {
	Table, Column string
	Names         string // how: anAddress, aUser, aStripeCustomer or one of those below
}

// How else a column names people than by an identity.
const (
	aPerson     = "person"       // user:<id>, or email:<address>
	aName       = "name"         // what a person is called, looks like or lives in
	aContext    = "context"      // JSON of a buyer: user_ref, stripe_customer, email, name, country
	pastAddress = "past_address" // an address as it was spelled then, which stays
	anyText     = "text"         // text or JSON that may name any person
	itsAge      = "versions"     // JSON of the versions of the other columns
	aCopy       = "copy"         // generated or derived from other columns, and written with these
)

// identityColumns are all columns of all tables that name people. Erasure walks
// over them; a test finds columns that are missing.
var identityColumns = slices.Concat(
	columnsOfKinds(),
	// People, and what they left unfinished.
	columnsOfTable("users", "user id, address email, name name image_url, versions earlier"),
	columnsOfTable("stripe_customers", "stripe_customer id, address email, name name, versions earlier"),
	columnsOfTable("links", "user subject, address object"), // of the relation address
	columnsOfTable("checkouts", ofContext+", text recovery_url"),
	columnsOfTable("failed_invoices", "stripe_customer stripe_customer, versions earlier, text hosted_url"),
	// Customers, and what follows from them.
	columnsOfTable("customers", "copy email name image_url country"),
	columnsOfTable("customer_index", "copy words"),
	columnsOfTable("customer_words", "copy words"),
	columnsOfTable("customer_merges", "past_address from_email into_email"),
	columnsOfTable("backfill_previews", "past_address email"),
	// What people and programs wrote.
	columnsOfTable("customer_notes", "address email, text body, person author editor"),
	columnsOfTable("customer_tags", "address email, person tagged_by"),
	columnsOfTable("tags", "text name folded, person created_by"),
	columnsOfTable("segments", "text name folded rule, person created_by"),
	columnsOfTable("watched_members", "address email"),
	columnsOfTable("segment_moves", "address email"),
	columnsOfTable("bulk_actions", "text filter reason, person started_by"),
	columnsOfTable("bulk_people", "address email"),
	columnsOfTable("bulk_changes", "address email, person tagged_by"),
	columnsOfTable("campaigns", "text name audience steps on_goal, person created_by"),
	columnsOfTable("runs", "address email"),
	columnsOfTable("mails", "address email, text answer"),
	columnsOfTable("mail_consents", "user user_id, address email"),
	columnsOfTable("mail_stops", "person by"),
	columnsOfTable("mail_bodies", "text subject markdown"),
	columnsOfTable("backfills", "text reason"),
	columnsOfTable("backfill_chunks", "text cursor last_error"),
	columnsOfTable("backfill_errors", "text place what why"),
	columnsOfTable("watches", "text detail fix"),
	columnsOfTable("watch_changes", "text detail fix last_error"),
	columnsOfTable("derivation", "text after_a after_b last_error"),
	columnsOfTable("erasure_terms", "text value"), // until the erasure is done
	columnsOfTable("webhook_events", "text payload headers last_error dismissed_why"),
)

// columnsOfKinds are those of facts.
func columnsOfKinds() (columns []IdentityColumn) {
	for _, k := range FactKinds {
		columns = append(columns, columnsOfTable(k.Table, k.People)...)
	}
	return columns
}

// columnsOfTable reads a list of ways to name people, each with its columns.
func columnsOfTable(table, ways string) (columns []IdentityColumn) {
	for way := range strings.SplitSeq(ways, ", ") {
		words := strings.Fields(way)
		for _, column := range words[1:] {
			columns = append(columns, IdentityColumn{table, column, words[0]})
		}
	}
	return columns
}

// columnsNaming lists the columns of a table that name people, except for copies.
func columnsNaming(table string) (columns []string) {
	for _, c := range identityColumns {
		if c.Table == table && c.Names != aCopy {
			columns = append(columns, c.Column)
		}
	}
	return columns
}

// address is SQL for the address in a column of a row that goes by an alias; empty
// if it holds none, or one that stays as it is.
func (c IdentityColumn) address(alias string) string {
	switch c.Names {
	case anAddress:
		return alias + "." + c.Column
	case aContext:
		return alias + "." + c.Column + " ->> 'email'"
	}
	return ""
}

// NamesAddress is SQL for whether a row of a table, by its alias, names an
// address of the array given.
func NamesAddress(table, alias, addresses string) string {
	var ways []string
	for _, c := range identityColumns {
		switch address := c.address(alias); {
		case c.Table != table:
		case address != "":
			ways = append(ways, address+" = ANY("+addresses+")")
		case c.Names == pastAddress:
			ways = append(ways, alias+"."+c.Column+" = ANY("+addresses+")")
		case c.Names == aPerson:
			ways = append(ways, alias+"."+c.Column+" = ANY(SELECT 'email:' || a FROM unnest("+addresses+") a)")
		}
	}
	return "(" + strings.Join(ways, " OR ") + ")"
}
