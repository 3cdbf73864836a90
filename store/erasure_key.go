package store

import (
	"context"
	"crypto/rand"
	"errors"

	"rollcall/store/pg"
)

// The key of the tombstones. It may be kept apart from dumps, so a database that
// was restored may have none, or another: then no tombstone would be found, and
// late events would bring erased people back. Nothing is applied until it is there.

// ErrErasureKey is returned by what has to look at tombstones. Events wait.
var ErrErasureKey error = pg.Refusal("people were erased, and table erasure_key does not hold the key that this was done with: " +
	"restore it from where it is kept (docs/erasure.md); until then no event is applied, as late ones would bring these people back")

// KeyState is how the key fits the tombstones.
type KeyState string

// States of the key.
const (
	KeyFits    KeyState = "fits"
	KeyMissing KeyState = "missing"
	KeyOther   KeyState = "other" // it is not the one that the tombstones were made with
)

// ErasureKeySQL reads the key, its state, and what tombstones there are. A database whose
// check is gone has the key that it has.
const ErasureKeySQL = `
	SELECT
		k.key,
		CASE
			WHEN k.key IS NULL THEN 'missing'
			WHEN sha256(k.key) <> c.hash THEN 'other'
			ELSE 'fits'
		END,
		EXISTS (SELECT FROM erased),
		EXISTS (SELECT FROM erased WHERE store_id <> '')
	FROM (SELECT) one
	LEFT JOIN erasure_key k ON true
	LEFT JOIN erasure_key_check c ON true`

// erasureKey reads the key, and whether there are tombstones, and any of one store
// only. One that does not fit is none; if there are tombstones, that is ErrErasureKey.
func erasureKey(ctx context.Context, q pg.Querier) (key []byte, tombstones, scoped bool, err error) {
	var state KeyState
	rows, err := q.Query(ctx, ErasureKeySQL)
	if err != nil {
		return nil, false, false, err
	}
	defer rows.Close()
	for rows.Next() {
		err = rows.Scan(&key, &state, &tombstones, &scoped)
	}
	switch err = errors.Join(err, rows.Err()); {
	case err != nil || state == KeyFits:
		return key, tombstones, scoped, err
	case tombstones:
		return nil, true, scoped, ErrErasureKey
	}
	return nil, false, false, nil
}

// newKey makes a key where there are no tombstones that it would have to fit.
func (f *erasureFilter) newKey(ctx context.Context) (key []byte, err error) {
	defer pg.Wrap(&err, "store.newKey")
	key = make([]byte, 32)
	rand.Read(key) // never fails
	_, err = f.tx.Exec(ctx, `
		WITH made AS (
			INSERT INTO erasure_key (key) VALUES ($1) ON CONFLICT (one) DO UPDATE SET key = EXCLUDED.key
		)
		INSERT INTO erasure_key_check (hash) VALUES (sha256($1))
		ON CONFLICT (one) DO UPDATE SET hash = EXCLUDED.hash`, key)
	return key, err
}
