package worker

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"rollcall/store"
)

// With RETAIN_PAYLOADS workers take away what is old enough, batch by batch,
// however many of them there are; without, nothing goes.
func TestWorkersPrune(t *testing.T) {
	t.Parallel()
	for name, retain := range map[string]time.Duration{"for ninety days": 90 * 24 * time.Hour, "for good": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			s.config.Retain = retain
			s.exec(fmt.Sprintf(`
				INSERT INTO webhook_events (source, event_id, type, occurred_at, received_at, payload, status, processed_at,
					last_error)
				SELECT 'stripe', 'evt_' || i, 'x', now(), now() - CASE WHEN i <= %d THEN interval '91 days'
					ELSE interval '89 days' END, '{}',
					CASE WHEN i %% 7 = 0 THEN 'failed' ELSE 'processed' END, CASE WHEN i %% 7 > 0 THEN now() END,
						CASE WHEN i %% 7 = 0 THEN 'why' END
				FROM generate_series(1, %[1]d + 10) i`, 3*pruneBatch))
			s.run(New(s.config))
			s.run(New(s.config))
			if retain == 0 {
				s.exec(`INSERT INTO webhook_events (source, event_id, type, occurred_at, payload)
					VALUES ('stripe', 'evt_late', 'x', now(), '{}')`)
				s.until(`status = 'ignored' FROM webhook_events WHERE event_id = 'evt_late'`) // some rounds later
				s.until(`count(*) = 0 FROM webhook_events WHERE payload IS NULL`)
				return
			}
			s.until(fmt.Sprintf(`count(*) = %d FROM webhook_events WHERE payload IS NULL`, 3*pruneBatch-3*pruneBatch/7))
			s.until(`bool_and(pruned_for = 'age' AND status = 'processed' AND received_at < now() - interval '90 days')
				FROM webhook_events WHERE payload IS NULL`)
			s.until(fmt.Sprintf(`count(*) = %d FROM webhook_events`, 3*pruneBatch+10))
		})
	}
}

// An erasure that was cut off is gone on with.
func TestWorkersFinishErasures(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.exec(`INSERT INTO webhook_events (source, event_id, type, occurred_at, payload, status, processed_at)
		VALUES ('clerk', 'evt_1', 'user.created', '2026-01-12',
			'{"data":{"id":"user_ann","email_addresses":[{"email_address":"ann@x.example"}]}}', 'processed', now())`)
	s.exec(`INSERT INTO users (id, email, version, deleted_version)
		VALUES ('user_ann', 'ann@x.example', '2026-01-12T10:00:00.000000Z 20 evt_1', '')`)
	s.exec(`CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'killed'; END $$`)
	s.exec(`CREATE TRIGGER crash BEFORE UPDATE ON webhook_events FOR EACH ROW EXECUTE FUNCTION crash()`)
	if err := s.config.Store.Erase(t.Context(), store.Erasing{Email: "ann@x.example"}, store.EraseOptions{}); err == nil {
		t.Fatal("it was not cut off")
	}
	s.exec(`DROP TRIGGER crash ON webhook_events`)
	s.until(`count(*) = 1 FROM erasures WHERE finished_at IS NULL`)
	s.giveUp("odd", "no room for Ann@x.example")
	s.config.Grace = 50 * time.Millisecond
	s.run(New(s.config))
	s.until(`count(*) = 1 FROM erasures WHERE finished_at IS NOT NULL`)
	s.until(`payload IS NULL AND pruned_for = 'erasure' FROM webhook_events`)
	s.until(`count(*) = 0 FROM erasure_terms`)
	s.until(`bool_and(id LIKE 'erased-%') FROM users`)
	i := asynq.NewInspector(s.config.Redis)
	defer i.Close()
	if left, err := i.GetQueueInfo("odd"); err != nil || left.Size != 0 {
		t.Errorf("%+v %v: a job whose error names her is left", left, err)
	}
}

// giveUp leaves a job in a queue of its own, given up with an error.
func (s *site) giveUp(queue, text string) {
	s.Helper()
	tried := make(chan bool, 1)
	server := asynq.NewServer(s.config.Redis, asynq.Config{Concurrency: 1, Queues: map[string]int{queue: 1},
		TaskCheckInterval: 10 * time.Millisecond, LogLevel: asynq.FatalLevel})
	if err := server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		tried <- true
		return fmt.Errorf("%s: %w", text, asynq.SkipRetry)
	})); err != nil {
		s.Fatal(err)
	}
	client := asynq.NewClient(s.config.Redis)
	defer client.Close()
	if _, err := client.Enqueue(asynq.NewTask("odd", nil), asynq.Queue(queue)); err != nil {
		s.Fatal(err)
	}
	<-tried
	server.Shutdown() // what was tried is written down by then
}

// What ends with the worker is no failure.
func TestTidyEnds(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.prune(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	s.cleanUpUntil(ctx)
}
