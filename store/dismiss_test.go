package store_test

import (
	"testing"

	"rollcall/store"
)

// Why an event was dismissed was written by a person, who may have called the erased one
// by any name: it goes with the payload.
func TestErasureOfDismissals(t *testing.T) {
	t.Parallel()
	s, url := openURL(t)
	var e teller
	apply(t, s, []store.NewEvent{e.enrolled("c1", `"email":"ann@x.example"`)}, 1)
	exec(t, url, `
		INSERT INTO webhook_events (source, event_id, type, occurred_at, payload, status, last_error)
		SELECT 'platform', 'evt_' || email, 'enrollment.upserted', '2026-01-12', json_build_object('data',
			json_build_object('email', email)), 'failed', 'course_id is missing'
		FROM unnest('{ann@x.example,bob@x.example}'::text[]) email`)
	failed := store.ReopenFilter{Statuses: []string{"failed"}}
	done, err := s.Dismiss(t.Context(), failed, store.Dismissal{By: "admin", Why: "Annie rang"})
	if err != nil || len(done) != 2 {
		t.Fatalf("%+v %v", done, err)
	}
	erase(t, s, store.Erasing{Email: "ann@x.example"})
	wantRows(t, url, `
		SELECT concat_ws(' ', status, payload IS NULL, dismissed_by, dismissed_why = 'Annie rang',
			dismissed_why LIKE '%eras%')
		FROM webhook_events
		WHERE dismissed_by IS NOT NULL
		ORDER BY id`, "ignored t admin f t", "ignored f admin t f")
}
