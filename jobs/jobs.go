// Package jobs is the vocabulary of the queue: every job's type, payload, queue
// and retries, and how to enqueue it. A job carries an id, never data: the row
// it names is the truth, the job only says "look here".
package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hibiken/asynq"
)

// TypeEvent is the job that applies one inbox event.
const TypeEvent = "event:apply"

// Queues of the worker and their weights: people (clerk) before money before
// the platform's bulk, because facts lean on people. No queue starves.
var Queues = map[string]int{
	"clerk":    4,
	"stripe":   4,
	"platform": 3,
}

const (
	// EventRetries is above what the row allows: the row decides when an event
	// has been tried often enough, and the queue must not give up before it.
	EventRetries = 30
	eventTimeout = 15 * time.Minute
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
	payload, err := json.Marshal(Event{ID: id})
	if err != nil {
		return err
	}
	taskID := fmt.Sprintf("event:%d", id)
	if round != "" {
		taskID += ":" + round
	}
	_, err = c.asynq.EnqueueContext(ctx, asynq.NewTask(TypeEvent, payload),
		asynq.Queue(source), asynq.TaskID(taskID), asynq.MaxRetry(EventRetries), asynq.Timeout(eventTimeout))
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil // ours, or one that is waiting already: either way it is in the queue
	}
	if err != nil {
		return fmt.Errorf("jobs.EnqueueEvent(%s, %d): %w", source, id, err)
	}
	return nil
}

// RetryDelay is the pause before try n+1: doubling from one second up to ten
// minutes, each shifted by up to half so that a crowd does not return at once.
func RetryDelay(n int, _ error, _ *asynq.Task) time.Duration {
	d := min(time.Second<<min(n, 16), 10*time.Minute)
	return d/2 + rand.N(d)
}
