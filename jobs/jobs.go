// Package jobs defines the jobs: type, payload, queue, retries, and how to enqueue them. A job
// carries only the id of a row, never data; the row is authoritative. Its headers carry the trace
// context, if any.
package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hibiken/asynq"
)

// Job types.
const (
	TypeEvent    = "event:apply"     // apply one inbox event
	TypeBackfill = "backfill:chunk"  // process one chunk of a backfill
	TypeHourly   = "backfill:hourly" // start the hourly import
	TypeAlert    = "watch:alert"     // deliver one change of a watch
)

// Queues of the worker and their weights. People (clerk) and money come before the platform's bulk,
// because facts depend on people. No queue starves.
var Queues = map[string]int{
	"clerk":    4,
	"stripe":   4,
	"platform": 3,
	MailQueue:  1,
}

// MailQueue is the queue of what providers of mail report: nothing of it is on a list.
const MailQueue = "mail"

// queueOf returns the queue of a source's events.
func queueOf(source string) string {
	if _, own := Queues[source]; own {
		return source
	}
	return MailQueue
}

// BackfillQueue is the queue of backfills. It has its own handlers, so that history never delays
// current events.
const BackfillQueue = "backfills"

// AlertQueue is the queue of alerts. The event handlers process it, so that history never delays
// alerts.
const AlertQueue = "alerts"

// AllQueues lists all queues, sorted.
func AllQueues() []string {
	all := append(slices.Collect(maps.Keys(Queues)), BackfillQueue, AlertQueue)
	slices.Sort(all)
	return all
}

// KeyOf is how asynq's keys of a queue begin.
func KeyOf(queue string) string { return "asynq:{" + queue + "}:" }

const (
	// EventRetries exceeds the limit of the row, which decides when an event has failed. The queue
	// must not archive the job before.
	EventRetries = 30
	eventTimeout = 15 * time.Minute

	// ChunkRetries exceeds the limit of the chunk's row, which decides.
	ChunkRetries = 1000
	chunkTimeout = 30 * time.Minute

	// AlertRetries last for some days; then the sweep enqueues the alert again.
	AlertRetries = 1000
	alertTimeout = time.Minute
)

// Event is the payload of TypeEvent.
type Event struct {
	ID int64 `json:"id"` // webhook_events.id
}

// ParseEvent reads the payload of a TypeEvent task.
func ParseEvent(t *asynq.Task) (Event, error) {
	var e Event
	if err := json.Unmarshal(t.Payload(), &e); err != nil || e.ID == 0 {
		return e, fmt.Errorf("job %s: payload %q names no event: %w", t.Type(), t.Payload(), asynq.SkipRetry)
	}
	return e, nil
}

// Backfill is the payload of TypeBackfill.
type Backfill struct {
	Backfill int64 `json:"backfill"` // backfills.id
	Chunk    int   `json:"chunk"`    // backfill_chunks.number
}

// ParseBackfill reads the payload of a TypeBackfill task.
func ParseBackfill(t *asynq.Task) (Backfill, error) {
	var b Backfill
	if err := json.Unmarshal(t.Payload(), &b); err != nil || b.Backfill == 0 {
		return b, fmt.Errorf("job %s: payload %q names no chunk: %w", t.Type(), t.Payload(), asynq.SkipRetry)
	}
	return b, nil
}

// Alert is the payload of TypeAlert.
type Alert struct {
	Watch  string `json:"watch"`  // watch_changes.watch
	Number int64  `json:"number"` // watch_changes.number
}

// ParseAlert reads the payload of a TypeAlert task.
func ParseAlert(t *asynq.Task) (Alert, error) {
	var a Alert
	if err := json.Unmarshal(t.Payload(), &a); err != nil || a.Watch == "" || a.Number == 0 {
		return a, fmt.Errorf("job %s: payload %q names no change: %w", t.Type(), t.Payload(), asynq.SkipRetry)
	}
	return a, nil
}

// Client puts jobs into Redis. Safe for concurrent use.
type Client struct{ asynq *asynq.Client }

// NewClient returns a client for the Redis that opt describes. It does not connect: if Redis is
// down, enqueueing fails.
func NewClient(opt asynq.RedisConnOpt) *Client { return &Client{asynq.NewClient(opt)} }

func (c *Client) Close() error { return c.asynq.Close() }

// EnqueueEvent enqueues an inbox row. round distinguishes repeated requests for the same row, as
// asynq reserves a job id while its key exists, even archived. The first request has round "";
// later ones name their occasion ("sweep-29412", "retry-…"). A request that is already queued is no
// error.
func (c *Client) EnqueueEvent(ctx context.Context, source string, id int64, round string) error {
	return c.enqueue(ctx, TypeEvent, Event{ID: id}, fmt.Sprintf("event:%d", id), round,
		asynq.Queue(queueOf(source)), asynq.MaxRetry(EventRetries), asynq.Timeout(eventTimeout))
}

// EnqueueBackfill enqueues a chunk of a backfill; round as in EnqueueEvent.
func (c *Client) EnqueueBackfill(ctx context.Context, backfill int64, chunk int, round string) error {
	return c.EnqueueBackfillIn(ctx, Backfill{backfill, chunk}, round, 0)
}

// EnqueueBackfillIn is EnqueueBackfill after a delay.
func (c *Client) EnqueueBackfillIn(ctx context.Context, b Backfill, round string, delay time.Duration) error {
	return c.enqueue(ctx, TypeBackfill, b, fmt.Sprintf("backfill:%d:%d", b.Backfill, b.Chunk), round,
		asynq.Queue(BackfillQueue), asynq.MaxRetry(ChunkRetries), asynq.Timeout(chunkTimeout), asynq.ProcessIn(delay))
}

// EnqueueAlert enqueues a change of a watch; round as in EnqueueEvent.
func (c *Client) EnqueueAlert(ctx context.Context, a Alert, round string) error {
	return c.enqueue(ctx, TypeAlert, a, fmt.Sprintf("alert:%s:%d", a.Watch, a.Number), round,
		asynq.Queue(AlertQueue), asynq.MaxRetry(AlertRetries), asynq.Timeout(alertTimeout))
}

// EnqueueHourly enqueues the hourly job.
func (c *Client) EnqueueHourly(ctx context.Context) error {
	return c.enqueue(ctx, TypeHourly, nil, "hourly", time.Now().UTC().Format("2006-01-02T15:04"),
		asynq.Queue(BackfillQueue), asynq.MaxRetry(3))
}

func (c *Client) enqueue(
	ctx context.Context, typ string, payload any, id, round string, options ...asynq.Option,
) error {
	text, err := json.Marshal(payload)
	if err != nil {
		return err
	}
	if round != "" {
		id += ":" + round
	}
	_, err = c.asynq.EnqueueContext(ctx, asynq.NewTaskWithHeaders(typ, text, headers(ctx)),
		append(options, asynq.TaskID(id))...)
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil // already in the queue
	}
	if err != nil {
		return fmt.Errorf("jobs: enqueueing %s: %w", id, err)
	}
	return nil
}

// After is the error of a job that must not be retried before Delay has passed.
type After struct {
	Delay time.Duration
	Err   error
}

func (e *After) Error() string { return e.Err.Error() }
func (e *After) Unwrap() error { return e.Err }

// RetryDelay is the pause before try n+1. It doubles from one second up to ten minutes; jitter of
// up to half spreads the retries.
func RetryDelay(n int, err error, _ *asynq.Task) time.Duration {
	if after, is := errors.AsType[*After](err); is {
		return after.Delay
	}
	d := min(time.Second<<min(n, 16), 10*time.Minute)
	return d/2 + rand.N(d)
}
