package inbox

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rollcall/store"
	"rollcall/store/pg"
)

// began is when the first event of openMixed was received.
var began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// openMixed returns a store with n events of many fates, one every ten minutes
// or so: they were not received quite in the order of their ids.
func openMixed(t *testing.T, n int) (*store.Store, []store.Event) {
	t.Helper()
	s, _ := openInbox(t, n)
	_, err := s.Pool.Exec(t.Context(), `
		UPDATE webhook_events
		SET
			received_at = $1::timestamptz + id * interval '10 minutes' + (id * 7919 % 50 - 25) * interval '1 second',
			type = (ARRAY['user.created', 'invoice.paid', 'charge.failed', 'Zed'])[1 + (id * 31 % 17)::int % 4],
			source = CASE WHEN id < 40 THEN source ELSE 'stripe' END,
			status = s.status,
			processed_at = CASE WHEN s.status IN ('processed', 'ignored') THEN now() END,
			last_error = CASE
				WHEN s.status = 'processed' OR s.status = 'pending' AND id % 2 = 0 THEN NULL
				ELSE (ARRAY['100% wrong', 'deadlock detected', 'no room for a_b', 'C:\\x', 'unknown type'])[1 + id % 5]
			END
		FROM (
			SELECT id, (ARRAY['pending', 'processed', 'processed', 'ignored', 'failed', 'ignored', 'processed'])[1 + CASE
				WHEN id % 100 < 60 THEN id * 13 % 7 ELSE 5 END] AS status
			FROM webhook_events
		) s (of, status)
		WHERE id = s.of`, began)
	if err != nil {
		t.Fatal(err)
	}
	nameSeven(t, s)
	return s, allEvents(t, s, store.EventFilter{Limit: pg.MaxLimit})
}

// nameSeven lets each event name one of seven addresses. The oldest, and some that wait or
// failed, have no terms yet.
func nameSeven(t *testing.T, s *store.Store) {
	t.Helper()
	for _, sql := range []string{
		`INSERT INTO stores (id, stripe_account_id, version) VALUES ('sub_1', '', 'v'), ('evt_1', 'acct_2', 'v'),
			('7', '', 'v')`,
		`UPDATE webhook_events SET payload = json_build_object('email', 'No' || id % 7 || '@x.example', 'n', id,
			'of', 'sub_' || id % 5, 'account', 'acct_' || id % 3)`,
		`INSERT INTO event_unindexed SELECT id FROM webhook_events WHERE status <> 'pending' ON CONFLICT DO NOTHING`} {
		if _, err := s.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	for worked := true; worked; {
		var err error
		if worked, err = s.IndexEvents(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Pool.Exec(t.Context(), `
		WITH back AS (
			DELETE FROM event_terms t
			USING webhook_events e
			WHERE e.id = t.event_id AND (e.id <= 120 OR e.status = 'failed' AND e.id % 2 = 0)
			RETURNING e.id
		)
		INSERT INTO event_unindexed SELECT DISTINCT id FROM back`); err != nil {
		t.Fatal(err)
	}
}

// namesOne tells whether an event names one of what a query asks for, or is it.
func namesOne(query string, e store.Event) bool {
	return slices.ContainsFunc(strings.Fields(query), func(word string) bool {
		return strings.EqualFold(word, fmt.Sprint("no", e.ID%7, "@x.example")) || word == e.EventID ||
			word == fmt.Sprint(e.ID)
	})
}

// ofStore tells whether an event is of a store, or of its account: a store's id is no id of an event.
func ofStore(id string, e store.Event) bool {
	return id == fmt.Sprint("sub_", e.ID%5) || id == "evt_1" && e.ID%3 == 2
}

// meant is what a filter is plainly.
func meant(f store.EventFilter, e store.Event) bool {
	is := func(want, value string) bool { return want == "" || want == value }
	return is(f.Source, e.Source) && is(f.Status, e.Status) && is(f.Type, e.Type) &&
		(f.EventID == "" || f.EventID == e.EventID || f.EventID == fmt.Sprint(e.ID)) &&
		(f.Query == "" || namesOne(f.Query, e)) &&
		(f.Store == "" || ofStore(f.Store, e)) &&
		(f.Error == "" || e.LastError != nil && strings.Contains(strings.ToLower(*e.LastError), strings.ToLower(f.Error))) &&
		(f.Since == "" || !e.ReceivedAt.Before(store.MomentTime(f.Since))) &&
		(f.Until == "" || e.ReceivedAt.Before(store.MomentTime(f.Until)))
}

// pagedEvents pages through a list whose pages may be short.
func pagedEvents(t *rapid.T, s *store.Store, f store.EventFilter) (all []store.Event) {
	t.Helper()
	for range 3000 {
		page, next, err := New(s).Events(context.Background(), f)
		if err != nil || len(page) > f.Limit {
			t.Fatalf("%+v: %d events, %v", f, len(page), err)
		}
		if all = append(all, page...); next == "" {
			return all
		}
		f.Cursor = next
	}
	t.Fatalf("%+v: paging does not end", f)
	return nil
}

// anyFilter draws a filter; most are met by something.
func anyFilter(rt *rapid.T) store.EventFilter {
	moment := rapid.Custom(func(rt *rapid.T) string {
		if rapid.IntRange(0, 2).Draw(rt, "any") > 0 {
			return ""
		}
		return began.Add(time.Duration(rapid.IntRange(-5, 3200).Draw(rt, "minutes"))*time.Minute +
			time.Duration(rapid.IntRange(0, 59).Draw(rt, "seconds"))*time.Second).Format(time.RFC3339)
	})
	return store.EventFilter{
		Source: rapid.SampledFrom(append(store.Sources, "", "")).Draw(rt, "source"),
		Status: rapid.SampledFrom(append(statuses, "", "")).Draw(rt, "status"),
		Type: rapid.SampledFrom([]string{"", "", "user.created", "invoice.paid", "charge.failed", "Zed", "no'such"}).Draw(
			rt, "type"),
		EventID: rapid.SampledFrom([]string{"", "", "", "", "", "evt_1", "evt_250", "7", "evt_none",
			"99999999999999999999"}).Draw(rt, "id"),
		Query: rapid.SampledFrom([]string{"", "", "", "no3@x.example", "NO3@x.example evt_250", "no1@x.example no2@x.example",
			"o3@x.example", "7", "%"}).Draw(rt, "query"),
		Store: rapid.SampledFrom([]string{"", "", "", "sub_1", "evt_1", "7", "sub_9"}).Draw(rt, "store"),
		Error: rapid.SampledFrom([]string{"", "", "", "", "%", "_", `\`, "DEADLOCK", "a_b", "wrong", "none such", "e"}).Draw(
			rt, "error"),
		Since: moment.Draw(rt, "since"),
		Until: moment.Draw(rt, "until"),
		Limit: rapid.IntRange(1, 60).Draw(rt, "limit"),
	}
}

// However a list is asked for, and wherever its walks end, it is what a plain
// filter leaves of all events.
func TestEventsRandomFilters(t *testing.T) {
	s, all := openMixed(t, 300)
	rapid.Check(t, func(rt *rapid.T) {
		f := anyFilter(rt)
		s.WalkBudget = rapid.SampledFrom([]int{1, 10, 5000}).Draw(rt, "budget")
		var want []store.Event
		for _, e := range all {
			if meant(f, e) {
				want = append(want, e)
			}
		}
		if diff := gocmp.Diff(want, pagedEvents(rt, s, f)); diff != "" {
			rt.Fatalf("%+v: -want +got\n%s", f, diff)
		}
	})
}

// What is counted is what is opened, in portions as at once, and it is what the
// list showed of those statuses.
func TestReopenWhatWasListed(t *testing.T) {
	s, all := openMixed(t, 300)
	retry, replay := []string{"failed"}, []string{"failed", "ignored", "processed"}
	rapid.Check(t, func(rt *rapid.T) {
		f := anyFilter(rt)
		r := f.Reopen(time.Now(), slices.Clone(rapid.SampledFrom([][]string{retry, replay}).Draw(rt, "statuses"))...)
		if len(r.Statuses) == 0 {
			return
		}
		var want []int64
		for _, e := range slices.Backward(all) {
			if meant(f, e) && slices.Contains(r.Statuses, e.Status) {
				want = append(want, e.ID)
			}
		}
		n, through, err := s.CountReopen(context.Background(), r, 1000)
		if err != nil || n != int64(len(want)) {
			rt.Fatalf("%+v: counted %d, want %d: %v", f, n, len(want), err)
		}
		r.Through, r.Most = through, rapid.IntRange(1, 100).Draw(rt, "most")
		got := reopenUndone(rt, s, r)
		if diff := gocmp.Diff(want, got); diff != "" {
			rt.Fatalf("%+v: -want +got\n%s", f, diff)
		}
	})
}

// reopenUndone opens events in portions, and puts them back as they were.
func reopenUndone(t *rapid.T, s *store.Store, r store.ReopenFilter) (ids []int64) {
	t.Helper()
	exec := func(sql string) {
		if _, err := s.Pool.Exec(context.Background(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE TABLE before AS SELECT * FROM webhook_events`)
	defer func() {
		exec(`TRUNCATE webhook_events`)
		exec(`INSERT INTO webhook_events OVERRIDING SYSTEM VALUE SELECT * FROM before`)
		exec(`DROP TABLE before`)
	}()
	for {
		opened, err := s.Reopen(context.Background(), r)
		if err != nil || len(opened) > r.Most {
			t.Fatalf("%d %v", len(opened), err)
		}
		for _, e := range opened {
			ids = append(ids, e.ID)
		}
		if len(opened) < r.Most {
			return ids
		}
		r.After = opened[len(opened)-1].ID
	}
}

func TestEventFilterValues(t *testing.T) {
	f := store.EventFilter{Source: "stripe", Status: "failed", Type: "a&b", EventID: "evt_1", Store: "a b", Error: "x y",
		Since: "3d", Until: "2026-01-02", Limit: 7}
	got, err := store.ParseEventFilter(f.Values())
	if diff := gocmp.Diff(f, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	for age, want := range map[string]string{"12h": "2026-03-31T00:00:00Z", "31d": "2026-02-28T12:00:00Z",
		"2w": "2026-03-17T12:00:00Z", "99999w": "0109-09-24T12:00:00Z", "2026-01-02": "2026-01-02", "": ""} {
		if got := (store.EventFilter{Since: age}).At(now).Since; got != want {
			t.Errorf("%s: %s, want %s", age, got, want)
		}
	}
}
