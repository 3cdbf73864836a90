package e2e

import (
	"context"
	"fmt"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"rollcall/facts"
	"rollcall/store"
)

// sales is how many events each of these tests sends.
const sales = 2000

// Redis holds only ids of work: emptying it in the middle, twice, loses nothing.
func TestRedisEmptied(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.startWorker()
	opt, err := redis.ParseURL(s.servers.RedisURL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(opt)
	defer client.Close()
	for part := range 4 {
		s.postAll(part*sales/4, (part+1)*sales/4)
		if part%2 == 0 {
			if err := client.FlushAll(context.Background()).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.wantSales(sales)
	if n := client.SCard(context.Background(), "asynq:queues").Val(); n == 0 {
		t.Error("after FLUSHALL inspectors see no queue")
	}
}

// Redis away for the length of the posting: every POST is still answered 200,
// and the events are worked through when it is back.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	if err := s.servers.StopRedis(); err != nil {
		t.Fatal(err)
	}
	s.startWorker()
	s.postAll(0, sales)
	if err := s.servers.StartRedis(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.wantSales(sales)
}

// Redis that goes away and returns while the worker works.
func TestRedisRestarted(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.startWorker()
	s.postAll(0, sales/2)
	if err := s.servers.KillRedis(); err != nil {
		t.Fatal(err)
	}
	s.postAll(sales/2, sales)
	if err := s.servers.StartRedis(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.wantSales(sales)
}

// A worker killed in the middle, and its successor stopped in the middle: a
// third finds what they had in hand.
func TestWorkerKilled(t *testing.T) {
	t.Parallel()
	s := newSharedSystem(t)
	first := s.workerProcess()
	var posting errgroup.Group
	posting.Go(func() error { s.postAll(0, sales); return nil })
	s.until("some sales processed", fmt.Sprintf(`count(*) > %d FROM webhook_events WHERE status = 'processed'`, sales/10))
	if err := first.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	first.Wait() // killed: an error by nature
	second := s.workerProcess()
	s.until("half processed", fmt.Sprintf(`count(*) > %d FROM webhook_events WHERE status = 'processed'`, sales/2))
	if err := second.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := second.Wait(); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	posting.Wait()
	s.startWorker()
	s.wantSales(sales)
}

// Postgres killed while a worker works: what was acknowledged is kept, and the
// worker goes on when it is back.
func TestPostgresKilled(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.postAll(0, sales)
	s.startWorker()
	s.until("some sales processed", `count(*) > 100 FROM webhook_events WHERE status = 'processed'`)
	if err := s.servers.KillPostgres(); err != nil {
		t.Fatal(err)
	}
	want := sales
	if err := s.post(checkout(sales, 0)); err == nil {
		want++ // by a backend that outlived its postmaster for a moment: then it is kept
	}
	if err := s.servers.StartPostgres(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.pool.Reset()
	s.wantSales(want)
}

// Twenty workers at once on the events of one customer: no deadlock, no lost
// update, and nothing for a rebuild to mend.
func TestTwentyWorkersOneCustomer(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	ctx := context.Background()
	const n = 400
	for i := range n {
		if err := s.post(checkout(i, 1)); err != nil {
			t.Fatal(err)
		}
	}
	house, err := store.Open(ctx, s.servers.DatabaseURL, store.Options{Conns: 20})
	if err != nil {
		t.Fatal(err)
	}
	defer house.Close()
	waiting, err := house.Overdue(ctx, 0, n)
	if err != nil || len(waiting) != n {
		t.Fatalf("%d waiting, %v", len(waiting), err)
	}
	var workers errgroup.Group
	for w := range 20 {
		workers.Go(func() error {
			for i := w; i < n; i += 20 {
				for range 2 { // the second time finds it done
					if _, err := house.Apply(ctx, []int64{waiting[i].ID}, 0, facts.Read); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	if err := workers.Wait(); err != nil {
		t.Fatal(err)
	}
	total := 0
	for i := range n {
		total += price(i)
	}
	want := fmt.Sprintf(`[{"email":"buyer1@x.example","spent":%d}]`, total)
	if got := s.rows(`SELECT email, (spent -> 0 ->> 'amount')::int AS spent FROM customers`); got != want {
		t.Errorf("customers %s, want %s", got, want)
	}
	if got := s.rows(`SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()
		AND deadlocks > 0`); got != "[]" {
		t.Errorf("deadlocks: %s", got)
	}
	if diff, err := house.Rebuild(ctx, "", nil); err != nil || diff.Sum() != 0 {
		t.Errorf("rebuild: %+v %v", diff, err)
	}
}
