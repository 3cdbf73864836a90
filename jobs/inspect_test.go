package jobs

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"rollcall/internal/testing/testdb"
)

// A look shows what each queue holds, even one whose jobs' data Redis threw away.
func TestInspect(t *testing.T) {
	ctx := t.Context()
	opt, err := ParseRedis(testdb.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	redisClient := opt.MakeRedisClient().(redis.UniversalClient)
	defer redisClient.Close()
	client, inspector := NewClient(opt), asynq.NewInspectorFromRedisClient(redisClient)
	defer client.Close()
	is, err := Inspect(ctx, redisClient)
	if err != nil || len(is.Queues) > 0 || is.Of("clerk") != (Queue{Name: "clerk"}) {
		t.Errorf("before the first job: %+v, %v", is, err)
	}
	for id := range int64(2) {
		if err := client.EnqueueEvent(ctx, "stripe", id+1, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.EnqueueBackfillIn(ctx, Backfill{1, 0}, "", 1e12); err != nil {
		t.Fatal(err)
	}
	if err := inspector.PauseQueue("stripe"); err != nil {
		t.Fatal(err)
	}
	if is, err = Inspect(ctx, redisClient); err != nil {
		t.Fatal(err)
	}
	if latency := is.Of("stripe").Latency; latency <= 0 || latency > 3600 {
		t.Errorf("the oldest job has waited for %v s", latency)
	}
	redisClient.Del(ctx, KeyOf("stripe")+"t:event:1", KeyOf("stripe")+"t:event:2") // as an eviction does
	if is, err = Inspect(ctx, redisClient); err != nil {
		t.Fatal(err)
	}
	want := Snapshot{Workers: []Worker{}, Serving: map[string]int{}, Queues: []Queue{
		{Name: BackfillQueue, Later: 1, Scheduled: 1}, {Name: "stripe", Paused: true, Waiting: 2},
	}}
	if diff := cmp.Diff(want, is); diff != "" {
		t.Error(diff)
	}
}
