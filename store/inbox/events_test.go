package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"rollcall/internal/testing/storetest"
	"rollcall/internal/testing/testdb"
	"rollcall/store"
	"rollcall/store/pg"
	"rollcall/store/status"
)

var statuses = []string{"pending", "processed", "ignored", "failed"}

// openInbox opens a store with n events, of every source, status and type.
func openInbox(t *testing.T, n int) (*store.Store, []store.Event) {
	t.Helper()
	s := storetest.OpenAt(t, testdb.Inbox(t, n))
	return s, allEvents(t, s, store.EventFilter{Limit: pg.MaxLimit})
}

// allEvents pages through a list.
func allEvents(t *testing.T, s *store.Store, f store.EventFilter) (all []store.Event) {
	t.Helper()
	for {
		page, next, err := New(s).Events(t.Context(), f)
		if err != nil || len(page) > f.Limit || next != "" && len(page) < f.Limit || page == nil {
			t.Fatalf("%+v: %d events, next %q, %v", f, len(page), next, err)
		}
		all = append(all, page...)
		if next == "" {
			return all
		}
		f.Cursor = next
	}
}

func TestEventsEveryFilter(t *testing.T) {
	s, all := openInbox(t, 60)
	if len(all) != 60 || all[0].ID <= all[59].ID {
		t.Fatalf("%d events, newest first: %d, %d", len(all), all[0].ID, all[59].ID)
	}
	for _, source := range append(store.Sources, "") {
		for _, status := range append(statuses, "") {
			for _, kind := range []string{"", "user.created", "no'such"} {
				var want []store.Event
				for _, e := range all {
					if (source == "" || e.Source == source) && (status == "" || e.Status == status) && (kind == "" || e.Type == kind) {
						want = append(want, e)
					}
				}
				for _, limit := range []int{1, 7, 100} {
					f := store.EventFilter{Source: source, Status: status, Type: kind, Limit: limit}
					if diff := gocmp.Diff(want, allEvents(t, s, f)); diff != "" {
						t.Errorf("%+v: -want +got\n%s", f, diff)
					}
				}
			}
		}
	}
}

func TestEventJSON(t *testing.T) {
	s, all := openInbox(t, 3)
	e, err := New(s).Event(t.Context(), "evt_0")
	if err != nil || string(e.Payload) != `{"b": 1,  "a":"<\u0000>"}` {
		t.Fatalf("%s %v", e.Payload, err)
	}
	e.ReceivedAt, e.ProcessedAt = time.Date(2026, 1, 1, 0, 0, 1, 0, time.UTC),
		store.Ptr(time.Date(2026, 1, 1, 0, 0, 2, 0, time.UTC))
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(
		`{"id":%d,"source":"stripe","event_id":"evt_0","type":"user.created","account":"acct_1","api_version":"2023-10-16",`+
			`"livemode":true,`+
			`"occurred_at":"2026-01-01T00:00:00Z","received_at":"2026-01-01T00:00:01Z","status":"processed","attempts":1,`+
			`"last_error":null,`+
			`"processed_at":"2026-01-01T00:00:02Z","payload":{"b":1,"a":"\u003c\u0000\u003e"}}`, e.ID)
	if diff := gocmp.Diff(want, string(text)); diff != "" {
		t.Error(diff)
	}
	if text, err := json.Marshal(all[0]); err != nil || strings.Contains(string(text), "payload") {
		t.Errorf("a list shows payloads: %s %v", text, err)
	}
}

func TestEventByRef(t *testing.T) {
	s, all := openInbox(t, 3)
	// A sender whose ids are numbers: the inbox's own id goes first.
	in, err := s.InsertEvents(t.Context(),
		[]store.NewEvent{{Source: "platform", EventID: fmt.Sprint(all[2].ID), Payload: []byte(`{}`)},
			{Source: "platform", EventID: "7000", Payload: []byte(`{}`)},
			{Source: "clerk", EventID: "evt_0", Payload: []byte(`{}`)}})
	if err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]int64{fmt.Sprint(all[2].ID): all[2].ID, "7000": in[1].ID, "evt_1": all[1].ID,
		"evt_0": in[2].ID, fmt.Sprint(in[0].ID): in[0].ID} {
		if e, err := New(s).Event(t.Context(), ref); err != nil || e.ID != want {
			t.Errorf("%s: %d %v, want %d", ref, e.ID, err, want)
		}
	}
	for _, ref := range []string{"", "0", "evt_x", "99999999999999999999", "a\x00", "\xff"} {
		if _, err := New(s).Event(t.Context(), ref); !errors.Is(err, pg.ErrNotFound) {
			t.Errorf("%q: %v", ref, err)
		}
	}
}

func TestEventCounts(t *testing.T) {
	empty, _ := openInbox(t, 0)
	counts, err := status.New(empty).EventCounts(t.Context())
	if diff := gocmp.Diff(map[string]int64{"pending": 0, "processed": 0, "ignored": 0, "failed": 0}, counts); err != nil ||
		diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	s, all := openInbox(t, 1000)
	want := map[string]int64{}
	for _, e := range all {
		want[e.Status]++
	}
	for _, sql := range []string{`SELECT`, `ANALYZE webhook_events`} {
		if _, err := s.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
		counts, err = status.New(s).EventCounts(t.Context())
		if diff := gocmp.Diff(want, counts); err != nil || diff != "" {
			t.Errorf("after %s: %v %s", sql, err, diff)
		}
	}
	estimated, rough, err := status.New(s).CountEvents(t.Context(), 10, nil)
	if err != nil || !slices.Equal(rough, []string{"processed"}) || estimated["pending"] != want["pending"] ||
		estimated["failed"] != want["failed"] || estimated["ignored"] != want["ignored"] ||
		estimated["processed"] < want["processed"]*9/10 || estimated["processed"] > want["processed"]*11/10 {
		t.Errorf("estimated %v for %v: %v", estimated, want, err)
	}
	capped, rough, err := status.New(s).CountEvents(t.Context(), 10, store.Ptr(50))
	if err != nil || !slices.Equal(rough, []string{"failed", "ignored", "pending", "processed"}) ||
		capped["pending"] != 50 || capped["failed"] != 50 || capped["ignored"] < want["ignored"] {
		t.Errorf("capped %v for %v: %q %v", capped, want, rough, err)
	}
}

func TestParseEventFilter(t *testing.T) {
	next := pg.Position{Sort: store.EventSort, ID: 9}.Encode()
	got, err := store.ParseEventFilter(url.Values{"source": {"stripe"}, "status": {"failed"}, "type": {"invoice.paid"},
		"limit": {"3"}, "cursor": {next}})
	if diff := gocmp.Diff(store.EventFilter{Source: "stripe", Status: "failed", Type: "invoice.paid", Cursor: next,
		Limit: 3}, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	for name, value := range map[string]string{"source": "paypal", "status": "open", "limit": "101", "cursor": "x",
		"shop": "a", "store": "\x00", "type": "\x00", "since": "yesterday", "until": "30m", "error": "\xff", "id": "\x00"} {
		var bad *pg.BadParam
		if _, err := store.ParseEventFilter(url.Values{name: {value}}); !errors.As(err, &bad) || bad.Name != name {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}

func TestReopen(t *testing.T) {
	retry, replay := []string{"failed"}, []string{"processed", "ignored", "failed"}
	for name, c := range map[string]struct {
		filter func(all []store.Event) store.ReopenFilter
		fits   func(i int, e store.Event) bool
	}{
		"retry all": {func([]store.Event) store.ReopenFilter { return store.ReopenFilter{Statuses: retry} },
			func(_ int, e store.Event) bool { return e.Status == "failed" }},
		"replay all": {func([]store.Event) store.ReopenFilter { return store.ReopenFilter{Statuses: replay} },
			func(_ int, e store.Event) bool { return e.Status != "pending" }},
		"replay by source": {
			func([]store.Event) store.ReopenFilter { return store.ReopenFilter{Statuses: replay, Source: "clerk"} },
			func(_ int, e store.Event) bool { return e.Status != "pending" && e.Source == "clerk" }},
		"replay by type": {func([]store.Event) store.ReopenFilter {
			return store.ReopenFilter{Statuses: replay, Type: "invoice.paid"}
		},
			func(_ int, e store.Event) bool { return e.Status != "pending" && e.Type == "invoice.paid" }},
		"replay by ids": {func(all []store.Event) store.ReopenFilter {
			return store.ReopenFilter{
				Statuses: replay, IDs: []int64{all[0].ID, all[1].ID, all[2].ID, all[3].ID, all[4].ID, 1 << 40}}
		}, func(i int, e store.Event) bool { return e.Status != "pending" && i < 5 }},
		"retry by no ids": {
			func([]store.Event) store.ReopenFilter { return store.ReopenFilter{Statuses: retry, IDs: []int64{}} },
			func(int, store.Event) bool { return false }},
		"retry later": {func([]store.Event) store.ReopenFilter {
			return store.ReopenFilter{Statuses: retry, Since: time.Now().Add(time.Hour)}
		}, func(int, store.Event) bool { return false }},
		"retry since": {func([]store.Event) store.ReopenFilter {
			return store.ReopenFilter{Statuses: retry, Since: time.Now().Add(-time.Hour)}
		}, func(_ int, e store.Event) bool { return e.Status == "failed" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, all := openInbox(t, 60)
			var want []store.Waiting
			for i, e := range all {
				if c.fits(i, e) {
					want = append(want, store.Waiting{ID: e.ID, Source: e.Source})
					all[i].Status, all[i].LastError, all[i].ProcessedAt = "pending", nil, nil
					all[i].Attempts = min(e.Attempts, 1)
				}
			}
			slices.Reverse(want)
			got, err := s.Reopen(t.Context(), c.filter(all))
			if diff := gocmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%v -want +got\n%s", err, diff)
			}
			if diff := gocmp.Diff(all, allEvents(t, s, store.EventFilter{Limit: pg.MaxLimit})); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestReopenManyInChunks(t *testing.T) {
	s, _ := openInbox(t, 0)
	_, err := s.Pool.Exec(t.Context(), `
		INSERT INTO webhook_events (source, event_id, type, occurred_at, payload, status, processed_at)
		SELECT 'stripe', 'evt_' || i, 'x', now(), '{}', 'processed', now()
		FROM generate_series(1, $1::int) i`, 2*store.ReopenChunk+1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Reopen(t.Context(), store.ReopenFilter{Statuses: []string{"processed"}})
	if err != nil || len(got) != 2*store.ReopenChunk+1 ||
		!slices.IsSortedFunc(got, func(a, b store.Waiting) int { return int(a.ID - b.ID) }) {
		t.Errorf("%d %v", len(got), err)
	}
}

func TestReopenRefuses(t *testing.T) {
	s, _ := openInbox(t, 5)
	for _, f := range []store.ReopenFilter{{}, {IDs: []int64{1}}, {Statuses: []string{"pending"}},
		{Statuses: []string{"failed"}, Source: "x"}, {Statuses: []string{"failed"}, Type: "\x00"}} {
		var bad *pg.BadParam
		if opened, err := s.Reopen(context.Background(), f); !errors.As(err, &bad) || len(opened) > 0 {
			t.Errorf("%+v: %v %v", f, opened, err)
		}
	}
}
