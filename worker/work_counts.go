package worker

import (
	"context"
	"log/slog"
	"time"

	"rollcall/internal/tally"
	"rollcall/store"
)

// workCounts counts finished events by source, minute, outcome and the time from receipt to commit.
type workCounts = tally.Tally[workKey, worked]

type workKey struct {
	source string
	minute time.Time
	failed bool
	upTo   time.Duration // 0: not timed
}

type worked struct {
	count int64
	total time.Duration
}

// keepWork is how long counts are kept while Postgres is down.
const keepWork = time.Hour

func newWorkCounts(s *store.Store, log *slog.Logger) *workCounts {
	return tally.New(tally.Config[workKey, worked]{
		Add: func(sum, more worked) worked { return worked{sum.count + more.count, sum.total + more.total} },
		Write: func(ctx context.Context, counts map[workKey]worked) error {
			return s.CountWork(ctx, listedWork(counts))
		},
		Keep: func(k workKey) (workKey, bool) { return k, time.Since(k.minute) <= keepWork },
		Log:  log, What: "applied events",
	})
}

func listedWork(counts map[workKey]worked) []store.Worked {
	list := make([]store.Worked, 0, len(counts))
	for k, n := range counts {
		list = append(list, store.Worked{Source: k.source, Minute: k.minute, Failed: k.failed, UpTo: k.upTo,
			Count: n.count, Total: n.total})
	}
	return list
}

// countEvents counts the events that a transaction finished.
func (w *Worker) countEvents(events []store.Handled) {
	for _, e := range events {
		if e.Status != "pending" {
			w.countEvent(e)
		}
	}
}

func (w *Worker) countEvent(e store.Handled) {
	k := workKey{source: e.Source, minute: time.Now().UTC().Truncate(time.Minute), failed: e.Status == "failed"}
	n := worked{count: 1}
	if !k.failed && !e.Reopened {
		k.upTo, n.total = store.LatencyBucket(e.Waited), max(0, e.Waited)
	}
	w.counts.Add(k, n)
}
