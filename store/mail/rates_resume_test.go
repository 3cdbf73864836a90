package mail_test

import "testing"

// A pause by hand leaves what came back in the count; to go on after a brake begins to count anew.
func TestResumeCounts(t *testing.T) {
	t.Parallel()
	m := shop(t, `INSERT INTO mails (store_id, email, class, campaign_id, step, version, due_at, not_after, occurrence,
			status, reason, claimed_at)
		SELECT 's1', 'ann@x.example', 'marketing', 'c1', 'a', 1, '2026-03-10Z', '2026-03-13Z', i::text, 'failed', 'hard',
			now() - interval '1 hour'
		FROM generate_series(1, 60) i`)
	bounced := func() int {
		t.Helper()
		r, err := m.Rates(t.Context(), "s1")
		if err != nil {
			t.Fatal(err)
		}
		return r.Bounces
	}
	for _, reason := range []string{"hand", ""} {
		if reason != "" {
			if err := m.Pause(t.Context(), "s1", reason); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Resume(t.Context(), "s1"); err != nil || bounced() != 60 {
			t.Errorf("after %q: %d bounces, %v", reason, bounced(), err)
		}
	}
	if err := m.Brake(t.Context(), "s1"); err != nil {
		t.Fatal(err)
	}
	want(t, m, `SELECT paused_for FROM mail_settings`, "bounces")
	if err := m.Resume(t.Context(), "s1"); err != nil || bounced() != 0 {
		t.Errorf("after the brake: %d bounces, %v", bounced(), err)
	}
}
