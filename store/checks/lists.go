package checks

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/show"
	"rollcall/store"
	"rollcall/store/finding"
	"rollcall/store/reasons"
)

// lists compares the lists with their facts, store by store, the worst first.
func (c *Checkup) lists(ctx context.Context) (all []finding.Finding, err error) {
	for _, look := range []func(context.Context) ([]finding.Finding, error){c.missing, c.strays, c.mismatched} {
		found, err := look(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// derivation checks that customers are derived by this program's rules.
func (c *Checkup) derivation(ctx context.Context) ([]finding.Finding, error) {
	at, err := c.store.Derivation(ctx)
	if err != nil || !at.Pending() {
		return nil, err
	}
	return []finding.Finding{{Kind: "lists_outdated", What: Deriving(at), Fix: []string{reasons.Rebuild}}}, nil
}

// Deriving describes the progress of deriving all customers again.
func Deriving(d store.Derivation) string {
	text := "the workers derive every customer again by the rules of this version: "
	if d.StartedAt == nil {
		return text + "not begun yet"
	}
	text += show.Number(d.Facts) + " facts so far"
	if d.LastError != nil {
		text += "; the last try failed: " + *d.LastError
	}
	return text
}

// RebuildOf is the command that derives a store's customers again.
func RebuildOf(storeID string) string {
	if finding.Plain(storeID) {
		return reasons.Rebuild + " --store " + storeID
	}
	return reasons.Rebuild
}

// byStore runs a query that returns a finding for each store: its id, a count, the
// numbers for words, and examples.
func (c *Checkup) byStore(ctx context.Context, kind string, words func(n, m int64) string, sql string) (
	[]finding.Finding, error,
) {
	return collect(ctx, c, func(row pgx.CollectableRow) (finding.Finding, error) {
		var n, m int64
		var examples []string
		f := finding.Finding{Kind: kind}
		err := row.Scan(&f.Subject, &n, &m, &examples)
		f.Count, f.What, f.Examples = n, "store "+f.Subject+": "+words(n, m), finding.Texts(examples)
		if kind == "lists_off" {
			f.Count += m
		}
		f.Fix = []string{RebuildOf(f.Subject)}
		return f, err
	}, sql, c.Store, c.Examples)
}

// missing finds facts that are marked as on a list, but have no customer there.
func (c *Checkup) missing(ctx context.Context) ([]finding.Finding, error) {
	words := func(people, facts int64) string {
		return show.Count(people, "customer") + " missing from the list, according to " + show.Count(facts, "fact")
	}
	return c.byStore(ctx, "people_missing", words, `
		SELECT
			coalesce(store_id, ''),
			count(DISTINCT customer_email) AS people,
			count(*),
			coalesce((array_agg(DISTINCT customer_email))[1:$2], '{}')
		FROM (
			SELECT f.store_id, f.customer_email
			FROM facts f
			LEFT JOIN customers c ON c.id = f.customer_id
			WHERE f.customer_id IS NOT NULL
			  AND ($1 = '' OR f.store_id = $1)
			  AND (c.id IS NULL OR (c.store_id, c.email) IS DISTINCT FROM (f.store_id, f.customer_email))
		) f
		GROUP BY store_id
		ORDER BY people DESC, 1
		LIMIT 100`)
}

// strays finds customers without facts.
func (c *Checkup) strays(ctx context.Context) ([]finding.Finding, error) {
	words := func(n, _ int64) string { return show.Count(n, "customer") + " without any facts" }
	return c.byStore(ctx, "customers_stray", words, `
		SELECT
			store_id,
			count(*) AS customers,
			0,
			(array_agg(email ORDER BY id))[1:$2]
		FROM customers c
		WHERE ($1 = '' OR store_id = $1)
		  AND NOT EXISTS (SELECT FROM facts WHERE customer_id = c.id)
		GROUP BY store_id
		ORDER BY customers DESC, store_id
		LIMIT 100`)
}

// someEntries is how many of the newest customers are fully compared with their
// entries; of the others only whether an entry exists.
const someEntries = 2000

// mismatched compares search entries and figures with the customers.
func (c *Checkup) mismatched(ctx context.Context) ([]finding.Finding, error) {
	words := func(entries, figures int64) string {
		return show.Count(entries, "customer") + " with a wrong search entry, " + show.Count(figures, "wrong figure")
	}
	return c.byStore(ctx, "lists_off", words, fmt.Sprintf(`
		SELECT
			store_id,
			sum(entries)::bigint,
			sum(figures)::bigint,
			(array_agg(example))[1:$2]
		FROM (
			SELECT c.store_id, 1 AS entries, 0 AS figures, c.email || ' has no entry' AS example
			FROM customers c
			LEFT JOIN customer_index i ON i.customer_id = c.id
			LEFT JOIN customer_words w ON w.customer_id = c.id
			WHERE (i.customer_id IS NULL OR w.customer_id IS NULL) AND ($1 = '' OR c.store_id = $1)
			UNION ALL
			SELECT store_id, 1, 0, 'customer ' || customer_id || ' has an entry and is gone'
			FROM (`+store.IndexedTooMuch+`) x
			UNION ALL
			SELECT x.store_id, 1, 0, 'the entry of customer ' || x.customer_id || ' differs'
			FROM (%s AND c.id > (SELECT coalesce(max(id), 0) - %d FROM customers)
				AND EXISTS (SELECT FROM customer_index JOIN customer_words USING (customer_id) WHERE customer_id = c.id)) x
			UNION ALL
			SELECT store_id, 0, 1, figure || ' of ' || facet || ' is ' || kept || ' and should be ' || should
			FROM (%s) f
		) off
		GROUP BY store_id
		ORDER BY sum(entries + figures) DESC, store_id
		LIMIT 100`, store.Misindexed, someEntries, store.FiguresOff))
}
