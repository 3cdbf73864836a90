package main

import (
	"context"
	"fmt"

	"rollcall/store"
)

// restoreKey is the command that restores the key of the erasures.
const restoreKey = `pg_restore --data-only --dbname="$DATABASE_URL" <KEY FILE>`

// checkErasures tells whether the tombstones of erased people can be read.
func (d *doctor) checkErasures(ctx context.Context) error {
	state, tombstones, err := d.checkup.ErasureKey(ctx)
	if err != nil || state == store.KeyFits || tombstones == 0 {
		return err
	}
	f := finding{Kind: "erasure_key_wrong", Subject: string(state), Severity: problem, Count: tombstones,
		What: fmt.Sprintf("%s cannot be read: table erasure_key is empty", count(int(tombstones), "tombstone")), Fix: []string{restoreKey}}
	if state == store.KeyOther {
		f.What = fmt.Sprintf("%s cannot be read: table erasure_key holds another key", count(int(tombstones), "tombstone"))
		f.Fix = []string{psql("DELETE FROM erasure_key"), restoreKey}
	}
	d.find(f)
	return nil
}
