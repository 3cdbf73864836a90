package store

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"rollcall/facts"
)

// FactKind is a kind of fact that belongs to a customer. Common code iterates over
// FactKinds.
type FactKind struct {
	Name    string    // in references and the API
	Alias   string    // of its rows in SQL for this kind alone
	Table   string    // which has the columns store_id, customer_email, customer_id, unattached, leans and mail
	Key     [2]string // the columns of its primary key
	Derived []string  // further columns that follow from resolving a row: of product_id, sold, refunded and disputed
	Context string    // SQL that begins to resolve the rows with keys $1 and $2, see resolveSQL
	Lock    string    // prefix of the key of a row's lock
	Label   string    // names a row by its key %[1]s and %[2]s. Empty: by kind, id and account
	History string    // the kind of backfill that attaches all rows again
	Plan    string    // SQL for the rows of that backfill, see planSQL

	// Keys are those of the rows in a set.
	Keys func(facts.Set) []RowKey
}

// FactKinds are all kinds of facts, in the order in which they are listed.
var FactKinds = []FactKind{
	{
		Name:    Enrollment,
		Alias:   "e",
		Table:   "enrollments",
		Key:     [2]string{"course_id", "person"},
		Context: enrollmentContext,
		Lock:    "enrollment:",
		History: "courses",
		Plan:    enrollmentPlan,
		Label:   "enrollment of %[2]s in course %[1]s",
		Keys: func(set facts.Set) []RowKey {
			return keysIn(set.Enrollments, func(f facts.Enrollment) RowKey { return RowKey{Enrollment, f.CourseID, f.Person} })
		},
	},
	{
		Name:    Payment,
		Alias:   "p",
		Table:   "payments",
		Key:     [2]string{"account", "id"},
		Derived: []string{"product_id", "sold", "refunded", "disputed"},
		Context: paymentContext,
		Lock:    "pay:",
		History: "courses",
		Plan:    paymentPlan,
		Keys: func(set facts.Set) []RowKey {
			return keysIn(set.Payments, func(f facts.Payment) RowKey { return RowKey{Payment, f.Account, f.ID} })
		},
	},
	{
		Name:    Subscription,
		Alias:   "s",
		Table:   "subscriptions",
		Key:     [2]string{"account", "id"},
		Derived: []string{"product_id", "sold"},
		Context: subscriptionContext,
		Lock:    "sub:",
		History: "subscriptions",
		Plan:    subscriptionPlan,
		Keys: func(set facts.Set) []RowKey {
			return keysIn(set.Subscriptions, func(f facts.Subscription) RowKey { return RowKey{Subscription, f.Account, f.ID} })
		},
	},
}

func keysIn[F any](list []F, key func(F) RowKey) (keys []RowKey) {
	for _, f := range list {
		keys = append(keys, key(f))
	}
	return keys
}

// KindOf finds a kind by its name.
func KindOf(name string) FactKind {
	return FactKinds[slices.IndexFunc(FactKinds, func(k FactKind) bool { return k.Name == name })]
}

// byKind splits keys into the two columns that SQL unnests, kind by kind.
func byKind(keys []RowKey) iter.Seq2[FactKind, [2][]string] {
	return func(yield func(FactKind, [2][]string) bool) {
		columns := KeyArrays(keys)
		for _, k := range FactKinds {
			if c, ok := columns[k.Name]; ok && !yield(k, c) {
				return
			}
		}
	}
}

// UnionAll joins the queries of all kinds that are not empty.
func UnionAll(about func(FactKind) string) string { return joinKinds("\nUNION ALL\n", about) }

// PerKind lists SQL about each kind.
func PerKind(about func(FactKind) string) string { return joinKinds(", ", about) }

func joinKinds(between string, about func(FactKind) string) string {
	var parts []string
	for _, k := range FactKinds {
		if sql := about(k); sql != "" {
			parts = append(parts, sql)
		}
	}
	return strings.Join(parts, between)
}

// rowsIn are the keys of the rows in a set.
func rowsIn(set facts.Set) (keys []RowKey) {
	for _, k := range FactKinds {
		keys = append(keys, k.Keys(set)...)
	}
	return keys
}

// KeySQL is SQL for the key of a row that goes by an alias.
func (k FactKind) KeySQL(alias string) string {
	return fmt.Sprintf("%[1]s.%[2]s, %[1]s.%[3]s", alias, k.Key[0], k.Key[1])
}

// isOf reports whether a row is of a kind.
func (k RowKey) isOf(kind FactKind) bool { return k.Kind == kind.Name }

// is is SQL for whether a row that goes by an alias has the key (a, b) of another.
func (k FactKind) is(alias, other string) string {
	return fmt.Sprintf("%[1]s.%[2]s = %[4]s.a AND %[1]s.%[3]s = %[4]s.b", alias, k.Key[0], k.Key[1], other)
}

// ofStripe reports whether Stripe reports the kind: its rows have an account.
func (k FactKind) ofStripe() bool { return k.Key[0] == "account" }

// resolved lists the columns that resolving a row sets, beside customer_id.
func (k FactKind) resolved() []string {
	return append([]string{"store_id", "customer_email", "unattached"}, k.Derived...)
}

// GivenRows is SQL for the rows with the keys $1 and $2, by an alias.
func (k FactKind) GivenRows(alias string) string {
	return `
		FROM unnest($1::text[], $2::text[]) AS k(a, b)
		JOIN ` + k.Table + ` ` + alias + ` ON ` + k.is(alias, "k")
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
	anyText     = "text"         // text or JSON that may name any person
	itsAge      = "versions"     // JSON of the versions of the other columns
	aCopy       = "copy"         // generated or derived from other columns, and written with these
)

// identityColumns are all columns of all tables that name people. Erasure walks
// over them; a test finds columns that are missing.
var identityColumns = slices.Concat(
	// Facts.
	columnsOfTable("enrollments", "person person, address email, name name, copy user_ref mail leans customer_email"),
	columnsOfTable("payments", ofContext+", context intent charge, copy mail leans customer_email"),
	columnsOfTable("subscriptions", ofContext+", context checkout, copy mail leans customer_email"),
	// People, and what they left unfinished.
	columnsOfTable("users", "user id, address email, name name image_url, versions earlier"),
	columnsOfTable("stripe_customers", "stripe_customer id, address email, name name, versions earlier"),
	columnsOfTable("links", "user subject, address object"), // of the relation address
	columnsOfTable("checkouts", ofContext+", text recovery_url"),
	columnsOfTable("failed_invoices", "stripe_customer stripe_customer, versions earlier, text hosted_url"),
	// Customers, and what follows from them.
	columnsOfTable("customers", "copy email name image_url"),
	columnsOfTable("customer_index", "copy words"),
	columnsOfTable("customer_merges", "past_address from_email into_email"),
	columnsOfTable("backfill_previews", "past_address email"),
	// What people and programs wrote.
	columnsOfTable("customer_notes", "address email, text body, person author editor"),
	columnsOfTable("customer_tags", "address email, person tagged_by"),
	columnsOfTable("tags", "text name folded, person created_by"),
	columnsOfTable("backfills", "text reason"),
	columnsOfTable("backfill_chunks", "text cursor last_error"),
	columnsOfTable("backfill_errors", "text place what why"),
	columnsOfTable("watches", "text detail fix"),
	columnsOfTable("watch_changes", "text detail fix last_error"),
	columnsOfTable("derivation", "text after_a after_b last_error"),
	columnsOfTable("erasure_terms", "text value"), // until the erasure is done
	columnsOfTable("webhook_events", "text payload headers last_error"),
)

// ofContext are the columns of a Stripe object about its buyer.
const ofContext = "user user_ref, stripe_customer stripe_customer, address email, name name, versions earlier"

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

// DependentCustomersSQL finds the customers of the facts that depend on the keys $1.
const DependentCustomersSQL = `SELECT DISTINCT customer_id FROM facts WHERE leans && $1::text[] AND customer_id IS NOT NULL`
