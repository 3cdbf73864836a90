package worker

import (
	"context"
	"errors"
	"time"

	"rollcall/jobs"
	"rollcall/store"
)

const (
	// pruneBatch is how many payloads one transaction takes away: some tens of
	// milliseconds' work.
	pruneBatch = 500
	// pruneRest is the least pause between two rounds of looking for old payloads.
	pruneRest = time.Minute
)

// tidyUntil does, until ctx ends, what is in no hurry: it goes on with erasures
// that were begun, and takes away payloads that are old enough.
func (w *Worker) tidyUntil(ctx context.Context) {
	tick := time.NewTicker(w.cfg.Sweep)
	defer tick.Stop()
	var pruned time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			err := w.cfg.Store.FinishErasures(ctx, lease*w.cfg.Grace, store.EraseOptions{Forget: w.forgetJobs})
			if w.cfg.Retain > 0 && now.Sub(pruned) >= min(pruneRest, w.cfg.Retain) {
				pruned = now
				err = errors.Join(err, w.prune(ctx))
			}
			if err != nil && ctx.Err() == nil {
				w.cfg.Log.Warn("tidying failed; the next round tries again", "error", err)
			}
		}
	}
}

// forgetJobs deletes the jobs whose last error has any of the names in it.
func (w *Worker) forgetJobs(names []string) error {
	_, err := jobs.Forget(w.cfg.Redis, names)
	return err
}

// prune takes away the payloads of closed events that are older than they are
// kept, batch by batch. Each batch is a transaction of its own: to be killed in the middle
// costs nothing.
func (w *Worker) prune(ctx context.Context) error {
	total := 0
	for from := (time.Time{}); ; {
		n, last, err := w.cfg.Store.PruneOld(ctx, from, w.cfg.Retain, pruneBatch)
		if err != nil {
			return err
		}
		total += n
		if n < pruneBatch {
			break
		}
		from = last
		if _, err := w.cfg.Store.AwaitEvents(ctx, giveWay); err != nil {
			return err
		}
	}
	if total > 0 {
		w.cfg.Log.Info("took away payloads of old events", "events", total, "older_than", w.cfg.Retain)
	}
	return nil
}
