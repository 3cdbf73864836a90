// Package jobs is the vocabulary of the queue: every job's type, payload, queue
// and retries, and how to enqueue it. A job carries an id, never data: the row
// it names is the truth, the job only says "look here". Its headers name the
// trace it belongs to, if any.
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

// Types of jobs.
const (
	TypeEvent    = "event:apply"     // apply one inbox event
	TypeBackfill = "backfill:chunk"  // do one chunk of a backfill
	TypeHourly   = "backfill:hourly" // start what is to be brought in every hour
	TypeAlert    = "watch:alert"     // tell of one change of a watch
)

// Queues of the worker and their weights: people (clerk) before money before
// the platform's bulk, because facts lean on people. No queue starves.
var Queues = map[string]int{
	"clerk":    4,
	"stripe":   4,
	"platform": 3,
}

// BackfillQueue is the queue of backfills. It has handlers of its own: history
// never keeps what happens now waiting.
const BackfillQueue = "backfills"

// AlertQueue is the queue of alerts, done beside events: who waits for one does
// not wait for history.
const AlertQueue = "alerts"

// AllQueues lists the queues of everything, sorted.
func AllQueues() []string {
	all := append(slices.Collect(maps.Keys(Queues)), BackfillQueue, AlertQueue)
	slices.Sort(all)
	return all
}

const (
	// EventRetries is above what the row allows: the row decides when an event
	// has been tried often enough, and the queue must not give up before it.
	EventRetries = 30
	eventTimeout = 15 * time.Minute

	// ChunkRetries is above what the chunk's row allows, which decides.
	ChunkRetries = 1000
	chunkTimeout = 30 * time.Minute

	// AlertRetries last for some days; then the sweep asks again.
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

// NewClient returns a client for the Redis that opt describes. It does not
// connect: a Redis that is away shows when a job is enqueued.
func NewClient(opt asynq.RedisConnOpt) *Client { return &Client{asynq.NewClient(opt)} }

// Close closes the connection.
func (c *Client) Close() error { return c.asynq.Close() }

// EnqueueEvent asks for the inbox row id of a source to be applied. round tells
// apart a repeated request for the same row: an id once used stays taken in
// asynq for as long as its key exists, archived included, so the first request
// is round "" and later ones name their occasion ("sweep-29412", "retry-…").
// A request that is there already is no error.
func (c *Client) EnqueueEvent(ctx context.Context, source string, id int64, round string) error {
	return c.enqueue(ctx, TypeEvent, Event{ID: id}, fmt.Sprintf("event:%d", id), round,
		asynq.Queue(source), asynq.MaxRetry(EventRetries), asynq.Timeout(eventTimeout))
}

// EnqueueBackfill asks for a chunk of a backfill to be done. round is as in
// EnqueueEvent.
func (c *Client) EnqueueBackfill(ctx context.Context, backfill int64, chunk int, round string) error {
	return c.EnqueueBackfillIn(ctx, Backfill{backfill, chunk}, round, 0)
}

// EnqueueBackfillIn is EnqueueBackfill after a delay.
func (c *Client) EnqueueBackfillIn(ctx context.Context, b Backfill, round string, delay time.Duration) error {
	return c.enqueue(ctx, TypeBackfill, b, fmt.Sprintf("backfill:%d:%d", b.Backfill, b.Chunk), round,
		asynq.Queue(BackfillQueue), asynq.MaxRetry(ChunkRetries), asynq.Timeout(chunkTimeout), asynq.ProcessIn(delay))
}

// EnqueueAlert asks for a change of a watch to be told. round is as in
// EnqueueEvent.
func (c *Client) EnqueueAlert(ctx context.Context, a Alert, round string) error {
	return c.enqueue(ctx, TypeAlert, a, fmt.Sprintf("alert:%s:%d", a.Watch, a.Number), round,
		asynq.Queue(AlertQueue), asynq.MaxRetry(AlertRetries), asynq.Timeout(alertTimeout))
}

// EnqueueHourly asks for the hourly job now.
func (c *Client) EnqueueHourly(ctx context.Context) error {
	return c.enqueue(ctx, TypeHourly, nil, "hourly", time.Now().UTC().Format("2006-01-02T15:04"), asynq.Queue(BackfillQueue), asynq.MaxRetry(3))
}

func (c *Client) enqueue(ctx context.Context, typ string, payload any, id, round string, options ...asynq.Option) error {
	text, err := json.Marshal(payload)
	if err != nil {
		return err
	}
	if round != "" {
		id += ":" + round
	}
	_, err = c.asynq.EnqueueContext(ctx, asynq.NewTaskWithHeaders(typ, text, headers(ctx)), append(options, asynq.TaskID(id))...)
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil // ours, or one that is waiting already: either way it is in the queue
	}
	if err != nil {
		return fmt.Errorf("jobs: enqueueing %s: %w", id, err)
	}
	return nil
}

// After is the error of a job that is not to be tried again before a time.
type After struct {
	Delay time.Duration
	Err   error
}

func (e *After) Error() string { return e.Err.Error() }
func (e *After) Unwrap() error { return e.Err }

// RetryDelay is the pause before try n+1: doubling from one second up to ten
// minutes, each shifted by up to half so that a crowd does not return at once.
func RetryDelay(n int, err error, _ *asynq.Task) time.Duration {
	var after *After
	if errors.As(err, &after) {
		return after.Delay
	}
	d := min(time.Second<<min(n, 16), 10*time.Minute)
	return d/2 + rand.N(d)
}
