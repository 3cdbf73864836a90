package checks

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/show"
	"rollcall/store"
	"rollcall/store/finding"
)

// restoreKey is the command that restores the key of the erasures.
const restoreKey = `pg_restore --data-only --dbname="$DATABASE_URL" <KEY FILE>`

// erasures checks that the tombstones of erased people are readable: that the key was
// not lost or changed.
func (c *Checkup) erasures(ctx context.Context) ([]finding.Finding, error) {
	var state store.KeyState
	var tombstones int64
	err := c.look(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT k.state, (SELECT count(*) FROM erased) + (SELECT count(*) FROM mail_stops)
			FROM (`+store.ErasureKeySQL+`) k(key, state, tombstones, scoped)`).Scan(&state, &tombstones)
	})
	if err != nil || state == store.KeyFits || tombstones == 0 {
		return nil, err
	}
	what, fix := "is empty", []string{restoreKey}
	if state == store.KeyOther {
		what, fix = "holds another key", []string{`psql "$DATABASE_URL" -c 'DELETE FROM erasure_key'`, restoreKey}
	}
	return []finding.Finding{{Kind: "erasure_key_wrong", Subject: string(state), Count: tombstones, Fix: fix,
		What: fmt.Sprintf("%s cannot be read: table erasure_key %s", show.Count(tombstones, "tombstone"), what)}}, nil
}
