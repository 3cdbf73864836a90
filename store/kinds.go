package store

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"rollcall/facts"
)

// FactKind is a kind of fact that belongs to a customer. What every kind has in
// common is done by walking over FactKinds.
type FactKind struct {
	Name    string    // as references and the API have it
	Table   string    // which has the columns store_id, customer_email, customer_id, unattached, leans and mail
	Key     [2]string // the columns of its primary key
	Derived []string  // further columns that follow from resolving a row: of product_id, sold, refunded and disputed
	Context string    // SQL that begins to resolve the rows with keys $1 and $2, see resolveSQL
	Lock    string    // what the key of a row's lock begins with
	Label   string    // how a row is called: %[1]s and %[2]s are its key. Empty: by its kind, its id and its account
	History string    // the kind of backfill that attaches all rows again
	Plan    string    // SQL of the rows that one is about, see planSQL

	// Keys are those of the rows that a set tells of.
	Keys func(facts.Set) []rowKey
}

// FactKinds are all kinds of facts, in the order in which they are listed.
var FactKinds = []FactKind{
	{
		Name:    enrollment,
		Table:   "enrollments",
		Key:     [2]string{"course_id", "person"},
		Context: enrollmentContext,
		Lock:    "enrollment:",
		History: "courses",
		Plan:    enrollmentPlan,
		Label:   "enrollment of %[2]s in course %[1]s",
		Keys: func(set facts.Set) []rowKey {
			return keysIn(set.Enrollments, func(f facts.Enrollment) rowKey { return rowKey{enrollment, f.CourseID, f.Person} })
		},
	},
	{
		Name:    payment,
		Table:   "payments",
		Key:     [2]string{"account", "id"},
		Derived: []string{"product_id", "sold", "refunded", "disputed"},
		Context: paymentContext,
		Lock:    "pay:",
		History: "courses",
		Plan:    paymentPlan,
		Keys: func(set facts.Set) []rowKey {
			return keysIn(set.Payments, func(f facts.Payment) rowKey { return rowKey{payment, f.Account, f.ID} })
		},
	},
	{
		Name:    subscription,
		Table:   "subscriptions",
		Key:     [2]string{"account", "id"},
		Derived: []string{"product_id", "sold"},
		Context: subscriptionContext,
		Lock:    "sub:",
		History: "subscriptions",
		Plan:    subscriptionPlan,
		Keys: func(set facts.Set) []rowKey {
			return keysIn(set.Subscriptions, func(f facts.Subscription) rowKey { return rowKey{subscription, f.Account, f.ID} })
		},
	},
}

func keysIn[F any](said []F, key func(F) rowKey) (keys []rowKey) {
	for _, f := range said {
		keys = append(keys, key(f))
	}
	return keys
}

// kindOf finds a kind by its name.
func kindOf(name string) FactKind {
	return FactKinds[slices.IndexFunc(FactKinds, func(k FactKind) bool { return k.Name == name })]
}

// tableOf are the tables of the kinds by their names, and keyOf their keys.
var tableOf, keyOf = map[string]string{}, map[string][2]string{}

func init() {
	for _, k := range FactKinds {
		tableOf[k.Name], keyOf[k.Name] = k.Table, k.Key
	}
}

// byKind splits keys into the two columns that SQL unnests, kind by kind.
func byKind(keys []rowKey) iter.Seq2[FactKind, [2][]string] {
	return func(yield func(FactKind, [2][]string) bool) {
		columns := keyArrays(keys)
		for _, k := range FactKinds {
			if c, ok := columns[k.Name]; ok && !yield(k, c) {
				return
			}
		}
	}
}

// unionAll joins queries of each kind, but those that are empty.
func unionAll(about func(FactKind) string) string { return joinKinds("\nUNION ALL\n", about) }

// perKind lists SQL about each kind.
func perKind(about func(FactKind) string) string { return joinKinds(", ", about) }

func joinKinds(between string, about func(FactKind) string) string {
	var parts []string
	for _, k := range FactKinds {
		if sql := about(k); sql != "" {
			parts = append(parts, sql)
		}
	}
	return strings.Join(parts, between)
}

// rowsIn are the rows that a set tells of.
func rowsIn(set facts.Set) (keys []rowKey) {
	for _, k := range FactKinds {
		keys = append(keys, k.Keys(set)...)
	}
	return keys
}

// key is SQL for the key of a row that goes by an alias.
func (k FactKind) key(alias string) string {
	return fmt.Sprintf("%[1]s.%[2]s, %[1]s.%[3]s", alias, k.Key[0], k.Key[1])
}

// is is SQL for whether a row that goes by an alias has the key (a, b) of another.
func (k FactKind) is(alias, other string) string {
	return fmt.Sprintf("%[1]s.%[2]s = %[4]s.a AND %[1]s.%[3]s = %[4]s.b", alias, k.Key[0], k.Key[1], other)
}

// ofStripe tells whether Stripe tells of the kind: its rows are of an account.
func (k FactKind) ofStripe() bool { return k.Key[0] == "account" }

// resolved lists the columns that resolving a row sets, beside customer_id.
func (k FactKind) resolved() []string {
	return append([]string{"store_id", "customer_email", "unattached"}, k.Derived...)
}

// given is SQL for the rows f with the keys $1 and $2.
func (k FactKind) given() string {
	return `
		FROM unnest($1::text[], $2::text[]) AS k(a, b)
		JOIN ` + k.Table + ` f ON ` + k.is("f", "k")
}

// IdentityColumn is a column that names people.
type IdentityColumn struct {
	Table, Column string
	Names         string // how: anAddress, aUser, aStripeCustomer or one of those below
}

// How else a column names people than by an identity.
const (
	aPerson     = "person"       // user:<id>, or email:<address>
	aName       = "name"         // what a person is called, or looks like
	aContext    = "context"      // JSON of what an object says of its buyer: user_ref, stripe_customer, email, name
	pastAddress = "past_address" // an address as it was spelled then, which stays
	anyText     = "text"         // text or JSON that may name anybody
	itsAge      = "versions"     // JSON of when the other columns were told
	aCopy       = "copy"         // generated or derived from other columns, and written with these
)

// identityColumns are all columns of all tables that name people. Erasure walks
// over them; a test finds columns that are missing.
var identityColumns = []IdentityColumn{
	// Facts.
	{"enrollments", "person", aPerson},
	{"enrollments", "email", anAddress},
	{"enrollments", "name", aName},
	{"enrollments", "user_ref", aCopy},
	{"enrollments", "mail", aCopy},
	{"enrollments", "leans", aCopy},
	{"enrollments", "customer_email", aCopy},
	{"payments", "user_ref", aUser},
	{"payments", "stripe_customer", aStripeCustomer},
	{"payments", "email", anAddress},
	{"payments", "name", aName},
	{"payments", "earlier", itsAge},
	{"payments", "intent", aContext},
	{"payments", "charge", aContext},
	{"payments", "mail", aCopy},
	{"payments", "leans", aCopy},
	{"payments", "customer_email", aCopy},
	{"subscriptions", "user_ref", aUser},
	{"subscriptions", "stripe_customer", aStripeCustomer},
	{"subscriptions", "email", anAddress},
	{"subscriptions", "name", aName},
	{"subscriptions", "earlier", itsAge},
	{"subscriptions", "checkout", aContext},
	{"subscriptions", "mail", aCopy},
	{"subscriptions", "leans", aCopy},
	{"subscriptions", "customer_email", aCopy},

	// People, and what they left unfinished.
	{"users", "id", aUser},
	{"users", "email", anAddress},
	{"users", "name", aName},
	{"users", "image_url", aName},
	{"users", "earlier", itsAge},
	{"stripe_customers", "id", aStripeCustomer},
	{"stripe_customers", "email", anAddress},
	{"stripe_customers", "name", aName},
	{"stripe_customers", "earlier", itsAge},
	{"links", "subject", aUser},    // of relation address
	{"links", "object", anAddress}, // of relation address
	{"checkouts", "user_ref", aUser},
	{"checkouts", "stripe_customer", aStripeCustomer},
	{"checkouts", "email", anAddress},
	{"checkouts", "name", aName},
	{"checkouts", "earlier", itsAge},
	{"checkouts", "recovery_url", anyText},
	{"failed_invoices", "stripe_customer", aStripeCustomer},
	{"failed_invoices", "earlier", itsAge},
	{"failed_invoices", "hosted_url", anyText},

	// Customers, and what follows from them.
	{"customers", "email", aCopy},
	{"customers", "name", aCopy},
	{"customers", "image_url", aCopy},
	{"customer_index", "words", aCopy},
	{"customer_merges", "from_email", pastAddress},
	{"customer_merges", "into_email", pastAddress},
	{"backfill_previews", "email", pastAddress},

	// What people and programs wrote.
	{"customer_notes", "email", anAddress},
	{"customer_notes", "body", anyText},
	{"customer_notes", "author", aPerson},
	{"customer_notes", "editor", aPerson},
	{"backfills", "reason", anyText},
	{"backfill_chunks", "cursor", anyText},
	{"backfill_chunks", "last_error", anyText},
	{"backfill_errors", "place", anyText},
	{"backfill_errors", "what", anyText},
	{"backfill_errors", "why", anyText},
	{"watches", "detail", anyText},
	{"watches", "fix", anyText},
	{"watch_changes", "detail", anyText},
	{"watch_changes", "fix", anyText},
	{"watch_changes", "last_error", anyText},
	{"derivation", "after_a", anyText},
	{"derivation", "after_b", anyText},
	{"derivation", "last_error", anyText},
	{"erasure_terms", "value", anyText}, // until the erasure is done
	{"webhook_events", "payload", anyText},
	{"webhook_events", "headers", anyText},
	{"webhook_events", "last_error", anyText},
}

// columnsNaming lists the columns of a table that name people, in one of the ways
// given or, without any, in all but copies.
func columnsNaming(table string, ways ...string) (columns []string) {
	for _, c := range identityColumns {
		wanted := slices.Contains(ways, c.Names) || len(ways) == 0 && c.Names != aCopy
		if c.Table == table && wanted {
			columns = append(columns, c.Column)
		}
	}
	return columns
}

// namesAddress is SQL for whether a row of a table, by its alias, names an
// address of the array given.
func namesAddress(table, alias, addresses string) string {
	var ways []string
	for _, c := range identityColumns {
		switch of := alias + "." + c.Column; {
		case c.Table != table:
		case c.Names == anAddress || c.Names == pastAddress:
			ways = append(ways, of+" = ANY("+addresses+")")
		case c.Names == aContext:
			ways = append(ways, of+" ->> 'email' = ANY("+addresses+")")
		case c.Names == aPerson:
			ways = append(ways, of+" = ANY(SELECT 'email:' || a FROM unnest("+addresses+") a)")
		}
	}
	return "(" + strings.Join(ways, " OR ") + ")"
}
