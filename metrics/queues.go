package metrics

import (
	"context"
	"fmt"
	"slices"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"

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
func queues(in *asynq.Inspector) func(context.Context) ([]prometheus.Metric, error) {
	return func(context.Context) (all []prometheus.Metric, err error) {
		workers, err := workersOf(in)
		if err != nil {
			return nil, err
		}
		known, err := in.Queues()
		if err != nil {
			return nil, fmt.Errorf("queues: %w", err)
		}
		for _, name := range jobs.AllQueues() {
			info := &asynq.QueueInfo{}
			if slices.Contains(known, name) {
				if info, err = in.GetQueueInfo(name); err != nil {
					return nil, fmt.Errorf("queue %s: %w", name, err)
				}
			}
			all = append(append(all, ofQueue(name, info)...), gauge(queueWorkers, float64(workers[name]), name))
		}
		return all, nil
	}
}

func ofQueue(name string, info *asynq.QueueInfo) (all []prometheus.Metric) {
	for state, n := range map[string]int{
		"pending": info.Pending, "active": info.Active, "scheduled": info.Scheduled,
		"retry": info.Retry, "archived": info.Archived, "completed": info.Completed,
	} {
		all = append(all, gauge(queueTasks, float64(n), name, state))
	}
	paused := 0.0
	if info.Paused {
		paused = 1
	}
	return append(all, gauge(queueLatency, info.Latency.Seconds(), name), gauge(queuePaused, paused, name))
}

// workersOf counts, by queue, the servers that were alive within the last seconds.
func workersOf(in *asynq.Inspector) (map[string]int, error) {
	servers, err := in.Servers()
	if err != nil {
		return nil, fmt.Errorf("workers: %w", err)
	}
	by := map[string]int{}
	for _, s := range servers {
		if s.Status != "active" {
			continue
		}
		for queue := range s.Queues {
			by[queue]++
		}
	}
	return by, nil
}
