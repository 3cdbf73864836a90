package story_test

import (
	"encoding/json"
	"testing"
	"time"

	"rollcall/cmd/rollcall/story"
)

// TestTell: every event is one of its own, has happened, and can be read; two
// tellings are alike; nobody is on a list and said to be on none.
func TestTell(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 5, 0, 0, time.UTC)
	told, again := story.Tell(now), story.Tell(now)
	seen := map[string]bool{}
	for i, e := range told.Events {
		switch {
		case seen[e.ID]:
			t.Errorf("%s comes twice", e.ID)
		case !json.Valid(e.Body):
			t.Errorf("%s is no JSON", e.ID)
		case e.At.After(now):
			t.Errorf("%s (%s) has not happened yet", e.ID, e.Type)
		case string(again.Events[i].Body) != string(e.Body):
			t.Errorf("%s differs when told again", e.ID)
		}
		seen[e.ID] = true
	}
	if len(told.Stores) != 3 || len(told.Events) < 100 {
		t.Errorf("%d stores, %d events", len(told.Stores), len(told.Events))
	}
	for _, s := range told.Stores {
		for _, c := range s.Customers {
			if c.FirstSeen.IsZero() || c.LastActivity.Before(c.FirstSeen) || c.SourceKind == "" {
				t.Errorf("%s: %s is not told whole: %+v", s.Name, c.Email, c)
			}
			for _, a := range told.Absent {
				if a.Name == c.Name {
					t.Errorf("%s is on the list of %s and on none", a.Name, s.Name)
				}
			}
		}
	}
}

// TestPast: the past is told whole too, and shares no id with the story.
func TestPast(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 5, 0, 0, time.UTC)
	past := story.Past(now)
	ids := map[string]bool{}
	for _, e := range story.Tell(now).Events {
		ids[e.ID] = true
	}
	for _, e := range past.Events {
		if ids[e.ID] || !json.Valid(e.Body) || e.At.After(now) {
			t.Errorf("%s (%s, %v): told before, or not well", e.ID, e.Type, e.At)
		}
		ids[e.ID] = true
	}
	if len(past.Stores) != 1 || len(past.Stores[0].Customers) != story.PastCoursesNew+story.PastSubscribers {
		t.Fatalf("%+v", past.Stores)
	}
	for _, c := range past.Stores[0].Customers {
		if c.FirstSeen.IsZero() || c.LastActivity.Before(c.FirstSeen) || c.SourceKind == "" {
			t.Errorf("%s is not told whole: %+v", c.Email, c)
		}
	}
}
