package store

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
)

// A factTable says how the facts of one table merge. Every rule is a maximum,
// so the row that results does not depend on the order in which facts come.
type factTable struct {
	name   string
	keys   []string
	groups []versioned       // columns replaced together by a greater version
	merges map[string]string // columns with a rule of their own: OR, GREATEST, LEAST
	sql    string            // upserts
	// tellingSQL upserts and returns what became of rows.
	tellingSQL string
}

// versioned is a version column and the columns it guards.
type versioned struct {
	version string
	columns []string
}

// The tables of facts. Columns not named in a group or a rule belong to the
// first group; they are the fields of the fact's struct.
var (
	usersTable           = newTable[facts.User]("users", "id", nil, map[string]string{"last_seen_at": "GREATEST"}, versioned{"deleted_version", nil})
	stripeCustomersTable = newTable[facts.StripeCustomer]("stripe_customers", "account id", nil, nil, versioned{"deleted_version", nil})
	storesTable          = newTable[facts.Store]("stores", "id", nil, nil)
	productsTable        = newTable[facts.Product]("products", "id", nil, nil, versioned{"deleted_version", nil})
	enrollmentsTable     = newTable[facts.Enrollment]("enrollments", "course_id person", nil,
		map[string]string{"said_at": "GREATEST", "first_said_at": "LEAST"},
		versioned{"email_version", []string{"email"}},
		versioned{"store_version", []string{"store_ref"}},
		versioned{"name_version", []string{"name"}},
		versioned{"progress_version", []string{"progress"}},
		versioned{"enrolled_version", []string{"enrolled_at"}},
		versioned{"completed_version", []string{"completed_at"}},
		versioned{"deleted_version", nil})
	paymentsTable = newTable[facts.Payment]("payments", "account id", ptr("claim_version"), nil,
		versioned{"intent_version", []string{"intent"}},
		versioned{"invoice_version", []string{"invoice"}},
		versioned{"destination_version", []string{"destination"}})
	// What a refund or dispute belongs to never changes; one that leaves it out
	// does not take it back.
	refundsTable       = newTable[facts.Refund]("refunds", "account id", nil, map[string]string{"charge": "GREATEST", "payment_intent": "GREATEST"})
	disputesTable      = newTable[facts.Dispute]("disputes", "account id", nil, map[string]string{"charge": "GREATEST", "payment_intent": "GREATEST"})
	subscriptionsTable = newTable[facts.Subscription]("subscriptions", "account id", nil,
		map[string]string{"ever_active": "OR"},
		versioned{"checkout_version", []string{"checkout", "checkout_at"}})
)

func ptr[T any](v T) *T { return &v }

// newTable describes the table of fact type F. main names the version column
// of the group that takes all columns not placed elsewhere (default "version").
func newTable[F any](name, keys string, main *string, merges map[string]string, others ...versioned) factTable {
	t := factTable{name: name, keys: strings.Fields(keys), merges: merges, groups: others}
	placed := map[string]bool{}
	for _, k := range t.keys {
		placed[k] = true
	}
	for c := range merges {
		placed[c] = true
	}
	for _, g := range others {
		placed[g.version] = true
		for _, c := range g.columns {
			placed[c] = true
		}
	}
	first := versioned{version: "version"}
	if main != nil {
		first.version = *main
	}
	all := columnsOf(reflect.TypeFor[F]())
	for _, c := range all {
		if !placed[c] && c != first.version {
			first.columns = append(first.columns, c)
		}
	}
	t.groups = append([]versioned{first}, others...)
	t.sql = t.upsert(all)
	t.tellingSQL = t.telling(all)
	return t
}

// columnsOf lists the JSON names of a struct's fields, embedded ones included.
// A field that JSON leaves out ("-") is no column.
func columnsOf(t reflect.Type) []string {
	var names []string
	for f := range t.Fields() {
		if f.Anonymous {
			names = append(names, columnsOf(f.Type)...)
			continue
		}
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag != "-" {
			names = append(names, tag)
		}
	}
	return names
}

// upsert writes the statement. Its one parameter is a JSON array of facts, no
// two with the same key; rows are taken in the order of their keys, so that two
// transactions never wait for each other crosswise.
func (t factTable) upsert(columns []string) string {
	var set, changed []string
	for _, g := range t.groups {
		newer := fmt.Sprintf("EXCLUDED.%[2]s > %[1]s.%[2]s", t.name, g.version)
		changed = append(changed, newer)
		for _, c := range g.columns {
			set = append(set, fmt.Sprintf("%[2]s = CASE WHEN %[3]s THEN EXCLUDED.%[2]s ELSE %[1]s.%[2]s END", t.name, c, newer))
		}
		set = append(set, fmt.Sprintf("%[2]s = GREATEST(%[1]s.%[2]s, EXCLUDED.%[2]s)", t.name, g.version))
	}
	for c, rule := range t.merges {
		merged := fmt.Sprintf("%[3]s(%[1]s.%[2]s, EXCLUDED.%[2]s)", t.name, c, rule)
		if rule == "OR" {
			merged = fmt.Sprintf("%[1]s.%[2]s OR EXCLUDED.%[2]s", t.name, c)
		}
		set = append(set, c+" = "+merged)
		changed = append(changed, fmt.Sprintf("(%s) IS DISTINCT FROM %s.%s", merged, t.name, c))
	}
	list := strings.Join(columns, ", ")
	return fmt.Sprintf(`
		INSERT INTO %[1]s (%[2]s)
		SELECT %[2]s FROM json_populate_recordset(NULL::%[1]s, $1) ORDER BY %[3]s
		ON CONFLICT (%[3]s) DO UPDATE SET
			%[4]s
		WHERE %[5]s`,
		t.name, list, strings.Join(t.keys, ", "), strings.Join(set, ",\n\t\t\t"), strings.Join(changed, " OR "))
}

// factKey names a fact: its table, and its key with slashes.
type factKey struct{ table, key string }

// tableRows are facts of one table.
type tableRows struct {
	table *factTable
	keys  []factKey
	rows  []any // pointers to the facts
}

func rowsOf[F any](t *factTable, rows []F, key func(*F) string) tableRows {
	r := tableRows{t, make([]factKey, len(rows)), make([]any, len(rows))}
	for i := range rows {
		r.keys[i], r.rows[i] = factKey{t.name, key(&rows[i])}, &rows[i]
	}
	return r
}

// tablesOf sorts the facts of a set by table.
func tablesOf(set facts.Set) []tableRows {
	return []tableRows{
		rowsOf(&usersTable, set.Users, func(f *facts.User) string { return f.ID }),
		rowsOf(&stripeCustomersTable, set.StripeCustomers, func(f *facts.StripeCustomer) string { return f.Account + "/" + f.ID }),
		rowsOf(&storesTable, set.Stores, func(f *facts.Store) string { return f.ID }),
		rowsOf(&productsTable, set.Products, func(f *facts.Product) string { return f.ID }),
		rowsOf(&enrollmentsTable, set.Enrollments, func(f *facts.Enrollment) string { return f.CourseID + "/" + f.Person }),
		rowsOf(&paymentsTable, set.Payments, func(f *facts.Payment) string { return f.Account + "/" + f.ID }),
		rowsOf(&refundsTable, set.Refunds, func(f *facts.Refund) string { return f.Account + "/" + f.ID }),
		rowsOf(&disputesTable, set.Disputes, func(f *facts.Dispute) string { return f.Account + "/" + f.ID }),
		rowsOf(&subscriptionsTable, set.Subscriptions, func(f *facts.Subscription) string { return f.Account + "/" + f.ID }),
	}
}

// upsert merges all facts of a set into their tables, in one round trip.
// outcomes, unless nil, learns what became of those that were new or different.
func upsert(ctx context.Context, tx pgx.Tx, set facts.Set, outcomes map[factKey]outcome) (err error) {
	defer wrap(&err, "store.upsert")
	var batch pgx.Batch
	if outcomes != nil {
		batch.Queue(`SET LOCAL enable_hashjoin = on`) // for joins among what was looked up
	}
	for _, t := range tablesOf(set) {
		if err := t.queue(&batch, outcomes); err != nil {
			return err
		}
	}
	if outcomes != nil {
		batch.Queue(`SET LOCAL enable_hashjoin = off`)
	}
	if batch.Len() == 0 {
		return nil
	}
	return tx.SendBatch(ctx, &batch).Close()
}

// queue adds the statements for rows: one, unless a key comes more than once,
// as a statement can touch a row only once.
func (t tableRows) queue(b *pgx.Batch, outcomes map[factKey]outcome) error {
	for len(t.rows) > 0 {
		var now, later tableRows
		seen := make(map[factKey]bool, len(t.keys))
		for i, k := range t.keys {
			to := &now
			if seen[k] {
				to = &later
			}
			seen[k] = true
			to.keys, to.rows = append(to.keys, k), append(to.rows, t.rows[i])
		}
		text, err := json.Marshal(now.rows)
		if err != nil {
			return err
		}
		if outcomes == nil {
			b.Queue(t.table.sql, string(text))
		} else {
			b.Queue(t.table.tellingSQL, string(text)).Query(func(found pgx.Rows) error { return learn(outcomes, t.table.name, found) })
		}
		t.keys, t.rows = later.keys, later.rows
	}
	return nil
}
