package jobs

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"rollcall/internal/testing/testdb"
)

// Jobs whose data or leases Redis threw away are found and released; others are
// left where they are, in their order.
func TestEvicted(t *testing.T) {
	ctx := t.Context()
	opt, err := ParseRedis(testdb.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	redisClient := opt.MakeRedisClient().(redis.UniversalClient)
	defer redisClient.Close()
	client := NewClient(opt)
	defer client.Close()
	for id := range int64(4) {
		if err := client.EnqueueEvent(ctx, "stripe", id+1, ""); err != nil {
			t.Fatal(err)
		}
	}
	const key = "asynq:{stripe}:"
	redisClient.Del(ctx, key+"t:event:1", key+"t:event:2") // as an eviction does
	inHand, release := make(chan struct{}, 2), make(chan struct{})
	server := asynq.NewServer(opt, asynq.Config{Concurrency: 2, Queues: map[string]int{"stripe": 1},
		TaskCheckInterval: time.Millisecond, LogLevel: asynq.FatalLevel})
	if err := server.Start(
		asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
			inHand <- struct{}{}
			<-release
			return nil
		})); err != nil {
		t.Fatal(err)
	}
	<-inHand
	<-inHand // so all four are
	want := func(what string, f func(context.Context, redis.UniversalClient) (int64, error), n, active int64) {
		t.Helper()
		if got, err := f(ctx, redisClient); got != n || err != nil {
			t.Errorf("%s: %d, %v; want %d", what, got, err, n)
		}
		if got := redisClient.LLen(ctx, key+"active").Val(); got != active {
			t.Errorf("%s: %d are in hand, want %d", what, got, active)
		}
	}
	want("leases run", Evicted, 0, 4)
	redisClient.ZAdd(ctx, key+"lease", redis.Z{Score: 1, Member: "event:1"}, redis.Z{Score: 1, Member: "event:2"})
	want("leases of those without data are over", Evicted, 2, 4)
	redisClient.Del(ctx, key+"lease")
	want("leases are thrown away", Evicted, 4, 4)
	want("released", ReleaseEvicted, 4, 2)
	want("released already", ReleaseEvicted, 0, 2)
	if n := redisClient.Exists(ctx, key+"t:event:1", key+"t:event:2").Val(); n != 0 {
		t.Errorf("something is left of %d of them", n)
	}
	if n := redisClient.ZCard(ctx, key+"lease").Val(); n != 2 {
		t.Errorf("%d leases, want 2", n)
	}
	close(release)
	server.Shutdown()
	want("done", Evicted, 0, 0)

	for id := range int64(6) {
		if err := client.EnqueueEvent(ctx, "stripe", id+10, ""); err != nil {
			t.Fatal(err)
		}
	}
	redisClient.Del(ctx, key+"t:event:10", key+"t:event:12", key+"t:event:13", key+"t:event:15")
	want("waiting", Evicted, 4, 0)
	want("waiting no more", ReleaseEvicted, 4, 0)
	if got := redisClient.LRange(ctx, key+"pending", 0, -1).Val(); !slices.Equal(got, []string{"event:14", "event:11"}) {
		t.Errorf("%q wait", got)
	}
	redisClient.Del(ctx, key+"t:event:14", key+"t:event:11")
	want("all that wait", ReleaseEvicted, 2, 0)
	if n := redisClient.Exists(ctx, key+"pending").Val(); n != 0 {
		t.Error("something waits")
	}
}
