package checks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rollcall/store/reasons"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/finding"
	"rollcall/store/pg"
)

// Unattached are the facts that are missing for one reason.
type Unattached struct {
	reasons.Reason
	Count    int64
	Examples []finding.Example
	Missing  []Missing // what they wait for
}

// Missing is the key of something that facts depend on (user:…, product:…, account:…,
// store:…, or Stripe's price_… or prod_…), with their number. An empty key: they name
// nothing.
type Missing struct {
	Reason string
	Key    string
	Count  int64
	Ours   int64  // how many of these name an object of the platform
	Course string // the course of one of these enrollments
}

// missingKeys is SQL for patterns of missing keys, by reason.
var missingKeys = func() string {
	var rows []string
	for _, r := range reasons.All {
		for i, pattern := range r.Waits {
			rows = append(rows, fmt.Sprintf("('%s', %d, '%s')", r.Code, i, pattern))
		}
	}
	return "(VALUES " + strings.Join(rows, ", ") + ")"
}()

// missingKey is SQL for the key that an unattached fact waits for.
func missingKey(reason, leans string) string {
	return `
			SELECT l.key
			FROM unnest(` + leans + `) l(key)
			JOIN ` + missingKeys + ` AS m(reason, nth, pattern) ON m.reason = ` + reason + ` AND l.key LIKE m.pattern
			ORDER BY m.nth, l.key
			LIMIT 1`
}

const (
	// someFacts is how many facts of each reason are searched for missing keys.
	someFacts = 20_000
	// someMissing is how many missing keys are listed for each reason.
	someMissing = 5
)

// Unattached lists why facts are missing: first the reasons that may hide a customer,
// those with most facts first.
func (c *Checkup) Unattached(ctx context.Context) (all []Unattached, err error) {
	defer pg.Wrap(&err, "store.Checkup.Unattached")
	var missing, right []finding.Finding
	err = c.look(ctx, func(tx pgx.Tx) error {
		asked := store.UnattachedQuestion{Reasons: reasons.Codes(), Store: c.only, Leaning: true}
		missing, right, err = store.UnattachedFacts(ctx, tx, asked, c.examples)
		return err
	})
	for _, d := range slices.Concat(missing, right) {
		reason, _ := reasons.Find(d.Kind)
		u := Unattached{Reason: reason, Count: d.Count, Examples: d.Examples}
		if len(reason.Waits) > 0 {
			if err := c.waitingFor(ctx, &u); err != nil {
				return nil, err
			}
		}
		all = append(all, u)
	}
	return all, err
}

// waitingFor finds what the facts of a reason wait for.
func (c *Checkup) waitingFor(ctx context.Context, u *Unattached) (err error) {
	parts := store.UnionAll(func(k store.FactKind) string {
		course := "NULL"
		if k.Name == store.Enrollment {
			course = "course_id"
		}
		return fmt.Sprintf(`(SELECT leans, %s AS course FROM %s f WHERE unattached = $2 AND %s LIMIT %d)`, course, k.Table, store.Concerns("f"), someFacts)
	})
	u.Missing, err = collect(ctx, c, pgx.RowToStructByPos[Missing], `
		SELECT
			$2::text,
			coalesce(missing.key, ''),
			count(*) AS facts,
			count(*) FILTER (WHERE EXISTS (SELECT FROM unnest(f.leans) l(key) WHERE l.key LIKE 'product:%' OR l.key LIKE 'store:%' OR l.key LIKE 'user:%')),
			coalesce(min(f.course), '')
		FROM (`+parts+`) f
		LEFT JOIN LATERAL (`+missingKey("$2", "f.leans")+`) missing ON true
		GROUP BY missing.key
		ORDER BY facts DESC, 2
		LIMIT $3`, c.only, u.Code, someMissing)
	return err
}

// Forgotten finds facts that could be attached by now but were not attached again. It
// samples very long lists.
func (c *Checkup) Forgotten(ctx context.Context) (_ finding.Finding, err error) {
	defer pg.Wrap(&err, "store.Checkup.Forgotten")
	a := &store.Auditor{Store: c.store, AuditOptions: store.AuditOptions{Store: c.only, Examples: c.examples}, Found: store.NewDifferences(c.examples), Touched: map[uint64]bool{}}
	waiting := slices.DeleteFunc(reasons.Missing(), func(r string) bool { return r == reasons.NotDerived })
	for _, kind := range store.FactKinds {
		var keys []store.RowKey
		err := c.look(ctx, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, fmt.Sprintf(`
				SELECT %s
				FROM %s f
				WHERE unattached = ANY($2) AND %s
				LIMIT $3`, kind.KeySQL("f"), kind.Table, store.Concerns("f")), c.only, waiting, someFacts/10)
			if err != nil {
				return err
			}
			keys, err = store.KeysOfKind(kind.Name, rows)
			return err
		})
		if err != nil {
			return finding.Finding{}, err
		}
		for chunk := range slices.Chunk(keys, store.AuditChunk) {
			if _, err := a.Facts(ctx, chunk); err != nil {
				return finding.Finding{}, err
			}
		}
	}
	if d := a.Found.Kind["fact_on_no_list"]; d != nil {
		return *d, nil
	}
	return finding.Finding{}, nil
}

// unknownUsers finds users that the platform names and Clerk never reported. On a
// connected account, its owner may write any id.
func (c *Checkup) unknownUsers(ctx context.Context) ([]finding.Finding, error) {
	var facts, deleted int64
	var examples []string
	f := finding.Finding{Kind: "users_unknown", Severity: finding.Warning, Fix: []string{"rollcall backfill start clerk --follow"}}
	err := c.look(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
		WITH unknown AS (
			SELECT f.id, count(*) AS facts, bool_or(coalesce(u.deleted_version, '') <> '') AS deleted
			FROM (SELECT user_ref AS id FROM facts WHERE account = '' AND ($1 = '' OR store_id = $1)) f
			LEFT JOIN users u ON u.id = f.id
			WHERE f.id IS NOT NULL
			  AND coalesce(u.version, '') = ''
			GROUP BY f.id
		)
		SELECT
			count(*),
			coalesce(sum(facts), 0)::bigint,
			count(*) FILTER (WHERE deleted),
			coalesce((array_agg(id ORDER BY deleted, facts DESC, id))[1:$2], '{}')
		FROM unknown`, c.only, c.examples).Scan(&f.Count, &facts, &deleted, &examples)
	})
	if err != nil || f.Count == 0 {
		return nil, err
	}
	f.What = fmt.Sprintf("%s named by %s, but never reported by Clerk", counted(f.Count, "user"), counted(facts, "fact"))
	f.Examples = finding.Texts(examples)
	if deleted > 0 {
		f.What += fmt.Sprintf("; of %d it reported only the deletion", deleted)
	}
	if deleted == f.Count {
		f.Severity = finding.Note
	}
	return []finding.Finding{f}, nil
}
