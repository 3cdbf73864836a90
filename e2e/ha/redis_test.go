package ha

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/redis/go-redis/v9"

	"rollcall/history"
	"rollcall/internal/testing/ha"
	"rollcall/internal/testing/stripefake"
	"rollcall/internal/testing/testdb"
	"rollcall/jobs"
)

// The Redis that sentinels watch over is killed: a replica takes over.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	servers, err := ha.StartSentinels(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, servers.Stop)
	failover(t, servers.URL, func() error { return servers.KillPrimary(t.Context()) })
}

// The node of a cluster that has a queue is killed: its replica takes over.
func TestClusterFailover(t *testing.T) {
	t.Parallel()
	servers, err := ha.StartRedisCluster(t.Context())
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
	s.until("the hourly look at Stripe's events", `count(*) = 1 FROM backfills WHERE kind = 'stripe-events'
		AND status = 'completed'`)
	s.survives(base, func() {
		if err := kill(); err != nil {
			t.Fatal(err)
		}
	})
	var queues struct{ Queues []any }
	var servers struct{ Servers []any }
	// backfills and alerts too
	shows(t, base+"/monitoring/api/queues", &queues, func() bool { return len(queues.Queues) == len(jobs.Queues)+2 })
	shows(t, base+"/monitoring/api/servers", &servers, func() bool { return len(servers.Servers) == 2 })
	for _, page := range []string{"redis_info", "scheduler_entries"} {
		var answer struct{}
		shows(t, base+"/monitoring/api/"+page, &answer, func() bool { return true })
	}
	spend(t, url)
}

// shows waits until a page answers as it should: it asks all there is in Redis,
// some of which may be away longer than what the events needed.
func shows(t *testing.T, url string, answer any, right func() bool) {
	t.Helper()
	wait(t, url, func() bool {
		text, err := ask(url)
		return err == nil && json.Unmarshal([]byte(text), answer) == nil && right()
	})
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
	text, err := ask(url)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// ask is fetch for those who may be refused.
func ask(url string) (string, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s %s", url, res.Status, text)
	}
	return string(text), err
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
