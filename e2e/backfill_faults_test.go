package e2e

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"testing"
	"time"

	"rollcall/facts"
	"rollcall/store"
)

// stopped is the advisory lock that these tests hold, to stop a transaction
// where a trigger takes it.
const stopped = 4242

// stopAt stops transactions where a trigger fires, until release.
func (p *place) stopAt(trigger string) (release func()) {
	p.Helper()
	p.exec(fmt.Sprintf(`
		CREATE OR REPLACE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM pg_advisory_xact_lock(%d);
			RETURN NEW;
		END $$`, stopped))
	p.exec(`CREATE TRIGGER stop ` + trigger + ` EXECUTE FUNCTION stop()`)
	c, err := p.pool.Acquire(context.Background())
	if err == nil {
		_, err = c.Exec(context.Background(), `SELECT pg_advisory_lock($1)`, stopped)
	}
	if err != nil {
		p.Fatal(err)
	}
	return func() {
		defer c.Release()
		if _, err := c.Exec(context.Background(), `SELECT pg_advisory_unlock($1)`, stopped); err != nil {
			p.Error(err)
		}
	}
}

// awaitStop waits until a transaction stands at the trigger of stopAt.
func (p *place) awaitStop() {
	p.Helper()
	tick, end := time.NewTicker(5*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !slices.Contains(p.locked(stopped), "ExclusiveLock waited for") {
		select {
		case <-tick.C:
		case <-end:
			p.Fatal("nobody came to where they are stopped")
		}
	}
}

// locked tells how an advisory lock is held and waited for.
func (p *place) locked(key int64) []string {
	p.Helper()
	return p.lines(fmt.Sprintf(`
		SELECT DISTINCT mode || CASE WHEN granted THEN '' ELSE ' waited for' END
		FROM pg_locks
		WHERE locktype = 'advisory' AND objsubid = 1 AND ((classid::bigint << 32) | objid::bigint) = %d
		  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`, key))
}

// lockNamed is the advisory lock that the store takes for a name.
func lockNamed(name string) int64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return int64(h.Sum64())
}

// sell applies a sale that came by webhook, which must not have to wait for
// what is stopped.
func (p *place) sell(n int) {
	p.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience/8)
	defer cancel()
	e := store.NewEvent{Source: "stripe", EventID: fmt.Sprint("evt_", n), Type: "checkout.session.completed",
		OccurredAt: time.Now(), Payload: checkout(n, n)}
	in, err := p.store.InsertEvents(ctx, []store.NewEvent{e})
	if err == nil {
		_, err = p.store.Apply(ctx, []int64{in[0].ID}, 0, facts.Read)
	}
	if err != nil {
		p.Errorf("a webhook beside it: %v", err)
	}
}

// open takes a chunk in hand.
func (p *place) open(run int64, number int) store.Chunk {
	p.Helper()
	c, err := p.store.OpenChunk(context.Background(), run, number, time.Minute)
	if err != nil {
		p.Fatal(err)
	}
	return c
}

// apply applies a page as a chunk, in the background.
func (p *place) apply(c store.Chunk, page store.Page) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := p.store.ApplyChunk(context.Background(), c, page)
		done <- err
	}()
	return done
}

func oneUser(next ...store.Position) store.Page {
	said := facts.Set{Users: []facts.User{{ID: "user_1", Email: "one@x.example", Version: "1"}}}
	return store.Page{Items: []store.Item{{Place: "user_1", Facts: said}}, Next: next}
}

func (p *place) wantStatus(run int64, want string) {
	p.Helper()
	b, err := p.store.Backfill(context.Background(), run)
	if err != nil || b.Status != want || (b.EndedAt == nil) != (want == "running" || want == "queued" ||
		want == "paused") {
		p.Errorf("the run is %s, ended %v; want %s: %v", b.Status, b.EndedAt, want, err)
	}
}

// A run whose last chunk was committed after it had failed, or was paused, has
// nothing left to do: resumed, it ends, and leaves the place to the next one.
func TestBackfillResumedWithNothingLeft(t *testing.T) {
	for what, order := range map[string]func(*store.Store, int64) error{
		"failed": func(s *store.Store, id int64) error {
			return s.FailBackfill(context.Background(), id, "a twin of the job was refused")
		},
		"paused": func(s *store.Store, id int64) error {
			_, err := s.PauseBackfill(context.Background(), id)
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, &past{})
			b := p.start(store.NewBackfill{Kind: "clerk"})
			release := p.stopAt(`BEFORE INSERT ON users FOR EACH ROW`)
			done := p.apply(p.open(b.ID, 0), oneUser())
			p.awaitStop()
			if err := order(p.store, b.ID); err != nil {
				t.Error(err)
			}
			release()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if what == "failed" {
				p.wantStatus(b.ID, "failed")
				if b, err := p.store.ResumeBackfill(context.Background(), b.ID); err != nil || b.Reason != nil {
					t.Errorf("resumed: %+v %v", b, err)
				}
			}
			p.wantStatus(b.ID, "completed")
			if _, err := p.store.StartBackfill(context.Background(),
				store.NewBackfill{Kind: "clerk", StartedBy: "a test"}); err != nil {
				t.Errorf("the next run: %v", err)
			}
		})
	}
}

// A run resumed while one of its chunks is in hand goes on at once: neither
// waits for the other.
func TestBackfillResumedInTheMiddle(t *testing.T) {
	t.Parallel()
	p := newPlace(t, &past{})
	ctx, cancel := context.WithTimeout(context.Background(), patience/8)
	defer cancel()
	b := p.start(store.NewBackfill{Kind: "clerk"})
	release := p.stopAt(`BEFORE INSERT ON users FOR EACH ROW`)
	done := p.apply(p.open(b.ID, 0), oneUser(store.Position{Stream: "users"}))
	p.awaitStop()
	if _, err := p.store.PauseBackfill(ctx, b.ID); err != nil {
		t.Error(err)
	}
	if _, err := p.store.ResumeBackfill(ctx, b.ID); err != nil { // while the chunk still stands there
		t.Error(err)
	}
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	p.wantStatus(b.ID, "running")
	if err := <-p.apply(p.open(b.ID, 1), store.Page{}); err != nil {
		t.Error(err)
	}
	p.wantStatus(b.ID, "completed")
}

// Resuming what runs changes nothing: not even when its chunks are tried again.
func TestBackfillResumedWhileRunning(t *testing.T) {
	t.Parallel()
	p := newPlace(t, &past{})
	b := p.start(store.NewBackfill{Kind: "clerk"})
	if err := p.store.ChunkFailed(context.Background(), p.open(b.ID, 0), errors.New("no answer"),
		time.Hour, false); err != nil {
		t.Fatal(err)
	}
	rows := `SELECT to_jsonb(b)::text || to_jsonb(k)::text FROM backfills b JOIN backfill_chunks k ON k.backfill_id = b.id`
	before := p.lines(rows)
	var wrong *store.WrongStatus
	if _, err := p.store.ResumeBackfill(context.Background(), b.ID); !errors.As(err, &wrong) || wrong.Status != "running" {
		t.Errorf("%v", err)
	}
	if after := p.lines(rows); !slices.Equal(before, after) {
		t.Errorf("before %s\nafter  %s", before, after)
	}
}

// course is a store with a course.
func (p *place) course() {
	p.Helper()
	p.exec(`INSERT INTO stores (id, name, version) VALUES ('store_1', 'Store', '1')`)
	p.exec(`INSERT INTO products (id, store_ref, store_id, store_ids, kind, title, version, deleted_version)
		VALUES ('course_1', 'store_1', 'store_1', '{store_1}', 'course', 'Course', '1', '')`)
	p.exec(`INSERT INTO links (relation, subject, object, since, hearsay)
		VALUES ('store', 'course_1', 'store_1', '1', false)`)
}

// loads are statements that load 600 facts nobody has attached, by the backfill
// that does.
var loads = []struct{ name, kind, sql string }{
	{"enrollments", "courses", `
		INSERT INTO enrollments (course_id, person, email, email_version, store_version, version, name_version,
			progress_version, enrolled_version, completed_version, said_at, first_said_at, deleted_version)
		SELECT 'course_1', 'user:person' || i, 'person' || i || '@x.example', '1', '', '2026-01-01', '', '', '', '', now(),
			now(), '' FROM generate_series(1, 600) i`},
	{"purchases", "courses", `
		INSERT INTO payments (account, id, claim_version, kind, claim_paid, claim_amount, claim_currency, product_ref,
			user_ref, stripe_customer, email, paid_at, intent_version, invoice_version, destination_version)
		SELECT '', 'px_' || i, '4 1', 'checkout', true, 100, 'usd', 'course_1', 'user_' || i, 'cus_' || i,
			'person' || i || '@x.example', now(), '', '', '' FROM generate_series(1, 600) i`},
	{"subscriptions", "subscriptions", `
		INSERT INTO subscriptions (account, id, version, status, product_ref, user_ref, stripe_customer, email, ever_active,
			checkout_version)
		SELECT '', 'sub_' || i, '1', 'active', 'course_1', 'user_' || i, 'cus_' || i, 'person' || i || '@x.example', true, ''
			FROM generate_series(1, 600) i`},
}

// wantGateOpen checks that everybody passes the gate, and nobody waits to shut it.
func (p *place) wantGateOpen() {
	p.Helper()
	if got := p.locked(lockNamed("gate")); !slices.Equal(got, []string{"ShareLock"}) {
		p.Errorf("the gate: %q, want it held shared alone", got)
	}
}

// A chunk of the usual size keeps nobody waiting, whatever its rows are.
func TestBackfillChunkLetsOthersPass(t *testing.T) {
	for _, load := range loads {
		t.Run(load.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, &past{})
			p.course()
			p.exec(load.sql)
			b := p.start(store.NewBackfill{Kind: load.kind})
			if err := p.once(p.open(b.ID, 0)); err != nil {
				t.Fatal(err)
			}
			release := p.stopAt(`BEFORE INSERT ON customers FOR EACH ROW WHEN (NEW.email LIKE 'person%')`)
			done := make(chan error, 1)
			c := p.open(b.ID, 1)
			go func() { done <- p.once(c) }()
			p.awaitStop()
			p.wantGateOpen()
			p.sell(1)
			release()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// Nor does one while its bad rows are told from the good ones.
func TestBackfillDividedChunkLetsOthersPass(t *testing.T) {
	for _, load := range loads {
		t.Run(load.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, &past{})
			p.course()
			p.exec(load.sql)
			p.refuseOne()
			b := p.start(store.NewBackfill{Kind: load.kind})
			if err := p.once(p.open(b.ID, 0)); err != nil {
				t.Fatal(err)
			}
			release := p.stopAt(`BEFORE INSERT ON customers FOR EACH ROW WHEN (NEW.email LIKE 'person%' AND refused())`)
			done := make(chan error, 1)
			c := p.open(b.ID, 1)
			go func() { done <- p.once(c) }()
			p.awaitStop()
			p.wantGateOpen()
			if got := p.locked(lockNamed("divided")); !slices.Equal(got, []string{"ExclusiveLock"}) {
				t.Errorf("not in the middle of dividing: %q", got)
			}
			p.sell(1)
			release()
			if err := <-done; err != nil {
				t.Error(err)
			}
			got, err := p.store.Backfill(context.Background(), b.ID)
			if err != nil || got.Errors != 1 || got.Created != got.Seen-1 || got.Seen != int64(b.ChunkSize) {
				t.Errorf("%s %v", counts(got), err)
			}
		})
	}
}

// refuseOne makes Postgres refuse a person of the first chunk, and refused()
// tell whether it has.
func (p *place) refuseOne() {
	p.Helper()
	p.exec(`CREATE SEQUENCE refusals`)
	p.exec(`
		CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM nextval('refusals');
			RAISE EXCEPTION 'no such person';
		END $$`)
	p.exec(`CREATE TRIGGER refuse BEFORE INSERT ON customers FOR EACH ROW
		WHEN (NEW.email = 'person17@x.example') EXECUTE FUNCTION refuse()`)
	p.exec(`CREATE FUNCTION refused() RETURNS boolean LANGUAGE sql AS 'SELECT is_called FROM refusals'`)
}

// Nor does the plan of a run, which reads whole tables.
func TestBackfillPlanLetsOthersPass(t *testing.T) {
	t.Parallel()
	p := newPlace(t, &past{})
	p.course()
	p.exec(loads[1].sql)
	b := p.start(store.NewBackfill{Kind: "courses"})
	c := p.open(b.ID, 0)
	release := p.stopAt(`AFTER INSERT ON backfill_chunks FOR EACH STATEMENT`)
	done := make(chan error, 1)
	go func() { done <- p.once(c) }()
	p.awaitStop()
	if got := p.locked(lockNamed("gate")); slices.Contains(got, "ExclusiveLock") ||
		slices.Contains(got, "ExclusiveLock waited for") {
		t.Errorf("the gate: %q", got)
	}
	p.sell(1)
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got, err := p.store.Backfill(context.Background(), b.ID); err != nil || *got.Expected != 600 {
		t.Errorf("%s %v", counts(got), err)
	}
}
