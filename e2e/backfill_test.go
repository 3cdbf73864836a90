package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"rollcall/facts"
	"rollcall/internal/testing/testdb"
	"rollcall/store"
	"rollcall/store/pg"
	"rollcall/worker"
)

// place is a database to bring a past into.
type place struct {
	*testing.T
	store *store.Store
	pool  *pgxpool.Pool
	past  *past
}

func newPlace(t *testing.T, p *past) *place {
	t.Helper()
	url := testdb.Postgres(t)
	s, err := store.Open(context.Background(), url, store.Options{Conns: 8})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.New(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	t.Cleanup(pool.Close)
	return &place{t, s, pool, p}
}

func (p *place) exec(sql string, args ...any) {
	p.Helper()
	if _, err := p.pool.Exec(context.Background(), sql, args...); err != nil {
		p.Fatal(err)
	}
}

// lines reads rows of one text column.
func (p *place) lines(sql string) (out []string) {
	p.Helper()
	rows, err := p.pool.Query(context.Background(), sql)
	if err != nil {
		p.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			p.Fatal(err)
		}
		out = append(out, line)
	}
	return out
}

// lists are all customers, without their ids.
func (p *place) lists() []string {
	return p.lines(`SELECT (to_jsonb(c) - 'id' - 'created_at')::text FROM customers c ORDER BY store_id, email`)
}

// keep says what webhooks of a source said, and attaches nothing.
func (p *place) keep(source string) {
	p.Helper()
	for _, e := range p.past.webhooks {
		if source != "" && e.Source != source {
			continue
		}
		set, err := facts.Read(facts.Event{Source: e.Source, ID: e.EventID, Type: e.Type, OccurredAt: e.OccurredAt,
			Payload: e.Payload})
		if err == nil {
			err = p.store.Keep(context.Background(), set)
		}
		if err != nil {
			p.Fatal(err)
		}
	}
}

// receive applies webhooks in a random order.
func (p *place) receive(seed uint64) error {
	events := append([]store.NewEvent(nil), p.past.webhooks...)
	rand.New(rand.NewPCG(seed, 7)).Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	for len(events) > 0 {
		n := min(5, len(events))
		in, err := p.store.InsertEvents(context.Background(), events[:n])
		if err != nil {
			return err
		}
		var ids []int64
		for _, row := range in {
			ids = append(ids, row.ID)
		}
		if _, err := p.store.Apply(context.Background(), ids, 0, facts.Read); err != nil {
			return err
		}
		events = events[n:]
	}
	return nil
}

func (p *place) start(n store.NewBackfill) store.Backfill {
	p.Helper()
	n.StartedBy = "a test"
	b, err := p.store.StartBackfill(context.Background(), n)
	if err != nil {
		p.Fatal(err)
	}
	return b
}

// run does a backfill's chunks until none is open, with nothing but what the
// rows say, as after the loss of every job; do does one.
func (p *place) run(b store.Backfill, do func(store.Chunk) error) store.Backfill {
	p.Helper()
	ctx := context.Background()
	for {
		open, err := p.store.OverdueChunks(ctx, -time.Hour, 1)
		if err != nil {
			p.Fatal(err)
		}
		if len(open) == 0 {
			break
		}
		c, err := p.store.OpenChunk(ctx, open[0].Backfill, open[0].Number, 0)
		if err == nil {
			err = do(c)
		}
		if err != nil {
			p.Fatal(err)
		}
	}
	b, err := p.store.Backfill(ctx, b.ID)
	if err != nil {
		p.Fatal(err)
	}
	return b
}

// once does a chunk once.
func (p *place) once(c store.Chunk) error {
	source, err := p.past.source(c.Run)
	if err != nil {
		return err
	}
	defer shut(source)
	page, err := source.Read(context.Background(), c.Position, c.Run.ChunkSize)
	if err != nil {
		return err
	}
	_, err = p.store.ApplyChunk(context.Background(), c, page)
	return err
}

func shut(s worker.Source) {
	if c, ok := s.(io.Closer); ok {
		c.Close()
	}
}

// counts are what must come out the same however often a run was interrupted.
func counts(b store.Backfill) string {
	return fmt.Sprintf("%s: %d seen, %d created, %d updated, %d unchanged, %d errors, %d customers", b.Status, b.Seen,
		b.Created, b.Updated, b.Unchanged, b.Errors, b.Customers)
}

func convexFile(t *testing.T) string {
	t.Helper()
	file, err := filepath.Abs("../testdata/fixtures/convex/sample-snapshot.zip")
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// histories are a backfill of each kind, and what is there before it.
var histories = []struct {
	name   string
	start  func(*testing.T) store.NewBackfill
	before func(*place)
}{
	{"courses", kind("courses", 3), func(p *place) { p.keep("") }},
	{"subscriptions", kind("subscriptions", 1), func(p *place) { p.keep("") }},
	{"stripe", kind("stripe", 5), func(p *place) { p.keep("platform") }},
	{"clerk", kind("clerk", 3), func(p *place) { p.keep("stripe"); p.keep("platform") }},
	{"convex", func(t *testing.T) store.NewBackfill {
		return store.NewBackfill{Kind: "convex", ChunkSize: 1, Options: store.BackfillOptions{File: convexFile(t)}}
	}, func(*place) {}},
	{"stripe-events", func(*testing.T) store.NewBackfill {
		since := pastBegins.Add(-time.Hour)
		return store.NewBackfill{Kind: "stripe-events", ChunkSize: 10, Options: store.BackfillOptions{Since: &since}}
	}, func(p *place) { p.keep("platform") }},
}

// settle applies what a run has put into the inbox.
func (p *place) settle() {
	p.Helper()
	for {
		waiting, err := p.store.Overdue(context.Background(), -time.Hour, 50)
		if err != nil {
			p.Fatal(err)
		}
		if len(waiting) == 0 {
			return
		}
		var ids []int64
		for _, e := range waiting {
			ids = append(ids, e.ID)
		}
		if _, err := p.store.Apply(context.Background(), ids, 0, facts.Read); err != nil {
			p.Fatal(err)
		}
	}
}

func kind(name string, chunk int) func(*testing.T) store.NewBackfill {
	return func(*testing.T) store.NewBackfill { return store.NewBackfill{Kind: name, ChunkSize: chunk} }
}

// Interrupted after every chunk, a run ends as one that was left alone, and has
// counted the same: killed before its commit, killed after it and before the
// next chunk was asked for, and done twice.
func TestBackfillInterrupted(t *testing.T) {
	past := newPast(t, 24)
	for _, h := range histories {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			calm := newPlace(t, past)
			h.before(calm)
			want := calm.run(calm.start(h.start(t)), calm.once)
			calm.settle()

			rough := newPlace(t, past)
			h.before(rough)
			rough.exec(`CREATE SEQUENCE tries`)
			// Each chunk's transaction is lost at its very end, the first time.
			rough.exec(`
				CREATE FUNCTION interrupt() RETURNS trigger LANGUAGE plpgsql AS $$
				BEGIN
					IF nextval('tries') % 2 = 1 THEN
						RAISE EXCEPTION 'killed' USING ERRCODE = '57P01';
					END IF;
					RETURN NEW;
				END $$`)
			rough.exec(`CREATE TRIGGER interrupt BEFORE UPDATE OF done_at ON backfill_chunks
				FOR EACH ROW EXECUTE FUNCTION interrupt()`)
			interrupted := 0
			got := rough.run(rough.start(h.start(t)), func(c store.Chunk) error {
				if err := rough.once(c); !pg.Unavailable(err) {
					return fmt.Errorf("a chunk's lost transaction: %v", err)
				}
				interrupted++
				if err := rough.once(c); err != nil {
					return err
				}
				return rough.once(c) // its job came twice
			})
			if interrupted < 4 {
				t.Errorf("only %d chunks", interrupted)
			}
			rough.settle()
			if counts(got) != counts(want) || got.EndedAt == nil {
				t.Errorf("interrupted: %s\nleft alone:  %s", counts(got), counts(want))
			}
			if diff := cmp.Diff(calm.lists(), rough.lists()); diff != "" {
				t.Errorf("the lists differ (-left alone +interrupted):\n%s", diff)
			}
			if len(calm.lists()) == 0 {
				t.Error("nobody on the lists")
			}
			again := rough.run(rough.start(h.start(t)), func(c store.Chunk) error {
				err := rough.once(c)
				if pg.Unavailable(err) {
					return rough.once(c)
				}
				return err
			})
			if again.Created != 0 || again.Customers != 0 || again.Seen != got.Seen {
				t.Errorf("a second run: %s", counts(again))
			}
			if diff := cmp.Diff(calm.lists(), rough.lists()); diff != "" {
				t.Errorf("a second run changed the lists:\n%s", diff)
			}
		})
	}
}

// History that webhooks tell, that backfills bring in, and that both bring at
// the same time and in any order, comes to the same lists.
func TestBackfillBesideWebhooks(t *testing.T) {
	past := newPast(t, 30)
	told := newPlace(t, past)
	if err := told.receive(1); err != nil {
		t.Fatal(err)
	}
	want := told.lists()
	if len(want) < 20 {
		t.Fatalf("only %d customers", len(want))
	}

	read := newPlace(t, past)
	read.keep("platform")
	for _, kind := range []string{"stripe", "clerk"} {
		if b := read.run(read.start(store.NewBackfill{Kind: kind, ChunkSize: 7}), read.once); b.Status != "completed" {
			t.Fatalf("%s: %s", kind, counts(b))
		}
	}
	if diff := cmp.Diff(want, read.lists()); diff != "" {
		t.Errorf("backfills alone differ from webhooks alone (-webhooks +backfills):\n%s", diff)
	}

	for seed := range uint64(3) {
		both := newPlace(t, past)
		var g errgroup.Group
		g.Go(func() error { return both.receive(seed) })
		for _, kind := range []string{"clerk", "stripe"} {
			b := both.start(store.NewBackfill{Kind: kind, ChunkSize: 7})
			g.Go(func() error { return both.work(b) })
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, both.lists()); diff != "" {
			t.Errorf("seed %d: both at once differ from webhooks alone (-webhooks +both):\n%s", seed, diff)
		}
		if changes, err := both.store.Rebuild(context.Background(), "", nil); err != nil || changes.Sum() != 0 {
			t.Errorf("seed %d: a rebuild found %+v %v", seed, changes, err)
		}
	}
}

// work does one run's chunks until they are done.
func (p *place) work(b store.Backfill) error {
	todo := []int{0}
	for len(todo) > 0 {
		c, err := p.store.OpenChunk(context.Background(), b.ID, todo[0], time.Minute)
		if errors.Is(err, pg.ErrNotFound) {
			todo = todo[1:]
			continue
		}
		if err != nil {
			return err
		}
		source, err := p.past.source(c.Run)
		if err != nil {
			return err
		}
		page, err := source.Read(context.Background(), c.Position, c.Run.ChunkSize)
		if err != nil {
			return err
		}
		done, err := p.store.ApplyChunk(context.Background(), c, page)
		if err != nil {
			return err
		}
		todo = append(todo[1:], done.Next...)
	}
	return nil
}
