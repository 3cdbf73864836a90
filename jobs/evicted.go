package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Redis that evicts may throw away a job's data and keep its id. asynq then moves
// the id to the jobs in hand and gives it to nobody: it has no data to give. Its
// recoverer passes over the id for the same reason, so the job is in hand for ever.
// If Redis throws away the leases, the recoverer never learns that a job's worker
// is gone.

const (
	evictedAtOnce = 1000             // in a queue, those that are in hand longest
	newLease      = 30 * time.Second // as asynq's
)

// evicted counts the jobs of a queue that are in hand for ever. With ARGV[4] it
// ends that: an id without data is dropped, and a job without a lease gets one,
// which its worker extends, or the recoverer finds expired. Both are changed by
// asynq in one step, so that no job is found in the middle of one.
var evicted = redis.NewScript(`
local found = 0
for _, id in ipairs(redis.call("LRANGE", KEYS[1], -tonumber(ARGV[3]), -1)) do
	local key = ARGV[1] .. id
	local lease = redis.call("ZSCORE", KEYS[2], id)
	if redis.call("HEXISTS", key, "msg") == 1 then
		if not lease then
			found = found + 1
			if ARGV[4] ~= "" then
				redis.call("ZADD", KEYS[2], ARGV[4], id)
			end
		end
	elseif not lease or tonumber(lease) < tonumber(ARGV[2]) then
		found = found + 1
		if ARGV[4] ~= "" then
			redis.call("LREM", KEYS[1], 0, id)
			redis.call("ZREM", KEYS[2], id)
			redis.call("DEL", key)
		end
	end
end
return found`)

// Evicted counts the jobs that are in hand for ever, as Redis threw away their data
// or their leases.
func Evicted(ctx context.Context, client redis.UniversalClient) (int64, error) {
	return inAllQueues(ctx, client, time.Now().Unix(), "")
}

// ReleaseEvicted ends that, and returns for how many. Nothing is lost with them:
// rows say what is still to be done, and a sweep asks for it again.
func ReleaseEvicted(ctx context.Context, client redis.UniversalClient) (int64, error) {
	now := time.Now()
	return inAllQueues(ctx, client, now.Unix(), now.Add(newLease).Unix())
}

func inAllQueues(ctx context.Context, client redis.UniversalClient, now int64, lease any) (all int64, err error) {
	for _, queue := range AllQueues() {
		key := "asynq:{" + queue + "}:"
		n, err := evicted.Run(ctx, client, []string{key + "active", key + "lease"}, key+"t:", now, evictedAtOnce, lease).Int64()
		if err != nil {
			return all, fmt.Errorf("jobs: looking for evicted jobs of %s: %w", queue, err)
		}
		all += n
	}
	return all, nil
}
