package jobs

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"rollcall/internal/testing/testdb"
)

func TestMain(m *testing.M) { testdb.Main(m) }

// Jobs whose errors name somebody are deleted, waiting to be tried again or
// given up; others are left, and the rows ask for all of them anyway.
func TestForget(t *testing.T) {
	opt, err := ParseRedis(testdb.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"cus_1", "ann@x.example"}
	if n, err := Forget(opt, names); n != 0 || err != nil {
		t.Errorf("of an empty queue %d were deleted: %v", n, err)
	}
	failing := asynq.NewServer(opt, asynq.Config{
		Concurrency: 1, Queues: map[string]int{"stripe": 1}, TaskCheckInterval: 10 * time.Millisecond,
		RetryDelayFunc: func(int, error, *asynq.Task) time.Duration { return time.Hour }, LogLevel: asynq.FatalLevel,
	})
	tried := make(chan string, 4)
	err = failing.Start(asynq.HandlerFunc(func(_ context.Context, task *asynq.Task) error {
		defer func() { tried <- task.Type() }()
		switch task.Type() {
		case "given up":
			return errors.Join(errors.New("no room for Ann@X.example"), asynq.SkipRetry)
		case "tried again":
			return errors.New("no room for ann@x.example")
		}
		return errors.New("no room for bob@x.example")
	}))
	if err != nil {
		t.Fatal(err)
	}
	client := asynq.NewClient(opt)
	defer client.Close()
	for _, typ := range []string{"given up", "tried again", "another"} {
		if _, err := client.Enqueue(asynq.NewTask(typ, []byte(`{"id":1}`)), asynq.Queue("stripe")); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		<-tried
	}
	failing.Shutdown() // what was tried is written down by then
	if _, err := client.Enqueue(asynq.NewTask("waiting", nil), asynq.Queue("clerk")); err != nil {
		t.Fatal(err)
	}
	if n, err := Forget(opt, names); n != 2 || err != nil {
		t.Errorf("%d jobs were deleted: %v", n, err)
	}
	i := asynq.NewInspector(opt)
	defer i.Close()
	left := 0
	for _, queue := range []string{"stripe", "clerk"} {
		info, err := i.GetQueueInfo(queue)
		if err != nil {
			t.Fatal(err)
		}
		left += info.Size
	}
	if left != 2 {
		t.Errorf("%d jobs are left, want 2", left)
	}
	if n, err := Forget(asynq.RedisClientOpt{Addr: "127.0.0.1:1"}, names); n != 0 || err == nil {
		t.Errorf("without Redis: %d %v", n, err)
	}
}
