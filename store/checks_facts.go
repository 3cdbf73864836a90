package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rollcall/store/reasons"

	"github.com/jackc/pgx/v5"
)

// Unattached are the facts that are on no list for one reason.
type Unattached struct {
	reasons.Reason
	Count    int64
	Examples []Finding
	Missing  []Missing // what they wait for
}

// Missing is something that facts lean on, by its key (user:…, product:…,
// account:…, store:…, or Stripe's price_… or prod_…), and how many do. An empty
// key: they name nothing at all.
type Missing struct {
	Reason string
	Key    string
	Count  int64
	Ours   int64  // of these, how many name something of the platform's own: no strangers' sales
	Course string // of an enrollment among them
}

// missingKeys are the patterns of what facts on no list wait for, reason by reason.
var missingKeys = func() string {
	var rows []string
	for _, r := range reasons.All {
		for i, pattern := range r.Waits {
			rows = append(rows, fmt.Sprintf("('%s', %d, '%s')", r.Code, i, pattern))
		}
	}
	return "(VALUES " + strings.Join(rows, ", ") + ")"
}()

// missingKey is SQL for what a fact on no list for a reason waits for.
func missingKey(reason, leans string) string {
	return `
			SELECT l.key
			FROM unnest(` + leans + `) l(key)
			JOIN ` + missingKeys + ` AS m(reason, nth, pattern) ON m.reason = ` + reason + ` AND l.key LIKE m.pattern
			ORDER BY m.nth, l.key
			LIMIT 1`
}

const (
	// someFacts is how many of the facts on no list for each reason are looked
	// at for what they wait for.
	someFacts = 20_000
	// someMissing is how many of the things waited for are told of each reason.
	someMissing = 5
)

// Unattached lists why facts are on no list: first the reasons for which
// somebody may be missing, those of most facts first.
func (c *Checkup) Unattached(ctx context.Context) (all []Unattached, err error) {
	defer wrap(&err, "store.Checkup.Unattached")
	var missing, right []Difference
	err = c.look(ctx, func(tx pgx.Tx) error {
		asked := unattachedQuestion{reasons: reasons.Codes(), store: c.only, leaning: true}
		missing, right, err = unattachedFacts(ctx, tx, asked, c.examples)
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

// waitingFor finds what facts on no list for a reason wait for.
func (c *Checkup) waitingFor(ctx context.Context, u *Unattached) (err error) {
	var parts []string
	for _, kind := range []string{enrollment, payment, subscription} {
		table := tableOf[kind]
		course := "NULL"
		if kind == enrollment {
			course = "course_id"
		}
		parts = append(parts, fmt.Sprintf(`(SELECT leans, %s AS course FROM %s WHERE unattached = $2 AND %s LIMIT %d)`, course, table, concerns(table), someFacts))
	}
	u.Missing, err = collect(ctx, c, pgx.RowToStructByPos[Missing], `
		SELECT
			$2::text,
			coalesce(missing.key, ''),
			count(*) AS facts,
			count(*) FILTER (WHERE EXISTS (SELECT FROM unnest(f.leans) l(key) WHERE l.key LIKE 'product:%' OR l.key LIKE 'store:%' OR l.key LIKE 'user:%')),
			coalesce(min(f.course), '')
		FROM (`+strings.Join(parts, " UNION ALL ")+`) f
		LEFT JOIN LATERAL (`+missingKey("$2", "f.leans")+`) missing ON true
		GROUP BY missing.key
		ORDER BY facts DESC, 2
		LIMIT $3`, c.only, u.Code, someMissing)
	return err
}

// Forgotten finds facts that are on no list though nothing keeps them off any
// more: what they leaned on came, and they were not attached again. Of very many
// facts on no list only some are looked at.
func (c *Checkup) Forgotten(ctx context.Context) (_ Difference, err error) {
	defer wrap(&err, "store.Checkup.Forgotten")
	a := &auditor{Store: c.store, AuditOptions: AuditOptions{Store: c.only, Examples: c.examples}, found: newDifferences(c.examples), touched: map[uint64]bool{}}
	waiting := slices.DeleteFunc(reasons.Missing(), func(r string) bool { return r == reasons.NotDerived })
	for _, kind := range []string{enrollment, payment, subscription} {
		table, key := tableOf[kind], keyOf[kind]
		var keys []rowKey
		err := c.look(ctx, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, fmt.Sprintf(`
				SELECT %[2]s, %[3]s
				FROM %[1]s
				WHERE unattached = ANY($2) AND %[4]s
				LIMIT $3`, table, key[0], key[1], concerns(table)), c.only, waiting, someFacts/10)
			if err != nil {
				return err
			}
			keys, err = keysOfKind(kind, rows)
			return err
		})
		if err != nil {
			return Difference{}, err
		}
		for chunk := range slices.Chunk(keys, auditChunk) {
			if _, err := a.facts(ctx, chunk); err != nil {
				return Difference{}, err
			}
		}
	}
	if d := a.found.kind["fact_on_no_list"]; d != nil {
		return *d, nil
	}
	return Difference{Examples: []Finding{}}, nil
}

// UnknownUsers are users whom facts name and Clerk has not told of.
type UnknownUsers struct {
	Users    int64
	Facts    int64
	Deleted  int64 // users of whom Clerk told nothing but that they are deleted
	Examples []string
}

// UnknownUsers finds them, as the platform names them: on a connected account its
// owner may write any id.
func (c *Checkup) UnknownUsers(ctx context.Context) (u UnknownUsers, err error) {
	defer wrap(&err, "store.Checkup.UnknownUsers")
	found, err := collect(ctx, c, pgx.RowToStructByPos[UnknownUsers], `
		WITH unknown AS (
			SELECT f.id, count(*) AS facts, bool_or(coalesce(u.deleted_version, '') <> '') AS deleted
			FROM (
				SELECT user_ref AS id FROM enrollments WHERE $1 = '' OR store_id = $1
				UNION ALL
				SELECT coalesce(user_ref, intent ->> 'user_ref') FROM payments WHERE account = '' AND ($1 = '' OR store_id = $1)
				UNION ALL
				SELECT coalesce(user_ref, checkout ->> 'user_ref') FROM subscriptions WHERE account = '' AND ($1 = '' OR store_id = $1)
			) f
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
		FROM unknown`, c.only, c.examples)
	if err == nil {
		u = found[0]
	}
	return u, err
}
