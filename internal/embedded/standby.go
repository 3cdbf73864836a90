package embedded

import (
	"context"
	"errors"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// copyArgs are what pg_basebackup is told to make a standby of the server. The
// account may enter the socket's folder, as both run under the same.
func (s *Servers) copyArgs() []string {
	return []string{
		"--host=" + s.cluster.socket, "--port=" + strconv.Itoa(s.postgres.(*daemon).port), "--username=rollcall",
		"--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf",
	}
}

// Promote makes a standby a primary, and returns when it takes writes.
func (s *Servers) Promote(ctx context.Context) (err error) {
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
		return errors.New("embedded.Promote: the standby did not become a primary in time")
	}
	return nil
}
