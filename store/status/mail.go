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

// PausedCampaign is a campaign that waits for someone to confirm whom it reaches.
type PausedCampaign struct{ ID, Store, Name string }

func pausedCampaigns(ctx context.Context, tx pgx.Tx) (all []PausedCampaign, err error) {
	defer pg.Wrap(&err, "status.pausedCampaigns")
	return pg.Structs[PausedCampaign](ctx, tx, `
		SELECT id, store_id, name
		FROM campaigns
		WHERE state = 'paused'
		  AND unconfirmed
		ORDER BY id
		LIMIT $1`, someStores)
}

// someStores is how many stores whose mail has stopped, and campaigns, are distinguished.
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
