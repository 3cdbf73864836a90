package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/store/finding"
)

// customers looks at every customer, or those of the store.
func (a *auditor) customers(ctx context.Context) error {
	for last := int64(0); ; {
		rows, err := a.pool.Query(ctx, `
			SELECT id
			FROM customers
			WHERE id > $1 AND ($2 = '' OR store_id = $2)
			ORDER BY id
			LIMIT $3`, last, a.AuditOptions.Store, deriveChunk)
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := a.derived(ctx, ids); err != nil {
			return err
		}
		last = ids[len(ids)-1]
		a.audit.Customers += int64(len(ids))
		a.tell()
	}
}

// derived compares customers with what their facts come to. If Postgres cannot
// compute some, those are found by halving.
func (a *auditor) derived(ctx context.Context, ids []int64) error {
	err := a.look(ctx, func(tx pgx.Tx) error { return a.compare(ctx, tx, ids) })
	switch {
	case !permanent(err):
		return err
	case len(ids) == 1:
		a.found.add("customer_cannot_be_derived", 1, finding.Example{Place: fmt.Sprintf("customer %d", ids[0]), What: "its facts", Why: err.Error()})
		return nil
	}
	for half := range slices.Chunk(ids, (len(ids)+1)/2) {
		if err := a.derived(ctx, half); err != nil {
			return err
		}
	}
	return nil
}

// compare does it on one snapshot.
func (a *auditor) compare(ctx context.Context, tx pgx.Tx, ids []int64) error {
	all, err := customersByID(ctx, tx, ids)
	if err != nil {
		return err
	}
	ids, stores, emails := make([]int64, len(all)), make([]string, len(all)), make([]string, len(all))
	byID := map[int64]customer{}
	for i, c := range all {
		ids[i], stores[i], emails[i], byID[c.id] = c.id, c.store, c.email, c
	}
	if _, err := tx.Exec(ctx, `SET LOCAL enable_hashjoin = on`); err != nil { // as when they are derived
		return err
	}
	rows, err := tx.Query(ctx, customersDifferSQL, ids, stores, emails)
	if err != nil {
		return err
	}
	differing, err := pgx.CollectRows(rows, pgx.RowToStructByPos[differing])
	for _, d := range differing {
		a.differs(byID[d.ID], d)
	}
	return err
}

func customersByID(ctx context.Context, tx pgx.Tx, ids []int64) ([]customer, error) {
	rows, err := tx.Query(ctx, `SELECT id, store_id, email FROM customers WHERE id = ANY($1)`, ids)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c customer, err error) {
		return c, row.Scan(&c.id, &c.store, &c.email)
	})
}

// differing is a customer that is not what its facts come to; should is nil if
// it has none.
type differing struct {
	ID     int64
	Is     json.RawMessage
	Should *json.RawMessage
}

// differs names what is wrong with a customer.
func (a *auditor) differs(c customer, d differing) {
	at := address{c.store, c.email}
	kind, why := "customer_without_facts", "nothing that was told speaks of them"
	if d.Should != nil {
		kind, why = "customer_differs", explain(d.Is, *d.Should)
	}
	if _, touched := a.touched[at.hash()]; touched {
		kind, why = "customer_of_misplaced_facts", "facts of theirs are misplaced, and mended with them"
	}
	a.found.add(kind, 1, finding.Example{Place: "store " + c.store, What: c.email, Why: why})
}

// explain tells in which fields two rows differ.
func explain(is, should json.RawMessage) string {
	var old, now fields
	if json.Unmarshal(is, &old) != nil || json.Unmarshal(should, &now) != nil {
		return "it is not what its facts come to"
	}
	return unlike(old, now)
}

// cut splits a statement of ours at a text that it has.
func cut(sql, at string) (before, after string) {
	before, after, found := strings.Cut(sql, at)
	if !found {
		panic("a statement has no " + at)
	}
	return before, after
}

// rightly says of the reasons without advice why nobody is to be on a list for
// such facts.
var rightly = map[string]string{
	"bare_payment":      "payments that brought nothing yet, kept only to match refunds",
	"foreign_payment":   "payments on connected accounts that name nothing of ours: what their owners sell elsewhere",
	"unpaid":            "checkouts that were not paid",
	"counted_elsewhere": "payments whose money is counted with the invoice or checkout that it pays",
	"platform_sale":     "sales of the platform itself",
	"never_enrolled":    "ends of enrollments of which there was no beginning",
	"not_started":       "subscriptions that never began, and were never paid",
}

// offLists counts the facts on no list by reason.
func (a *auditor) offLists(ctx context.Context) error {
	missing, fine := newDifferences(a.Examples), newDifferences(0)
	for _, kind := range []string{enrollment, payment, subscription} {
		table := tableOf[kind]
		rows, err := a.pool.Query(ctx, `
			SELECT unattached, count(*)
			FROM `+table+`
			WHERE unattached <> 'not_derived' AND `+concerns(table)+`
			GROUP BY unattached`, a.AuditOptions.Store)
		if err != nil {
			return err
		}
		var reason string
		var n int64
		counts := map[string]int64{}
		if _, err := pgx.ForEachRow(rows, []any{&reason, &n}, func() error { counts[reason] = n; return nil }); err != nil {
			return err
		}
		for reason, n := range counts {
			if _, ok := advice[reason]; !ok {
				fine.add(reason, n)
				continue
			}
			examples, err := a.unattached(ctx, kind, reason)
			if err != nil {
				return err
			}
			missing.add(reason, n, examples...)
		}
	}
	a.audit.Unresolved, a.audit.Rightly = missing.byReason(advice), fine.byReason(rightly)
	return nil
}

// byReason lists reasons, those of most facts first.
func (f differences) byReason(meaning map[string]string) []finding.Finding {
	out := []finding.Finding{}
	for reason, d := range f.kind {
		d.Means = meaning[reason]
		out = append(out, *d)
	}
	slices.SortFunc(out, func(a, b finding.Finding) int {
		if a.Count != b.Count {
			return int(b.Count - a.Count)
		}
		return strings.Compare(a.Kind, b.Kind)
	})
	return out
}

// unattached returns examples of facts on no list for a reason.
func (a *auditor) unattached(ctx context.Context, kind, reason string) ([]finding.Example, error) {
	table, key := tableOf[kind], keyOf[kind]
	who := "coalesce(user_ref, email, stripe_customer, 'somebody')"
	if kind == enrollment {
		who = "person"
	}
	rows, err := a.pool.Query(ctx, fmt.Sprintf(`
		SELECT %[2]s, %[3]s, %[4]s, coalesce(' in store ' || store_id, '')
		FROM %[1]s
		WHERE unattached = $2 AND %[5]s
		LIMIT $3`, table, key[0], key[1], who, concerns(table)), a.AuditOptions.Store, reason, a.Examples)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (f finding.Example, err error) {
		k, in := rowKey{kind: kind}, ""
		err = row.Scan(&k.a, &k.b, &f.What, &in)
		f.Place, f.What, f.Why = k.place(), f.What+in, advice[reason]
		return f, err
	})
}
