package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/inbox"
)

// changed tells what became of an event's word, a line for each fact.
func changed(t testing.TB, s *store.Store, ref string) (lines []string) {
	t.Helper()
	event, err := inbox.New(s).Event(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	all, _, err := inbox.New(s).EventFacts(t.Context(), event, facts.Read)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		line := f.Ref + " " + f.Standing
		if f.Newer != nil {
			line += " " + f.Newer.Via
			if f.Newer.Event != nil {
				line += " " + f.Newer.Event.EventID
			}
		}
		for _, c := range f.Customers {
			line += " " + c.StoreID + "/" + c.Email
		}
		if f.Reason != nil {
			line += " " + *f.Reason
		}
		if (f.Reason == nil) != (f.Meaning == nil) {
			t.Errorf("%s: a reason without its meaning", f.Ref)
		}
		lines = append(lines, line)
	}
	return lines
}

func wantChanged(t *testing.T, s *store.Store, ref string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, changed(t, s, ref)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", ref, diff)
	}
}

// Each event's word on each fact is looked up: whether it stands, whose does if
// not, and on whose list the fact is.
func TestEventFacts(t *testing.T) {
	s, _ := openURL(t)
	var e teller
	user := e.user("user_1", "a@x.example", "verified")
	enrolled, again := e.enrolled("c1", `"user_id":"user_1","progress":10`),
		e.enrolled("c1", `"user_id":"user_1","name":"A"`)
	lost := e.enrolled("c1", `"user_id":"user_2"`)
	sale := e.sale("pi_1", "b@x.example", `{"storeId":"s1","productId":"p"}`)
	refund := e.stripe("charge.refunded", "",
		`{"id":"ch_1","payment_intent":"pi_1","amount":1000,"amount_refunded":400,"currency":"usd","refunded":false}`)
	seen := e.event("clerk", "session.created", "",
		`{"data":{"id":"sess_1","user_id":"user_1","created_at":1760000000000}}`)
	moved := e.user("user_1", "c@x.example", "verified")
	shop := e.platform("store.upserted", `{"id":"s1","name":"S"}`)
	apply(t, s, []store.NewEvent{user, enrolled, again, lost, sale, refund, seen, moved, shop}, 1)

	wantChanged(t, s, user.EventID, "user:user_1 newer event "+moved.EventID+" s1/c@x.example")
	wantChanged(t, s, moved.EventID, "user:user_1 stands s1/c@x.example")
	wantChanged(t, s, enrolled.EventID, "enrollment:c1/user:user_1 partly event "+again.EventID+" s1/c@x.example")
	wantChanged(t, s, again.EventID, "enrollment:c1/user:user_1 stands s1/c@x.example")
	wantChanged(t, s, lost.EventID, "enrollment:c1/user:user_2 stands user_unknown")
	wantChanged(t, s, sale.EventID, "payment:pi_1 stands s1/b@x.example")
	wantChanged(t, s, refund.EventID, "payment:pi_1 named s1/b@x.example", "refund:ch_1 stands s1/b@x.example")
	wantChanged(t, s, seen.EventID, "user:user_1 stands s1/c@x.example")
	wantChanged(t, s, shop.EventID, "store:s1 stands")
}

// What has not been applied yet says so; what says nothing is an error of its own.
func TestEventFactsNotKept(t *testing.T) {
	s, _ := openURL(t)
	var e teller
	events := []store.NewEvent{e.user("user_1", "a@x.example", "verified"), e.platform("party.thrown", `{}`),
		e.stripe("customer.created", "", `{}`)}
	if _, err := s.InsertEvents(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	wantChanged(t, s, events[0].EventID, "user:user_1 not_kept")
	for i, want := range []any{1: new(*facts.Ignored), 2: new(*facts.Malformed)} {
		if want == nil {
			continue
		}
		event, err := inbox.New(s).Event(t.Context(), events[i].EventID)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := inbox.New(s).EventFacts(t.Context(), event, facts.Read); !errors.As(err, want) {
			t.Errorf("%s: %v", event.Type, err)
		}
	}
}

// Of all that real events say, everything was kept, and of every fact somebody's
// word stands.
func TestEventFactsOfFixtures(t *testing.T) {
	s := open(t)
	events := fixtureEvents(t, func(story string) bool { return !alternative[story] })
	apply(t, s, events, 7)
	stands, told := map[string]bool{}, map[string]bool{}
	for _, e := range events {
		event, err := inbox.New(s).Event(t.Context(), e.EventID)
		if err != nil {
			t.Fatal(err)
		}
		all, _, err := inbox.New(s).EventFacts(context.Background(), event, facts.Read)
		if err != nil {
			if event.Status != "ignored" || !strings.Contains(*event.LastError, err.Error()) {
				t.Errorf("%s is %s: %v", e.EventID, event.Status, err)
			}
			continue
		}
		for _, f := range all {
			told[f.Ref] = true
			stands[f.Ref] = stands[f.Ref] || f.Standing == inbox.Stands || f.Standing == inbox.Partly
			if e.Type == "session.created" && f.Standing == inbox.Newer {
				continue // a later sign-in: nobody keeps whose word that is
			}
			if f.Standing == inbox.NotKept || (f.Newer != nil) != (f.Standing == inbox.Newer || f.Standing == inbox.Partly) ||
				(len(f.Words()) == 0) != (f.Standing == inbox.Named) {
				t.Errorf("%s: %s %s %v", e.EventID, f.Ref, f.Standing, f.Words())
			}
		}
	}
	for ref := range told {
		if !stands[ref] {
			t.Errorf("nobody's word on %s stands", ref)
		}
	}
	if len(told) < 40 {
		t.Errorf("only %d facts", len(told))
	}
}

func TestEventFactWords(t *testing.T) {
	f := inbox.EventFact{Says: map[string]any{"b": "x", "a": 12345678.0, "empty": "", "none": nil, "paid": false,
		"list": []any{"<", 1.5}}}
	if got := fmt.Sprint(f.Words()); got != `[[a 12345678] [b x] [list ["\u003c",1.5]] [paid false]]` {
		t.Error(got)
	}
}

// Which fields were passed over is told in words, and nothing of it is stored.
func TestEventNotes(t *testing.T) {
	s, _ := openURL(t)
	var e teller
	in, err := s.InsertEvents(t.Context(),
		[]store.NewEvent{
			e.platform("enrollment.upserted",
				`{"course_id":"c1","store_id":"s1","email":"ann@x.example","enrolled_at":"yesterday"}`),
			e.platform("store.upserted", `{"id":"s1"}`)})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, false} {
		event, err := inbox.New(s).Event(t.Context(), fmt.Sprint(in[i].ID))
		if err != nil {
			t.Fatal(err)
		}
		_, notes, err := inbox.New(s).EventFacts(t.Context(), event, facts.Read)
		if err != nil || (len(notes) == 1 && strings.Contains(notes[0], "enrolled_at")) != want ||
			!slices.Equal(notes, event.PassedOver(facts.Read)) {
			t.Errorf("%s: %q %v", event.Type, notes, err)
		}
	}
}
