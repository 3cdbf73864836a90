package main

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/finding"
	"rollcall/store/status"
	"rollcall/watch"
	"rollcall/webhooks"
)

// TestFloodRaisesNoAlarm: a stranger sends what no secret has signed, to a source whose
// own deliveries come in as they always do. Nobody is told that a secret is wrong, or
// that events are lost.
func TestFloodRaisesNoAlarm(t *testing.T) {
	t.Parallel()
	d := startTestDev(t, nil)
	conn, err := pgx.Connect(t.Context(), d.at.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), counts("stripe", "accepted", 9, 700, 0)); err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"id":"evt_1","type":"customer.created"}`)
	for range 60 {
		for _, header := range []http.Header{webhooks.SignStripe("whsec_strangers0123456789", body, time.Now()), {}} {
			if status, err := call(d, http.MethodPost, "/webhooks/stripe", header, body); err != nil ||
				status != http.StatusBadRequest {
				t.Fatal(status, err)
			}
		}
	}
	eventually(t, "the flood is counted", func() bool {
		var n int
		err := conn.QueryRow(t.Context(), `SELECT coalesce(sum(count), 0) FROM webhook_deliveries
			WHERE outcome IN ('invalid_signature', 'missing_signature')`).Scan(&n)
		return err == nil && n == 120
	})
	s, err := d.env.openAt(d.at.database)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	seen, err := status.New(s).Traffic(t.Context(), time.Now().Add(-watch.Weeks), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range watch.Judge(seen) {
		if v.Severity != finding.OK {
			t.Errorf("%s is %s: %s", v.Name(), v.Severity, v.What)
		}
	}
}
