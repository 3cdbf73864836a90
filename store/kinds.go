package store

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

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

// RowKey identifies such a row: (account, id) of a payment or subscription,
// (course, person) of an enrollment.
type RowKey struct{ Kind, A, B string }

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

// Kinds of rows that belong to a customer.
const (
	Payment      = "payment"
	Enrollment   = "enrollment"
	Subscription = "subscription"
)

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

// KeysOfKind reads rows of two columns as keys of a kind.
func KeysOfKind(kind string, rows pgx.Rows) ([]RowKey, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (RowKey, error) {
		k := RowKey{Kind: kind}
		return k, row.Scan(&k.A, &k.B)
	})
}

// KeyArrays splits row keys by kind into columns for unnest.
func KeyArrays(keys []RowKey) (out map[string][2][]string) {
	out = map[string][2][]string{}
	for _, k := range keys {
		c := out[k.Kind]
		c[0], c[1] = append(c[0], k.A), append(c[1], k.B)
		out[k.Kind] = c
	}
	return out
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

// DependentCustomersSQL finds the customers of the facts that depend on the keys $1.
const DependentCustomersSQL = `SELECT DISTINCT customer_id FROM facts WHERE leans && $1::text[] AND customer_id IS NOT NULL`

// lock is the key of a row's own lock.
func (k RowKey) lock() string { return KindOf(k.Kind).Lock + k.A + "/" + k.B }

// place names the row for people.
func (k RowKey) place() string {
	label := KindOf(k.Kind).Label
	switch {
	case label != "":
		return fmt.Sprintf(label, k.A, k.B)
	case k.A != "":
		return fmt.Sprintf("%s %s of account %s", k.Kind, k.B, k.A)
	}
	return k.Kind + " " + k.B
}
