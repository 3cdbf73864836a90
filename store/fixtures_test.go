package store_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"rollcall/facts"
	"rollcall/store"
)

const fixtures = "../testdata/fixtures"

type manifest struct {
	Events []struct {
		File    string
		EventID string `json:"event_id"`
		Type    string
		Created int64
		Account *string
		Story   string
	}
}

func readManifest(t testing.TB) manifest {
	t.Helper()
	var m manifest
	raw, err := os.ReadFile(filepath.Join(fixtures, "manifest.json"))
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// fixtureEvents are all fixtures as inbox events.
func fixtureEvents(t testing.TB, keep func(story string) bool) []store.NewEvent {
	t.Helper()
	var out []store.NewEvent
	for _, e := range readManifest(t).Events {
		if !keep(e.Story) {
			continue
		}
		payload, err := os.ReadFile(filepath.Join(fixtures, e.File))
		if err != nil {
			t.Fatal(err)
		}
		n := store.NewEvent{Source: filepath.Dir(e.File), EventID: e.EventID, Type: e.Type, OccurredAt: time.Unix(e.Created, 0), Payload: payload}
		if e.Account != nil {
			n.Account = *e.Account
		}
		out = append(out, n)
	}
	return out
}

func TestFixturesAlone(t *testing.T) {
	s := open(t)
	ctx := context.Background()
	for _, e := range fixtureEvents(t, func(string) bool { return true }) {
		in, err := s.InsertEvents(ctx, []store.NewEvent{e})
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.Apply(ctx, []int64{in[0].ID}, facts.Read)
		if err != nil || out.Failed > 0 {
			t.Errorf("%s: %+v %v", e.EventID, out, err)
		}
	}
}
