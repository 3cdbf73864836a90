package worker

import (
	"context"
	"errors"
	"time"

	"github.com/hibiken/asynq"

	"rollcall/jobs"
	"rollcall/store"
	"rollcall/store/status"
)

const (
	// hourlyOverlap is how far each hourly import reaches back before the last one: Stripe may list
	// an event late.
	hourlyOverlap = time.Hour
	// hourlyPause is the minimum time between two imports, as each worker's scheduler enqueues one.
	hourlyPause = 50 * time.Minute
)

// schedule enqueues the hourly job, at once and then every hour, until ctx ends. All workers do;
// the rows show whether it is due.
func (w *Worker) schedule(ctx context.Context) (stop func(), err error) {
	if !w.cfg.Hourly {
		return func() {}, nil
	}
	if err := w.jobs.EnqueueHourly(ctx); err != nil {
		w.cfg.Log.Warn("hourly look at Stripe's events not asked for; the next hour's will be", "error", err)
	}
	s := asynq.NewScheduler(w.cfg.Redis, &asynq.SchedulerOpts{Logger: asynqLog{w.cfg.Log}, LogLevel: asynq.WarnLevel})
	if _, err := s.Register("@hourly", asynq.NewTask(jobs.TypeHourly, nil),
		asynq.Queue(jobs.BackfillQueue), asynq.MaxRetry(3)); err != nil {
		return nil, err
	}
	return s.Shutdown, s.Start()
}

// hourly is the job that fetches events which Stripe has and Rollcall lacks, for example after an
// endpoint was down.
func (w *Worker) hourly(ctx context.Context, _ *asynq.Task) error {
	reportOf(ctx).what = "hourly look at Stripe's events"
	started, asOf, err := w.cfg.Store.LastBackfill(ctx, store.StripeEvents, status.HourlySchedule)
	if err != nil {
		return err
	}
	now, err := w.now(ctx)
	if err != nil || started != nil && now.Sub(*started) < hourlyPause {
		return err
	}
	accounts, err := w.cfg.Store.HeardAccounts(ctx)
	if err != nil {
		return err
	}
	o := store.BackfillOptions{Accounts: append([]string{""}, accounts...)}
	if asOf != nil {
		since := asOf.Add(-hourlyOverlap)
		o.Since = &since
	}
	b, err := w.cfg.Store.StartBackfill(ctx, store.NewBackfill{
		Kind: store.StripeEvents, Options: o, StartedBy: status.HourlySchedule,
	})
	if running, is := errors.AsType[*store.AlreadyRunning](err); is {
		w.cfg.Log.InfoContext(ctx, "no hourly look at Stripe's events: a backfill of them has not ended",
			"backfill", running.Backfill.ID, "status", running.Backfill.Status)
		return nil
	}
	if err != nil {
		return err
	}
	return w.enqueueChunks(ctx, b.ID, []int{0})
}
