package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/finding"
	"rollcall/store/pg"
)

// mirror holds what an outside source says, in temporary tables of the names
// and shapes of ours: so it is merged and resolved by the very statements that
// merge and resolve what we keep. It has a connection of its own, on which no
// statement was prepared for our own tables, and one transaction that is never
// committed. That transaction holds vacuum back as long as it is open.
type mirror struct {
	conn   *pgx.Conn
	tx     pgx.Tx
	schema string // of the tables we keep
	tables []string
	asOf   time.Time
	o      AuditOptions
	found  differences
	audit  Audit
}

// newMirror makes empty tables.
func (s *Store) newMirror(ctx context.Context, o AuditOptions, kinds finding.Kinds, tables ...string) (
	m *mirror, err error,
) {
	m = &mirror{tables: tables, o: o, found: newDifferences(kinds, o.Examples)}
	if m.asOf, err = s.Now(ctx); err != nil {
		return nil, err
	}
	if m.conn, err = pgx.ConnectConfig(ctx, s.Pool.Config().ConnConfig); err != nil {
		return nil, err
	}
	if m.tx, err = m.conn.Begin(ctx); err == nil {
		err = m.create(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func (m *mirror) create(ctx context.Context) error {
	// Pages may be long in coming.
	err := m.tx.QueryRow(
		ctx, `SELECT quote_ident(current_schema()) FROM set_config('idle_in_transaction_session_timeout', '0', true)`).Scan(
		&m.schema)
	if err != nil {
		return err
	}
	for _, t := range m.tables {
		if _, err := m.tx.Exec(ctx, fmt.Sprintf(`
			CREATE TEMP TABLE %[2]s (LIKE %[1]s.%[2]s INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING INDEXES)
			ON COMMIT DROP`, m.schema, t)); err != nil {
			return err
		}
		var temporary bool
		if err := m.tx.QueryRow(ctx, `SELECT relpersistence = 't' FROM pg_class WHERE oid = $1::text::regclass`, t).Scan(
			&temporary); err != nil {
			return err
		}
		if !temporary {
			return fmt.Errorf("the table %s is found before its mirror: is pg_temp in the search_path?", t)
		}
	}
	return nil
}

// Close forgets all. It may be called at any time, and again.
func (m *mirror) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return m.conn.Close(ctx) // undoes what was not committed
}

// add stores the facts of a page's items, and returns the items that could
// not be read, after noting them as differences: nothing is known of them.
func (m *mirror) add(ctx context.Context, items []Item, keep func(facts.Set) facts.Set) (unread []Item, err error) {
	defer pg.Wrap(&err, "store.mirror.add")
	var set facts.Set
	for _, item := range items {
		if item.Err != nil {
			unread = append(unread, item)
			m.found.add("unreadable", 1, finding.Example{Place: item.Place, What: "what the API answered",
				Why: item.Err.Error()})
			continue
		}
		set.Add(keep(item.Facts))
	}
	if err := upsert(ctx, m.tx, set, nil); err != nil {
		return unread, err
	}
	m.audit.Objects += int64(len(items))
	if m.o.Progress != nil {
		m.o.Progress(m.audit.Objects)
	}
	return unread, nil
}

// plan analyzes the tables and lets the planner read whole tables: what comes
// now compares all with all.
func (m *mirror) plan(ctx context.Context) error {
	_, err := m.tx.Exec(ctx, m.analyze()+`
		SET LOCAL enable_seqscan = on;
		SET LOCAL enable_hashjoin = on;
		SET LOCAL enable_mergejoin = on;
		SET LOCAL plan_cache_mode = force_custom_plan;
		SET LOCAL work_mem = '32MB'`)
	return err
}

// analyze covers only the mirror's tables.
func (m *mirror) analyze() string { return "ANALYZE " + strings.Join(m.tables, ", ") + ";" }

// comparison finds differences of a kind. Its SQL selects place, what and why of what
// the source says (t, in the mirror's tables) and of what we hold (h, in @kept's).
type comparison struct {
	kind, means string
	unlisted    bool // of what we hold and the source does not list
	sql         string
}

// kindsOf are the kinds of some comparisons, and further ones.
func kindsOf(all []comparison, further ...finding.Kind) (kinds finding.Kinds) {
	for _, c := range all {
		kinds = append(kinds, difference(c.kind, c.means))
	}
	return append(kinds, further...)
}

// compare runs a comparison, counts its differences and stores the first examples.
func (m *mirror) compare(ctx context.Context, c comparison, args ...any) (err error) {
	defer pg.Wrap(&err, "store.mirror.compare(%s)", c.kind)
	rows := pg.Query(ctx, m.tx, fmt.Sprintf(`
		SELECT count(*) OVER (), d.place, d.what, d.why
		FROM (%s) AS d(place, what, why)
		ORDER BY d.place
		LIMIT greatest(%d, 1)`, m.kept(c.sql), m.o.Examples), args...)
	var n int64
	var f finding.Example
	var examples []finding.Example
	err = pg.Each(rows, []any{&n, &f.Place, &f.What, &f.Why}, func() {
		examples = append(examples, f)
	})
	m.found.add(c.kind, n, examples...)
	return err
}

// kept puts the schema of our tables in.
func (m *mirror) kept(sql string) string { return strings.ReplaceAll(sql, "@kept", m.schema) }
