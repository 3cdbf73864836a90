package store

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"pgregory.net/rapid"

	"rollcall/facts"
	"rollcall/internal/testing/testdb"
)

// textsIn are the texts in decoded JSON, but for keys.
func textsIn(value any) (texts []string) {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		for _, inner := range v {
			texts = append(texts, textsIn(inner)...)
		}
	case map[string]any:
		for _, inner := range v {
			texts = append(texts, textsIn(inner)...)
		}
	}
	return texts
}

// Reading the bytes of a payload once finds the texts that a parser finds.
func TestEachStringIsWhatAParserFinds(t *testing.T) {
	var drawn func(depth int) *rapid.Generator[any]
	drawn = func(depth int) *rapid.Generator[any] {
		kinds := []*rapid.Generator[any]{rapid.String().AsAny(), rapid.Int().AsAny(),
			rapid.SampledFrom([]string{`a"b`, `\`, `\"`, "a@b.example", "{}", `":`, "\u2028"}).AsAny()}
		if depth > 0 {
			kinds = append(kinds, rapid.SliceOf(drawn(depth-1)).AsAny(),
				rapid.MapOf(rapid.String(), drawn(depth-1)).AsAny())
		}
		return rapid.OneOf(kinds...)
	}
	rapid.Check(t, func(rt *rapid.T) {
		payload, err := json.Marshal(drawn(3).Draw(rt, "payload"))
		if err != nil {
			rt.Fatal(err)
		}
		if rapid.Bool().Draw(rt, "spaced") {
			var value any
			_ = json.Unmarshal(payload, &value)
			payload, _ = json.MarshalIndent(value, " ", "\t")
		}
		var value any
		if err := json.Unmarshal(payload, &value); err != nil {
			rt.Fatal(err)
		}
		want, got := textsIn(value), []string(nil)
		eachString(string(payload), func(_, text string) { got = append(got, text) })
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("%s: -want +got\n%s", payload, diff)
		}
	})
}

// What operators search for leads to an event, and what is in every event does not.
func TestTermsOfAnEvent(t *testing.T) {
	for _, c := range []struct {
		event facts.Event
		found []string
		not   []string
	}{
		{facts.Event{Source: "stripe", Account: "acct_9", Payload: []byte(`{"id":"evt_1","object":"event","data":{"object":{
			"id":"cs_test_a1","payment_intent":"pi_1","customer":"cus_1","subscription": "sub_1","mode":"payment",
			"customer_details":{"email":"Ann\u0040X.example"},"client_reference_id":"user_7",
			"metadata":{"storeId":"aurora","courseId":"mixing"},"price":{"id":"price_1"}}}}`)},
			[]string{"acct_9", "cs_test_a1", "pi_1", "cus_1", "sub_1", "ann@x.example", "user_7", "aurora", "mixing", "PI_1"},
			[]string{"evt_1", "price_1", "payment", "payment_intent", "mode", ""}},
		{facts.Event{Source: "platform", Payload: []byte(`{"type":"product.upserted","data":{"id":"mixing",
			"store_id":"aurora","title":"Mixing"}}`)},
			[]string{"mixing", "aurora"}, []string{"product.upserted", "title"}},
		{facts.Event{Source: "clerk", Payload: []byte(`{"data":{"id":"user_1","email_addresses":[{"id":"idn_1",
			"email_address":"a@b.example"}]},"object":"event"}`)},
			[]string{"user_1", "a@b.example"}, []string{"idn_1", "event"}},
	} {
		terms := termsIn(c.event)
		if len(slices.Compact(slices.Sorted(slices.Values(terms)))) != len(terms) {
			t.Errorf("%s: a term twice", c.event.Payload)
		}
		for _, text := range c.found {
			if !slices.Contains(terms, Names{text}.Terms()[0]) {
				t.Errorf("%s: not found by %s", c.event.Payload, text)
			}
		}
		for _, text := range c.not {
			if slices.Contains(terms, Term(text)) {
				t.Errorf("%s: found by %q", c.event.Payload, text)
			}
		}
	}
}

// terms lists the events that have terms.
func (s *Store) termed(t *testing.T) (ids []int64) {
	t.Helper()
	rows, err := s.Pool.Query(t.Context(), `SELECT DISTINCT event_id FROM event_terms ORDER BY event_id`)
	if err == nil {
		ids, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	}
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// index writes all terms that are missing, and returns in how many steps.
func (s *Store) index(t *testing.T) (steps int) {
	t.Helper()
	for worked := true; worked; steps++ {
		var err error
		if worked, err = s.IndexEvents(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return steps
}

// An event gets its terms once it is not pending any more, however it came to that, the newest
// first and in chunks, and loses them with its payload. A worker may be of a version that knows
// nothing of them.
func TestClosedEventsGetTerms(t *testing.T) {
	defer func(n int) { indexChunk = n }(indexChunk)
	indexChunk = 7
	s := opened(t, testdb.Inbox(t, 40))
	run := func(sql string) {
		t.Helper()
		if _, err := s.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	run(`UPDATE webhook_events SET status = 'pending', processed_at = NULL, payload = '{"email":"a@b.example"}',
		received_at = now() - id * interval '1 day'`)
	s.index(t)
	if got := s.termed(t); len(got) > 0 {
		t.Errorf("pending ones have terms: %v", got)
	}
	run(`UPDATE webhook_events SET status = 'processed', processed_at = now(), last_error = NULL WHERE id <= 20`)
	run(`UPDATE webhook_events SET status = 'ignored', processed_at = now() WHERE id BETWEEN 21 AND 25`)
	cause := &pgconn.PgError{Code: "22P02"} // permanent
	if status, err := s.MarkAttempt(t.Context(), 26, cause); status != "failed" || err != nil {
		t.Fatal(status, err)
	}
	if worked, err := s.IndexEvents(t.Context()); !worked || err != nil {
		t.Fatal(worked, err)
	}
	if got := s.termed(t); !slices.Equal(got, []int64{20, 21, 22, 23, 24, 25, 26}) {
		t.Errorf("first: %v", got)
	}
	if steps := s.index(t); steps != 4 || len(s.termed(t)) != 26 { // 7, 7, 5, and nothing
		t.Errorf("%v after %d more steps", s.termed(t), steps)
	}
	run(`UPDATE webhook_events SET status = 'pending', processed_at = NULL WHERE id <= 5`)
	run(`UPDATE webhook_events SET status = 'processed', processed_at = now() WHERE id <= 5`)
	run(`UPDATE webhook_events SET payload = NULL, pruned_at = now(), pruned_for = 'age', headers = NULL WHERE id <= 8`)
	s.index(t)
	if got := s.termed(t); len(got) != 18 || got[0] != 9 {
		t.Errorf("those whose payload is gone have terms: %v", got)
	}
	if _, _, err := s.PruneOld(t.Context(), time.Time{}, 15*24*time.Hour, 100); err != nil {
		t.Fatal(err)
	}
	if got := s.termed(t); got[0] <= 8 || slices.Contains(got, 20) || !slices.Contains(got, 26) {
		t.Errorf("after pruning: %v", got)
	}
}
