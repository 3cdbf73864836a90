package worker

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"rollcall/store"
)

const (
	// lanes is how many transactions apply events at once.
	lanes = 2
	// maxBatch bounds the events that one transaction was asked for,
	// maxNeighbours those that it takes along.
	maxBatch      = 128
	maxNeighbours = 256
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
	run    func(ctx context.Context, ids []int64, neighbours int) (store.Outcome, error)
	tracer trace.Tracer
	queue  chan request
	done   sync.WaitGroup
}

type request struct {
	id     int64
	span   trace.Span // of its job
	result chan reply // buffered: nobody waits for a caller that has gone
}

// reply is what became of an event; the zero one if there was nothing to do.
type reply struct {
	event store.Handled
	err   error
}

func newApplier(run func(context.Context, []int64, int) (store.Outcome, error), tracer trace.Tracer) *applier {
	a := &applier{run: run, tracer: tracer, queue: make(chan request, handlers)}
	for range lanes {
		a.done.Go(a.lane)
	}
	return a
}

// apply returns when the event is applied and committed, or has failed. The
// event is the zero one if it was not to be applied, or could not be looked up.
func (a *applier) apply(ctx context.Context, id int64) (store.Handled, error) {
	r := request{id, trace.SpanFromContext(ctx), make(chan reply, 1)}
	a.queue <- r
	select {
	case re := <-r.result:
		return re.event, re.err
	case <-ctx.Done():
		return store.Handled{}, ctx.Err()
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
	out, err := a.applyIDs(batch, maxNeighbours)
	if err == nil {
		return
	}
	for i, r := range batch {
		if !outage(err) { // else none would fare better alone
			out, err = a.applyIDs(batch[i:i+1], 0)
		}
		if err != nil {
			r.result <- reply{eventOf(out, r.id), err}
		}
	}
}

// eventOf finds an event among those that were in hand.
func eventOf(out store.Outcome, id int64) store.Handled {
	if i := slices.IndexFunc(out.Events, func(e store.Handled) bool { return e.ID == id }); i >= 0 {
		return out.Events[i]
	}
	return store.Handled{}
}

// applyIDs applies a batch in one transaction and, if that succeeds, answers
// its requests.
func (a *applier) applyIDs(batch []request, neighbours int) (store.Outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), applyTimeout)
	defer cancel()
	ctx, end := a.traced(ctx, batch)
	defer end()
	ids := make([]int64, len(batch))
	for i, r := range batch {
		ids[i] = r.id
	}
	out, err := a.run(ctx, ids, neighbours)
	if err != nil {
		return out, err
	}
	for _, r := range batch {
		var err error
		if slices.Contains(out.Malformed, r.id) {
			err = errMalformed
		}
		r.result <- reply{eventOf(out, r.id), err}
	}
	return out, nil
}

// traced returns ctx in the trace of a lone request; in one of its own, linked
// to the others', where several share a transaction.
func (a *applier) traced(ctx context.Context, batch []request) (context.Context, func()) {
	if len(batch) == 1 {
		return trace.ContextWithSpan(ctx, batch[0].span), func() {}
	}
	var links []trace.Link
	for _, r := range batch {
		if r.span != nil && r.span.IsRecording() {
			links = append(links, trace.Link{SpanContext: r.span.SpanContext()})
		}
	}
	if len(links) == 0 {
		return ctx, func() {}
	}
	ctx, span := a.tracer.Start(ctx, "apply group", trace.WithNewRoot(), trace.WithLinks(links...), trace.WithAttributes(attribute.Int("rollcall.jobs", len(batch))))
	return ctx, func() { span.End() }
}
