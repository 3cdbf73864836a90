package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"

	"rollcall/jobs"
)

const (
	// sweepWindow is how long job ids of a sweep stay the same. Within it, all workers together
	// enqueue an event at most once.
	sweepWindow = 30 * time.Second
	sweepLimit  = 5000
)

// sweepUntil enqueues events and chunks again whose jobs were lost, every few seconds until ctx
// ends. Jobs are lost when Redis is down or emptied, or when a worker dies. The rows show what is
// pending. The sweep also updates the lists' figures.
func (w *Worker) sweepUntil(ctx context.Context) {
	client, _ := w.cfg.Redis.MakeRedisClient().(redis.UniversalClient)
	if client != nil {
		defer client.Close()
	}
	w.announceQueues(ctx, client)
	clock := rate.Sometimes{First: 1, Interval: time.Minute}
	each(ctx, w.cfg.Sweep, func(now time.Time) {
		err := errors.Join(w.sweep(ctx, now), w.cfg.Store.FoldFigures(ctx))
		w.troubles.note(ctx, "sweep failed; the next one tries again", err)
		w.announceQueues(ctx, client)
		clock.Do(func() { w.noteClock(ctx) })
		w.releaseEvicted(ctx, client)
	})
}

// noteClock stores this machine's clock, so that doctor can check it. Decisions about age use the
// clock of Postgres.
func (w *Worker) noteClock(ctx context.Context) {
	host, err := os.Hostname()
	if err == nil {
		err = w.cfg.Store.NoteClock(ctx, fmt.Sprintf("%s:%d", host, os.Getpid()), time.Now(),
			append(w.mailKeys(), w.cfg.Keys...)...)
	}
	w.troubles.note(ctx, "this worker's clock could not be compared with that of Postgres", err)
}

func (w *Worker) sweep(ctx context.Context, now time.Time) error {
	overdue, err := w.cfg.Store.Overdue(ctx, w.cfg.Grace, sweepLimit)
	if err != nil {
		return err
	}
	round := fmt.Sprintf("sweep-%d", now.Unix()/int64(sweepWindow.Seconds()))
	for _, e := range overdue {
		if err := w.jobs.EnqueueEvent(jobs.WithTraceparent(ctx, e.Traceparent), e.Source, e.ID, round); err != nil {
			return err
		}
	}
	if len(overdue) > 0 {
		w.metrics.swept.WithLabelValues("events").Add(float64(len(overdue)))
		w.cfg.Log.Info("asked again for overdue events", "events", len(overdue))
	}
	return errors.Join(w.sweepChunks(ctx, round), w.sweepAlerts(ctx, round))
}

// releaseEvicted drops jobs whose data Redis evicted. They would delay their queue and stay active
// forever.
func (w *Worker) releaseEvicted(ctx context.Context, client redis.UniversalClient) {
	if client == nil {
		return
	}
	n, err := jobs.ReleaseEvicted(ctx, client)
	if n > 0 {
		w.cfg.Log.Warn("Redis threw away data of jobs, which is asked for again: set its maxmemory-policy to noeviction",
			"jobs", n)
	}
	if err != nil && ctx.Err() == nil {
		w.cfg.Log.Debug("evicted jobs not released", "error", err)
	}
}

// announceQueues writes the queues' names for inspectors. After a FLUSHALL a running asynq client
// does not, and the queues would stay invisible.
func (w *Worker) announceQueues(ctx context.Context, client redis.UniversalClient) {
	if client == nil {
		return
	}
	if err := client.SAdd(ctx, "asynq:queues", jobs.AllQueues()).Err(); err != nil && ctx.Err() == nil {
		w.cfg.Log.Debug("queues not announced", "error", err)
	}
}
