package worker

import (
	"context"
	"time"
)

// rederiveUntil derives customers again that an earlier version derived with other rules, until ctx
// ends. One worker does it at a time; another continues where it stopped.
func (w *Worker) rederiveUntil(ctx context.Context) {
	each(ctx, w.cfg.Sweep, func(time.Time) {
		finished, err := w.cfg.Store.Rederive(ctx, lease*w.cfg.Grace, func(ctx context.Context) error {
			_, err := w.cfg.Store.AwaitEvents(ctx, webhookWait)
			return err
		})
		if finished {
			w.cfg.Log.Info("every customer is derived by the rules of this version")
		}
		w.troubles.note(ctx, "customers are not all derived by the rules of this version; the next round goes on", err)
	})
}
