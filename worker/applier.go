package worker

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"rollcall/store"
)

const (
	// lanes is how many transactions apply events at once.
	lanes = 2
	// maxBatch bounds the events of one transaction.
	maxBatch = 128
	// applyTimeout bounds one transaction; asynq's own limit is longer.
	applyTimeout = 45 * time.Second
)

// errMalformed is what becomes of an event that cannot be read. Its row says why.
var errMalformed = errors.New("malformed event, given up")

// applier lets events that wait at the same time share a transaction: while
// the lanes are busy the next events gather; a lone one goes at once. When a
// shared transaction fails, its events are tried one by one, so that one bad
// event costs the others nothing but time.
type applier struct {
	run   func(context.Context, []int64) (store.Outcome, error)
	queue chan request
	done  sync.WaitGroup
}

type request struct {
	id     int64
	result chan error // buffered: nobody waits for a caller that has gone
}

func newApplier(run func(context.Context, []int64) (store.Outcome, error)) *applier {
	a := &applier{run: run, queue: make(chan request, handlers)}
	for range lanes {
		a.done.Go(a.lane)
	}
	return a
}

// apply returns when the event is applied and committed, or has failed.
func (a *applier) apply(ctx context.Context, id int64) error {
	r := request{id, make(chan error, 1)}
	a.queue <- r
	select {
	case err := <-r.result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close ends the lanes once the queue is empty. Nobody may call apply any more.
func (a *applier) close() {
	close(a.queue)
	a.done.Wait()
}

func (a *applier) lane() {
	for first := range a.queue {
		batch := []request{first}
		for len(batch) < maxBatch {
			select {
			case r, open := <-a.queue:
				if open {
					batch = append(batch, r)
					continue
				}
			default:
			}
			break
		}
		a.applyBatch(batch)
	}
}

func (a *applier) applyBatch(batch []request) {
	err := a.applyIDs(batch)
	if err == nil || len(batch) == 1 {
		return
	}
	for i := range batch {
		a.applyIDs(batch[i : i+1])
	}
}

// applyIDs applies a batch in one transaction and answers its requests, unless
// it fails and holds more than one.
func (a *applier) applyIDs(batch []request) error {
	ctx, cancel := context.WithTimeout(context.Background(), applyTimeout)
	defer cancel()
	ids := make([]int64, len(batch))
	for i, r := range batch {
		ids[i] = r.id
	}
	out, err := a.run(ctx, ids)
	if err != nil && len(batch) > 1 {
		return err
	}
	for _, r := range batch {
		if err == nil && slices.Contains(out.Malformed, r.id) {
			r.result <- errMalformed
			continue
		}
		r.result <- err
	}
	return err
}
