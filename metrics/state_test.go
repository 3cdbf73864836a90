package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"rollcall/internal/testing/testdb"
	"rollcall/jobs"
	"rollcall/store"
	"rollcall/store/status"
)

var quiet = slog.New(slog.DiscardHandler)

// open returns a State of real servers, with what tells of it.
func open(t *testing.T, database, redis string) (*State, *prometheus.Registry) {
	t.Helper()
	s, err := store.Open(t.Context(), database, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	opt, err := jobs.ParseRedis(redis)
	if err != nil {
		t.Fatal(err)
	}
	state, r := New(Config{Store: s, Redis: opt, Log: quiet}), NewRegistry("v1")
	r.MustRegister(state)
	t.Cleanup(func() { state.Close(); s.Close() })
	return state, r
}

// scrape is the answer to a scrape, by series.
func scrape(t *testing.T, r *prometheus.Registry) map[string]string {
	t.Helper()
	answer := httptest.NewRecorder()
	Handler(r, quiet).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	if answer.Code != 200 {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	all := map[string]string{}
	for line := range strings.Lines(answer.Body.String()) {
		if series, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && series != "#" {
			all[series] = value
		}
	}
	return all
}

func want(t *testing.T, got map[string]string, series, value string) {
	t.Helper()
	if got[series] != value {
		t.Errorf("%s is %q, want %q", series, got[series], value)
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	url, redis := testdb.Postgres(t), testdb.Redis(t)
	state, r := open(t, url, redis)
	s := state.pool.store
	in, err := s.InsertEvents(t.Context(),
		[]store.NewEvent{{Source: "clerk", EventID: "1", Type: "t", OccurredAt: time.Now(), Payload: []byte("{}")}})
	if err != nil {
		t.Fatal(err)
	}
	opt, err := jobs.ParseRedis(redis)
	if err != nil {
		t.Fatal(err)
	}
	client := jobs.NewClient(opt)
	defer client.Close()
	if err := client.EnqueueEvent(t.Context(), "clerk", in[0].ID, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.StartBackfill(t.Context(), store.NewBackfill{Kind: "courses", StartedBy: "a test"}); err != nil {
		t.Fatal(err)
	}
	bad := []status.Watch{{Name: "events_failing/stripe/invoice.paid", State: status.Problem},
		{Name: "source_silent/clerk", State: status.OK}}
	if _, _, err := status.New(s).LookAtWatches(t.Context(),
		status.WatchRound{Now: time.Now(), Next: func(status.Traffic, []status.Watch) []status.Watch {
			return bad
		}}); err != nil {
		t.Fatal(err)
	}
	got := scrape(t, r)
	for series, value := range map[string]string{
		`rollcall_watch_state{kind="events_failing",subject="stripe/invoice.paid"}`: "2",
		`rollcall_watch_state{kind="source_silent",subject="clerk"}`:                "0",
		`rollcall_inbox_events{status="pending"}`:                                   "1",
		`rollcall_inbox_events{status="processed"}`:                                 "0",
		`rollcall_inbox_oldest_pending_seconds{source="stripe"}`:                    "0",
		`rollcall_queue_tasks{queue="clerk",state="pending"}`:                       "1",
		`rollcall_queue_tasks{queue="stripe",state="pending"}`:                      "0",
		`rollcall_queue_workers{queue="clerk"}`:                                     "0",
		`rollcall_backfills{kind="courses",status="queued"}`:                        "1",
		`rollcall_backfills{kind="clerk",status="failed"}`:                          "0",
		`rollcall_unattached_facts{kind="payment",reason="derive_failed"}`:          "0",
		`rollcall_customers{status="active",type="lead"}`:                           "0",
		`rollcall_stores`:                                 "0",
		`rollcall_db_pool_connections_max`:                fmt.Sprint(status.New(s).PoolStats().MaxConns()),
		`rollcall_figures_readable{figures="queues"}`:     "1",
		`rollcall_figures_readable{figures="unattached"}`: "1",
	} {
		want(t, got, series, value)
	}
	if got[`rollcall_inbox_oldest_pending_seconds{source="clerk"}`] == "0" ||
		got[`rollcall_last_event_timestamp_seconds{source="clerk"}`] == "" {
		t.Errorf("the event of Clerk is not seen: %v", got)
	}
	if _, told := got[`rollcall_last_event_timestamp_seconds{source="stripe"}`]; told {
		t.Error("Stripe has sent nothing")
	}
	if problems, err := testutil.GatherAndLint(r); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

// With Postgres away, or Redis, what the other knows is told, and what is missing.
func TestServersAway(t *testing.T) {
	t.Parallel()
	const nowhere = "127.0.0.1:1"
	for _, c := range []struct{ database, redis, missing, there string }{
		{"postgres://u@" + nowhere + "/x", testdb.Redis(t), "arrivals inbox backfills unattached watches lists", "queues"},
		{testdb.Postgres(t), "redis://" + nowhere, "queues", "arrivals inbox backfills unattached watches lists"},
	} {
		_, r := open(t, c.database, c.redis)
		began := time.Now()
		got := scrape(t, r)
		if took := time.Since(began); took > 2*scrapeTimeout {
			t.Errorf("a scrape took %v", took)
		}
		for name := range strings.FieldsSeq(c.missing) {
			want(t, got, `rollcall_figures_readable{figures="`+name+`"}`, "0")
		}
		for name := range strings.FieldsSeq(c.there) {
			want(t, got, `rollcall_figures_readable{figures="`+name+`"}`, "1")
		}
		if got["rollcall_db_pool_connections_max"] == "" || got["go_goroutines"] == "" {
			t.Error("what asks nobody is missing")
		}
	}
}

// made is a State of figures that are made up.
func made(now func() time.Time, figures ...*figure) *State {
	for _, f := range figures {
		f.now, f.log = now, quiet
	}
	s, err := store.Open(context.Background(), "postgres://u@127.0.0.1:1/x", store.Options{})
	if err != nil {
		panic(err)
	}
	return &State{postgres: figures, pool: &pool{s}}
}

func one(context.Context) ([]prometheus.Metric, error) {
	return []prometheus.Metric{gauge(stores, 1)}, nil
}

// names lists the figures that a State tells, those that are missing with a "-".
func names(s *State) (all []string) {
	ch := make(chan prometheus.Metric)
	go func() { s.Collect(ch); close(ch) }()
	for m := range ch {
		text := m.Desc().String()
		switch {
		case strings.Contains(text, `"rollcall_figures_readable"`):
			sign := "-"
			if testutil.ToFloat64(collected{m}) == 1 {
				sign = "+"
			}
			all = append(all, sign)
		case strings.Contains(text, `"rollcall_stores"`):
			all = append(all, "stores")
		}
	}
	slices.Sort(all)
	return all
}

// collected is a collector of one metric.
type collected struct{ m prometheus.Metric }

func (c collected) Describe(ch chan<- *prometheus.Desc) { ch <- c.m.Desc() }
func (c collected) Collect(ch chan<- prometheus.Metric) { ch <- c.m }

// However many scrape at once, a figure is looked up once in the time that it is
// good for.
func TestManyScrape(t *testing.T) {
	var looks atomic.Int64
	now := atomic.Pointer[time.Time]{}
	begin := time.Date(2026, 1, 12, 10, 0, 0, 0, time.UTC)
	now.Store(&begin)
	f := &figure{name: "f", keep: 5 * time.Second, read: func(ctx context.Context) ([]prometheus.Metric, error) {
		looks.Add(1)
		return one(ctx)
	}}
	s := made(func() time.Time { return *now.Load() }, f)
	for round := range 3 {
		later := begin.Add(time.Duration(round) * 5 * time.Second)
		now.Store(&later)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if got := names(s); !slices.Equal(got, []string{"+", "stores"}) {
					t.Errorf("%q", got)
				}
			})
		}
		all.Wait()
		if n := looks.Load(); n != int64(round+1) {
			t.Errorf("looked up %d times in %d rounds", n, round+1)
		}
	}
}

// One figure that fails, and one that hangs and heeds nothing, cost the others
// nothing; of the one that hangs no second look is begun.
func TestOneFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		looks := 0
		s := made(time.Now,
			&figure{name: "fails", read: func(context.Context) ([]prometheus.Metric, error) {
				return nil, errors.New("no luck")
			}},
			&figure{name: "hangs", read: func(context.Context) ([]prometheus.Metric, error) {
				looks++
				<-release
				return nil, nil
			}},
			&figure{name: "works", keep: time.Hour, read: one})
		defer s.pool.store.Close()
		began := time.Now()
		if got := names(s); !slices.Equal(got, []string{"-", "-", "-"}) &&
			!slices.Equal(got, []string{"+", "-", "-", "stores"}) {
			t.Errorf("%q", got) // the last was begun when the time was over
		}
		if took := time.Since(began); took != scrapeTimeout {
			t.Errorf("took %v, want %v", took, scrapeTimeout)
		}
		synctest.Wait()
		if got := names(s); !slices.Equal(got, []string{"+", "-", "-", "stores"}) || looks != 1 {
			t.Errorf("%q after %d looks", got, looks)
		}
		close(release)
		synctest.Wait()
	})
}

// A look that heeds its time is over after it, and the others have theirs.
func TestOneIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := made(time.Now,
			&figure{name: "slow", read: func(ctx context.Context) ([]prometheus.Metric, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}},
			&figure{name: "works", read: one})
		defer s.pool.store.Close()
		began := time.Now()
		if got := names(s); !slices.Equal(got, []string{"+", "-", "stores"}) {
			t.Errorf("%q", got)
		}
		if took := time.Since(began); took != figureTimeout {
			t.Errorf("took %v, want %v", took, figureTimeout)
		}
	})
}

// Workers that are alive are counted by the queues that they take from.
func TestWorkers(t *testing.T) {
	t.Parallel()
	redis := testdb.Redis(t)
	_, r := open(t, testdb.Postgres(t), redis)
	opt, err := jobs.ParseRedis(redis)
	if err != nil {
		t.Fatal(err)
	}
	server := asynq.NewServer(opt, asynq.Config{Queues: map[string]int{"clerk": 1, "stripe": 1},
		LogLevel: asynq.FatalLevel})
	if err := server.Start(asynq.NewServeMux()); err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	tick, end := time.NewTicker(50*time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for { // a server writes itself down a moment after it starts
		opt := opt.(asynq.RedisClientOpt)
		in := asynq.NewInspector(opt)
		all, err := in.Servers()
		in.Close()
		if err != nil {
			t.Fatal(err)
		}
		if len(all) > 0 {
			break
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("no server")
		}
	}
	got := scrape(t, r)
	want(t, got, `rollcall_queue_workers{queue="clerk"}`, "1")
	want(t, got, `rollcall_queue_workers{queue="platform"}`, "0")
}
