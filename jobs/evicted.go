package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Redis with an eviction policy may delete a job's data but keep its id. An asynq server that
// takes such an id moves it to the active jobs, starts nothing, and pauses as if the queue were
// empty. The id stays active forever, and waiting ones delay the jobs behind them. If Redis evicts
// the leases, asynq does not notice that a job's worker died.

const (
	evictedAtOnce = 5000             // of a list, oldest first
	newLease      = 30 * time.Second // the same as asynq's
)

// evicted counts the broken jobs of a queue. With ARGV[4] it also repairs them: it drops ids
// without data, and gives a new lease to jobs without one. Their worker extends the lease, or asynq
// finds it expired. asynq changes all of these keys in one step, so no job is seen half-changed.
var evicted = redis.NewScript(`
local found, release = 0, ARGV[4] ~= ""
local function empty(id)
	if redis.call("HEXISTS", ARGV[1] .. id, "msg") == 1 then
		return false
	end
	found = found + 1
	if release then
		redis.call("DEL", ARGV[1] .. id)
	end
	return true
end

local waiting, kept = redis.call("LRANGE", KEYS[1], -tonumber(ARGV[3]), -1), {}
for _, id in ipairs(waiting) do
	if not empty(id) then
		table.insert(kept, id)
	end
end
if release and #kept < #waiting then
	redis.call("LTRIM", KEYS[1], 0, -#waiting - 1)
	if #kept > 0 then
		redis.call("RPUSH", KEYS[1], unpack(kept))
	end
end

for _, id in ipairs(redis.call("LRANGE", KEYS[2], -tonumber(ARGV[3]), -1)) do
	local lease = tonumber(redis.call("ZSCORE", KEYS[3], id) or "none")
	if (not lease or lease < tonumber(ARGV[2])) and empty(id) then
		if release then
			redis.call("LREM", KEYS[2], -1, id)
			redis.call("ZREM", KEYS[3], id)
		end
	elseif not lease then
		found = found + 1
		if release then
			redis.call("ZADD", KEYS[3], ARGV[4], id)
		end
	end
end
return found`)

// Evicted counts the jobs whose data or leases Redis evicted.
func Evicted(ctx context.Context, client redis.UniversalClient) (int64, error) {
	return inAllQueues(ctx, client, time.Now().Unix(), "")
}

// ReleaseEvicted drops those jobs, or gives them new leases, and returns their number. No work is
// lost: the rows hold what is pending, and the sweep enqueues it again.
func ReleaseEvicted(ctx context.Context, client redis.UniversalClient) (int64, error) {
	now := time.Now()
	return inAllQueues(ctx, client, now.Unix(), now.Add(newLease).Unix())
}

func inAllQueues(ctx context.Context, client redis.UniversalClient, now int64, lease any) (all int64, err error) {
	for _, queue := range AllQueues() {
		key := KeyOf(queue)
		n, err := evicted.Run(ctx, client, []string{key + "pending", key + "active", key + "lease"},
			key+"t:", now, evictedAtOnce, lease).Int64()
		if err != nil {
			return all, fmt.Errorf("jobs: looking for evicted jobs of %s: %w", queue, err)
		}
		all += n
	}
	return all, nil
}
