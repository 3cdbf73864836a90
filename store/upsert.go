package store

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// contextColumns are the column sets of a facts.Context.
var contextColumns = columnSets(
	"store_ref, product_ref, product_kind, product_type, plan, user_ref, creator_ref, stripe_customer, " +
		"email, name, country, named, lines")

// The tables of facts.
var (
	usersTable = newTable[facts.User]("users", "id", "version", columnSets("email, name, image_url, time_zone"),
		map[string]string{"last_seen_at": "GREATEST"}, versioned{Version: "deleted_version"})
	stripeCustomersTable = newTable[facts.StripeCustomer]("stripe_customers", "account id", "version",
		columnSets("email, name"),
		nil, versioned{Version: "deleted_version"})
	storesTable = newTable[facts.Store]("stores", "id", "version", columnSets("name, member_user_ids, time_zone"),
		map[string]string{"member_user_ids": membersRule})
	productsTable = newTable[facts.Product]("products", "id", "version",
		columnSets("kind, title, price_amount price_currency, items"),
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
		slices.Concat(alwaysNamed("claimed_by kind claim_paid claim_amount claim_currency paid_at"), contextColumns,
			columnSets("subscription")), nil,
		versioned{Version: "intent_version", contexts: []string{"intent"}},
		versioned{Version: "charge_version", contexts: []string{"charge"}},
		versioned{Version: "invoice_version", columns: []string{"invoice"}},
		versioned{Version: "destination_version", columns: []string{"destination"}})
	// The payment of a refund or dispute never changes, and the captured amount never
	// falls. A message without them does not remove them.
	refundsTable = newTable[facts.Refund]("refunds", "account id", "version",
		alwaysNamed("cumulative amount currency status created_at said_at"),
		map[string]string{"charge": "GREATEST", "payment_intent": "GREATEST", "charge_amount": "GREATEST",
			"captured": "GREATEST"})
	disputesTable = newTable[facts.Dispute]("disputes", "account id", "version",
		alwaysNamed("amount currency status withdrawn"),
		map[string]string{"charge": "GREATEST", "payment_intent": "GREATEST"})
	subscriptionsTable = newTable[facts.Subscription]("subscriptions", "account id", "version",
		slices.Concat(alwaysNamed("status ended_at"), alwaysNamed("cancel_at_period_end cancel_at cancellation"),
			alwaysNamed("paused"),
			columnSets("current_period_end, currency, started_at, destination"),
			slices.DeleteFunc(slices.Clone(contextColumns), func(t columnSet) bool { return t.columns[0] == "lines" }),
			columnSets("lines amount plan_name discount")),
		map[string]string{"ever_active": "OR", "status": statusRule, "status_moves": movesRule},
		versioned{"checkout_version", []string{"checkout_at"}, []string{"checkout"}})
	checkoutsTable = newTable[facts.Checkout]("checkouts", "account id", "version",
		slices.Concat(contextColumns,
			columnSets("status, amount currency, recovery_url recovery_until, recovered_from, sale, promotions"),
			columnSets("started_at")), nil)
	failedInvoicesTable = newTable[facts.FailedInvoice]("failed_invoices", "account id", "version",
		slices.Concat(alwaysNamed("attempts next_attempt_at hosted_url amount_due currency"),
			columnSets("subscription, stripe_customer")), nil)
	consentsTable = newTable[facts.Consent]("mail_consents", "store_id user_id email kind", "version",
		alwaysNamed("state said_at source wording"), nil)
	mailEventsTable = newTable[facts.MailEvent]("mail_events", "source event_id", "version",
		alwaysNamed("mail_id message kind at verdict detail"), map[string]string{"inbox_id": "GREATEST"})
)

// Several status changes of a subscription may carry the same second. They form a chain
// (each says from which status to which), and the last is the one whose new status no
// other starts from.
const (
	sameSecond = `left(t.status_said, 27) = left(e.status_said, 27)
		AND substr(GREATEST(t.status_said, e.status_said), 29, 2) < '80'`
	movesRule = `CASE
				WHEN ` + sameSecond +
		` THEN NULLIF(ARRAY(SELECT DISTINCT m FROM unnest(t.status_moves || e.status_moves) m ORDER BY m), '{}')
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

// newTable describes the table of fact type F. Its columns are the fields of F that
// the arguments name.
func newTable[F any](name, keys, main string, named []columnSet, merges map[string]string,
	groups ...versioned) FactTable {
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
		rowsOf(&usersTable, set.Users, func(f *facts.User) string { return f.ID }),
		rowsOf(&stripeCustomersTable, set.StripeCustomers, func(f *facts.StripeCustomer) string {
			return f.Account + "/" + f.ID
		}),
		rowsOf(&storesTable, set.Stores, func(f *facts.Store) string { return f.ID }),
		rowsOf(&productsTable, set.Products, func(f *facts.Product) string { return f.ID }),
		rowsOf(&enrollmentsTable, set.Enrollments, func(f *facts.Enrollment) string { return f.CourseID + "/" + f.Person }),
		rowsOf(&paymentsTable, set.Payments, func(f *facts.Payment) string { return f.Account + "/" + f.ID }),
		rowsOf(&refundsTable, set.Refunds, func(f *facts.Refund) string { return f.Account + "/" + f.ID }),
		rowsOf(&disputesTable, set.Disputes, func(f *facts.Dispute) string { return f.Account + "/" + f.ID }),
		rowsOf(&checkoutsTable, set.Checkouts, func(f *facts.Checkout) string { return f.Account + "/" + f.ID }),
		rowsOf(&failedInvoicesTable, set.FailedInvoices, func(f *facts.FailedInvoice) string {
			return f.Account + "/" + f.ID
		}),
		rowsOf(&consentsTable, set.Consents, func(f *facts.Consent) string {
			return f.StoreID + "/" + f.UserID + "/" + f.Email + "/" + f.Kind
		}),
		rowsOf(&mailEventsTable, set.MailEvents, func(f *facts.MailEvent) string { return f.Source + "/" + f.ID }),
		rowsOf(&subscriptionsTable, set.Subscriptions, func(f *facts.Subscription) string { return f.Account + "/" + f.ID }),
	}
}

// Outcomes of an item, or of one of its facts.
type outcome int

const (
	unchanged outcome = iota
	updated
	created
)

// Ptr returns a pointer to v.
func Ptr[T any](v T) *T { return &v }

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

// keysOf lists the facts of a set.
func keysOf(set facts.Set) (keys []factKey) {
	for _, t := range TablesOf(set) {
		keys = append(keys, t.Keys...)
	}
	return keys
}

// recordOutcomes adds the rows that outcomesSQL returned to outcomes.
func recordOutcomes(outcomes map[factKey]outcome, table string, found pgx.Rows) error {
	k := factKey{table: table}
	var isNew bool
	return pg.Each(found, []any{&k.Key, &isNew}, func() {
		o := updated
		if isNew {
			o = created
		}
		outcomes[k] = max(outcomes[k], o)
	})
}
