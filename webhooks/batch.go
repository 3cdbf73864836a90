package webhooks

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"rollcall/store"
	"rollcall/store/pg"
)

const (
	groupEvents  = 256      // maximum number of events in one statement
	groupBytes   = 8 << 20  // a statement takes no further event after that many bytes
	waitingBytes = 64 << 20 // bytes that may wait for a statement; beyond them, deliveries are refused
)

var (
	errClosed = errors.New("the receiver is shutting down")
	errFull   = errors.New("too many deliveries are waiting for Postgres")
)

// batcher commits events in groups. One insert is in flight at a time; events that arrive meanwhile
// share the next. A lone event is inserted at once. So groups grow with the load.
type batcher struct {
	insert  func(context.Context, []store.NewEvent) ([]store.Inserted, error)
	onNew   func(row)     // called with every new row; must not block
	timeout time.Duration // of one insert, and of one event's wait
	tracer  trace.Tracer

	mu      sync.Mutex
	waiting []*waiter
	bytes   int // in waiting
	running bool
	closed  bool
	runs    sync.WaitGroup
}

// waiter is an event on its way and the caller who waits for it.
type waiter struct {
	ctx   context.Context // ends when the caller stops waiting
	event store.NewEvent
	done  chan outcome // buffered: takes one outcome without a reader
}

type outcome struct {
	store.Inserted
	err   error
	group trace.SpanContext // of the insert that it was part of
}

// add stores an event and returns once it is committed. After the timeout it returns
// context.DeadlineExceeded, and the event may or may not be stored. ctx only carries the trace: a
// sender who hangs up does not cancel the insert.
func (b *batcher) add(ctx context.Context, event store.NewEvent) (store.Inserted, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.timeout)
	defer cancel()
	_, span := b.tracer.Start(ctx, "insert")
	defer span.End()
	w := &waiter{ctx, event, make(chan outcome, 1)}
	if err := b.join(w); err != nil {
		return store.Inserted{}, err
	}
	select {
	case o := <-w.done:
		if o.group.IsValid() {
			span.AddLink(trace.Link{SpanContext: o.group})
		}
		return o.Inserted, o.err
	case <-ctx.Done():
		return store.Inserted{}, ctx.Err()
	}
}

// join queues w and starts run if it is not running.
func (b *batcher) join(w *waiter) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return errClosed
	case b.bytes+len(w.event.Payload) > waitingBytes:
		return errFull
	}
	b.waiting = append(b.waiting, w)
	b.bytes += len(w.event.Payload)
	if !b.running {
		b.running = true
		b.runs.Go(b.run)
	}
	return nil
}

// run commits groups until no event is waiting.
func (b *batcher) run() {
	for group := b.next(); len(group) > 0; group = b.next() {
		ctx, cancel := context.WithTimeout(context.Background(), b.timeout)
		b.commit(ctx, group)
		cancel()
	}
}

// next takes the events that have waited longest, and drops those whose callers have stopped
// waiting. If none is left, it marks the run as ended.
func (b *batcher) next() []*waiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	var group []*waiter
	for size := 0; len(b.waiting) > 0 && len(group) < groupEvents && size < groupBytes; {
		w := b.waiting[0]
		b.waiting[0], b.waiting = nil, b.waiting[1:]
		b.bytes -= len(w.event.Payload)
		if w.ctx.Err() == nil {
			group = append(group, w)
			size += len(w.event.Payload)
		}
	}
	b.running = len(group) > 0
	return group
}

// commit inserts a group and answers its callers. If Postgres refuses the data, each event is
// inserted alone, so that one bad body affects only its sender.
func (b *batcher) commit(ctx context.Context, group []*waiter) {
	events := make([]store.NewEvent, len(group))
	for i, w := range group {
		events[i] = w.event
	}
	ctx, span := b.groupSpan(ctx, group)
	inserted, err := b.insert(ctx, events)
	span.End()
	if refusesData(err) && len(group) > 1 {
		for i := range group {
			b.commit(ctx, group[i:i+1])
		}
		return
	}
	for i, w := range group {
		if err != nil {
			w.done <- outcome{err: err, group: span.SpanContext()}
			continue
		}
		if !inserted[i].Duplicate {
			b.onNew(row{w.event.Source, inserted[i].ID, w.event.Traceparent})
		}
		w.done <- outcome{inserted[i], nil, span.SpanContext()}
	}
}

// groupSpan begins the trace of a group, linked to the traces of its events. Without traced events
// it begins none.
func (b *batcher) groupSpan(ctx context.Context, group []*waiter) (context.Context, trace.Span) {
	to := links(group)
	if len(to) == 0 {
		return ctx, trace.SpanFromContext(ctx)
	}
	return b.tracer.Start(ctx, "insert group", trace.WithNewRoot(), trace.WithLinks(to...),
		trace.WithAttributes(attribute.Int("rollcall.events", len(group))))
}

// refusesData reports whether Postgres refused the data itself. Class 22 is data exceptions, class
// 54 is limits such as the depth of nested JSON.
func refusesData(err error) bool { return pg.HasCode(err, "22", "54") }

// close accepts no further events and returns when all waiting callers are answered.
func (b *batcher) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.runs.Wait()
}
