package checks

import (
	"testing"
	"time"

	"rollcall/internal/testing/storetest"
	"rollcall/store"
)

// Nobody is told of events that were ignored because of their mode if they
// cannot be replayed any more: that would never end.
func TestOtherModePruned(t *testing.T) {
	s := storetest.Open(t)
	if _, err := s.Pool.Exec(t.Context(), `
		INSERT INTO webhook_events (source, event_id, type, livemode, occurred_at, received_at, payload, status, processed_at,
			last_error)
		SELECT 'stripe', 'evt_' || n, 'invoice.paid', n % 2 = 0, now(), now() - n * interval '1 day', '{}', 'ignored', now(),
			'an event of Stripe''s other mode: STRIPE_MODE is x'
		FROM generate_series(1, 6) n`); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int64{3, 1, 0} {
		modes, err := New(s).Checkup(store.AuditOptions{Examples: 1}).otherMode(t.Context())
		if err != nil || len(modes) != min(int(want), 1)*2 {
			t.Errorf("%+v %v, want %d of each", modes, err, want)
		}
		for _, f := range modes {
			if f.Count != want {
				t.Errorf("%+v, want %d", f, want)
			}
		}
		if _, _, err := s.PruneOld(t.Context(), time.Time{}, 0, 4); err != nil {
			t.Fatal(err)
		}
	}
}
