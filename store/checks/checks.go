package checks

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/show"
	"rollcall/store"
	"rollcall/store/finding"
	"rollcall/store/pg"
)

// Checkup is what checks look at. A check of the doctor finds what may keep customers
// off a list. Unlike an audit it does not resolve every fact: it uses indexes and whole
// columns, and takes seconds for a million rows. Only Mend writes.
type Checkup struct {
	store *store.Store
	store.AuditOptions
	Audit store.Audit // what an audit read, beside what it found
}

// Checkup returns a Checkup of one store, or of all if o.Store is empty.
func (s *Reader) Checkup(o store.AuditOptions) *Checkup {
	return &Checkup{store: s.store, AuditOptions: o}
}

// checkupTimeout limits each statement. A slower one fails its own check only.
const checkupTimeout = "30s"

// look runs do in a read-only snapshot.
func (c *Checkup) look(ctx context.Context, do func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, c.store.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly},
		func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = '`+checkupTimeout+
				`'; SET LOCAL jit = off; SET LOCAL work_mem = '64MB'; SET LOCAL plan_cache_mode = force_custom_plan`); err != nil {
				return err
			}
			return do(tx)
		})
}

// collect runs a query and scans its rows.
func collect[T any](ctx context.Context, c *Checkup, into pgx.RowToFunc[T], sql string, args ...any) (out []T,
	err error) {
	err = c.look(ctx, func(tx pgx.Tx) error {
		rows := pg.Query(ctx, tx, sql, args...)
		out, err = pgx.CollectRows(rows, into)
		return err
	})
	return out, err
}

// compare compares every fact and customer with what it should be.
func (c *Checkup) compare(ctx context.Context) (_ []finding.Finding, err error) {
	c.Audit, err = c.store.AuditFacts(ctx, c.AuditOptions)
	return c.Audit.Differences, err
}

// mend resolves and derives again.
func (c *Checkup) mend(ctx context.Context) error {
	_, err := c.store.MendFacts(ctx, c.AuditOptions)
	return err
}

// are is "1 fact is", "1,234 facts are".
func are(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return show.Plural(n, noun) + " are"
}

// Database is the configuration of a database.
type Database struct {
	Name      string    // quoted for SQL
	Version   int       // server_version_num, for example 150018
	ReadOnly  bool      // a standby, or set to read-only
	Standby   bool      // a replica
	Encoding  string    // UTF8
	Lacks     []string  // missing extensions
	Invalid   []string  // indexes that were not built completely, and are not used
	Locks     int       // max_locks_per_transaction
	Unindexed []string  // indexes that lists are searched by, and that are missing
	Now       time.Time // its clock
}

// Database reads the configuration of the database.
func (s *Reader) Database(ctx context.Context) (d Database, err error) {
	defer pg.Wrap(&err, "checks.Database")
	err = s.Pool.QueryRow(ctx, `
		SELECT
			quote_ident(current_database()),
			current_setting('server_version_num')::int,
			current_setting('transaction_read_only')::bool,
			pg_is_in_recovery(),
			current_setting('server_encoding'),
			ARRAY(
				SELECT name
				FROM unnest(ARRAY['btree_gin', 'pg_trgm']) AS needed(name)
				WHERE NOT EXISTS (SELECT FROM pg_extension WHERE extname = name)
				  AND to_regclass('rollcall_migrations') IS NOT NULL -- else migrate up makes them, or it is another program's
			),
			ARRAY(
				SELECT i.indexrelid::regclass::text
				FROM pg_index i
				JOIN pg_class t ON t.oid = i.indrelid
				WHERE NOT i.indisvalid AND t.relnamespace = current_schema()::regnamespace
				ORDER BY 1
			),
			current_setting('max_locks_per_transaction')::int,
			ARRAY(
				SELECT indexed || '_all'
				FROM unnest(ARRAY['customer_index', 'customer_words']) indexed
				WHERE to_regclass(indexed) IS NOT NULL AND to_regclass(indexed || '_all') IS NULL
			),
			clock_timestamp()`).Scan(&d.Name, &d.Version, &d.ReadOnly, &d.Standby, &d.Encoding, &d.Lacks, &d.Invalid,
		&d.Locks, &d.Unindexed, &d.Now)
	return d, err
}
