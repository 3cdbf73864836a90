package checks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/show"
	"rollcall/store"
	"rollcall/store/finding"
	"rollcall/store/pg"
	"rollcall/store/reasons"
)

// missing is the key of something that facts wait for (user:…, product:…, account:…,
// store:…, or Stripe's price_… or prod_…), with their number. An empty key: they name
// nothing.
type missing struct {
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

// facts finds why facts are missing: first the reasons that may hide a customer, those
// with most facts first.
func (c *Checkup) facts(ctx context.Context) (all []finding.Finding, err error) {
	var missing, right []finding.Finding
	err = c.look(ctx, func(tx pgx.Tx) error {
		asked := store.UnattachedQuestion{Reasons: reasons.Codes(), Store: c.Store, Leaning: true}
		missing, right, err = store.UnattachedFacts(ctx, tx, asked, c.Examples)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, d := range missing {
		f, err := c.unattached(ctx, d)
		if err != nil {
			return all, err
		}
		all = append(all, f)
	}
	for _, d := range right {
		reason, _ := reasons.Find(d.Kind)
		all = append(all, finding.Finding{Kind: "facts_rightly_unattached", Subject: d.Kind, Count: d.Count,
			What: are(d.Count, "fact") + " not expected on a list: " + reason.Means})
	}
	forgotten, err := c.forgotten(ctx)
	return append(all, forgotten...), err
}

// unattached tells of the facts that are missing for a reason, and what they wait for.
func (c *Checkup) unattached(ctx context.Context, d finding.Finding) (f finding.Finding, err error) {
	reason, _ := reasons.Find(d.Kind)
	var waits []missing
	if len(reason.Waits) > 0 {
		if waits, err = c.waitingFor(ctx, reason.Code); err != nil {
			return f, err
		}
	}
	f = finding.Finding{Kind: "facts_unattached", Subject: d.Kind, Count: d.Count,
		Severity: finding.Severity(reason.Weight), What: are(d.Count, "fact") + " missing: " + reason.Text(),
		Examples: briefly(d.Examples)}
	if reason.Stranger != "" && !slices.ContainsFunc(waits, func(m missing) bool { return m.Ours > 0 }) {
		f.Severity = finding.Severity(reason.Stranger)
	}
	f.Fix, err = c.fixOf(ctx, reason, waits)
	return f, err
}

// briefly leaves out why: all examples have the same reason.
func briefly(examples []finding.Example) (all []finding.Example) {
	for _, e := range examples {
		all = append(all, finding.Example{Place: e.Place, What: e.What})
	}
	return all
}

// waitingFor finds what the facts of a reason wait for.
func (c *Checkup) waitingFor(ctx context.Context, reason string) ([]missing, error) {
	parts := store.UnionAll(func(k store.FactKind) string {
		course := "NULL"
		if k.Name == store.Enrollment {
			course = "course_id"
		}
		return fmt.Sprintf(`(SELECT leans, %s AS course FROM %s f WHERE unattached = $2 AND %s LIMIT %d)`,
			course, k.Table, store.Concerns("f"), someFacts)
	})
	return collect(ctx, c, pgx.RowToStructByPos[missing], `
		SELECT
			coalesce(missing.key, ''),
			count(*) AS facts,
			count(*) FILTER (WHERE EXISTS (
				SELECT FROM unnest(f.leans) l(key) WHERE l.key LIKE ANY (ARRAY['product:%', 'store:%', 'user:%'])
			)),
			coalesce(min(f.course), '')
		FROM (`+parts+`) f
		LEFT JOIN LATERAL (`+missingKey("$2", "f.leans")+`) missing ON true
		GROUP BY missing.key
		ORDER BY facts DESC, 1
		LIMIT $3`, c.Store, reason, someMissing)
}

// forgotten finds facts that could be attached by now but were not attached again. It
// samples very long lists.
func (c *Checkup) forgotten(ctx context.Context) ([]finding.Finding, error) {
	waiting := slices.DeleteFunc(reasons.Missing(), func(r string) bool { return r == reasons.NotDerived })
	audit := c.store.NewAuditor(c.AuditOptions)
	for _, kind := range store.FactKinds {
		var keys []store.RowKey
		err := c.look(ctx, func(tx pgx.Tx) (err error) {
			rows := pg.Query(ctx, tx, fmt.Sprintf(`
				SELECT %s
				FROM %s f
				WHERE unattached = ANY($2) AND %s
				LIMIT $3`, kind.KeySQL("f"), kind.Table, store.Concerns("f")), c.Store, waiting, someFacts/10)
			keys, err = store.KeysOfKind(kind.Name, rows)
			return err
		})
		if err != nil {
			return nil, err
		}
		for chunk := range slices.Chunk(keys, store.AuditChunk) {
			if _, err := audit.Facts(ctx, chunk); err != nil {
				return nil, err
			}
		}
	}
	d := audit.Found("fact_on_no_list")
	if d.Count == 0 {
		return nil, nil
	}
	return []finding.Finding{{Kind: "facts_forgotten", Count: d.Count,
		What:     are(d.Count, "fact") + " missing from lists though nothing blocks them any more",
		Examples: briefly(d.Examples), Fix: []string{c.rebuild()}}}, nil
}

// unknownUsers finds users that the platform names and Clerk never reported. On a
// connected account, its owner may write any id.
func (c *Checkup) unknownUsers(ctx context.Context) ([]finding.Finding, error) {
	var facts, deleted int64
	var examples []string
	f := finding.Finding{Kind: "users_unknown", Fix: []string{"rollcall backfill start clerk --follow"}}
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
		FROM unknown`, c.Store, c.Examples).Scan(&f.Count, &facts, &deleted, &examples)
	})
	if err != nil || f.Count == 0 {
		return nil, err
	}
	f.What = fmt.Sprintf("%s named by %s, but never reported by Clerk", show.Count(f.Count, "user"),
		show.Count(facts, "fact"))
	f.Examples = finding.Texts(examples)
	if deleted > 0 {
		f.What += fmt.Sprintf("; of %d it reported only the deletion", deleted)
	}
	if deleted == f.Count {
		f.Severity = finding.Note
	}
	return []finding.Finding{f}, nil
}
