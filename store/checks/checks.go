package checks

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/finding"
	"rollcall/store/pg"
)

// Checkup finds what may keep customers off a list. Unlike an audit it does not
// resolve every fact: it uses indexes and whole columns, and takes seconds for a
// million rows. It writes nothing.
type Checkup struct {
	store    *store.Store
	only     string // only this store; "": all
	examples int    // maximum for each kind
}

// Checkup returns a Checkup of one store, or of all if storeID is empty.
func (s *Reader) Checkup(storeID string, examples int) *Checkup {
	return &Checkup{store: s.store, only: storeID, examples: examples}
}

// checkupTimeout limits each statement. A slower one fails its own check only.
const checkupTimeout = "30s"

// look runs do in a read-only snapshot.
func (c *Checkup) look(ctx context.Context, do func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, c.store.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = '`+checkupTimeout+`'; SET LOCAL jit = off; SET LOCAL work_mem = '64MB'; SET LOCAL plan_cache_mode = force_custom_plan`); err != nil {
			return err
		}
		return do(tx)
	})
}

// collect runs a query and scans its rows.
func collect[T any](ctx context.Context, c *Checkup, into pgx.RowToFunc[T], sql string, args ...any) (out []T, err error) {
	err = c.look(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, into)
		return err
	})
	return out, err
}

// Check is one check of the database. Its commands need DATABASE_URL.
type Check struct {
	Name  string
	Kinds finding.Kinds // of findings
	Fine  string        // text if it finds nothing
	Run   func(*Checkup, context.Context) ([]finding.Finding, error)
}

// Checks are all checks that need only the database.
var Checks = []Check{
	{"users", finding.Kinds{
		{"users_unknown", "users named by facts that Clerk never reported"},
	}, "Clerk has reported every user that facts name", (*Checkup).unknownUsers},
	{"lists", finding.Kinds{
		{"people_missing", "customers missing from a list although their facts put them on it"},
		{"customers_stray", "customers without any facts"},
		{"lists_off", "figures of a list, or its search, that do not match its customers"},
	}, "every list matches its facts", (*Checkup).lists},
	{"backfills", finding.Kinds{
		{"backfill_failed", "a backfill that ended before it had read everything"},
		{"backfill_errors", "a backfill that could not use everything"},
		{"backfill_stuck", "a backfill that makes no progress"},
		{"backfill_paused", "a backfill that waits until it is resumed"},
	}, "no backfill is stuck, or ended badly", (*Checkup).backfills},
	{"events", finding.Kinds{
		{"events_other_mode", "Stripe events that STRIPE_MODE keeps out"},
		{"alerts_untold", "changes of watches that could not be delivered"},
	}, "", (*Checkup).events},
}

// counted is "1 customer", "2 customers".
func counted(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
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
	Unindexed bool      // the search index of lists is missing
	Now       time.Time // its clock
}

// Database reads the configuration of the database.
func (s *Reader) Database(ctx context.Context) (d Database, err error) {
	defer pg.Wrap(&err, "store.Database")
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
			to_regclass('customer_index') IS NOT NULL AND to_regclass('customer_index_all') IS NULL,
			clock_timestamp()`).Scan(&d.Name, &d.Version, &d.ReadOnly, &d.Standby, &d.Encoding, &d.Lacks, &d.Invalid, &d.Unindexed, &d.Now)
	return d, err
}
