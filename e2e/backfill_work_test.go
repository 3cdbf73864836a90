package e2e

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/testing/clerkfake"
	"rollcall/internal/testing/stripefake"
	"rollcall/store"
)

// enrolled loads people who are enrolled and on no list.
func (s *system) enrolled(people int) {
	s.t.Helper()
	for _, sql := range []string{
		`INSERT INTO stores (id, name, version) VALUES ('store_1', 'Store', '1')`,
		`INSERT INTO products (id, store_ref, store_id, store_ids, kind, title, version, deleted_version)
			VALUES ('course_1', 'store_1', 'store_1', '{store_1}', 'course', 'Course', '1', '')`,
		`INSERT INTO links (relation, subject, object, since, hearsay) VALUES ('store', 'course_1', 'store_1', '1', false)`,
		fmt.Sprintf(
			`INSERT INTO enrollments (course_id, person, email_version, store_version, version, name_version, progress_version,
				enrolled_version, completed_version, said_at, first_said_at, deleted_version)
			SELECT 'course_1', 'email:person' || i || '@x.example', '', '', '2026-01-01', '', '', '', '', now(), now(), ''
				FROM generate_series(1, %d) i`, people),
	} {
		if _, err := s.pool.Exec(context.Background(), sql); err != nil {
			s.t.Fatal(err)
		}
	}
}

// backfill starts a run and asks for its plan.
func (s *system) backfill(n store.NewBackfill) int64 {
	s.t.Helper()
	n.StartedBy = "a test"
	b, err := s.store.StartBackfill(context.Background(), n)
	if err == nil {
		err = s.jobs.EnqueueBackfill(context.Background(), b.ID, 0, "")
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return b.ID
}

func (s *system) seen(id int64, n int) {
	s.t.Helper()
	s.until(fmt.Sprintf("%d seen", n), fmt.Sprintf(`seen >= %d FROM backfills WHERE id = %d`, n, id))
}

// ended waits for a run's end and returns it.
func (s *system) ended(id int64) store.Backfill {
	s.t.Helper()
	s.until("the end of the backfill", fmt.Sprintf(`ended_at IS NOT NULL FROM backfills WHERE id = %d`, id))
	b, err := s.store.Backfill(context.Background(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func (s *system) wantEnd(id int64, want string) {
	s.t.Helper()
	if b := s.ended(id); counts(b) != want {
		s.t.Errorf("got  %s\nwant %s\n%s", counts(b), want, s.rows(`SELECT place, what, why FROM backfill_errors`))
	}
}

// Redis emptied again and again while a backfill runs: it goes on by itself.
func TestBackfillRedisEmptied(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.enrolled(600)
	s.startWorker()
	opt, err := redis.ParseURL(s.servers.RedisURL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(opt)
	defer client.Close()
	id := s.backfill(store.NewBackfill{Kind: "courses", ChunkSize: 2})
	for part := range 3 {
		s.seen(id, 1+part*100)
		if err := client.FlushAll(context.Background()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	s.wantEnd(id, "completed: 600 seen, 600 created, 0 updated, 0 unchanged, 0 errors, 600 customers")
}

// Workers killed in the middle: the next one goes on where they were.
func TestBackfillWorkerKilled(t *testing.T) {
	t.Parallel()
	s := newSharedSystem(t)
	s.enrolled(600)
	id := s.backfill(store.NewBackfill{Kind: "courses", ChunkSize: 2})
	for part := range 2 {
		w := s.workerProcess()
		s.seen(id, 1+part*200)
		if err := w.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		w.Wait() // killed: an error by nature
	}
	s.startWorker()
	s.wantEnd(id, "completed: 600 seen, 600 created, 0 updated, 0 unchanged, 0 errors, 600 customers")
}

// Paused, a run stands still; resumed, it goes on; cancelled, it is over, and
// what it brought stays. While it has not ended a second one is refused.
func TestBackfillOrders(t *testing.T) {
	t.Parallel()
	s := newSharedSystem(t)
	s.enrolled(400)
	ctx := context.Background()
	id := s.backfill(store.NewBackfill{Kind: "courses", ChunkSize: 1})
	w := s.workerProcess()
	s.seen(id, 5)
	paused, err := s.store.PauseBackfill(ctx, id)
	if err != nil || paused.Status != "paused" {
		t.Fatalf("%+v %v", paused, err)
	}
	var running *store.AlreadyRunning
	if _, err := s.store.StartBackfill(ctx, store.NewBackfill{Kind: "courses", StartedBy: "a test"}); !errors.As(
		err, &running) || running.Backfill.ID != id {
		t.Errorf("a second start: %v", err)
	}
	if err := w.Process.Signal(syscall.SIGTERM); err != nil { // nothing is in hand any more
		t.Fatal(err)
	}
	if err := w.Wait(); err != nil {
		t.Fatal(err)
	}
	still, err := s.store.Backfill(ctx, id)
	if err != nil || still.Seen > paused.Seen+8 || still.Seen == 400 {
		t.Errorf("%d seen when paused, then %d: %v", paused.Seen, still.Seen, err)
	}
	s.startWorker()
	if _, err := s.store.ResumeBackfill(ctx, id); err != nil {
		t.Fatal(err)
	}
	s.seen(id, int(still.Seen)+5)
	var wrong *store.WrongStatus
	if _, err := s.store.ResumeBackfill(ctx, id); !errors.As(err, &wrong) {
		t.Errorf("resuming what runs: %v", err)
	}
	over, err := s.store.CancelBackfill(ctx, id)
	if err != nil || over.Status != "cancelled" || over.EndedAt == nil {
		t.Fatalf("%+v %v", over, err)
	}
	if _, err := s.store.ResumeBackfill(ctx, id); !errors.As(err, &wrong) {
		t.Errorf("resuming what was cancelled: %v", err)
	}
	second := s.ended(s.backfill(store.NewBackfill{Kind: "courses"}))
	if second.Status != "completed" || second.Created == 0 || second.Created > 400-over.Seen {
		t.Errorf("the run after it: %s", counts(second))
	}
	s.until("everybody is on the list", `count(*) = 400 FROM customers`)
}

// What cannot be used is told of and counted, and holds nobody up.
func TestBackfillErrors(t *testing.T) {
	t.Parallel()
	s := newSharedSystem(t)
	s.enrolled(20)
	for _, sql := range []string{
		`INSERT INTO enrollments (course_id, person, email_version, store_version, version, name_version, progress_version,
			enrolled_version, completed_version, said_at, first_said_at, deleted_version)
			SELECT c, p, '', '', '2026-01-01', '', '', '', '', now(), now(), ''
				FROM (VALUES ('course_1', 'user:user_unheard'), ('course_lost', 'email:person1@x.example')) v(c, p)`,
		`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no such person'; END $$`,
		`CREATE TRIGGER refuse BEFORE INSERT ON customers FOR EACH ROW
			WHEN (NEW.email = 'person7@x.example') EXECUTE FUNCTION refuse()`,
	} {
		if _, err := s.pool.Exec(context.Background(), sql); err != nil {
			t.Fatal(err)
		}
	}
	s.startWorker()
	id := s.backfill(store.NewBackfill{Kind: "courses"})
	s.wantEnd(id, "completed_with_errors: 22 seen, 19 created, 0 updated, 0 unchanged, 3 errors, 19 customers")
	found, err := s.store.BackfillErrors(context.Background(), id, 0, 100)
	if err != nil || len(found) != 3 {
		t.Fatalf("%+v %v", found, err)
	}
	for _, want := range []string{"person7@x.example in course course_1", "user_unheard in course course_1",
		"in course course_lost"} {
		if !strings.Contains(fmt.Sprintf("%+v", found), want) {
			t.Errorf("%q is not among %+v", want, found)
		}
	}
}

// Facts whose customer cannot be computed are kept, and say so.
func TestBackfillKeepsWhatItCannotDerive(t *testing.T) {
	t.Parallel()
	p := newPlace(t, &past{})
	p.exec(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no such person';
		END $$`)
	p.exec(`CREATE TRIGGER refuse BEFORE INSERT ON customers FOR EACH ROW
		WHEN (NEW.email LIKE 'ava%') EXECUTE FUNCTION refuse()`)
	b := p.run(p.start(store.NewBackfill{Kind: "convex", Options: store.BackfillOptions{File: convexFile(t)}}), p.once)
	if b.Status != "completed_with_errors" || b.Errors == 0 {
		t.Errorf("%s", counts(b))
	}
	kept := p.lines(`SELECT id || ' ' || left(unattached, 27) FROM payments WHERE id = 'pi_3AvaOldOrder0001'`)
	if len(kept) != 1 || kept[0] != "pi_3AvaOldOrder0001 derive_failed: store.attach" {
		t.Errorf("her payment: %q", kept)
	}
	if others := p.lines(`SELECT email FROM customers`); len(others) != 1 || others[0] != "jonas.berg@example.se" {
		t.Errorf("the others: %q", others)
	}
	p.exec(`DROP TRIGGER refuse ON customers`)
	if changes, err := p.store.Rebuild(context.Background(), "", nil); err != nil || changes.Created != 1 {
		t.Errorf("mended: %+v %v", changes, err)
	}
}

// What is passed over is counted over all chunks, told at the end, and is no error;
// a dry run says the same.
func TestBackfillPassedOver(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "export.zip")
	var export bytes.Buffer
	z := zip.NewWriter(&export)
	for name, rows := range map[string]string{
		"courses": `{"_id":"k_c","_creationTime":1767225600001.5,"title":"Course","storeId":"k_s","userId":"user_o"}`,
		"purchases": `{"_id":"k_p","_creationTime":1767225600004.5,"userId":"user_b","courseId":"k_c","amount":1999,` +
			`"status":"pending"}`,
	} {
		w, err := z.Create(name + "/documents.jsonl")
		if err == nil {
			_, err = io.WriteString(w, rows+"\n")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), os.WriteFile(file, export.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, dry := range []bool{true, false} {
		p := newPlace(t, &past{})
		b := p.run(p.start(store.NewBackfill{Kind: "convex", ChunkSize: 1, DryRun: dry, Options: store.BackfillOptions{
			File: file}}), p.once)
		passed, err := p.store.BackfillPassed(context.Background(), b.ID)
		want := []store.Passed{{Stream: "purchases", Reason: "not completed (pending)", Objects: 1}}
		if err != nil || !slices.Equal(passed, want) || b.Status != "completed" || b.Seen != 2 {
			t.Errorf("dry %v: %+v %v, %s", dry, passed, err, counts(b))
		}
		notes := p.lines(`SELECT place || ': ' || what || ' ' || why FROM backfill_errors WHERE note
			AND what LIKE '%passed%'`)
		if len(notes) != 1 || notes[0] != "purchases: 1 passed over "+want[0].Reason {
			t.Errorf("dry %v: %q", dry, notes)
		}
	}
}

// A dry run counts what a real one would do, and leaves nothing behind.
func TestBackfillDryRun(t *testing.T) {
	t.Parallel()
	s := newSharedSystem(t)
	s.enrolled(30)
	s.startWorker()
	dry := s.ended(s.backfill(store.NewBackfill{Kind: "courses", ChunkSize: 7, DryRun: true}))
	if n := s.rows(`SELECT id FROM customers UNION SELECT customer_id FROM enrollments
		WHERE customer_id IS NOT NULL`); n != "[]" {
		t.Errorf("left behind: %s", n)
	}
	if notes, err := s.store.BackfillErrors(context.Background(), dry.ID, 0, 100); err != nil || len(notes) != 30 ||
		!notes[0].Note {
		t.Errorf("%d notes: %+v %v", len(notes), notes, err)
	}
	real := s.ended(s.backfill(store.NewBackfill{Kind: "courses", ChunkSize: 7}))
	if counts(dry) != counts(real) || real.Created != 30 {
		t.Errorf("dry:  %s\nreal: %s", counts(dry), counts(real))
	}
}

// Stripe and Clerk at their worst, and a run still comes to what a good day
// comes to: the whole history, nothing doubled.
func TestBackfillAtTheirWorst(t *testing.T) {
	t.Parallel()
	good := newPast(t, 40)
	calm := newPlace(t, good)
	calm.keep("platform")
	calm.run(calm.start(store.NewBackfill{Kind: "stripe", ChunkSize: 9}), calm.once)
	calm.run(calm.start(store.NewBackfill{Kind: "clerk", ChunkSize: 4}), calm.once)

	bad := newPast(t, 40)
	bad.stripe.Faults(stripefake.Faults{LimitEvery: 5, RetryAfter: time.Second, FailEvery: 7, CutEvery: 4})
	bad.clerk.Fail(clerkfake.TooMany("1"), clerkfake.Status(500), clerkfake.Cut, clerkfake.Short)
	s := newSharedSystem(t)
	rough := &place{T: t, store: s.store, pool: s.pool, past: bad}
	rough.keep("platform")
	s.startWorkerWith(bad)
	stripe := s.backfill(store.NewBackfill{Kind: "stripe", ChunkSize: 9})
	clerk := s.backfill(store.NewBackfill{Kind: "clerk", ChunkSize: 4})
	for _, id := range []int64{stripe, clerk} {
		if b := s.ended(id); b.Status != "completed" {
			t.Errorf("%s: %s", b.Kind, counts(b))
		}
	}
	want, got := calm.lists(), rough.lists()
	if len(want) < 40 || strings.Join(want, "\n") != strings.Join(got, "\n") {
		t.Errorf("%d customers on a good day, %d on a bad one:\n%s\n%s", len(want), len(got), want, got)
	}
}

// Events that never reached us are fetched from Stripe's own list, once.
func TestBackfillStripeEvents(t *testing.T) {
	t.Parallel()
	p := newPast(t, 12)
	s := newSharedSystem(t)
	rough := &place{T: t, store: s.store, pool: s.pool, past: p}
	now := time.Now().Unix()
	var missed, all int
	for i, e := range p.webhooks {
		switch e.Source {
		case "platform":
			if _, err := s.store.InsertEvents(context.Background(), []store.NewEvent{e}); err != nil {
				t.Fatal(err)
			}
		case "stripe":
			all++
			p.stripe.Add("", strings.Replace(string(e.Payload), `"created":`+fmt.Sprint(moment(0)),
				fmt.Sprintf(`"created":%d`, now-int64(i)), 1))
			if i%2 == 0 {
				if _, err := s.store.InsertEvents(context.Background(), []store.NewEvent{e}); err != nil {
					t.Fatal(err)
				}
				continue
			}
			missed++
		}
	}
	s.startWorkerWith(p)
	first := s.ended(s.backfill(store.NewBackfill{Kind: "stripe-events", ChunkSize: 5}))
	if first.Status != "completed" || first.Created == 0 || first.Created > int64(missed) {
		t.Errorf("%s; %d of %d missed: %s", counts(first), missed, all, s.rows(`SELECT * FROM backfill_errors`))
	}
	again := s.ended(s.backfill(store.NewBackfill{Kind: "stripe-events", ChunkSize: 5}))
	if again.Created != 0 || again.Seen != first.Seen {
		t.Errorf("the second time: %s", counts(again))
	}
	s.until("the events are worked through", `bool_and(status = 'processed') FROM webhook_events`)
	if got := rough.lists(); len(got) < 12 {
		t.Errorf("%d customers", len(got))
	}
}
