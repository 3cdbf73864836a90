package pg

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// A client that vanishes (power, network) leaves its transaction open, and its locked
// rows are skipped. Postgres ends such a session with its TCP connection, after two
// hours. These settings free the rows within a minute.

// idleLimit is how long a transaction may wait for its client.
const idleLimit = 30 * time.Second

// sessionSettings are the settings of a session. Not all servers have all of them.
var sessionSettings = []struct{ name, value string }{
	{"tcp_keepalives_idle", "10"}, // seconds
	{"tcp_keepalives_interval", "5"},
	{"tcp_keepalives_count", "3"},
	{"tcp_user_timeout", "25000"},                 // ms: for an unconfirmed answer
	{"client_connection_check_interval", "10000"}, // ms: for a statement whose client is gone
}

// IdleIn is SQL that limits how long this transaction may wait for its client. A
// pooler allows no more than that, as it shares its sessions.
func IdleIn(limit time.Duration) string {
	return fmt.Sprintf("SET LOCAL idle_in_transaction_session_timeout = %d", limit.Milliseconds())
}

// prepare applies the settings to a new connection. Settings in the URL (told) win;
// those that the server lacks are skipped.
func prepare(limit time.Duration, told map[string]string) func(context.Context, *pgx.Conn) error {
	var sql strings.Builder
	for _, s := range append(sessionSettings, struct{ name, value string }{"idle_in_transaction_session_timeout",
		fmt.Sprint(limit.Milliseconds())}) {
		if _, ok := told[s.name]; !ok {
			fmt.Fprintf(&sql, "BEGIN PERFORM set_config('%s', '%s', false); EXCEPTION WHEN OTHERS THEN NULL; END;\n", s.name,
				s.value)
		}
	}
	block := "DO $$ BEGIN\n" + sql.String() + "END $$"
	return func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, block, pgx.QueryExecModeSimpleProtocol)
		return err
	}
}

// HeldSession is a session with a transaction that has been open for long.
type HeldSession struct {
	PID         int32     `json:"pid"`
	Application string    `json:"application"`
	Client      string    `json:"client"` // its address; empty: local
	State       string    `json:"state"`  // active, or idle in transaction
	Since       time.Time `json:"since"`  // when the transaction began
	Tables      int64     `json:"tables"` // number of Rollcall's tables with rows that it holds
}

// String describes the session for an operator.
func (h HeldSession) String() string {
	return fmt.Sprintf("session %d (%s, from %s)", h.PID, cmp.Or(h.Application, "no name given"),
		cmp.Or(h.Client, "the server's own machine"))
}

// HeldLong is how long a session may be silent before it is reported.
const HeldLong = 2 * time.Minute

// HeldSessions lists the sessions of this database that hold rows and have waited for
// their client for longer, the oldest first. Only superusers and members of
// pg_read_all_stats see other roles' sessions.
func (db *DB) HeldSessions(ctx context.Context, longer time.Duration) (_ []HeldSession, err error) {
	defer Wrap(&err, "store.HeldSessions")
	rows := Query(ctx, db.Pool, `
		SELECT a.pid, a.application_name, coalesce(host(a.client_addr), ''), a.state, a.xact_start, l.tables
		FROM pg_stat_activity a
		CROSS JOIN LATERAL (
			SELECT count(DISTINCT c.oid) AS tables
			FROM pg_locks l
			JOIN pg_class c ON c.oid = l.relation AND c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
			WHERE l.pid = a.pid AND l.granted AND l.mode <> 'AccessShareLock'
		) l
		WHERE a.datname = current_database()
		  AND a.pid <> pg_backend_pid()
		  AND a.state LIKE 'idle in transaction%'
		  AND a.state_change < clock_timestamp() - $1::interval
		  AND l.tables > 0
		ORDER BY a.xact_start`, longer)
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (h HeldSession, err error) {
		err = row.Scan(&h.PID, &h.Application, &h.Client, &h.State, &h.Since, &h.Tables)
		h.Since = h.Since.UTC()
		return h, err
	})
}
