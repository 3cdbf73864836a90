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
	// maxBatch bounds the events that one transaction was asked for,
	// maxNeighbours those that it takes along.
	maxBatch      = 128
	maxNeighbours = 384
	// applyTimeout bounds one transaction; asynq's own limit is longer. Most
	// take milliseconds, but a product that turns out to be a course touches
	// everybody who bought it.
	applyTimeout = 10 * time.Minute
)

// errMalformed is what becomes of an event that cannot be read. Its row says why.
var errMalformed = errors.New("malformed event, given up")

// applier lets events that wait at the same time share a transaction: while
// the lanes are busy the next events gather; a lone one goes at once, with
// whatever else waits in the inbox: their jobs, when they come, find them done.
// When a shared transaction fails, its events are tried one by one and without
// neighbours, so that one bad event costs the others nothing but time.
type applier struct {
	run   func(ctx context.Context, ids []int64, neighbours int) (store.Outcome, error)
	queue chan request
	done  sync.WaitGroup
}

type request struct {
	id     int64
	result chan error // buffered: nobody waits for a caller that has gone
}

func newApplier(run func(context.Context, []int64, int) (store.Outcome, error)) *applier {
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
	err := a.applyIDs(batch, maxNeighbours)
	if err == nil {
		return
	}
	for i := range batch {
		if !outage(err) { // else none would fare better alone
			err = a.applyIDs(batch[i:i+1], 0)
		}
		if err != nil {
			batch[i].result <- err
		}
	}
}

// applyIDs applies a batch in one transaction and, if that succeeds, answers
// its requests.
func (a *applier) applyIDs(batch []request, neighbours int) error {
	ctx, cancel := context.WithTimeout(context.Background(), applyTimeout)
	defer cancel()
	ids := make([]int64, len(batch))
	for i, r := range batch {
		ids[i] = r.id
	}
	out, err := a.run(ctx, ids, neighbours)
	if err != nil {
		return err
	}
	for _, r := range batch {
		var err error
		if slices.Contains(out.Malformed, r.id) {
			err = errMalformed
		}
		r.result <- err
	}
	return nil
}
