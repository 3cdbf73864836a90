package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// A FactTable defines how the facts of one table merge. Every rule is a maximum, so
// the resulting row does not depend on the order of the facts.
type FactTable struct {
	Name         string
	Keys         []string
	Main         string            // column of the message's version
	keepsEarlier bool              // column earlier has versions of column sets; without it every message names all
	columnSets   []columnSet       // each keeps the values of the newest message that names it
	Groups       []versioned       // columns with a version of their own
	merges       map[string]string // columns with a rule of their own: OR, GREATEST, LEAST, or SQL of t and e
	upsertSQL    string            // upserts
	// outcomesSQL upserts and returns the rows that are new or changed.
	outcomesSQL string
}

// versioned is a version column and the columns that it guards. In contexts (JSON)
// each member keeps the value of the newest message that names it.
type versioned struct {
	Version  string
	columns  []string
	contexts []string
}

// columnSet is columns that messages name together. A message without any of them
// leaves their values as they are. Column earlier holds the version of these values
// under the first column's name, unless it is the row's newest.
type columnSet struct {
	columns []string
	always  bool // every message names it
}

// columnSets parses "a b, c": a and b are one set, c is another.
func columnSets(list string) (all []columnSet) {
	for part := range strings.SplitSeq(list, ",") {
		all = append(all, columnSet{columns: strings.Fields(part)})
	}
	return all
}

// alwaysNamed is a set that every message names.
func alwaysNamed(list string) []columnSet { return []columnSet{{strings.Fields(list), true}} }

// contextColumns are the column sets of a facts.Context.
var contextColumns = columnSets("store_ref, product_ref, product_kind, product_type, plan, user_ref, creator_ref, stripe_customer, " +
	"email, name, named, lines")

// The tables of facts.
var (
	UsersTable = newTable[facts.User]("users", "id", "version", columnSets("email, name, image_url, time_zone"),
		map[string]string{"last_seen_at": "GREATEST"}, versioned{Version: "deleted_version"})
	StripeCustomersTable = newTable[facts.StripeCustomer]("stripe_customers", "account id", "version", columnSets("email, name"),
		nil, versioned{Version: "deleted_version"})
	StoresTable = newTable[facts.Store]("stores", "id", "version", columnSets("name, member_user_ids, time_zone"),
		map[string]string{"member_user_ids": membersRule})
	productsTable = newTable[facts.Product]("products", "id", "version", columnSets("kind, title, price_amount price_currency, items"),
		nil, versioned{Version: "deleted_version"})
	enrollmentsTable = newTable[facts.Enrollment]("enrollments", "course_id person", "version", nil,
		map[string]string{
			"said_at": "GREATEST", "first_said_at": "LEAST",
			"peak_progress": "GREATEST",
			"progressed_at": `CASE
				WHEN e.peak_progress > coalesce(t.peak_progress, 0) THEN e.progressed_at
				WHEN e.peak_progress = t.peak_progress THEN LEAST(t.progressed_at, e.progressed_at)
				ELSE t.progressed_at END`,
		},
		versioned{Version: "email_version", columns: []string{"email"}},
		versioned{Version: "store_version", columns: []string{"store_ref"}},
		versioned{Version: "name_version", columns: []string{"name"}},
		versioned{Version: "progress_version", columns: []string{"progress"}},
		versioned{Version: "enrolled_version", columns: []string{"enrolled_at"}},
		versioned{Version: "completed_version", columns: []string{"completed_at", "completed_with_progress"}},
		versioned{Version: "deleted_version"})
	paymentsTable = newTable[facts.Payment]("payments", "account id", "claim_version",
		slices.Concat(alwaysNamed("claimed_by kind claim_paid claim_amount claim_currency paid_at"), contextColumns, columnSets("subscription")), nil,
		versioned{Version: "intent_version", contexts: []string{"intent"}},
		versioned{Version: "charge_version", contexts: []string{"charge"}},
		versioned{Version: "invoice_version", columns: []string{"invoice"}},
		versioned{Version: "destination_version", columns: []string{"destination"}})
	// The payment of a refund or dispute never changes, and the captured amount never
	// falls. A message without them does not remove them.
	RefundsTable = newTable[facts.Refund]("refunds", "account id", "version",
		alwaysNamed("cumulative amount currency status created_at said_at"),
		map[string]string{"charge": "GREATEST", "payment_intent": "GREATEST", "charge_amount": "GREATEST", "captured": "GREATEST"})
	DisputesTable = newTable[facts.Dispute]("disputes", "account id", "version",
		alwaysNamed("amount currency status withdrawn"), map[string]string{"charge": "GREATEST", "payment_intent": "GREATEST"})
	subscriptionsTable = newTable[facts.Subscription]("subscriptions", "account id", "version",
		slices.Concat(alwaysNamed("status ended_at"), alwaysNamed("cancel_at_period_end cancel_at cancellation"), alwaysNamed("paused"),
			columnSets("current_period_end, currency, started_at, destination"),
			slices.DeleteFunc(slices.Clone(contextColumns), func(t columnSet) bool { return t.columns[0] == "lines" }),
			columnSets("lines amount plan_name discount")),
		map[string]string{"ever_active": "OR", "status": statusRule, "status_moves": movesRule},
		versioned{"checkout_version", []string{"checkout_at"}, []string{"checkout"}})
	checkoutsTable = newTable[facts.Checkout]("checkouts", "account id", "version",
		slices.Concat(contextColumns, columnSets("status, amount currency, recovery_url recovery_until, recovered_from, promotions, started_at")), nil)
	failedInvoicesTable = newTable[facts.FailedInvoice]("failed_invoices", "account id", "version",
		slices.Concat(alwaysNamed("attempts next_attempt_at hosted_url amount_due currency"), columnSets("subscription, stripe_customer")), nil)
)

// Of several status changes of a subscription in one second, the last one is that
// whose new status no other starts from.
const (
	sameSecond = `left(t.status_said, 27) = left(e.status_said, 27) AND substr(GREATEST(t.status_said, e.status_said), 29, 2) < '80'`
	movesRule  = `CASE
				WHEN ` + sameSecond + ` THEN NULLIF(ARRAY(SELECT DISTINCT m FROM unnest(t.status_moves || e.status_moves) m ORDER BY m), '{}')
				WHEN e.status_said > t.status_said THEN e.status_moves
				ELSE t.status_moves END`
	statusRule = `coalesce(
				CASE WHEN ` + sameSecond + ` THEN last_move(t.status_moves || e.status_moves) END,
				CASE WHEN e.status_said > t.status_said THEN e.status ELSE t.status END)`
)

// Of several member lists with one time, only those on all lists are members. So no
// revocation is lost, independent of the events' ids.
const membersRule = `CASE
				WHEN t.member_user_ids IS NOT NULL AND left(t.member_user_ids_said, 27) = left(e.member_user_ids_said, 27)
					THEN ARRAY(SELECT unnest(t.member_user_ids) INTERSECT SELECT unnest(e.member_user_ids) ORDER BY 1)
				WHEN e.member_user_ids_said > t.member_user_ids_said THEN e.member_user_ids
				ELSE t.member_user_ids END`

// Ptr returns a pointer to v.
func Ptr[T any](v T) *T { return &v }

// newTable describes the table of fact type F. Its columns are the fields of F that
// the arguments name.
func newTable[F any](name, keys, main string, named []columnSet, merges map[string]string, groups ...versioned) FactTable {
	t := FactTable{Name: name, Keys: strings.Fields(keys), Main: main, columnSets: named, merges: merges, Groups: groups}
	own := append(append([]string{}, t.Keys...), main, "earlier")
	for _, n := range named {
		own = append(own, n.columns...)
	}
	own = slices.AppendSeq(own, maps.Keys(merges))
	for _, g := range groups {
		own = slices.Concat(own, []string{g.Version}, g.columns, g.contexts)
	}
	all := slices.DeleteFunc(columnsOf(reflect.TypeFor[F]()), func(c string) bool { return !slices.Contains(own, c) })
	t.keepsEarlier = slices.Contains(all, "earlier")
	t.upsertSQL = t.upsertStatement(all)
	t.outcomesSQL = t.outcomesStatement(all)
	return t
}

// columnsOf lists the JSON names of a struct's fields, embedded ones included.
// A field with the tag "-" is not a column.
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

// upsertStatement builds the statement. Its parameter is a JSON array of facts with
// distinct keys. It upserts in the order of keys, so that transactions do not deadlock.
func (t FactTable) upsertStatement(columns []string) string {
	var set, changed []string
	assign := func(column, value string) { set = append(set, column+" = "+t.withRowNames(value)) }
	differs := func(condition string) { changed = append(changed, t.withRowNames(condition)) }
	for _, g := range t.Groups {
		newer := fmt.Sprintf("e.%[1]s > t.%[1]s", g.Version)
		differs(newer)
		for _, c := range g.columns {
			assign(c, fmt.Sprintf("CASE WHEN %[2]s THEN e.%[1]s ELSE t.%[1]s END", c, newer))
		}
		for _, c := range g.contexts {
			merged := fmt.Sprintf("merge_context(t.%[1]s, t.%[2]s, e.%[1]s, e.%[2]s)", c, g.Version)
			assign(c, merged)
			differs(merged + " IS DISTINCT FROM t." + c)
		}
		assign(g.Version, fmt.Sprintf("GREATEST(t.%[1]s, e.%[1]s)", g.Version))
	}
	for c, rule := range t.merges {
		switch rule {
		case "OR":
			rule = fmt.Sprintf("t.%[1]s OR e.%[1]s", c)
		case "GREATEST", "LEAST":
			rule = fmt.Sprintf("%[2]s(t.%[1]s, e.%[1]s)", c, rule)
		}
		rule = t.withVersions(rule)
		assign(c, rule)
		differs(fmt.Sprintf("(%s) IS DISTINCT FROM t.%s", rule, c))
	}
	differs(fmt.Sprintf("e.%[1]s > t.%[1]s", t.Main))
	var kept []string
	for _, n := range t.columnSets {
		newer := t.versionSQL(n, "e") + " > " + t.versionSQL(n, "t")
		differs(newer)
		for _, c := range n.columns {
			if t.merges[c] == "" {
				assign(c, fmt.Sprintf("CASE WHEN %[2]s THEN e.%[1]s ELSE t.%[1]s END", c, newer))
			}
		}
		kept = append(kept, fmt.Sprintf("'%s', GREATEST(%s, %s)", n.columns[0], t.versionSQL(n, "t"), t.versionSQL(n, "e")))
	}
	assign(t.Main, fmt.Sprintf("GREATEST(t.%[1]s, e.%[1]s)", t.Main))
	if t.keepsEarlier {
		assign("earlier", fmt.Sprintf("earlier_of(GREATEST(t.%[1]s, e.%[1]s), jsonb_build_object(%[2]s))", t.Main, strings.Join(kept, ", ")))
	}
	list := strings.Join(columns, ", ")
	return fmt.Sprintf(`
		INSERT INTO %[1]s (%[2]s)
		SELECT %[2]s FROM json_populate_recordset(NULL::%[1]s, $1) ORDER BY %[3]s
		ON CONFLICT (%[3]s) DO UPDATE SET
			%[4]s
		WHERE %[5]s`,
		t.Name, list, strings.Join(t.Keys, ", "), strings.Join(set, ",\n\t\t\t"), strings.Join(changed, " OR "))
}

// versionSQL is SQL for the version of a column set in row t or e; empty if it is
// not named.
func (t FactTable) versionSQL(n columnSet, row string) string {
	if !t.keepsEarlier {
		return row + "." + t.Main
	}
	version := fmt.Sprintf("coalesce(%[1]s.earlier ->> '%[2]s', %[1]s.%[3]s) COLLATE \"C\"", row, n.columns[0], t.Main)
	if n.always {
		return version
	}
	var nulls []string
	for _, c := range n.columns {
		nulls = append(nulls, row+"."+c+" IS NULL")
	}
	return fmt.Sprintf("CASE WHEN %s THEN '' ELSE %s END", strings.Join(nulls, " AND "), version)
}

// withVersions replaces COLUMN_said in a rule by the version of that column set.
func (t FactTable) withVersions(rule string) string {
	for _, n := range t.columnSets {
		for _, row := range []string{"t", "e"} {
			rule = strings.ReplaceAll(rule, row+"."+n.columns[0]+"_said", t.versionSQL(n, row))
		}
	}
	return rule
}

// withRowNames replaces t, the stored row, and e, the row to merge, by their names in
// the statement.
func (t FactTable) withRowNames(sql string) string {
	return rowNames.ReplaceAllStringFunc(sql, func(m string) string {
		if m == "t." {
			return t.Name + "."
		}
		return "EXCLUDED."
	})
}

var rowNames = regexp.MustCompile(`\b[te]\.`)

// factKey identifies a fact: its table, and its key joined by slashes.
type factKey struct{ table, Key string }

// TableRows are facts of one table.
type TableRows struct {
	Table *FactTable
	Keys  []factKey
	Rows  []any // pointers to the facts
}

func rowsOf[F any](t *FactTable, rows []F, key func(*F) string) TableRows {
	r := TableRows{t, make([]factKey, len(rows)), make([]any, len(rows))}
	for i := range rows {
		r.Keys[i], r.Rows[i] = factKey{t.Name, key(&rows[i])}, &rows[i]
	}
	return r
}

// TablesOf groups the facts of a set by table.
func TablesOf(set facts.Set) []TableRows {
	return []TableRows{
		rowsOf(&UsersTable, set.Users, func(f *facts.User) string { return f.ID }),
		rowsOf(&StripeCustomersTable, set.StripeCustomers, func(f *facts.StripeCustomer) string { return f.Account + "/" + f.ID }),
		rowsOf(&StoresTable, set.Stores, func(f *facts.Store) string { return f.ID }),
		rowsOf(&productsTable, set.Products, func(f *facts.Product) string { return f.ID }),
		rowsOf(&enrollmentsTable, set.Enrollments, func(f *facts.Enrollment) string { return f.CourseID + "/" + f.Person }),
		rowsOf(&paymentsTable, set.Payments, func(f *facts.Payment) string { return f.Account + "/" + f.ID }),
		rowsOf(&RefundsTable, set.Refunds, func(f *facts.Refund) string { return f.Account + "/" + f.ID }),
		rowsOf(&DisputesTable, set.Disputes, func(f *facts.Dispute) string { return f.Account + "/" + f.ID }),
		rowsOf(&checkoutsTable, set.Checkouts, func(f *facts.Checkout) string { return f.Account + "/" + f.ID }),
		rowsOf(&failedInvoicesTable, set.FailedInvoices, func(f *facts.FailedInvoice) string { return f.Account + "/" + f.ID }),
		rowsOf(&subscriptionsTable, set.Subscriptions, func(f *facts.Subscription) string { return f.Account + "/" + f.ID }),
	}
}

// upsert merges all facts of a set into their tables, in one round trip.
// Unless outcomes is nil, it records the facts that were new or different.
func upsert(ctx context.Context, tx pgx.Tx, set facts.Set, outcomes map[factKey]outcome) (err error) {
	defer pg.Wrap(&err, "store.upsert")
	var batch pgx.Batch
	if outcomes != nil {
		batch.Queue(`SET LOCAL enable_hashjoin = on`) // for joins among rows already found by key
	}
	for _, t := range TablesOf(set) {
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

// queue adds the statements for rows: one per repetition of a key, as a statement
// can touch a row only once.
func (t TableRows) queue(b *pgx.Batch, outcomes map[factKey]outcome) error {
	for len(t.Rows) > 0 {
		var now, later TableRows
		seen := make(map[factKey]bool, len(t.Keys))
		for i, k := range t.Keys {
			to := &now
			if seen[k] {
				to = &later
			}
			seen[k] = true
			to.Keys, to.Rows = append(to.Keys, k), append(to.Rows, t.Rows[i])
		}
		text, err := json.Marshal(now.Rows)
		if err != nil {
			return err
		}
		if outcomes == nil {
			b.Queue(t.Table.upsertSQL, string(text))
		} else {
			b.Queue(t.Table.outcomesSQL, string(text)).Query(func(found pgx.Rows) error {
				return recordOutcomes(outcomes, t.Table.Name, found)
			})
		}
		t.Keys, t.Rows = later.Keys, later.Rows
	}
	return nil
}
