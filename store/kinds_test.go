package store

import (
	"regexp"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/plans"
	"rollcall/internal/testing/testdb"
)

// namesNoPerson are columns whose name or comment sounds as if they named people
// whom an erasure is about, and what they hold.
var namesNoPerson = map[string]string{
	"backfill_passed.reason":       "one of a few texts",
	"derivation.stage":             "of a rebuild",
	"checkouts.creator_ref":        "a creator, who keeps the store",
	"checkouts.named":              "products",
	"disputes.charge":              "an id",
	"disputes.payment_intent":      "an id",
	"enrollments.unattached":       "a reason",
	"erased.hash":                  "a hash with a key",
	"erased_mails.hash":            "a hash with a key",
	"erasures.person":              "a pseudonym",
	"links.relation":               "one of a few words",
	"mail_events.detail":           "codes of a bounce without its text, or how one came back",
	"mail_events.event_id":         "the provider's id of a report, a hash without an address, or our mail's id",
	"mail_events.inbox_id":         "the provider's id of a delivery",
	"mail_events.message":          "the provider's id of a mail",
	"mail_settings.course_url":     "a page of the platform",
	"mail_settings.from_name":      "a store's",
	"mail_settings.home_url":       "a page of the platform",
	"mail_settings.postal_address": "a store's",
	"mail_stops.hash":              "a hash with a key",
	"mail_stops.reason":            "one of a few words",
	"mails.reason":                 "one of a few words",
	"payments.creator_ref":         "a creator, who keeps the store",
	"payments.named":               "products",
	"products.earlier":             "versions",
	"products.store_ref":           "a store or its owner, who keeps it",
	"refunds.charge":               "an id",
	"refunds.payment_intent":       "an id",
	"store_tokens.name":            "a program",
	"stores.earlier":               "versions",
	"stores.member_user_ids":       "people of a store, whose access the platform ends",
	"stores.name":                  "a store",
	"stores.owner_user_id":         "a creator, who keeps the store",
	"subscriptions.creator_ref":    "a creator, who keeps the store",
	"subscriptions.named":          "products",
	"subscriptions.plan_name":      "a plan",
	"value_stores.help":            "ids of customers",
	"watches.name":                 "a check and its source",
	"store_settings.time_zone":     "a name of the IANA database, which pages check",
	"webhook_events.pruned_for":    "one of two words",
	"webhook_events.dismissed_by":  "an operator, whom Clerk does not know",
}

// personal are words of names and of comments by which columns may name people.
var personal = regexp.MustCompile(
	`^(e?mail|(.*_)?(name|email|address|user|person|people|customer|creator|owner|member|author|editor)(_.*)?|` +
		`named|.*_url|words|body|payload|headers|cursor|detail|fix|what|why|place|last_error|` +
		`reason|intent|payment_intent|charge|checkout|earlier|subject|object|leans|hosted_url)( |$)` +
		`| .*(\bwhom?\b|\bperson\b|\buser\b|\baddress\b|\bbuyer\b|\bcustomer list\b|key of the last fact)`)

// Every column that may name a person is one that erasures know of, or is known
// to name nobody.
func TestColumnsThatNamePeople(t *testing.T) {
	s, err := Open(t.Context(), testdb.Postgres(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	rows, err := s.Pool.Query(t.Context(), `
		SELECT c.table_name || '.' || c.column_name,
			c.column_name || ' ' || coalesce(col_description(format('%I', c.table_name)::regclass, c.ordinal_position), '')
		FROM information_schema.columns c
		JOIN information_schema.tables t USING (table_schema, table_name)
		WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE'
			AND c.udt_name IN ('text', '_text', 'json', 'jsonb', 'bytea')
		  AND c.column_name NOT LIKE '%version'`)
	if err != nil {
		t.Fatal(err)
	}
	known, found := map[string]bool{}, map[string]bool{}
	ways := []string{anAddress, aUser, aStripeCustomer, aPerson, aName, aContext, pastAddress, anyText, itsAge, aCopy}
	for _, c := range identityColumns {
		if known[c.Table+"."+c.Column] = true; !slices.Contains(ways, c.Names) {
			t.Errorf("%s.%s names people by %q, which is no way to", c.Table, c.Column, c.Names)
		}
	}
	var column, about string
	_, err = pgx.ForEachRow(rows, []any{&column, &about}, func() error {
		found[column] = true
		if _, argued := namesNoPerson[column]; personal.MatchString(about) && !known[column] && !argued {
			t.Errorf("%s may name people (%q): add it to identityColumns, or here and say why it does not", column, about)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for c := range known {
		if !found[c] {
			t.Errorf("%s is in identityColumns, and in no table", c)
		}
	}
	for c, why := range namesNoPerson {
		if !found[c] || known[c] || why == "" {
			t.Errorf("%s is argued away (%q), and there is no such column, or it is in identityColumns", c, why)
		}
	}
}

// What asks all kinds at once finds its rows by the indexes of each table.
func TestFactsAreLookedUp(t *testing.T) {
	s, err := Open(t.Context(), testdb.Postgres(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for _, sql := range plans.Many {
		if _, err := s.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	for name, q := range map[string]struct {
		sql  string
		args []any
	}{
		"how many a customer has": {
			`SELECT id, (SELECT count(*) FROM facts WHERE customer_id = c.id) FROM unnest($1::bigint[]) AS c(id)`,
			[]any{[]int64{1, 2}}},
		"whether one has any": {
			`SELECT id FROM unnest($1::bigint[]) AS c(id) WHERE NOT EXISTS (SELECT FROM facts WHERE customer_id = c.id)`,
			[]any{[]int64{1, 2}}},
		"who leans on a person": {DependentCustomersSQL, []any{[]string{"user:user_1"}}},
	} {
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			err := s.Snapshot(t.Context(), func(tx pgx.Tx) error {
				_, err := tx.Exec(t.Context(), `SET LOCAL plan_cache_mode = `+mode)
				for _, scan := range plans.Explain(t, tx, q.sql, q.args...).Scans() {
					t.Errorf("%s, %s: %s", name, mode, scan)
				}
				return err
			})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

// Every table of a kind is in the view of all facts, and has what Derived says.
func TestFactsView(t *testing.T) {
	s, err := Open(t.Context(), testdb.Postgres(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for _, sql := range plans.Many {
		if _, err := s.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	rows, err := s.Pool.Query(t.Context(), `SELECT DISTINCT kind FROM facts`)
	if err != nil {
		t.Fatal(err)
	}
	kinds, err := pgx.CollectRows(rows, pgx.RowTo[string])
	slices.Sort(kinds)
	var names []string
	for _, k := range FactKinds {
		names = append(names, k.Name)
	}
	slices.Sort(names)
	if err != nil || !slices.Equal(kinds, names) {
		t.Errorf("the view has %v, the registry %v: %v", kinds, names, err)
	}
}
