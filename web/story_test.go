package web

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/facts"
	"rollcall/internal/scenario"
	"rollcall/store"
	"rollcall/store/customers"
)

// tell has the demo's scenario and the samples of real payloads told to a site, as
// far as they have an end, and returns its stores.
func (x *site) tell(t testing.TB) (stores []string) {
	t.Helper()
	told, err := scenario.Load(now)
	if err != nil {
		t.Fatal(err)
	}
	var events []store.NewEvent
	for _, e := range told.Events {
		events = append(events, store.NewEvent{Source: e.Source, EventID: e.ID, Type: e.Type, OccurredAt: e.At,
			Payload: e.Body})
	}
	for _, s := range told.Stores[:len(told.Stores)-1] { // the last is that of the past
		stores = append(stores, s.Row["store"])
	}
	x.apply(t, append(events, samples(t)...))
	return append(stores, "k57aurorastore00000000000000000a")
}

// samples are the payloads in testdata.
func samples(t testing.TB) (events []store.NewEvent) {
	t.Helper()
	const folder = "../testdata/fixtures"
	var manifest struct {
		Events []struct {
			File, Type, Account string
			EventID             string `json:"event_id"`
			Created             int64
		}
	}
	raw, err := os.ReadFile(filepath.Join(folder, "manifest.json"))
	if err == nil {
		err = json.Unmarshal(raw, &manifest)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range manifest.Events {
		payload, err := os.ReadFile(filepath.Join(folder, e.File))
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, store.NewEvent{Source: filepath.Dir(e.File), EventID: e.EventID, Type: e.Type,
			Account:    e.Account,
			OccurredAt: time.Unix(e.Created, 0), Payload: payload})
	}
	return events
}

func (x *site) apply(t testing.TB, events []store.NewEvent) {
	t.Helper()
	in, err := x.Cfg.Store.InsertEvents(t.Context(), events)
	if err != nil {
		t.Fatal(err)
	}
	var ids []int64
	for _, row := range in {
		ids = append(ids, row.ID)
	}
	if out, err := x.Cfg.Store.Apply(t.Context(), ids, 0, facts.Read); err != nil || len(out.Malformed) > 0 {
		t.Fatalf("%+v %v", out, err)
	}
}

// TestStoryAsDescribed asks for everything there is of a marketplace that has
// all there can be: each answer is held against its description by send.
func TestStoryAsDescribed(t *testing.T) {
	x := open(t, nil)
	people, events := 0, 0
	for _, s := range x.tell(t) {
		at := "/api/stores/" + url.PathEscape(s)
		for _, c := range pages[customers.Customer](t, x, at+"/customers?limit=7") {
			people++
			one := at + "/customers/" + c.ID
			x.get(t, one, asAdmin)
			x.get(t, one+"/explain", asAdmin)
			x.send(t, "POST", one+"/notes", `{"body": "x"}`, asAdmin, asJSON)
			if happened := pages[customers.Entry](t, x, one+"/timeline?limit=9"); len(happened) < 2 {
				t.Errorf("%s: %+v", one, happened)
			}
		}
		for _, filter := range []string{"", "?type=subscription", "?status=inactive&sort=-spent", "?q=mix"} {
			x.get(t, at+"/customers"+filter, asAdmin)
			if got := x.get(t, at+"/customers.csv"+filter, asAdmin); strings.Count(got.text, "\r\n") < 1 {
				t.Errorf("%s: %s", at+filter, got.text)
			}
		}
		x.get(t, at+"/stats", asAdmin)
	}
	for _, e := range pages[store.Event](t, x, "/api/admin/events?limit=100") {
		if events++; events%10 == 0 { // their forms are few
			x.get(t, fmt.Sprint("/api/admin/events/", e.ID), asAdmin)
		}
	}
	if people < 30 || events < 200 {
		t.Errorf("%d people, %d events: the scenario has more", people, events)
	}
}
