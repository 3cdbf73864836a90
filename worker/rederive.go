package worker

import (
	"context"
	"time"
)

// rederiveUntil derives again, until ctx ends, what an earlier version derived by
// other rules. Of several workers one does, and where it stopped another goes on.
func (w *Worker) rederiveUntil(ctx context.Context) {
	tick := time.NewTicker(w.cfg.Sweep)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			finished, err := w.cfg.Store.Rederive(ctx, lease*w.cfg.Grace, func(ctx context.Context) error {
				_, err := w.cfg.Store.AwaitEvents(ctx, giveWay)
				return err
			})
			switch {
			case finished:
				w.cfg.Log.Info("every customer is derived by the rules of this version")
			case err != nil && ctx.Err() == nil:
				w.cfg.Log.Warn("customers are not all derived by the rules of this version; the next round goes on", "error", err)
			}
		}
	}
}
