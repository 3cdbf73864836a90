package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"rollcall/facts"
	"rollcall/internal/testing/testdb"
	"rollcall/store"
	storemail "rollcall/store/mail"
)

// permutationsPerStory is how many orders each generated story is told in, after
// the first: 25 stories are told 300 times. More: -rapid.checks=300.
const permutationsPerStory = 11

// The law: any permutation of the same events, with any repeated, over any
// number of workers, ends in the same customers, facts and totals; and an audit
// finds nothing, nor is anything left for a rebuild to fix.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	rapid.Check(t, func(t *rapid.T) {
		events := append(drawCatalogue(t), drawStory(t)...)
		want := h.told(t, events, plan{batch: len(events), workers: 1})
		for i := range permutationsPerStory {
			p := plan{
				seed:    rapid.Uint64().Draw(t, fmt.Sprintf("order %d", i)),
				batch:   rapid.IntRange(1, 8).Draw(t, "batch"),
				workers: rapid.IntRange(1, 4).Draw(t, "workers"),
			}
			order := p.shuffle(events)
			if diff := cmp.Diff(want, h.told(t, order, p)); diff != "" {
				t.Fatalf("told in this order\n%s\nthe end differs (-first order +this order):\n%s", tell(order), diff)
			}
		}
	})
}

// plan is how a story is told.
type plan struct {
	seed    uint64
	batch   int
	workers int
}

// shuffle permutes the events and repeats some of them.
func (p plan) shuffle(events []store.NewEvent) []store.NewEvent {
	random := rand.New(rand.NewPCG(p.seed, 2))
	order := slices.Clone(events)
	for range len(events) / 3 {
		order = append(order, events[random.IntN(len(events))])
	}
	return p.permute(order)
}

// permute permutes the events.
func (p plan) permute(events []store.NewEvent) []store.NewEvent {
	order := slices.Clone(events)
	rand.New(rand.NewPCG(p.seed, 1)).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	return order
}

func tell(events []store.NewEvent) string {
	var b strings.Builder
	for i, e := range events {
		fmt.Fprintf(&b, "%3d. %s %s %s\n", i+1, e.OccurredAt.UTC().Format("15:04:05"), e.EventID, e.Payload)
	}
	return b.String()
}

// house is a database that many stories are told in, one after the other.
type house struct {
	store *store.Store
	pool  *pgxpool.Pool
}

func newHouse(t *testing.T) *house {
	url := testdb.Postgres(t)
	s, err := store.Open(context.Background(), url, store.Options{PlatformTypes: platformTypes, Conns: 8})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.New(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	t.Cleanup(pool.Close)
	return &house{s, pool}
}

var factTables = []string{"users", "stripe_customers", "stores", "products", "enrollments", "payments", "refunds",
	"disputes", "subscriptions", "subscription_states", "links", "checkouts", "failed_invoices"}

// emptied are the tables of a story beside those of facts.
var emptied = []string{"webhook_events", "customers", "customer_merges", "erasure_terms", "erased", "erasures",
	"mail_consents"}

func (h *house) empty(t fataler) {
	for _, table := range slices.Concat(emptied, factTables) {
		if _, err := h.pool.Exec(context.Background(), "DELETE FROM "+table); err != nil {
			t.Fatalf("%v", err)
		}
	}
}

type fataler interface{ Fatalf(string, ...any) }

// told empties the house, tells the story in order and returns the end.
func (h *house) told(t fataler, order []store.NewEvent, p plan) []string {
	h.empty(t)
	if malformed := h.tell(t, order, p); len(malformed) > 0 {
		t.Fatalf("malformed: %v\n%s", malformed, tell(order))
	}
	h.auditClean(t, order)
	end := h.snapshot(t)
	diff, err := h.store.Rebuild(context.Background(), "", nil)
	if err != nil || diff.Sum() != 0 {
		t.Fatalf("a rebuild found differences: %+v %v\ntold in this order, %+v\n%s\n(-before it +after it):\n%s", diff, err,
			p, tell(order), cmp.Diff(end, h.snapshot(t)))
	}
	return end
}

// auditClean checks that an audit looks at every fact of what was told and finds nothing.
func (h *house) auditClean(t fataler, order []store.NewEvent) {
	facts := len(h.lines(t, `
		SELECT id FROM payments
		UNION ALL
		SELECT person FROM enrollments
		UNION ALL
		SELECT id FROM subscriptions`))
	a, err := h.store.AuditFacts(context.Background(), store.AuditOptions{Examples: 3})
	if err != nil || !a.Clean() || a.Facts != int64(facts) {
		t.Fatalf("an audit of %d facts: %+v %v\ntold in this order\n%s", facts, a, err, tell(order))
	}
}

// tell tells events after what was told before, and returns those that could not
// be read.
func (h *house) tell(t fataler, order []store.NewEvent, p plan) (malformed []int64) {
	ctx := context.Background()
	var mu sync.Mutex
	var work errgroup.Group
	work.SetLimit(p.workers)
	for start := 0; start < len(order); start += p.batch {
		batch := order[start:min(start+p.batch, len(order))]
		in, err := h.store.InsertEvents(ctx, batch)
		if err != nil {
			t.Fatalf("%v", err)
		}
		var ids []int64
		for _, row := range in {
			if !row.Duplicate {
				ids = append(ids, row.ID)
			}
		}
		work.Go(func() error {
			out, err := h.store.Apply(ctx, ids, 0, facts.Read)
			mu.Lock()
			defer mu.Unlock()
			malformed = append(malformed, out.Malformed...)
			return err
		})
	}
	if err := work.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, tell(order))
	}
	return malformed
}

// snapshot is everything that must not depend on the order: all but ids.
func (h *house) snapshot(t fataler) []string {
	sql := `SELECT 'customer ' || (to_jsonb(c) - 'id' - 'created_at')::text FROM customers c`
	for _, table := range factTables {
		sql += fmt.Sprintf(` UNION ALL SELECT '%[1]s ' || (to_jsonb(f) - 'customer_id')::text FROM %[1]s f`, table)
	}
	sql += ` UNION ALL SELECT concat_ws(' ', 'consent', c.store_id, c.email,
			` + storemail.ConsentSQL("marketing", "c.store_id", "c.email") + `,
			` + storemail.ConsentSQL("tracking", "c.store_id", "c.email") + `) FROM customers c
		UNION ALL SELECT concat_ws(' ', 'said', store_id, user_id, kind, state, version) FROM mail_consents
			WHERE user_id <> ''`
	sql += ` UNION ALL SELECT concat_ws(' ', 'event', source, event_id, status, pruned_for, payload) FROM webhook_events
		ORDER BY 1`
	return h.lines(t, sql)
}

// lines are the texts that a query gives.
func (h *house) lines(t fataler, sql string) []string {
	rows, err := h.pool.Query(context.Background(), sql)
	if err != nil {
		t.Fatalf("%v", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%v", err)
	}
	return out
}

// storyStart is when every story begins; they last seconds, so that many
// versions share one.
var storyStart = time.Date(2026, 1, 12, 10, 0, 0, 0, time.UTC)
