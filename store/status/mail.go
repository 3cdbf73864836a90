package status

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// StoppedMail is a store whose mail does not go out, though people have not paused it.
type StoppedMail struct {
	Store   string
	Paused  string     // by Rollcall, for bounces, complaints or refused; empty: it is not
	Failing *time.Time // since when the provider takes none; nil: it does
}

// someStores is how many stores whose mail has stopped are distinguished.
const someStores = 50

func stoppedMail(ctx context.Context, tx pgx.Tx) (all []StoppedMail, err error) {
	defer pg.Wrap(&err, "status.stoppedMail")
	all, err = pg.Structs[StoppedMail](ctx, tx, `
		SELECT store_id, coalesce(nullif(paused_for, 'hand'), ''), failing_since
		FROM mail_settings
		WHERE paused_for <> 'hand'
		   OR failing_since IS NOT NULL
		ORDER BY store_id
		LIMIT $1`, someStores)
	for i := range all {
		all[i].Failing = pg.UTC(all[i].Failing)
	}
	return all, err
}
