package metrics

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"rollcall/jobs"
)

var (
	queueTasks = describe("rollcall_queue_tasks", "Jobs in a queue, by state: pending, active, scheduled, retry, "+
		"archived or completed.", "queue", "state")
	queueLatency = describe("rollcall_queue_latency_seconds", "Time that the oldest pending job of a queue has waited.",
		"queue")
	queuePaused  = describe("rollcall_queue_paused", "1 if the queue is paused.", "queue")
	queueWorkers = describe("rollcall_queue_workers", "Workers that are alive and take jobs of a queue.", "queue")
)

// queues reports Rollcall's queues and ignores others in the same Redis. A queue without any job
// yet is empty.
func queues(client redis.UniversalClient) func(context.Context) ([]prometheus.Metric, error) {
	return func(ctx context.Context) (all []prometheus.Metric, err error) {
		is, err := jobs.Inspect(ctx, client)
		if err != nil {
			return nil, err
		}
		for _, name := range jobs.AllQueues() {
			all = append(append(all, ofQueue(is.Of(name))...), gauge(queueWorkers, float64(is.Serving[name]), name))
		}
		return all, nil
	}
}

func ofQueue(q jobs.Queue) (all []prometheus.Metric) {
	for state, n := range map[string]int{
		"pending": q.Waiting, "active": q.InHand, "scheduled": q.Scheduled,
		"retry": q.Retry, "archived": q.GivenUp, "completed": q.Completed,
	} {
		all = append(all, gauge(queueTasks, float64(n), q.Name, state))
	}
	paused := 0.0
	if q.Paused {
		paused = 1
	}
	return append(all, gauge(queueLatency, q.Latency, q.Name), gauge(queuePaused, paused, q.Name))
}
