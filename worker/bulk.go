package worker

import (
	"context"
	"time"

	"rollcall/store/bulk"
	"rollcall/store/segments"
)

const (
	// bulkEvery is how long a bulk action may wait for an idle worker.
	bulkEvery = 250 * time.Millisecond
	// lookEvery is the time between two looks at a watched segment.
	lookEvery = 10 * time.Minute
)

// bulkUntil does bulk actions, chunk by chunk, until ctx ends. They need no queue: the rows say
// what is left, and whose turn it is. Between two chunks it lets webhooks go first.
func (w *Worker) bulkUntil(ctx context.Context) {
	actions := bulk.New(w.cfg.Store)
	w.inTurns(ctx, bulkEvery, "a bulk action could not go on", actions.Step)
}

// watchSegmentsUntil writes down entries to and exits from watched segments until ctx ends.
func (w *Worker) watchSegmentsUntil(ctx context.Context) {
	all := segments.New(w.cfg.Store)
	w.inTurns(ctx, w.cfg.Sweep, "a watched segment could not be looked at", func(ctx context.Context) (bool, error) {
		return all.Look(ctx, lookEvery)
	})
}

// inTurns calls step again and again while there is something to do, and then every so often.
// After an error it waits too.
func (w *Worker) inTurns(ctx context.Context, every time.Duration, wrong string,
	step func(context.Context) (worked bool, err error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for worked := true; worked; {
			var err error
			if worked, err = step(ctx); err == nil && worked {
				_, err = w.cfg.Store.AwaitEvents(ctx, webhookWait)
			}
			if err != nil {
				worked = false
				w.troubles.note(ctx, wrong+"; the next round tries again", err)
			}
		}
	}
}
