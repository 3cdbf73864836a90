package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/hibiken/asynq"

	"rollcall/jobs"
	"rollcall/store/pg"
	"rollcall/store/status"
	"rollcall/watch"
)

// Alerter delivers a change; *watch.Alert implements it.
type Alerter interface {
	Tell(ctx context.Context, c status.WatchChange, now time.Time) error
}

const (
	// alertLease is how long a worker may hold a change, longer than its delivery takes.
	alertLease = 30 * time.Second
	// alertGrace is how long a change may be due before its job counts as lost.
	alertGrace = 15 * time.Second
	alertLimit = 100 // of one sweep
	// maxAlertPause is the maximum pause between two tries.
	maxAlertPause = 10 * time.Minute
)

// now returns the time of the clock that all workers share.
func (w *Worker) now(ctx context.Context) (time.Time, error) {
	if w.cfg.Now != nil {
		return w.cfg.Now().UTC(), nil
	}
	return w.cfg.Store.Now(ctx)
}

// newsEvery is how often a worker looks for news of signing secrets, which the watches take up at once.
const newsEvery = 2 * time.Second

// watchUntil checks the watches regularly, until ctx ends. The worker that checked last also looks for
// news of secrets, and checks at once if there is any.
func (w *Worker) watchUntil(ctx context.Context) {
	tick, look := time.NewTicker(w.cfg.Watch), time.NewTicker(min(newsEvery, w.cfg.Watch))
	defer tick.Stop()
	defer look.Stop()
	var last lookout
	for every := time.Duration(0); ctx.Err() == nil; every = w.nextLook(ctx, tick.C, look.C, last) {
		err := w.lookAtWatches(ctx, every, &last)
		w.troubles.note(ctx, "the watches could not be looked at; the next look tries again", err)
		if last.ours {
			tick.Reset(w.cfg.Watch) // or the next tick finds a check of just now, and takes it for another worker's
		}
	}
}

// lookout is what a worker knows of the last check.
type lookout struct {
	ours bool  // it made it, and not another worker
	news int64 // of secrets, that the check has
}

// nextLook waits for the time to check, or for news. It returns how recent another worker's check may be.
func (w *Worker) nextLook(ctx context.Context, tick, look <-chan time.Time, last lookout) (every time.Duration) {
	for {
		select {
		case <-ctx.Done():
			return 0
		case <-tick:
			return w.cfg.Watch
		case <-look:
			if !last.ours {
				continue
			}
			if n, err := status.New(w.cfg.Store).SecretNews(ctx); err == nil && n != last.news {
				return 0
			}
		}
	}
}

// lookAtWatches checks the watches. If that fails, the news are not known yet, and bring the next check.
func (w *Worker) lookAtWatches(ctx context.Context, every time.Duration, last *lookout) error {
	news, err := status.New(w.cfg.Store).SecretNews(ctx) // before the check: it has these, and perhaps later ones
	if err != nil {
		return err
	}
	ours, err := w.checkWatches(ctx, every)
	if err == nil {
		*last = lookout{ours, news}
	}
	return err
}

// checkWatches checks the watches, if no worker has within a time, and enqueues their changes. The rows
// hold the undelivered changes, so the sweep replaces lost jobs.
func (w *Worker) checkWatches(ctx context.Context, every time.Duration) (ours bool, err error) {
	now, err := w.now(ctx)
	if err != nil {
		return false, err
	}
	ours, due, err := status.New(w.cfg.Store).LookAtWatches(ctx, status.WatchRound{
		Now: now, Every: every, Since: now.Add(-watch.Weeks), Alert: w.cfg.Alert != nil, Next: watch.Next,
	})
	if err != nil {
		return false, err
	}
	for _, c := range due {
		w.cfg.Log.Info("a watch changed; see `rollcall doctor`", "watch", c.Watch, "change", c.Number)
		if err := w.jobs.EnqueueAlert(ctx, jobs.Alert(c), ""); err != nil {
			return false, err
		}
	}
	return ours, nil
}

// sweepAlerts enqueues changes again that were not delivered in time.
func (w *Worker) sweepAlerts(ctx context.Context, round string) error {
	if w.cfg.Alert == nil {
		return nil
	}
	now, err := w.now(ctx)
	if err != nil {
		return err
	}
	due, err := status.New(w.cfg.Store).DueAlerts(ctx, now.Add(-alertGrace), alertLimit)
	if err != nil {
		return err
	}
	for _, c := range due {
		if err := w.jobs.EnqueueAlert(ctx, jobs.Alert(c), round); err != nil {
			return err
		}
	}
	return nil
}

// alert is the job that delivers a change. A worker that dies after sending, but before storing
// that, causes a second delivery with the same id.
func (w *Worker) alert(ctx context.Context, t *asynq.Task) error {
	job, err := jobs.ParseAlert(t)
	if err != nil || w.cfg.Alert == nil { // another worker's sweep enqueues it again
		return err
	}
	now, err := w.now(ctx)
	if err != nil {
		return err
	}
	c, err := status.New(w.cfg.Store).TakeAlert(ctx, status.ChangeKey(job), now, now.Add(alertLease))
	if errors.Is(err, pg.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	failed := w.cfg.Alert.Tell(ctx, c, now)
	ctx = context.WithoutCancel(ctx) // a delivery is stored even if ctx has ended
	if now, err = w.now(ctx); err != nil {
		return err
	}
	if failed == nil {
		return status.New(w.cfg.Store).AlertDelivered(ctx, c.ChangeKey, now)
	}
	delay := alertDelay(c.Attempts)
	if err := status.New(w.cfg.Store).AlertFailed(ctx, c.ChangeKey, failed, now.Add(delay)); err != nil {
		return err
	}
	w.cfg.Log.Warn("the alert about a watch was not delivered; retrying",
		"watch", c.Watch, "change", c.Number, "tries", c.Attempts, "error", failed)
	return &jobs.After{Delay: delay + time.Second, Err: failed} // asynq rounds to seconds: never before the row is due
}

// alertDelay is the pause after try n. It doubles from one second, with jitter of up to half.
func alertDelay(n int) time.Duration {
	d := min(time.Second<<min(n-1, 16), maxAlertPause)
	return d/2 + rand.N(d)
}
