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
	for id, unconfirmed := range map[string]bool{"camp_a": true, "camp_b": false} {
		if _, err := s.Pool.Exec(t.Context(), `INSERT INTO campaigns (id, store_id, name, kind, state, class, trigger, steps,
				reentry, not_after, within, starts_from, switched_at, created_by, unconfirmed)
			VALUES ($1, 's1', 'News', 'once', 'paused', 'service', '{}', '[]', 'never', '3 days', '0', now(), now(), 'admin',
				$2)`, id, unconfirmed); err != nil {
			t.Fatal(err)
		}
	}
	if traffic, err = New(s).Traffic(t.Context(), at, at); err != nil {
		t.Fatal(err)
	}
	if d := gocmp.Diff([]PausedCampaign{{"camp_a", "s1", "News"}}, traffic.Campaigns); d != "" {
		t.Error(d)
	}
}
