package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/jackc/pgx/v5/pgxpool"

	"rollcall/history"
	"rollcall/internal/testing/stripefake"
	"rollcall/internal/testing/testdb"
	"rollcall/jobs"
	"rollcall/store"
)

func TestMain(m *testing.M) { testdb.Main(m) }

// patience is how long a test waits for what must come.
const patience = time.Minute

// script is a source that answers as the test says, and counts.
type script struct {
	mu     sync.Mutex
	answer answer
	reads  int
}

type answer func(context.Context, store.Position) (store.Page, error)

func (s *script) Read(ctx context.Context, at store.Position, _ int) (store.Page, error) {
	s.mu.Lock()
	s.reads++
	answer := s.answer
	s.mu.Unlock()
	return answer(ctx, at)
}

func (s *script) set(a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = a
}

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

// One object, and nothing after it.
func last(context.Context, store.Position) (store.Page, error) {
	return store.Page{Items: []store.Item{{Place: "here"}}}, nil
}

// site is a database, a Redis and a worker on them.
type site struct {
	*testing.T
	*Worker
	config Config
	script *script
	pool   *pgxpool.Pool
}

// newSite makes a worker whose backfills read by a script, or by sources.
func newSite(t *testing.T, sources func(store.Backfill) (Source, error)) *site {
	t.Helper()
	url := testdb.Postgres(t)
	s, err := store.Open(t.Context(), url, store.Options{Conns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if _, err := s.Rebuild(t.Context(), "", nil); err != nil { // or workers would, and attach what tests put there
		t.Fatal(err)
	}
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	redis, err := jobs.ParseRedis(testdb.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	read := &script{answer: last}
	if sources == nil {
		sources = func(store.Backfill) (Source, error) { return read, nil }
	}
	config := Config{Store: s, Redis: redis, Log: slog.New(slog.DiscardHandler), Sources: sources,
		Sweep: 100 * time.Millisecond}
	w := New(config)
	t.Cleanup(func() { w.jobs.Close() }) // a second time if it ran
	return &site{t, w, config, read, pool}
}

func (s *site) start(n store.NewBackfill) int64 {
	s.Helper()
	n.StartedBy = "a test"
	b, err := s.config.Store.StartBackfill(s.Context(), n)
	if err != nil {
		s.Fatal(err)
	}
	return b.ID
}

// job does the job of a run's plan, as the queue would have it done.
func (s *site) job(ctx context.Context, run int64) error {
	s.Helper()
	payload, err := json.Marshal(jobs.Backfill{Backfill: run})
	if err != nil {
		s.Fatal(err)
	}
	return s.backfill(ctx, asynq.NewTask(jobs.TypeBackfill, payload))
}

func (s *site) exec(sql string, args ...any) {
	s.Helper()
	if _, err := s.pool.Exec(s.Context(), sql, args...); err != nil {
		s.Fatal(err)
	}
}

// is checks that a condition holds in the database.
func (s *site) is(condition string) {
	s.Helper()
	var rows string
	var yes bool
	err := s.pool.QueryRow(s.Context(), `SELECT coalesce((SELECT `+condition+`), false),
		concat((SELECT json_agg(b) FROM backfills b), (SELECT json_agg(k) FROM backfill_chunks k))`).Scan(&yes, &rows)
	if err != nil || !yes {
		s.Errorf("it does not hold that %s: %v\n%s", condition, err, rows)
	}
}

// until waits for a condition to come true.
func (s *site) until(condition string) {
	s.Helper()
	tick, end := time.NewTicker(5*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for {
		var yes bool
		if err := s.pool.QueryRow(s.Context(), `SELECT coalesce((SELECT `+condition+`), false)`).Scan(&yes); err != nil {
			s.Fatal(err)
		}
		if yes {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			s.is(condition)
			s.FailNow()
		}
	}
}

// run runs a worker of the site's settings until stop, which returns what Run does.
func (s *site) run(w *Worker) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	s.Cleanup(func() {
		if err := stop(); err != nil {
			s.Error(err)
		}
	})
	return stop
}

// Whatever is wrong with a source is written on the chunk, which waits before
// it tries again. The last try fails the run, with the reason; mended, it is
// resumed and ends.
func TestSourceFails(t *testing.T) {
	t.Parallel()
	refusing := httptest.NewServer(http.NotFoundHandler())
	refusing.Close() // nobody listens there now
	stripe := stripefake.New(t)
	stripe.Add("", `{"id":"cus_1","object":"customer","created":1700000000}`)
	stripe.Faults(stripefake.Faults{CutEvery: 1})
	from := func(url string) answer {
		return func(ctx context.Context, _ store.Position) (store.Page, error) {
			source, err := history.NewStripe(history.StripeConfig{Key: stripefake.Key, BaseURL: url})
			if err != nil {
				return store.Page{}, err
			}
			plan, err := source.Read(ctx, store.Position{}, 1)
			if err != nil {
				return plan, err
			}
			return source.Read(ctx, plan.Next[0], 1)
		}
	}
	for name, c := range map[string]struct {
		answer answer
		why    string
	}{
		"refuses connections": {from(refusing.URL), "connection refused"},
		"breaks off":          {from(stripe.URL), "EOF"},
		"panics": {func(context.Context, store.Position) (store.Page, error) { panic("an odd object") },
			"panic: an odd object"},
		"is too slow": {func(context.Context, store.Position) (store.Page, error) {
			return store.Page{}, context.DeadlineExceeded
		}, "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) { sourceFails(newSite(t, nil), c.answer, c.why) })
	}
}

func sourceFails(s *site, wrong answer, why string) {
	s.script.set(wrong)
	run := s.start(store.NewBackfill{Kind: "stripe"})
	var after *jobs.After
	if err := s.job(s.Context(), run); !errors.As(err, &after) || after.Delay <= 0 {
		s.Errorf("the job was not told to wait: %v", err)
	}
	s.is(fmt.Sprintf(`attempts = 1 AND last_error LIKE '%%%s%%' AND not_before > now() AND held_until IS NULL
		AND done_at IS NULL FROM backfill_chunks`, why))
	s.is(`status = 'running' FROM backfills`)

	s.exec(fmt.Sprintf(`UPDATE backfill_chunks SET attempts = %d, not_before = NULL`, store.MaxChunkAttempts-1))
	if err := s.job(s.Context(), run); err == nil {
		s.Error("the last try was called a success")
	}
	s.is(fmt.Sprintf(`status = 'failed' AND ended_at IS NOT NULL AND reason LIKE 'failed after %d attempts: %%%s%%'
		FROM backfills`, store.MaxChunkAttempts, why))
	reads := s.script.count()
	if err := s.job(s.Context(), run); err != nil || s.script.count() != reads {
		s.Errorf("a job of a failed run: %d reads more, %v", s.script.count()-reads, err)
	}

	s.script.set(last)
	if b, err := s.config.Store.ResumeBackfill(s.Context(), run); err != nil || b.Status != "running" || b.Reason != nil {
		s.Errorf("resumed: %+v %v", b, err)
	}
	s.is(`attempts = 0 AND not_before IS NULL FROM backfill_chunks`)
	if err := s.job(s.Context(), run); err != nil {
		s.Error(err)
	}
	s.is(`status = 'completed' AND seen = 1 FROM backfills`)
}

// What no try can cure fails the run at once, and its text is the reason.
func TestSourceRefuses(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.script.set(func(context.Context, store.Position) (store.Page, error) {
		return store.Page{}, &history.Refused{Reason: "give another key"}
	})
	if err := s.job(t.Context(), s.start(store.NewBackfill{Kind: "clerk"})); !errors.Is(err, asynq.SkipRetry) {
		t.Errorf("the job is tried again: %v", err)
	}
	s.is(`status = 'failed' AND reason = 'give another key' FROM backfills`)
}

// A source that asks to be left alone is, by all jobs; that uses up no tries.
func TestSourceIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.script.set(func(context.Context, store.Position) (store.Page, error) {
		return store.Page{}, &history.Later{After: time.Hour, Err: errors.New("429")}
	})
	run := s.start(store.NewBackfill{Kind: "clerk"})
	for try := range store.MaxChunkAttempts + 2 {
		var after *jobs.After
		if err := s.job(t.Context(), run); !errors.As(err, &after) || after.Delay < time.Hour {
			t.Fatalf("try %d: the job does not wait as long as it was asked to: %v", try, err)
		}
		s.is(`attempts = 0 AND last_error LIKE '%429%' AND not_before > now() + interval '50 minutes' FROM backfill_chunks`)
		if err := s.job(t.Context(), run); err != nil {
			t.Error(err)
		}
		if s.script.count() != try+1 {
			t.Fatalf("read again at once")
		}
		if lost, err := s.config.Store.OverdueChunks(t.Context(), -time.Minute, 10); err != nil || len(lost) > 0 {
			t.Fatalf("asked for again: %v %v", lost, err)
		}
		s.exec(`UPDATE backfill_chunks SET not_before = now()`) // the hour is over
	}
	s.script.set(last)
	if err := s.job(t.Context(), run); err != nil {
		t.Error(err)
	}
	s.is(`status = 'completed' FROM backfills`)
}

// A chunk in hand is read by nobody else. When its holder counts as dead the
// next one does it; what a holder that was only slow then brings counts no more.
func TestChunkInHand(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	reading, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	s.script.set(func(ctx context.Context, at store.Position) (store.Page, error) {
		close(reading)
		<-release
		return last(ctx, at)
	})
	run := s.start(store.NewBackfill{Kind: "clerk"})
	go func() { done <- s.job(context.Background(), run) }()
	<-reading
	if err := s.job(t.Context(), run); err != nil || s.script.count() != 1 {
		t.Errorf("a twin of the job: %d reads, %v", s.script.count(), err)
	}
	if lost, err := s.config.Store.OverdueChunks(t.Context(), 0, 10); err != nil || len(lost) > 0 {
		t.Errorf("asked for again while in hand: %v %v", lost, err)
	}
	s.exec(`UPDATE backfill_chunks SET held_until = now()`) // its time is over
	s.script.set(last)
	if err := s.job(t.Context(), run); err != nil || s.script.count() != 2 {
		t.Errorf("the job after a dead holder's: %d reads, %v", s.script.count(), err)
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	s.is(`status = 'completed' AND seen = 1 FROM backfills`)
}

// A job cut short in the middle of a read lets go of its chunk, and that was
// no try: the next job takes it at once.
func TestChunkReleased(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	s.script.set(func(ctx context.Context, _ store.Position) (store.Page, error) {
		cancel()
		<-ctx.Done()
		return store.Page{}, ctx.Err()
	})
	run := s.start(store.NewBackfill{Kind: "clerk"})
	if err := s.job(ctx, run); err == nil {
		t.Error("a job cut short was called a success")
	}
	s.is(`held_until IS NULL AND not_before IS NULL AND attempts = 0 AND last_error IS NULL FROM backfill_chunks`)
	s.script.set(last)
	if err := s.job(t.Context(), run); err != nil {
		t.Error(err)
	}
	s.is(`status = 'completed' FROM backfills`)
}

// A worker that is told to stop in the middle of a long chain finishes the
// chunk in hand and no other; the next worker goes on behind it.
func TestStoppedInTheMiddle(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	const all, half = 12, 5
	var stop func() error
	ready := make(chan struct{})
	var read []string
	s.script.set(func(_ context.Context, at store.Position) (store.Page, error) {
		<-ready
		read = append(read, string(at.Cursor)) // one at a time: it is a chain
		if len(read) == half {
			go stop()
			<-s.ending
		}
		page := store.Page{Items: []store.Item{{Place: "here"}}}
		if len(read) < all {
			page.Next = []store.Position{{Stream: "users", Cursor: json.RawMessage(fmt.Sprint(len(read)))}}
		}
		return page, nil
	})
	run := s.start(store.NewBackfill{Kind: "clerk"})
	if err := s.jobs.EnqueueBackfill(t.Context(), run, 0, ""); err != nil {
		t.Fatal(err)
	}
	stop = s.run(s.Worker)
	close(ready)
	s.until(fmt.Sprintf(`seen = %d FROM backfills`, half))
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	s.is(fmt.Sprintf(`seen = %d AND status = 'running' FROM backfills`, half))
	s.is(`count(*) = 1 AND bool_and(held_until IS NULL) FROM backfill_chunks WHERE done_at IS NULL`)
	next := s.run(New(s.config))
	s.until(`ended_at IS NOT NULL FROM backfills`)
	if err := next(); err != nil {
		t.Errorf("Run: %v", err)
	}
	s.is(fmt.Sprintf(`status = 'completed' AND seen = %d FROM backfills`, all))
	if slices.Sort(read); len(slices.Compact(read)) != all {
		t.Errorf("read twice: %q", read)
	}
}
