package store_test

import (
	"errors"
	"testing"
	"time"

	"rollcall/facts"
	"rollcall/store"
)

// Postgres refuses rows that tell of a course: those of customers, so that what
// is said is kept and not derived, or those of facts, so that it is not kept.
const (
	refuseSQL     = `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;`
	notDerivedSQL = refuseSQL + `CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON customers FOR EACH ROW
		WHEN ('c9' = ANY(NEW.course_ids)) EXECUTE FUNCTION refuse()`
	noneDerivedSQL = refuseSQL + `CREATE TRIGGER refuse BEFORE INSERT
		OR UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION refuse()`
	notKeptSQL = refuseSQL + `CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON enrollments FOR EACH ROW
		WHEN (NEW.course_id = 'c9') EXECUTE FUNCTION refuse()`
	noneKeptSQL = refuseSQL + `CREATE TRIGGER refuse BEFORE INSERT
		OR UPDATE ON enrollments FOR EACH ROW EXECUTE FUNCTION refuse()`
)

// An event about somebody erased that is given up after all its tries keeps
// nothing of them: whether it waited when they were erased or came later,
// whether what it says is kept or not.
func TestErasedEventsThatFail(t *testing.T) {
	t.Parallel()
	var e teller
	in := e.enrolled("c9", `"email":"ann@x.example","name":"Ann Stripe"`)
	by := withHeaders(e.enrolled("c9", `"email":"bob@x.example"`), `{"Referer":"https://x.example/?by=ann@x.example"}`)
	end := later(e.platform("enrollment.deleted", `{"course_id":"c1","user_id":"user_ann"}`))
	// that it is a user, only the event tells
	other := later(e.platform("enrollment.deleted", `{"course_id":"c1","user_id":"ann_7"}`))
	told := []store.NewEvent{e.user("user_ann", "ann@x.example", "verified"), e.user("ann_7", "ann@x.example", "verified"),
		e.enrolled("c1", `"user_id":"user_ann"`)}
	for name, c := range map[string]struct {
		event  store.NewEvent
		refuse string
		late   bool
	}{
		"it waits, not derived":    {in, notDerivedSQL, false},
		"it waits, not kept":       {in, notKeptSQL, false},
		"it comes, not derived":    {in, notDerivedSQL, true},
		"it comes, not kept":       {in, notKeptSQL, true},
		"headers wait":             {by, notKeptSQL, false},
		"headers come":             {by, notKeptSQL, true},
		"an end, not derived":      {end, noneDerivedSQL, true},
		"an end, not kept":         {end, noneKeptSQL, true},
		"an end of another's kind": {other, noneKeptSQL, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, url := openURL(t)
			apply(t, s, told, 3)
			who := store.Erasing{Email: "ann@x.example"}
			if c.late {
				erase(t, s, who)
			}
			row, err := s.InsertEvents(t.Context(), since([]store.NewEvent{c.event}))
			if err == nil {
				_, err = execute(t, url, c.refuse)
			}
			if err != nil {
				t.Fatal(err)
			}
			if !c.late {
				erase(t, s, who)
			}
			wantRows(t, url, `SELECT status || ' ' || (finished_at IS NOT NULL) FROM webhook_events, erasures
				WHERE payload IS NOT NULL`, "pending true")
			if status := exhaust(t, s, row[0].ID); status != "ignored" {
				t.Errorf("it ends as %q", status)
			}
			wantRows(t, url, `SELECT event_id FROM webhook_events WHERE payload IS NOT NULL OR headers IS NOT NULL`)
			unnamed(t, url, append(ann, "ann_7")...)
		})
	}
}

// What fails about others is kept to be looked at, though somebody was erased.
func TestOthersEventsThatFail(t *testing.T) {
	for name, refuse := range map[string]string{"not derived": noneDerivedSQL, "not kept": noneKeptSQL} {
		t.Run(name, func(t *testing.T) {
			var e teller
			s, url := openURL(t)
			apply(t, s, []store.NewEvent{e.enrolled("c1", `"email":"ann@x.example"`)}, 1)
			erase(t, s, store.Erasing{Email: "ann@x.example"})
			row, err := s.InsertEvents(t.Context(), []store.NewEvent{e.enrolled("c1", `"email":"bob@x.example"`)})
			if err == nil {
				_, err = execute(t, url, refuse)
			}
			if err != nil {
				t.Fatal(err)
			}
			if status := exhaust(t, s, row[0].ID); status != "failed" {
				t.Errorf("it ends as %q", status)
			}
			wantRows(t, url, `SELECT event_id || ' ' || status FROM webhook_events WHERE payload IS NOT NULL`, "evt_002 failed")
		})
	}
}

// exhaust tries an event that cannot be applied as a worker does, until it is
// given up, and returns the last that was said of it.
func exhaust(t *testing.T, s *store.Store, id int64) (status string) {
	t.Helper()
	for range store.MaxAttempts + 1 {
		out, err := s.Apply(t.Context(), []int64{id}, 0, facts.Read)
		var derive *store.DeriveError
		switch {
		case errors.As(err, &derive):
			status = out.Events[0].Status
		case err != nil:
			if status, err = s.MarkAttempt(t.Context(), id, err); err != nil {
				t.Fatal(err)
			}
		}
		if status != "pending" {
			break
		}
	}
	return status
}

// withHeaders gives an event the headers of its request.
func withHeaders(e store.NewEvent, headers string) store.NewEvent {
	e.Headers = []byte(headers)
	return e
}

// What a backfill cannot use, and what it remarks, names nobody who was erased.
func TestFindingsNameNobodyErased(t *testing.T) {
	var e teller
	s, url := openURL(t)
	apply(t, s, []store.NewEvent{
		e.user("user_ann", "ann@x.example", "verified"), e.user("7", "ann@x.example", "verified"),
		e.customer("cus_ann", "ann@x.example"),
		e.stripe("customer.created", "acct_1", `{"id":"cus_own","email":"ann@x.example","name":"Ann Stripe"}`),
	}, 4)
	erase(t, s, store.Erasing{Email: "ann@x.example"})
	b, err := s.StartBackfill(t.Context(), store.NewBackfill{Kind: "convex", StartedBy: "a test",
		Options: store.BackfillOptions{File: "/export.zip"}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.OpenChunk(t.Context(), b.ID, 0, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	unread := func(place, why string) store.Item { return store.Item{Place: place, Err: errors.New(why)} }
	out, err := s.ApplyChunk(t.Context(), c, store.Page{
		Items: []store.Item{
			unread("purchases, line 1", `line 1 of purchases: amount "x" of Ann@X.example`),
			unread("purchases, line 2", "line 2 of purchases: the user user_ann has no date"),
			unread("cus_ann", "no email"), unread("cus_own acct_1", "no email"), unread("7", "no email"),
			unread("purchases, line 3", `line 3 of purchases: amount "x" of bob@x.example`),
			unread("cus_own acct_2", "no email"),
		},
		Notes: []store.Finding{
			{Place: "webhookEvents, line 1", What: "evt_1 (invoice.paid)",
				Why: "was refused by the old system (no user for ann@x.example)"},
			{Place: "customers, line 1", What: "ann@x.example", Why: "is odd"},
			{Place: "webhookEvents, line 2", What: "evt_2 (invoice.paid)",
				Why: "was refused by the old system (no user for bob@x.example)"},
		},
	})
	if err != nil || out.Errors != 7 {
		t.Errorf("%+v %v", out, err)
	}
	const somebody = "an erased person cannot be read: it named a person who was erased"
	wantRows(t, url, `SELECT place || ' ' || what || ': ' || why FROM backfill_errors WHERE place <> 'at the end'
		ORDER BY id`,
		somebody, somebody, somebody, somebody, somebody,
		`purchases, line 3 cannot be read: line 3 of purchases: amount "x" of bob@x.example`,
		"cus_own acct_2 cannot be read: no email",
		"an erased person evt_1 (invoice.paid): it named a person who was erased",
		"an erased person it named a person who was erased: it named a person who was erased",
		"webhookEvents, line 2 evt_2 (invoice.paid): was refused by the old system (no user for bob@x.example)")
}
