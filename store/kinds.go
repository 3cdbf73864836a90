package store

import (
	"cmp"
	"encoding/json"
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
	People  string    // the columns that name people, see columnsOfTable
	Description
	factsIn // its facts in a set
}

// FactKinds are all kinds of facts, in the order in which they are listed.
var FactKinds = []FactKind{
	{
		Name:        Enrollment,
		Alias:       "e",
		Table:       "enrollments",
		Key:         [2]string{"course_id", "person"},
		Context:     enrollmentContext,
		Lock:        "enrollment:",
		History:     "courses",
		Plan:        enrollmentPlan,
		Label:       "enrollment of %[2]s in course %[1]s",
		People:      "person person, address email, name name, copy user_ref mail leans customer_email",
		Description: enrollmentDescription,
		factsIn: inSet(
			func(set *facts.Set) *[]facts.Enrollment { return &set.Enrollments },
			func(f facts.Enrollment) RowKey { return RowKey{Enrollment, f.CourseID, f.Person} },
			nil,
		),
	},
	{
		Name:        Payment,
		Alias:       "p",
		Table:       "payments",
		Key:         [2]string{"account", "id"},
		Derived:     []string{"product_id", "sold", "refunded", "disputed"},
		Context:     paymentContext,
		Lock:        "pay:",
		History:     "courses",
		Plan:        paymentPlan,
		People:      ofContext + ", context intent charge, copy mail leans customer_email",
		Description: paymentDescription,
		factsIn: inSet(
			func(set *facts.Set) *[]facts.Payment { return &set.Payments },
			func(f facts.Payment) RowKey { return RowKey{Payment, f.Account, f.ID} },
			paymentBuyer,
		),
	},
	{
		Name:        Subscription,
		Alias:       "s",
		Table:       "subscriptions",
		Key:         [2]string{"account", "id"},
		Derived:     []string{"product_id", "sold"},
		Context:     subscriptionContext,
		Lock:        "sub:",
		History:     "subscriptions",
		Plan:        subscriptionPlan,
		People:      ofContext + ", context checkout, copy mail leans customer_email",
		Description: subscriptionDescription,
		factsIn: inSet(
			func(set *facts.Set) *[]facts.Subscription { return &set.Subscriptions },
			func(f facts.Subscription) RowKey { return RowKey{Subscription, f.Account, f.ID} },
			subscriptionBuyer,
		),
	},
}

// factsIn reaches the facts of a kind in a set.
type factsIn struct {
	keys   func(facts.Set) []RowKey
	add    func(*facts.Set, []byte) error     // adds a stored row, as JSON
	buyers func(*facts.Set, clock) []purchase // nil: the key names the person
}

// inSet makes a factsIn of a list of a set, the key of a fact, and what it says of
// its buyer, unless its key does.
func inSet[F any](list func(*facts.Set) *[]F, key func(F) RowKey, buyer func(*F, clock) purchase) factsIn {
	in := factsIn{
		keys: func(set facts.Set) (keys []RowKey) {
			for _, f := range *list(&set) {
				keys = append(keys, key(f))
			}
			return keys
		},
		add: func(set *facts.Set, row []byte) error {
			var f F
			err := json.Unmarshal(row, &f)
			*list(set) = append(*list(set), f)
			return err
		},
	}
	if buyer != nil {
		in.buyers = func(set *facts.Set, c clock) (all []purchase) {
			for i := range *list(set) {
				f := &(*list(set))[i]
				p := buyer(f, c)
				p.RowKey, p.fact = key(*f), f
				all = append(all, p)
			}
			return all
		}
	}
	return in
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

// rowsIn are the keys of the rows in a set.
func rowsIn(set facts.Set) (keys []RowKey) {
	for _, k := range FactKinds {
		keys = append(keys, k.keys(set)...)
	}
	return keys
}

// RefSQL is SQL for the ref of a row.
func (k FactKind) RefSQL() string {
	return RefOf(k.Name, k.Alias+"."+k.Key[0], k.Alias+"."+k.Key[1])
}

// TitleSQL is SQL for the title of what a row is of.
func (k FactKind) TitleSQL() string {
	return cmp.Or(k.Title, TitleOf(k.Product, k.Alias+".store_id"))
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

// purchasesOf lists the facts of a set that name people outside their keys. To change
// their parts changes the set.
func purchasesOf(set *facts.Set, c clock) (all []purchase) {
	for _, k := range FactKinds {
		if k.buyers != nil {
			all = append(all, k.buyers(set, c)...)
		}
	}
	return all
}

// account is the Stripe account of a row, if its kind has one.
func (k RowKey) account() string {
	if KindOf(k.Kind).ofStripe() {
		return k.A
	}
	return ""
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
const DependentCustomersSQL = `SELECT DISTINCT customer_id FROM facts WHERE leans && $1::text[]
	AND customer_id IS NOT NULL`

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

// ofContext are the columns of a Stripe object about its buyer.
const ofContext = "user user_ref, stripe_customer stripe_customer, address email, name name country, versions earlier"

// paymentBuyer is what a payment says of its buyer, part by part.
func paymentBuyer(f *facts.Payment, c clock) (p purchase) {
	if f.ClaimVersion != "" {
		p.began = firstOf(f.PaidAt)
	}
	p.add(&f.Context, part{at: c.of(f.ClaimVersion, f.PaidAt), told: f.ClaimVersion != ""})
	p.add(f.Intent.Says(), part{at: c.of(f.IntentVersion, f.PaidAt)})
	p.add(f.Charge, part{at: c.of(f.ChargeVersion, f.PaidAt)})
	return p
}

// subscriptionBuyer is the same of a subscription.
func subscriptionBuyer(f *facts.Subscription, c clock) purchase {
	p := purchase{began: firstOf(f.StartedAt, f.CheckoutAt)}
	ended := f.Status == "canceled" || f.Status == "incomplete_expired"
	p.add(&f.Context, part{at: c.of(f.Version, f.StartedAt), told: f.Version != "", ends: ended})
	p.add(f.Checkout, part{at: c.of(f.CheckoutVersion, f.CheckoutAt)})
	return p
}
