package migrations

import (
	"context"
	"database/sql/driver"
	"errors"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// gone is how long a migration's client may be unresponsive before Postgres ends its transaction,
// and with it the lock. A statement may take any time.
var gone = time.Minute

// patience is how long a migration waits in line for a lock of a table: all who come after it,
// senders too, wait behind it.
var patience = time.Second

// connector makes connections whose transactions end with their client.
type connector struct{ cfg *pgx.ConnConfig }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := stdlib.GetConnector(*c.cfg).Connect(ctx)
	if err != nil {
		return nil, err
	}
	return session{conn.(*stdlib.Conn)}, nil
}

func (c connector) Driver() driver.Driver { return stdlib.GetDefaultDriver() }

// session is a connection. Its settings are per transaction, as the next one may use another
// connection of a pooler.
type session struct{ *stdlib.Conn }

// apart matches statements that Postgres refuses within a transaction. None of them locks out those
// who write.
var apart = regexp.MustCompile(`(?m)\bCONCURRENTLY\b|^\s*COMMIT;`)

// ExecContext runs a statement, or several, in a transaction: the one that is open, or one of their
// own, which is begun as BeginTx does it.
func (s session) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if s.Conn.Conn().PgConn().TxStatus() != 'I' {
		return s.Conn.ExecContext(ctx, query, args)
	}
	if apart.MatchString(query) {
		return s.unlimited(ctx, query, args)
	}
	tx, err := s.BeginTx(ctx, driver.TxOptions{})
	if err != nil {
		return nil, err
	}
	result, err := s.Conn.ExecContext(ctx, query, args)
	if err != nil {
		return nil, errAfter(tx, err)
	}
	return result, tx.Commit()
}

// unlimited runs a statement for which no transaction can lift a limit that the role or the database
// sets. Only then is it lifted for the session: behind a pooler, that may be another's.
func (s session) unlimited(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	lifted, err := s.Conn.ExecContext(ctx, `SELECT set_config('statement_timeout', '0', false)
		WHERE current_setting('statement_timeout') <> '0'`, nil)
	if err != nil {
		return nil, err
	}
	result, err := s.Conn.ExecContext(ctx, query, args)
	if n, _ := lifted.RowsAffected(); n > 0 { // the driver has no error here
		_, reset := s.Conn.ExecContext(ctx, `RESET statement_timeout`, nil)
		err = errors.Join(err, reset)
	}
	return result, err
}

// BeginTx begins a transaction that ends at most a minute after its client, waits for no lock longer
// than patience, and has no other limit.
func (s session) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	tx, err := s.Conn.BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	millis := strconv.FormatInt(gone.Milliseconds(), 10)
	rows, err := s.QueryContext(ctx, setSQL, []driver.NamedValue{{Ordinal: 1, Value: millis},
		{Ordinal: 2, Value: strconv.FormatInt(patience.Milliseconds(), 10)}})
	if err != nil {
		return nil, errAfter(tx, err)
	}
	if err := rows.Close(); err != nil {
		return nil, errAfter(tx, err)
	}
	return tx, nil
}

// setSQL sets what this version of Postgres supports. Keepalives, or checks during a statement,
// detect a lost machine; the idle timeout detects a stopped process.
const setSQL = `
	SELECT set_config(s.name, v.setting::text, true)
	FROM (SELECT $1::text::int AS gone, $2::text::int AS patience) ms
	CROSS JOIN LATERAL (VALUES
		('statement_timeout', 0),
		('transaction_timeout', 0),
		('lock_timeout', patience),
		('idle_in_transaction_session_timeout', gone),
		('client_connection_check_interval', gone / 6),
		('tcp_user_timeout', gone / 2),
		('tcp_keepalives_idle', greatest(gone / 3000, 1)),
		('tcp_keepalives_interval', greatest(gone / 6000, 1)),
		('tcp_keepalives_count', 3)
	) v(name, setting)
	JOIN pg_settings s USING (name)
	WHERE s.name <> 'client_connection_check_interval' OR version() LIKE '%linux%'`
