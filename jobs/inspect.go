package jobs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// Snapshot is what Redis says of the queues and the workers.
type Snapshot struct {
	Queues  []Queue        // by name, others in the same Redis too; one that never had a job is missing
	Workers []Worker       // by host and process
	Serving map[string]int // workers that take jobs of a queue
}

// Queue is a queue in Redis. Its JSON is the API's.
type Queue struct {
	Name      string  `json:"name"`
	Paused    bool    `json:"paused"`
	Waiting   int     `json:"waiting"`
	InHand    int     `json:"in_hand"`
	Later     int     `json:"later"` // Scheduled and Retry
	Scheduled int     `json:"-"`
	Retry     int     `json:"-"`
	GivenUp   int     `json:"given_up"` // by the queue; the event's row has its status
	Completed int     `json:"-"`
	Latency   float64 `json:"latency"`  // age of the oldest job, in seconds
	Today     int     `json:"today"`    // processed since midnight, UTC
	Failures  int     `json:"failures"` // failed tries among these
}

// Worker is a worker process. Its JSON is the API's.
type Worker struct {
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started_at"`
	InHand  int       `json:"in_hand"`
	Stops   bool      `json:"stops"` // it is stopping
}

// Of is the queue of a name, empty if it never had a job.
func (s Snapshot) Of(name string) Queue {
	for _, q := range s.Queues {
		if q.Name == name {
			return q
		}
	}
	return Queue{Name: name}
}

// Inspect looks at the queues and the workers. It reads asynq's keys, because asynq's inspector
// fails on queues that hold jobs without data (see evicted).
func Inspect(ctx context.Context, client redis.UniversalClient) (s Snapshot, err error) {
	s = Snapshot{Queues: []Queue{}, Workers: []Worker{}, Serving: map[string]int{}}
	servers, err := asynq.NewInspectorFromRedisClient(client).Servers()
	if err != nil {
		return s, fmt.Errorf("jobs.Inspect: workers: %w", err)
	}
	s.addWorkers(servers)
	names, err := client.SMembers(ctx, "asynq:queues").Result()
	if err != nil {
		return s, fmt.Errorf("jobs.Inspect: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		q, err := inspectQueue(ctx, client, name)
		if err != nil {
			return s, fmt.Errorf("jobs.Inspect: queue %s: %w", name, err)
		}
		s.Queues = append(s.Queues, q)
	}
	return s, nil
}

// figuresOf reads a queue's keys, prefix ARGV[1], on the day ARGV[2].
var figuresOf = redis.NewScript(`
local function key(name) return ARGV[1] .. name end
local oldest = redis.call("LINDEX", KEYS[1], -1)
return {
	redis.call("EXISTS", key("paused")),
	redis.call("LLEN", KEYS[1]),
	redis.call("LLEN", key("active")),
	redis.call("ZCARD", key("scheduled")),
	redis.call("ZCARD", key("retry")),
	redis.call("ZCARD", key("archived")),
	redis.call("ZCARD", key("completed")),
	tonumber(redis.call("GET", key("processed:" .. ARGV[2])) or 0),
	tonumber(redis.call("GET", key("failed:" .. ARGV[2])) or 0),
	tonumber(oldest and redis.call("HGET", key("t:" .. oldest), "pending_since") or 0),
}`)

func inspectQueue(ctx context.Context, client redis.UniversalClient, name string) (Queue, error) {
	now, key := time.Now(), KeyOf(name)
	n, err := figuresOf.Run(ctx, client, []string{key + "pending"}, key, now.UTC().Format(time.DateOnly)).Int64Slice()
	if err != nil {
		return Queue{}, err
	}
	q := Queue{
		Name: name, Paused: n[0] > 0, Waiting: int(n[1]), InHand: int(n[2]), Scheduled: int(n[3]), Retry: int(n[4]),
		Later: int(n[3] + n[4]), GivenUp: int(n[5]), Completed: int(n[6]), Today: int(n[7]), Failures: int(n[8]),
	}
	if since := n[9]; since > 0 {
		q.Latency = now.Sub(time.Unix(0, since)).Seconds()
	}
	return q, nil
}

// addWorkers groups the servers of each process, one for events and one for backfills, and counts
// by queue those that were alive within the last seconds.
func (s *Snapshot) addWorkers(servers []*asynq.ServerInfo) {
	for _, server := range servers {
		i := slices.IndexFunc(s.Workers, func(w Worker) bool { return w.Host == server.Host && w.PID == server.PID })
		if i < 0 {
			i = len(s.Workers)
			s.Workers = append(s.Workers, Worker{Host: server.Host, PID: server.PID, Started: server.Started.UTC()})
		}
		s.Workers[i].InHand += len(server.ActiveWorkers)
		if server.Status != "active" {
			s.Workers[i].Stops = true
			continue
		}
		for queue := range server.Queues {
			s.Serving[queue]++
		}
	}
	slices.SortFunc(s.Workers, func(a, b Worker) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.PID, b.PID))
	})
}
