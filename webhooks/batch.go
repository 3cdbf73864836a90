package webhooks

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"rollcall/store"
)

const (
	groupEvents  = 256      // events in one statement, at most
	groupBytes   = 8 << 20  // bytes after which a statement takes no further event
	waitingBytes = 64 << 20 // bytes that may wait for a statement before we say no
)

var (
	errClosed = errors.New("the receiver is shutting down")
	errFull   = errors.New("too many deliveries are waiting for Postgres")
)

// batcher commits events in groups. One insert is in flight at a time; what
// arrives meanwhile goes together into the next. A lone event goes at once:
// nothing ever waits for company, and groups grow with the load by themselves.
type batcher struct {
	insert  func(context.Context, []store.NewEvent) ([]store.Inserted, error)
	kept    func(row)     // told of every new row; must not block
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
	done  chan outcome // takes one without a reader
}

type outcome struct {
	store.Inserted
	err   error
	group trace.SpanContext // of the insert that it was part of
}

// add keeps an event and returns once it is committed. After the timeout it
// returns context.DeadlineExceeded, and the event may or may not be kept. Of ctx
// only the trace counts: a sender who hangs up changes nothing.
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

// join queues w and makes sure that somebody is at work.
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

// run commits group after group until nobody is waiting.
func (b *batcher) run() {
	for group := b.next(); len(group) > 0; group = b.next() {
		ctx, cancel := context.WithTimeout(context.Background(), b.timeout)
		b.commit(ctx, group)
		cancel()
	}
}

// next takes the longest waiting, without those who stopped waiting. If there
// are none, it marks the run as ended.
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

// commit inserts a group and answers its callers. If Postgres refuses what is
// in it, each goes alone, so that one odd body fails nobody but its sender.
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
			b.kept(row{w.event.Source, inserted[i].ID, w.event.Traceparent})
		}
		w.done <- outcome{inserted[i], nil, span.SpanContext()}
	}
}

// groupSpan begins the trace of a group, linked to those of its events; none if
// none of them is traced.
func (b *batcher) groupSpan(ctx context.Context, group []*waiter) (context.Context, trace.Span) {
	to := links(group)
	if len(to) == 0 {
		return ctx, trace.SpanFromContext(ctx)
	}
	return b.tracer.Start(ctx, "insert group", trace.WithNewRoot(), trace.WithLinks(to...), trace.WithAttributes(attribute.Int("rollcall.events", len(group))))
}

// refusesData tells whether Postgres refused the data, not the doing: class 22
// is data exceptions, 54 limits such as the depth of nested JSON.
func refusesData(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (strings.HasPrefix(pg.Code, "22") || strings.HasPrefix(pg.Code, "54"))
}

// close lets nobody join any more and returns when those who did are answered.
func (b *batcher) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.runs.Wait()
}
