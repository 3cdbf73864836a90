package history

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/internal/testing/stripefake"
	"rollcall/store"
)

// The events that Stripe lists become what the webhooks would have left.
func TestEvents(t *testing.T) {
	fake := stripefake.New(t)
	paths, err := filepath.Glob("../testdata/fixtures/stripe/*.json")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var e struct {
			ID, Type, Object, Account string
		}
		if json.Unmarshal(raw, &e) == nil && e.Object == "event" && e.Account == "" {
			fake.Add("", raw)
			want[e.ID] = e.Type != "charge.updated"
		}
	}
	c := config(fake)
	since := time.Unix(begin, 0)
	c.Options.Since = &since
	future := asOf.AddDate(1, 0, 0)
	c.Options.AsOf = &future
	r := readAll(t, newEvents(t, c), 7, 1)
	if len(r.items) != len(want) || len(r.items) < 50 {
		t.Fatalf("%d items of %d events", len(r.items), len(want))
	}
	for _, item := range r.items {
		if item.Err != nil {
			t.Errorf("%s: %v", item.Place, item.Err)
		}
		if item.Event != nil && !want[item.Place] {
			t.Errorf("%s is of no use, and was taken", item.Place)
		}
	}
}

func TestEnvelope(t *testing.T) {
	fake := stripefake.New(t)
	event := func(id string, more stripefake.Object) stripefake.Object {
		return object("event", id, asOf.Unix()-60, stripefake.Object{"type": "customer.created", "api_version": "2023-10-16"},
			more)
	}
	fake.Add("acct_1",
		event("evt_1", nil), event("evt_named", stripefake.Object{"account": "acct_2"}),
		event("evt_null", stripefake.Object{"api_version": nil}),
		event("evt_useless", stripefake.Object{"type": "payout.paid"}),
		event("evt_live", stripefake.Object{"livemode": true}),
		event("evt_long", stripefake.Object{"type": strings.Repeat("x", 300)}),
		event("evt_odd", stripefake.Object{"type": 7}),
		event("evt_old", stripefake.Object{"created": asOf.AddDate(0, 0, -31).Unix()}))
	c := config(fake)
	c.Options.Accounts, c.Mode = []string{"acct_1"}, "test"
	got, broken := map[string]store.NewEvent{}, ""
	for _, item := range readAll(t, newEvents(t, c), 10, 1).items {
		if item.Err != nil {
			broken += item.Place + " "
		}
		if item.Event != nil {
			if !json.Valid(item.Event.Payload) || !strings.Contains(string(item.Event.Payload), item.Event.EventID) {
				t.Errorf("%s: payload %s", item.Place, item.Event.Payload)
			}
			item.Event.Payload = nil
			got[item.Event.EventID] = *item.Event
		}
	}
	live := false
	said := func(id, account, version string) store.NewEvent {
		return store.NewEvent{Source: "stripe", EventID: id, Type: "customer.created", Account: account, APIVersion: version,
			Livemode:   &live,
			OccurredAt: asOf.Add(-time.Minute).UTC()}
	}
	want := map[string]store.NewEvent{
		"evt_1": said("evt_1", "acct_1", "2023-10-16"), "evt_named": said("evt_named", "acct_2", "2023-10-16"),
		"evt_null": said("evt_null", "acct_1", ""),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if broken != "evt_odd acct_1 evt_long acct_1 " && broken != "evt_long acct_1 evt_odd acct_1 " {
		t.Errorf("broken: %q", broken)
	}
	for _, created := range []string{"0", "-5", "1e15", "null"} {
		if e, err := readEnvelope("", json.RawMessage(`{"id":"evt_1","type":"x","created":`+created+`}`)); err == nil {
			t.Errorf("created %s: %+v", created, e)
		}
	}
}
