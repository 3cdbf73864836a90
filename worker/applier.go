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
	// transactions is how many transactions apply events at the same time.
	transactions = 2
	// maxBatch limits the requested events of one transaction, maxExtra the pending ones that it
	// adds.
	maxBatch = 128
	maxExtra = 256
	// applyTimeout limits one transaction; asynq's limit is longer. Most take milliseconds, but a
	// product that turns out to be a course affects everyone who bought it.
	applyTimeout = 10 * time.Minute
)

// errMalformed marks an event that cannot be read. Its row has the reason.
var errMalformed = errors.New("malformed event, not retried")

// applier lets waiting events share a transaction. While all transactions are busy, the next events
// gather. A lone event starts at once and adds other pending events of the inbox; their jobs then
// find them done. If a shared transaction fails, its events are retried one by one without extra
// events. So one bad event only delays the others.
type applier struct {
	run    func(ctx context.Context, ids []int64, extra int) (store.Outcome, error)
	tracer trace.Tracer
	queue  chan request
	done   sync.WaitGroup
}

type request struct {
	id     int64
	span   trace.Span // of the job
	result chan reply // buffered: the caller may be gone
}

// reply is the result of an event; zero if it was not pending.
type reply struct {
	event store.Handled
	err   error
}

func newApplier(run func(context.Context, []int64, int) (store.Outcome, error), tracer trace.Tracer) *applier {
	a := &applier{run: run, tracer: tracer, queue: make(chan request, handlers)}
	for range transactions {
		a.done.Go(a.runTransactions)
	}
	return a
}

// apply returns when the event is committed or has failed. The event is zero if it was not pending
// or could not be read from the database.
func (a *applier) apply(ctx context.Context, id int64) (store.Handled, error) {
	r := request{id, trace.SpanFromContext(ctx), make(chan reply, 1)}
	a.queue <- r
	select {
	case answer := <-r.result:
		return answer.event, answer.err
	case <-ctx.Done():
		return store.Handled{}, ctx.Err()
	}
}

// close returns when the queue is empty. apply must not be called any more.
func (a *applier) close() {
	close(a.queue)
	a.done.Wait()
}

func (a *applier) runTransactions() {
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
	out, err := a.applyIDs(batch, maxExtra)
	if err == nil {
		return
	}
	for i, r := range batch {
		if !outage(err) { // in an outage, each alone would fail, too
			out, err = a.applyIDs(batch[i:i+1], 0)
		}
		if err != nil {
			r.result <- reply{eventOf(out, r.id), err}
		}
	}
}

// eventOf returns the event with the id, or zero.
func eventOf(out store.Outcome, id int64) store.Handled {
	if i := slices.IndexFunc(out.Events, func(e store.Handled) bool { return e.ID == id }); i >= 0 {
		return out.Events[i]
	}
	return store.Handled{}
}

// applyIDs applies a batch in one transaction and, if it succeeds, answers its requests.
func (a *applier) applyIDs(batch []request, extra int) (store.Outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), applyTimeout)
	defer cancel()
	ctx, end := a.traced(ctx, batch)
	defer end()
	ids := make([]int64, len(batch))
	for i, r := range batch {
		ids[i] = r.id
	}
	out, err := a.run(ctx, ids, extra)
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

// traced returns ctx in the trace of a lone request. A shared transaction gets its own trace,
// linked to the others.
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
	ctx, span := a.tracer.Start(ctx, "apply group", trace.WithNewRoot(), trace.WithLinks(links...),
		trace.WithAttributes(attribute.Int("rollcall.jobs", len(batch))))
	return ctx, func() { span.End() }
}
