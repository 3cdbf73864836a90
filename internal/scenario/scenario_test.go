package scenario

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestLoad: every event is one of its own, has happened, and can be read; two
// readings are alike; nobody is on a list and said to be on none.
func TestLoad(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 5, 0, 0, time.UTC)
	s, again := load(t, now), load(t, now)
	seen := map[string]bool{}
	for i, e := range append(s.Events, s.Past...) {
		switch {
		case seen[e.ID]:
			t.Errorf("%s comes twice", e.ID)
		case !json.Valid(e.Body):
			t.Errorf("%s is no JSON", e.ID)
		case e.At.After(now):
			t.Errorf("%s (%s) has not happened yet", e.ID, e.Type)
		case string(append(again.Events, again.Past...)[i].Body) != string(e.Body):
			t.Errorf("%s differs when read again", e.ID)
		case moment.Match(e.Body):
			t.Errorf("%s has a time left as it is recorded: %s", e.ID, e.Body)
		}
		seen[e.ID] = true
	}
	if len(s.Stores) != 4 || len(s.Events) < 100 || len(s.Past) < 100 || len(s.Absent) == 0 || len(s.Backfills) != 2 {
		t.Errorf("%d stores, %d events, %d past, %d absent, %d backfills", len(s.Stores), len(s.Events), len(s.Past),
			len(s.Absent), len(s.Backfills))
	}
	for _, store := range s.Stores {
		for _, c := range store.Customers {
			if c["store"] != store.Row["store"] || c["first_seen"] == "" || c["last_activity"] < c["first_seen"] ||
				c["source"] == "" {
				t.Errorf("%s: not whole: %+v", store.Row["name"], c)
			}
			for _, a := range s.Absent {
				if a["name"] == c["name"] {
					t.Errorf("%s is on the list of %s and on none", a["name"], store.Row["name"])
				}
			}
		}
	}
}

func load(t *testing.T, now time.Time) *Scenario {
	t.Helper()
	s, err := Load(now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The year is the same each time but for when it is, and says something: people buy again, subscribe and leave.
func TestYear(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 5, 0, 0, time.UTC)
	year := Year(now)
	if diff := cmp.Diff(year, Year(now)); diff != "" {
		t.Errorf("differs when drawn again: %s", diff)
	}
	buyers := map[string]int{}
	for _, p := range year.Payments {
		if p.PaidAt.After(now) || p.PaidAt.Before(now.AddDate(0, 0, -420)) {
			t.Errorf("%s was paid at %v", p.ID, p.PaidAt)
		}
		if p.Subscription == "" {
			buyers[p.Email]++
		}
	}
	again := 0
	for _, times := range buyers {
		if times > 1 {
			again++
		}
	}
	if len(buyers) < 250 || again < 100 || len(year.Subscriptions) < 100 || len(year.Refunds) < 10 {
		t.Errorf("%d buyers, %d of them again, %d messages of subscriptions, %d refunds", len(buyers), again,
			len(year.Subscriptions), len(year.Refunds))
	}
}

func TestAt(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"40m": "2026-03-01T11:20:00Z", "2d3h": "2026-02-27T09:00:00Z", "2d3h+5s": "2026-02-27T09:00:05Z",
		"-3d": "2026-03-04T12:00:00Z", "-12d1h": "2026-03-13T11:00:00Z",
	} {
		if got, err := at(text, now); err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%s is %v (%v), want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "2x", "d", "1d2", "2d+x"} {
		if got, err := at(text, now); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestDated(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for source, want := range map[string]string{
		"stripe": `{"a":1772280000,"email":"a@b"}`, "clerk": `{"a":1772280000000,"email":"a@b"}`,
		"platform": `{"a":"2026-02-28T12:00:00Z","email":"a@b"}`,
	} {
		if got, err := dated([]byte(`{"a":"@1d","email":"a@b"}`), source, now); err != nil || string(got) != want {
			t.Errorf("%s: %s (%v)", source, got, err)
		}
	}
}
