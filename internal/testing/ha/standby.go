package ha

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/embedded"
)

// Promote makes a standby a primary, and returns when it takes writes.
func Promote(ctx context.Context, s *embedded.Servers) (err error) {
	conn, err := pgx.Connect(ctx, s.DatabaseURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	var done bool
	if err := conn.QueryRow(ctx, "SELECT pg_promote()").Scan(&done); err != nil {
		return err
	}
	if !done {
		return errors.New("ha.Promote: the standby did not become a primary in time")
	}
	return nil
}
