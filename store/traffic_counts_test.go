package store_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"rollcall/store"
)

// Minutes come to the same as their hours, whatever is counted and in how many pieces: deliveries,
// their networks, and what workers did.
func TestMinutesAddUpToHours(t *testing.T) {
	s, url := openURL(t)
	begin := time.Date(2026, 1, 12, 10, 0, 0, 0, time.UTC)
	rapid.Check(t, func(r *rapid.T) {
		for range rapid.IntRange(1, 4).Draw(r, "writes") {
			var deliveries []store.Counted
			var work []store.Worked
			for range rapid.IntRange(0, 8).Draw(r, "counts") {
				at := begin.Add(time.Duration(rapid.IntRange(0, 3*3600).Draw(r, "second")) * time.Second)
				source := rapid.SampledFrom(store.Sources).Draw(r, "source")
				n := int64(rapid.IntRange(1, 9).Draw(r, "count"))
				deliveries = append(deliveries, store.Counted{
					Delivered: store.Delivered{Source: source, Outcome: rapid.SampledFrom([]string{store.Accepted,
						store.BadSignature}).Draw(r, "outcome"), Count: n, First: at, Last: at},
					Network: rapid.SampledFrom([]string{"203.0.113.0/24", store.Elsewhere}).Draw(r, "network"),
					Secrets: rapid.SampledFrom([]string{"", "00c0ffee"}).Draw(r, "secrets"),
				})
				took := time.Duration(rapid.IntRange(0, 100_000).Draw(r, "ms")) * time.Millisecond
				work = append(work, store.Worked{Source: source, Minute: at.Truncate(time.Minute), Count: n,
					Failed: rapid.Bool().Draw(r, "failed"), UpTo: store.LatencyBucket(took), Total: took})
			}
			if err := s.CountDeliveries(t.Context(), deliveries); err != nil {
				r.Fatal(err)
			}
			if err := s.CountWork(t.Context(), work); err != nil {
				r.Fatal(err)
			}
		}
		for what, sides := range map[string][2]string{
			"minutes": {`SELECT source, hour, outcome, sum(count) FROM webhook_deliveries GROUP BY 1, 2, 3`,
				`SELECT source, date_trunc('hour', minute, 'UTC'), outcome, sum(count) FROM webhook_minutes GROUP BY 1, 2, 3`},
			"networks": {`SELECT source, hour, outcome, sum(count) FROM webhook_deliveries GROUP BY 1, 2, 3`,
				`SELECT source, hour, outcome, sum(count) FROM webhook_networks GROUP BY 1, 2, 3`},
			"work": {`SELECT at, source, outcome, up_to_ms, sum(count), sum(total_ms) FROM event_work WHERE span = 'hour'
				GROUP BY 1, 2, 3, 4`, `SELECT date_trunc('hour', at, 'UTC'), source, outcome, up_to_ms, sum(count), sum(total_ms)
				FROM event_work WHERE span = 'minute' GROUP BY 1, 2, 3, 4`},
		} {
			off := fmt.Sprintf(`SELECT count(*)::text FROM ((%[1]s EXCEPT %[2]s) UNION ALL (%[2]s EXCEPT %[1]s)) off`,
				"("+sides[0]+")", "("+sides[1]+")")
			if got := query(t, url, off)[0]; got != "0" {
				r.Fatalf("%s: %s rows differ", what, got)
			}
		}
	})
}

// The secrets that matched are told from those that never did; what was refused is added up.
func TestSecretsThatMatched(t *testing.T) {
	s, url := openURL(t)
	at := time.Date(2026, 1, 12, 10, 0, 0, 0, time.UTC)
	count := func(secrets, outcome string, minute int) {
		t.Helper()
		seen := at.Add(time.Duration(minute) * time.Minute)
		if err := s.CountDeliveries(t.Context(), []store.Counted{{Secrets: secrets, Delivered: store.Delivered{
			Source: "stripe", Outcome: outcome, Count: 2, First: seen, Last: seen}}}); err != nil {
			t.Fatal(err)
		}
	}
	count("0000000a", store.BadSignature, 0)
	count("0000000a", store.BadSignature, 5)
	count("0000000b", store.BadSignature, 6)
	count("0000000b", store.Accepted, 9)
	count("0000000b", store.Duplicate, 7)
	count("", store.BadSignature, 8)
	got := query(t, url, `SELECT string_agg(concat_ws(' ', secrets, to_char(verified_at, 'MI'), refused,
		to_char(first_refused_at, 'MI'), to_char(last_refused_at, 'MI'), to_char(last_verified_at, 'MI')), ', '
		ORDER BY secrets)
		FROM webhook_secrets`)[0]
	if got != "0000000a 4 00 05, 0000000b 07 2 06 06 09" {
		t.Error(got)
	}
}

// However often it is asked to, one look in ten seconds counts what waits; the most of a minute is kept.
func TestWaitingIsSampled(t *testing.T) {
	s, url := openURL(t)
	sample := func() {
		t.Helper()
		for range 3 {
			if err := s.SampleWaiting(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	waits := func(n int) {
		query(t, url, fmt.Sprintf(`INSERT INTO webhook_events (source, event_id, type, occurred_at, payload)
			SELECT 'clerk', gen_random_uuid(), 'x', now(), '{}' FROM generate_series(1, %d) RETURNING 'x'`, n))
	}
	later := func() {
		query(t, url, `UPDATE inbox_samples SET taken_at = taken_at - interval '11 s' RETURNING 'x'`)
	}
	is := func(want string) { // of each span; the minute, or the hour, may be over on the way
		t.Helper()
		got := query(t, url, `SELECT string_agg(span || ' ' || most, ', ')
			FROM (SELECT span, max(waiting) AS most FROM inbox_samples GROUP BY span ORDER BY span) s`)[0]
		if want = fmt.Sprintf("hour %[1]s, minute %[1]s", want); got != want {
			t.Errorf("%s waited, want %s", got, want)
		}
	}
	waits(2)
	sample()
	is("2")
	waits(3)
	sample() // too soon
	is("2")
	later()
	sample()
	is("5")
	later()
	query(t, url, `UPDATE webhook_events SET status = 'processed', processed_at = now() RETURNING 'x'`)
	sample()
	is("5")
}
