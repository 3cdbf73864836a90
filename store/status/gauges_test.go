package status

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/plans"
	"rollcall/internal/testing/storetest"
	"rollcall/store"
	"rollcall/store/reasons"
)

func TestArrivals(t *testing.T) {
	t.Parallel()
	const event = `INSERT INTO webhook_events (source, event_id, type, occurred_at, received_at, payload, status, attempts,
		attempted_at, processed_at) `
	s := storetest.Open(t,
		// applied again
		event+`VALUES ('stripe', '1', 'a', now(), now() - interval '9 hours', '{}', 'pending', 1, NULL, NULL)`,
		// failed once
		event+`VALUES ('stripe', '2', 'b', now(), now() - interval '3 hours', '{}', 'pending', 1, now(), NULL)`,
		event+`VALUES ('stripe', '3', 'a', now(), now() - interval '1 hour', '{}', 'pending', 0, NULL, NULL)`,
		event+`VALUES ('clerk', '4', 'a', now(), now() - interval '2 hours', '{}', 'processed', 1, now(), now())`,
		// came last, by its id
		event+`VALUES ('clerk', '5', 'z', now(), now() - interval '5 hours', '{}', 'processed', 1, now(), now())`)
	got, err := New(s).Arrivals(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, a := range got {
		last := "never"
		if a.Last != nil {
			last = time.Since(*a.Last).Round(time.Minute).String()
		}
		told = append(told, fmt.Sprintf("%s %s %s", a.Source, a.Oldest.Round(time.Minute), last))
	}
	slices.Sort(told)
	if diff := gocmp.Diff([]string{"clerk 0s 5h0m0s", "mailgun 0s never", "platform 0s never", "postmark 0s never",
		"resend 0s never", "ses 0s never", "stripe 3h0m0s 1h0m0s"}, told); diff != "" {
		t.Error(diff)
	}
}

func TestUnattachedCounts(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t,
		`INSERT INTO payments (account, id, claim_version, intent_version, invoice_version, destination_version, unattached)
			SELECT '', 'pi_' || i, '', '', '', '', r
			FROM unnest(ARRAY['user_unknown', 'user_unknown', 'unpaid', 'counted_elsewhere', 'derive_failed: ERROR: x',
				'derive_failed: ERROR: y', 'no_email']) WITH ORDINALITY AS u(r, i)`,
		`INSERT INTO enrollments (course_id, person, version, email_version, store_version, name_version, progress_version,
			enrolled_version, completed_version, deleted_version, unattached)
			VALUES ('c', 'user:u', 'v', '', '', '', '', '', '', '', 'no_store')`)
	counts, err := New(s).UnattachedCounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := 3 * len(reasons.Missing()); len(counts) != want {
		t.Errorf("%d counts, want all %d always", len(counts), want)
	}
	got := map[string]int64{}
	for _, u := range counts {
		if u.Facts > 0 {
			got[u.Kind+" "+u.Reason] = u.Facts
		}
	}
	want := map[string]int64{"payment user_unknown": 2, "payment derive_failed": 2, "payment no_email": 1,
		"enrollment no_store": 1}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBackfillAndListGauges(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t,
		`INSERT INTO backfills (kind, scope, status, chunk_size, started_by, started_at, moved_at, seen,
			expected, errors) VALUES
			('stripe', 'a', 'running', 1, 't', now(), '2026-01-01', 10, 40, 2),
			('stripe', 'b', 'running', 1, 't', now(), '2026-01-02', 5, NULL, 0),
			('clerk', '', 'running', 1, 't', now(), '-infinity', 1, 2, 0)`, // just resumed
		`INSERT INTO stores (id, version) VALUES ('s1', 'v'), ('s2', 'v')`,
		`INSERT INTO customer_figures (store_id, facet, figure, amount) VALUES
			('s1', 'lead/active/free_course', 'people', 3), ('s2', 'lead/active/', 'people', 4),
			('s2', 'paying/inactive/course_purchase', 'people', 1),
			('s1', 'lead/active/free_course', 'day:2026-01-01', 3)`)
	runs, err := New(s).BackfillGauges(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]BackfillGauges{}
	for _, r := range runs {
		by[r.Kind] = r
	}
	if r := by["stripe"]; r.Runs != 2 || r.Seen != 15 || r.Expected != 40 || r.Errors != 2 ||
		!r.Moved.Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", r)
	}
	if r := by["clerk"]; time.Since(r.Moved) > time.Hour {
		t.Errorf("one that was just resumed has made no progress since %v", r.Moved)
	}
	lists, err := New(s).ListGauges(t.Context())
	if err != nil || lists.Stores != 2 {
		t.Fatalf("%+v %v", lists, err)
	}
	slices.SortFunc(lists.Customers, func(a, b FacetSize) int { return strings.Compare(a.Type, b.Type) })
	if diff := gocmp.Diff([]FacetSize{{"lead", "active", 7}, {"paying", "inactive", 1}}, lists.Customers); diff != "" {
		t.Error(diff)
	}
}

// None of what a scrape asks for reads a large table, or an index of one, whole.
func TestGaugesLookUp(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, append(slices.Clone(plans.Many[:len(plans.Many)-1]),
		`INSERT INTO webhook_events (source, event_id, type, occurred_at, payload, status, processed_at)
			SELECT 'stripe', 'old_' || i, 'type.' || i % 12, now(), '{}', 'processed', now() FROM generate_series(1, 60000) i`,
		`INSERT INTO customer_figures (store_id, facet, figure, amount)
			SELECT 's' || s, 'lead/active/', f, 1 FROM generate_series(1, 200) s,
				unnest(ARRAY(SELECT 'day:' || i FROM generate_series(1, 200) i) || ARRAY['people']) f`,
		`VACUUM ANALYZE`)...)
	for name, q := range map[string]struct {
		sql  string
		args []any
	}{
		"arrivals":      {arrivalsSQL, []any{store.Sources, pendingSample}},
		"enrollments":   {store.UnattachedSQL(store.KindOf(store.Enrollment), ""), []any{reasons.Missing(), nil}},
		"payments":      {store.UnattachedSQL(store.KindOf(store.Payment), ""), []any{reasons.Missing(), nil}},
		"subscriptions": {store.UnattachedSQL(store.KindOf(store.Subscription), ""), []any{reasons.Missing(), nil}},
		"capped":        {store.UnattachedSQL(store.KindOf(store.Payment), ""), []any{reasons.Missing(), MaxWaiting}},
		"of a store": {
			store.UnattachedSQL(store.KindOf(store.Payment), store.UnattachedQuestion{Store: "s1"}.Scope("payments")),
			[]any{reasons.Attached(), nil, "s1"}},
		"customers": {listGaugesSQL, nil},
	} {
		for _, scan := range plans.Explain(t, s.Pool, q.sql, append([]any{pgx.QueryExecModeExec}, q.args...)...).Scans() {
			if !strings.Contains(scan, "customer_figures_people") { // holds nothing else
				t.Errorf("%s: %s", name, scan)
			}
		}
	}
}

// However many wait, they are counted exactly: an alert looks for a rise.
func TestEventGaugesAreExact(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, `INSERT INTO webhook_events (source, event_id, type, occurred_at, payload)
		SELECT 'stripe', 'e' || i, 'a', now(), '{}' FROM generate_series(1, 60000) i`, `ANALYZE webhook_events`)
	counts, err := New(s).EventGauges(t.Context())
	if diff := gocmp.Diff(map[string]int64{"pending": 60000, "processed": 0, "ignored": 0, "failed": 0},
		counts); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}
