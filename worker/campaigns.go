package worker

import (
	"context"
	"time"

	"rollcall/store/campaigns"
)

// enterEvery is the time between two looks at who enters a campaign.
const enterEvery = 5 * time.Minute

// enterUntil lets customers enter campaigns until ctx ends. This needs no queue: the rows say whose turn it is. Between
// two looks it lets webhooks go first.
func (w *Worker) enterUntil(ctx context.Context) {
	all := campaigns.New(w.cfg.Store)
	w.inTurns(ctx, w.cfg.Sweep, "customers could not enter a campaign", func(ctx context.Context) (bool, error) {
		now, err := w.now(ctx)
		if err != nil {
			return false, err
		}
		return all.Look(ctx, now, enterEvery)
	})
}

// stepUntil brings customers on in campaigns until ctx ends.
func (w *Worker) stepUntil(ctx context.Context) {
	all := campaigns.New(w.cfg.Store)
	w.inTurns(ctx, w.cfg.Sweep, "a campaign could not go on", func(ctx context.Context) (bool, error) {
		now, err := w.now(ctx)
		if err != nil {
			return false, err
		}
		return all.Step(ctx, now)
	})
}
