package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"rollcall/facts"
	"rollcall/store"
)

// pairsPerStory is how many pairs of its events each story is told with. More: -rapid.checks=300.
const pairsPerStory = 6

// The law of order holds for transactions at the same time: of any two events the first has done all but commit while
// the second begins. The second must wait for it, or have nothing to do with it.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	hold := newHold(t, h)
	rapid.Check(t, func(t *rapid.T) {
		catalogue := drawCatalogue(t)
		events := append(catalogue, drawStory(t)...)
		want := h.told(t, events, plan{batch: len(events), workers: 1})
		for i := range pairsPerStory {
			order := plan{seed: rapid.Uint64().Draw(t, fmt.Sprintf("order %d", i))}.permute(events)
			last := order[len(order)-2:]
			for at := range last { // most depends on stores and products
				if len(catalogue) > 0 && rapid.Bool().Draw(t, "of the catalogue") {
					of := slices.Index(ids(order), rapid.SampledFrom(ids(catalogue)).Draw(t, "which"))
					order[of], last[at] = last[at], order[of]
				}
			}
			before, first, second := order[:len(order)-2], last[0], last[1]
			h.empty(t)
			h.tell(t, before, plan{batch: len(order), workers: 1})
			hold.atOnce(t, first, second)
			if diff := cmp.Diff(want, h.snapshot(t)); diff != "" {
				t.Fatalf("the last two of these at once\n%s\nthe end differs (-one by one +at once):\n%s", tell(order), diff)
			}
		}
	})
}

func ids(events []store.NewEvent) (all []string) {
	for _, e := range events {
		all = append(all, e.EventID)
	}
	return all
}

// hold keeps a transaction from committing.
type hold struct {
	*house
	conn *pgx.Conn
}

func newHold(t *testing.T, h *house) hold {
	ctx := context.Background()
	for _, sql := range []string{
		`CREATE TABLE held (event_id text)`,
		`CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN
				IF EXISTS (SELECT FROM held WHERE event_id = NEW.event_id) THEN
					PERFORM pg_advisory_xact_lock(1);
				END IF;
				RETURN NULL;
			END $$`,
		`CREATE CONSTRAINT TRIGGER hold AFTER UPDATE ON webhook_events
			DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hold()`,
	} {
		if _, err := h.pool.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := pgx.ConnectConfig(ctx, h.pool.Config().ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(ctx) })
	return hold{h, conn}
}

// atOnce applies two events. The first commits once the second has committed, or waits.
func (h hold) atOnce(t fataler, first, second store.NewEvent) {
	ctx := context.Background()
	in, err := h.store.InsertEvents(ctx, []store.NewEvent{first, second})
	if err != nil {
		t.Fatalf("%v", err)
	}
	exec := func(sql string, args ...any) {
		if _, err := h.conn.Exec(ctx, sql, args...); err != nil {
			t.Fatalf("%v", err)
		}
	}
	exec(`DELETE FROM held`)
	exec(`INSERT INTO held VALUES ($1)`, first.EventID)
	exec(`SELECT pg_advisory_lock(1)`)
	ended := make(chan error, 2)
	begin := func(id int64, waiting int) {
		before := len(ended)
		go func() {
			_, err := h.store.Apply(ctx, []int64{id}, 0, facts.Read)
			ended <- err
		}()
		for n := 0; n < waiting && len(ended) == before; {
			if err := h.conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity
				WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n); err != nil {
				t.Fatalf("%v", err)
			}
		}
	}
	begin(in[0].ID, 1)
	begin(in[1].ID, 2)
	exec(`SELECT pg_advisory_unlock(1)`)
	for range 2 {
		if err := <-ended; err != nil {
			t.Fatalf("%v", err)
		}
	}
}
