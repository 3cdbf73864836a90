package worker

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"rollcall/jobs"
	"rollcall/store"
)

// keep puts an event of the platform into the inbox.
func (s *site) keep(id, typ, data string) int64 {
	s.Helper()
	in, err := s.config.Store.InsertEvents(s.Context(), []store.NewEvent{{
		Source: "platform", EventID: id, Type: typ, OccurredAt: time.Now(),
		Payload: []byte(`{"type":"` + typ + `","data":` + data + `}`),
	}})
	if err != nil {
		s.Fatal(err)
	}
	return in[0].ID
}

// Jobs, events and chunks are counted by what became of them.
func TestJobsAreCounted(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.exec(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$`)
	s.exec(`CREATE TRIGGER refuse BEFORE INSERT ON customers FOR EACH ROW
		WHEN (NEW.email = 'b@x.example') EXECUTE FUNCTION refuse()`)
	first := s.keep("1", "enrollment.upserted", `{"course_id":"c","store_id":"s","email":"a@x.example"}`)
	s.keep("2", "unknown.thing", `{}`)
	s.keep("3", "product.upserted", `{"id":"p","store_id":"s","kind":"odd","title":"T"}`)
	s.config.Grace = 300 * time.Millisecond // nobody asks for these events but the sweep
	w := New(s.config)
	s.start(store.NewBackfill{Kind: "clerk"})
	s.run(w)
	s.until(`count(*) = 3 AND bool_and(status <> 'pending') FROM webhook_events`)
	s.until(`bool_and(ended_at IS NOT NULL) FROM backfills`)
	s.keep("4", "enrollment.upserted", `{"course_id":"c","store_id":"s","email":"b@x.example"}`)
	s.count(`rollcall_jobs_total`, map[string]float64{"retry": 1}, func(outcome string) float64 {
		return testutil.ToFloat64(w.metrics.jobs.WithLabelValues(jobs.TypeEvent, outcome))
	})
	s.exec(`DROP TRIGGER refuse ON customers`)
	s.until(`status = 'processed' FROM webhook_events WHERE event_id = '4'`)
	if _, err := s.config.Store.Reopen(t.Context(), store.ReopenFilter{Statuses: []string{"processed"},
		IDs: []int64{first}}); err != nil {
		t.Fatal(err)
	}
	s.until(`status = 'processed' FROM webhook_events WHERE event_id = '1'`)
	for _, span := range []string{"minute", "hour"} { // hours come to the same as their minutes
		s.until(`sum(count) FILTER (WHERE outcome = 'applied') = 4 AND sum(count) FILTER (WHERE outcome = 'failed') = 1
			AND sum(count) FILTER (WHERE outcome = 'applied' AND up_to_ms = 0) = 1 -- the one that was opened again
			FROM event_work WHERE span = '` + span + `'`)
	}
	s.until(`count(*) > 1 FROM inbox_samples`)
	s.count(`rollcall_events_applied_total`, map[string]float64{"processed": 3, "ignored": 1, "failed": 1},
		func(status string) float64 {
			return testutil.ToFloat64(w.metrics.applied.WithLabelValues("platform", status))
		})
	// Of the one applied again it says nothing how long ago it came.
	if n := observed(t, w, "platform"); n != 4 {
		t.Errorf("%d times from receipt to applied, want 4", n)
	}
	s.count(`rollcall_backfill_chunks_total`, map[string]float64{"done": 1, "retry": 0}, func(outcome string) float64 {
		return testutil.ToFloat64(w.metrics.chunks.WithLabelValues("clerk", outcome))
	})
	s.count(`rollcall_jobs_total of chunks`, map[string]float64{"done": 1}, func(outcome string) float64 {
		return testutil.ToFloat64(w.metrics.jobs.WithLabelValues(jobs.TypeBackfill, outcome))
	})
}

// count waits until counters come to so much, which they do a moment after the
// rows that they count.
func (s *site) count(what string, want map[string]float64, get func(string) float64) {
	s.Helper()
	tick, end := time.NewTicker(5*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for label, n := range want {
		for get(label) < n {
			select {
			case <-tick.C:
			case <-end:
				s.Fatalf("%s %s is %v, want %v", what, label, get(label), n)
			}
		}
		if got := get(label); got > n && label != retry { // as often as it takes
			s.Errorf("%s %s is %v, want %v", what, label, got, n)
		}
	}
}

// observed is how often the time from receipt to applied was taken.
func observed(t *testing.T, w *Worker, source string) (n uint64) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(w.metrics.latency)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range families[0].Metric {
		if m.Label[0].GetValue() == source {
			n = m.Histogram.GetSampleCount()
		}
	}
	return n
}

// What an error makes of a job.
func TestOutcomes(t *testing.T) {
	for want, err := range map[string]error{
		done:      nil,
		retry:     errors.New("no luck"),
		givenUp:   errors.Join(errors.New("no use"), asynq.SkipRetry),
		postponed: &pgconn.PgError{Code: "57P01"},
	} {
		if got := outcomeOf(err); got != want {
			t.Errorf("%v is %s, want %s", err, got, want)
		}
	}
}

// A handler that panics is told of like any that fails, and asynq still sees it.
func TestPanicIsTold(t *testing.T) {
	var log strings.Builder
	w := &Worker{
		cfg:     Config{Log: slog.New(slog.NewTextHandler(&log, nil))},
		metrics: newMetrics(nil), tracer: jobs.Tracer(nil, ""),
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is swallowed")
			}
		}()
		handler := w.observed(asynq.HandlerFunc(func(context.Context, *asynq.Task) error { panic("PRIVATE") }))
		handler.ProcessTask(t.Context(), asynq.NewTask(jobs.TypeHourly, nil))
	}()
	if n := testutil.ToFloat64(w.metrics.jobs.WithLabelValues(jobs.TypeHourly, panicked)); n != 1 {
		t.Errorf("counted %v times", n)
	}
	if text := log.String(); !strings.Contains(text, "level=ERROR") || !strings.Contains(text, "outcome=panic") ||
		strings.Contains(text, "PRIVATE") {
		t.Error(text)
	}
}
