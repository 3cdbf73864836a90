package ha

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/redis/go-redis/v9"

	"rollcall/history"
	"rollcall/history/stripefake"
	"rollcall/internal/embedded"
	"rollcall/internal/embedded/testdb"
	"rollcall/jobs"
)

// The Redis that sentinels watch over is killed: a replica takes over.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	servers, err := embedded.StartSentinels(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, servers.Stop)
	failover(t, servers.URL, func() error { return servers.KillPrimary(t.Context()) })
}

// The node of a cluster that has a queue is killed: its replica takes over.
func TestClusterFailover(t *testing.T) {
	t.Parallel()
	servers, err := embedded.StartRedisCluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, servers.Stop)
	failover(t, servers.URL, func() error { return servers.KillPrimaryOf(t.Context(), "asynq:{stripe}") })
}

func stopAtEnd(t *testing.T, stop func() error) {
	t.Helper()
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// failover kills a Redis under load, and looks at all else that we have in Redis:
// the queue of backfills with its hourly job, the budget of requests to Stripe,
// and what monitors the queues.
func failover(t *testing.T, url string, kill func() error) {
	stripe := stripefake.New(t)
	database := testdb.Postgres(t)
	s := newSystem(t, database, url, database)
	s.start("work", "STRIPE_API_KEY="+stripefake.Key, "STRIPE_API_BASE="+stripe.URL)
	base := s.start("serve").url()
	s.until("the hourly look at Stripe's events", `count(*) = 1 FROM backfills WHERE kind = 'stripe-events' AND status = 'completed'`)
	s.survives(base, func() {
		if err := kill(); err != nil {
			t.Fatal(err)
		}
	})
	wait(t, "monitoring shows all queues, those of backfills and of alerts too", func() bool {
		var seen struct{ Queues []struct{ Queue string } }
		get(t, base+"/monitoring/api/queues", &seen)
		return len(seen.Queues) == len(jobs.Queues)+2
	})
	var servers struct{ Servers []any }
	get(t, base+"/monitoring/api/servers", &servers)
	if len(servers.Servers) != 2 {
		t.Errorf("monitoring shows servers %v", servers)
	}
	var any struct{}
	get(t, base+"/monitoring/api/redis_info", &any)
	get(t, base+"/monitoring/api/scheduler_entries", &any)
	spend(t, url)
}

// get asks for JSON as an operator.
func get(t *testing.T, url string, answer any) {
	t.Helper()
	if err := json.Unmarshal([]byte(fetch(t, url)), answer); err != nil {
		t.Errorf("%s: %v", url, err)
	}
}

// fetch asks for a text as an operator.
func fetch(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s %v", url, res.Status, text, err)
	}
	return string(text)
}

// spend takes requests out of the common budget.
func spend(t *testing.T, url string) {
	t.Helper()
	opt, err := jobs.ParseRedis(url)
	if err != nil {
		t.Fatal(err)
	}
	client := opt.MakeRedisClient().(redis.UniversalClient)
	defer client.Close()
	budget, err := history.NewBudget(client, 1000, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, operation := range []string{"GET /v1/customers", "GET /v1/events", "GET /v1/charges"} {
		if err := budget.Wait(t.Context(), operation); err != nil {
			t.Error(err)
		}
	}
}
