package worker

import (
	"context"
	"errors"
	"time"

	"rollcall/jobs"
	"rollcall/store"
	"rollcall/store/bulk"
	storemail "rollcall/store/mail"
	"rollcall/store/segments"
	"rollcall/store/tags"
)

const (
	// pruneBatch is how many payloads one transaction deletes. That takes some tens of
	// milliseconds.
	pruneBatch = 500
	// prunePause is the minimum pause between two searches for old payloads.
	prunePause = time.Minute
)

// cleanUpUntil does the work without urgency until ctx ends: it resumes interrupted
// erasures, takes deleted tags off customers, and deletes old payloads, bulk actions and moves.
func (w *Worker) cleanUpUntil(ctx context.Context) {
	var pruned, mails time.Time
	each(ctx, w.cfg.Sweep, func(now time.Time) {
		err := errors.Join(w.cfg.Store.FinishErasures(ctx, lease*w.cfg.Grace, store.EraseOptions{Forget: w.forgetJobs}),
			tags.New(w.cfg.Store).Clear(ctx), bulk.New(w.cfg.Store).Prune(ctx), segments.New(w.cfg.Store).Prune(ctx))
		if now.Sub(mails) >= prunePause {
			mails = now
			err = errors.Join(err, storemail.New(w.cfg.Store, nil).Prune(ctx))
		}
		if w.cfg.Retain > 0 && now.Sub(pruned) >= min(prunePause, w.cfg.Retain) {
			pruned = now
			err = errors.Join(err, w.prune(ctx))
		}
		w.troubles.note(ctx, "tidying failed; the next round tries again", err)
	})
}

// forgetJobs deletes the jobs whose last error contains one of names.
func (w *Worker) forgetJobs(names []string) error {
	_, err := jobs.Forget(w.cfg.Redis, names)
	return err
}

// prune deletes the payloads of closed events after the retention time. Each batch is its own
// transaction, so an interruption loses nothing.
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
		if _, err := w.cfg.Store.AwaitEvents(ctx, webhookWait); err != nil {
			return err
		}
	}
	if total > 0 {
		w.cfg.Log.Info("took away payloads of old events", "events", total, "older_than", w.cfg.Retain)
	}
	return nil
}
