package checks

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

// ErasureKey compares the key with the tombstones, and counts those made with it.
func (c *Checkup) ErasureKey(ctx context.Context) (state store.KeyState, tombstones int64, err error) {
	defer pg.Wrap(&err, "store.Checkup.ErasureKey")
	err = c.look(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT k.state, (SELECT count(*) FROM erased) FROM (`+store.ErasureKeySQL+`) k(key, state, tombstones, scoped)`).Scan(&state, &tombstones)
	})
	return state, tombstones, err
}
