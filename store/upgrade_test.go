package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"rollcall/facts"
	"rollcall/internal/testing/testdb"
	"rollcall/migrations"
	"rollcall/store"
)

// upgradeDumps holds databases as earlier releases left them: see its README.
const upgradeDumps = "../testdata/upgrade"

// A database of an earlier release, upgraded as its notes say (the schema, what
// workers do by themselves, a replay), shows the lists that the same events come to today.
func TestUpgrade(t *testing.T) {
	dumps, err := filepath.Glob(filepath.Join(upgradeDumps, "*.sql.gz"))
	if err != nil || len(dumps) == 0 {
		t.Errorf("no dumps in %s: %v", upgradeDumps, err)
	}
	for _, file := range dumps {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			wantUpgrade(t, testdb.Dump(t, file))
		})
	}
	t.Run("of today", func(t *testing.T) {
		t.Parallel()
		wantUpgrade(t, dumpOfToday(t))
	})
}

func wantUpgrade(t *testing.T, dump string) {
	ctx := context.Background()
	url := testdb.Empty(t)
	testdb.Restore(t, url, dump)
	if _, err := migrations.Up(ctx, url); err != nil {
		t.Fatal(err)
	}
	events := inboxOf(t, url)
	if len(events) < 300 {
		t.Fatalf("only %d events in the dump", len(events))
	}
	old := openAt(t, url)
	if _, err := execute(t, url, `UPDATE derivation SET rules = 0`); err != nil { // of today's dump they are raised
		t.Fatal(err)
	}
	rederive(t, old)
	replay(t, old)

	fresh, freshURL := openURL(t)
	if _, err := fresh.InsertEvents(ctx, events); err != nil {
		t.Fatal(err)
	}
	applyWaiting(t, fresh)

	want, got := query(t, freshURL, upgradedSQL), query(t, url, upgradedSQL)
	if len(want) < 45 {
		t.Errorf("only %d customers", len(want))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the lists differ (-told today +upgraded):\n%s", diff)
	}
	wantKept(t, url)
	if diff, err := old.Rebuild(ctx, "", nil); err != nil || diff.Sum() != 0 {
		t.Errorf("rebuild: %+v %v", diff, err)
	}
}

// rederive does what a worker does, killed after each step, and wants an audit
// without differences.
func rederive(t *testing.T, s *store.Store) {
	t.Helper()
	killed := errors.New("killed")
	steps := 0
	for finished := false; !finished; steps++ {
		rested := false
		var err error
		finished, err = s.Rederive(context.Background(), 0, func(context.Context) error {
			if rested {
				return killed
			}
			rested = true
			return nil
		})
		if err != nil && !errors.Is(err, killed) {
			t.Fatal(err)
		}
		if steps > 1000 {
			t.Fatal("it comes to no end")
		}
	}
	if steps < 7 {
		t.Errorf("%d steps", steps)
	}
	if d, err := s.Derivation(context.Background()); err != nil || d.Pending() || d.LastError != nil || d.Facts == 0 {
		t.Errorf("%+v %v", d, err)
	}
	sound(t, s)
}

// upgradedSQL are the customers, but for what does not come from the inbox: the
// backfilled, and the erased.
const upgradedSQL = `
	SELECT (to_jsonb(c) - 'id' - 'created_at')::text
	FROM customers c
	WHERE store_id NOT IN ('store_backfilled', 'store_erased')
	ORDER BY store_id, email`

// wantKept checks what no event tells of: it must outlive the upgrade.
func wantKept(t *testing.T, url string) {
	t.Helper()
	for sql, want := range map[string][]string{
		`SELECT email || ' ' || type || ' ' || (spent -> 0 ->> 'amount') FROM customers
			WHERE store_id = 'store_backfilled'`: {"bea@backfilled.example paying 2500"},
		`SELECT kind || ' ' || status FROM backfills`: {"stripe completed"},
		`SELECT count(*) || ' ' || count(*) FILTER (WHERE email LIKE 'erased-%@erased.invalid') FROM customers
			WHERE store_id = 'store_erased'`: {"1 1"},
		`SELECT event_id FROM webhook_events WHERE payload::text LIKE '%gone@erased.example%'`: nil,
		`SELECT c.store_id || ' ' || c.email || ': ' || n.body FROM customer_notes n JOIN customers c USING (store_id, email)
			ORDER BY 1`: {
			"k57aurorastore00000000000000000a ava@lindqvist.example: prefers letters",
			"store_merged mo@merged.example: was two people",
		},
		`SELECT from_email || ' ' || into_email FROM customer_merges WHERE store_id = 'store_merged'`: {
			"mo.old@merged.example mo@merged.example"},
	} {
		if diff := cmp.Diff(want, query(t, url, sql), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sql, diff)
		}
	}
}

func openAt(t *testing.T, url string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), url, store.Options{PlatformTypes: platformTypes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// replay applies again whatever was applied, passed over or could not be read.
func replay(t *testing.T, s *store.Store) {
	t.Helper()
	opened, err := s.Reopen(context.Background(), store.ReopenFilter{Statuses: []string{"processed", "ignored", "failed"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(opened) == 0 {
		t.Fatal("nothing to replay")
	}
	applyWaiting(t, s)
}

// applyWaiting applies all that is pending. Events that cannot be read fail, as
// they may.
func applyWaiting(t *testing.T, s *store.Store) {
	t.Helper()
	for {
		waiting, err := s.Overdue(context.Background(), 0, 40)
		if err != nil {
			t.Fatal(err)
		}
		if len(waiting) == 0 {
			return
		}
		var ids []int64
		for _, w := range waiting {
			ids = append(ids, w.ID)
		}
		if _, err := s.Apply(context.Background(), ids, 0, facts.Read); err != nil {
			t.Fatal(err)
		}
	}
}

// inboxOf reads the events whose payload is still there.
func inboxOf(t *testing.T, url string) []store.NewEvent {
	t.Helper()
	pool, err := pgxpool.New(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	rows, err := pool.Query(context.Background(), `
		SELECT source, event_id, type, account, api_version, livemode, occurred_at, payload
		FROM webhook_events
		WHERE payload IS NOT NULL
		ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	events, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e store.NewEvent, err error) {
		var version *string
		err = row.Scan(&e.Source, &e.EventID, &e.Type, &e.Account, &version, &e.Livemode, &e.OccurredAt, &e.Payload)
		if version != nil {
			e.APIVersion = *version
		}
		return e, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return events
}
