package status

import (
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"rollcall/internal/testing/storetest"
)

// Mail that stopped by itself is in the traffic; what people paused is not.
func TestStoppedMail(t *testing.T) {
	at := time.Date(2026, 3, 18, 12, 0, 0, 0, time.UTC)
	s := storetest.Open(t, `INSERT INTO mail_settings (store_id, paused_for, paused_at, failing_since) VALUES
		('back', 'bounces', now(), NULL), ('fine', NULL, NULL, NULL), ('hand', 'hand', now(), NULL),
		('down', NULL, NULL, '2026-03-18 12:00Z'), ('handed', 'hand', now(), '2026-03-18 12:00Z')`)
	traffic, err := New(s).Traffic(t.Context(), at, at)
	if err != nil {
		t.Fatal(err)
	}
	want := []StoppedMail{{Store: "back", Paused: "bounces"}, {Store: "down", Failing: &at},
		{Store: "handed", Failing: &at}}
	if d := gocmp.Diff(want, traffic.Mail); d != "" {
		t.Error(d)
	}
}
